//! Commands and paths.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The result of a step: a value, or the reason why it failed.
pub(crate) type Done<T = ()> = Result<T, String>;

/// Returns the root of the checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

/// Returns the folder that cargo builds into, from which the checks run programs.
pub(crate) fn target() -> PathBuf {
    root().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// Runs a command in the root of the checkout, with inherited output.
pub(crate) fn run(command: &mut Command) -> Done {
    let text = shown(command);
    println!("\n$ {text}");
    let status = command.current_dir(root()).status().map_err(|err| format!("{text}: {err}"))?;
    if status.success() { Ok(()) } else { Err(format!("{text} failed ({status})")) }
}

/// Runs a command in the root of the checkout and returns its stdout.
pub(crate) fn read(command: &mut Command) -> Done<String> {
    let text = shown(command);
    let output = command.current_dir(root()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|err| format!("{text}: {err}"))?;
    if output.status.success() {
        String::from_utf8(output.stdout).map_err(|err| format!("{text}: {err}"))
    } else {
        Err(format!("{text} failed ({})", output.status))
    }
}

/// Returns whether a program is installed: whether it succeeds with these arguments, such as `--version`.
pub(crate) fn is_there(program: &str, args: &[&str]) -> bool {
    let found = Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

/// Creates a command from a line, split at single spaces and without quoting.
pub(crate) fn words(line: &str) -> Command {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    command
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
