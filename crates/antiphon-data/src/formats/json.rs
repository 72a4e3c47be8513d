//! JSON and JSON Lines as trees whose values know their lines.
//!
//! serde_json reports lines only for errors. Therefore values are first read raw (`RawValue`), as slices of the text:
//! the address of a slice is its position, and the line ends up to there are its line. Each container is then parsed
//! one level at a time, which reads a value once for each level of its nesting.
//!
//! Keys keep their order, and repeated keys are kept, since speech under the second one would otherwise be lost.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::builder::Body;
use crate::error::Malformed;
use crate::formats::texts::Texts;
use crate::formats::tree::{self, Tree};

/// Reads one JSON value.
///
/// # Errors
/// The line of a syntax error, or of a value that is nested too deep.
pub(crate) fn read(text: &str, person: &str) -> Result<Body, Malformed> {
    let root: &RawValue = serde_json::from_str(text).map_err(|err| malformed(&err, 1))?;
    let texts = Texts::default();
    let mut source = Source::new(text, &texts);
    source.add(root, 0)?;
    Ok(tree::body_of(person, source.tree))
}

/// Reads one JSON value on each line; empty lines are skipped.
///
/// # Errors
/// As [`read`], for the first bad line: one bad line rejects the file.
pub(crate) fn read_lines(text: &str, person: &str) -> Result<Body, Malformed> {
    let texts = Texts::default();
    let mut source = Source::new(text, &texts);
    for (number, line) in (1..).zip(text.split('\n')).filter(|(_, line)| !line.trim().is_empty()) {
        let row: &RawValue = serde_json::from_str(line).map_err(|err| malformed(&err, number))?;
        source.add(row, 0)?;
    }
    Ok(tree::body_of(person, source.tree))
}

/// Converts an error in a text that begins on `first_line`. The position in the message counts from there, so it is
/// left out.
fn malformed(err: &serde_json::Error, first_line: u32) -> Malformed {
    let line = u32::try_from(err.line()).unwrap_or(u32::MAX).max(1) - 1;
    let text = err.to_string();
    let reason = text.split(" at line ").next().unwrap_or(&text);
    Malformed::at(first_line.saturating_add(line), format!("not valid JSON: {reason}"))
}

/// A walk over one source that counts lines on its way: values come in the order of the text.
struct Source<'a> {
    text: &'a str,
    /// The strings with escapes.
    texts: &'a Texts,
    /// The values so far.
    tree: Tree<'a>,
    /// The byte offset up to which line ends were counted.
    offset: usize,
    /// The line of that offset, from 1.
    line: u32,
}

impl<'a> Source<'a> {
    /// Begins at the first line of a text.
    fn new(text: &'a str, texts: &'a Texts) -> Self {
        Self { text, texts, tree: Tree::default(), offset: 0, line: 1 }
    }

    /// Adds a raw value, which is at this depth, and the values in it to the tree.
    fn add(&mut self, raw: &'a RawValue, depth: usize) -> Result<(), Malformed> {
        let line = self.line_of(raw);
        if depth > tree::MAX_DEPTH {
            return Err(tree::too_deep(line));
        }
        match raw.get().as_bytes().first() {
            Some(b'{') => {
                let place = self.tree.open_map(line);
                for (Borrowed(key), value) in parse::<Entries<'a>>(raw, line)?.0 {
                    self.tree.text(line, self.texts.keep(key), false);
                    self.add(value, depth + 1)?;
                }
                self.tree.close(place);
            }
            Some(b'[') => {
                let place = self.tree.open_list(line);
                for item in parse::<Vec<&'a RawValue>>(raw, line)? {
                    self.add(item, depth + 1)?;
                }
                self.tree.close(place);
            }
            Some(b'"') => {
                let Borrowed(text) = parse(raw, line)?;
                self.tree.text(line, self.texts.keep(text), false);
            }
            _ if raw.get() == "null" => self.tree.plain(line, ""),
            _ => self.tree.plain(line, raw.get()),
        }
        Ok(())
    }

    /// Returns the line of a value. Raw values borrow from the text, so their address is their offset in it.
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

/// Parses one level of a raw value that begins on this line.
fn parse<'a, T: Deserialize<'a>>(value: &'a RawValue, line: u32) -> Result<T, Malformed> {
    serde_json::from_str(value.get()).map_err(|err| malformed(&err, line))
}

/// A string that is a part of the text, unless it has escapes.
#[derive(serde::Deserialize)]
#[serde(transparent)]
pub(crate) struct Borrowed<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// The entries of an object in order, with repeated keys.
struct Entries<'a>(Vec<(Borrowed<'a>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InOrder)
    }
}

/// The visitor of an object that keeps its entries in order.
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
