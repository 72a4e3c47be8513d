use std::borrow::Cow;
use std::io::{self, ErrorKind, Write};

use super::error::CommandError;

/// The messages on stderr, beside the results on stdout.
#[derive(Debug, Clone, Copy)]
pub(super) struct Talk {
    quiet: bool,
}

impl Talk {
    pub(super) fn new(quiet: bool) -> Self {
        Self { quiet }
    }

    pub(super) fn is_quiet(self) -> bool {
        self.quiet
    }

    /// Prints a line of information.
    pub(super) fn line(self, text: &str) {
        self.say("", text);
    }

    fn say(self, mark: &str, text: &str) {
        if !self.quiet {
            to_stderr(mark, text);
        }
    }

    /// Prints a warning: something to know even if the command succeeds.
    pub(super) fn warning(self, text: &str) {
        self.say(&painted("warning: ", "33"), text);
    }

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
pub(super) fn result(text: &str) -> Result<(), CommandError> {
    written(&mut anstream::stdout().lock(), text.as_bytes())
}

/// Prints a result on stdout: its document as JSON, if any, else its text.
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
pub(super) fn json(document: &impl serde::Serialize) -> Result<String, CommandError> {
    let text = serde_json::to_string_pretty(document);
    text.map(|text| text + "\n").map_err(|err| CommandError::internal(err.to_string()))
}

/// Prints the bytes of a result on stdout unchanged.
pub(super) fn result_bytes(bytes: &[u8]) -> Result<(), CommandError> {
    written(&mut io::stdout().lock(), bytes)
}

/// Prints whole lines on stdout, for results that arrive one after another.
pub(super) fn stdout(lines: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(lines)?;
    stdout.flush()
}

fn written(stdout: &mut impl Write, bytes: &[u8]) -> Result<(), CommandError> {
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(err) if err.kind() != ErrorKind::BrokenPipe => {
            Err(CommandError::internal(format!("cannot print the result: {err}")))
        }
        _ => Ok(()),
    }
}

/// Asks on stderr, and reads a line from stdin. Blocks the thread.
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

fn harmless(text: &str) -> Cow<'_, str> {
    let acts = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let shown = text.chars().map(|c| if acts(c) { c.escape_default().to_string() } else { c.to_string() });
    Cow::Owned(shown.collect())
}

/// Returns an address for display; `None` if it has, or may have, a secret.
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
