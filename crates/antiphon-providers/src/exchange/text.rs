use std::borrow::Cow;

use serde::Deserialize;

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
