//! Selection of the sentences that represent a group: informative, short enough, not near duplicates, from many participants.

use std::collections::{HashMap, HashSet};

use antiphon_text::{Centroid, Terms};

use super::cues::{Cue, plain, strengths};
use super::speech::{Participant, Sentence};

/// A sentence that can be selected, with its features.
pub(super) struct Candidate<'a> {
    pub(super) participant: usize,
    pub(super) sentence: Sentence<'a>,
    /// The length in characters, on one line.
    pub(super) length: usize,
    terms: HashSet<u32>,
    cues: [f32; 4],
    telling: f32,
    first_person: bool,
    spent: bool,
}

/// The usable lengths in bytes: shorter sentences have little information, longer ones several statements.
const LENGTHS: std::ops::RangeInclusive<usize> = 18..=260;
/// The Jaccard similarity of the terms from which two sentences count as near duplicates.
const SAME: f32 = 0.5;
/// The penalty on a participant's score for each sentence that was already selected from them.
const SHARE: f32 = 0.35;

/// Returns the usable sentences of a group: statements, not questions, of a fitting length.
pub(super) fn candidates<'a>(
    participants: &[Participant<'a>],
    group: &[usize],
    terms: &Terms,
    centre: &Centroid,
) -> Vec<Candidate<'a>> {
    let mut candidates = Vec::new();
    for member in group {
        let sentences = participants[*member].sentences.iter();
        candidates.extend(sentences.filter_map(|sentence| Candidate::of(*member, sentence, terms, centre)));
    }
    candidates
}

impl<'a> Candidate<'a> {
    /// Computes the features of a sentence; `None` if the sentence is not usable.
    fn of(participant: usize, sentence: &Sentence<'a>, terms: &Terms, centre: &[f32]) -> Option<Self> {
        let text = plain(sentence.source);
        if !LENGTHS.contains(&text.len()) || text.ends_with('?') {
            return None;
        }
        let found: Vec<u32> = terms.of(sentence.source).collect();
        Some(Self {
            participant,
            sentence: sentence.clone(),
            length: text.chars().count(),
            cues: strengths(&text),
            first_person: text.split(' ').any(|word| word == "i" || word.starts_with("i'")),
            telling: typicality(&found, centre),
            terms: found.into_iter().collect(),
            spent: false,
        })
    }
}

/// Returns the weight of a sentence's terms at the centre of its group. The square root keeps long sentences
/// from winning by length alone.
fn typicality(terms: &[u32], centre: &[f32]) -> f32 {
    let weight: f32 = terms.iter().map(|term| centre[*term as usize]).sum();
    weight / (terms.len().max(3) as f32).sqrt()
}

/// A selection of the best sentences of each kind, best first; none is selected twice.
pub(super) struct Selection<'c, 'a> {
    candidates: &'c mut [Candidate<'a>],
    shares: HashMap<usize, f32>,
}

impl<'c, 'a> Selection<'c, 'a> {
    pub(super) fn new(candidates: &'c mut [Candidate<'a>]) -> Self {
        Self { candidates, shares: HashMap::new() }
    }

    /// Selects up to `most` sentences whose strongest cue is `cue`.
    pub(super) fn with_cue(&mut self, cue: Cue, most: usize) -> Vec<usize> {
        let kind = cue as usize;
        self.take(most, |candidate| {
            let strength = candidate.cues[kind];
            let rival =
                (0..4).filter(|other| *other != kind).map(|other| candidate.cues[other]).fold(0.0, f32::max);
            (strength > 0.0 && strength >= rival).then_some(strength + 4.0 * candidate.telling)
        })
    }

    /// Selects up to `most` sentences that are most typical of the group's subject, of any kind.
    pub(super) fn telling(&mut self, most: usize) -> Vec<usize> {
        self.take(most, |candidate| {
            let strength = candidate.cues.iter().copied().fold(0.0, f32::max);
            Some(4.0 * candidate.telling + 0.5 * strength + if candidate.first_person { 0.8 } else { 0.0 })
        })
    }

    /// Selects greedily by score, minus a penalty for participants who were selected before. Equal scores are
    /// ordered by position, so that the selection is deterministic.
    fn take(&mut self, most: usize, score: impl Fn(&Candidate<'a>) -> Option<f32>) -> Vec<usize> {
        let scores: Vec<Option<f32>> = self.candidates.iter().map(score).collect();
        let mut chosen: Vec<usize> = Vec::new();
        while chosen.len() < most {
            let value = |index: usize| {
                let share = self.shares.get(&self.candidates[index].participant).copied().unwrap_or(0.0);
                scores[index].map(|score| score - SHARE * share)
            };
            let best = (0..self.candidates.len())
                .filter(|index| !self.candidates[*index].spent)
                .filter_map(|index| value(index).map(|value| (index, value)))
                .reduce(|best, next| if next.1 > best.1 { next } else { best });
            let Some((best, _)) = best else { break };
            self.spend(best);
            *self.shares.entry(self.candidates[best].participant).or_default() += 1.0;
            chosen.push(best);
        }
        chosen
    }

    /// Excludes a selected sentence and its near duplicates from further selection.
    fn spend(&mut self, taken: usize) {
        let terms = std::mem::take(&mut self.candidates[taken].terms);
        for other in &mut *self.candidates {
            let shared = terms.intersection(&other.terms).count() as f32;
            let all = (terms.len() + other.terms.len()) as f32 - shared;
            other.spent |= all > 0.0 && shared / all >= SAME;
        }
        self.candidates[taken].spent = true;
    }
}
