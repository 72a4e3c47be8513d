//! Labels in columns: between tabs or bars, and in tables of Markdown.

use super::label::{Mark, MarkKind, bare, can_be_label, is_sender};
use super::notice;
use super::stamp::Stamp;
use crate::formats::{is_person_key, normal};

/// Returns the mark of a row of a table in Markdown whose cells are a time or none, a name, and the words.
pub(super) fn in_row(text: &str) -> Option<Mark<'_>> {
    let cells = text.strip_prefix('|')?.trim_start();
    let stamp = Stamp::lead(cells).filter(|stamp| stamp.rest.starts_with('|'));
    let named = stamp.as_ref().map_or(cells, |stamp| stamp.rest.trim_start_matches(['|', ' ']));
    let (label, words) = named.split_once('|')?;
    let (label, words) = (bare(label), words.trim_start());
    let is_row = words.trim_end().trim_end_matches('|').contains(char::is_alphabetic);
    let kind = if stamp.is_some() { MarkKind::Colon } else { MarkKind::Weak };
    (is_row && can_be_label(label) && !is_person_key(&normal(label))).then(|| Mark {
        label,
        time: stamp.map(|stamp| stamp.time),
        words: words.len(),
        kind,
    })
}

/// Returns the mark of a line whose time, sender and words are columns between tabs or bars, as LINE exports
/// them.
pub(super) fn in_columns(text: &str) -> Option<Mark<'_>> {
    let (label, words) = text.split_once('\t').or_else(|| text.split_once(" | "))?;
    let words = words.trim_start();
    let is_sender = !words.is_empty() && is_sender(label) && !notice::is_change_of_group(label);
    is_sender.then_some(Mark { label, time: None, words: words.len(), kind: MarkKind::Colon })
}
