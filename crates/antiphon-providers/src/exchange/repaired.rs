//! Repairs of pieces that are almost JSON. No odd metadata may lose an answer that was paid for.
//!
//! | fault | of | repair |
//! |---|---|---|
//! | a field twice | proxies that add fields to each piece | the last value, unless it is empty |
//! | `NaN`, `Infinity`, `-Infinity` | Python's `json.dumps` | null |
//! | half a character (`\ud83d`) | servers that cut texts by UTF-16 units | a stand-in, which [`joined`] resolves |
//! | a byte order mark | gateways on Windows | none of it |
//!
//! A piece is repaired only after it could not be decoded as it is.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The fields that decide about the answer: two different values for one of them leave it unknown.
const DECISIVE: [&str; 8] =
    ["content", "text", "response", "finish_reason", "finishReason", "stop_reason", "done_reason", "delta"];

/// The distance from half a character to its stand-in, which is for private use: Unicode assigns none of these.
const STAND_IN: u32 = 0x10_0000;

/// The first half of a character beyond U+FFFF, as a UTF-16 unit.
const FIRST: std::ops::Range<u32> = 0xd800..0xdc00;

/// The second half.
const SECOND: std::ops::Range<u32> = 0xdc00..0xe000;

/// A piece that could be repaired.
pub(crate) struct Repaired {
    /// The piece as JSON.
    pub(crate) data: String,
    /// Whether it has a stand-in for half a character.
    pub(crate) has_halves: bool,
}

/// Repairs a piece of an answer: JSON, or a line of Gemini's with `data:` before it. `None` where it is no JSON even then, or
/// where a decisive field has two values.
pub(crate) fn repaired(piece: &str) -> Option<Repaired> {
    let piece = piece.trim_start_matches('\u{feff}').trim_start();
    let (prefix, json) = match piece.strip_prefix("data:") {
        Some(json) => ("data: ", json.trim_start()),
        None => ("", piece),
    };
    if !json.starts_with(['{', '[']) {
        return None;
    }
    let mut has_halves = false;
    let plain = without_oddities(json, &mut has_halves);
    let Merged(value) = serde_json::from_str(&plain).ok()?;
    Some(Repaired { data: format!("{prefix}{value}"), has_halves })
}

/// Returns JSON with null for numbers that JSON does not have, and with stand-ins for halves of characters.
fn without_oddities(json: &str, has_halves: &mut bool) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut rest, mut is_text) = (json, false);
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        if is_text && c == '\\' {
            let (written, taken) = escape(rest);
            *has_halves |= !written.is_ascii();
            out.push_str(&written);
            rest = rest.get(taken..).unwrap_or_default();
            continue;
        }
        is_text ^= c == '"';
        let bare =
            ["NaN", "Infinity", "-Infinity"].into_iter().find(|bare| !is_text && rest.starts_with(bare));
        match bare {
            Some(bare) => {
                length = bare.len();
                out.push_str("null");
            }
            None => out.push(c),
        }
        rest = &rest[length..];
    }
    out
}

/// Returns the escape at the beginning of a text, with a stand-in for half a character, and its length in bytes.
fn escape(text: &str) -> (String, usize) {
    let unit = |text: &str| u32::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok();
    match unit(text) {
        Some(first) if FIRST.contains(&first) && !follows(text.get(6..).and_then(unit)) => {
            (stand_in(first), 6)
        }
        Some(first) if FIRST.contains(&first) => (text[..12].to_owned(), 12),
        Some(second) if SECOND.contains(&second) => (stand_in(second), 6),
        _ => {
            let escaped: String = text.chars().take(2).collect();
            let length = escaped.len();
            (escaped, length)
        }
    }
}

/// Returns whether a UTF-16 unit is the second half of a character.
fn follows(unit: Option<u32>) -> bool {
    unit.is_some_and(|unit| SECOND.contains(&unit))
}

/// Returns the stand-in for half a character.
fn stand_in(unit: u32) -> String {
    char::from_u32(STAND_IN + unit).unwrap_or(char::REPLACEMENT_CHARACTER).to_string()
}

/// Returns the half of which a character is the stand-in.
fn half(c: char) -> Option<u32> {
    u32::from(c).checked_sub(STAND_IN).filter(|unit| FIRST.contains(unit) || SECOND.contains(unit))
}

/// Returns the text with whole characters in place of the stand-ins for both halves, and U+FFFD for a lone one.
pub(crate) fn joined(text: &str) -> String {
    let mut chars = text.chars().peekable();
    let mut out = String::with_capacity(text.len());
    while let Some(c) = chars.next() {
        let Some(first) = half(c) else {
            out.push(c);
            continue;
        };
        let second = chars.peek().copied().and_then(half).filter(|unit| SECOND.contains(unit));
        let whole = second.filter(|_| FIRST.contains(&first)).and_then(|second| {
            char::from_u32(0x1_0000 + ((first - FIRST.start) << 10) + (second - SECOND.start))
        });
        if whole.is_some() {
            chars.next();
        }
        out.push(whole.unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    out
}

/// Returns whether a text ends with the stand-in for the first half of a character, whose second one may follow.
pub(crate) fn ends_in_half(text: &str) -> bool {
    text.chars().next_back().and_then(half).is_some_and(|unit| FIRST.contains(&unit))
}

/// JSON whose fields may occur twice.
struct Merged(Value);

impl<'de> Deserialize<'de> for Merged {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyJson).map(Self)
    }
}

/// The visitor of a [`Merged`].
struct AnyJson;

impl<'de> Visitor<'de> for AnyJson {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(Merged(item)) = items.next_element()? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some((name, Merged(value))) = fields.next_entry::<String, Merged>()? {
            let is_empty = |value: &Value| value.is_null() || value == "";
            match all.get(&name) {
                Some(_) if is_empty(&value) => continue,
                Some(before)
                    if !is_empty(before) && *before != value && DECISIVE.contains(&name.as_str()) =>
                {
                    return Err(A::Error::custom(format!("duplicate field `{name}`")));
                }
                _ => {}
            }
            all.insert(name, value);
        }
        Ok(Value::Object(all))
    }
}
