//! The words beside a passage: whether the passage was cut so that it says something else than its clause.
//!
//! "I never pay for bread" contains "pay for bread", and "Twenty-five loaves" contains "five loaves". Such a passage has the
//! speaker's words, and is no evidence. The check is conservative: a negation or a limiting word right beside the passage, in the
//! same clause, is enough, whether or not it belongs to the quoted words.

use std::ops::Range;

use super::matcher::Token;
use super::sense::{has, is_degree, is_limit, is_negation, is_number};
use super::text::{Script, is_unseen, word};
use super::words;

/// Number of words beside a passage in which a negation reaches into it.
const REACH: usize = 2;
/// Number of words behind a passage in which a negation at the end of its clause is looked for.
const LATE_REACH: usize = 6;
/// Number of characters behind a passage in which the verb of its clause is looked for, in languages with the verb last.
const VERB: usize = 12;
/// Maximum bytes beside a passage that are looked at, in scripts that are read by characters.
const BESIDE: usize = 120;

/// Returns whether the passage of `tokens[range]` leaves out a negation, a limiting word or a part of a number beside it. `text` is
/// that of the turn or longer; `turn` is the turn's byte range.
pub(super) fn is_cut(text: &str, turn: &Range<usize>, tokens: &[Token], range: Range<usize>) -> bool {
    let Some((first, last)) = tokens.get(range.start).zip(tokens.get(range.end.wrapping_sub(1))) else {
        return false;
    };
    if splits_number(text, tokens, range.start) || splits_number(text, tokens, range.end) {
        return true;
    }
    let script = |token: &Token| text[token.span.clone()].chars().next().and_then(Script::of);
    let before = match script(first) {
        Some(script) => characters_before(&text[turn.start..first.span.start], script),
        None => words_before(text, tokens, range.start),
    };
    before
        || match script(last) {
            Some(script) => characters_behind(&text[last.span.end..turn.end], script),
            None => words_behind(text, tokens, range.end),
        }
}

/// Returns whether a number continues over the boundary before `tokens[at]`: "twenty | five", "1. | 5", "三十 | 五".
fn splits_number(text: &str, tokens: &[Token], at: usize) -> bool {
    let Some((left, right)) = at.checked_sub(1).and_then(|before| tokens.get(before)).zip(tokens.get(at))
    else {
        return false;
    };
    let is_part = |token: &Token| {
        let said = token.text(text);
        // Turkish numbers that are frequent words of other languages.
        let is_word = matches!(&*word(said), "on" | "bin" | "sei");
        is_number(&word(said)) && !is_word || words::DIGITS.contains(said)
    };
    let between = &text[left.span.end..right.span.start];
    let is_joined = between.trim().is_empty() || !between.contains(char::is_whitespace) && between.len() < 4;
    is_joined && is_part(left) && is_part(right)
}

/// Returns whether a negation or a limit is before the passage that begins at `tokens[first]`, in the same clause.
fn words_before(text: &str, tokens: &[Token], first: usize) -> bool {
    let said = |at: usize| word(tokens[at].text(text));
    let mut next = said(first);
    if first > 0 && is_degree(&next) && has(words::ONE, &said(first - 1)) {
        return true;
    }
    let mut distance = 0;
    for at in (0..first).rev() {
        let between = &text[tokens[at].span.end..tokens[at + 1].span.start];
        let reaches = !ends_clause(between) || between.trim() == "," && has(words::COMPLEMENTS, &next);
        if has(words::CONTRASTS, &next) || !reaches {
            return false;
        }
        next = said(at);
        let is_between =
            [words::COMPLEMENTS, words::OPINIONS, words::LINKS].iter().any(|list| has(list, &next));
        distance += usize::from(!is_between);
        let denies = is_negation(&next) && !is_month(text, tokens, at);
        if denies || distance <= 1 && is_limit(&next) {
            return true;
        }
        if distance >= REACH || at + 6 * REACH < first {
            return false;
        }
    }
    false
}

/// Returns whether a word is the month of May in German or French, and not "never" in Italian: "Im Mai", "en mai".
fn is_month(text: &str, tokens: &[Token], at: usize) -> bool {
    let said = tokens[at].text(text);
    let before = at.checked_sub(1).map(|before| word(tokens[before].text(text)));
    let is_dated =
        before.is_some_and(|before| has("en im in au de seit ab bis", &before) || is_number(&before));
    word(said) == "mai" && (is_dated || (at > 0 && said.starts_with(char::is_uppercase)))
}

/// Returns whether a negation is behind the passage that ends before `tokens[end]`, in the same clause, or is the answer to the
/// question that the passage is.
fn words_behind(text: &str, tokens: &[Token], end: usize) -> bool {
    for at in end..(end + LATE_REACH).min(tokens.len()) {
        let between = &text[tokens[at - 1].span.end..tokens[at].span.start];
        let said = word(tokens[at].text(text));
        if at == end && between.trim_start().starts_with('?') && is_negation(&said) {
            return true;
        }
        if ends_clause(between) || has(words::CONTRASTS, &said) || has(words::JOINS, &said) {
            return false;
        }
        let is_ending = || words::ENDINGS_BEHIND.split_whitespace().any(|end| said.ends_with(end));
        if at < end + REACH && (has(words::BEHIND, &said) || is_ending()) || has(words::LATE, &said) {
            return true;
        }
    }
    false
}

/// Returns whether the text between two words ends a clause: by a mark other than a hyphen or an apostrophe, or by an empty line.
pub(super) fn ends_clause(between: &str) -> bool {
    let mark = |c: char| {
        !c.is_whitespace()
            && !is_unseen(c)
            && !matches!(c, '-' | '‐' | '‑' | '"' | '“' | '”' | '‘' | '’' | '\'' | '*' | '_')
    };
    between.contains(mark)
        || between.matches('\n').count() > 1
        || between.contains(" - ")
        || between.contains("--")
}

/// Returns whether the text before a passage denies or limits it, in a script that is read by characters.
fn characters_before(before: &str, script: Script) -> bool {
    let before = &before[before.ceil_char_boundary(before.len().saturating_sub(BESIDE))..];
    let start = before.rfind(is_clause_mark).map_or(0, |mark| before.ceil_char_boundary(mark + 1));
    let clause = &before[start..];
    let ends = |list: &str| list.split_whitespace().any(|known| clause.trim_end().ends_with(known));
    match script {
        Script::Han | Script::Kana => ends(words::BEFORE_CHARACTERS) && !ends(words::NOT_BEFORE_CHARACTERS),
        Script::Hangul => {
            let last = clause.split_whitespace().next_back().unwrap_or_default();
            has(words::BEFORE_KOREAN, last)
        }
        Script::Thai => !clause.ends_with(char::is_whitespace) && ends(words::BEFORE_THAI),
    }
}

/// Returns whether the text behind a passage denies it, in a script that is read by characters.
fn characters_behind(behind: &str, script: Script) -> bool {
    let behind = &behind[..behind.floor_char_boundary(BESIDE)];
    let is_end = |c: char| is_clause_mark(c) || script == Script::Thai && c.is_whitespace();
    let clause = behind.split(is_end).next().unwrap_or_default();
    let rest: String = clause.chars().filter(|c| !c.is_whitespace() && !is_unseen(*c)).take(VERB).collect();
    let starts = |list: &str| list.split_whitespace().any(|known| rest.starts_with(known));
    let other =
        words::NOT_AFTER_JAPANESE.split_whitespace().fold(rest.clone(), |rest, word| rest.replace(word, ""));
    let contains = |list: &str| list.split_whitespace().any(|known| other.contains(known));
    match script {
        Script::Thai => starts(words::AFTER_THAI),
        Script::Hangul => !starts(words::BREAKS_KOREAN) && contains(words::AFTER_KOREAN),
        Script::Han | Script::Kana => {
            starts(words::AFTER_CHINESE) || !starts(words::BREAKS_JAPANESE) && contains(words::AFTER_JAPANESE)
        }
    }
}

/// Returns whether a character ends a clause, in full or half width.
fn is_clause_mark(c: char) -> bool {
    matches!(
        c,
        '.' | ','
            | ';'
            | ':'
            | '!'
            | '?'
            | '…'
            | '—'
            | '–'
            | '('
            | ')'
            | '、'
            | '。'
            | '，'
            | '；'
            | '：'
            | '！'
            | '？'
            | '．'
            | '（'
            | '）'
            | '「'
            | '」'
    )
}
