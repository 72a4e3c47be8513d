//! Stdout for results, stderr for messages.
//!
//! | function | stream | with `--quiet` |
//! |---|---|---|
//! | `result`, `print`, `result_bytes`, `stdout` | stdout | printed |
//! | `Talk::line`, `Talk::warning`, `Talk::hint` | stderr | omitted |
//! | `Talk::error`, `ask` | stderr | printed |
//!
//! A pipe that its reader closes early, as `head` does, is no error of the command. Text on stderr may quote a model or
//! a server, so that control characters are escaped; on stdout nothing is escaped, since programs read it. Colours are
//! removed where the stream does not support them, or `NO_COLOR` is set.
//!
//! A secret is never part of a message: addresses are formatted by `address` here or by `without_secrets`.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Write};

use super::error::CommandError;

/// The messages on stderr, beside the results on stdout.
#[derive(Debug, Clone, Copy)]
pub(super) struct Talk {
    /// Whether only errors and questions are printed.
    quiet: bool,
}

impl Talk {
    /// Creates the messages of one command.
    pub(super) fn new(quiet: bool) -> Self {
        Self { quiet }
    }

    /// Whether only errors and questions are printed. Progress is then omitted as well.
    pub(super) fn is_quiet(self) -> bool {
        self.quiet
    }

    /// Prints a line of information.
    pub(super) fn line(self, text: &str) {
        self.say("", text);
    }

    /// Prints a line unless `--quiet` is set.
    fn say(self, mark: &str, text: &str) {
        if !self.quiet {
            to_stderr(mark, text);
        }
    }

    /// Prints a warning: something to know even if the command succeeds.
    pub(super) fn warning(self, text: &str) {
        self.say(&painted("warning: ", "33"), text);
    }

    /// Prints advice on what to type next.
    pub(super) fn hint(self, text: &str) {
        self.say(&painted("hint: ", "36"), text);
    }

    /// Prints an error and its hints, also with `--quiet`.
    pub(super) fn error(self, err: &CommandError) {
        to_stderr(&painted("error: ", "31;1"), &err.to_string());
        for hint in err.hints() {
            to_stderr("  ", hint);
        }
    }
}

/// Prints a result on stdout. A pipe that its reader closes early is not an error.
///
/// # Errors
/// An internal error if stdout cannot be written, such as for a full disk.
pub(super) fn result(text: &str) -> Result<(), CommandError> {
    written(&mut anstream::stdout().lock(), text.as_bytes())
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
pub(super) fn json(document: &impl serde::Serialize) -> Result<String, CommandError> {
    let text = serde_json::to_string_pretty(document);
    text.map(|text| text + "\n").map_err(|err| CommandError::internal(err.to_string()))
}

/// Prints the bytes of a result on stdout unchanged. For text use [`result`], which adapts colours to the stream.
pub(super) fn result_bytes(bytes: &[u8]) -> Result<(), CommandError> {
    written(&mut io::stdout().lock(), bytes)
}

/// Prints whole lines on stdout, for results that arrive one after another. Each call is flushed, so that the reader of
/// a pipe sees a result when it arrives. In contrast to [`result`], a closed pipe is an error: the run stops, since its
/// calls would cost money for results that are not read.
pub(super) fn stdout(lines: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(lines)?;
    stdout.flush()
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
/// the thread, so that async code calls it by `spawn_blocking`.
///
/// # Errors
/// The error of a stream that cannot be read or written.
pub(super) fn ask(question: &str) -> io::Result<String> {
    // The lock is not held while the user thinks: other messages may be written meanwhile.
    write!(anstream::stderr().lock(), "{}", harmless(question))?;
    anstream::stderr().flush()?;
    let mut answer = String::new();
    if io::stdin().read_line(&mut answer)? == 0 {
        writeln!(anstream::stderr())?;
    }
    Ok(answer.trim().to_owned())
}

/// Colours a text. anstream removes the colour if stderr does not support it, or NO_COLOR is set.
fn painted(text: &str, colour: &str) -> String {
    format!("\u{1b}[{colour}m{text}\u{1b}[0m")
}

/// Writes a line to stderr. The text may quote a model or a server, which must not move the cursor or rename the window.
fn to_stderr(mark: &str, text: &str) {
    // A closed stderr cannot be reported anywhere.
    let _ = writeln!(anstream::stderr().lock(), "{mark}{}", harmless(text));
}

/// Escapes control characters other than newlines and tabs. A text without any is not copied.
fn harmless(text: &str) -> Cow<'_, str> {
    let acts = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let shown = text.chars().map(|c| if acts(c) { c.escape_default().to_string() } else { c.to_string() });
    Cow::Owned(shown.collect())
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

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(harmless("a\tb\nc"), "a\tb\nc");
        assert_eq!(harmless("x\u{1b}]0;y\u{7}\r"), "x\\u{1b}]0;y\\u{7}\\r");
    }
}
