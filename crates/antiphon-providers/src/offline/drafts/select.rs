//! The sentences that stand for a group: telling, short enough, unlike each other, and of many voices.

use std::collections::{HashMap, HashSet};

use antiphon_text::{Centroid, Terms};

use super::cues::{Cue, plain, strengths};
use super::speech::{Participant, Sentence};

/// A sentence that could be taken, and what speaks for it.
pub(super) struct Candidate<'a> {
    pub(super) participant: usize,
    pub(super) sentence: Sentence<'a>,
    /// Characters on one line.
    pub(super) length: usize,
    terms: HashSet<u32>,
    cues: [f32; 4],
    telling: f32,
    first_person: bool,
    spent: bool,
}

/// Shorter sentences say little, longer ones several things.
const LENGTHS: std::ops::RangeInclusive<usize> = 18..=260;
/// Two sentences that share this part of their terms say the same.
const SAME: f32 = 0.5;
/// What each sentence already taken from a participant costs the next one of theirs.
const SHARE: f32 = 0.35;

/// The usable sentences of a group: statements of a fitting length.
pub(super) fn candidates<'a>(
    participants: &[Participant<'a>],
    group: &[usize],
    terms: &Terms,
    centre: &Centroid,
) -> Vec<Candidate<'a>> {
    let mut candidates = Vec::new();
    for member in group {
        for sentence in &participants[*member].sentences {
            let text = plain(sentence.source);
            if !LENGTHS.contains(&text.len()) || text.ends_with('?') {
                continue;
            }
            let found: Vec<u32> = terms.of(sentence.source).collect();
            let weight: f32 = found.iter().map(|term| centre[*term as usize]).sum();
            candidates.push(Candidate {
                participant: *member,
                sentence: sentence.clone(),
                length: text.chars().count(),
                cues: strengths(&text),
                first_person: text.split(' ').any(|word| word == "i" || word.starts_with("i'")),
                // The square root keeps long sentences from winning by length alone.
                telling: weight / (found.len().max(3) as f32).sqrt(),
                terms: found.into_iter().collect(),
                spent: false,
            });
        }
    }
    candidates
}

/// Takes the best sentences of a kind, in the order in which they were said; none is taken twice.
pub(super) struct Selection<'c, 'a> {
    candidates: &'c mut [Candidate<'a>],
    shares: HashMap<usize, f32>,
}

impl<'c, 'a> Selection<'c, 'a> {
    pub(super) fn new(candidates: &'c mut [Candidate<'a>]) -> Self {
        Self { candidates, shares: HashMap::new() }
    }

    /// Up to `most` sentences that show `cue` more than any other.
    pub(super) fn with_cue(&mut self, cue: Cue, most: usize) -> Vec<usize> {
        let kind = cue as usize;
        self.take(most, |candidate| {
            let strength = candidate.cues[kind];
            let rival =
                (0..4).filter(|other| *other != kind).map(|other| candidate.cues[other]).fold(0.0, f32::max);
            (strength > 0.0 && strength >= rival).then_some(strength + 4.0 * candidate.telling)
        })
    }

    /// Up to `most` sentences that tell most about the group's subject, whatever their kind.
    pub(super) fn telling(&mut self, most: usize) -> Vec<usize> {
        self.take(most, |candidate| {
            let strength = candidate.cues.iter().copied().fold(0.0, f32::max);
            Some(4.0 * candidate.telling + 0.5 * strength + if candidate.first_person { 0.8 } else { 0.0 })
        })
    }

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

    /// Rules out a sentence that was taken, and with it all that say the same.
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
