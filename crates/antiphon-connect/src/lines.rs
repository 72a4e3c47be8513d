//! The lines of a configuration file, by the keys that are written there.
//!
//! The file is parsed once more for them, since deserialised values no longer know their place. Tables count as well, so that a
//! mistake that is in no line of its own, such as a missing key, is reported at the header of its table.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

/// The lines at which the keys of a file are written, from 1.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lines(BTreeMap<Vec<String>, usize>);

impl Lines {
    /// Reads the lines of all keys; none of a text that is not valid TOML.
    pub(crate) fn of(text: &str) -> Self {
        let mut lines = Self::default();
        if let Ok(table) = DeTable::parse(text) {
            lines.add(text, &[], table.get_ref());
        }
        lines
    }

    /// Adds the keys of a table, and those of the tables in it.
    fn add(&mut self, text: &str, above: &[String], table: &DeTable<'_>) {
        for (key, value) in table {
            let mut path = above.to_vec();
            path.push(key.get_ref().to_string());
            let before = text.get(..key.span().start).unwrap_or_default();
            if let DeValue::Table(table) = value.get_ref() {
                self.add(text, &path, table);
            }
            self.0.insert(path, before.matches('\n').count() + 1);
        }
    }

    /// Returns the line of a key; if the file does not have it, that of the nearest table around it, else 1.
    pub(crate) fn line(&self, key: &[&str]) -> usize {
        (1..=key.len()).rev().find_map(|length| self.exact(&key[..length])).unwrap_or(1)
    }

    /// Returns whether the file has a key.
    pub(crate) fn has(&self, key: &[&str]) -> bool {
        self.exact(key).is_some()
    }

    /// Returns the provider that has an option under two names, with the line of the later one.
    pub(crate) fn twice(&self, earlier: &str, name: &str) -> Option<(&str, usize)> {
        self.0.iter().find_map(|(key, line)| match &key[..] {
            [providers, provider, option] if providers == "providers" && option == earlier => {
                let other = self.exact(&[providers, provider, name])?;
                Some((provider.as_str(), other.max(*line)))
            }
            _ => None,
        })
    }

    /// Returns the line of a key that the file has.
    fn exact(&self, key: &[&str]) -> Option<usize> {
        let key: Vec<String> = key.iter().map(|&part| part.to_owned()).collect();
        self.0.get(&key).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;

    const TEXT: &str = "# first\n[defaults]\nmodel = \"m\"\n\n[providers.lab]\nkind = \"compatible\"\n\
                        headers = { x-team = \"a\" }\nextra.depth = 3\n[prices.lab.\"m.1\"]\ninput = 1\n";

    #[track_caller]
    fn check(key: &[&str], expected: usize) {
        assert_eq!(Lines::of(TEXT).line(key), expected, "{key:?}");
    }

    #[test]
    fn keys_are_found_in_all_ways_in_which_toml_writes_them() {
        check(&["defaults", "model"], 3);
        check(&["providers", "lab", "kind"], 6);
        check(&["providers", "lab", "headers", "x-team"], 7);
        check(&["providers", "lab", "extra", "depth"], 8);
        check(&["prices", "lab", "m.1", "input"], 10);
    }

    #[test]
    fn a_missing_key_has_the_line_of_its_table() {
        check(&["providers", "lab", "base_url"], 5);
        check(&["providers", "other", "kind"], 5);
        check(&["retry", "max_retries"], 1);
        assert_eq!(Lines::of("= 3").line(&["defaults"]), 1);
    }
}
