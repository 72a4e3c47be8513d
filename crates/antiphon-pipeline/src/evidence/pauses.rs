//! The marks between the words of a quote and of a passage: those that decide the meaning have to be the same.

use unicode_normalization::UnicodeNormalization;

use super::edges::ends_clause;
use super::matcher::Token;
use super::sense::is_negation;
use super::text::{is_unseen, word};

/// Returns whether each negation of a quote ends a clause where that of the passage does: "No, money" is not "No money",
/// and whether numbers have the same sign between them: "1-5" and "3/4" are not "1.5" and "3.4".
///
/// `texts` and `tokens` are those of the quote and of the turn; `pairs` has the indices of their words.
pub(super) fn pauses_agree(
    texts: [&str; 2],
    tokens: [&[Token]; 2],
    mut pairs: impl Iterator<Item = (usize, usize)>,
) -> bool {
    let ([quoted, text], [mine, said]) = (texts, tokens);
    pairs.all(|(quote, at)| {
        if sign_behind(quoted, mine, quote) != sign_behind(text, said, at) {
            return false;
        }
        let (Some(one), Some(other)) = (behind(quoted, mine, quote), behind(text, said, at)) else {
            return true;
        };
        let are_joined = is_joint(one) && is_joint(other);
        are_joined || ends_clause(one) == ends_clause(other) || !is_negation(&word(said[at].text(text)))
    })
}

/// Returns the text between a word and the next one.
fn behind<'t>(text: &'t str, tokens: &[Token], at: usize) -> Option<&'t str> {
    let (one, next) = tokens.get(at).zip(tokens.get(at + 1))?;
    text.get(one.span.end..next.span.start)
}

/// Returns whether the text between two words is a dash alone, of any kind, as in "no-one".
fn is_joint(between: &str) -> bool {
    let mut marks = between.chars().filter(|c| !is_unseen(*c));
    marks.next().is_some_and(is_dash) && marks.next().is_none()
}

/// Returns whether a character is a dash or a hyphen of any length or width.
pub(super) fn is_dash(c: char) -> bool {
    matches!(c, '-' | '\u{2010}'..='\u{2015}' | '−' | '﹘' | '﹣' | '－')
}

/// Returns the dash or the slash between a number and the next one, as in "1-5"; `None` if there is none.
fn sign_behind(text: &str, tokens: &[Token], at: usize) -> Option<char> {
    let (one, next) = tokens.get(at).zip(tokens.get(at + 1))?;
    let are_digits = [one, next]
        .iter()
        .all(|token| token.text(text).nfkc().next().is_some_and(|first| first.is_ascii_digit()));
    let sign = behind(text, tokens, at)?.trim().chars().next().filter(|_| are_digits)?;
    match sign {
        sign if is_dash(sign) => Some('-'),
        '/' | '⁄' | '／' => Some('/'),
        _ => None,
    }
}
