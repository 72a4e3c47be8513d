use antiphon_data::Document;
use proptest::prelude::*;

use super::{Found, Missing, Wanted, passage, verify};
use crate::persona::Match;

mod cases;
mod more_true;
mod pairs;
mod planted;
mod reach;
mod true_quotes;
mod turned;

fn documents() -> Vec<Document> {
    let one = "Interviewer: So you read the heavens like an old sailor?\n\n\
               P1: I don’t trust\nthe forecast — I pay £9 a tray, and “never” more. It costs me two hours every week.\n";
    let two = "Interviewer: Why?\n\nP2: Because the café opens at six and I am the one with the key.\n";
    [("one.txt", one), ("two.txt", two)]
        .map(|(name, text)| Document::parse(name, text.as_bytes()).unwrap())
        .into()
}

/// Looks up words with the document `hint`, and compares the document, the kind of match and the passage that was found.
#[track_caller]
fn check(words: &str, hint: Option<usize>, expected: Result<(usize, Match, &str), Missing>) {
    let documents = documents();
    let found = verify(&[Wanted { words: words.to_owned(), document: hint }], &documents).remove(0);
    let found = found.map(|Found { document, start, end, matched, .. }| {
        (document, matched, passage(&documents[document], start, end))
    });
    let found = found.map_err(|unfound| unfound.missing);
    let expected = expected.map(|(document, matched, text)| (document, matched, text.to_owned()));
    assert_eq!(found, expected, "{words}");
}

#[test]
fn verbatim_words_are_exact_across_wrapped_lines() {
    check("I don’t trust the forecast", Some(0), Ok((0, Match::Exact, "I don’t trust the forecast")));
    check("\"I pay £9 a tray\"", Some(0), Ok((0, Match::Exact, "I pay £9 a tray")));
    // Models put the speaker's name before a quote, as transcripts do.
    check("P1: I don’t trust the forecast", None, Ok((0, Match::Exact, "I don’t trust the forecast")));
    check("Interviewer: So you read the heavens", None, Err(Missing::Interviewer));
    check("£9 a tray", None, Ok((0, Match::Exact, "£9 a tray")));
}

#[test]
fn case_apostrophes_and_unicode_forms_are_normalised() {
    check("i dont trust the forecast", Some(0), Ok((0, Match::Normalised, "I don’t trust the forecast")));
    check("the cafe\u{301} opens at six", None, Ok((1, Match::Normalised, "the café opens at six")));
    check("and 'never' more", None, Ok((0, Match::Normalised, "and “never” more.")));
}

#[test]
fn a_fuzzy_match_allows_fillers_articles_and_forms_and_returns_the_source() {
    check(
        "It costs me, um, two hour every week",
        None,
        Ok((0, Match::Fuzzy, "It costs me two hours every week.")),
    );
    check(
        "Because café opens at the six and I am the one",
        None,
        Ok((1, Match::Fuzzy, "Because the café opens at six and I am the one")),
    );
    check("It costs me two hours every month", None, Err(Missing::Nowhere));
    check("It costs us two hours a month", None, Err(Missing::Nowhere));
    check("It costs me three hours every week", None, Err(Missing::Nowhere));
    check("It never costs me two hours every week", None, Err(Missing::Nowhere));
    check("two hours each week", None, Err(Missing::Nowhere));
    check("the key", None, Err(Missing::TooShort));
}

#[test]
fn the_cited_document_counts() {
    check("Because the café opens at six", Some(1), Ok((1, Match::Exact, "Because the café opens at six")));
    check("Because the café opens at six", Some(0), Err(Missing::Misattributed));
    check("Because the café opens at six", Some(99), Err(Missing::Misattributed));
    let found =
        verify(&[Wanted::new("Because the café opens at six").document(Some(0))], &documents()).remove(0);
    let place = found.unwrap_err().place.unwrap();
    assert_eq!((place.document, place.speaker.as_str()), (1, "P2"));
}

#[test]
fn words_of_the_interviewer_are_not_evidence() {
    check("read the heavens like an old sailor", Some(0), Err(Missing::Interviewer));
    check("I have twelve children and a boat", Some(0), Err(Missing::Nowhere));
    check("…", Some(0), Err(Missing::NoWords));
}

#[test]
fn a_match_never_spans_two_turns() {
    check("Why Because the café", None, Err(Missing::Nowhere));
}

proptest! {
    /// Any run of a participant's words is found exactly, at a place with these words, unless a negation beside it is cut off.
    #[test]
    fn any_spoken_words_are_found(from in 0_usize..20, length in 3_usize..15) {
        let documents = documents();
        let turn = &documents[0].turns[1];
        let words: Vec<&str> = documents[0].words(turn).split_whitespace().collect();
        let (from, to) = (from.min(words.len() - 1), (from + length).min(words.len()));
        let piece = words[from..to].join(" ");
        prop_assume!(piece.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).count() > 2);
        let denies = |word: &&str| word.contains("don’t") || word.contains("never");
        // Words such as "to" and "of" do not keep a negation from what is behind them.
        let beside = [&words[from.saturating_sub(6)..from], &words[to..(to + 2).min(words.len())]].concat();
        match verify(&[Wanted { words: piece.clone(), document: None }], &documents).remove(0) {
            Ok(found) => {
                let bare = |text: &str| text.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
                prop_assert_eq!(found.matched, Match::Exact);
                prop_assert_eq!(bare(&passage(&documents[found.document], found.start, found.end)), bare(&piece));
            }
            Err(unfound) => prop_assert!(unfound.missing == Missing::Cut && beside.iter().any(denies)),
        }
    }
}
