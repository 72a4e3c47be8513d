//! The labels of speakers in lines of plain text.
//!
//! | line | label | time | words |
//! |---|---|---|---|
//! | `P1: I bake.` | `P1` | | `I bake.` |
//! | `**Interviewer (I):** Why?` | `Interviewer (I)` | | `Why?` |
//! | `[00:01:02] Anna Lee: So` | `Anna Lee` | `1:02` | `So` |
//! | `Anna Lee (00:01:02): So` | `Anna Lee` | `1:02` | `So` |
//! | `Anna Lee: [00:01:02] So` | `Anna Lee` | `1:02` | `So` |
//! | `Anna Lee  1:02` | `Anna Lee` | `1:02` | on the lines below |
//! | `1:02 Anna Lee` | `Anna Lee` | `1:02` | on the lines below |
//! | `[05/01/2026, 10:30] Anna: So` | `Anna` | `05/01/2026, 10:30` | `So` |
//! | `10:30`, a tab, `Anna`, a tab, `So` | `Anna` | `10:30` | `So` |
//! | `<anna> So` | `anna` | | `So` |
//! | `小林：はい` | `小林` | | `はい` |
//! | `Anna [laughing]: So` | `Anna` | | `So` |
//! | `Sam — Today at 10:15` | `Sam` | `10:15` | on the lines below |

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::columns::{in_columns, in_row};
use super::recent::RecentLabels;
use super::sides::{Side, is_code};
use super::stamp::Stamp;
use super::{date, direction, notice, scripts};

/// A label at the beginning of a line. Whether it is a speaker's depends on the other lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark<'a> {
    /// The label without markup.
    pub(super) label: &'a str,
    /// The time beside it.
    pub(super) time: Option<Cow<'a, str>>,
    /// The byte offset in the line at which the words begin.
    pub(super) words: usize,
    /// The reason why the label is one.
    pub(super) kind: MarkKind,
}

/// The reason why a label is one, which decides how often it has to occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum MarkKind {
    /// A colon, or another separator that is as good.
    Colon,
    /// A time beside a name, which have the line for themselves.
    Time,
    /// A name in small letters before a colon, one in square brackets or before a dash, or one with a time and words
    /// behind it on the line: a label only in a file that is a dialogue from end to end, or if it is known.
    Weak,
    /// A heading or a bold line.
    Heading,
    /// A name that has the first line of a paragraph for itself.
    Alone,
}

impl Mark<'_> {
    /// Returns whether the label is on the line of the words, or beside a time.
    pub(super) fn is_inline(&self) -> bool {
        matches!(self.kind, MarkKind::Colon | MarkKind::Time | MarkKind::Weak)
    }
}

/// The longest label, in characters; in a script without spaces between words a name is far shorter.
const LONGEST: usize = 40;
const LONGEST_UNSPACED: usize = 12;
/// The most words of a name, particles included: `María José de la Cruz`.
const MOST_WORDS: usize = 7;
/// The bytes of a line in which a time behind a label is looked for.
const LABEL_BYTES: usize = 120;
/// Words in names that begin with a small letter.
const PARTICLES: [&str; 36] = [
    "van", "von", "vom", "der", "den", "de", "da", "di", "del", "della", "dela", "dos", "das", "do", "du",
    "la", "le", "el", "al", "bin", "ibn", "ben", "bint", "ter", "ten", "te", "y", "e", "i", "zu", "zum",
    "zur", "af", "av", "und", "and",
];
/// Keys of notes about an interview: never a speaker, however often they occur.
const NO_NAME_KEYS: &str = "date time title note notes nb ps id url uri http https file path link source subject topic \
    duration location place session study project recorded recording transcript transcription language summary agenda \
    example warning todo tags email e-mail phone address version status page chapter section category description \
    keywords datum zeit titel thema dauer ort projekt notiz anmerkung anmerkungen bemerkung fecha hora título titre lieu durée sujet data ora titolo luogo \
    name age gender occupation job goal goals pros cons action actions decision decisions info warn error debug \
    monday tuesday wednesday thursday friday saturday sunday montag dienstag mittwoch donnerstag freitag samstag sonntag \
    дата время тема место 日時 日付 場所 件名 日期 时间 地点 主题";

/// The keys of notes as a set.
static NOTE_KEYS: LazyLock<BTreeSet<&str>> = LazyLock::new(|| NO_NAME_KEYS.split_whitespace().collect());

/// Signs that begin quotations, each with those that end it.
const QUOTES: [(char, &[char]); 12] = [
    ('"', &['"', '”', '“']),
    ('“', &['”', '"', '“']),
    ('”', &['”', '"']),
    ('„', &['“', '”', '"']),
    ('«', &['»']),
    ('»', &['«']),
    ('‹', &['›']),
    ('\'', &['\'', '’']),
    ('‘', &['’', '\'']),
    ('‚', &['‘', '’']),
    ('「', &['」']),
    ('『', &['』']),
];

/// Returns the mark of a line; `None` if it does not begin with a label.
pub(super) fn mark_of(line: &str) -> Option<Mark<'_>> {
    marked(line, &mut RecentLabels::default())
}

/// Returns the mark of a line, whose label may be one of those that were read last.
pub(super) fn marked<'a>(line: &'a str, recent: &mut RecentLabels<'a>) -> Option<Mark<'a>> {
    let rest = line.trim_start_matches(|c| super::is_blank(c) || matches!(c, '>' | '*' | '_' | '•'));
    let rest = rest.strip_prefix("- ").map_or(rest, |rest| rest.trim_start_matches(['*', '_', ' ']));
    if let Some(mark) = in_row(rest) {
        return Some(Mark { words: line.len() - mark.words, ..mark });
    }
    let mut mark = match Stamp::lead(rest) {
        // A notice of a chat of nicknames.
        Some(stamp) if stamp.rest.starts_with("*** ") || stamp.rest.starts_with("-!- ") => return None,
        Some(stamp) => {
            let named = stamp.rest.trim_start_matches(['-', '–', '—', '|', ' ', '\t', '*', '_', ':']);
            let in_chat = || of_chat_line(named).filter(|_| stamp.is_dated);
            let mark = after_label(named, recent).or_else(in_chat);
            let mark = mark.or_else(|| in_columns(named)).or_else(|| alone(named))?;
            Mark { time: Some(mark.time.unwrap_or(stamp.time)), ..mark }
        }
        None => after_label(rest, recent).or_else(|| of_numbered(without_number(rest)?, recent))?,
    };
    // So far the offset counts from the end of the line, whose beginning was stripped.
    mark.words = line.len() - mark.words;
    Some(mark)
}

/// Strips the number of a line or of an item: `12`, `3.`, `4)`.
fn without_number(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = text.len() - rest.len();
    let behind = rest.trim_start_matches(['.', ')']);
    let is_number = (1..=5).contains(&digits) && behind.starts_with([' ', '\t']);
    is_number.then(|| behind.trim_start_matches([' ', '\t', '*', '_']))
}

/// Returns the mark of a text behind a number, whose label may be a column between tabs.
fn of_numbered<'a>(text: &'a str, recent: &mut RecentLabels<'a>) -> Option<Mark<'a>> {
    let column = || in_columns(text).filter(|mark| can_be_label(mark.label));
    after_label(text, recent).or_else(|| Some(Mark { kind: MarkKind::Weak, ..column()? }))
}

/// Returns the mark of a text that begins with a label. Its `words` are the number of bytes from the words to the end.
fn after_label<'a>(text: &'a str, recent: &mut RecentLabels<'a>) -> Option<Mark<'a>> {
    label_at(text, recent).filter(|mark| !is_in_quotation(text, mark))
}

/// Returns the mark of a text that begins with a label, within a quotation or not.
fn label_at<'a>(text: &'a str, recent: &mut RecentLabels<'a>) -> Option<Mark<'a>> {
    let colon = colon_in(text);
    // A picture behind the name is no colon: `Ana :palm_tree:  10:16`.
    if let Some((at, length)) = colon.and_then(|at| Some((at, picture(&text[at..])?)))
        && let Some(stamp) = Stamp::lead(text[at + length..].trim_start())
    {
        return label_with_time(&text[..at], stamp);
    }
    let before_time = time_behind(text, colon.unwrap_or(text.len()));
    match (before_time, colon) {
        (Some((at, stamp)), _) => label_with_time(&text[..at], stamp),
        (None, Some(colon)) => label_with_colon(text, colon, recent)
            .or_else(|| in_angles(text))
            .or_else(|| in_squares(text))
            .or_else(|| numbered(text))
            .or_else(|| scripts::mark_of(text)),
        (None, None) => in_angles(text)
            .or_else(|| in_squares(text))
            .or_else(|| numbered(text))
            .or_else(|| with_dash(text))
            .or_else(|| scripts::mark_of(text)),
    }
}

/// Returns whether a label is within a quotation that its text begins: `"P2: you are late" he said.`
fn is_in_quotation(text: &str, mark: &Mark<'_>) -> bool {
    mark.kind != MarkKind::Heading && begins_quotation(text, text.len().saturating_sub(mark.words))
}

/// Returns whether a text begins a quotation that does not end before a byte offset.
pub(crate) fn begins_quotation(text: &str, offset: usize) -> bool {
    // Most lines begin with a letter.
    let Some(first) = text.chars().next().filter(|first| !first.is_ascii_alphanumeric()) else {
        return false;
    };
    let Some((_, ends)) = QUOTES.iter().find(|(open, _)| *open == first) else { return false };
    let inner = text.trim_start_matches(|c: char| QUOTES.iter().any(|(open, _)| *open == c));
    let before = text.get(text.len() - inner.len()..offset).unwrap_or_default();
    // An apostrophe begins names as well: `'t Hooft`.
    let may_be_name = text.starts_with(['\'', '’', '‘']);
    !before.contains(*ends) && (!may_be_name || inner.contains(*ends))
}

/// Returns the byte offset of the first colon, also of a wide one.
pub(super) fn colon_in(text: &str) -> Option<usize> {
    let is_colon = |at: &usize| text[*at..].starts_with([':', '：', '﹕']);
    // Both wide ones begin with this byte, which only begins characters.
    memchr::memchr2_iter(b':', 0xef, text.as_bytes()).find(is_colon)
}

/// Returns the number of bytes of a picture's name at the beginning of a text, as chats have them behind names:
/// `:palm_tree:`.
fn picture(text: &str) -> Option<usize> {
    let name = text.strip_prefix(':')?.split_once(':')?.0;
    let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+');
    (!name.is_empty() && name.bytes().all(is_sign)).then_some(name.len() + 2)
}

/// Returns the mark of a label with a time behind it: `Anna (0:03): so`, or `Anna 0:03` alone.
fn label_with_time<'a>(label: &'a str, stamp: Stamp<'a>) -> Option<Mark<'a>> {
    let named = date::before(label.trim_end());
    let is_chat = stamp.is_dated || named.len() < label.trim_end().len();
    let label = named.trim_end_matches([' ', '\t', '|', ',', '-', '–', '—', '@', '·', '\u{a0}']);
    let rest = stamp.rest.trim_start_matches(['*', '_', ')']);
    let (words, kind) = match rest.strip_prefix([':', '：']) {
        Some(words) => (words.trim_start_matches(['*', '_']).trim_start(), MarkKind::Colon),
        None if rest.trim().is_empty() || notice::is_mark(rest) => ("", MarkKind::Time),
        // `[민서] [오전 10:01] 네`: in other scripts, logs look the same.
        None if stamp.is_bracketed && label.ends_with(']') && bare(label).ends_with(has_no_case) => {
            (rest.trim_start(), MarkKind::Colon)
        }
        None => (rest.trim_start(), MarkKind::Weak),
    };
    let label = direction::strip(bare(label));
    let is_label =
        can_be_label(label) || (words.is_empty() && (is_inverted(label) || (is_chat && is_sender(label))));
    is_label.then_some(Mark { label, time: Some(stamp.time), words: words.len(), kind })
}

/// Returns whether a text is a surname and a first name behind it, as directories have them: `Lee, Sam`.
fn is_inverted(label: &str) -> bool {
    let name = in_brackets(label).map_or(label, |(outer, _)| outer);
    let is_part = |part: &str| can_be_label(part) && part.split(' ').count() <= 2;
    name.split_once(", ").is_some_and(|(last, first)| is_part(last) && is_part(first))
}

/// Returns whether a text can be the sender of a message: a name of any form, a nickname or a telephone number.
pub(super) fn is_sender(label: &str) -> bool {
    (1..=LONGEST).contains(&label.chars().count())
        && label.split(' ').count() <= 4
        && (label.split(' ').count() == 1 || label.split(' ').all(|word| word.starts_with(begins_name)))
}

/// Returns the mark of a label before a colon at this offset.
fn label_with_colon<'a>(text: &'a str, colon: usize, recent: &mut RecentLabels<'a>) -> Option<Mark<'a>> {
    let (label, rest) = text.split_at(colon);
    let is_wide = !rest.starts_with(':');
    let words = rest[if is_wide { '：'.len_utf8() } else { 1 }..].trim_start_matches(['*', '_']);
    let label = direction::strip(of_chat(bare(label)));
    let is_unspaced = is_wide || label.ends_with(has_no_case) || words.starts_with(has_no_case);
    let has_edge = is_unspaced || words.is_empty() || words.starts_with([' ', '\t', '\u{a0}']);
    let is_certain = || side_of(label).is_some_and(|_| label.chars().count() > 2) || is_code(label);
    if !(has_edge || words.starts_with(char::is_alphabetic) && is_certain()) {
        return None;
    }
    let words = words.trim_start();
    let stamp = Stamp::lead(words).filter(|stamp| stamp.is_bracketed);
    let (time, words) = stamp.map_or((None, words), |stamp| (Some(stamp.time), stamp.rest));
    let kind = recent.kind_of(label)?;
    Some(Mark { label, time, words: words.len(), kind })
}

/// Returns the mark of a line of a chat, behind its date and time: all before the colon is the sender, also a telephone
/// number or a name with other signs.
fn of_chat_line(text: &str) -> Option<Mark<'_>> {
    let text = text.trim_start_matches(['~', ' ', '\u{200e}', '\u{a0}', '\u{202f}']);
    let (label, words) =
        text.split_once(": ").or_else(|| text.split_once(":").filter(|(_, words)| words.is_empty()))?;
    let is_sender = (1..=LONGEST).contains(&label.chars().count())
        && label.split(' ').count() <= 6
        && !notice::is_change_of_group(label);
    let words = words.trim_start().len();
    is_sender.then_some(Mark { label: label.trim(), time: None, words, kind: MarkKind::Colon })
}

/// Returns whether a line is a notice of a chat: a date and a time, and words without a sender.
pub(super) fn is_dated_without_name(line: &str) -> bool {
    let line = line.trim_start_matches([' ', '\u{feff}', '\u{200e}', '\u{200f}']);
    line.starts_with(|c: char| c == '[' || c.is_ascii_digit())
        && Stamp::lead(line).is_some_and(|stamp| stamp.is_dated && !stamp.rest.is_empty())
        && mark_of(line).is_none()
}

/// Returns the mark of a nickname in angle brackets, as chats have them: `<anna> so`.
fn in_angles(text: &str) -> Option<Mark<'_>> {
    let (label, words) = text.strip_prefix('<')?.split_once("> ")?;
    let label = label.trim_start_matches(['@', '+', '~', '&', '%', ' ']);
    let is_nick =
        !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || " _-.'’^[]{}|\\`".contains(c));
    let is_label = is_nick && label.chars().count() <= LONGEST;
    let words = words.trim_start().len();
    is_label.then_some(Mark { label, time: None, words, kind: MarkKind::Colon })
}

/// Returns the mark of a name in square brackets before words: `[Anna] so`. Alone on a line it is no inline label.
fn in_squares(text: &str) -> Option<Mark<'_>> {
    let ends = [('[', "] "), ('(', ") "), ('【', "】")];
    let (_, end) = ends.iter().find(|(open, _)| text.starts_with(*open))?;
    let (label, words) = text.trim_start_matches(['[', '(', '【']).split_once(end)?;
    let words = words.trim_start().len();
    (words > 0 && can_be_label(label)).then_some(Mark { label, time: None, words, kind: MarkKind::Weak })
}

/// Returns the mark of a numbered question or answer: `Q1. Why?`, `A2) So.`
fn numbered(text: &str) -> Option<Mark<'_>> {
    let (label, words) = text.split_once([' ', '\t'])?;
    let label = label.strip_suffix(['.', ')'])?;
    let is_numbered = label.starts_with(['Q', 'A'])
        && is_code(label)
        && label[1..].starts_with(|c: char| c.is_ascii_digit());
    is_numbered.then_some(Mark { label, time: None, words: words.trim_start().len(), kind: MarkKind::Colon })
}

/// Returns the mark of a label before a dash: `Moderator – Why?`.
fn with_dash(text: &str) -> Option<Mark<'_>> {
    let (at, dash) = [" – ", " — ", " - "].iter().find_map(|dash| Some((text.find(dash)?, dash)))?;
    let label = bare(&text[..at]);
    let words = text[at + dash.len()..].trim_start().len();
    (label.chars().count() > 1 && can_be_label(label)).then_some(Mark {
        label,
        time: None,
        words,
        kind: MarkKind::Weak,
    })
}

/// Returns the name in a chat's label: `Anna` of `From Anna to Everyone`.
fn of_chat(label: &str) -> &str {
    let Some(name) = label.strip_prefix("From ") else { return label };
    let name = name.trim();
    name.split_once(" to ").map_or(name, |(name, _)| name.trim())
}

/// Returns the mark of a name that has the line for itself, behind a time.
fn alone(text: &str) -> Option<Mark<'_>> {
    let label = name_alone(text).or_else(|| Some(bare(text.trim())).filter(|label| is_inverted(label)))?;
    let label = direction::strip(label);
    Some(Mark { label, time: None, words: 0, kind: MarkKind::Time })
}

/// Returns the time behind a label that begins before a byte offset, and the offset at which it begins.
fn time_behind(text: &str, end: usize) -> Option<(usize, Stamp<'_>)> {
    let near = &text[..text.floor_char_boundary(LABEL_BYTES.min(end))];
    // The wide brackets begin with these bytes, which only begin characters.
    let is_start = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'(' | b'[' | b'{' | 0xe3 | 0xef);
    let is_edge = |c: char| c.is_whitespace() || matches!(c, '*' | '_');
    let is_wide = |at: usize| text[at..].starts_with(['（', '【', '［']);
    let starts = near.bytes().enumerate().filter(|(_, byte)| is_start(*byte)).map(|(at, _)| at);
    starts
        .filter(|at| {
            (near[..*at].ends_with(is_edge) || is_wide(*at)) && near[..*at].contains(char::is_alphabetic)
        })
        .find_map(|at| Some((at, Stamp::lead(&text[at..])?)))
}

/// Returns the label of a line that has nothing else: a heading, or a bold line.
pub(super) fn heading_label(line: &str) -> Option<&str> {
    let line = line.trim();
    let text = match line.strip_prefix("**").and_then(|rest| rest.strip_suffix("**")) {
        Some(bold) => bold,
        None if super::is_heading(line) => line.trim_start_matches('#').trim(),
        None => return None,
    };
    let label = direction::strip(bare(text));
    can_be_label(label).then_some(label)
}

/// Returns the name that a line has and nothing else; `None` if it ends like a sentence.
pub(super) fn name_alone(line: &str) -> Option<&str> {
    let label = bare(line.trim());
    let last = label.rsplit(' ').next().unwrap_or_default();
    let is_sentence = line.trim_end().ends_with(['?', '!', ',', ';', '。', '？', '！'])
        || (label.ends_with('.') && last.chars().count() > 3);
    (can_be_label(label) && !is_sentence).then_some(label)
}

/// Strips markup, quotation marks, pictures, brackets around the whole and white space from a label.
pub(super) fn bare(label: &str) -> &str {
    let is_around = |c: char| !(c.is_alphanumeric() || is_mark(c) || "()[]#.".contains(c));
    let label = label.trim_matches(is_around);
    let inner = label.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.filter(|inner| !inner.contains('[')).unwrap_or(label).trim_matches(is_around)
}

/// Returns the side of a label, also if the word for it is in brackets behind a name, or has a name in brackets:
/// `Anna Lee (Interviewer)`, `Moderator (Sam)`.
pub(super) fn side_of(label: &str) -> Option<Side> {
    match in_brackets(label) {
        Some((outer, inner)) => Side::of(outer).or_else(|| Side::of(inner)),
        None => Side::of(label).or_else(|| label.split_once(' ').and_then(|(word, _)| side_of_title(word))),
    }
}

/// Returns the side of a word before a name: `Moderator Sam`. A short form such as `I` is no title.
fn side_of_title(word: &str) -> Option<Side> {
    Side::of(word).filter(|side| *side == Side::Asks && word.chars().count() > 4)
}

/// Splits a label with brackets at its end: `Respondent` and `R1` for `Respondent (R1)` and `Respondent [R1]`.
pub(super) fn in_brackets(label: &str) -> Option<(&str, &str)> {
    let round = || label.strip_suffix(')')?.split_once('(');
    let (outer, inner) = round().or_else(|| label.strip_suffix(']')?.split_once('['))?;
    let (outer, inner) = (outer.trim(), inner.trim());
    (!outer.is_empty() && !inner.is_empty()).then_some((outer, inner))
}

/// Returns whether a text can be a label: up to four words that each begin like a name, with particles between them, or
/// a known label in lower case. At most 40 characters, brackets behind the name not counted.
pub(crate) fn can_be_label(label: &str) -> bool {
    let name = in_brackets(label).map_or(label, |(outer, _)| outer);
    let count = name.chars().count();
    let like_name = |word: &str| word.starts_with(begins_name) || PARTICLES.contains(&word);
    let is_short =
        if name.contains(' ') || !name.chars().any(is_unspaced) { LONGEST } else { LONGEST_UNSPACED };
    (1..=is_short).contains(&count)
        && label.chars().count() <= 2 * LONGEST
        && name.split(' ').filter(|word| !PARTICLES.contains(word)).count() <= 4
        && name.split(' ').nth(MOST_WORDS).is_none()
        && name.starts_with(char::is_alphabetic)
        && label.chars().all(|c| c.is_alphanumeric() || is_mark(c) || " .-_'’()[]#/·・&,".contains(c))
        && !name.contains([',', '&', '/'])
        && !is_note_key(name)
        && (name.split(' ').all(like_name) && !PARTICLES.contains(&name)
            || side_of(label).is_some()
            || is_code(label))
}

/// Returns whether a text can be a name or a label, also one in small letters.
#[cfg(feature = "csv")]
pub(crate) fn can_be_name(text: &str) -> bool {
    can_be_label(text) || is_small_name(text)
}

/// Returns whether a text is one to three words in small letters, as in a chat: `anna`, `anna lee`.
pub(super) fn is_small_name(label: &str) -> bool {
    (2..=30).contains(&label.len())
        && label.starts_with(char::is_lowercase)
        && label.split(' ').count() <= 3
        && label.chars().all(|c| c.is_lowercase() || c.is_numeric() || matches!(c, ' ' | '_' | '.' | '-'))
        && !is_note_key(label)
}

/// Returns whether a label is a key of notes about an interview, such as `Date`.
pub(super) fn is_note_key(label: &str) -> bool {
    NOTE_KEYS.contains(&*label.to_lowercase())
}

/// Returns whether a character can begin a word of a name.
fn begins_name(c: char) -> bool {
    c.is_uppercase() || c.is_numeric() || matches!(c, '(' | '#') || has_no_case(c)
}

/// Returns whether a character is a letter of a script without capitals.
pub(super) fn has_no_case(c: char) -> bool {
    c.is_alphabetic() && !c.is_lowercase() && !c.is_uppercase()
}

/// Returns whether a character belongs to a script that sets no spaces between words: Chinese, Japanese, Thai, Lao,
/// Khmer, Burmese.
pub(super) fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}')
}

/// Returns whether a character is a vowel sign or another mark of a script such as Devanagari, Thai or Arabic, which is
/// a part of a word and no letter.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}'
        | '\u{900}'..='\u{d7f}' | '\u{e31}'..='\u{e4e}' | '\u{200c}' | '\u{200d}')
}
