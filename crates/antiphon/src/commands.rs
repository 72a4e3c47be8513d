//! The command line: results on stdout, messages on stderr, and an exit code.
//!
//! Each command is a module with an async function `run`, which returns the exit code or a `CommandError`. A command
//! parses nothing and decides little: it turns flags into a request of [`operations`](crate::operations), and puts the
//! outcome into text. Everything that prints is in here, so that the library below can be embedded in another program.
//!
//! - Stdout has only the result, as text or, with `--json`, as one document with a `schema`. It can be piped.
//! - Stderr has progress, warnings, hints and errors; `--quiet` leaves the errors and the questions. With `--progress json`
//!   all of it is events, of which the last is the `summary`.
//! - Ctrl-C drains a run first and aborts it at the second time (`interrupt`); commands that have nothing to finish
//!   leave the signal to its default action, which ends the process.

mod anonymised;
mod cli;
mod config;
mod confirm;
mod content;
mod deletion;
mod diff;
mod doctor;
mod error;
mod experiment;
mod fetch;
mod front;
mod generate;
mod interrupt;
mod local;
mod log;
mod manual;
mod map;
mod memory;
mod models;
mod output;
mod progress;
mod recording;
mod rows;
mod runs;
mod simulate;
mod status_line;
mod summary;

use std::any::Any;
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind as ClapErrorKind;

use crate::commands::cli::{Cli, Command};
use crate::commands::error::CommandError;
use crate::commands::log::Log;
use crate::commands::memory::has_little_space;
use crate::commands::output::{Form, Talk};

pub use memory::share_one_heap;

/// Runs the program with the process's arguments and environment, and returns its exit code.
///
/// Builds a multi-threaded tokio runtime, so it must not be called from within one, with fewer threads where the process has little
/// memory; see [`share_one_heap`]. Raises the soft limit on open file
/// descriptors of the process, and installs a `tracing` subscriber unless the process has one already.
///
/// | exit code | meaning |
/// |---|---|
/// | 0 | the command succeeded, or printed its help |
/// | 1 | internal error, or a disk or store that cannot be used |
/// | 2 | usage: a flag, an input or a recipe is wrong |
/// | 3 | configuration: a setting, a key, an account or the output folder is wrong |
/// | 4 | some of the work failed or is left, as after a deadline |
/// | 5 | all of the work failed, or there was no answer |
/// | 6 | the budget of the run is used up |
/// | 130, 143 | interrupted by Ctrl-C (SIGINT), terminated (SIGTERM) |
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(err) => return print_parse_error(&err),
    };
    let talk = Talk::new(cli.quiet, cli.command.form());
    report_panics(talk);
    // Each call may need a connection, and each connection is a file descriptor.
    antiphon_fs::raise_open_file_limit();
    let code = execute(&cli, talk).unwrap_or_else(|err| report_error(&err, &cli.command, talk));
    summary::print(code, talk);
    ExitCode::from(code)
}

/// Reports panics as events where stderr has events: the text that the standard library prints is no JSON.
fn report_panics(talk: Talk) {
    if talk.sends_events() {
        std::panic::set_hook(Box::new(move |panic| {
            let place = panic.location().map(ToString::to_string);
            talk.error(&CommandError::internal(panic_message(panic.payload(), place.as_deref())));
        }));
    }
}

/// Returns the message of a panic.
fn panic_message(payload: &dyn Any, place: Option<&str>) -> String {
    let texts =
        [payload.downcast_ref::<&str>().copied(), payload.downcast_ref::<String>().map(String::as_str)];
    let text = texts.into_iter().flatten().next().unwrap_or("a panic");
    let place = place.map(|place| format!(", at {place}")).unwrap_or_default();
    format!("a defect of this program: {text}{place}")
}

/// Returns whether an argument has characters that act on a terminal.
fn acts(arg: &str) -> bool {
    matches!(antiphon_render::visible(arg), std::borrow::Cow::Owned(_))
}

/// Prints what ended the parsing of the arguments, and returns the exit code: the help and the version are no errors.
fn print_parse_error(err: &clap::Error) -> ExitCode {
    let code = match err.kind() {
        ClapErrorKind::DisplayHelp | ClapErrorKind::DisplayVersion => error::OK,
        _ => error::USAGE,
    };
    if code == error::USAGE && asks_for_events() {
        let (talk, text) = (Talk::new(false, Form::Events), err.render().to_string());
        talk.error(&CommandError::new(code, text.trim_start_matches("error: ").trim_end()));
        summary::print(code, talk);
    } else if std::env::args_os().any(|arg| acts(&arg.to_string_lossy())) {
        // Errors quote the arguments, and the help has the name of the program.
        let text = err.render().to_string();
        if code == error::OK {
            let _ = output::result(&antiphon_render::visible(&text));
        } else {
            Talk::new(false, Form::Text).plain(text.trim_end());
        }
    } else {
        // Help and version go to stdout, usage errors to stderr. A closed pipe is not an error.
        let _ = err.print();
    }
    ExitCode::from(code)
}

/// Whether arguments that cannot be parsed have `--progress json`.
fn asks_for_events() -> bool {
    let args: Vec<_> = std::env::args_os().collect();
    let is_pair =
        |pair: &[OsString]| matches!(pair, [flag, value] if flag == "--progress" && value == "json");
    args.windows(2).any(is_pair) || args.iter().any(|arg| arg == "--progress=json")
}

/// Runs the command on a new runtime, from the start of the logs to their last flush.
fn execute(cli: &Cli, talk: Talk) -> Result<u8, CommandError> {
    let runtime = start_runtime().map_err(|err| {
        CommandError::internal(format!("cannot start threads: {err}"))
            .hint("raise the limits of this shell on memory and processes, ulimit -v and ulimit -u")
    })?;
    interrupt::outlive_file_limit(&runtime);
    let log = Log::start(cli, talk, runtime.handle())?;
    let code = runtime.block_on(run_to_end(&cli.command, talk));
    log.end(talk);
    // Abandoned reads and writes must not delay the exit.
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(code)
}

/// Starts the runtime, with fewer threads where the process has little memory.
fn start_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    // The runtime itself panics if the system gives it no thread.
    let probe = std::thread::Builder::new().stack_size(2 << 20).spawn(|| ())?;
    probe.join().map_err(|_| std::io::Error::other("a thread ended early"))?;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if has_little_space() {
        builder.worker_threads(1).max_blocking_threads(4);
    }
    builder.enable_all().build()
}

/// Runs the command, reports its error, writes its summary, and returns its exit code.
async fn run_to_end(command: &Command, talk: Talk) -> u8 {
    let done = match command.reports().and_then(|reports| reports.summary.as_deref()) {
        Some(file) => summary::prepare(file).await,
        None => Ok(()),
    };
    let done = match done {
        Ok(()) => run(command, &talk).await,
        Err(err) => Err(err),
    };
    let code = done.unwrap_or_else(|err| report_error(&err, command, talk));
    match summary::write(code).await {
        Ok(()) => code,
        // Stdout may have a document already.
        Err(err) => {
            talk.error(&err);
            code.max(err.code())
        }
    }
}

/// Reports the error of a command, and returns its exit code. Where a program expects a document on stdout, it gets one
/// with the error, in addition to the message on stderr.
fn report_error(err: &CommandError, command: &Command, talk: Talk) -> u8 {
    output::end_live_line();
    if command.wants_json() {
        // A closed pipe is not an error.
        let _ = output::json(&err.as_document()).and_then(|text| output::result(&text));
    }
    talk.error(err);
    err.code()
}

/// Runs a command to its exit code. The large futures are boxed, so that this one stays small.
async fn run(command: &Command, talk: &Talk) -> Result<u8, CommandError> {
    match command {
        Command::Generate(args) => Box::pin(generate::run(args, talk)).await,
        Command::Content(args) => Box::pin(content::run(args, talk)).await,
        Command::Map(args) => Box::pin(map::run(args, talk)).await,
        Command::Fetch(args) => Box::pin(fetch::run(args, talk)).await,
        Command::Simulate(args) => simulate::run(args, talk).await,
        Command::Models(args) => models::run(args, talk).await,
        Command::Doctor(args) => doctor::run(args, talk).await,
        Command::Local(args) => local::run(args, talk).await,
        Command::Experiment(args) => Box::pin(experiment::run(args, talk)).await,
        Command::Runs(args) => Box::pin(runs::run(args, talk)).await,
        Command::Config(args) => config::run(args, talk).await,
        Command::Completions { shell } => manual::completions(*shell),
        Command::Man { dir } => manual::pages(dir.as_deref()).await,
    }
}

#[cfg(test)]
mod tests {
    use super::panic_message;

    #[test]
    fn a_panic_is_one_line_with_its_place() {
        let place = Some("src/a.rs:1:2");
        assert_eq!(
            panic_message(&"no \"row\"", place),
            "a defect of this program: no \"row\", at src/a.rs:1:2"
        );
        assert_eq!(panic_message(&"text".to_owned(), None), "a defect of this program: text");
        assert_eq!(panic_message(&1, None), "a defect of this program: a panic");
    }
}
