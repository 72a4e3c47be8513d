use std::ops::Range;

/// Finds the `http` and `https` addresses in a text, and returns their byte ranges in order. Punctuation and Markdown around an
/// address are not included.
///
/// ```
/// let text = "See [the wiki](https://a.test/Loom_(weaving)), or HTTPS://b.test/x.";
/// let found: Vec<&str> = antiphon_llm::addresses(text).into_iter().map(|span| &text[span]).collect();
/// assert_eq!(found, ["https://a.test/Loom_(weaving)", "HTTPS://b.test/x"]);
/// ```
#[must_use]
pub fn addresses(text: &str) -> Vec<Range<usize>> {
    let starts: Vec<usize> = text.match_indices("://").filter_map(|(at, _)| scheme(text, at)).collect();
    let mut found: Vec<Range<usize>> = Vec::with_capacity(starts.len());
    for (index, start) in starts.iter().copied().enumerate() {
        let until = starts.get(index + 1).copied().unwrap_or(text.len());
        let end = start + length(&text[start..until]);
        // A scheme alone is not an address.
        if text[start..end].split_once("://").is_some_and(|(_, rest)| !rest.is_empty()) {
            found.push(start..end);
        }
    }
    found
}

/// Returns the position where the scheme before `://` begins, if it is http or https.
fn scheme(text: &str, at: usize) -> Option<usize> {
    let before = &text.as_bytes()[..at];
    let ends_with = |scheme: &[u8]| {
        before.len() >= scheme.len() && before[before.len() - scheme.len()..].eq_ignore_ascii_case(scheme)
    };
    let length = if ends_with(b"https") {
        5
    } else if ends_with(b"http") {
        4
    } else {
        return None;
    };
    Some(at - length)
}

/// Returns the length of the address that `text` begins with.
fn length(text: &str) -> usize {
    let mut open = 0_usize;
    let mut end = text.len();
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' => open += 1,
            ')' | ']' if open > 0 => open -= 1,
            c if c.is_whitespace() || c.is_control() || ENDS.contains(&c) => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    text[..end]
        .trim_end_matches(['.', ',', ';', ':', '!', '?', '*', '_', '\'', '’', '~', '…', '(', '['])
        .len()
}

/// The characters that end an address: quotation marks, unmatched closing brackets, the punctuation of other scripts.
const ENDS: [char; 17] =
    ['<', '>', '"', '“', '”', '«', '»', '`', '|', ')', ']', '。', '，', '、', '）', '」', '》'];

#[cfg(test)]
mod tests {
    use super::addresses;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let found: Vec<&str> = addresses(text).into_iter().map(|span| &text[span]).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn addresses_are_found_without_the_punctuation_around_them() {
        check(
            "a https://a.test/n, <http://b.test> and `https://c.test/x`.",
            &["https://a.test/n", "http://b.test", "https://c.test/x"],
        );
        check("GitHubはhttps://a.test/x。 “https://b.test/q”", &["https://a.test/x", "https://b.test/q"]);
        check(
            "_https://a.test/z_ https://b.test/1,https://c.test/2",
            &["https://a.test/z", "https://b.test/1", "https://c.test/2"],
        );
        check("https:// ftp://a.test http://", &[]);
        check("(https://a.test/(b)) [x](https://c.test)", &["https://a.test/(b)", "https://c.test"]);
    }
}
