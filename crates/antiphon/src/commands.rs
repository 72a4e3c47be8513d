//! The command line: results on stdout, messages on stderr, and an exit code.

mod cli;
mod config;
mod content;
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
mod models;
mod output;
mod progress;
mod rows;
mod runs;
mod simulate;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind as ClapErrorKind;

use crate::commands::cli::{Cli, Command};
use crate::commands::error::CommandError;
use crate::commands::log::Log;
use crate::commands::output::Talk;

/// Runs the program with the process's arguments and environment.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(err) => {
            // Help and version go to stdout, usage errors to stderr. A closed pipe is not an error.
            let _ = err.print();
            return ExitCode::from(match err.kind() {
                ClapErrorKind::DisplayHelp | ClapErrorKind::DisplayVersion => error::OK,
                _ => error::USAGE,
            });
        }
    };
    let talk = Talk::new(cli.quiet);
    // Each call may need a connection, and each connection is a file descriptor.
    antiphon_fs::raise_open_file_limit();
    let done = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|err| CommandError::internal(format!("cannot start threads: {err}")))
        .and_then(|runtime| {
            let log = Log::start(&cli, runtime.handle())?;
            let done = runtime.block_on(run(&cli.command, &talk));
            log.end(talk);
            // Abandoned reads and writes must not delay the exit.
            runtime.shutdown_timeout(std::time::Duration::from_secs(1));
            done
        });
    ExitCode::from(match done {
        Ok(code) => code,
        Err(err) => {
            if cli.command.wants_json() {
                // A closed pipe is not an error.
                let _ = output::json(&err.as_document()).and_then(|text| output::result(&text));
            }
            talk.error(&err);
            err.code()
        }
    })
}

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
        Command::Config(args) => config::run(args).await,
        Command::Completions { shell } => manual::completions(*shell),
        Command::Man { dir } => manual::pages(dir.as_deref()).await,
    }
}
