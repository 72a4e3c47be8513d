//! Fields of events, read without copies: an answer has thousands of events, and most have one short text that
//! matters.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// A JSON string, which borrows from the event where it has no escapes.
///
/// serde's own `Cow` never borrows inside an `Option`; this wrapper does.
#[derive(Debug, Deserialize)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

impl Text<'_> {
    /// Returns the text, if the field is present.
    pub(crate) fn option<'t>(text: Option<&'t Text<'_>>) -> Option<&'t str> {
        text.map(|text| &*text.0)
    }

    /// Returns the text, or an empty one where the field is missing or null.
    pub(crate) fn of<'t>(text: Option<&'t Text<'_>>) -> &'t str {
        Self::option(text).unwrap_or_default()
    }
}

/// Returns the size in bytes of a field's JSON: 0 where it is missing, null, `false` or empty.
///
/// Only the size of hidden output matters, for the watchdog, so the field is never parsed.
pub(crate) fn size_of(field: Option<&RawValue>) -> usize {
    field.map_or(0, |field| match field.get() {
        "null" | "\"\"" | "[]" | "{}" | "false" => 0,
        text => text.len(),
    })
}
