//! Decisions about single words: which of them decide the meaning of a statement, and which two are forms of one word.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::languages::{LANGUAGES, Language};
use super::text::word;
use super::words;

/// A set of normalised words.
type Words = HashSet<String>;

static NEGATIONS: LazyLock<Words> = LazyLock::new(|| set(words::NEGATIONS));
static LIMITS: LazyLock<Words> = LazyLock::new(|| set(words::LIMITS));
static NUMBERS: LazyLock<Words> = LazyLock::new(|| set(words::NUMBERS));
static QUANTITIES: LazyLock<Words> = LazyLock::new(|| set(words::QUANTITIES));
static COMMON: LazyLock<Vec<Words>> =
    LazyLock::new(|| LANGUAGES.iter().map(|language| set(language.common)).collect());

/// Returns the words of a list.
fn set(list: &str) -> Words {
    list.split_whitespace().map(word).collect()
}

/// Returns whether a word denies.
pub(super) fn is_negation(word: &str) -> bool {
    NEGATIONS.contains(word)
}

/// Returns whether a word limits a statement, or only comes near to it.
pub(super) fn is_limit(word: &str) -> bool {
    LIMITS.contains(word)
}

/// Returns whether a word is a number, in digits or in letters.
pub(super) fn is_number(word: &str) -> bool {
    word.chars().any(char::is_numeric) || NUMBERS.contains(word)
}

/// Returns whether a word is a degree, which an article before it changes: "few" and "a few".
pub(super) fn is_degree(word: &str) -> bool {
    has(words::DEGREES, word)
}

/// Returns whether a list of the words module has a word.
pub(super) fn has(list: &str, word: &str) -> bool {
    list.split_whitespace().any(|known| known == word)
}

/// Returns whether a word decides the meaning of a statement, so that no other word is like it.
fn is_decisive(word: &str) -> bool {
    is_negation(word) || is_limit(word) || is_number(word) || QUANTITIES.contains(word)
}

/// Returns the indices of the languages with the most frequent words among `words`: of several, since some words are frequent in
/// more than one language. The index 0 if there is none of any language.
pub(super) fn languages_of(words: &[String]) -> Vec<usize> {
    let known = |common: &Words| words.iter().filter(|word| common.contains(word.as_str())).count();
    let counts: Vec<usize> = COMMON.iter().map(known).collect();
    match counts.iter().max() {
        None | Some(0) => vec![0],
        Some(most) => (0..counts.len()).filter(|language| counts[*language] == *most).collect(),
    }
}

/// Returns whether two different words are one word in two forms or spellings. Never for words that decide the meaning, and never in a
/// language whose endings tell who acts, or deny. The caller checks that not both begin with a capital letter, as names do.
pub(super) fn are_alike(one: &str, other: &str, language: &Language) -> bool {
    if language.endings.is_empty() || is_decisive(one) || is_decisive(other) {
        return false;
    }
    let (short, long) =
        if one.chars().count() <= other.chars().count() { (one, other) } else { (other, one) };
    has_ending(short, long, language) || are_spellings(short, long)
}

/// Minimum number of letters of a stem.
const MIN_STEM: usize = 4;

/// Returns whether the longer word is the shorter one with an ending of the language, as "loaves" is not, but "bakes" is of
/// "bake". Two words that both have an ending are not one: "paying" and "payed" are who acts and who is acted upon.
fn has_ending(short: &str, long: &str, language: &Language) -> bool {
    let stems = [(short, ""), (short.trim_end_matches('e'), "e"), (short.trim_end_matches('y'), "y")];
    stems.iter().any(|(stem, cut)| {
        let Some(ending) = long.strip_prefix(stem).filter(|ending| !ending.is_empty()) else { return false };
        let is_known = |ending: &str| language.endings.split_whitespace().any(|known| known == ending);
        let is_ending = match *cut {
            "" => is_known(ending),
            "e" => short.len() == stem.len() + 1 && ending == "ing" && is_known(ending),
            _ => short.len() == stem.len() + 1 && matches!(ending, "ies" | "ied") && is_known("ing"),
        };
        is_ending && stem.chars().count() >= MIN_STEM
    })
}

/// Minimum number of letters of words that may differ in one letter: short words have too many neighbours.
const MIN_SPELLING: usize = 5;
/// Number of letters at the beginning that must be the same, since prefixes turn words round ("abmelden" and "anmelden").
const SAME_START: usize = 3;

/// Returns whether two words are spellings of one word, with a single letter that differs: "colour" and "color", "organise" and
/// "organize", "tomorrow" and "tomorow", "seperate" and "separate". Any other letter may make another word, such as "month" and
/// "mouth".
fn are_spellings(short: &str, long: &str) -> bool {
    let (short, long): (Vec<char>, Vec<char>) = (short.chars().collect(), long.chars().collect());
    let start = short.iter().zip(&long).take_while(|(one, other)| one == other).count();
    let end = short[start..]
        .iter()
        .rev()
        .zip(long[start..].iter().rev())
        .take_while(|(one, other)| one == other)
        .count();
    let (left, right) = (&short[start..short.len() - end], &long[start..long.len() - end]);
    if short.len() < MIN_SPELLING || start < SAME_START || end == 0 {
        return false;
    }
    match (left, right) {
        ([], ['u']) => long[start - 1] == 'o' && long.get(start + 1) == Some(&'r'),
        ([], [double]) => short.len() > MIN_SPELLING + 1 && is_doubled(&long, start, *double),
        (['s'], ['z']) | (['z'], ['s']) => short.len() > MIN_SPELLING + 1,
        ([one], [other]) => short.len() > 7 && end > 2 && is_vowel(*one) && is_vowel(*other),
        _ => false,
    }
}

/// Returns whether the letter at `at` is a consonant that is written twice.
fn is_doubled(word: &[char], at: usize, letter: char) -> bool {
    let is_next = word.get(at + 1) == Some(&letter) || at > 0 && word[at - 1] == letter;
    is_next && !is_vowel(letter) && letter.is_ascii_alphabetic()
}

/// Returns whether a letter is a vowel without an accent.
fn is_vowel(letter: char) -> bool {
    matches!(letter, 'a' | 'e' | 'i' | 'o' | 'u')
}

#[cfg(test)]
mod tests {
    use super::{LANGUAGES, are_alike, languages_of};
    use crate::evidence::text::words;

    #[track_caller]
    fn check(one: &str, other: &str, language: usize, expected: bool) {
        assert_eq!(are_alike(one, other, &LANGUAGES[language]), expected, "{one} {other}");
        assert_eq!(are_alike(other, one, &LANGUAGES[language]), expected, "{other} {one}");
    }

    #[test]
    fn forms_and_spellings_of_one_word_are_alike() {
        for (one, other) in [
            ("bake", "bakes"),
            ("walk", "walked"),
            ("walk", "walking"),
            ("smile", "smiling"),
            ("worry", "worries"),
            ("colour", "color"),
            ("neighbour", "neighbor"),
            ("organise", "organize"),
            ("separate", "seperate"),
            ("tomorrow", "tomorow"),
        ] {
            check(one, other, 1, true);
        }
        check("zahle", "zahlen", 2, true);
        check("brot", "brote", 2, true);
    }

    #[test]
    fn opposites_numbers_and_neighbours_are_not_alike() {
        for (one, other) in [
            ("fifteen", "fifty"),
            ("sixteen", "sixty"),
            ("able", "unable"),
            ("like", "dislike"),
            ("more", "less"),
            ("employer", "employee"),
            ("month", "mouth"),
            ("morning", "mourning"),
            ("careful", "careless"),
            ("hard", "hardly"),
            ("typical", "atypical"),
            ("increase", "decrease"),
            ("hundred", "hundreds"),
            ("paid", "pay"),
            ("house", "horse"),
            ("called", "calling"),
            ("cant", "can"),
            ("usually", "unusually"),
        ] {
            check(one, other, 1, false);
        }
        for (one, other) in
            [("abmelden", "anmelden"), ("anschalten", "abschalten"), ("wurde", "würde"), ("zahlen", "zählen")]
        {
            check(one, other, 2, false);
        }
        check("geliyorum", "gelmiyorum", 9, false);
        check("входит", "выходит", 8, false);
        check("trabajo", "trabaja", 4, false);
    }

    #[test]
    fn the_language_is_that_of_the_frequent_words() {
        for (text, language) in [
            ("We lose about fifteen loaves a day.", 1),
            ("Ich würde für so etwas im Leben etwas bezahlen.", 2),
            ("Il me faut toujours deux heures, jamais trois.", 3),
            ("Escribo la lista y compro pan por la mañana", 4),
            ("Compro il pane e scrivo la lista ogni mattina", 5),
            ("Eu compro pão de manhã e não vendo", 6),
            ("Piszę listę i kupuję chleb po pracy", 7),
            ("Я пишу список и покупаю хлеб", 8),
            ("Her sabah ekmek alıyorum ve liste yazıyorum", 9),
            ("xyzzy plugh", 0),
        ] {
            assert_eq!(languages_of(&words(text)), [language], "{text}");
        }
    }
}
