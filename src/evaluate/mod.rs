//! Accuracy of the program's own pipeline on labelled data: its decoding, detection, alignment and networks, in the
//! terms of ISO/IEC 19795-1 and 30107-3.

pub mod metrics;
