//! The place of a word in its sentence, by which a name is distinguished from a word that looks the same.

/// Titles before a name, without their dots, folded.
const TITLES: [&str; 24] = [
    "mr", "mrs", "ms", "miss", "dr", "prof", "sir", "madam", "herr", "herrn", "frau", "m", "mme", "mlle",
    "monsieur", "madame", "señor", "señora", "sr", "sra", "pan", "pani", "aunt", "uncle",
];
/// Words before a noun, behind which a capitalised word is no name.
const ARTICLES: [&str; 42] = [
    "the",
    "a",
    "an",
    "every",
    "each",
    "no",
    "this",
    "that",
    "der",
    "die",
    "das",
    "den",
    "dem",
    "des",
    "ein",
    "eine",
    "einen",
    "einem",
    "einer",
    "kein",
    "keine",
    "jeden",
    "jeder",
    "diesen",
    "diesem",
    "letzten",
    "nächsten",
    "im",
    "am",
    "vom",
    "zum",
    "zur",
    "beim",
    "ins",
    "le",
    "la",
    "les",
    "un",
    "une",
    "el",
    "los",
    "las",
];
/// Words before a month.
const BEFORE_MONTHS: [&str; 20] = [
    "in", "since", "until", "till", "last", "next", "this", "early", "late", "mid", "by", "during", "every",
    "of", "im", "seit", "bis", "ab", "ende", "anfang",
];
/// Words behind a name that begins a sentence: people say, ask and think.
const ACTS: [&str; 32] = [
    "said",
    "says",
    "asked",
    "asks",
    "told",
    "tells",
    "thinks",
    "thought",
    "wants",
    "wanted",
    "explained",
    "replied",
    "answered",
    "laughed",
    "nodded",
    "knows",
    "knew",
    "called",
    "calls",
    "wrote",
    "writes",
    "sagt",
    "sagte",
    "fragt",
    "fragte",
    "meint",
    "meinte",
    "dit",
    "dice",
    "dijo",
    "mówi",
    "powiedział",
];

/// Returns whether a word that begins at an offset is the first one of its sentence, where a capital letter shows nothing.
pub(super) fn starts_sentence(text: &str, at: usize) -> bool {
    let before = text[..at].trim_end_matches([' ', '\t', '\u{a0}', '*', '_', '(', '[']);
    match before.chars().next_back() {
        None => true,
        Some('.' | '!' | '?' | '…' | ':' | '"' | '“' | '„' | '«' | '¿' | '¡' | '‘') => true,
        Some('\n') => starts_paragraph(before),
        Some('-' | '–' | '—' | '•' | '>' | '#' | '|') => {
            let mark = before.trim_end_matches(['-', '–', '—', '•', '>', '#', '|', ' ']);
            mark.is_empty() || mark.ends_with('\n')
        }
        Some(_) => false,
    }
}

/// Returns whether a line is the first of a paragraph or of a sentence, and not the rest of a line that was wrapped.
fn starts_paragraph(before: &str) -> bool {
    let line = before.strip_suffix('\n').unwrap_or(before).trim_end_matches([' ', '\t', '\r']);
    line.is_empty() || line.ends_with(['\n', '.', '!', '?', '…', ':', '"', '“', '”', ')', '*'])
}

/// Returns the word before an offset, in lower case and without its marks; empty if there is none on the line.
pub(super) fn word_before(text: &str, at: usize) -> String {
    let before = text[..at].trim_end_matches([' ', '\t', '\u{a0}', '.']);
    let is_part = |c: char| c.is_alphanumeric() || c == '\'';
    let start = before
        .char_indices()
        .rev()
        .take_while(|(_, c)| is_part(*c))
        .last()
        .map_or(before.len(), |(at, _)| at);
    before[start..].to_lowercase()
}

/// Returns the word behind an offset, in lower case; empty if a mark follows.
pub(super) fn word_after(text: &str, at: usize) -> String {
    let Some(rest) = text[at..].strip_prefix([' ', '\u{a0}']) else { return String::new() };
    rest.chars().take_while(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Returns whether a word is a title before a name.
pub(super) fn is_title(word: &str) -> bool {
    TITLES.contains(&word)
}

/// Returns whether a word is an article, or another one that nouns follow.
pub(super) fn is_article(word: &str) -> bool {
    ARTICLES.contains(&word)
}

/// Returns whether the words beside a month show that it is one: `in May`, `5 May`, `May 2024`.
pub(super) fn is_date(before: &str, after: &str) -> bool {
    let is_number = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    BEFORE_MONTHS.contains(&before) || is_number(before) || is_number(after)
}

/// Returns whether a word is what a person does.
pub(super) fn is_act(word: &str) -> bool {
    ACTS.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::starts_sentence;

    #[track_caller]
    fn check(text: &str, expected: bool) {
        assert_eq!(starts_sentence(text, text.rfind("Will").unwrap_or_default()), expected, "{text:?}");
    }

    #[test]
    fn the_beginning_of_a_sentence_is_found() {
        for text in [
            "Will",
            "So. Will",
            "P1: Will",
            "x\n\nWill",
            "Why?\nWill",
            "- Will",
            "he said \"Will",
            "a\n- Will",
        ] {
            check(text, true);
        }
        for text in ["and Will", "then, Will", "I asked\nWill", "a – Will"] {
            check(text, false);
        }
    }
}
