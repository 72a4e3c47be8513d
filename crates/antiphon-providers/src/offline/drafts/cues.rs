//! Cue phrases that classify a sentence: goal, pain point, behaviour, motivation.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

/// The class of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cue {
    /// Something that the speaker wants.
    Goal,
    /// Something that troubles the speaker.
    Pain,
    /// Something that the speaker usually does.
    Behaviour,
    /// A reason for which the speaker acts.
    Motivation,
}

impl Cue {
    pub(super) const ALL: [Self; 4] = [Self::Goal, Self::Pain, Self::Behaviour, Self::Motivation];

    fn phrases(self) -> &'static [(&'static str, f32)] {
        match self {
            Self::Goal => GOALS,
            Self::Pain => PAINS,
            Self::Behaviour => BEHAVIOURS,
            Self::Motivation => MOTIVATIONS,
        }
    }
}

/// Returns the strength of each of [`Cue::ALL`] in a sentence prepared by [`plain`]; 0 where no phrase of it occurs.
pub(super) fn strengths(sentence: &str) -> [f32; 4] {
    let mut strengths = [0.0_f32; 4];
    let Some(phrases) = &*PHRASES else { return strengths };
    let is_word = |c: char| c.is_alphanumeric() || c == '\'';
    for found in phrases.automaton.find_overlapping_iter(sentence) {
        let Phrase { cue, strength, is_prefix } = phrases.phrases[found.pattern().as_usize()];
        let before = sentence[..found.start()].chars().next_back();
        let after = sentence[found.end()..].chars().next();
        if !before.is_some_and(is_word) && (is_prefix || !after.is_some_and(is_word)) {
            let shown = &mut strengths[cue as usize];
            *shown = shown.max(strength);
        }
    }
    strengths
}

/// All phrases as one automaton: a folder of interviews has up to a million sentences, and each is scanned once.
struct Phrases {
    automaton: AhoCorasick,
    phrases: Vec<Phrase>,
}

/// A phrase of a cue. The strength orders sentences of one cue; a prefix matches any word that begins with it.
#[derive(Clone, Copy)]
struct Phrase {
    cue: Cue,
    strength: f32,
    is_prefix: bool,
}

static PHRASES: LazyLock<Option<Phrases>> = LazyLock::new(|| {
    let listed =
        || Cue::ALL.into_iter().flat_map(|cue| cue.phrases().iter().map(move |phrase| (cue, phrase)));
    let automaton = AhoCorasick::new(listed().map(|(_, (phrase, _))| phrase.trim_end_matches('*')));
    let phrase = |(cue, (phrase, strength)): (Cue, &(&str, f32))| Phrase {
        cue,
        strength: *strength,
        is_prefix: phrase.ends_with('*'),
    };
    Some(Phrases { automaton: automaton.ok()?, phrases: listed().map(phrase).collect() })
});

// The phrases of each cue, with their strength. They match lower-case text with plain apostrophes, as whole words; a phrase
// that ends in `*` matches as a prefix.
#[rustfmt::skip]
const GOALS: &[(&str, f32)] = &[
    ("my goal", 3.0), ("i want", 2.5), ("we want", 2.0), ("i'd love", 2.5), ("i would love", 2.5),
    ("ideally", 2.0), ("i need", 2.0), ("we need", 1.6), ("i'd like", 2.0), ("i would like", 2.0),
    ("i wish", 2.0), ("i hope", 1.5), ("my aim", 2.5), ("my dream", 2.5), ("i'd want", 1.6),
    ("what matters to me", 1.6), ("if i could", 1.2), ("it has to", 1.0), ("would have to", 0.8),
];
#[rustfmt::skip]
const PAINS: &[(&str, f32)] = &[
    ("most frustrating", 3.0), ("frustrat*", 2.2), ("drives me", 2.8), ("i hate", 2.5),
    ("what i hate", 2.8), ("i struggle", 2.5), ("the problem is", 2.4), ("the trouble is", 2.2),
    ("annoy*", 2.0), ("nightmare", 2.0), ("worst", 1.6), ("waste", 1.2), ("wasted", 1.4), ("forget*", 1.2),
    ("forgot*", 1.2), ("it takes me", 1.6), ("takes two hours", 1.4), ("wrong", 1.0), ("lost", 1.0),
    ("worry", 1.4), ("worries", 1.4), ("stress*", 1.4), ("can't", 0.8), ("no idea", 1.0),
    ("never know", 1.2), ("difficult", 1.0), ("too late", 1.2), ("panic", 1.2),
];
#[rustfmt::skip]
const BEHAVIOURS: &[(&str, f32)] = &[
    ("i usually", 2.6), ("i always", 2.6), ("every morning", 2.4), ("every evening", 2.2),
    ("every night", 2.0), ("every monday", 2.2), ("every friday", 2.2), ("every sunday", 2.2),
    ("every week", 1.8), ("every day", 1.8), ("on sundays", 2.2), ("on mondays", 2.2), ("on fridays", 2.2),
    ("on saturdays", 2.2), ("i tend to", 2.4), ("i keep a", 2.2), ("i keep", 1.6), ("normally i", 2.0),
    ("i normally", 2.0), ("i check", 1.4), ("i write", 1.4), ("i ring", 1.4), ("first thing", 1.2),
    ("each morning", 2.0), ("i do the", 1.2),
];
#[rustfmt::skip]
const MOTIVATIONS: &[(&str, f32)] = &[
    ("i care about", 3.0), ("the reason", 2.4), ("because i", 2.0), ("keeps me going", 2.8),
    ("matters to me", 2.2), ("proud", 2.2), ("i like it when", 2.0), ("i enjoy", 2.0), ("i love", 1.8),
    ("that's why i", 2.0), ("it's worth", 1.4), ("i believe", 1.4), ("brought up", 1.2),
];

/// Returns a sentence in lower case, with plain apostrophes and single spaces.
pub(super) fn plain(sentence: &str) -> String {
    let words: Vec<_> = sentence.split_whitespace().collect();
    words.join(" ").replace('’', "'").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::{Cue, plain, strengths};

    fn strength(cue: Cue, sentence: &str) -> f32 {
        strengths(&plain(sentence))[cue as usize]
    }

    #[test]
    fn cues_are_whole_phrases() {
        assert!(strength(Cue::Goal, "And I’d love\nto sleep.") > 2.0);
        assert!(strength(Cue::Pain, "It is frustrating.") > 2.0);
        assert_eq!(strength(Cue::Goal, "Hi wanted men"), 0.0);
        assert_eq!(strength(Cue::Motivation, "I loved it"), 0.0);
    }
}
