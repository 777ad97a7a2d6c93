//! `chehra.toml`: what stays the same from night to night.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::Columns;
use crate::{Error, Result};

/// The configuration file. Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConfigFile {
    /// What the dump's columns are called.
    pub columns: Columns,
}

impl ConfigFile {
    /// Reads a configuration file; what it does not name keeps its default.
    ///
    /// # Errors
    /// [`Error::Input`] when the file is missing, is not TOML or has an unknown key.
    pub fn read(path: &Path) -> Result<Self> {
        let refuse = |found: String| {
            let expected = "a TOML file with a [columns] table, such as selfie = \"image_bytes\"";
            Error::input(path, "configuration", expected, found, "correct the line named above")
        };
        let text = std::fs::read_to_string(path).map_err(|e| refuse(e.to_string()))?;
        toml::from_str(&text).map_err(|e| refuse(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renamed_column_keeps_the_other_names() {
        let config: ConfigFile = toml::from_str("[columns]\nselfie = \"image_bytes\"\n").unwrap();
        assert_eq!(config.columns.selfie, "image_bytes");
        assert_eq!(config.columns.worker_id, Columns::default().worker_id);
        assert!(toml::from_str::<ConfigFile>("[colums]\nselfie = \"x\"").is_err());
    }
}
