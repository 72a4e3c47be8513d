//! Truncation of texts, and splitting into sentences.

/// Truncates a text to at most `most` characters, with an ellipsis in place of the rest.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
    }
}

/// Returns a text with a capital first letter.
pub(super) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Returns whether the last word is an abbreviation, after which a sentence continues: a title, or a single letter.
fn is_shortened(text: &str) -> bool {
    const FORMS: [&str; 10] = ["Dr", "Mr", "Mrs", "Ms", "Prof", "St", "Inc", "Ltd", "No", "vs"];
    let last = text.rsplit([' ', '.', '(']).next().unwrap_or_default();
    FORMS.contains(&last)
        || (last.chars().count() == 1 && last.chars().all(char::is_alphabetic) && last != "I")
}

/// Returns whether a sentence ends with the mark between two texts.
fn is_end(before: &str, mark: char, after: &str) -> bool {
    if !matches!(mark, '.' | '!' | '?') || !after.starts_with(' ') {
        return false;
    }
    let is_abbreviation = mark == '.' && is_shortened(before);
    !is_abbreviation && after.trim_start().chars().next().is_some_and(|next| !next.is_lowercase())
}

/// Splits a paragraph into sentences: each ends with a mark that is not followed by a lower-case letter.
pub(super) fn sentences(paragraph: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut from = 0;
    for (at, mark) in paragraph.char_indices() {
        let end = at + mark.len_utf8();
        if is_end(&paragraph[from..at], mark, &paragraph[end..]) {
            found.push(paragraph[from..end].trim().to_owned());
            from = end;
        }
    }
    let last = paragraph[from..].trim();
    if !last.is_empty() {
        found.push(last.to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::sentences;

    #[test]
    fn a_sentence_ends_before_a_capital_letter() {
        assert_eq!(sentences("One e.g. two. Three! Four"), ["One e.g. two.", "Three!", "Four"]);
        assert_eq!(
            sentences("I am Dr. Stein of the U.S. Navy. So am I. Yes"),
            ["I am Dr. Stein of the U.S. Navy.", "So am I.", "Yes"]
        );
    }
}
