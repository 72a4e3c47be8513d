//! The words beside a passage: whether the passage was cut so that it says something else than its clause.
//!
//! "I never pay for bread" contains "pay for bread", and "Twenty-five loaves" contains "five loaves". Such a passage has the
//! speaker's words, and is no evidence. The check is conservative: a limiting word right beside the passage, or a negation before it
//! in the same clause, is enough, whether or not it belongs to the quoted words.

use std::ops::Range;

use super::characters::{characters_before, characters_behind};
use super::languages::{GERMAN, LANGUAGES};
use super::matcher::Token;
use super::pauses::is_dash;
use super::sense::{has, is_degree, is_limit, is_negation, is_number};
use super::text::{Script, is_mark, is_unseen, word};
use super::tongues::Tongues;
use super::words;

/// Number of words beside a passage in which a negation or a limiting word reaches into it, whatever is between them.
const REACH: usize = 2;
/// Number of words in which a negation reaches into a passage of its own clause.
const FAR: usize = 10;
/// Number of words that are passed at most for each word of a reach: opinions, links and words that begin complements do not count
/// as distance, and a long turn may have any number of them.
const STEPS: usize = 6;
/// The reach beyond which no more words are passed, so that the time for one passage is bounded.
const MOST_STEPPED: usize = 4;
/// Number of words behind a passage in which a negation at the end of its clause is looked for.
const LATE_REACH: usize = 12;
/// Number of words behind a passage in which a word such as "wrong" is looked for.
const VERDICT_REACH: usize = 4;

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
    let passage = &text[first.span.start..last.span.end];
    let beside = Beside { text, tokens, tongues: Tongues::of(text, tokens, range.start), range };
    let before = match script(first) {
        Some(script) => characters_before(&text[turn.start..first.span.start], passage, script),
        None => beside.is_denied_before(),
    };
    before
        || match script(last) {
            Some(script) => characters_behind(passage, &text[last.span.end..turn.end], script),
            None => beside.is_denied_behind(),
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

/// The words beside a passage.
struct Beside<'t> {
    text: &'t str,
    tokens: &'t [Token],
    tongues: Tongues,
    /// The indices of the passage's words.
    range: Range<usize>,
}

impl Beside<'_> {
    /// Returns the normalised word at `at`.
    fn said(&self, at: usize) -> String {
        word(self.tokens[at].text(self.text))
    }

    /// Returns the text between the words at `at` and `at + 1`.
    fn between(&self, at: usize) -> &str {
        &self.text[self.tokens[at].span.end..self.tokens[at + 1].span.start]
    }

    /// Returns whether the word at `at` denies.
    fn denies(&self, at: usize) -> bool {
        let said = self.tokens[at].text(self.text);
        let short = word(said);
        (is_negation(&short) || self.tongues.deny(said, &short)) && !is_month(self.text, self.tokens, at)
    }

    /// Returns whether a negation or a limit is before the passage, in the same clause.
    fn is_denied_before(&self) -> bool {
        let first = self.range.start;
        let mut next = self.said(first);
        if first > 0 && (is_degree(&next) && has(words::ONE, &self.said(first - 1)) || self.lacks_case()) {
            return true;
        }
        let (mut distance, mut reach) = (0, FAR);
        for at in (0..first).rev() {
            let between = self.between(at);
            let reaches = !ends_clause(between) || between.trim() == "," && has(words::COMPLEMENTS, &next);
            if !reaches {
                return at + 1 + REACH >= first && self.is_parenthesis(at);
            }
            let is_beside = at + 1 == first;
            if self.is_contrast(&next) {
                return is_beside && has(words::REASONS, &next) && self.denies(at);
            }
            let is_subject = self.begins_clause(at + 1);
            next = self.said(at);
            if is_subject && has(words::JOINS, &next) {
                return false;
            }
            let is_between =
                [words::COMPLEMENTS, words::OPINIONS, words::LINKS].iter().any(|list| has(list, &next));
            distance += usize::from(!is_between);
            let is_local = distance > REACH && has(words::LOCAL, &next);
            let denies = self.denies(at);
            if denies && !is_local
                || distance <= 1 && is_limit(&next)
                || distance <= REACH && self.is_phrase(at)
            {
                return true;
            }
            if is_subject && !is_between && !denies && !has(words::AUXILIARIES, &next) {
                reach = REACH;
            }
            if distance >= reach || at + STEPS * reach.min(MOST_STEPPED) < first {
                return false;
            }
        }
        false
    }

    /// Returns whether the word at `at` is who acts, with which a clause of its own may begin: "I", or "then I".
    fn begins_clause(&self, at: usize) -> bool {
        let is_subject = |at: usize| at < self.tokens.len() && has(words::SUBJECTS, &self.said(at));
        is_subject(at) || self.said(at) == "then" && is_subject(at + 1)
    }

    /// Returns whether a word begins a clause of its own. Italian "but" is French "my".
    fn is_contrast(&self, word: &str) -> bool {
        has(words::CONTRASTS, word) && !(word == "ma" && self.tongues.are_french())
    }

    /// Returns whether the article right before the passage says that its first word is acted upon, and is left out: in German,
    /// "Den Wirt bezahlt Maria" is not "Wirt bezahlt Maria".
    fn lacks_case(&self) -> bool {
        let Some(article) = self.range.start.checked_sub(1) else { return false };
        let is_behind_preposition =
            article > 0 && has(LANGUAGES[GERMAN].prepositions, &self.said(article - 1));
        has("den dem einen einem", &self.said(article))
            && !ends_clause(self.between(article))
            && !is_behind_preposition
            && self.tongues.have_cases()
    }

    /// Returns whether the word at `at` ends a phrase that turns round what follows: "instead of", "used to".
    fn is_phrase(&self, at: usize) -> bool {
        let last = self.said(at);
        let one = at.checked_sub(1).map(|before| self.said(before)).unwrap_or_default();
        has(words::PHRASES, &format!("{one}_{last}"))
            || at + 1 == self.range.start && has(words::PREFIXES, &last) && self.is_joined(at)
    }

    /// Returns whether a hyphen alone joins the words at `at` and `at + 1`.
    fn is_joined(&self, at: usize) -> bool {
        let mut marks = self.between(at).chars();
        marks.next().is_some_and(is_dash) && marks.next().is_none()
    }

    /// Returns whether the comma behind the word at `at` ends a parenthesis that is between a negation and what it denies: "I
    /// would never, whatever they pay, …".
    fn is_parenthesis(&self, at: usize) -> bool {
        let first = self.said(at + 1);
        let is_own = [words::SUBJECTS, words::CONTRASTS, words::JOINS].iter().any(|list| has(list, &first));
        let is_comma = |at: usize| matches!(self.between(at).trim(), "," | "—" | "–" | "-");
        if is_own || !is_comma(at) {
            return false;
        }
        let opening = (0..at).rev().take(FAR).find(|at| ends_clause(self.between(*at)));
        opening.is_some_and(|opening| {
            let clause =
                (0..=opening).rev().take_while(|at| *at == opening || !ends_clause(self.between(*at)));
            let clause: Vec<usize> = clause.collect();
            let denies = |at: &usize| self.denies(*at) && !has(words::LATE, &self.said(*at));
            is_comma(opening) && clause[..clause.len() - 1].iter().take(1 + REACH).any(denies)
        })
    }

    /// Returns whether a negation is behind the passage, in the same clause, or is the answer to the question that the passage is.
    fn is_denied_behind(&self) -> bool {
        let (end, length) = (self.range.end, self.tokens.len());
        let mut is_other_part = false;
        for at in end..(end + LATE_REACH).min(length) {
            let (between, said) = (self.between(at - 1), self.said(at));
            if at == end && between.trim_start().starts_with('?') {
                return self.is_answered_no(at);
            }
            if ends_clause(between) || self.is_contrast(&said) {
                return at == end && said == "not" && self.ends_at(at);
            }
            if has(words::JOINS, &said) {
                if at + 1 < length && self.begins_clause(at + 1) {
                    return false;
                }
                is_other_part = true;
                continue;
            }
            let whole = self.tokens[at].text(self.text);
            let is_late = has(words::LATE, &said) || self.tongues.deny_late(&said);
            if is_other_part {
                if is_late && (self.ends_at(at) || at + 1 < length && self.ends_at(at + 1)) {
                    return true;
                }
                continue;
            }
            let is_copula = at == end + 1 && has(words::COPULAS, &self.said(end));
            let is_beside = (at == end || is_copula) && self.denies(at)
                || at == end && has("free", &said) && self.is_joined(at - 1);
            let is_denying = || has(words::BEHIND, &said) || self.tongues.deny(whole, &said);
            let is_near = at < end + REACH && is_denying() && !is_month(self.text, self.tokens, at);
            if is_beside || is_near || is_late || at < end + VERDICT_REACH && self.is_verdict(at) {
                return true;
            }
        }
        false
    }

    /// Returns whether the clause ends behind the word at `at`.
    fn ends_at(&self, at: usize) -> bool {
        at + 1 == self.tokens.len() || ends_clause(self.between(at))
    }

    /// Returns whether the sentence that begins at `at` is an answer that denies: "No", "I don't think so".
    fn is_answered_no(&self, at: usize) -> bool {
        let end = (at + VERDICT_REACH).min(self.tokens.len());
        (at..end)
            .take_while(|next| *next == at || !ends_clause(self.between(next - 1)))
            .any(|next| self.denies(next))
    }

    /// Returns whether the word at `at` says that what is before it is not so: "is wrong", "is a lie".
    fn is_verdict(&self, at: usize) -> bool {
        let copula = |at: usize| has(words::COPULAS, &self.said(at));
        let is_said = at > self.range.end && copula(at - 1) || at > self.range.end + 1 && copula(at - 2);
        is_said && has(words::VERDICTS, &self.said(at))
    }
}

/// Returns whether a word is the month of May in German or French, and not "never" in Italian: "Im Mai", "en mai".
fn is_month(text: &str, tokens: &[Token], at: usize) -> bool {
    let said = tokens[at].text(text);
    let before = at.checked_sub(1).map(|before| word(tokens[before].text(text)));
    let is_dated =
        before.is_some_and(|before| has("en im in au de seit ab bis", &before) || is_number(&before));
    word(said) == "mai" && (is_dated || (at > 0 && said.starts_with(char::is_uppercase)))
}

/// Returns whether the text between two words ends a clause: by a mark other than a hyphen or an apostrophe, or by an empty line.
pub(super) fn ends_clause(between: &str) -> bool {
    let quotes = |c: char| matches!(c, '"' | '“'..='‟' | '‘'..='‛' | '«' | '»' | '‹' | '›' | '\'' | '´' | '`' | '＂' | '＇' | '*' | '_' | '＊' | '＿');
    let mark = |c: char| {
        !c.is_whitespace() && !is_unseen(c) && !quotes(c) && !is_mark(c) && (!is_dash(c) || c == '—')
    };
    let is_apart = |(at, dash): (usize, &str)| {
        let (before, behind) = (&between[..at], &between[at + dash.len()..]);
        let is_space = |c: Option<char>| c.is_some_and(|c| c.is_whitespace() || is_dash(c));
        is_space(before.chars().next_back()) && is_space(behind.chars().next()) || behind.starts_with(is_dash)
    };
    between.contains(mark)
        || between.matches('\n').count() > 1
        || between.match_indices(is_dash).any(is_apart)
}
