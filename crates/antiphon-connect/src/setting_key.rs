//! The names of settings: the keys of `antiphon.toml`, with dots in between.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use toml::de::{DeTable, DeValue};

use crate::error::ConfigError;

/// The name of a setting, as `antiphon.toml` has it: `defaults.model`, `providers.lab.base_url`, `prices.lab."m-1.5".input`.
///
/// Parsed as TOML parses dotted keys: a part with a dot needs quotes. `Display` writes the same form.
///
/// ```
/// use antiphon_connect::SettingKey;
///
/// let key: SettingKey = "prices.lab.'m-1.5'.input".parse()?;
/// assert_eq!(key.parts(), ["prices", "lab", "m-1.5", "input"]);
/// assert_eq!(key.to_string(), "prices.lab.\"m-1.5\".input");
/// # Ok::<(), antiphon_connect::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SettingKey(Vec<String>);

impl SettingKey {
    /// Creates the name from its parts.
    pub(crate) fn of(parts: &[&str]) -> Self {
        Self(parts.iter().map(|&part| part.to_owned()).collect())
    }

    /// Returns the parts of the name: tables first, then the key in the innermost one.
    #[must_use]
    pub fn parts(&self) -> &[String] {
        &self.0
    }

    /// Splits the name after `depth` parts: the name of a table, and that of the setting in it.
    #[must_use]
    pub fn split_at(&self, depth: usize) -> (Self, Self) {
        let (table, rest) = self.0.split_at(depth.min(self.0.len()));
        (Self(table.to_vec()), Self(rest.to_vec()))
    }

    /// Returns whether the setting is in the table of this name, at any depth.
    #[must_use]
    pub fn is_below(&self, table: &Self) -> bool {
        self.0.len() > table.0.len() && self.0.starts_with(&table.0)
    }
}

impl FromStr for SettingKey {
    type Err = ConfigError;

    /// Parses a dotted key of TOML.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let invalid = || {
            let message =
                "the name of a setting is not valid: write it as in antiphon.toml, such as defaults.model";
            ConfigError::new(message).of_flags()
        };
        // A line break or a comment would begin something else than a key.
        let is_key = !text.contains(['\n', '\r', '=', '#']);
        let line = format!("{text} = 0");
        let table =
            Some(&line).filter(|_| is_key).and_then(|line| DeTable::parse(line).ok()).ok_or_else(invalid)?;
        let mut parts = Vec::new();
        collect(table.get_ref(), &mut parts);
        if parts.is_empty() { Err(invalid()) } else { Ok(Self(parts)) }
    }
}

/// Collects the keys on the only path into a table.
fn collect(table: &DeTable<'_>, parts: &mut Vec<String>) {
    let Some((key, value)) = table.iter().next() else { return };
    parts.push(key.get_ref().to_string());
    if let DeValue::Table(table) = value.get_ref() {
        collect(table, parts);
    }
}

impl fmt::Display for SettingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "." })?;
            let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
            if !part.is_empty() && part.bytes().all(is_bare) {
                f.write_str(part)?;
            } else {
                write!(f, "{}", toml::Value::from(part.as_str()))?;
            }
        }
        Ok(())
    }
}

impl Serialize for SettingKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::SettingKey;

    #[test]
    fn names_are_those_of_toml() {
        let key: SettingKey = " providers . lab.'a.b' ".parse().unwrap();
        assert_eq!(key.to_string(), "providers.lab.\"a.b\"");
        assert!(key.is_below(&"providers.lab".parse().unwrap()) && !key.is_below(&key));
        for bad in ["", "a..b", "a = 1", "a\nb", "[a]", "a#b", "a.\"b"] {
            let err = bad.parse::<SettingKey>().unwrap_err();
            assert!(err.is_of_flags() && err.to_string().contains("defaults.model"), "{bad:?}");
        }
    }
}
