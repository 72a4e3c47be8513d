//! The values of a tree as one list, and a view of each.
//!
//! A file of rows has millions of values. Each is an item of one list, in the order of their beginnings: a list or a map
//! knows the number of items within it, and the entries of a map are keys and values in turn. Strings are borrowed.
//!
//! ```text
//! {"a": [1, 2]}    Map of 4 items, Text "a", List of 2 items, Plain "1", Plain "2"
//! ```

use crate::formats::record;

/// The values of a file: any number of roots, each with all that is nested in it.
#[derive(Debug, Default)]
pub(crate) struct Tree<'a> {
    items: Vec<Item<'a>>,
}

/// An item of the list. The line is that of the source on which the value begins, from 1.
#[derive(Debug, Clone, Copy)]
enum Item<'a> {
    /// A string, or the key of an entry, and whether the string's line ends are lines of the source.
    Text { line: u32, lines_count: bool, text: &'a str },
    /// Another scalar as it is written; empty for null.
    Plain { line: u32, text: &'a str },
    /// A list, and the number of items in it at any depth.
    List { line: u32, size: usize },
    /// A map, and the number of items in it at any depth, keys included.
    Map { line: u32, size: usize },
}

impl Item<'_> {
    /// Returns the number of items of the value, itself included.
    fn size(&self) -> usize {
        match self {
            Self::Text { .. } | Self::Plain { .. } => 1,
            Self::List { size, .. } | Self::Map { size, .. } => size + 1,
        }
    }
}

impl<'a> Tree<'a> {
    /// Adds a string; within a map, keys and values are added in turn.
    pub(crate) fn text(&mut self, line: u32, text: &'a str, lines_count: bool) {
        self.items.push(Item::Text { line, lines_count, text });
    }

    /// Adds another scalar.
    pub(crate) fn plain(&mut self, line: u32, text: &'a str) {
        self.items.push(Item::Plain { line, text });
    }

    /// Begins a list, which extends to [`close`](Self::close), and returns its place.
    pub(crate) fn open_list(&mut self, line: u32) -> usize {
        self.items.push(Item::List { line, size: 0 });
        self.items.len() - 1
    }

    /// Begins a map, which extends to [`close`](Self::close), and returns its place.
    pub(crate) fn open_map(&mut self, line: u32) -> usize {
        self.items.push(Item::Map { line, size: 0 });
        self.items.len() - 1
    }

    /// Ends the list or map at a place: all items behind it are within it.
    pub(crate) fn close(&mut self, place: usize) {
        let within = self.items.len() - place - 1;
        if let Some(Item::List { size, .. } | Item::Map { size, .. }) = self.items.get_mut(place) {
            *size = within;
        }
    }

    /// Returns the number of items so far, which is the place of the next one.
    #[cfg(feature = "yaml")]
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Returns the values without a parent.
    pub(crate) fn roots(&self) -> Nodes<'_, 'a> {
        Nodes { rest: &self.items }
    }

    /// Returns the complete value at a place.
    #[cfg(feature = "yaml")]
    pub(crate) fn at(&self, place: usize) -> Option<Node<'_, 'a>> {
        Nodes { rest: self.items.get(place..)? }.next()
    }

    /// Removes the items from a place on, and returns them as a tree.
    #[cfg(feature = "yaml")]
    pub(crate) fn split_off(&mut self, place: usize) -> Self {
        Self { items: self.items.split_off(place) }
    }

    /// Adds a copy of a value of another tree.
    #[cfg(feature = "yaml")]
    pub(crate) fn copy(&mut self, node: Node<'_, 'a>) {
        self.items.extend_from_slice(node.items);
    }
}

/// A value of a tree.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node<'t, 'a> {
    /// The item of the value, and those within it.
    items: &'t [Item<'a>],
}

/// Consecutive values of a tree.
#[derive(Debug, Clone)]
pub(crate) struct Nodes<'t, 'a> {
    rest: &'t [Item<'a>],
}

impl<'t, 'a> Iterator for Nodes<'t, 'a> {
    type Item = Node<'t, 'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (items, rest) = self.rest.split_at_checked(self.rest.first()?.size())?;
        self.rest = rest;
        Some(Node { items })
    }
}

/// The entries of a map, in order and with repeated keys.
#[derive(Debug, Clone)]
pub(crate) struct Entries<'t, 'a> {
    nodes: Nodes<'t, 'a>,
}

impl<'t, 'a> Iterator for Entries<'t, 'a> {
    type Item = (&'a str, Node<'t, 'a>);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.nodes.next()?.scalar(), self.nodes.next()?))
    }
}

impl<'t, 'a> Node<'t, 'a> {
    /// Returns the line on which the value begins, from 1.
    pub(crate) fn line(self) -> u32 {
        match self.items.first() {
            Some(
                Item::Text { line, .. }
                | Item::Plain { line, .. }
                | Item::List { line, .. }
                | Item::Map { line, .. },
            ) => *line,
            None => 1,
        }
    }

    /// Returns a string, and whether its line ends are lines of the source; `None` for any other value.
    pub(crate) fn text(self) -> Option<(&'a str, bool)> {
        match self.items.first() {
            Some(Item::Text { text, lines_count, .. }) => Some((text, *lines_count)),
            _ => None,
        }
    }

    /// Returns whether the value is a scalar and no string.
    pub(crate) fn is_plain(self) -> bool {
        matches!(self.items.first(), Some(Item::Plain { .. }))
    }

    /// Returns whether the value is a list.
    pub(crate) fn is_list(self) -> bool {
        matches!(self.items.first(), Some(Item::List { .. }))
    }

    /// Returns whether the value is a map.
    pub(crate) fn is_map(self) -> bool {
        matches!(self.items.first(), Some(Item::Map { .. }))
    }

    /// Returns whether the value is a list or a map.
    pub(crate) fn is_nested(self) -> bool {
        self.is_list() || self.is_map()
    }

    /// Returns the text of a scalar; empty for a list or a map.
    pub(crate) fn scalar(self) -> &'a str {
        match self.items.first() {
            Some(Item::Text { text, .. } | Item::Plain { text, .. }) => text,
            _ => "",
        }
    }

    /// Returns the items of a list; none for any other value.
    pub(crate) fn items(self) -> Nodes<'t, 'a> {
        self.within(self.is_list())
    }

    /// Returns the entries of a map; none for any other value.
    pub(crate) fn entries(self) -> Entries<'t, 'a> {
        Entries { nodes: self.within(self.is_map()) }
    }

    /// Returns the value of the first of these normalised keys that the map has.
    pub(crate) fn first(self, keys: &[&str]) -> Option<Self> {
        let of_key = |key: &&str| self.entries().find(|(other, _)| record::is_key(other, key));
        keys.iter().find_map(of_key).map(|(_, node)| node)
    }

    /// Returns the values within this one, if it has the right kind.
    fn within(self, is_kind: bool) -> Nodes<'t, 'a> {
        let rest = self.items.get(1..).filter(|_| is_kind).unwrap_or_default();
        Nodes { rest }
    }
}
