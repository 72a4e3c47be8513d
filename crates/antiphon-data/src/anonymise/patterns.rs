//! Patterns of personal data: regular expressions for addresses, accounts, numbers and introductions.
//!
//! Telephone numbers need the most rules, since dates, years and amounts are facts of an interview that have to be
//! kept. The `regex` crate guarantees a run time linear in the length of the text, whatever the input.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::addresses::addresses;
use super::cards::cards;
use super::common::is_first_name;
use super::kind::Kind;
use super::log::{ReplacementLog, Replacements};
use super::names::{Names, folded};
use super::scan::scan;

/// Compiles a pattern of this module. An invalid one ends the program instead of letting a name through.
#[expect(clippy::expect_used, reason = "each pattern is a literal of this module, and a test compiles it")]
pub(super) fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern of this module")
}

/// E-mail addresses: a local part, `@` and a host name with a top-level domain of letters, in any script.
static EMAIL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"[\p{L}\p{N}._%+-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*\.\p{L}{2,}"));
/// The name of an account, as in `@ada_b`.
static ACCOUNT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?:^|[^\p{L}\p{N}_@.])(@[\p{L}\p{N}_.]*[\p{L}\p{N}_])"));
/// The name of an account in the address of a profile.
static PROFILE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:linkedin\.com/in|xing\.com/profile|facebook\.com|instagram\.com|twitter\.com|x\.com|github\.com|t\.me|tiktok\.com)/(@?[\p{L}\p{N}_.-]*[\p{L}\p{N}_])",
    )
});
/// Digits with the separators of telephone numbers; [`is_phone`] checks how many digits there are.
static PHONE: LazyLock<Regex> =
    LazyLock::new(|| pattern("(?:\\+|\\(\\+?|\\b)\\d[\\d ()./\u{a0}\u{2011}\u{2013}-]{5,22}\\d\\b"));
/// Digits that are no telephone number: dates, years, times, amounts, IP addresses, coordinates.
static NO_PHONE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:\d{1,4}[-/. ]\d{1,2}[-/. ]\d{1,4}|\d{4}[-–/]\d{4}|\d{1,3}(?:[ .]\d{3})+|\d+\.\d+\.\d+\.\d+|\d+\.\d+)$|\d:\d",
    )
});
/// Introductions: a phrase in any case, or a title, before one to four words with a capital letter, which are captured.
static INTRODUCED: LazyLock<Regex> = LazyLock::new(|| {
    let phrases = "my name is|my name['’]s|i am called|i['’]m called|call me|mein name ist|ich heiße|ich heisse|je m['’]appelle|mon nom est|me llamo|mi nombre es|mi chiamo|nazywam się|mam na imię|jmenuji se|jmenuju se|меня зовут|мене звати|jag heter|mijn naam is|ik heet|meu nome é|me chamo|nimeni on|a nevem";
    let titles = "Mr|Mrs|Ms|Miss|Dr|Prof|Herrn?|Frau|Monsieur|Madame|Mme|Mlle|Señora?|Sra?|Pani?";
    pattern(&format!(
        r"(?:\b(?i:{phrases})[ \t]+|\b(?:{titles})\.?[ \t]+(?:Dr\.[ \t]+)?)(\p{{Lu}}[\p{{L}}\p{{M}}'’-]+(?:[ \t]+(?:(?:van|von|de|der|den|del|la|di|da|zu)[ \t]+){{0,2}}\p{{Lu}}[\p{{L}}\p{{M}}'’-]+){{0,3}})"
    ))
});
/// Introductions whose words are a name only if the first is a frequent one: `I'm Anna Keller`, not `I'm Head of Sales`.
static MAYBE_INTRODUCED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\b(?i:i['’]m|i am|this is|it['’]s|ich bin|hier ist|je suis|soy|sono|jestem|jsem|olen|eu sou|ik ben|jag är)[ \t]+(\p{Lu}[\p{L}\p{M}'’-]+(?:[ \t]+\p{Lu}[\p{L}\p{M}'’-]+)?)",
    )
});
/// Introductions in Chinese, Japanese and Korean, where the name has no space behind it.
static INTRODUCED_UNSPACED: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let all = [
        r"(?:我叫|我的名字是|我的名字叫|我名叫)([\p{Han}&&[^我你他她它您大人谁]]\p{Han}{1,3}?)(?:[，。,.!！、；\s]|$)",
        r"(?:(?:私|僕|俺|わたし|ぼく)の名前は|氏名は)[、\s]*((?:\p{Han}|[\p{Katakana}ー・]){2,10}?)(?:です|と申|とい|と言|だ|。|$)",
        r"((?:\p{Han}|[\p{Katakana}ー・]){2,10})と(?:申し|いい|言い)ます",
        r"이름은 (\p{Hangul}{2,4}?)(?:입니다|이에요|예요|이고|이라고|라고|$)",
    ];
    all.iter().map(|text| pattern(text)).collect()
});
/// Lines of a header that name a person: `Interviewer: Sam Lee`, `Teilnehmerin: Anna Keller (34)`.
static HEADED: LazyLock<Regex> = LazyLock::new(|| {
    let roles = "interviewer(?:in)?|moderator(?:in)?|facilitator|researcher|host|participant|respondent|interviewee|name|guest|speaker|customer|client|attendee|present|interviewed by|conducted by|recorded by|transcribed by|transcriber|author|teilnehmer(?:in)?|befragter?|interviewte|kunde|kundin|participante?|entrevistadora?|entrevistado|intervieweu(?:r|se)|enquêteur|nom|nombre|moderadora?|moderat(?:eur|rice)|prowadząc[ya]|uczestni(?:k|czka)|rozmówca|imię|интервьюер|модератор|ведущ(?:ий|ая)|респондент(?:ка)?|участни(?:к|ца)|имя|інтерв['’]юер|учасник|haastattelija|haastateltava|intervjuare|deltagare|deltaker|interviewer|geïnterviewde|deelnemer|intervistator[ei]|intervistat[oa]|partecipante|entrevistadora?|entrevistada|tazatel(?:ka)?|respondentka|kérdező|válaszadó|görüşmeci|katılımcı|聞き手|話し手|インタビュアー|参加者|访谈者|受访者|采访者|主持人|진행자|참가자|응답자";
    let word = r"(?:(?:Dr|Prof|Mr|Mrs|Ms|\p{Lu})\.|\p{Lu}[\p{L}\p{M}'’-]*|\p{Lo}[\p{Lo}\p{M}ー々]*)";
    let name = format!("{word}(?:(?: (?:van|von|de|der|den|del|la|di|da|zu))* {word}){{0,3}}");
    pattern(&format!(
        r"(?im)^[ \t>#*_-]*(?:{roles})(?: ?\d+)?(?: name)?[ *_]*[:：][ \t*_]*((?-i:{name}(?:, {name})?))(?:[ \t*_]*|[ \t]*[(,;–-].*)$"
    ))
});

/// Returns the ranges of the names in introductions, as in "my name is …", in order.
pub(super) fn introduced(text: &str) -> impl Iterator<Item = Range<usize>> {
    let known = INTRODUCED.captures_iter(text).filter_map(|found| Some(found.get(1)?.range()));
    let maybe = MAYBE_INTRODUCED.captures_iter(text).filter_map(|found| Some(found.get(1)?.range()));
    let unspaced = INTRODUCED_UNSPACED.iter().flat_map(|phrase| phrase.captures_iter(text));
    let unspaced = unspaced.filter_map(|found| Some(found.get(1)?.range()));
    let is_name = |range: &Range<usize>| {
        text[range.clone()].split([' ', '\t']).next().is_some_and(|first| is_first_name(&folded(first)))
    };
    let mut ranges: Vec<Range<usize>> = known.chain(maybe.filter(is_name)).chain(unspaced).collect();
    ranges.sort_by_key(|range| range.start);
    ranges.into_iter()
}

/// Returns the ranges of the names in the lines of a header. Words of speech, such as a greeting, are no names.
pub(super) fn headed(header: &str) -> impl Iterator<Item = Range<usize>> {
    const SPEECH: [&str; 22] = [
        "hello", "hi", "hey", "good", "welcome", "thanks", "thank", "ok", "okay", "yes", "no", "well",
        "dear", "hallo", "ja", "nein", "bonjour", "oui", "non", "hola", "sí", "please",
    ];
    let found = HEADED.captures_iter(header).filter_map(|found| Some(found.get(1)?.range()));
    found.filter(|range| {
        let first = header[range.clone()].split([' ', ',']).next().unwrap_or_default();
        !SPEECH.contains(&&*first.to_lowercase())
    })
}

/// Returns the block of `Key: value` lines at the beginning of a text, up to its first empty line; empty if there is none,
/// or if a line of it is speech.
pub(super) fn header_of(text: &str) -> &str {
    /// The bytes at the beginning of a text in which a header is searched.
    const MOST: usize = 4_096;
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        let words = line.trim();
        let is_above = words.is_empty() || words.starts_with('#');
        if is_above && end > 0 && words.is_empty() {
            return &text[..end];
        }
        let is_field = words.split_once([':', '：']).is_some_and(|(key, value)| {
            key.len() <= 40 && value.split_whitespace().count() <= 6 && !value.ends_with(['.', '?', '!'])
        });
        if end > MOST || !(is_field || is_above) {
            return "";
        }
        end += line.len();
    }
    ""
}

/// Adds a replacement for each e-mail address, account, card, postal address, telephone number and name in a text.
/// Returns the ranges of words that may be names and are kept.
///
/// Addresses come first, so that a name within one is replaced with it. Ranges that overlap earlier ones are not added.
pub(super) fn cut(
    text: &str,
    names: &Names,
    cuts: &mut Replacements,
    found: &mut ReplacementLog,
) -> Vec<Range<usize>> {
    for place in EMAIL.find_iter(text) {
        cuts.add(place.range(), || found.substitute(Kind::Email, place.as_str()));
    }
    for place in
        ACCOUNT.captures_iter(text).chain(PROFILE.captures_iter(text)).filter_map(|found| found.get(1))
    {
        cuts.add(place.range(), || found.substitute(Kind::Account, place.as_str()));
    }
    for place in cards(text) {
        cuts.add(place.clone(), || found.substitute(Kind::Card, &text[place]));
    }
    for place in addresses(text) {
        cuts.add(place.clone(), || found.substitute(Kind::Address, &text[place]));
    }
    for place in PHONE.find_iter(text).filter(|place| is_phone(place.as_str())) {
        cuts.add(place.range(), || found.substitute(Kind::Phone, place.as_str()));
    }
    let scanned = scan(text, names);
    for place in scanned.places {
        cuts.add(place.range, || found.substitute(Kind::Name, place.name));
    }
    scanned.misses.into_iter().filter(|range| !cuts.overlaps(range)).collect()
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

    use super::{headed, header_of, introduced};

    #[test]
    fn every_pattern_compiles() {
        let all = [
            &super::EMAIL,
            &super::ACCOUNT,
            &super::PROFILE,
            &super::PHONE,
            &super::NO_PHONE,
            &super::INTRODUCED,
            &super::MAYBE_INTRODUCED,
            &super::HEADED,
        ];
        assert!(all.map(LazyLock::force).iter().all(|pattern| !pattern.is_match("")));
    }

    #[test]
    fn introductions_and_headers_have_names() {
        let text = "My name is Bo Larsson. I'm Anna Keller, I'm Head of Sales. Ich heiße Jan van der Berg. Mrs Abara";
        let found: Vec<&str> = introduced(text).map(|range| &text[range]).collect();
        assert_eq!(found, ["Bo Larsson", "Anna Keller", "Jan van der Berg", "Abara"]);
        let text = "Date: 3 May\n**Interviewer:** Sam Lee\nTeilnehmerin: Anna Keller (34)\nParticipant: It is slow.\nHost: Jo\n";
        let found: Vec<&str> = headed(text).map(|range| &text[range]).collect();
        assert_eq!(found, ["Sam Lee", "Anna Keller", "Jo"]);
        assert_eq!(headed("Interviewer: Hello Anna\nHost: Well, you know.").count(), 0);
        assert_eq!(header_of("# T\nDate: x\nHost: Jo\n\nJo: Yes."), "# T\nDate: x\nHost: Jo\n");
        assert_eq!(header_of("Host: How are you?\nP1: So.\n\nx"), "");
    }
}
