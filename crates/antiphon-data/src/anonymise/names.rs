use std::collections::{BTreeMap, BTreeSet};

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::ReplacementLog;
use crate::speakers;

/// Words of labels that are no person's name.
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
    words: BTreeMap<String, String>,
    /// The words of given names, which match in lower case, too, and in scripts without case.
    given: BTreeSet<String>,
}

impl Names {
    pub(super) fn new(names: &[String], given: &[String]) -> Self {
        let parts = |name: &str| -> Vec<String> {
            let parts = name.split(|c: char| !c.is_alphanumeric() && !matches!(c, '-' | '\'' | '’'));
            let is_name = |word: &&str| word.chars().count() > 1 && !NO_NAMES.contains(&&*folded(word));
            parts.filter(is_name).map(str::to_owned).collect()
        };
        let given: BTreeSet<String> =
            given.iter().flat_map(|name| parts(name)).map(|word| folded(&word)).collect();
        let words = |name: &str| -> Vec<String> {
            let is_name =
                |word: &String| word.starts_with(char::is_uppercase) || given.contains(&folded(word));
            parts(name).into_iter().filter(is_name).collect()
        };
        let mut whole: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
        for name in names {
            let parts = words(name);
            for word in &parts {
                let (_, of) = whole.entry(folded(word)).or_insert_with(|| (word.clone(), BTreeSet::new()));
                if parts.len() > 1 {
                    of.insert(parts.join(" "));
                }
            }
        }
        // A word that two people share identifies neither.
        let person =
            |(key, (word, of)): (String, (String, BTreeSet<String>))| match (of.len(), of.into_iter().next())
            {
                (1, Some(name)) => (key, name),
                _ => (key, word),
            };
        let words = whole.into_iter().map(person).collect();
        Self { words, given }
    }

    /// Returns the whole name that a word of a text belongs to, and the number of bytes that are the name: "Anna's" has four.
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

    /// Returns the substitute for a speaker; codes and sides of the interview are no names and are kept.
    pub(super) fn substitute_speaker(&self, speaker: &str, found: &mut ReplacementLog<'_>) -> String {
        if speakers::is_no_speaker(speaker) {
            return speaker.to_owned();
        }
        let words = speaker.split(|c: char| !c.is_alphanumeric() && !matches!(c, '-' | '\'' | '’'));
        let whole = words.filter_map(|word| self.of(word)).next();
        found.substitute("name", whole.map_or(speaker, |(name, _)| name))
    }

    /// Returns the substitute for a speaker as [`substitute_speaker`](Self::substitute_speaker) does, but numbered where all
    /// names have the same one.
    pub(super) fn speaker(&self, speaker: &str, found: &mut ReplacementLog<'_>) -> String {
        let substitute = self.substitute_speaker(speaker, found);
        match substitute.as_str() {
            "[name]" => format!("Speaker {}", found.number_of(speaker)),
            _ => substitute,
        }
    }
}

/// Folds a word: lower case, without accents.
fn folded(word: &str) -> String {
    word.nfd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase)
        .map(|c| if c == '’' { '\'' } else { c })
        .collect()
}
