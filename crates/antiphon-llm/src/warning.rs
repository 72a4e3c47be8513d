use std::fmt;

use serde::{Deserialize, Serialize};

/// A warning about a call that was answered: the answer can be used, and something about it is not as was requested.
///
/// Serialised as `{"kind": "prompt_cut", "message": "…"}`. Two calls have the same reason for a warning if the kinds are equal;
/// the messages may have numbers of one call.
///
/// ```
/// use antiphon_llm::{CallWarning, CallWarningKind};
/// let warning = CallWarning::prompt_cut("the server counted 300 tokens of a prompt of about 7500");
/// assert_eq!(warning.kind, CallWarningKind::PromptCut);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CallWarning {
    /// The reason.
    pub kind: CallWarningKind,
    /// The message for people, with what to do.
    pub message: String,
}

/// The reason for a [`CallWarning`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CallWarningKind {
    /// The server counted far fewer tokens than the prompt has: it probably answered to a part of the prompt.
    PromptCut,
    /// The server accepted the schema of a structured output, and the answer shows that it ignored it.
    SchemaIgnored,
    /// The server is known not to enforce the schema, or has rejected it: the schema is in the prompt only.
    SchemaNotEnforced,
}

impl CallWarning {
    /// Creates the warning of a prompt that the server probably cut.
    #[must_use]
    pub fn prompt_cut(message: impl Into<String>) -> Self {
        Self { kind: CallWarningKind::PromptCut, message: message.into() }
    }

    /// Creates the warning of a schema that the server ignored.
    #[must_use]
    pub fn schema_ignored(message: impl Into<String>) -> Self {
        Self { kind: CallWarningKind::SchemaIgnored, message: message.into() }
    }

    /// Creates the warning of a schema that is in the prompt only.
    #[must_use]
    pub fn schema_not_enforced(message: impl Into<String>) -> Self {
        Self { kind: CallWarningKind::SchemaNotEnforced, message: message.into() }
    }
}

impl fmt::Display for CallWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
