//! Rules and policy -> verdicts, tables, run folder.
