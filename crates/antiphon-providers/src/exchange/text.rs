use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// A text of a format, which borrows from the event where it has no escapes.
#[derive(Debug, Deserialize)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

impl Text<'_> {
    /// The words, if the field is there.
    pub(crate) fn option<'t>(text: Option<&'t Text<'_>>) -> Option<&'t str> {
        text.map(|text| &*text.0)
    }

    /// The words, or none where the field is missing or null.
    pub(crate) fn of<'t>(text: Option<&'t Text<'_>>) -> &'t str {
        Self::option(text).unwrap_or_default()
    }
}

/// The size in bytes of what a field brings: none where it is missing, null or empty.
pub(crate) fn size_of(field: Option<&RawValue>) -> usize {
    field.map_or(0, |field| match field.get() {
        "null" | "\"\"" | "[]" | "{}" | "false" => 0,
        text => text.len(),
    })
}
