//! The replacements of a run: ranges of one text with their substitutes, and the log of all texts.

use std::collections::BTreeMap;
use std::ops::Range;

use super::kind::Kind;
use super::{Anonymiser, Replacement};

/// Ranges of a text with their substitutes; no two overlap. The key is the start of a range, the value its end and
/// substitute.
#[derive(Default)]
pub(super) struct Replacements(BTreeMap<usize, (usize, String)>);

impl Replacements {
    /// Adds a range, unless it is empty or overlaps an earlier one. Only then is the substitute computed, and counted.
    pub(super) fn add(&mut self, range: Range<usize>, substitute: impl FnOnce() -> String) {
        if range.is_empty() || self.overlaps(&range) {
            return;
        }
        self.0.insert(range.start, (range.end, substitute()));
    }

    /// Returns whether a range overlaps one that was added.
    pub(super) fn overlaps(&self, range: &Range<usize>) -> bool {
        let before = self.0.range(..range.end).next_back();
        before.is_some_and(|(_, (end, _))| *end > range.start)
    }

    /// Returns the ranges in ascending order, with their substitutes.
    pub(super) fn in_order(self) -> Vec<(Range<usize>, String)> {
        self.0.into_iter().map(|(start, (end, substitute))| (start..end, substitute)).collect()
    }
}

/// The replacements in all documents so far, by which equal originals get equal substitutes.
pub(super) struct ReplacementLog {
    anonymiser: Anonymiser,
    /// The replacements in the order in which they were found.
    replaced: Vec<Replacement>,
    /// The index in `replaced` of each original, by its kind: an account may have the text of a name.
    by_kind: BTreeMap<Kind, BTreeMap<String, usize>>,
    /// The numbers of speakers whose names were redacted.
    speakers: BTreeMap<String, usize>,
}

impl ReplacementLog {
    /// Creates an empty log.
    pub(super) fn of(anonymiser: &Anonymiser) -> Self {
        let anonymiser = anonymiser.clone();
        Self { anonymiser, replaced: Vec::new(), by_kind: BTreeMap::new(), speakers: BTreeMap::new() }
    }

    /// Returns the number of a speaker, from 1.
    pub(super) fn number_of(&mut self, speaker: &str) -> usize {
        let next = self.speakers.len() + 1;
        *self.speakers.entry(speaker.to_owned()).or_insert(next)
    }

    /// Returns the substitute for an original, and counts the occurrence in a text.
    pub(super) fn substitute(&mut self, kind: Kind, original: &str) -> String {
        let replacement = self.replacement(kind, original);
        replacement.times += 1;
        replacement.substitute.clone()
    }

    /// Returns the replacement of an original; a new one has no occurrence yet.
    pub(super) fn replacement(&mut self, kind: Kind, original: &str) -> &mut Replacement {
        let of_kind = self.by_kind.entry(kind).or_default();
        let at = of_kind.get(original).copied().unwrap_or_else(|| {
            let substitute = self.anonymiser.substitute(kind, original, of_kind.len() + 1);
            of_kind.insert(original.to_owned(), self.replaced.len());
            let kind = kind.name();
            self.replaced.push(Replacement { kind, original: original.to_owned(), substitute, times: 0 });
            self.replaced.len() - 1
        });
        &mut self.replaced[at]
    }

    /// Returns all replacements, in the order in which they were found.
    pub(super) fn into_replaced(self) -> Vec<Replacement> {
        self.replaced
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, ReplacementLog};
    use crate::{Anonymiser, Strategy};

    #[test]
    fn equal_texts_of_two_kinds_have_different_codes() {
        let replaced = |strategy| {
            let given = Anonymiser::new(strategy);
            let mut found = ReplacementLog::of(&given);
            let made = [(Kind::Account, "@ada"), (Kind::Name, "@ada"), (Kind::Account, "@ada")];
            let made = made.map(|(kind, original)| found.substitute(kind, original));
            let counted = found.into_replaced();
            (made, counted.iter().map(|replaced| (replaced.kind, replaced.times)).collect::<Vec<_>>())
        };
        let (made, found) = replaced(Strategy::Hash);
        assert!(
            made[0] == made[2] && made[0].starts_with("account-") && made[1].starts_with("name-"),
            "{made:?}"
        );
        assert_eq!(found, [("account", 2), ("name", 1)]);
        assert_eq!(replaced(Strategy::Redact).0, ["[account]", "[name]", "[account]"]);
    }

    #[test]
    fn every_kind_has_its_own_form_and_no_two_originals_share_one() {
        let all = [Kind::Name, Kind::Email, Kind::Account, Kind::Phone, Kind::Card, Kind::Address];
        let forms = all.map(|kind| kind.invented(7));
        assert_eq!(forms.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len(), "{forms:?}");
        assert_ne!(Kind::Phone.invented(1), Kind::Phone.invented(1_001));
    }
}
