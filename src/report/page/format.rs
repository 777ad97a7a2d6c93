//! Numbers, times and texts as the page writes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::tz::TimeZone;
use serde_json::Value;
use sha2::{Digest, Sha256};

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

/// JSON that cannot end the element it stands in.
pub(super) fn data(value: &Value) -> String {
    value.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

pub(super) fn hash(source: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(source)))
}

pub(super) fn percent(share: f64) -> String {
    match share {
        s if s > 0.0 && s < 0.001 => "< 0.1 %".to_owned(),
        s if s < 0.0995 => format!("{:.1} %", 100.0 * s),
        s => format!("{:.0} %", 100.0 * s),
    }
}

pub(super) fn share(count: u64, all: u64) -> f64 {
    count as f64 / all.max(1) as f64
}

/// Without zeros that say nothing: 2.00 is 2.
pub(super) fn plain(number: &str) -> String {
    number.trim_end_matches('0').trim_end_matches('.').to_owned()
}

pub(super) fn small(number: f64) -> String {
    match number {
        0.0 => "0".to_owned(),
        n if n < 0.001 => "< 0.001".to_owned(),
        n if n < 1.0 => plain(&format!("{n:.*}", if n < 0.1 { 3 } else { 2 })),
        n if n < 10.0 => plain(&format!("{n:.2}")),
        n => format!("{n:.0}"),
    }
}

/// `2026-11-21 09:40` of microseconds since 1970-01-01T00:00:00Z, in a zone.
pub(super) fn time(micros: i64, zone: &TimeZone) -> String {
    let at = jiff::Timestamp::from_microsecond(micros);
    at.map_or_else(|_| String::new(), |t| t.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn data_cannot_end_its_element() {
        let hostile = json!({"district": "</script><script>alert(1)</script>&<!--"});
        let written = data(&hostile);
        assert!(!written.contains('<') && !written.contains('>') && !written.contains('&'), "{written}");
        assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), hostile);
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!([0.0, 0.0004, 0.012, 0.5, 1.0].map(percent), ["0.0 %", "< 0.1 %", "1.2 %", "50 %", "100 %"]);
        assert_eq!([0.0, 3.2e-9, 0.0049, 0.05, 2.0, 12.3].map(small), ["0", "< 0.001", "0.005", "0.05", "2", "12"]);
        assert_eq!(time(0, &TimeZone::UTC), "1970-01-01 00:00");
        let kolkata = TimeZone::get("Asia/Kolkata").unwrap();
        assert_eq!(time(20 * 3_600_000_000, &kolkata), "1970-01-02 01:30", "the calendar day there");
        assert_eq!(time(i64::MAX, &TimeZone::UTC), "");
    }
}
