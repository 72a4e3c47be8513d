//! Errors as the command line reports them: exit code, message, and hints on what to type next.
//!
//! An `OperationError` is the same for all front ends. Here its kind becomes an exit code, and its hints, which are
//! data, become sentences with the flags and commands of this program. Errors that only the command line has, such as a
//! missing confirmation, are made here directly.
//!
//! Messages have the form `cannot do: why`, lower case and without a full stop; what to do is in the hints. With
//! `--json` the error is also a document on stdout:
//!
//! ```json
//! { "schema": "antiphon.error/1", "error": "…", "hints": ["…"] }
//! ```

use std::fmt;
use std::path::Path;

use serde::Serialize;
use serde_json::json;

use super::rows::command_on;
use crate::operations::{Hint, OperationError, OperationErrorKind};
use crate::runtime::{ConfigError, ConnectError};

/// The exit code of success. Of several exit codes the more urgent wins.
pub(super) const OK: u8 = 0;
/// A defect of this program, or a disk or a store that cannot be used.
pub(super) const INTERNAL: u8 = 1;
/// A wrong flag, input or recipe; the code that clap uses for its own errors as well.
pub(super) const USAGE: u8 = 2;
/// A wrong setting, key, account or output folder: the same command fails again until it is changed.
pub(super) const CONFIG: u8 = 3;
/// Some of the work failed or is left.
pub(super) const SOME_FAILED: u8 = 4;
/// All of the work failed.
pub(super) const ALL_FAILED: u8 = 5;
/// The budget is used up.
pub(super) const BUDGET: u8 = 6;
/// Ctrl-C: 128 and the number of SIGINT, 2, as shells report it.
pub(super) const INTERRUPTED: u8 = 130;
/// SIGTERM: 128 and its number, 15.
pub(super) const TERMINATED: u8 = 143;

/// A failed command: exit code, message, and hints on what to type next.
#[derive(Debug)]
pub(super) struct CommandError {
    code: u8,
    message: String,
    hints: Vec<String>,
}

/// Returns the exit code of a kind of error. A busy store is an internal error: waiting and repeating may help, no flag
/// does.
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
    /// Creates an error without hints.
    pub(super) fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hints: Vec::new() }
    }

    /// Creates the error of a defect of this program or of the machine.
    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(INTERNAL, message)
    }

    /// Creates the error of a run that `repeat` resumes.
    pub(super) fn of_run(err: &OperationError, repeat: Repeat) -> Self {
        let hints = err.hints().iter().map(|hint| advice(hint, repeat)).collect();
        Self { code: exit_code(err.kind()), message: err.to_string(), hints }
    }

    /// Adds a hint: one imperative sentence on what to type next.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Returns the exit code.
    pub(super) fn code(&self) -> u8 {
        self.code
    }

    /// Returns the hints, in the order in which they are printed.
    pub(super) fn hints(&self) -> &[String] {
        &self.hints
    }

    /// Puts `what` before a message that does not have it, such as the input, where a command has several.
    pub(super) fn about(mut self, what: &str) -> Self {
        // The error of a file names it already.
        if !self.message.contains(what) {
            self.message = format!("{what}: {}", self.message);
        }
        self
    }

    /// Returns the error as a document for programs.
    pub(super) fn as_document(&self) -> impl Serialize {
        json!({ "schema": "antiphon.error/1", "error": self.message, "hints": self.hints })
    }
}

/// The command by which a user resumes the run of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// The same command.
    Same,
    /// The same command without `--fresh`, with which it would start another run.
    WithoutFresh,
}

impl Repeat {
    /// Returns the command of a run that may have been started with `--fresh`.
    pub(super) fn of(fresh: bool) -> Self {
        if fresh { Self::WithoutFresh } else { Self::Same }
    }

    /// Returns the command in words, as the object of "run".
    pub(super) fn command(self) -> &'static str {
        match self {
            Self::Same => "the same command again",
            Self::WithoutFresh => "the same command without --fresh",
        }
    }
}

/// The way to try a recipe without a provider: the address is the default one of `antiphon simulate`.
const TRY_SIMULATOR: &str = "to try it without a provider, run antiphon simulate and use --provider compatible --base-url http://127.0.0.1:4010/v1 --model sim-1";

/// The ways to find out why a key is rejected.
const CHECK_KEY: &str =
    "check the key and its permissions; antiphon doctor PROVIDER checks a provider step by step";

/// The ways to get credit or a quota.
const CHECK_BILLING: &str = "no credit or quota is left: check the billing page of the account; for a quota of a day or a month, wait until it resets, or raise the limit";

/// The ways to find a provider's address.
const CHECK_ADDRESS: &str =
    "check that the base URL is of this provider's API; antiphon doctor shows which provider answers where";

/// The parameters that a provider may reject.
const CHANGE_PARAMETERS: &str =
    "change the parameter that the message names, such as --count, --model or --temperature";

/// The ways to settle the sides of speakers.
const NAME_SPEAKERS: &str =
    "name a speaker who asks with --interviewer NAME, or one who answers with --participant NAME";

/// The ways to make room for a prompt.
const RAISE_CONTEXT: &str = "use --offline, which has no such limit, or raise the context window of a local engine, up to the maximum of its model: context = 32768 below [providers.ollama] in antiphon.toml, or llama-server -c 32768";

/// Returns the text of a hint, for the command line: it names flags, commands and variables. `repeat` is the command
/// that resumes the run. The match has no wildcard arm, so that a new hint needs a text.
pub(super) fn advice(hint: &Hint, repeat: Repeat) -> String {
    let command = repeat.command();
    let text = match hint {
        Hint::CheckKey => CHECK_KEY,
        Hint::SetVariable { name } => return format!("set it: export {name}=…"),
        Hint::CheckBilling => CHECK_BILLING,
        Hint::NameModel => "name a model of the server with --model; antiphon models lists them",
        Hint::SimilarModels { models } => return format!("similar models: {}", models.join(", ")),
        Hint::NameProvider => "name a provider, such as --provider ollama or --provider openai --model NAME",
        Hint::TrySimulator => TRY_SIMULATOR,
        Hint::TryOffline => "use --offline to draft without key and network",
        Hint::CheckServer => "check that the server is running, and its address (--base-url)",
        Hint::CheckAddress => CHECK_ADDRESS,
        Hint::RunDoctor => "run antiphon doctor to see which providers answer",
        Hint::ChangeParameters => CHANGE_PARAMETERS,
        Hint::RaiseDeadline => return format!("raise --deadline, and run {command} to resume"),
        Hint::RaiseOpenFiles => "raise the limit of open files (ulimit -n), or lower --max-concurrency",
        Hint::RaiseCallTimeout => "raise the time-out of an answer: call_timeout in antiphon.toml",
        Hint::RaiseTokenTimeout => {
            "raise the time-out between tokens, such as ANTIPHON_TIMEOUT=600 (seconds)"
        }
        Hint::AllowLongerAnswers => "raise --max-tokens, or lower --count to ask for fewer personas",
        Hint::StartFresh => "use --fresh to start a new run",
        Hint::Overwrite => "use --overwrite to replace it, or name another file",
        Hint::RunAgain => "run the same command again",
        Hint::RunAgainLater => return format!("wait, then run {command} to resume"),
        Hint::UseLargerModel => "use a larger model, or lower --count to ask for fewer personas",
        Hint::RaiseContext => RAISE_CONTEXT,
        Hint::ProviderFailing => "the provider fails too often: wait, and check it with antiphon doctor",
        Hint::RaiseMaxCost => return format!("raise --max-cost, and run {command} to resume"),
        Hint::SetMaxCost => "set a budget with --max-cost, or allow any cost with --yes",
        Hint::Resumes => return format!("run {command} to resume"),
        Hint::ResumesWhenFixed => {
            return format!("stored results are kept; fix the cause, then run {command} to resume");
        }
        Hint::ResumeRun { run, folder } => {
            return format!("to resume, run {}", command_on("resume", &folder.join(run)));
        }
        Hint::NameSpeakers => NAME_SPEAKERS,
        Hint::NameEncoding { probably } => return name_encoding(probably.as_deref()),
        Hint::AllowWriting { folder } => return allow_writing(folder),
        Hint::StartAgain => "run the same command again to start a new run",
        Hint::DidYouMean { name } => return format!("did you mean {name}?"),
        Hint::Unread { failure } => failure,
        Hint::NamePlace => {
            "name a place that can be written: --out for the folder of runs, --results for a file"
        }
        Hint::FetchFirst => "fetch it first: antiphon fetch URL --out DIR",
        Hint::AllowLocal => "use --allow-local to allow http, this machine and private networks",
        Hint::About { what } => return format!("this is {what}"),
        Hint::ListExperiments => "antiphon experiment list lists all experiments",
        Hint::AddData { experiment } => {
            return format!("add data with antiphon experiment add {experiment} PATH");
        }
        Hint::GiveCommandAgain => "run the same command again, with the same input",
        Hint::SeeFolder { folder } => return format!("files of the run: {}", folder.display()),
    };
    text.to_owned()
}

/// Returns the advice for a file whose encoding is not known, with the probable one.
fn name_encoding(probably: Option<&str>) -> String {
    format!("name the encoding of the file, as in --encoding {}", probably.unwrap_or("windows-1252"))
}

/// Returns the advice for a folder that has to be written.
fn allow_writing(folder: &Path) -> String {
    let folder = folder.display();
    format!("allow writing to {folder}, or copy it to a place that can be written and name that with --out")
}

impl From<OperationError> for CommandError {
    fn from(err: OperationError) -> Self {
        (&err).into()
    }
}

impl From<&OperationError> for CommandError {
    fn from(err: &OperationError) -> Self {
        Self::of_run(err, Repeat::Same)
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
