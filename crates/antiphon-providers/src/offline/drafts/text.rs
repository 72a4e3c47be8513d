//! Texts of a length, and sentences.

/// A text of so many characters at most; what is cut off is shown to be.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
    }
}

/// A text with a large first letter.
pub(super) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Whether the last word is a short form, behind which a sentence goes on: a title, or a letter by itself.
fn is_shortened(text: &str) -> bool {
    const FORMS: [&str; 10] = ["Dr", "Mr", "Mrs", "Ms", "Prof", "St", "Inc", "Ltd", "No", "vs"];
    let last = text.rsplit([' ', '.', '(']).next().unwrap_or_default();
    FORMS.contains(&last)
        || (last.chars().count() == 1 && last.chars().all(char::is_alphabetic) && last != "I")
}

/// The sentences of a paragraph: each ends with its mark and before a large letter.
pub(super) fn sentences(paragraph: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut from = 0;
    for (at, mark) in paragraph.char_indices() {
        let rest = &paragraph[at + mark.len_utf8()..];
        if !matches!(mark, '.' | '!' | '?') || !rest.starts_with(' ') {
            continue;
        }
        let begins = rest.trim_start().chars().next();
        if mark == '.' && is_shortened(&paragraph[from..at]) {
            continue;
        }
        if begins.is_some_and(|next| !next.is_lowercase()) {
            found.push(paragraph[from..at + mark.len_utf8()].trim().to_owned());
            from = at + mark.len_utf8();
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
    fn a_sentence_ends_before_a_large_letter() {
        assert_eq!(sentences("One e.g. two. Three! Four"), ["One e.g. two.", "Three!", "Four"]);
        assert_eq!(
            sentences("I am Dr. Stein of the U.S. Navy. So am I. Yes"),
            ["I am Dr. Stein of the U.S. Navy.", "So am I.", "Yes"]
        );
    }
}
