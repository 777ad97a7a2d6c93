//! What all tables of this room need: cells that are no formulas.

/// A cell that no spreadsheet takes for a formula: names are typed by strangers.
pub fn plain_cell(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}
