//! The speakers of a file: names for numbers, letters and other labels that services give to unknown speakers.
//!
//! | in the file | label | name in `a.json` |
//! |---|---|---|
//! | `0`, under a key such as `speaker` | `Speaker 0` | `a Speaker 0` |
//! | `0`, with `{"speakers": [{"id": 0, "name": "Ana"}]}` | `Ana` | `Ana` |
//! | `A` and `B` | `Speaker A` | `a Speaker A` |
//! | `spk_0`, `SPEAKER_00` | the same | `a spk_0` |
//! | `Ana`, `P1` | the same | the same |
//!
//! Labels of services mean other people in each file, so that their names begin with the file's.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use crate::formats::record::normal;
use crate::speakers;

/// The speakers of a file.
#[derive(Debug)]
pub(crate) struct People<'a> {
    /// The name of a speaker whom the file does not name.
    pub(crate) person: &'a str,
    /// Whether the recording has several channels, each with a speaker.
    pub(crate) has_channels: bool,
    /// Whether single letters are speakers: the file has at least `A` and `B`, and no letter that leaves a gap.
    has_letters: bool,
    /// Names by numbers and other ids.
    names: HashMap<String, String>,
}

/// The facts of a file about its speakers, before its rows are read.
#[derive(Debug, Default)]
pub(crate) struct Census {
    channels: BTreeSet<String>,
    /// Whether a channel is something else than a number, such as `phone`.
    has_other_channels: bool,
    letters: BTreeSet<String>,
    names: HashMap<String, String>,
}

impl Census {
    /// Notes the value of a field.
    pub(crate) fn see(&mut self, key: &str, value: &str) {
        // Most keys of a large file are none of these.
        let first = key.chars().find(|c| c.is_alphanumeric());
        if !first.is_some_and(|c| matches!(c.to_lowercase().next(), Some('c' | 's'))) {
            return;
        }
        let (key, value) = (&*normal(key), value.trim());
        if matches!(key, "channel" | "channellabel" | "channeltag") && !value.is_empty() {
            let number = value.strip_prefix("ch_").unwrap_or(value);
            self.has_other_channels |= !number.bytes().all(|byte| byte.is_ascii_digit());
            self.channels.insert(number.to_owned());
        } else if key.starts_with("speaker") && is_letter(value) {
            self.letters.insert(value.to_owned());
        }
    }

    /// Notes the name of a speaker with this id. The first name counts.
    pub(crate) fn name(&mut self, id: &str, name: &str) {
        self.names.entry(id.trim().to_owned()).or_insert_with(|| name.trim().to_owned());
    }
}

impl<'a> People<'a> {
    /// Creates the speakers of a file that says nothing about them.
    #[cfg(feature = "csv")]
    pub(crate) fn new(person: &'a str) -> Self {
        Self::of(person, Census::default())
    }

    /// Creates the speakers of a file with this census.
    pub(crate) fn of(person: &'a str, census: Census) -> Self {
        let Census { channels, has_other_channels, letters, names } = census;
        let has_letters =
            letters.len() > 1 && letters.iter().zip('A'..='Z').all(|(one, other)| one.starts_with(other));
        Self { person, has_channels: channels.len() > 1 && !has_other_channels, has_letters, names }
    }

    /// Returns the label for the value of a field with a normalised key.
    pub(crate) fn label<'v>(&self, key: &str, value: &str) -> Cow<'v, str> {
        let value = value.trim();
        let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let is_id = is_number || key.ends_with("id") || key == "user";
        Cow::Owned(match self.names.get(value).filter(|_| is_id || key.starts_with("speaker")) {
            Some(name) => name.clone(),
            None if is_number && key.starts_with("channel") => format!("Channel {value}"),
            None if is_number && key.starts_with("speaker") => format!("Speaker {value}"),
            None if self.has_letters && key.starts_with("speaker") && is_letter(value) => {
                format!("Speaker {value}")
            }
            None => value.to_owned(),
        })
    }

    /// Returns the name for a label.
    pub(crate) fn name<'v>(&'v self, label: &'v str) -> Cow<'v, str> {
        if is_of_service(label) {
            Cow::Owned(format!("{} {label}", self.person))
        } else {
            speakers::speaker_of(label, self.person)
        }
    }
}

/// Returns whether a label is a single capital letter.
fn is_letter(label: &str) -> bool {
    label.len() == 1 && label.starts_with(|c: char| c.is_ascii_uppercase())
}

/// Returns whether a label is one that services give: `Speaker 1`, `Speaker A`, `spk_0`, `SPEAKER_00`, `ch_1`.
fn is_of_service(label: &str) -> bool {
    let lower = label.to_ascii_lowercase();
    let behind = ["speaker", "spk", "channel", "ch"].iter().filter_map(|name| lower.strip_prefix(name));
    let is_short = |rest: &str| {
        let code = rest.trim_start_matches(['_', '-', ' ']);
        let is_code = code.len() <= 2 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let is_number = code.bytes().all(|byte| byte.is_ascii_digit());
        !code.is_empty() && (is_number || (is_code && code.len() < rest.len()))
    };
    behind.into_iter().any(is_short)
}
