//! The `[columns]` section of `chehra.toml`: what the dump calls the columns that `chehra` knows.
//!
//! Apps and warehouses name things their own way; a dump is not rewritten for that. `selfie = "image_bytes"` says
//! that the selfie stands in `image_bytes`; an optional column set to `""` is not read even where the dump has one.
//! Two keys tell how times are read: `captured_at_format` (`"%d/%m/%Y %H:%M"`) and, at the top of the file, `time_zone`
//! (`"Asia/Kolkata"`).

use serde::{Deserialize, Serialize};

macro_rules! columns {
    ($($(#[doc = $doc:literal])+ $name:ident),+ $(,)?) => {
        /// For each column that `chehra` knows, its name in the dump. The defaults are `chehra`'s own names.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Columns {
            $($(#[doc = $doc])+ pub $name: String,)+
            /// The form of times that are texts, in the letters of `strftime`; empty: what can be read in one way is read.
            pub captured_at_format: String,
            /// IANA name of the zone of times that have none, in which people are shown all times; empty for UTC.
            pub time_zone: String,
        }

        impl Default for Columns {
            fn default() -> Self {
                Columns {
                    $($name: stringify!($name).to_owned(),)+
                    captured_at_format: String::new(),
                    time_zone: String::new(),
                }
            }
        }

        impl Columns {
            /// Every column as (`chehra`'s name, name in the dump), in the order of the contract.
            pub fn pairs(&self) -> Vec<(&'static str, &str)> {
                vec![$((stringify!($name), self.$name.as_str())),+]
            }
        }
    };
}

columns! {
    /// Required, text: unique id of the submission.
    submission_id,
    /// Required, text: the field worker's id.
    worker_id,
    /// Required, text: district of the enrolment.
    district,
    /// Required, timestamp, or a text or number that can be read in one way: when the selfie was taken.
    captured_at,
    /// Required, binary (or `struct{bytes}`, base64, hex): the selfie of worker and member.
    selfie,
    /// Optional, binary: the member's uploaded photo.
    photo,
    /// Optional, text: division the district belongs to.
    division,
    /// Optional, text: party sector.
    sector,
    /// Optional, text: party mandalam.
    mandalam,
    /// Optional, text: polling booth.
    booth_id,
    /// Optional, text: mobile number as typed.
    mobile,
    /// Optional, text: voter-ID (EPIC) number as typed.
    epic,
    /// Optional, text: the member's name as typed.
    member_name,
    /// Optional, yes or no: whether the member consented.
    consent,
    /// Optional, degrees north (number or text): where the selfie was taken.
    latitude,
    /// Optional, degrees east (number or text): where the selfie was taken.
    longitude,
    /// Optional, metres (number or text): within which the phone believes to be.
    accuracy_m,
    /// Optional, text: the phone.
    device_id,
    /// Optional, text: version of the app.
    app_version,
    /// Optional, as captured_at: when the submission arrived.
    uploaded_at,
    /// Optional, text: the network by which it came.
    network,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_overrides_only_what_it_names() {
        let columns: Columns = toml::from_str("selfie = \"image_bytes\"\nphoto = \"\"").unwrap();
        assert_eq!((columns.selfie.as_str(), columns.photo.as_str()), ("image_bytes", ""));
        assert_eq!(columns.submission_id, "submission_id");
        assert_eq!(Columns::default().pairs().len(), 21);
        assert!(Columns::default().pairs().iter().all(|(ours, theirs)| ours == theirs));
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        let error = toml::from_str::<Columns>("selfy = \"image_bytes\"").unwrap_err().to_string();
        assert!(error.contains("selfy") && error.contains("selfie"), "{error}");
    }
}
