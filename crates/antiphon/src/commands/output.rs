//! Stdout for results, stderr for messages.
//!
//! | function | stream | with `--quiet` |
//! |---|---|---|
//! | `result`, `print`, `result_bytes`, `stdout`, `json_lines` | stdout | printed |
//! | `Talk::line`, `Talk::warning`, `Talk::hint`, `Talk::next`, `Talk::event` | stderr | omitted |
//! | `Talk::error`, `ask` | stderr | printed |
//!
//! A pipe that its reader closes early, as `head` does, is no error of the command. Text may quote a model, a server, a file or
//! its name, so that characters that act on a terminal or on other text are escaped on both streams by [`visible`], and in JSON
//! by [`visible_json`]. Unchanged are only bodies that `fetch` prints into a pipe, and documents that escape themselves, such as a
//! report. Colours are removed where the stream does not support them, or `NO_COLOR` is set.
//!
//! Stderr has one form, from the first line to the last: text, or with `--progress json` the events of [`ProgramEvent`]
//! and of the run, one JSON object per line (NDJSON). All of it is written by one function here, which removes a live
//! line first and redraws it afterwards.
//!
//! A secret is never part of a message: addresses are formatted by `address` here or by `without_secrets`.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use antiphon_engine::EVENT_SCHEMA;
use antiphon_render::{visible, visible_json};
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde::Serialize;
use serde_json::json;

use super::error::CommandError;
use super::summary;

/// The form of stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Text for people.
    Text,
    /// JSON objects, one per line, for programs.
    Events,
}

/// The messages on stderr, beside the results on stdout.
#[derive(Debug, Clone, Copy)]
pub(super) struct Talk {
    /// Whether only errors and questions are printed.
    quiet: bool,
    form: Form,
}

/// An event of the program, beside those of a run, with its name in `event`: what is a line of text otherwise.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum ProgramEvent<'a> {
    /// The first event: the name and version of the schema of all.
    Schema {
        /// The name and version.
        schema: &'a str,
    },
    /// Information.
    Note {
        /// The text.
        message: &'a str,
    },
    /// Something to know even if the command succeeds.
    Warning {
        /// The text.
        message: &'a str,
    },
    /// Advice on what to type next.
    Hint {
        /// The text.
        message: &'a str,
    },
    /// The command that looks at the result.
    Next {
        /// The command line.
        command: &'a str,
    },
    /// A line of the log.
    Log {
        /// `error`, `warn`, `info`, `debug` or `trace`.
        level: &'a str,
        /// The text.
        message: &'a str,
    },
    /// An error of the command, or of a part of it.
    Error {
        /// The text.
        message: String,
        /// Advice on what to type next.
        hints: &'a [String],
        /// The exit code that the error calls for; that of the command is in its summary.
        exit_code: u8,
    },
}

impl Talk {
    /// Creates the messages of one command, and prints the first event, that of the schema.
    pub(super) fn new(quiet: bool, form: Form) -> Self {
        let talk = Self { quiet, form };
        talk.event(&ProgramEvent::Schema { schema: EVENT_SCHEMA });
        talk
    }

    /// Whether only errors and questions are printed. Progress is then omitted as well.
    pub(super) fn is_quiet(self) -> bool {
        self.quiet
    }

    /// Whether stderr has events in place of text.
    pub(super) fn sends_events(self) -> bool {
        self.form == Form::Events
    }

    /// Prints an event, if stderr has events and `--quiet` is not set.
    pub(super) fn event(self, event: &impl Serialize) {
        if self.sends_events() && !self.quiet {
            to_stderr(&visible_json(&json!(event).to_string()));
        }
    }

    /// Prints a line of information.
    pub(super) fn line(self, text: &str) {
        self.say("", text, &ProgramEvent::Note { message: text });
    }

    /// Prints a warning: something to know even if the command succeeds.
    pub(super) fn warning(self, text: &str) {
        self.say(&painted("warning: ", "33"), text, &ProgramEvent::Warning { message: text });
    }

    /// Prints advice on what to type next.
    pub(super) fn hint(self, text: &str) {
        self.say(&painted("hint: ", "36"), text, &ProgramEvent::Hint { message: text });
    }

    /// Prints the command that looks at the result of a finished run.
    pub(super) fn next(self, command: &str) {
        self.say(&painted("next: ", "36"), command, &ProgramEvent::Next { command });
    }

    /// Prints a line of the log, whose level decides whether it comes here, also with `--quiet`. `text` begins with the
    /// level where stderr has text.
    pub(super) fn log(self, level: &str, text: &str) {
        to_stderr(&match self.form {
            Form::Text => visible(text).into_owned(),
            Form::Events => {
                visible_json(&json!(ProgramEvent::Log { level, message: text }).to_string()).into_owned()
            }
        });
    }

    /// Prints a text that needs no mark.
    pub(super) fn plain(self, text: &str) {
        to_stderr(&visible(text));
    }

    /// Prints a line that is a JSON document already.
    pub(super) fn document(self, text: &str) {
        to_stderr(&visible_json(text));
    }

    /// Prints an error and its hints, also with `--quiet`.
    pub(super) fn error(self, err: &CommandError) {
        summary::add_error(err);
        let (message, hints) = (err.to_string(), err.hints());
        if self.sends_events() {
            let event = ProgramEvent::Error { message, hints, exit_code: err.code() };
            return to_stderr(&visible_json(&json!(event).to_string()));
        }
        to_stderr(&format!("{}{}", painted("error: ", "31;1"), visible(&message)));
        for hint in hints {
            to_stderr(&format!("  {}", visible(hint)));
        }
    }

    /// Prints a line in the form of stderr, unless `--quiet` is set.
    fn say(self, mark: &str, text: &str, event: &ProgramEvent<'_>) {
        match self.form {
            _ if self.quiet => {}
            Form::Text => to_stderr(&format!("{mark}{}", visible(text))),
            Form::Events => self.event(event),
        }
    }
}

/// Prints a result on stdout. A pipe that its reader closes early is not an error.
///
/// # Errors
/// An internal error if stdout cannot be written, such as for a full disk.
pub(super) fn result(text: &str) -> Result<(), CommandError> {
    written(&mut anstream::stdout().lock(), visible(text).as_bytes())
}

/// Prints a result on stdout: its document as JSON, if any, else its text. Only one of them is built.
///
/// # Errors
/// The errors of [`result`] and [`json`].
pub(super) fn print(
    document: Option<serde_json::Value>,
    text: impl FnOnce() -> String,
) -> Result<(), CommandError> {
    result(&match document {
        Some(document) => json(&document)?,
        None => text(),
    })
}

/// Returns a result as indented JSON with a final newline.
///
/// # Errors
/// An internal error for a value that JSON cannot represent, such as a map whose keys are no strings.
pub(super) fn json(document: &impl Serialize) -> Result<String, CommandError> {
    let text = serde_json::to_string_pretty(document);
    text.map(|text| visible_json(&(text + "\n")).into_owned())
        .map_err(|err| CommandError::internal(err.to_string()))
}

/// Prints the bytes of a result on stdout, unchanged unless stdout is a terminal. For text use [`result`], which adapts colours to
/// the stream.
pub(super) fn result_bytes(bytes: &[u8]) -> Result<(), CommandError> {
    let mut stdout = io::stdout().lock();
    if stdout.is_terminal() {
        return written(&mut stdout, visible(&String::from_utf8_lossy(bytes)).as_bytes());
    }
    written(&mut stdout, bytes)
}

/// Prints whole lines on stdout, for results that arrive one after another. Each call is flushed, so that the reader of
/// a pipe sees a result when it arrives. In contrast to [`result`], a closed pipe is an error: the run stops, since its
/// calls would cost money for results that are not read.
pub(super) fn stdout(lines: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(lines)?;
    stdout.flush()
}

/// Prints whole lines of JSON on stdout as [`stdout`] does, with the escapes of JSON for characters that act on a terminal.
pub(super) fn json_lines(lines: &[u8]) -> io::Result<()> {
    stdout(visible_json(&String::from_utf8_lossy(lines)).as_bytes())
}

/// Writes and flushes the bytes; a closed pipe counts as success.
fn written(stdout: &mut impl Write, bytes: &[u8]) -> Result<(), CommandError> {
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(err) if err.kind() != ErrorKind::BrokenPipe => {
            Err(CommandError::internal(format!("cannot print the result: {err}")))
        }
        _ => Ok(()),
    }
}

/// Asks on stderr, and reads a line from stdin, without the white space around it; empty at the end of stdin. Blocks
/// the thread, so that async code calls it by `spawn_blocking`. A live line is removed meanwhile.
///
/// # Errors
/// The error of a stream that cannot be read or written.
pub(super) fn ask(question: &str) -> io::Result<String> {
    // No lock is held while the user thinks: other messages may be written meanwhile.
    let _hidden = HiddenLine::new();
    write!(anstream::stderr().lock(), "{}", visible(question))?;
    anstream::stderr().flush()?;
    let mut answer = String::new();
    if io::stdin().read_line(&mut answer)? == 0 {
        writeln!(anstream::stderr())?;
    }
    Ok(answer.trim().to_owned())
}

/// Returns whether there is a user to ask: both stdin and stderr are a terminal.
pub(super) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks a question whose answer is yes or no, on a thread that may block. Any other answer and the end of stdin are no
/// consent.
pub(super) async fn confirmed(question: String) -> bool {
    let answer = tokio::task::spawn_blocking(move || ask(&question)).await;
    matches!(answer.ok().and_then(Result::ok).as_deref(), Some("y" | "Y" | "yes"))
}

/// A live line that is not drawn until this is dropped.
struct HiddenLine(Option<ProgressBar>);

impl HiddenLine {
    /// Removes the live line, if there is one.
    fn new() -> Self {
        let bar = live_line().clone();
        if let Some(bar) = &bar {
            // Nothing draws from here on, so what was drawn last can be cleared.
            bar.set_draw_target(ProgressDrawTarget::hidden());
            let _ = console::Term::stderr().clear_line();
        }
        Self(bar)
    }
}

impl Drop for HiddenLine {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
}

/// Colours a text. anstream removes the colour if stderr does not support it, or NO_COLOR is set.
fn painted(text: &str, colour: &str) -> String {
    format!("\u{1b}[{colour}m{text}\u{1b}[0m")
}

/// Writes a line to stderr, above the live line if there is one.
fn to_stderr(line: &str) {
    // A closed stderr cannot be reported anywhere.
    without_live_line(|| drop(writeln!(anstream::stderr().lock(), "{line}")));
}

/// The live line of the process: there is one terminal, on which any thread may write a message.
static LIVE_LINE: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Sets the live line, which is removed while a message is printed.
pub(super) fn set_live_line(bar: ProgressBar) {
    *live_line() = Some(bar);
}

/// Removes the live line for good.
pub(super) fn end_live_line() {
    if let Some(bar) = live_line().take() {
        bar.finish_and_clear();
    }
}

/// Locks the live line.
fn live_line() -> MutexGuard<'static, Option<ProgressBar>> {
    LIVE_LINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints something while the live line is removed. Must not be called within itself.
fn without_live_line<T>(print: impl FnOnce() -> T) -> T {
    let bar = live_line().clone();
    match bar {
        Some(bar) => bar.suspend(print),
        None => print(),
    }
}

/// Returns an address for display, without query and fragment, where keys may be; `None` if it has a user name or a
/// password, or is not a valid URL with a host, so that it may have a secret anywhere.
pub(super) fn address(text: &str) -> Option<String> {
    let mut url = url::Url::parse(text).ok()?;
    let is_plain = url.has_host() && url.username().is_empty() && url.password().is_none();
    url.set_query(None);
    url.set_fragment(None);
    is_plain.then(|| url.as_str().trim_end_matches('/').to_owned())
}
