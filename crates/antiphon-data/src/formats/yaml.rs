//! YAML as trees, from the events of granit-parser.
//!
//! The parser reports anchors and aliases as events and does not resolve them, so that this module can limit what they
//! repeat. Values that aliases repeat count with their size, including a constant for each node; nesting is limited as
//! for JSON.
//!
//! Lines are those of the source, also for an alias: a repeated value has the lines of its anchor, where its text is.
//! Text in a literal block (`|`) keeps the line of each of its lines; in other styles, a line end in the text is none
//! of the source.

use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Parser, ScalarStyle, Span};

use crate::builder::Body;
use crate::error::Malformed;
use crate::formats::texts::Texts;
use crate::formats::tree::{self, Node, Tree};

/// The most bytes of values that aliases may repeat in total: nine lines of nested aliases expand to 10⁹ values
/// ("billion laughs").
const MAX_REPEATED: usize = 1 << 20;

/// Reads one YAML document or several.
///
/// # Errors
/// The line of a syntax error, of a key that is not a scalar, of nesting that is too deep, or of an alias that repeats
/// too much, has no anchor, or is within the value to which it refers.
pub(crate) fn read(text: &str, person: &str) -> Result<Body, Malformed> {
    let texts = Texts::default();
    let mut builder = Builder {
        texts: &texts,
        tree: Tree::default(),
        open: Vec::new(),
        anchors: HashMap::new(),
        repeated: 0,
    };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|err| {
            let line = number(err.marker().line());
            Malformed::at(line, format!("not valid YAML: {}", err.info()))
        })?;
        builder.take(event, &span)?;
    }
    Ok(tree::body_of(person, builder.tree))
}

/// Converts a line number; one that does not fit becomes the largest.
fn number(line: usize) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}

/// A tree under construction.
struct Builder<'a> {
    /// The scalars that are no part of the file as they are.
    texts: &'a Texts,
    /// The values so far.
    tree: Tree<'a>,
    /// The open lists and maps, the innermost one last.
    open: Vec<Open<'a>>,
    /// A copy of the value and its size in bytes for each anchor.
    anchors: HashMap<usize, (Tree<'a>, usize)>,
    /// The bytes of values that aliases repeated so far.
    repeated: usize,
}

/// A list or a map whose end was not read yet.
struct Open<'a> {
    /// The place in the tree.
    place: usize,
    anchor: usize,
    /// The meaning of the next value.
    next: Next,
    /// The keys of a map with a merge key.
    known: Option<HashSet<&'a str>>,
    /// The approximate size so far. Bytes.
    size: usize,
}

/// The meaning of the next value in a list or a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Item,
    Key,
    Value,
    /// The value of a merge key (yaml.org/type/merge).
    Merged,
}

/// The approximate size of a value without its text. Bytes.
const NODE: usize = 40;

impl<'a> Builder<'a> {
    /// Processes an event of the parser.
    fn take(&mut self, event: Event<'a>, span: &Span) -> Result<(), Malformed> {
        let line = number(span.start.line());
        match event {
            Event::SequenceStart(_, anchor, _) => self.open(line, anchor, Next::Item),
            Event::MappingStart(_, anchor, _) => self.open(line, anchor, Next::Key),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => {
                    self.tree.close(open.place);
                    self.added(open.place, open.anchor, open.size)
                }
                None => Ok(()),
            },
            Event::Scalar(text, style, anchor, _) => {
                // A value has the size of its node, even if its text is short.
                let (place, size) = (self.tree.len(), text.len() + NODE);
                match kind_of(&text, style) {
                    Kind::Null => self.tree.plain(line, ""),
                    Kind::Plain => self.tree.plain(line, self.texts.keep(text)),
                    Kind::Text => {
                        self.tree.text(line, self.texts.keep(text), style == ScalarStyle::Literal);
                    }
                }
                self.added(place, anchor, size)
            }
            Event::Alias(anchor) => self.repeat(line, anchor),
            _ => Ok(()),
        }
    }

    /// Opens a list or a map.
    fn open(&mut self, line: u32, anchor: usize, next: Next) -> Result<(), Malformed> {
        if self.open.len() >= tree::MAX_DEPTH {
            return Err(tree::too_deep(line));
        }
        let is_list = next == Next::Item;
        let place = if is_list { self.tree.open_list(line) } else { self.tree.open_map(line) };
        self.open.push(Open { place, anchor, next, known: None, size: NODE });
        Ok(())
    }

    /// Adds a copy of the value of an anchor, as an alias on this line does.
    fn repeat(&mut self, line: u32, anchor: usize) -> Result<(), Malformed> {
        let (value, size) = self.anchors.get(&anchor).ok_or_else(|| {
            Malformed::at(line, "an alias refers to a value that contains it, or to no anchor")
        })?;
        self.repeated += size;
        if self.repeated > MAX_REPEATED {
            let message = format!("aliases repeat more than {MAX_REPEATED} bytes");
            return Err(Malformed::at(line, message));
        }
        let (place, size) = (self.tree.len(), *size);
        value.roots().for_each(|node| self.tree.copy(node));
        self.added(place, 0, size)
    }

    /// Processes a complete value of this size, which is the last one of the tree: an item of the list, the next key of
    /// the map, or the value of that key. An anchor's number is 0 for a value without one.
    fn added(&mut self, place: usize, anchor: usize, size: usize) -> Result<(), Malformed> {
        if anchor > 0 {
            let mut value = Tree::default();
            // A value over the limit is not kept for aliases: an alias to it is an error.
            if let Some(node) = self.tree.at(place).filter(|_| size <= MAX_REPEATED) {
                value.copy(node);
            }
            self.anchors.insert(anchor, (value, size));
        }
        let (Some(parent), Some(node)) = (self.open.last_mut(), self.tree.at(place)) else { return Ok(()) };
        parent.size += size;
        match parent.next {
            Next::Item => {}
            Next::Key if node.is_nested() => {
                return Err(Malformed::at(node.line(), "a key must be a scalar, not a list or a mapping"));
            }
            Next::Key => {
                let key = node.scalar();
                parent.next = if key == "<<" { Next::Merged } else { Next::Value };
                if parent.next == Next::Merged {
                    self.tree.split_off(place);
                } else if let Some(known) = &mut parent.known {
                    known.insert(key);
                }
            }
            Next::Value => parent.next = Next::Key,
            Next::Merged => {
                parent.next = Next::Key;
                let merged = self.tree.split_off(place);
                self.tree.close(parent.place);
                let map = self.tree.at(parent.place);
                let keys = || map.into_iter().flat_map(Node::entries).map(|(key, _)| key).collect();
                let known = parent.known.get_or_insert_with(keys);
                merged.roots().for_each(|node| merge(&mut self.tree, known, node));
            }
        }
        Ok(())
    }
}

/// Adds the entries of a map, or of the maps of a list, whose keys are not known yet. Keys behind the merge key are added
/// regardless.
fn merge<'a>(tree: &mut Tree<'a>, known: &mut HashSet<&'a str>, node: Node<'_, 'a>) {
    let fresh = node.entries().filter(|(key, _)| !known.contains(key));
    let fresh: Vec<(&'a str, Node<'_, 'a>)> = fresh.collect();
    for (key, value) in fresh {
        tree.text(value.line(), key, false);
        tree.copy(value);
        known.insert(key);
    }
    node.items().for_each(|map| merge(tree, known, map));
}

/// The kinds of scalars.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Null,
    /// A number or a truth value.
    Plain,
    Text,
}

/// Returns the kind of a scalar: text, unless it is plain and not a string in YAML's core schema (1.2.2, section 10.3.2).
fn kind_of(text: &str, style: ScalarStyle) -> Kind {
    let is_plain = style == ScalarStyle::Plain;
    match text {
        "" | "~" | "null" | "Null" | "NULL" if is_plain => Kind::Null,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" if is_plain => Kind::Plain,
        other if is_plain && other.parse::<f64>().is_ok() => Kind::Plain,
        _ => Kind::Text,
    }
}
