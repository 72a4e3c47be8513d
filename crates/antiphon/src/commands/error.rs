use std::fmt;

use antiphon_llm::{Cut, ErrorKind as LlmKind, Phase};
use antiphon_pipeline::{Error, ErrorKind};
use serde::Serialize;
use serde_json::json;

use crate::runtime::{ConfigError, ConnectError};

/// Exit codes; the more urgent of several wins.
pub(super) const OK: u8 = 0;
pub(super) const INTERNAL: u8 = 1;
pub(super) const USAGE: u8 = 2;
pub(super) const CONFIG: u8 = 3;
pub(super) const SOME_FAILED: u8 = 4;
pub(super) const ALL_FAILED: u8 = 5;
/// Nothing is left of the budget.
pub(super) const BUDGET: u8 = 6;
pub(super) const INTERRUPTED: u8 = 130;
pub(super) const TERMINATED: u8 = 143;

/// What went wrong with a command, and what to type next.
#[derive(Debug)]
pub(super) struct CommandError {
    code: u8,
    message: String,
    hints: Vec<String>,
}

impl CommandError {
    pub(super) fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hints: Vec::new() }
    }

    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(INTERNAL, message)
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub(super) fn code(&self) -> u8 {
        self.code
    }

    pub(super) fn hints(&self) -> &[String] {
        &self.hints
    }

    /// It, for those who read results with a program.
    pub(super) fn as_document(&self) -> impl Serialize {
        json!({ "schema": "antiphon.error/1", "error": self.message, "hints": self.hints })
    }

    /// The error of a provider that was only looked at.
    pub(super) fn of_provider(err: &antiphon_llm::Error) -> Self {
        let code = if matches!(err.kind(), LlmKind::Auth | LlmKind::Quota) { CONFIG } else { ALL_FAILED };
        hint_of(err.kind()).into_iter().fold(Self::new(code, err.to_string()), Self::hint)
    }

    /// The error of one input.
    pub(super) fn of_run(err: &Error) -> Self {
        let code = match err.kind() {
            ErrorKind::Config => USAGE,
            ErrorKind::Input if err.failures().is_empty() => USAGE,
            ErrorKind::Provider(LlmKind::Auth | LlmKind::Quota) => CONFIG,
            ErrorKind::Cancelled => INTERRUPTED,
            ErrorKind::Internal => INTERNAL,
            ErrorKind::Store(antiphon_store::ErrorKind::Newer) => CONFIG,
            ErrorKind::Store(antiphon_store::ErrorKind::NotFound | antiphon_store::ErrorKind::Conflict) => {
                USAGE
            }
            ErrorKind::Store(antiphon_store::ErrorKind::Busy | antiphon_store::ErrorKind::Damaged) => {
                INTERNAL
            }
            ErrorKind::Budget => BUDGET,
            _ => ALL_FAILED,
        };
        let mut message = err.to_string();
        let mut cause = std::error::Error::source(err);
        while let Some(source) = cause {
            message = format!("{message}: {source}");
            cause = source.source();
        }
        let mut error = Self::new(code, message);
        error.hints.extend(err.failures().iter().take(10).map(ToString::to_string));
        if let ErrorKind::Provider(kind) = err.kind() {
            error.hints.extend(hint_of(kind).map(str::to_owned));
        }
        error
    }
}

/// What a user can do about a provider's error.
pub(super) fn hint_of(kind: LlmKind) -> Option<&'static str> {
    Some(match kind {
        LlmKind::Auth => {
            "check the key in the variable that antiphon doctor names for this provider, and what it may be used for"
        }
        LlmKind::Quota => "the account has no money or allowance left: look at its billing page",
        LlmKind::ModelNotFound => "name a model that the server has with --model; antiphon models lists them",
        LlmKind::Connect => "is the server running, and is the address right? (--base-url)",
        LlmKind::InvalidResponse | LlmKind::Unsupported => {
            "does the base URL lead to this provider's interface? antiphon doctor shows what answers where"
        }
        LlmKind::InvalidRequest => {
            "the message says what is not accepted: --count, --model or --temperature may have to change"
        }
        LlmKind::Timeout { phase: Phase::Total } => "allow more time with --deadline",
        LlmKind::Timeout { .. } => "allow more time between tokens with ANTIPHON_TIMEOUT=600 (seconds)",
        LlmKind::Truncated { cause: Cut::MaxTokens } => {
            "allow a longer answer with --max-tokens, or ask for fewer personas with --count"
        }
        LlmKind::Truncated { cause: Cut::Disconnected } => "the same command tries again",
        LlmKind::RateLimited { .. } | LlmKind::Overloaded { .. } => {
            "the same command tries again; wait a little first"
        }
        LlmKind::SchemaMismatch => "a larger model, or fewer personas (--count), may keep to the form",
        LlmKind::ContextTooLong => {
            "--offline has no such limit; an engine of one's own can be given more, as far as its model goes: context = 32768 below [providers.ollama] in antiphon.toml, or llama-server -c 32768"
        }
        LlmKind::CircuitOpen { .. } => {
            "the provider fails too often: wait a little, and look at it with antiphon doctor"
        }
        _ => return None,
    })
}

impl From<ConfigError> for CommandError {
    fn from(err: ConfigError) -> Self {
        let code = if err.is_of_flags() { USAGE } else { CONFIG };
        Self::new(code, err.to_string())
    }
}

impl From<ConnectError> for CommandError {
    fn from(err: ConnectError) -> Self {
        let message = err.to_string();
        match &err {
            ConnectError::MissingKey(variables) => Self::new(CONFIG, message)
                .hint(format!("set it: export {}=…", variables.first().map_or("", String::as_str)))
                .hint("without a key and without a network: generate and content with --offline"),
            ConnectError::Provider(err) => {
                let code = if err.kind() == LlmKind::Auth { CONFIG } else { ALL_FAILED };
                let error = Self::new(code, message);
                match err.kind() {
                    LlmKind::Connect => error
                        .hint("is it running, as after ollama serve, and is the address right? (--base-url)")
                        .hint("antiphon doctor shows what answers"),
                    kind => hint_of(kind).into_iter().fold(error, Self::hint),
                }
            }
            ConnectError::NotBuilt(_) | ConnectError::Config(_) => Self::new(CONFIG, message),
            ConnectError::Setting(_) => Self::new(USAGE, message),
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CommandError {}
