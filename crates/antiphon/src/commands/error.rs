use std::fmt;

use serde::Serialize;
use serde_json::json;

use crate::operations::{Hint, OperationError, OperationErrorKind};
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

/// The exit code of each kind of error.
pub(super) fn exit_code(kind: OperationErrorKind) -> u8 {
    match kind {
        OperationErrorKind::Request | OperationErrorKind::NotFound | OperationErrorKind::Conflict => USAGE,
        OperationErrorKind::Configuration => CONFIG,
        OperationErrorKind::Incomplete => SOME_FAILED,
        OperationErrorKind::Failed => ALL_FAILED,
        OperationErrorKind::Budget => BUDGET,
        OperationErrorKind::Cancelled => INTERRUPTED,
        OperationErrorKind::Busy | OperationErrorKind::Internal => INTERNAL,
    }
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

    /// The same with words before its message.
    pub(super) fn about(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// It, for those who read results with a program.
    pub(super) fn as_document(&self) -> impl Serialize {
        json!({ "schema": "antiphon.error/1", "error": self.message, "hints": self.hints })
    }
}

/// Words for advice.
pub(super) fn advice(hint: &Hint) -> String {
    let text = match hint {
        Hint::CheckKey => {
            "check the key in the variable that antiphon doctor names for this provider, and what it may be used for"
        }
        Hint::SetVariable { name } => return format!("set it: export {name}=…"),
        Hint::CheckBilling => "the account has no money or allowance left: look at its billing page",
        Hint::NameModel => "name a model that the server has with --model; antiphon models lists them",
        Hint::SimilarModels { models } => return format!("models with such a name: {}", models.join(", ")),
        Hint::NameProvider => "name a provider, such as --provider ollama or --provider openai --model NAME",
        Hint::TrySimulator => {
            "to try it without one: antiphon simulate, and --provider compatible --base-url http://127.0.0.1:4010/v1 --model sim-1"
        }
        Hint::TryOffline => "without a key and without a network: generate and content with --offline",
        Hint::CheckServer => "is the server running (ollama serve), and is the address right (--base-url)?",
        Hint::CheckAddress => {
            "does the base URL lead to this provider's interface? antiphon doctor shows what answers where"
        }
        Hint::RunDoctor => "antiphon doctor shows what answers",
        Hint::ChangeParameters => {
            "the message says what is not accepted: --count, --model or --temperature may have to change"
        }
        Hint::RaiseDeadline => "allow more time with --deadline; the same command resumes what is left",
        Hint::RaiseOpenFiles => "allow more open files with ulimit -n, or fewer calls with --max-concurrency",
        Hint::RaiseCallTimeout => "allow more time for one answer with call_timeout in antiphon.toml",
        Hint::RaiseTokenTimeout => "allow more time between tokens with ANTIPHON_TIMEOUT=600 (seconds)",
        Hint::AllowLongerAnswers => {
            "allow a longer answer with --max-tokens, or ask for fewer personas with --count"
        }
        Hint::StartFresh => "use --fresh to start a new run",
        Hint::Overwrite => "use --overwrite to replace it, or name another file",
        Hint::RunAgain => "the same command tries again",
        Hint::RunAgainLater => "the same command tries again and resumes what is left; wait a little first",
        Hint::UseLargerModel => "a larger model, or fewer personas (--count), may keep to the form",
        Hint::RaiseContext => {
            "--offline has no such limit; an engine of one's own can be given more, as far as its model goes: context = 32768 below [providers.ollama] in antiphon.toml, or llama-server -c 32768"
        }
        Hint::ProviderFailing => "the provider fails too often: wait a little; antiphon doctor looks at it",
        Hint::RaiseMaxCost => "with a higher --max-cost the same command resumes with what is left",
        Hint::SetMaxCost => "say how much it may cost with --max-cost, or that anything is fine with --yes",
        Hint::Resumes => "the same command resumes with what is left",
        Hint::ResumesWhenFixed => {
            "what was acknowledged is kept; when that is fixed the same command resumes with what is left"
        }
        Hint::ResumeRun { run } => return format!("antiphon runs resume {run} asks about what is left"),
        Hint::StartAgain => "the same command starts a new run",
        Hint::DidYouMean { name } => return format!("did you mean {name}?"),
        Hint::Unread { failure } => failure,
        Hint::FetchFirst => "fetch it first: antiphon fetch URL --out DIR",
        Hint::AllowLocal => "--allow-local takes http, this machine and its network, too",
        Hint::About { what } => return format!("this is {what}"),
        Hint::ListExperiments => "antiphon experiment list shows which there are",
        Hint::AddData { experiment } => {
            return format!("antiphon experiment add {experiment} PATH brings some");
        }
        Hint::GiveCommandAgain => "give the same command again, with the same input",
        Hint::SeeFolder { folder } => return format!("what there is of it: {}", folder.display()),
    };
    text.to_owned()
}

impl From<OperationError> for CommandError {
    fn from(err: OperationError) -> Self {
        (&err).into()
    }
}

impl From<&OperationError> for CommandError {
    fn from(err: &OperationError) -> Self {
        let hints = err.hints().iter().map(advice).collect();
        Self { code: exit_code(err.kind()), message: err.to_string(), hints }
    }
}

impl From<ConfigError> for CommandError {
    fn from(err: ConfigError) -> Self {
        OperationError::from(err).into()
    }
}

impl From<ConnectError> for CommandError {
    fn from(err: ConnectError) -> Self {
        OperationError::from(err).into()
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CommandError {}

#[cfg(test)]
mod tests {
    use super::{OperationErrorKind, exit_code};

    #[test]
    fn every_kind_has_its_exit_code() {
        for (kind, code) in [
            (OperationErrorKind::Internal, 1),
            (OperationErrorKind::Busy, 1),
            (OperationErrorKind::Request, 2),
            (OperationErrorKind::NotFound, 2),
            (OperationErrorKind::Conflict, 2),
            (OperationErrorKind::Configuration, 3),
            (OperationErrorKind::Incomplete, 4),
            (OperationErrorKind::Failed, 5),
            (OperationErrorKind::Budget, 6),
            (OperationErrorKind::Cancelled, 130),
        ] {
            assert_eq!(exit_code(kind), code, "{kind:?}");
        }
    }
}
