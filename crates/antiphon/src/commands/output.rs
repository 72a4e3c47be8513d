use std::borrow::Cow;
use std::io::{self, ErrorKind, Write};

use super::error::CommandError;

/// What is said on stderr, beside the results on stdout.
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

    /// A line for whoever looks on.
    pub(super) fn line(self, text: &str) {
        self.say("", text);
    }

    fn say(self, mark: &str, text: &str) {
        if !self.quiet {
            to_stderr(mark, text);
        }
    }

    /// A warning: a thing that the user will want to know even if all goes well.
    pub(super) fn warning(self, text: &str) {
        self.say(&painted("warning: ", "33"), text);
    }

    /// Says how to go on with what was begun with `--fresh`.
    pub(super) fn goes_on_without_fresh(self) {
        self.hint("with --fresh the same command begins another run: without it, it resumes this one");
    }

    pub(super) fn hint(self, text: &str) {
        self.say(&painted("hint: ", "36"), text);
    }

    /// An error, which is never hushed up, and what to do about it.
    pub(super) fn error(self, err: &CommandError) {
        to_stderr(&painted("error: ", "31;1"), &err.to_string());
        for hint in err.hints() {
            to_stderr("  ", hint);
        }
    }
}

/// A result on stdout. Whoever closes the pipe early has had enough, and that is fine.
pub(super) fn result(text: &str) -> Result<(), CommandError> {
    written(&mut anstream::stdout().lock(), text.as_bytes())
}

/// A result on stdout: its document as JSON, if there is one, else its text.
pub(super) fn print(
    document: Option<serde_json::Value>,
    text: impl FnOnce() -> String,
) -> Result<(), CommandError> {
    result(&match document {
        Some(document) => json(&document)?,
        None => text(),
    })
}

/// A result as JSON for people and programs.
pub(super) fn json(document: &impl serde::Serialize) -> Result<String, CommandError> {
    let text = serde_json::to_string_pretty(document);
    text.map(|text| text + "\n").map_err(|err| CommandError::internal(err.to_string()))
}

/// A result on stdout as it is, whatever it is.
pub(super) fn result_bytes(bytes: &[u8]) -> Result<(), CommandError> {
    written(&mut io::stdout().lock(), bytes)
}

/// Whole lines on stdout, for results that come one after another.
pub(super) fn stdout(lines: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(lines)?;
    stdout.flush()
}

fn written(stdout: &mut impl Write, bytes: &[u8]) -> Result<(), CommandError> {
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(err) if err.kind() != ErrorKind::BrokenPipe => {
            Err(CommandError::internal(format!("the result cannot be printed: {err}")))
        }
        _ => Ok(()),
    }
}

/// Asks on stderr, and reads a line from stdin. It blocks.
pub(super) fn ask(question: &str) -> io::Result<String> {
    // Others may write to stderr while somebody thinks.
    write!(anstream::stderr().lock(), "{}", harmless(question))?;
    anstream::stderr().flush()?;
    let mut answer = String::new();
    if io::stdin().read_line(&mut answer)? == 0 {
        writeln!(anstream::stderr())?;
    }
    Ok(answer.trim().to_owned())
}

/// Colour where stderr takes it: anstream takes it away elsewhere, and where NO_COLOR is set.
fn painted(text: &str, colour: &str) -> String {
    format!("\u{1b}[{colour}m{text}\u{1b}[0m")
}

/// What a model or a server said may stand in the text: it must not move the cursor or rename the window.
fn to_stderr(mark: &str, text: &str) {
    // There is nobody to tell that stderr is closed.
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

/// An address as it may be shown; `None` where there is, or may be, a secret in it.
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
    fn what_a_server_says_does_not_move_the_cursor() {
        assert_eq!(harmless("a\tb\nc"), "a\tb\nc");
        assert_eq!(harmless("x\u{1b}]0;y\u{7}\r"), "x\\u{1b}]0;y\\u{7}\\r");
    }
}
