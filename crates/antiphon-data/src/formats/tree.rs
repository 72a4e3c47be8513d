//! Trees: the common form of JSON and YAML, in which rows are found at any depth.
//!
//! Exports of transcription services nest their turns in many ways: `{"turns": […]}`, `{"results": {"segments": […]}}`,
//! or a plain list. This module looks for rows instead of a schema:
//!
//! | map | treated as |
//! |---|---|
//! | with a text under a key such as `text` | a row; what is nested in it is read if someone says it |
//! | with scalars only | a row, whose fields may be answers |
//! | any other | a container: each of its values is read in turn |
//!
//! | list | treated as |
//! |---|---|
//! | of single words with times or speakers | the turns that the words make (`pieces`) |
//! | of alternatives (`alternatives`, `nBest`) | the first of them |
//! | of texts beside an answer | more answers of the same speaker |
//! | any other | its items, in order |
//!
//! Many services have the same words several times: the whole text, then sentences, then single words. Of such
//! renderings one is read, preferably one that names the speakers (`once`). Numbers for machines, such as times and
//! confidences, are not part of the text.
//!
//! Scalars outside rows become lines without a speaker. Names under keys such as `interviewer`, anywhere in the file,
//! are interviewers in all turns.

mod once;
mod pieces;
#[cfg(test)]
mod tests;
mod walk;

use std::borrow::Cow;

use crate::builder::Body;
use crate::error::Malformed;
use crate::formats::people::{Census, People};
use crate::formats::record::{self, Field, Row, normal};
use crate::speakers;
use walk::Walk;

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

/// The parts that a value of the file adds to the document.
#[derive(Debug)]
enum Part<'n> {
    /// A line that no one said.
    Note(Field<'n>),
    /// A row.
    Row(Row<'n>),
}

/// Returns the failure of a value that is nested more than [`MAX_DEPTH`] levels deep.
pub(crate) fn too_deep(line: u32) -> Malformed {
    Malformed::at(line, format!("nested more than {MAX_DEPTH} levels deep"))
}

/// Returns the body of a whole file. A person whom it names as the interviewer is one in every turn.
pub(crate) fn body_of(person: &str, roots: &[Node<'_>]) -> Body {
    let mut census = Census::default();
    roots.iter().for_each(|root| root.count(&mut census));
    let people = People::of(person, census);
    let mut parts = Walk::new(&people).roots(roots);
    if !rows_of(&parts).any(Row::is_speech) {
        // A file that has nothing but summaries is read as any other.
        parts = Walk::new(&people).with_asides().roots(roots);
    }
    let mut body = Body::default();
    for part in &parts {
        match part {
            Part::Note(field) => body.note(&field.key, field.words()),
            Part::Row(row) => record::add(&mut body, row, &people),
        }
    }
    let mut askers = Vec::new();
    roots.iter().for_each(|root| root.askers(&mut askers));
    body.asked_by(&askers);
    // Without a turn, every line is one; but the lines of a program are no one's words.
    if rows_of(&parts).any(record::is_of_program) { body } else { body.or_unlabelled(person) }
}

/// Returns the rows among the parts.
fn rows_of<'p, 'n>(parts: &'p [Part<'n>]) -> impl Iterator<Item = &'p Row<'n>> {
    parts.iter().filter_map(|part| if let Part::Row(row) = part { Some(row) } else { None })
}

impl<'a> Node<'a> {
    /// Returns whether the value is a list or a map.
    fn is_nested(&self) -> bool {
        matches!(self.value, Value::List(_) | Value::Map(_))
    }

    /// Returns the text of a scalar; empty for a list or a map.
    fn scalar(&self) -> &str {
        match &self.value {
            Value::Text(text, _) | Value::Plain(text) => text,
            Value::List(_) | Value::Map(_) => "",
        }
    }

    /// Returns the items of a list; empty for any other value.
    fn items(&self) -> &[Node<'a>] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    /// Returns the entries of a map; empty for any other value.
    fn entries(&self) -> &[(Cow<'a, str>, Node<'a>)] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    /// Returns the value of the first of these normalised keys that the map has.
    fn first(&self, keys: &[&str]) -> Option<&Node<'a>> {
        let of_key = |key: &&str| self.entries().iter().find(|(other, _)| record::is_key(other, key));
        keys.iter().find_map(of_key).map(|(_, node)| node)
    }

    /// Returns the value as a field with this key.
    fn field<'n>(&'n self, key: &'n str) -> Field<'n> {
        let (is_text, lines_count) = match &self.value {
            Value::Text(_, lines_count) => (true, *lines_count),
            _ => (false, false),
        };
        Field { key: key.into(), text: self.scalar().into(), line: self.line, lines_count, is_text }
    }

    /// Adds what the value says about speakers to the census.
    fn count(&self, census: &mut Census) {
        self.items().iter().for_each(|item| item.count(census));
        for (key, node) in self.entries() {
            if !node.is_nested() {
                census.see(&normal(key), node.scalar());
                continue;
            }
            if matches!(&*normal(key), "speakers" | "participants" | "users" | "people" | "attendees") {
                node.items().iter().for_each(|person| person.introduce(census));
            }
            node.count(census);
        }
    }

    /// Adds the name of a person with an id to the census.
    fn introduce(&self, census: &mut Census) {
        let id = self.first(&["id", "speakerid", "userid", "speaker", "label"]).map(Node::scalar);
        let name = self.first(&["name", "speakername", "displayname", "realname", "username"]);
        if let (Some(id), Some(name)) = (id, name.map(Node::scalar).filter(|name| !name.trim().is_empty())) {
            census.name(id, name);
        }
    }

    /// Collects the names under keys such as `interviewer`.
    fn askers<'n>(&'n self, found: &mut Vec<&'n str>) {
        self.items().iter().for_each(|item| item.askers(found));
        for (key, node) in self.entries() {
            match &node.value {
                Value::Text(name, _) if speakers::names_asker(key) && speakers::can_be_label(name.trim()) => {
                    found.push(name.trim());
                }
                _ => node.askers(found),
            }
        }
    }
}
