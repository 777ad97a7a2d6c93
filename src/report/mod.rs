//! Progress and summaries for people.
