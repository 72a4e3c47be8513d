//! The removal of secrets from texts of servers: in whole texts, in JSON values and in streams.
//!
//! A server receives each secret of a request, and any of its texts may repeat one. A [`Redactor`] is therefore applied where
//! a response enters, and nothing behind it has to know of secrets.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use needles::Needle;

mod needles;
mod scan;
mod units;

/// The text in place of a secret.
const MARK: &str = "[key]";

/// A remover of known secrets from the texts of a server.
///
/// | form of a secret in a text | example, of `k/y` |
/// |---|---|
/// | in any case | `K/Y` |
/// | with escapes of JSON, also of JSON within JSON | `\u006b\/y` |
/// | percent-encoded, also twice | `k%2Fy`, `k%252Fy` |
/// | with character references of HTML | `k&#47;y` |
/// | in Base64, at any offset, in both alphabets | `ay95` |
/// | in hexadecimal | `6b2f79` |
/// | with invisible characters in it | `k\u200b/y` |
/// | cut at the end of a text, if most of it is there | |
///
/// A value in Base64, as in `Basic …`, is also removed in its decoded form, and a password without its user name. A short
/// value is no secret, since its removal would destroy texts: secrets have at least 6 characters, and other values at least 8.
/// Use [`redact`](crate::redact) for keys that are not known.
///
/// A clone shares the list of secrets.
///
/// ```
/// use antiphon_llm::Redactor;
/// let redactor = Redactor::new(["hunter22"], ["team-4711"]);
/// assert_eq!(redactor.redact("no: hunter%322 of TEAM-4711"), "no: [key] of [key]");
/// ```
#[derive(Clone, Default)]
pub struct Redactor {
    inner: Arc<Inner>,
}

/// The forms of the secrets that are looked for.
struct Inner {
    needles: Vec<Needle>,
    /// The positions of those that may begin with each byte of a text.
    by_first_byte: Box<[Vec<usize>; 256]>,
}

impl Default for Inner {
    fn default() -> Self {
        Self { needles: Vec::new(), by_first_byte: needles::by_first_byte(&[]) }
    }
}

impl Redactor {
    /// The minimum length in characters of a secret that is removed, such as a key.
    pub const MIN_SECRET: usize = 6;
    /// The minimum length in characters of another value that is removed, such as that of a header.
    pub const MIN_VALUE: usize = 8;

    /// Creates a redactor of secrets, and of other values that a server should not repeat, such as those of configured headers.
    ///
    /// Shorter ones are left out, as are the placeholders that servers without keys are configured with, such as `not-needed`,
    /// and values that are one plain word or a date.
    #[must_use]
    pub fn new<'a>(
        secrets: impl IntoIterator<Item = &'a str>,
        values: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let mut needles = Vec::new();
        secrets.into_iter().for_each(|secret| needles::add_secret(&mut needles, secret));
        values.into_iter().for_each(|value| needles::add_value(&mut needles, value));
        let by_first_byte = needles::by_first_byte(&needles);
        Self { inner: Arc::new(Inner { needles, by_first_byte }) }
    }

    /// Returns a text without the secrets; each becomes `[key]`. A text without any is not copied.
    #[must_use]
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.inner.scan(text, scan::Rest::None) {
            (Some(redacted), _) => Cow::Owned(redacted),
            (None, _) => Cow::Borrowed(text),
        }
    }

    /// Returns a text without the secrets, in place of `text`.
    #[must_use]
    pub fn redacted(&self, text: String) -> String {
        match self.redact(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(redacted) => redacted,
        }
    }

    /// Removes the secrets from all texts and keys of a JSON value.
    pub fn redact_value(&self, value: &mut Value) {
        if self.inner.needles.is_empty() {
            return;
        }
        match value {
            Value::String(text) => *text = self.redacted(std::mem::take(text)),
            Value::Array(values) => values.iter_mut().for_each(|value| self.redact_value(value)),
            Value::Object(fields) => {
                fields.values_mut().for_each(|value| self.redact_value(value));
                if fields.keys().any(|key| matches!(self.redact(key), Cow::Owned(_))) {
                    let renamed = std::mem::take(fields).into_iter();
                    *fields = renamed.map(|(key, value)| (self.redacted(key), value)).collect();
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Returns a redactor for a text that arrives in pieces.
    #[must_use]
    pub fn stream(&self) -> RedactedText {
        RedactedText { redactor: self.clone(), held: String::new() }
    }
}

impl fmt::Debug for Redactor {
    /// Formats the number of forms alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").field("forms", &self.inner.needles.len()).finish_non_exhaustive()
    }
}

/// A redactor of a text in pieces, over which a secret may be split.
///
/// Only the longest end of the text that may begin a secret is held back.
///
/// ```
/// let redactor = antiphon_llm::Redactor::new(["hunter22"], []);
/// let mut text = redactor.stream();
/// assert_eq!(text.push("I hunt"), "I ");
/// assert_eq!(text.push("er22 and"), "[key] and");
/// assert_eq!(text.push(" hunt"), " ");
/// assert_eq!(text.finish(), "hunt");
/// ```
#[derive(Debug, Default)]
pub struct RedactedText {
    redactor: Redactor,
    held: String,
}

impl RedactedText {
    /// Adds a piece, and returns the part of the text that can be shown. A piece that neither has a secret nor may begin one is
    /// not copied.
    pub fn push<'p>(&mut self, piece: &'p str) -> Cow<'p, str> {
        let scan = |text: &str| self.redactor.inner.scan(text, scan::Rest::Follows);
        if self.held.is_empty() {
            let (redacted, end) = scan(piece);
            self.held.push_str(&piece[end..]);
            return redacted.map_or(Cow::Borrowed(&piece[..end]), Cow::Owned);
        }
        let mut text = std::mem::take(&mut self.held);
        text.push_str(piece);
        let (redacted, end) = scan(&text);
        self.held.push_str(&text[end..]);
        text.truncate(end);
        Cow::Owned(redacted.unwrap_or(text))
    }

    /// Ends the text, and returns its rest.
    pub fn finish(&mut self) -> String {
        self.redactor.redacted(std::mem::take(&mut self.held))
    }
}

#[cfg(test)]
mod tests;
