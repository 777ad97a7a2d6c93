//! Small tables and sentences for people.

/// A table with a header; columns are as wide as their widest cell, two spaces apart.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|name| name.chars().count()).collect();
    for row in rows {
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

/// A number of expected events: whole where there are many, in powers of ten where there are hardly any.
pub fn expected(count: f64) -> String {
    match count {
        c if c >= 100.0 => format!("{c:.0}"),
        c if c >= 0.01 => format!("{c:.2}"),
        c => format!("{c:.1e}"),
    }
}

/// A rate of chance, as "1 in 2,000" where that is easier read.
pub fn chance(rate: f64) -> String {
    match rate {
        r if r >= 0.1 => format!("{:.0} in 100", 100.0 * r),
        r if r >= 1e-4 => format!("1 in {:.0}", 1.0 / r),
        r => format!("{r:.1e}"),
    }
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
    }

    #[test]
    fn numbers_are_masked_and_rounded() {
        assert_eq!(
            (masked("9826012345").as_str(), masked("12").as_str(), masked("").as_str()),
            ("*******345", "**", "")
        );
        assert_eq!(
            (expected(1234.5), expected(0.5), expected(2.1e-9)),
            ("1234".into(), "0.50".into(), "2.1e-9".into())
        );
        assert_eq!(
            (chance(0.42).as_str(), chance(5e-4).as_str(), chance(3e-9).as_str()),
            ("42 in 100", "1 in 2000", "3.0e-9")
        );
        assert_eq!(day(1_767_608_552_000_000), "2026-01-05");
    }
}
