//! Known names: the words of people's names, and the whole name to which each of them belongs.
//!
//! A text rarely repeats a whole name: `Anna Lee` is later `Anna`, `Ms Lee` or `Anna's`. Therefore each word of a name
//! is known by itself, and all words of one name have the same substitute. A word that two people share, such as a
//! family name, identifies neither, and has another substitute.
//!
//! Words are compared folded: in lower case and without accents, so that `WOJCIK` is found for `Wójcik`.

use std::collections::{BTreeMap, BTreeSet};

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::ReplacementLog;
use crate::speakers;

/// Words of labels that are no person's name, folded: an article, titles, roles, and some days.
const NO_NAMES: [&str; 24] = [
    "dr",
    "mr",
    "mrs",
    "ms",
    "miss",
    "prof",
    "the",
    "manager",
    "owner",
    "lead",
    "head",
    "interviewer",
    "moderator",
    "facilitator",
    "researcher",
    "participant",
    "respondent",
    "speaker",
    "customer",
    "user",
    "monday",
    "friday",
    "saturday",
    "sunday",
];

/// The case-folded words of names, each with the whole name that it belongs to.
pub(super) struct Names {
    /// The whole name, or the word itself if several people share it, by the folded word.
    words: BTreeMap<String, String>,
    /// The words of given names, which match in lower case, too, and in scripts without case.
    given: BTreeSet<String>,
}

impl Names {
    /// Creates the index of `names`, which include the `given` ones.
    ///
    /// Words of given names count in any case; words of other names only if they begin with a capital letter, since
    /// labels such as `Owner of a stall` have ordinary words, too.
    pub(super) fn new(names: &[String], given: &[String]) -> Self {
        let given: BTreeSet<String> = given.iter().flat_map(|name| parts(name)).map(folded).collect();
        let is_name = |word: &&str| word.starts_with(char::is_uppercase) || given.contains(&folded(word));
        let mut owners: BTreeMap<String, Owners> = BTreeMap::new();
        for name in names {
            let words: Vec<&str> = parts(name).filter(is_name).collect();
            for word in &words {
                let owners = owners.entry(folded(word)).or_insert_with(|| Owners::of(word));
                if words.len() > 1 {
                    owners.names.insert(words.join(" "));
                }
            }
        }
        let words = owners.into_iter().map(|(key, owners)| (key, owners.into_name())).collect();
        Self { words, given }
    }

    /// Returns the whole name that a word of a text belongs to, and the number of bytes that are the name: "Anna's" has
    /// four. `None` for other words, and for a word in lower case that is not of a given name, such as `may` for May.
    pub(super) fn of(&self, word: &str) -> Option<(&str, usize)> {
        let stem = ["'s", "’s", "'S", "’S", "'", "’"].iter().find_map(|ending| word.strip_suffix(ending));
        let known = |word: &str| {
            let key = folded(word);
            let may_be = word.starts_with(char::is_uppercase) || self.given.contains(&key);
            self.words.get(&key).filter(|_| may_be).map(String::as_str)
        };
        known(word)
            .map(|name| (name, word.len()))
            .or_else(|| stem.and_then(|stem| Some((known(stem)?, stem.len()))))
            // A part of "Lee-Smith" or of "d'Anna" may be a known name.
            .or_else(|| word.split(['-', '\'', '’']).find_map(known).map(|name| (name, word.len())))
    }

    /// Returns the whole name of a speaker: that of the first word that belongs to one, or else the speaker itself.
    pub(super) fn whole_name<'n>(&'n self, speaker: &'n str) -> &'n str {
        let words = speaker.split(|c: char| !c.is_alphanumeric() && !matches!(c, '-' | '\'' | '’'));
        let whole = words.filter_map(|word| self.of(word)).next();
        whole.map_or(speaker, |(name, _)| name)
    }

    /// Returns the substitute for the speaker of a turn: that of the name, numbered where all names have the same one.
    /// Codes and sides of the interview are no names and are kept. The field is no occurrence in a text, and is not
    /// counted.
    pub(super) fn speaker(&self, speaker: &str, found: &mut ReplacementLog<'_>) -> String {
        if speakers::is_no_speaker(speaker) {
            return speaker.to_owned();
        }
        match found.replacement("name", self.whole_name(speaker)).substitute.as_str() {
            "[name]" => format!("Speaker {}", found.number_of(speaker)),
            substitute => substitute.to_owned(),
        }
    }
}

/// The people whose names have one word in common.
struct Owners {
    /// The word as it was first written.
    word: String,
    /// The whole names of several words that contain the word.
    names: BTreeSet<String>,
}

impl Owners {
    /// Creates the owners of a word, of whom none is known yet.
    fn of(word: &str) -> Self {
        Self { word: word.to_owned(), names: BTreeSet::new() }
    }

    /// Returns the whole name of the only owner, otherwise the word: a word that two people share identifies neither.
    fn into_name(self) -> String {
        match (self.names.len(), self.names.into_iter().next()) {
            (1, Some(name)) => name,
            _ => self.word,
        }
    }
}

/// Returns the words of a name that can identify a person: no titles, no roles and no single letters. Hyphens and
/// apostrophes belong to a word.
fn parts(name: &str) -> impl Iterator<Item = &str> {
    let words = name.split(|c: char| !c.is_alphanumeric() && !matches!(c, '-' | '\'' | '’'));
    words.filter(|word| word.chars().count() > 1 && !NO_NAMES.contains(&&*folded(word)))
}

/// Folds a word: lower case, without accents, and with a straight apostrophe.
fn folded(word: &str) -> String {
    word.nfd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase)
        .map(|c| if c == '’' { '\'' } else { c })
        .collect()
}
