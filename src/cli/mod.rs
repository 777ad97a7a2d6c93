//! The command line: what was typed, made into what it means.
