//! Small tables and sentences for people.

use crate::terminal::visible_line;

/// A table with a header; columns are as wide as their widest cell, two spaces apart. A cell is one line.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let visible = |row: &Vec<String>| row.iter().map(|cell| visible_line(cell).into_owned()).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(visible).collect();
    let mut widths: Vec<usize> = header.iter().map(|name| name.chars().count()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let head = line(&mut header.iter().copied());
    rows.iter().fold(head, |text, row| text + &line(&mut row.iter().map(String::as_str)))
}

/// A likelihood ratio in words: the verbal scale of the ENFSI guideline for evaluative reporting in forensic science (2015).
pub fn support(likelihood_ratio: f64) -> String {
    let (strength, what) = match likelihood_ratio {
        r if r >= 1.0 => (r, "one person"),
        r => (1.0 / r, "two different people"),
    };
    let word = match strength {
        s if s < 2.0 => return "the faces speak for neither one person nor two".to_owned(),
        s if s < 10.0 => "weakly",
        s if s < 100.0 => "moderately",
        s if s < 1e3 => "moderately strongly",
        s if s < 1e4 => "strongly",
        s if s < 1e6 => "very strongly",
        _ => "extremely strongly",
    };
    format!("the faces speak {word} for {what}")
}

/// A day, from microseconds since 1970-01-01T00:00:00Z.
pub fn day(microseconds: i64) -> String {
    super::moment::iso(microseconds).map_or_else(|| "unknown".to_owned(), |time| time.chars().take(10).collect())
}

/// A mobile or voter-ID number with all but its last three characters hidden; a short one is hidden whole.
pub fn masked(number: &str) -> String {
    let length = number.chars().count();
    let hidden = if length > 6 { length - 3 } else { length };
    number.chars().enumerate().map(|(at, letter)| if at < hidden { '*' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_as_wide_as_it_must_be() {
        let rows = [vec!["Ujjain".to_owned(), "1".to_owned()], vec!["उज्जैन".to_owned(), "22".to_owned()]];
        assert_eq!(table(&["district", "n"], &rows), "district  n\nUjjain    1\nउज्जैन    22\n");
        assert_eq!(table(&["a"], &[]), "a\n");
        assert_eq!(table(&["a"], &[vec!["x\n\u{1b}[1my".into()]]), "a\nx\\n\\u{1b}[1my\n");
    }

    #[test]
    fn numbers_are_masked_and_days_are_days() {
        assert_eq!(
            (masked("9826012345").as_str(), masked("12").as_str(), masked("").as_str()),
            ("*******345", "**", "")
        );
        assert_eq!(day(1_767_608_552_000_000), "2026-01-05");
    }

    #[test]
    fn a_ratio_has_its_words_either_way() {
        let words: Vec<String> = [1e9, 5_000.0, 1.5, 0.7, 0.02, 1e-5].into_iter().map(support).collect();
        let neither = "the faces speak for neither one person nor two";
        assert_eq!(words[2..4], [neither, neither]);
        assert_eq!(words[0], "the faces speak extremely strongly for one person");
        assert_eq!(words[1], "the faces speak strongly for one person");
        assert_eq!(words[4], "the faces speak moderately for two different people");
        assert_eq!(words[5], "the faces speak very strongly for two different people");
    }
}
