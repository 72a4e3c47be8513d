//! YAML as trees, from the events of granit-parser.
//!
//! The parser reports anchors and aliases as events and does not resolve them, so that this module can limit what they
//! repeat. Values that aliases repeat count with their size, including a constant for each node; nesting is limited as
//! for JSON.
//!
//! Lines are those of the source, also for an alias: a repeated value has the lines of its anchor, where its text is.
//! Text in a literal block (`|`) keeps the line of each of its lines; in other styles, a line end in the text is none
//! of the source.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Parser, ScalarStyle, Span};

use crate::builder::Body;
use crate::error::Malformed;
use crate::formats::tree::{self, Node, Value};

/// The most bytes of values that aliases may repeat in total: nine lines of nested aliases expand to 10⁹ values
/// ("billion laughs").
const MAX_REPEATED: usize = 1 << 20;

/// Reads one YAML document or several.
///
/// # Errors
/// The line of a syntax error, of a key that is not a scalar, of nesting that is too deep, or of an alias that repeats
/// too much, has no anchor, or is within the value to which it refers.
pub(crate) fn read(text: &str, person: &str) -> Result<Body, Malformed> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|err| {
            let line = number(err.marker().line());
            Malformed::at(line, format!("not valid YAML: {}", err.info()))
        })?;
        builder.take(event, &span)?;
    }
    Ok(tree::body_of(person, &builder.roots))
}

/// Converts a line number; one that does not fit becomes the largest.
fn number(line: usize) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}

/// Nodes under construction.
#[derive(Default)]
struct Builder<'a> {
    /// The values of the documents that were read.
    roots: Vec<Node<'a>>,
    /// The open lists and maps, the innermost one last.
    open: Vec<Open<'a>>,
    /// The value and its size in bytes for each anchor.
    anchors: HashMap<usize, (Node<'a>, usize)>,
    /// The bytes of values that aliases repeated so far.
    repeated: usize,
}

/// A list or a map whose end was not read yet.
struct Open<'a> {
    node: Node<'a>,
    anchor: usize,
    /// The key whose value comes next.
    key: Option<Cow<'a, str>>,
    /// The approximate size so far. Bytes.
    size: usize,
}

impl<'a> Builder<'a> {
    /// Processes an event of the parser.
    fn take(&mut self, event: Event<'a>, span: &Span) -> Result<(), Malformed> {
        let line = number(span.start.line());
        match event {
            Event::SequenceStart(_, anchor, _) => self.open(line, anchor, Value::List(Vec::new())),
            Event::MappingStart(_, anchor, _) => self.open(line, anchor, Value::Map(Vec::new())),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open { node, anchor, size, .. }) => self.add(node, anchor, size),
                None => Ok(()),
            },
            Event::Scalar(text, style, anchor, _) => {
                // A value has the size of its node, even if its text is short.
                let size = text.len() + size_of::<Node<'_>>();
                self.add(Node { line, value: scalar(text, style) }, anchor, size)
            }
            Event::Alias(anchor) => self.repeat(line, anchor),
            _ => Ok(()),
        }
    }

    /// Opens a list or a map.
    fn open(&mut self, line: u32, anchor: usize, value: Value<'a>) -> Result<(), Malformed> {
        if self.open.len() >= tree::MAX_DEPTH {
            return Err(tree::too_deep(line));
        }
        self.open.push(Open { node: Node { line, value }, anchor, key: None, size: size_of::<Node<'_>>() });
        Ok(())
    }

    /// Adds a copy of the value of an anchor, as an alias on this line does.
    fn repeat(&mut self, line: u32, anchor: usize) -> Result<(), Malformed> {
        let (node, size) = self.anchors.get(&anchor).cloned().ok_or_else(|| {
            Malformed::at(line, "an alias refers to a value that contains it, or to no anchor")
        })?;
        self.repeated += size;
        if self.repeated > MAX_REPEATED {
            let message = format!("aliases repeat more than {MAX_REPEATED} bytes");
            return Err(Malformed::at(line, message));
        }
        self.add(node, 0, size)
    }

    /// Adds a complete value to its parent. An anchor's number is 0 for a value without one.
    fn add(&mut self, node: Node<'a>, anchor: usize, size: usize) -> Result<(), Malformed> {
        // A value over the limit is not kept for aliases: an alias to it is an error.
        if anchor > 0 {
            let kept = if size > MAX_REPEATED { empty(node.line) } else { node.clone() };
            self.anchors.insert(anchor, (kept, size));
        }
        match self.open.last_mut() {
            Some(parent) => parent.add(node, size),
            None => {
                self.roots.push(node);
                Ok(())
            }
        }
    }
}

impl<'a> Open<'a> {
    /// Adds a complete value of this size: an item of the list, the next key of the map, or the value of that key.
    fn add(&mut self, node: Node<'a>, size: usize) -> Result<(), Malformed> {
        self.size += size;
        match (&mut self.node.value, self.key.take()) {
            (Value::List(items), _) => items.push(node),
            // A merge key (yaml.org/type/merge) adds the entries of another map, or of several.
            (Value::Map(entries), Some(key)) if key == "<<" => merge(entries, node),
            (Value::Map(entries), Some(key)) => entries.push((key, node)),
            (_, None) => self.key = Some(key_of(node)?),
            (Value::Text(..) | Value::Plain(_), Some(_)) => {}
        }
        Ok(())
    }
}

/// Returns a scalar as the key of a map.
fn key_of(node: Node<'_>) -> Result<Cow<'_, str>, Malformed> {
    match node.value {
        Value::Text(text, _) | Value::Plain(text) => Ok(text),
        Value::List(_) | Value::Map(_) => {
            Err(Malformed::at(node.line, "a key must be a scalar, not a list or a mapping"))
        }
    }
}

/// Adds the entries of `node` whose keys are not in `entries` yet. Keys behind the merge key are added regardless.
fn merge<'a>(entries: &mut Vec<(Cow<'a, str>, Node<'a>)>, node: Node<'a>) {
    match node.value {
        Value::Map(others) => {
            let known: HashSet<Cow<'a, str>> = entries.iter().map(|(key, _)| key.clone()).collect();
            entries.extend(others.into_iter().filter(|(key, _)| !known.contains(key)));
        }
        Value::List(maps) => maps.into_iter().for_each(|map| merge(entries, map)),
        Value::Text(..) | Value::Plain(_) => {}
    }
}

/// Returns the value that takes the place of one over the limit.
fn empty<'a>(line: u32) -> Node<'a> {
    Node { line, value: Value::Plain("".into()) }
}

/// Returns the value of a scalar: text, unless it is plain and not a string in YAML's core schema (1.2.2, section
/// 10.3.2).
fn scalar(text: Cow<'_, str>, style: ScalarStyle) -> Value<'_> {
    let is_plain = style == ScalarStyle::Plain;
    match &*text {
        "" | "~" | "null" | "Null" | "NULL" if is_plain => Value::Plain("".into()),
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" if is_plain => Value::Plain(text),
        other if is_plain && other.parse::<f64>().is_ok() => Value::Plain(text),
        _ => Value::Text(text, style == ScalarStyle::Literal),
    }
}
