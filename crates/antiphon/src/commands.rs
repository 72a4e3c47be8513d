//! The program: command line in, results on stdout, talk on stderr, and an exit code.

mod cli;
mod config;
mod doctor;
mod error;
mod fetch;
mod generate;
mod interrupt;
mod local;
mod models;
mod output;
mod progress;
mod simulate;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind as ClapErrorKind;

use crate::commands::cli::{Cli, Command};
use crate::commands::error::CommandError;
use crate::commands::output::Talk;

/// Runs the program with the process's arguments and environment.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(err) => {
            // Help and version are results; a mistake is talk. A closed pipe is nobody's fault.
            let _ = err.print();
            return ExitCode::from(match err.kind() {
                ClapErrorKind::DisplayHelp | ClapErrorKind::DisplayVersion => error::OK,
                _ => error::USAGE,
            });
        }
    };
    let talk = Talk::new(cli.quiet);
    output::log_to_stderr(cli.verbose, cli.quiet);
    let done = match &cli.command {
        Command::Generate(args) => in_runtime(generate::run(args, &talk)),
        Command::Fetch(args) => in_runtime(fetch::run(args, &talk)),
        Command::Simulate(args) => in_runtime(simulate::run(args, &talk)),
        Command::Models(args) => in_runtime(models::run(args, &talk)),
        Command::Doctor(args) => in_runtime(doctor::run(args, &talk)),
        Command::Local(args) => in_runtime(local::run(args, &talk)),
        Command::Config(args) => in_runtime(config::run(args)),
    };
    ExitCode::from(match done {
        Ok(code) => code,
        Err(err) => {
            talk.error(&err);
            err.code()
        }
    })
}

fn in_runtime(command: impl Future<Output = Result<u8, CommandError>>) -> Result<u8, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|err| CommandError::internal(format!("no threads to work with: {err}")))?;
    let done = runtime.block_on(command);
    // A read or a write that was given up must not keep the program from ending.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    done
}
