//! Sentences about a model by its name, such as `The model "m" does not exist`.

use super::codes::AFTER_MODEL;

/// The words for what a request names as its model.
const NOUNS: [&str; 3] = ["model", "deployment", "engine"];
/// Words between the noun and the name.
const BEFORE_NAME: [&str; 9] =
    ["_id", "_name", "name", "id", "named", "called", "with", "identifier", "version"];
/// Words between the name and the phrase.
const AFTER_NAME: [&str; 11] =
    ["is", "was", "are", "has", "been", "does", "did", "could", "currently", "either", "already"];
/// Pairs of marks around a name.
const QUOTES: [(&str, &str); 8] = [
    ("\\\"", "\\\""),
    ("\"", "\""),
    ("'", "'"),
    ("`", "`"),
    ("(", ")"),
    ("[", "]"),
    ("<", ">"),
    ("\u{201c}", "\u{201d}"),
];

/// Returns whether a message says of a model that it is missing: the noun, at most one name, and one of [`AFTER_MODEL`]. Where a
/// label says that something is missing, the name alone suffices.
pub(super) fn says_missing(message: &str, is_labelled: bool) -> bool {
    let message = message.to_lowercase();
    NOUNS.iter().any(|noun| {
        message.match_indices(noun).any(|(at, _)| {
            let (before, after) = (&message[..at], &message[at + noun.len()..]);
            is_noun(before, after) && is_missing_after(after, is_labelled)
        })
    })
}

/// Returns whether the noun between two texts is a word, and not a quoted one, which is the name of a field.
fn is_noun(before: &str, after: &str) -> bool {
    let is_inside = before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '-');
    let is_quoted = QUOTES.iter().any(|(open, close)| {
        before.ends_with(open) && after.starts_with(close) && !matches!(*open, "(" | "[" | "<")
    });
    !is_inside && !is_quoted
}

/// Returns whether a text after the noun says that the model is missing.
fn is_missing_after(after: &str, is_labelled: bool) -> bool {
    // The path of a model: `models/m`.
    let after = match after.strip_prefix("s/") {
        Some(path) => path,
        None if after.starts_with(|c: char| c.is_alphanumeric()) => return false,
        None => without(after, &BEFORE_NAME),
    };
    if is_missing(after) {
        return true;
    }
    let Some(rest) = after_name(after) else { return false };
    is_missing(rest) || (is_labelled && rest.trim_matches(is_mark).is_empty())
}

/// Returns whether a text begins with one of the phrases.
fn is_missing(text: &str) -> bool {
    let text = without(text, &AFTER_NAME);
    AFTER_MODEL.iter().any(|phrase| text.starts_with(phrase))
}

/// Returns the text after a name: a quoted one, or one that no word of a language looks like.
fn after_name(text: &str) -> Option<&str> {
    for (open, close) in QUOTES {
        if let Some(quoted) = text.strip_prefix(open) {
            return Some(quoted.split_once(close)?.1);
        }
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let name = name.trim_end_matches(is_mark);
    let is_name = name.chars().count() == 1
        || (name.contains(|c: char| c.is_ascii_digit() || "-/:_@".contains(c)) && !name.ends_with(".json"));
    is_name.then_some(rest)
}

/// Returns a text without punctuation and some words at its beginning.
fn without<'a>(text: &'a str, words: &[&str]) -> &'a str {
    let mut text = text.trim_start_matches(is_mark);
    loop {
        let rest = words.iter().find_map(|word| {
            text.strip_prefix(word)
                .filter(|rest| rest.starts_with(is_mark))
                .map(|rest| rest.trim_start_matches(is_mark))
        });
        match rest {
            Some(rest) => text = rest,
            None => return text,
        }
    }
}

/// Returns whether a character separates words.
fn is_mark(c: char) -> bool {
    c.is_whitespace() || ",:;=.".contains(c)
}
