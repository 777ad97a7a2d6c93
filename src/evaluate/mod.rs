//! Accuracy of the program's own pipeline on labelled data, in ISO terms.
