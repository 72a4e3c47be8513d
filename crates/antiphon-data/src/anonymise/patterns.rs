//! Patterns of personal data: regular expressions for addresses, accounts, numbers, words and introductions.
//!
//! Telephone numbers need the most rules, since dates, years and amounts are facts of an interview that have to be
//! kept. The `regex` crate guarantees a run time linear in the length of the text, whatever the input.

use std::sync::LazyLock;

use regex::Regex;

use super::names::Names;
use super::{ReplacementLog, Replacements};

/// Compiles a pattern of this file. An invalid one ends the program instead of letting a name through.
#[expect(clippy::expect_used, reason = "each pattern is a literal of this file, and a test compiles it")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern of this file")
}

/// E-mail addresses: a local part, `@` and a host name with a top-level domain of letters, in any script.
static EMAIL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"[\p{L}\p{N}._%+-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*\.\p{L}{2,}"));
/// The name of an account, as in `@ada_b`.
static ACCOUNT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?:^|[^\p{L}\p{N}_@.])(@[\p{L}\p{N}_.]*[\p{L}\p{N}_])"));
/// Digits with the separators of telephone numbers; [`is_phone`] checks how many digits there are.
static PHONE: LazyLock<Regex> =
    LazyLock::new(|| pattern("(?:\\+|\\(\\+?|\\b)\\d[\\d ()./\u{a0}\u{2011}\u{2013}-]{5,22}\\d\\b"));
/// Digits that are no telephone number: dates, years, times, amounts, IP addresses, coordinates.
static NO_PHONE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:\d{1,4}[-/. ]\d{1,2}[-/. ]\d{1,4}|\d{4}[-–/]\d{4}|\d{1,3}(?:[ .]\d{3})+|\d+\.\d+\.\d+\.\d+|\d+\.\d+)$|\d:\d",
    )
});
/// Words of letters, also with combining marks, apostrophes and hyphens; each is looked up in the known names.
static WORD: LazyLock<Regex> = LazyLock::new(|| pattern(r"\p{L}[\p{L}\p{M}'’-]*"));
/// Introductions: a phrase in any case, or a title, before one to three words with a capital letter, which are
/// captured.
static INTRODUCED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?:(?i:my name is|my name['’]s|i am called|i['’]m called|call me)[ \t]+|\b(?:Mr|Mrs|Ms|Miss|Dr|Prof)\.?[ \t]+)(\p{Lu}[\p{L}'’-]+(?:[ \t]+\p{Lu}[\p{L}'’-]+){0,2})",
    )
});

/// Returns the names in introductions, as in "my name is …".
pub(super) fn introduced(text: &str) -> impl Iterator<Item = &str> {
    INTRODUCED.captures_iter(text).filter_map(|found| Some(found.get(1)?.as_str()))
}

/// Adds a replacement for each e-mail address, account, telephone number and name in a text.
///
/// Addresses come first, so that a name within one is replaced with it. Ranges that overlap earlier ones are not added.
pub(super) fn cut(text: &str, names: &Names, cuts: &mut Replacements, found: &mut ReplacementLog<'_>) {
    for place in EMAIL.find_iter(text) {
        cuts.add(place.range(), || found.substitute("email", place.as_str()));
    }
    for place in ACCOUNT.captures_iter(text).filter_map(|found| found.get(1)) {
        cuts.add(place.range(), || found.substitute("account", place.as_str()));
    }
    for place in PHONE.find_iter(text).filter(|place| is_phone(place.as_str())) {
        cuts.add(place.range(), || found.substitute("phone", place.as_str()));
    }
    for place in WORD.find_iter(text) {
        if let Some((name, length)) = names.of(place.as_str()) {
            cuts.add(place.start()..place.start() + length, || found.substitute("name", name));
        }
    }
}

/// Returns whether digits are a telephone number: 7 to 15 of them, with separators between them or a leading `0` or
/// `+`.
fn is_phone(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let is_marked = text.len() > digits || text.starts_with('0');
    (7..=15).contains(&digits) && is_marked && !NO_PHONE.is_match(text)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    #[test]
    fn every_pattern_compiles() {
        let all = [
            &super::EMAIL,
            &super::ACCOUNT,
            &super::PHONE,
            &super::NO_PHONE,
            &super::WORD,
            &super::INTRODUCED,
        ];
        assert!(all.map(LazyLock::force).iter().all(|pattern| !pattern.is_match("")));
    }
}
