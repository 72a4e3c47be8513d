//! The search for the forms of secrets in a text.

use super::needles::Needle;
use super::units::{Unit, escaped, is_invisible, plain};
use super::{Inner, MARK};

/// The end of a text, or more of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// Nothing.
    None,
    /// More of the text may follow.
    Follows,
}

/// The minimum number of characters of a part that counts as the secret, if it is half of it at least.
const MIN_PART: usize = 16;
/// The same, at the end of a text, where a secret may have been cut.
const MIN_CUT: usize = 8;
/// The maximum number of invisible characters between two of a secret.
const MAX_INVISIBLE: usize = 4;

/// The beginning of a text.
enum Seen {
    /// No secret.
    Nothing,
    /// A secret of this length in bytes.
    Secret(usize),
    /// A secret or none: that depends on what follows.
    Open,
}

/// The comparison of a text with a form of a secret.
enum Found {
    /// The text begins with it, in this length of bytes.
    Whole(usize),
    /// The text ends within it, after a number of its characters.
    Begun(usize),
    /// Something else follows after a number of its characters, and a length of bytes.
    Part(usize, usize),
}

impl Inner {
    /// Returns a text without the secrets up to the end of what can be shown, and that end; `None` where nothing was replaced.
    pub(super) fn scan(&self, text: &str, rest: Rest) -> (Option<String>, usize) {
        let mut redacted: Option<String> = None;
        let (mut at, mut copied) = (0, 0);
        let begins = |byte: &u8| !self.by_first_byte[usize::from(*byte)].is_empty();
        let end = loop {
            let Some(next) = text.as_bytes()[at..].iter().position(begins) else { break text.len() };
            at += next;
            match self.look_at(&text[at..], rest) {
                Seen::Open => break at,
                Seen::Secret(length) => {
                    let redacted = redacted.get_or_insert_default();
                    redacted.push_str(&text[copied..at]);
                    redacted.push_str(MARK);
                    at += length;
                    copied = at;
                }
                Seen::Nothing => at += text[at..].chars().next().map_or(1, char::len_utf8),
            }
        };
        if let Some(redacted) = &mut redacted {
            redacted.push_str(&text[copied..end]);
        }
        (redacted, end)
    }

    /// Returns the longest secret with which a text begins.
    fn look_at(&self, text: &str, rest: Rest) -> Seen {
        let mut longest = None;
        let first = text.as_bytes().first().copied().unwrap_or_default();
        for needle in self.by_first_byte[usize::from(first)].iter().map(|position| &self.needles[*position]) {
            let half = needle.chars.len().div_ceil(2);
            let found = match compared(text, needle) {
                Found::Whole(length) => Some(length),
                Found::Begun(_) if rest == Rest::Follows => return Seen::Open,
                Found::Begun(count) if count >= half.max(MIN_CUT) => Some(text.len()),
                Found::Part(count, length) if needle.counts_in_part && count >= half.max(MIN_PART) => {
                    Some(length)
                }
                Found::Begun(_) | Found::Part(..) => None,
            };
            longest = longest.max(found);
        }
        longest.map_or(Seen::Nothing, Seen::Secret)
    }
}

/// Compares the beginning of a text with a form of a secret, in any case.
fn compared(text: &str, needle: &Needle) -> Found {
    let (mut at, mut invisible) = (0, 0);
    let mut wanted = needle.chars.iter().enumerate();
    let Some(mut next) = wanted.next() else { return Found::Part(0, 0) };
    loop {
        let rest = &text[at..];
        let unit = if needle.reads_escapes { escaped(rest) } else { plain(rest) };
        let (c, length) = match unit {
            Unit::Char(c, length) => (c, length),
            Unit::Unfinished => return Found::Begun(next.0),
        };
        if c.eq_ignore_ascii_case(next.1) || (c == '+' && *next.1 == ' ') {
            at += length;
            invisible = 0;
            match wanted.next() {
                Some(following) => next = following,
                None => return Found::Whole(at),
            }
        } else if next.0 > 0 && is_invisible(c) && invisible < MAX_INVISIBLE {
            at += length;
            invisible += 1;
        } else {
            return Found::Part(next.0, at);
        }
    }
}
