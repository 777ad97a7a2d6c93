//! Points in time as texts, compared as people mean them.
//!
//! A time is stored as ISO 8601 in UTC, `2026-11-01T10:22:32Z`. What it is compared with may be coarser: a day, a
//! month, a minute. Two times are compared at the precision of the coarser one, so `<= '2026-11-30'` takes in the whole
//! 30th and `= '2026-11'` all of November, which the order of texts would not.

use std::cmp::Ordering;

/// What a text that ends early is filled up with: the first moment of the year, month, day, hour or minute.
const FIRST: &str = "0000-01-01T00:00:00";

/// Microseconds since 1970-01-01T00:00:00Z as ISO 8601 in UTC; `None` beyond the years that have such a form.
pub fn iso(microseconds: i64) -> Option<String> {
    jiff::Timestamp::from_microsecond(microseconds).ok().map(|at| at.to_string())
}

/// Compares two texts as times, at the precision of the coarser one; `Err` with the one that is none.
pub fn compare<'t>(a: &'t str, b: &'t str) -> Result<Ordering, &'t str> {
    let (one, other) = (normal(a).ok_or(a)?, normal(b).ok_or(b)?);
    let length = one.len().min(other.len());
    Ok(one.as_bytes()[..length].cmp(&other.as_bytes()[..length]))
}

/// A time in UTC without its `Z`, as long as it is precise. A time with an offset is brought to UTC first.
fn normal(text: &str) -> Option<String> {
    let text = text.trim();
    if !text.is_ascii() {
        return None;
    }
    let mut plain = text.replacen(' ', "T", 1);
    let has_offset = plain.get(11..).is_some_and(|time| time.contains(['+', '-']));
    if has_offset {
        let at: jiff::Timestamp = plain.parse().ok()?;
        plain = at.to_string();
    }
    let plain = plain.strip_suffix(['Z', 'z']).map_or(plain.clone(), str::to_owned).to_uppercase();
    let known = matches!(plain.len(), 4 | 7 | 10 | 13 | 16 | 19) || plain.as_bytes().get(19) == Some(&b'.');
    let full = format!("{plain}{}", FIRST.get(plain.len()..).unwrap_or_default());
    (known && full.parse::<jiff::civil::DateTime>().is_ok()).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "2026-11-30T10:22:32.5Z";

    #[test]
    fn a_coarser_time_means_all_of_it() {
        for whole in ["2026", "2026-11", "2026-11-30", "2026-11-30T10", "2026-11-30 10:22", "2026-11-30T10:22:32Z"] {
            assert_eq!(compare(AT, whole), Ok(Ordering::Equal), "{whole}");
        }
        assert_eq!(compare(AT, "2026-12"), Ok(Ordering::Less));
        assert_eq!(compare("2026-11-29", AT), Ok(Ordering::Less));
        assert_eq!(compare(AT, "2026-11-30 10:22:31"), Ok(Ordering::Greater));
    }

    #[test]
    fn an_offset_is_brought_to_utc() {
        assert_eq!(compare("2026-10-31T18:30:00Z", "2026-11-01T00:00+05:30"), Ok(Ordering::Equal));
        assert_eq!(compare("2026-10-31T18:29:59Z", "2026-11-01 00:00:00+05:30"), Ok(Ordering::Less));
    }

    #[test]
    fn what_is_no_time_is_named() {
        for text in ["", "yesterday", "01/11/2026", "2026-13-01", "2026-11-31", "2026-11-1", "20261101", "१"] {
            assert_eq!(compare(AT, text), Err(text), "{text}");
        }
    }

    #[test]
    fn stored_times_have_the_form() {
        assert_eq!(iso(1_767_608_552_000_000).as_deref(), Some("2026-01-05T10:22:32Z"));
        assert_eq!(iso(i64::MAX), None);
    }
}
