use std::borrow::Cow;
#[cfg(any(test, feature = "schema"))]
use std::fmt::Write;

/// Returns a text of at most `max` bytes and a mark: a longer one without its middle, of which the mark has the size.
///
/// Head and tail are cut between two characters. Use it for text of a model or a server that is repeated in a prompt or a message,
/// whose size no one has bounded.
///
/// ```
/// use antiphon_llm::shortened;
/// assert_eq!(shortened("a short text", 100), "a short text");
/// let short = shortened(&"long ".repeat(1_000), 20).into_owned();
/// assert_eq!(short, "long long \n[… 4980 bytes are left out here …]\nlong long ");
/// ```
#[must_use]
pub fn shortened(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        return Cow::Borrowed(text);
    }
    let head = text.floor_char_boundary(max.div_ceil(2));
    let tail = text.ceil_char_boundary(text.len() - (max / 2));
    Cow::Owned(format!("{}{}{}", &text[..head], left_out(tail - head), &text[tail..]))
}

/// Returns the mark of bytes that were left out.
fn left_out(bytes: usize) -> String {
    format!("\n[… {bytes} bytes are left out here …]\n")
}

/// The mark of a line that was shortened.
#[cfg(any(test, feature = "schema"))]
const CUT: &str = "…";

/// The room for the mark of lines that are left out.
#[cfg(any(test, feature = "schema"))]
const MORE: usize = 32;

/// Returns the first lines of a text, each shortened to `max_line` bytes and a mark, of at most `max` bytes together with a mark for
/// the others. A text that was shortened stays as it is.
#[cfg(any(test, feature = "schema"))]
pub(crate) fn first_lines(text: &str, max_line: usize, max: usize) -> String {
    if text.len() <= max && text.lines().all(|line| line.len() <= max_line + CUT.len()) {
        return text.to_owned();
    }
    let max = max.saturating_sub(MORE);
    let mut short = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let end = line.floor_char_boundary(max_line);
        let mark = if end < line.len() { CUT } else { "" };
        if short.len() + end + mark.len() + 1 > max {
            let _ = write!(short, "\n… and {} more", 1 + lines.count());
            return short;
        }
        let separator = if short.is_empty() { "" } else { "\n" };
        let _ = write!(short, "{separator}{}{mark}", &line[..end]);
    }
    short
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{first_lines, shortened};

    #[test]
    fn first_lines_are_shortened_and_the_others_are_counted() {
        assert_eq!(first_lines("a\nb", 10, 100), "a\nb");
        assert_eq!(first_lines("", 10, 100), "");
        assert_eq!(first_lines(&"é".repeat(9), 5, 100), "éé…");
        let short = first_lines(&"line\n".repeat(1_000_000), 20, 44);
        assert_eq!(short, "line\nline\n… and 999998 more");
        assert_eq!(first_lines(&short, 20, 44), short);
        let short = first_lines(&format!("{}\n{}", "é".repeat(19), "x\n".repeat(50)), 20, 60);
        assert_eq!(first_lines(&short, 20, 60), short);
    }

    proptest! {
        #[test]
        fn a_shortened_text_is_bounded_and_keeps_its_ends(text in "\\PC{0,400}", max in 0_usize..200) {
            let short = shortened(&text, max);
            prop_assert!(short.len() <= max.max(text.len().min(max)) + 60);
            if text.len() > max {
                prop_assert!(short.contains(" bytes are left out here …]"));
                prop_assert!(text.starts_with(short.split('\n').next().unwrap_or_default()));
            } else {
                prop_assert_eq!(&*short, &*text);
            }
        }
    }
}
