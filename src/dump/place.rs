//! Where a row says that it was made: two numbers in degrees, and how sure the phone was of them.
//!
//! Phones, apps and spreadsheets write degrees in many ways; what can be read in one way is read. What is no place at all (0, 0
//! of a phone that had none, 999, an iPhone's negative accuracy) is missing, and the row's `unread` cells say what stood there.
//! Whether latitude and longitude changed places only the whole column can tell: [`super::Survey`] asks it, and nothing is
//! exchanged by guess.

use serde::{Deserialize, Serialize};

use super::cells::Said;
use super::digits::digit;

/// A point on the Earth (WGS 84).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Degrees north of the equator, -90..=90.
    pub latitude: f64,
    /// Degrees east of Greenwich, -180..=180.
    pub longitude: f64,
    /// Radius within which the phone believes to be, metres, above 0; `None` where it did not say.
    pub accuracy_m: Option<f32>,
}

/// The largest radius that says anything, metres: a cell of the network is a hundredth of it.
const MOST_ACCURACY: f64 = 1_000_000.0;

/// India with its islands, degrees: latitudes, then longitudes. The two do not overlap, so exchanged ones are told for sure.
const INDIA: [[f64; 2]; 2] = [[6.0, 38.0], [68.0, 98.0]];

/// Which of the two numbers a cell holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// North and south.
    Latitude,
    /// East and west.
    Longitude,
}

impl Place {
    /// The point, or `None` where the two numbers are none: not finite, out of range, or a zero, which is what a phone or an
    /// app writes that has no place.
    pub fn new(latitude: f64, longitude: f64) -> Option<Place> {
        let is_in = |value: f64, most: f64| value.abs() <= most;
        let is_place = is_in(latitude, 90.0) && is_in(longitude, 180.0) && latitude != 0.0 && longitude != 0.0;
        let is_null_island = latitude.abs() < 0.01 && longitude.abs() < 0.01;
        (is_place && !is_null_island).then_some(Place { latitude, longitude, accuracy_m: None })
    }

    /// Whether it lies in India's box, taken as it stands.
    pub fn is_in_india(&self) -> bool {
        within(self.latitude, INDIA[0]) && within(self.longitude, INDIA[1])
    }

    /// Whether it would lie in India's box if latitude and longitude were exchanged.
    pub fn would_be_in_india(&self) -> bool {
        within(self.longitude, INDIA[0]) && within(self.latitude, INDIA[1])
    }

    /// Distance along a great circle on a sphere of 6,371,008.8 m (the mean radius of the Earth, IUGG), metres; the haversine
    /// formula (R. W. Sinnott, Sky and Telescope 68, 1984). Off by at most 0.6 % from the ellipsoid.
    pub fn metres_to(&self, other: &Place) -> f64 {
        const RADIUS: f64 = 6_371_008.8;
        let (a, b) = (self.latitude.to_radians(), other.latitude.to_radians());
        let (north, east) = ((b - a) / 2.0, (other.longitude - self.longitude).to_radians() / 2.0);
        let chord = north.sin().powi(2) + a.cos() * b.cos() * east.sin().powi(2);
        2.0 * RADIUS * chord.clamp(0.0, 1.0).sqrt().asin()
    }

    /// What the three cells of a row say together. Cells that are no place go to `unread`.
    pub(super) fn of_cells(
        latitude: Option<Said<f64>>,
        longitude: Option<Said<f64>>,
        accuracy: Option<Said<f64>>,
        unread: &mut Vec<(String, String)>,
    ) -> Option<Place> {
        let is_refused = matches!(accuracy, Some(Said::Value(metres)) if metres < 0.0);
        let place = match (&latitude, &longitude) {
            (Some(Said::Value(north)), Some(Said::Value(east))) if !is_refused => Place::new(*north, *east),
            _ => None,
        };
        let Some(place) = place else {
            let mut note = |name: &str, cell: Option<Said<f64>>| {
                if let Some(cell) = cell {
                    unread.push((name.to_owned(), text_of(cell)));
                }
            };
            let has_either = latitude.is_some() || longitude.is_some();
            note("latitude", latitude);
            note("longitude", longitude);
            note("accuracy_m", accuracy.filter(|_| is_refused && has_either));
            return None;
        };
        let accuracy_m = match accuracy {
            Some(Said::Value(metres)) if metres <= MOST_ACCURACY => Some(metres as f32).filter(|&metres| metres > 0.0),
            Some(cell) => {
                unread.push(("accuracy_m".to_owned(), text_of(cell)));
                None
            }
            None => None,
        };
        Some(Place { accuracy_m, ..place })
    }
}

fn within(value: f64, [least, most]: [f64; 2]) -> bool {
    (least..=most).contains(&value)
}

fn text_of(cell: Said<f64>) -> String {
    match cell {
        Said::Value(value) => value.to_string(),
        Said::Unread(text) => text,
    }
}

/// Why a row has no place although it has cells for it, in words; `None` where the cells are empty or say one.
pub fn why_no_place(unread: &[(String, String)]) -> Option<&'static str> {
    let text = |name: &str| unread.iter().find(|(column, _)| column == name).map(|(_, text)| text.as_str());
    let (latitude, longitude) = (text("latitude"), text("longitude"));
    let north = latitude.map(|text| degrees(text, Axis::Latitude));
    let east = longitude.map(|text| degrees(text, Axis::Longitude));
    match (north, east) {
        (None, None) => None,
        (Some(None), _) | (_, Some(None)) => Some("latitude and longitude cannot be read as degrees"),
        (Some(_), None) => Some("a latitude without a longitude"),
        (None, Some(_)) => Some("a longitude without a latitude"),
        (Some(Some(north)), Some(Some(east))) => Some(match (north, east) {
            _ if Place::new(north, east).is_some() => "the phone says by a negative accuracy that it has no place",
            _ if north.abs() < 0.01 || east.abs() < 0.01 => "latitude and longitude of a phone that has no place (0)",
            _ if north.abs() <= 180.0 && east.abs() <= 90.0 => "latitude and longitude have changed places",
            _ => "latitude and longitude are out of range",
        }),
    }
}

/// Degrees as a text says them: `12.97`, `12,97`, `12.97° N`, `N12.97`, `12°58'17.4"N`, with digits of any Indian script. South
/// and west are negative. `None` for anything else, a letter of the other axis among it; no range is checked.
pub fn degrees(text: &str, axis: Axis) -> Option<f64> {
    let text: String = text.chars().map(|c| digit(c).unwrap_or(c)).collect::<String>().to_ascii_lowercase();
    let text = text.trim();
    if let Some(value) = number(text) {
        return Some(value);
    }
    let letters = match axis {
        Axis::Latitude => ['n', 's'],
        Axis::Longitude => ['e', 'w'],
    };
    let end = text.strip_suffix(letters).map(|rest| (rest, text.ends_with(letters[1])));
    let start = || text.strip_prefix(letters).map(|rest| (rest, text.starts_with(letters[1])));
    let (rest, is_negative) = end.or_else(start).map_or((text, None), |(rest, negative)| (rest, Some(negative)));
    let is_mark = |c: char| c.is_whitespace() || "°º˚'′’\"″”:".contains(c);
    let mut parts = Vec::with_capacity(3);
    for part in rest.split(is_mark).filter(|part| !part.is_empty()) {
        parts.push(number(part)?);
    }
    let (last, before) = parts.split_last()?;
    let is_sexagesimal = parts.len() <= 3
        && before.iter().all(|part| part.fract() == 0.0)
        && parts[1..].iter().all(|part| (0.0..60.0).contains(part));
    let is_signed = rest.contains('-');
    if !is_sexagesimal || (is_signed && is_negative.is_some()) || !last.is_finite() {
        return None;
    }
    let size = parts[0].abs() + parts[1..].iter().zip([60.0, 3600.0]).map(|(part, unit)| part / unit).sum::<f64>();
    Some(if is_signed || is_negative == Some(true) { -size } else { size })
}

/// Metres as a text says them: `12`, `12.5`, `12,5 m`.
pub fn metres(text: &str) -> Option<f64> {
    let text: String = text.chars().map(|c| digit(c).unwrap_or(c)).collect::<String>().to_ascii_lowercase();
    let text = text.trim();
    let units = ["metres", "meters", "metre", "meter", "m"];
    number(units.iter().find_map(|unit| text.strip_suffix(unit)).unwrap_or(text).trim_end())
}

/// A number with a point, or a single comma, before its fraction.
fn number(text: &str) -> Option<f64> {
    let starts = text.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_digit() || c == '.' || c == ',');
    let has_one_comma = text.matches(',').count() == 1 && !text.contains('.');
    let value: f64 = match has_one_comma {
        true => text.replace(',', ".").parse().ok()?,
        false => text.parse().ok()?,
    };
    (starts && value.is_finite()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degrees_are_read_as_people_and_programs_write_them() {
        for (text, value) in [
            ("12.97", 12.97),
            ("12,97", 12.97),
            (" +12.97 ", 12.97),
            ("-12.97", -12.97),
            ("12.97° N", 12.97),
            ("12,97°N", 12.97),
            ("N12.97", 12.97),
            ("n 12.97", 12.97),
            ("12.97 S", -12.97),
            ("1.297E+01", 12.97),
            ("१२.९७", 12.97),
            ("12°58'12\"N", 12.97),
            ("12° 58′ 12″ S", -12.97),
            ("12 58.2 N", 12.97),
            ("12:58:12", 12.97),
            ("999", 999.0),
        ] {
            let read = degrees(text, Axis::Latitude).unwrap_or_else(|| panic!("{text}"));
            assert!((read - value).abs() < 1e-9, "{text}: {read}");
        }
        assert_eq!(degrees("77.59 E", Axis::Longitude), Some(77.59));
        assert_eq!(degrees("77.59W", Axis::Longitude), Some(-77.59));
        for text in
            ["", "N", "north", "12.97 E", "12 61 0 N", "12.5 58 N", "-12 S", "nan", "inf", "12,971,600", "1 2 3 4", "°"]
        {
            assert_eq!(degrees(text, Axis::Latitude), None, "{text}");
        }
        assert_eq!(
            [metres("12,5 m"), metres("8 metres"), metres("-1"), metres("near")],
            [Some(12.5), Some(8.0), Some(-1.0), None]
        );
    }

    #[test]
    fn what_is_no_place_is_missing_with_its_reason() {
        let told = |north: &str, east: &str, accuracy: Option<f64>| {
            let cell = |text: &str, axis| match (text, degrees(text, axis)) {
                ("", _) => None,
                (_, Some(value)) => Some(Said::Value(value)),
                (text, None) => Some(Said::Unread(text.to_owned())),
            };
            let mut unread = Vec::new();
            let (north, east) = (cell(north, Axis::Latitude), cell(east, Axis::Longitude));
            let place = Place::of_cells(north, east, accuracy.map(Said::Value), &mut unread);
            (place, why_no_place(&unread).unwrap_or(""), unread.len())
        };
        let place = |accuracy_m| Some(Place { latitude: 12.97, longitude: 77.59, accuracy_m });
        assert_eq!(told("12.97", "77.59", None), (place(None), "", 0));
        assert_eq!(told("12.97", "77.59", Some(8.5)), (place(Some(8.5)), "", 0));
        assert_eq!(told("12.97", "77.59", Some(0.0)), (place(None), "", 0), "Android's word for not knowing");
        assert_eq!(told("12.97", "77.59", Some(1e9)), (place(None), "", 1), "a radius of no use costs no place");
        assert_eq!(told("", "", Some(5.0)), (None, "", 0));
        for (north, east, accuracy, reason) in [
            ("0", "0", None, "no place (0)"),
            ("0.0001", "0.0002", None, "no place (0)"),
            ("12.97", "0", None, "no place (0)"),
            ("999", "999", None, "out of range"),
            ("97.59", "12.97", None, "changed places"),
            ("12.97", "", None, "without a longitude"),
            ("", "77.59", None, "without a latitude"),
            ("here", "77.59", None, "cannot be read"),
            ("12.97", "77.59", Some(-1.0), "negative accuracy"),
        ] {
            let (place, why, _) = told(north, east, accuracy);
            assert!(place.is_none() && why.contains(reason), "{north} {east}: {why}");
        }
        let swapped = Place::new(77.59, 12.97).unwrap();
        assert!(
            swapped.would_be_in_india() && !swapped.is_in_india(),
            "a point in the Arctic: kept, and told of the column"
        );
    }

    #[test]
    fn distances_are_those_of_the_globe() {
        let at = |north, east| Place::new(north, east).unwrap();
        let (bengaluru, mysuru) = (at(12.9716, 77.5946), at(12.2958, 76.6394));
        // Vincenty on WGS 84: 128.1 km.
        assert!((bengaluru.metres_to(&mysuru) / 1000.0 - 128.1).abs() < 1.0, "{}", bengaluru.metres_to(&mysuru));
        assert_eq!(bengaluru.metres_to(&bengaluru), 0.0);
        assert!((at(10.0, 179.999).metres_to(&at(10.0, -179.999)) - 219.0).abs() < 1.0, "over the date line");
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_strange(text in "\\PC{0,40}", numbers in "[0-9.,°'\" NSEWnsew+-]{0,24}") {
            for text in [text, numbers] {
                for axis in [Axis::Latitude, Axis::Longitude] {
                    proptest::prop_assert!(degrees(&text, axis).is_none_or(f64::is_finite));
                }
                proptest::prop_assert!(metres(&text).is_none_or(f64::is_finite));
            }
        }
    }
}
