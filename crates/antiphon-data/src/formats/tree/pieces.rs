//! Single words with times, as services write them, joined to turns of their speakers.
//!
//! | service's item | word |
//! |---|---|
//! | `{"word": "hi", "punctuated_word": "Hi.", "start": 0.1, "speaker": 0}` | `Hi.` |
//! | `{"type": "pronunciation", "alternatives": [{"content": "Hi"}], "speaker_label": "spk_0"}` | `Hi` |
//! | `{"type": "punctuation", "alternatives": [{"content": "."}]}` | `.`, without a space before it |
//! | `{"type": "text", "value": "Hi", "ts": 0.1}` and `{"type": "punct", "value": " "}` | as they are |
//! | `["hi", 0.1, 0.3]` | `hi` |

use std::borrow::Cow;

use super::walk::Context;
use super::{Node, Nodes, Part};
use crate::formats::clock::{self, Unit};
use crate::formats::people::People;
use crate::formats::record::{Field, Row};

/// Values of `type` that make an item a piece of a turn.
const TYPES: [&str; 9] =
    ["pronunciation", "punctuation", "punct", "text", "word", "spacing", "audio_event", "entity", "unknown"];
/// Normalised keys for a word, in order of preference.
const WORD_KEYS: [&str; 2] = ["punctuatedword", "word"];
/// Normalised keys for the text of an item that is a piece by its type or its list.
const TEXT_KEYS: [&str; 4] = ["value", "content", "text", "token"];
/// Normalised keys of lists whose items are pieces if each has one word.
const LISTS: [&str; 5] = ["words", "tokens", "wordsegments", "displaywords", "elements"];
/// Normalised keys for the speaker of a piece.
const SPEAKER_KEYS: [&str; 6] =
    ["speaker", "speakerlabel", "speakertag", "speakerid", "channellabel", "channeltag"];
/// Normalised keys for the beginning of a piece.
const START_KEYS: [&str; 8] =
    ["start", "starttime", "startms", "startoffset", "ts", "offset", "offsetmilliseconds", "offsetinticks"];

/// A word, or a sign.
struct Piece<'n> {
    text: &'n str,
    line: u32,
    /// The label of the speaker; `None` for that of the piece before it.
    speaker: Option<Cow<'n, str>>,
    time: Option<String>,
    is_mark: bool,
}

/// Returns the turns of a list whose items are all pieces; `None` for any other list.
pub(super) fn join<'n>(
    items: &Nodes<'_, 'n>,
    context: &Context<'n>,
    people: &People<'_>,
) -> Option<Vec<Part<'n>>> {
    let unit = super::walk::unit_of(items.clone()).unwrap_or(context.unit);
    let pieces = items.clone().map(|item| piece(item, context, people, unit));
    let pieces: Vec<Piece<'n>> = pieces.collect::<Option<_>>()?;
    let is_timed = |piece: &Piece<'_>| piece.time.is_some() || piece.speaker.is_some();
    if pieces.is_empty() || !pieces.iter().any(is_timed) {
        return None;
    }
    let words: usize = pieces.iter().map(|piece| piece.text.split_whitespace().count()).sum();
    if words * 2 > pieces.len() * 3 {
        return None;
    }
    // Pieces with their own white space are put together as they are.
    let has_spaces = pieces.iter().any(|piece| piece.text.trim().len() < piece.text.len());
    Some(turns(&pieces, has_spaces, context, people))
}

/// Joins pieces to rows: a new one begins with another speaker.
fn turns<'n>(
    pieces: &[Piece<'n>],
    has_spaces: bool,
    context: &Context<'n>,
    people: &People<'_>,
) -> Vec<Part<'n>> {
    let mut rows: Vec<Row<'n>> = Vec::new();
    let mut text = String::new();
    for piece in pieces {
        let is_other = rows
            .last()
            .is_none_or(|row| piece.speaker.is_some() && row.around.is_some() && piece.speaker != row.around);
        if is_other {
            finish(&mut rows, &mut text);
            let mut row = Row::new(vec![field(piece.line)], Unit::Seconds, people);
            row.around = piece.speaker.clone().or_else(|| context.speaker.clone());
            rows.push(row);
        } else if !has_spaces && is_spaced(&text, piece) {
            text.push(' ');
        }
        if let Some(row) = rows.last_mut() {
            row.around = row.around.take().or_else(|| piece.speaker.clone());
            row.time = row.time.take().or_else(|| piece.time.clone());
        }
        text.push_str(piece.text);
    }
    finish(&mut rows, &mut text);
    rows.into_iter()
        .filter(|row| row.text().is_some_and(|field| !field.text.is_empty()))
        .map(Part::Row)
        .collect()
}

/// Returns the field for the words of a turn that begins on this line. The words are added at its end.
fn field<'n>(line: u32) -> Field<'n> {
    // The placeholder makes the field one for words.
    Field { key: "text", text: "-".into(), line, lines_count: false, is_text: true }
}

/// Gives the last row its words.
fn finish(rows: &mut [Row<'_>], text: &mut String) {
    let words = std::mem::take(text);
    if let Some(field) = rows.last_mut().and_then(|row| row.fields.first_mut()) {
        field.text = Cow::Owned(words.trim().to_owned());
    }
}

/// Returns whether a space belongs before a piece.
fn is_spaced(text: &str, piece: &Piece<'_>) -> bool {
    let is_wide =
        |c: Option<char>| c.is_some_and(|c| c >= '\u{2e80}' && !('\u{ac00}'..='\u{d7a3}').contains(&c));
    let marks = ['.', ',', '!', '?', ';', ':', '…', ')', '%', '’', '。', '、', '，', '？', '！'];
    let is_mark = piece.is_mark || piece.text.starts_with(marks);
    let between_wide = is_wide(text.chars().next_back()) && is_wide(piece.text.chars().next());
    !text.is_empty() && !is_mark && !between_wide && !text.ends_with(['¿', '¡', '('])
}

/// Returns an item as a piece; `None` if it is something else.
fn piece<'n>(
    item: Node<'_, 'n>,
    context: &Context<'n>,
    people: &People<'_>,
    unit: Unit,
) -> Option<Piece<'n>> {
    if item.is_list() && context.key == "timestamps" {
        return of_list(item.items(), context, people);
    }
    let alternative = item.first(&["alternatives"]).and_then(|list| list.items().next());
    let kind = item.first(&["type"]).map(Node::scalar).filter(|kind| TYPES.contains(kind));
    let is_listed = LISTS.contains(&&*context.key);
    let text = match (item.first(&WORD_KEYS), alternative) {
        (Some(word), _) => word,
        (None, Some(alternative)) if kind.is_some() => alternative.first(&TEXT_KEYS)?,
        _ if kind.is_some() || is_listed => item.first(&TEXT_KEYS)?,
        _ => return None,
    };
    let (words, _) = text.text()?;
    let start = item.entries().map(|(key, node)| (super::normal(key), node));
    let start = start.filter(|(key, _)| START_KEYS.contains(&&**key)).min_by_key(|(key, _)| rank(key));
    let speaker = || label(item, people).or_else(|| label(alternative?, people));
    let by_start = || {
        let label = context.labels.as_ref()?.get(start.as_ref()?.1.scalar())?;
        Some(people.label("speaker", label))
    };
    Some(Piece {
        text: words,
        line: item.line(),
        speaker: speaker().or_else(by_start),
        time: start.as_ref().and_then(|(key, node)| time(key, *node, unit)),
        is_mark: matches!(kind, Some("punctuation" | "punct")),
    })
}

/// Returns a piece of the form `["hi", 0.1, 0.3]`.
fn of_list<'n>(mut parts: Nodes<'_, 'n>, context: &Context<'n>, people: &People<'_>) -> Option<Piece<'n>> {
    let (first, start) = (parts.next()?, parts.next()?);
    let (words, _) = first.text()?;
    parts.next().filter(|end| end.is_plain() && parts.next().is_none())?;
    let found = context.labels.as_ref().and_then(|labels| labels.get(start.scalar()));
    let speaker = found.map(|label| people.label("speaker", label));
    Some(Piece {
        text: words,
        line: first.line(),
        speaker,
        time: time("start", start, Unit::Seconds),
        is_mark: false,
    })
}

/// Returns the rank of a key for the beginning.
fn rank(key: &str) -> Option<usize> {
    START_KEYS.iter().position(|known| *known == key)
}

/// Returns the time of a piece. All bare numbers are times of the recording.
fn time(key: &str, node: Node<'_, '_>, unit: Unit) -> Option<String> {
    if let Some(seconds) = node.first(&["seconds"]) {
        return clock::time_of("start", seconds.scalar(), Unit::Seconds);
    }
    let key = if key == "ts" { "start" } else { key };
    clock::time_of(key, node.scalar(), unit)
}

/// Returns the label of the speaker whom a piece names. A service's short code becomes a number of a speaker.
fn label<'n>(item: Node<'_, 'n>, people: &People<'_>) -> Option<Cow<'n, str>> {
    let mut found = SPEAKER_KEYS.iter().filter_map(|key| Some((*key, item.first(&[*key])?.scalar().trim())));
    let (key, value) = found
        .find(|(key, value)| !value.is_empty() && (people.has_channels || !key.starts_with("channel")))?;
    let label = people.label(key, value);
    let is_code = label.len() <= 3 && label.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    Some(if is_code { Cow::Owned(format!("Speaker {label}")) } else { label })
}
