//! Fields of a request that a server refuses by their name, and without which the answer is the same.
//!
//! Servers of one format differ in the fields that they accept, and none lists them. A refused field that does not change the answer
//! is left out, or sent under the name that the server knows, within the same call; and it is remembered for the server and the
//! model, so that the price is one request. A refused field that changes the answer, such as a seed or a temperature, stays an
//! error, which names it.
//!
//! | field | refused |
//! |---|---|
//! | `stream_options`, `store`, `parallel_tool_calls` (no tools are sent) | left out |
//! | `max_tokens` | sent as `max_completion_tokens` |
//! | `max_completion_tokens` | sent as `max_tokens` |

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use antiphon_http::Response;
use antiphon_llm::{CallContext, Error, ErrorKind};
use serde_json::Value;
use tracing::info;

use super::fault::is_about;
use super::link::Link;

/// A change of a request that does not change the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// The field is left out.
    Drop(&'static str),
    /// The field has another name.
    Rename(&'static str, &'static str),
}

/// The changes that this crate makes. A new field belongs here only if its absence changes no answer.
const CHANGES: [Change; 5] = [
    Change::Drop("stream_options"),
    Change::Drop("store"),
    Change::Drop("parallel_tool_calls"),
    Change::Rename("max_tokens", "max_completion_tokens"),
    Change::Rename("max_completion_tokens", "max_tokens"),
];

/// Phrases of a refusal of a field as such, and not of its value.
const REFUSALS: [&str; 24] = [
    "unrecognized request argument",
    "unrecognized argument",
    "unrecognized field",
    "unrecognized parameter",
    "unrecognized key",
    "unsupported parameter",
    "unsupported field",
    "unsupported_parameter",
    "unknown parameter",
    "unknown_parameter",
    "unknown field",
    "unknown argument",
    "unknown name",
    "unexpected keyword argument",
    "unexpected field",
    "unexpected property",
    "extra inputs are not permitted",
    "extra fields not permitted",
    "additional properties are not allowed",
    "does not support param",
    "not supported",
    "not permitted",
    "not allowed",
    "unsupportedparamserror",
];

/// Phrases of a refusal of a value.
const VALUES: [&str; 8] =
    ["too large", "too small", "at most", "at least", "must be", "greater than", "less than", "exceed"];

/// The fields that a server refuses, learned from its errors for each model. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct RefusedFields {
    /// The changes by model; a server that accepts all fields needs no entry.
    learned: Arc<Mutex<HashMap<String, Vec<Change>>>>,
}

impl RefusedFields {
    /// Posts a body to a path, without the fields that the server is known to refuse; and again without those that it refuses now.
    /// Fields that the user adds stay, whatever they are.
    ///
    /// # Errors
    /// Those of [`Link::call`]; the refusal of a field that changes the answer is one of them.
    ///
    /// # Cancel safety
    /// Dropping the future drops the request in progress; what was learned before is kept.
    pub(crate) async fn post(
        &self,
        link: &Link,
        path: &str,
        mut body: Value,
        context: &CallContext,
    ) -> Result<Response, Error> {
        let model = body["model"].as_str().unwrap_or_default().to_owned();
        let mut changes = self.learned().get(&model).cloned().unwrap_or_default();
        changes.iter().for_each(|change| change.apply(&mut body));
        let known = changes.len();
        loop {
            let err = match link.call(path, &body, context).await {
                Ok(response) => {
                    if changes.len() > known {
                        self.learned().insert(model, changes);
                    }
                    return Ok(response);
                }
                Err(err) => err,
            };
            let refused: Vec<_> = CHANGES
                .into_iter()
                .filter(|change| !changes.contains(change) && !changes.contains(&change.reverse()))
                .filter(|change| change.is_asked_by(&err, &body))
                .collect();
            if refused.is_empty() {
                return Err(err);
            }
            info!("{err}; asking again without what the server refuses");
            refused.iter().for_each(|change| change.apply(&mut body));
            changes.extend(refused);
        }
    }

    /// Locks the cache; a panic elsewhere cannot leave it inconsistent, so a poisoned lock is used as it is.
    fn learned(&self) -> MutexGuard<'_, HashMap<String, Vec<Change>>> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Change {
    /// Returns the change that undoes a new name; itself for any other.
    fn reverse(self) -> Self {
        match self {
            Self::Drop(name) => Self::Drop(name),
            Self::Rename(from, to) => Self::Rename(to, from),
        }
    }

    /// Changes a request.
    fn apply(self, body: &mut Value) {
        let Some(fields) = body.as_object_mut() else { return };
        match self {
            Self::Drop(name) => drop(fields.remove(name)),
            Self::Rename(from, to) => {
                if let Some(value) = fields.remove(from) {
                    fields.insert(to.to_owned(), value);
                }
            }
        }
    }

    /// Returns whether an error refuses the field of this change, and the request has it.
    fn is_asked_by(self, err: &Error, body: &Value) -> bool {
        let (Self::Drop(name) | Self::Rename(name, _)) = self;
        let is_refusal = matches!(err.status(), Some(400 | 422))
            && matches!(err.kind(), ErrorKind::InvalidRequest | ErrorKind::Unsupported)
            && body.get(name).is_some();
        let message = err.to_string().to_lowercase();
        is_refusal && self.is_named(name, &message)
    }

    /// Returns whether a message names the field as a whole word, as one that is refused.
    fn is_named(self, name: &str, message: &str) -> bool {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let names: Vec<usize> = message
            .match_indices(name)
            .filter(|(at, _)| {
                let (before, after) = (&message[..*at], &message[at + name.len()..]);
                !before.ends_with(is_word) && !after.starts_with(is_word)
            })
            .map(|(at, _)| at)
            .collect();
        let Some(first) = names.first() else { return false };
        match self {
            // Its absence is harmless, whatever is wrong with it.
            Self::Drop("stream_options") => true,
            Self::Drop(_) => is_about(message, &REFUSALS),
            Self::Rename(_, to) => {
                // "Use 'max_completion_tokens' instead" names the other field, too, after the refused one.
                let is_first = message.find(to).is_none_or(|other| *first < other);
                is_first && is_about(message, &REFUSALS) && !is_about(message, &VALUES)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use antiphon_llm::{Error, ErrorKind};
    use serde_json::{Value, json};

    use super::{CHANGES, Change};

    /// Returns the changes that an error asks for, of a request with all fields.
    fn asked(message: &str) -> Vec<Change> {
        let body = json!({ "model": "m", "stream_options": {}, "store": false, "max_tokens": 5, "seed": 7, "temperature": 0.2 });
        let err = Error::new(ErrorKind::InvalidRequest, message).with_status(Some(400));
        CHANGES.into_iter().filter(|change| change.is_asked_by(&err, &body)).collect()
    }

    #[test]
    fn a_refused_field_that_does_not_matter_is_left_out() {
        for message in [
            "Unrecognized request argument supplied: stream_options",
            "body.stream_options: Extra inputs are not permitted",
            "[{'type': 'extra_forbidden', 'loc': ('body', 'stream_options')}]",
            "json: unknown field \"stream_options\"",
            "Unknown parameter: 'stream_options.include_usage'.",
            "stream_options is not supported by this model",
        ] {
            assert_eq!(asked(message), [Change::Drop("stream_options")], "{message}");
        }
        assert_eq!(asked("Unknown parameter: 'store'."), [Change::Drop("store")]);
        let both =
            "body.stream_options: Extra inputs are not permitted; body.store: Extra inputs are not permitted";
        assert_eq!(asked(both).len(), 2);
    }

    #[test]
    fn the_token_limit_gets_the_name_that_the_server_knows() {
        let message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
        assert_eq!(asked(message), [Change::Rename("max_tokens", "max_completion_tokens")]);
        let mut body = json!({ "max_tokens": 5 });
        Change::Rename("max_tokens", "max_completion_tokens").apply(&mut body);
        assert_eq!(body, json!({ "max_completion_tokens": 5 }));
        assert_eq!(
            asked("max_tokens is too large: 100000. At most 4096 completion tokens are supported"),
            []
        );
        assert_eq!(asked("max_tokens must be greater than 0"), []);
    }

    #[test]
    fn a_field_that_changes_the_answer_is_kept() {
        for message in [
            "Unrecognized request argument supplied: seed",
            "Unsupported value: 'temperature' does not support 0.2 with this model.",
            "body.response_format: Extra inputs are not permitted",
            "the answer cannot be stored: not allowed",
            "",
        ] {
            assert_eq!(asked(message), [], "{message}");
        }
        let server = Error::new(ErrorKind::Unavailable, "stream_options").with_status(Some(500));
        assert!(!Change::Drop("stream_options").is_asked_by(&server, &json!({ "stream_options": {} })));
        let absent = Error::new(ErrorKind::InvalidRequest, "stream_options").with_status(Some(400));
        assert!(!Change::Drop("stream_options").is_asked_by(&absent, &Value::Null));
    }
}
