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

mod node;
mod notices;
mod once;
mod pieces;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::BTreeSet;

use crate::builder::Body;
use crate::error::Malformed;
use crate::formats::people::{Census, People};
use crate::formats::record::{self, Field, Row, normal};
use crate::speakers;
pub(crate) use node::{Node, Nodes, Tree};
use walk::Walk;

/// The deepest nesting that is read: more is no interview, and would need as deep a stack.
pub(crate) const MAX_DEPTH: usize = 64;

/// The part of a list by which its memory may exceed its items, as a divisor.
const SHARE: usize = 8;

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
pub(crate) fn body_of(person: &str, tree: Tree<'_>) -> Body {
    let mut census = Census::default();
    tree.roots().for_each(|root| root.count(&mut census));
    let people = People::of(person, census);
    let mut parts = Walk::new(&people).roots(tree.roots());
    if !rows_of(&parts).any(Row::is_speech) {
        // A file that has nothing but summaries is read as any other.
        parts = Walk::new(&people).with_asides().roots(tree.roots());
    }
    let mut askers = BTreeSet::new();
    tree.roots().for_each(|root| root.askers(&mut askers));
    // The parts have all that the body needs: the tree of a large file does not stay beside it.
    drop(tree);
    let is_of_program = rows_of(&parts).any(record::is_of_program);
    let mut body = Body::default();
    // From the end of a reversed list, which shrinks while the body grows.
    parts.reverse();
    while let Some(part) = parts.pop() {
        if parts.len() + parts.len() / SHARE < parts.capacity() {
            parts.shrink_to_fit();
        }
        match part {
            Part::Note(field) => body.note(field.key, field.words()),
            Part::Row(row) => record::add(&mut body, &row, &people),
        }
    }
    body.asked_by(&askers);
    // Without a turn, every line is one; but the lines of a program are no one's words.
    if is_of_program { body } else { body.or_unlabelled(person) }
}

/// Returns the rows among the parts.
fn rows_of<'p, 'n>(parts: &'p [Part<'n>]) -> impl Iterator<Item = &'p Row<'n>> {
    parts.iter().filter_map(|part| if let Part::Row(row) = part { Some(row) } else { None })
}

/// Joins lists of parts to one, without a copy of the longest.
fn joined<'n>(lists: impl Iterator<Item = Vec<Part<'n>>>) -> Vec<Part<'n>> {
    lists.fold(Vec::new(), |mut all, mut more| {
        if all.len() >= more.len() {
            all.append(&mut more);
            return all;
        }
        more.splice(..0, all);
        more
    })
}

impl<'a> Node<'_, 'a> {
    /// Returns the value as a field with this key.
    fn field(self, key: &'a str) -> Field<'a> {
        let text = self.text();
        let lines_count = text.is_some_and(|(_, lines_count)| lines_count);
        Field { key, text: self.scalar().into(), line: self.line(), lines_count, is_text: text.is_some() }
    }

    /// Adds what the value says about speakers to the census.
    fn count(self, census: &mut Census) {
        self.items().for_each(|item| item.count(census));
        for (key, node) in self.entries() {
            if !node.is_nested() {
                census.see(key, node.scalar());
                continue;
            }
            if matches!(&*normal(key), "speakers" | "participants" | "users" | "people" | "attendees") {
                node.items().for_each(|person| person.introduce(census));
            }
            if normal(key) == "userprofile" {
                self.introduce_by(node, census);
            }
            node.count(census);
        }
    }

    /// Adds the name of a person with an id to the census.
    fn introduce(self, census: &mut Census) {
        let id = self.first(&["id", "speakerid", "userid", "speaker", "label"]).map(Node::scalar);
        let name = self.first(&["name", "speakername", "displayname", "realname", "username"]);
        if let (Some(id), Some(name)) = (id, name.map(Node::scalar).filter(|name| !name.trim().is_empty())) {
            census.name(id, name);
        }
    }

    /// Adds the name in a profile beside the id of a message's user to the census, as Slack exports it.
    fn introduce_by(self, profile: Self, census: &mut Census) {
        let id = self.first(&["user", "userid"]).map(Node::scalar);
        let names = ["realname", "displayname", "name"];
        let mut names = names.iter().filter_map(|key| profile.first(&[key])).map(Node::scalar);
        if let (Some(id), Some(name)) = (id, names.find(|name| !name.trim().is_empty())) {
            census.name(id, name);
        }
    }

    /// Collects the names under keys such as `interviewer`.
    fn askers(self, found: &mut BTreeSet<&'a str>) {
        self.items().for_each(|item| item.askers(found));
        for (key, node) in self.entries() {
            match node.text() {
                Some((name, _)) if speakers::names_asker(key) && speakers::can_be_label(name.trim()) => {
                    found.insert(name.trim());
                }
                _ => node.askers(found),
            }
        }
    }
}
