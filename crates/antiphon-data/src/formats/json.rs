use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::builder::{Body, Words};
use crate::error::Malformed;
use crate::formats::record::{self, Field};

/// Deeper nesting is refused: it is no interview, and reading it would need a stack as deep.
const MAX_DEPTH: usize = 64;

/// One JSON value; every object with a text, or with plain values only, is a row.
pub(crate) fn read(text: &str, person: &str) -> Result<Body, Malformed> {
    let root: &RawValue = serde_json::from_str(text).map_err(|err| malformed(&err, 1))?;
    let mut source = Source { text, offset: 0, line: 1, body: Body::default(), person };
    source.add("", root, 0)?;
    Ok(source.body.or_unlabelled(person))
}

/// One JSON value a line; empty lines are passed over.
pub(crate) fn read_lines(text: &str, person: &str) -> Result<Body, Malformed> {
    let mut source = Source { text, offset: 0, line: 1, body: Body::default(), person };
    for (number, line) in (1..).zip(text.split('\n')).filter(|(_, line)| !line.trim().is_empty()) {
        let row: &RawValue = serde_json::from_str(line).map_err(|err| malformed(&err, number))?;
        source.add("", row, 0)?;
    }
    Ok(source.body.or_unlabelled(person))
}

fn malformed(err: &serde_json::Error, first_line: u32) -> Malformed {
    let line = u32::try_from(err.line()).unwrap_or(u32::MAX).max(1) - 1;
    let text = err.to_string();
    let reason = text.split(" at line ").next().unwrap_or(&text);
    Malformed::at(first_line.saturating_add(line), format!("not valid JSON: {reason}"))
}

/// The walk over one source, which counts lines as it goes: values come in the order of the text.
struct Source<'a> {
    text: &'a str,
    offset: usize,
    line: u32,
    body: Body,
    person: &'a str,
}

impl<'a> Source<'a> {
    fn add(&mut self, key: &str, value: &'a RawValue, depth: usize) -> Result<(), Malformed> {
        let line = self.line_of(value);
        if depth > MAX_DEPTH {
            return Err(Malformed::at(line, format!("nested more than {MAX_DEPTH} levels deep")));
        }
        match value.get().as_bytes().first() {
            Some(b'{') => self.add_object(value, depth),
            Some(b'[') => {
                let items: Vec<&RawValue> = parse(value, line)?;
                items.into_iter().try_for_each(|item| self.add(key, item, depth + 1))
            }
            _ => {
                let text = scalar(value, line)?;
                self.body.note(key, Words { text: &text, line, lines_count: false });
                Ok(())
            }
        }
    }

    fn add_object(&mut self, value: &'a RawValue, depth: usize) -> Result<(), Malformed> {
        let line = self.line_of(value);
        let entries: Entries<'a> = parse(value, line)?;
        let nested = |raw: &RawValue| raw.get().starts_with(['{', '[']);
        // What is nested beside a text belongs to it: words with their times, tokens, tags.
        let is_row = entries
            .0
            .iter()
            .any(|(key, raw)| record::is_text_key(key) && raw.get().len() > 2 && raw.get().starts_with('"'));
        if !is_row && entries.0.iter().any(|(_, raw)| nested(raw)) {
            return entries.0.iter().try_for_each(|(key, raw)| self.add(key, raw, depth + 1));
        }
        let plain: Vec<_> = entries.0.iter().filter(|(_, raw)| !nested(raw)).collect();
        let mut values = Vec::with_capacity(plain.len());
        for (_, raw) in &plain {
            let line = self.line_of(raw);
            values.push((scalar(raw, line)?, line));
        }
        let mut fields = Vec::with_capacity(plain.len());
        for ((key, raw), (text, line)) in plain.iter().zip(&values) {
            let value = Words { text, line: *line, lines_count: false };
            fields.push(Field { key, value, is_text: raw.get().starts_with('"') });
        }
        record::add(&mut self.body, &fields, self.person);
        // Unless it is speech itself, as a summary's transcript is.
        let mut speech = entries.0.iter().filter(|(_, raw)| nested(raw) && record::holds_speech(raw.get()));
        speech.try_for_each(|(key, raw)| self.add(key, raw, depth + 1))
    }

    /// Raw values borrow from the text, so their address tells their place in it.
    fn line_of(&mut self, value: &RawValue) -> u32 {
        let at = (value.get().as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        if let Some(between) = self.text.get(self.offset..at) {
            let ends = between.matches('\n').count();
            self.line = self.line.saturating_add(u32::try_from(ends).unwrap_or(u32::MAX));
            self.offset = at;
        }
        self.line
    }
}

fn parse<'a, T: Deserialize<'a>>(value: &'a RawValue, line: u32) -> Result<T, Malformed> {
    serde_json::from_str(value.get()).map_err(|err| malformed(&err, line))
}

/// A string without its quotes and escapes; another scalar as it is written, and nothing for null.
fn scalar(value: &RawValue, line: u32) -> Result<Cow<'_, str>, Malformed> {
    match value.get() {
        "null" => Ok(Cow::Borrowed("")),
        text if text.starts_with('"') => parse::<String>(value, line).map(Cow::Owned),
        text => Ok(Cow::Borrowed(text)),
    }
}

/// An object's entries in their order, repeated keys and all.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}
