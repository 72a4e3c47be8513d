//! Trees: the common form of JSON and YAML, in which rows are found at any depth.
//!
//! Exports of transcription tools nest their turns in many ways: `{"turns": […]}`, `{"results": {"segments": […]}}`, or
//! a plain list. This module looks for rows instead of a schema:
//!
//! | map | treated as |
//! |---|---|
//! | with a text under a key such as `text` | a row; values nested in it are read only if they have speech |
//! | with scalars only | a row, whose fields may be answers |
//! | any other | a container: each of its values is read in turn |
//!
//! A nested value has speech if it has both a key for a text and a key for a speaker, at any depth.
//!
//! Scalars outside rows become lines without a speaker. Names under keys such as `interviewer`, anywhere in the file,
//! are interviewers in all turns.

use std::borrow::Cow;

use crate::builder::{Body, Words};
use crate::error::Malformed;
use crate::formats::record::{self, Field};
use crate::speakers;

/// The deepest nesting that is read: more is no interview, and would need as deep a stack.
pub(crate) const MAX_DEPTH: usize = 64;

/// A value of a tree-structured file, and the line on which it begins.
#[derive(Debug, Clone)]
pub(crate) struct Node<'a> {
    /// The line, from 1.
    pub(crate) line: u32,
    pub(crate) value: Value<'a>,
}

/// A value, reduced to what distinguishes speech from data.
#[derive(Debug, Clone)]
pub(crate) enum Value<'a> {
    /// A string, and whether its line ends are lines of the source.
    Text(Cow<'a, str>, bool),
    /// Another scalar as it is written; empty for null.
    Plain(Cow<'a, str>),
    /// Items in order.
    List(Vec<Node<'a>>),
    /// Entries in order, with repeated keys.
    Map(Vec<(Cow<'a, str>, Node<'a>)>),
}

/// Returns the failure of a value that is nested more than [`MAX_DEPTH`] levels deep.
pub(crate) fn too_deep(line: u32) -> Malformed {
    Malformed::at(line, format!("nested more than {MAX_DEPTH} levels deep"))
}

/// Adds a whole file. A person whom it names as the interviewer is one in every turn.
pub(crate) fn add_all(body: &mut Body, person: &str, roots: &[Node<'_>]) {
    roots.iter().for_each(|root| add(body, person, "", root));
    let mut askers = Vec::new();
    roots.iter().for_each(|root| root.askers(&mut askers));
    body.asked_by(&askers);
}

/// Adds a value: every map that has a text, or only scalars, is a row.
fn add(body: &mut Body, person: &str, key: &str, node: &Node<'_>) {
    match &node.value {
        Value::List(items) => items.iter().for_each(|item| add(body, person, key, item)),
        Value::Map(entries) => add_map(body, person, entries),
        Value::Text(..) | Value::Plain(_) => body.note(key, words(node)),
    }
}

/// Adds a map: as a row, or as the rows in it; see the table of this module.
fn add_map(body: &mut Body, person: &str, entries: &[(Cow<'_, str>, Node<'_>)]) {
    // Values nested beside a text belong to it: words with their times, tokens, tags.
    let is_row = entries.iter().any(|(key, node)| {
        record::is_text_key(key) && matches!(&node.value, Value::Text(text, _) if !text.is_empty())
    });
    if !is_row && entries.iter().any(|(_, node)| node.is_nested()) {
        return entries.iter().for_each(|(key, node)| add(body, person, key, node));
    }
    let scalars = entries.iter().filter(|(_, node)| !node.is_nested());
    let fields: Vec<Field<'_>> = scalars
        .map(|(key, node)| Field { key, value: words(node), is_text: matches!(node.value, Value::Text(..)) })
        .collect();
    record::add(body, &fields, person);
    // Unless they are speech, such as a transcript beside a summary.
    let speech = entries.iter().filter(|(_, node)| node.is_nested() && node.holds_speech());
    speech.for_each(|(key, node)| add(body, person, key, node));
}

/// Returns the text of a scalar; empty for a list or a map.
fn words<'n>(node: &'n Node<'_>) -> Words<'n> {
    let (text, lines_count): (&str, bool) = match &node.value {
        Value::Text(text, lines_count) => (text, *lines_count),
        Value::Plain(text) => (text, false),
        Value::List(_) | Value::Map(_) => ("", false),
    };
    Words { text, line: node.line, lines_count }
}

impl Node<'_> {
    /// Returns whether the value is a list or a map.
    fn is_nested(&self) -> bool {
        matches!(self.value, Value::List(_) | Value::Map(_))
    }

    /// Returns whether the value has both words and a speaker.
    fn holds_speech(&self) -> bool {
        self.has_key(&record::is_text_key) && self.has_key(&record::is_person_key)
    }

    /// Collects the names under keys such as `interviewer`.
    fn askers<'n>(&'n self, found: &mut Vec<&'n str>) {
        match &self.value {
            Value::List(items) => items.iter().for_each(|item| item.askers(found)),
            Value::Map(entries) => {
                for (key, node) in entries {
                    match &node.value {
                        Value::Text(name, _) if speakers::names_asker(key) => found.push(name.trim()),
                        _ => node.askers(found),
                    }
                }
            }
            Value::Text(..) | Value::Plain(_) => {}
        }
    }

    /// Returns whether any map in the value, at any depth, has a wanted key.
    fn has_key(&self, wanted: &impl Fn(&str) -> bool) -> bool {
        match &self.value {
            Value::List(items) => items.iter().any(|item| item.has_key(wanted)),
            Value::Map(entries) => entries.iter().any(|(key, node)| wanted(key) || node.has_key(wanted)),
            Value::Text(..) | Value::Plain(_) => false,
        }
    }
}
