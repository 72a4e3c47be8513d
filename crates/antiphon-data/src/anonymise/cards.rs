//! Numbers of payment cards: 13 to 19 digits in groups, with a valid check digit (the Luhn algorithm of ISO/IEC 7812-1).
//!
//! International account numbers (IBAN, ISO 13616) count as well, by their check digits.
//!
//! Nine of ten other numbers fail the check, so that order numbers and amounts are kept.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::patterns::pattern;

/// A run of digits with single spaces or hyphens between them, long enough for a card.
static DIGITS: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b\d(?:[ \u{a0}\u{202f}-]?\d){12,}\b"));

/// The numbers of digits that cards have.
const LENGTHS: std::ops::RangeInclusive<usize> = 13..=19;

/// A country, two check digits, and letters and digits in groups, long enough for an account number.
static ACCOUNT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\b[A-Za-z]{2}\d{2}(?:[ \u{a0}\u{202f}-]?[A-Za-z0-9]{1,4}){3,8}\b"));

/// The numbers of letters and digits that account numbers have.
const ACCOUNT_LENGTHS: std::ops::RangeInclusive<usize> = 15..=34;

/// Returns the ranges of international account numbers in a text: of each run, the longest beginning with valid check digits.
fn accounts(text: &str) -> impl Iterator<Item = Range<usize>> {
    ACCOUNT.find_iter(text).filter_map(|run| {
        let is_end = |at: usize| {
            let (piece, rest) = run.as_str().split_at(at);
            !rest.starts_with(|c: char| c.is_ascii_alphanumeric()) && is_account(piece)
        };
        let ends = run.as_str().char_indices().map(|(at, c)| at + c.len_utf8());
        let end = ends.filter(|at| is_end(*at)).max()?;
        Some(run.start()..run.start() + end)
    })
}

/// Returns whether letters and digits are an account number: the remainder by 97 is 1, with the first four at the end and
/// letters as numbers from 10.
fn is_account(text: &str) -> bool {
    let signs: Vec<char> = text.chars().filter(char::is_ascii_alphanumeric).collect();
    if !ACCOUNT_LENGTHS.contains(&signs.len()) {
        return false;
    }
    let moved = signs[4..].iter().chain(&signs[..4]);
    let digits = moved.filter_map(|c| c.to_digit(36));
    digits.fold(0, |rest, digit| (rest * if digit > 9 { 100 } else { 10 } + digit) % 97) == 1
}

/// Returns the ranges of card and account numbers in a text, in order.
pub(super) fn cards(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for run in DIGITS.find_iter(text) {
        let groups = groups_of(run.as_str());
        let mut first = 0;
        while first < groups.len() {
            let last = last_of_card(run.as_str(), &groups[first..]);
            if let Some(count) = last {
                found.push(run.start() + groups[first].start..run.start() + groups[first + count - 1].end);
            }
            first += last.unwrap_or(1);
        }
    }
    found.extend(accounts(text));
    found.sort_by_key(|range| range.start);
    found
}

/// Returns the ranges of the groups of digits.
fn groups_of(run: &str) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (at, _) in run.char_indices().filter(|(_, c)| c.is_ascii_digit()) {
        match groups.last_mut() {
            Some(last) if last.end == at => last.end = at + 1,
            _ => groups.push(at..at + 1),
        }
    }
    groups
}

/// Returns the number of groups, from the first one, that are a card number; the longest if there are several.
fn last_of_card(run: &str, groups: &[Range<usize>]) -> Option<usize> {
    let (mut digits, mut found) = (String::new(), None);
    for (count, group) in (1..).zip(groups) {
        digits.push_str(&run[group.clone()]);
        if digits.len() > *LENGTHS.end() {
            break;
        }
        let is_grouped =
            count == 1 || groups[..count - 1].iter().all(|group| (3..=10).contains(&group.len()));
        if LENGTHS.contains(&digits.len()) && is_grouped && is_card(&digits) {
            found = Some(count);
        }
    }
    found
}

/// Returns whether digits begin as those of a payment card do, and pass the Luhn check.
pub(super) fn is_card(digits: &str) -> bool {
    let begins = digits.starts_with(['3', '4', '5', '6'])
        || ("2221".."2721").contains(&digits.get(..4).unwrap_or_default());
    let sum: u32 = digits
        .bytes()
        .rev()
        .map(|byte| u32::from(byte.wrapping_sub(b'0')))
        .enumerate()
        .map(|(place, digit)| checked(place, digit))
        .sum();
    begins && LENGTHS.contains(&digits.len()) && sum.is_multiple_of(10)
}

/// Returns what a digit adds to the Luhn sum: every second one from the right is doubled.
fn checked(place: usize, digit: u32) -> u32 {
    match place % 2 {
        0 => digit,
        _ if digit > 4 => digit * 2 - 9,
        _ => digit * 2,
    }
}

#[cfg(test)]
mod tests {
    use super::cards;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let found: Vec<&str> = cards(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn cards_are_found_in_every_grouping() {
        check("It is 4111 1111 1111 1111, yes", &["4111 1111 1111 1111"]);
        check("or 5500-0000-0000-0004.", &["5500-0000-0000-0004"]);
        check("4111111111111111 and 3782 822463 10005", &["4111111111111111", "3782 822463 10005"]);
        check("card 4111 1111 1111 1111 12/27", &["4111 1111 1111 1111"]);
        check("on 12 4111 1111 1111 1111 123", &["4111 1111 1111 1111"]);
    }

    #[test]
    fn other_numbers_are_kept() {
        check("order 4111 1111 1111 1112", &[]);
        check("in 2019 2020 2021 2022 we sold 12 500 000", &[]);
        check("1234567812345670", &[]);
        check(&"4".repeat(60), &[]);
    }
}
