//! Words that may be names and were kept, for a person to look at.

use std::collections::BTreeMap;

/// A word that may be a person's name and was kept: one that is also a word, one that is similar to a known name, a
/// frequent first name, or a capitalised word directly behind a name.
///
/// The word is part of the result's text, so that its list reveals no more than the result.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct PossibleMiss {
    /// The word as it is written at its first place.
    pub word: String,
    /// The new name of the document of its first place, or `row` for rows.
    pub document: String,
    /// The line of its first place in the source, or the number of the row, from 1.
    pub line: u32,
    /// The number of its occurrences in all documents.
    pub times: usize,
}

/// The possible misses of a run, each word once.
#[derive(Default)]
pub(super) struct Misses {
    found: Vec<PossibleMiss>,
    by_word: BTreeMap<String, usize>,
}

impl Misses {
    /// Adds an occurrence of a word.
    pub(super) fn add(&mut self, word: &str, document: &str, line: u32) {
        if let Some(index) = self.by_word.get(word) {
            self.found[*index].times += 1;
            return;
        }
        self.by_word.insert(word.to_owned(), self.found.len());
        let (word, document) = (word.to_owned(), document.to_owned());
        self.found.push(PossibleMiss { word, document, line, times: 1 });
    }

    /// Returns the words in the order in which they were found.
    pub(super) fn into_list(self) -> Vec<PossibleMiss> {
        self.found
    }
}
