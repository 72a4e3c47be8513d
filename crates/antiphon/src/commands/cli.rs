//! The definition of the command line: commands, flags and their help texts.
//!
//! Doc comments on commands, arguments and values are the help texts that a user sees, and the manual and the
//! completions are derived from them. Values are checked here as far as that is possible without reading a file, so
//! that a wrong one is a usage error (exit code 2) before anything starts. Nothing here prints.
//!
//! Arguments that several commands share are structs of their own, flattened into each command: `RunArgs` for all that
//! start a run, `LimitArgs` for the limits, `OutArgs` for the output folder. Their methods return the plain data of the
//! operations.

mod anonymise;
mod config;
mod content;
mod experiment;
mod help;
mod model;
mod personas;
mod rows;
mod run;
mod runs;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(super) use self::config::{ConfigArgs, ConfigCommand, DoctorArgs, FileArgs};
pub(super) use self::content::ContentArgs;
pub(super) use self::experiment::{ExperimentArgs, ExperimentCommand};
use self::help::LongHelp;
pub(super) use self::model::SamplingArgs;
pub(super) use self::personas::{GenerateArgs, GenerationArgs};
pub(super) use self::rows::{MapArgs, OrderArg, OverwriteArgs};
pub(super) use self::run::{OutArgs, ReportArgs, RunArgs, file_of_out};
pub(super) use self::runs::{ConfirmDeletion, ExportArg, ResumeArgs, RunsArgs, RunsCommand};
use super::output::Form;
use crate::runtime::Flags;

/// Turns data into LLM-generated content in bulk.
#[derive(Debug, Parser)]
#[command(name = "antiphon", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Start with:  antiphon generate examples/interviews --offline")]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,

    /// Print only errors and questions on stderr
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,

    /// Log more to stderr: -v info, -vv debug, -vvv trace [default: warnings]
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub(super) verbose: u8,

    /// Format of the log on stderr
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub(super) log: LogFormat,
}

/// The format of the log. Its values have no help texts, which would turn each `-h` into a short form of `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Generate personas from interviews, and verify each quote against its source.
    ///
    /// Reads txt, md, org, html, csv, json, jsonl, yaml, vtt, srt and docx, from files and, recursively, from folders. All
    /// PATHs together are one run, with its own folder below --out: personas.json, one Markdown file per persona,
    /// personas.html and run.json; --each makes a run of each PATH. The same command again resumes an unfinished run; it
    /// shows a finished run and makes no call.
    ///
    /// Without --provider, a local engine is used if one answers on its default port (see antiphon local status), else no
    /// model. Data is sent to a cloud provider only if you name it.
    Generate(Box<GenerateArgs>),
    /// Run a prompt on each row of a table, and store the answers.
    ///
    /// ROWS is a CSV, JSONL (NDJSON) or JSON file, a folder of documents, or - for stdin. The recipe is a TOML file with a
    /// prompt, in which {{ name }} is replaced by that field of the row, and with the required form of an answer: a JSON
    /// schema (structured output) and checks, or any text.
    ///
    /// Each call is written to a journal before it is sent (write-ahead), and each result before it is reported. The same
    /// command again resumes an unfinished run, however it ended; for a finished run it makes no call. Failed rows are
    /// written with their errors to failed.jsonl, which is itself valid as ROWS.
    Map(Box<MapArgs>),
    /// Generate websites from notes: copy in a theme's voice, in self-contained pages.
    ///
    /// Each file of notes becomes one page per theme; several pages get an index. Links and star counts that are not in the
    /// notes are removed and reported. Calls are journalled as in map: the same command again makes no call for an answer
    /// that is stored.
    ///
    /// Without --provider, a local engine is used if one answers on its default port, else no model.
    Content(Box<ContentArgs>),
    /// Keep data, persona settings and all runs of an experiment in one folder
    Experiment(ExperimentArgs),
    /// List, show, resume, retry, cancel, compare, report, export and delete runs
    Runs(RunsArgs),
    /// Download files concurrently, and resume partial downloads.
    ///
    /// With --out, each file is named after its URL, and is NAME.part until it is complete; the same command again resumes
    /// partial files and skips complete ones. Without --out, the files are printed, up to 16 MiB each. Redirects are
    /// followed, and failed requests are retried.
    Fetch(FetchArgs),
    /// Run a server that simulates LLM APIs, with rate limits and faults, for tests at no cost.
    ///
    /// The server listens on this machine only, over HTTP/1.1 and HTTP/2, with the formats of OpenAI (chat completions and
    /// Responses), Anthropic, Gemini, Ollama and llama.cpp, each below its usual path. Each answer is the same text, or, for
    /// a request with a JSON schema, a value that is valid. GET /_sim/stats returns statistics of the requests, GET
    /// /_sim/verdict an assessment of the clients; POST /_sim/reset resets both.
    Simulate(SimulateArgs),
    /// List the models of a provider, with context windows and prices.
    ///
    /// Without --provider, lists the models of the local engines that answer.
    Models(ModelsArgs),
    /// Check all providers, or one step by step, with advice on what is missing.
    ///
    /// All providers are checked concurrently, for at most 5 seconds: keys, addresses, models and local engines. One provider is
    /// checked step by step: its configuration and key, name resolution, connection with TLS, whether it accepts the key and has
    /// the model, and whether the price is known. No model is called, so the check costs nothing.
    Doctor(DoctorArgs),
    /// Show local engines and their models, and fetch models
    Local(LocalArgs),
    /// Show, get and set the settings of antiphon.toml
    Config(ConfigArgs),
    /// Print a shell script that completes commands and flags
    Completions {
        /// The shell
        #[arg(value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write one page per command into a folder
    Man {
        /// Folder for the pages, created if missing [default: print one page]
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

impl Command {
    /// Whether the result of the command is one JSON document. Its error is then one as well, since a program reads it.
    pub(super) fn wants_json(&self) -> bool {
        match self {
            Self::Generate(args) => args.how.run.json,
            Self::Experiment(args) => args.command.wants_json(),
            Self::Map(args) => args.run.json,
            Self::Content(args) => args.run.json,
            Self::Fetch(args) => args.json,
            Self::Models(args) => args.json,
            Self::Doctor(args) => args.json,
            Self::Local(args) => args.command.wants_json(),
            Self::Runs(args) => args.command.wants_json(),
            Self::Config(args) => args.command.wants_json(),
            Self::Simulate(_) | Self::Completions { .. } | Self::Man { .. } => false,
        }
    }
}

impl Command {
    /// Returns the options for reports on a run; `None` for a command that makes none.
    pub(super) fn reports(&self) -> Option<&ReportArgs> {
        match self {
            Self::Generate(args) => Some(&args.how.run.reports),
            Self::Map(args) => Some(&args.run.reports),
            Self::Content(args) => Some(&args.run.reports),
            Self::Experiment(args) => args.command.reports(),
            Self::Runs(args) => args.command.reports(),
            _ => None,
        }
    }

    /// Returns the form of stderr: events with `--progress json`.
    pub(super) fn form(&self) -> Form {
        match self.reports() {
            Some(reports) if reports.progress == ProgressMode::Json => Form::Events,
            _ => Form::Text,
        }
    }
}

/// The environment variables that a run observes, for `--help`.
const ENVIRONMENT: LongHelp = LongHelp::Environment;

/// The environment variables that a download observes, for `--help`.
const NETWORK: LongHelp = LongHelp::Network;

#[derive(Debug, Args)]
#[command(after_long_help = NETWORK)]
pub(super) struct FetchArgs {
    /// URLs that begin with http:// or https://
    #[arg(required = true, value_name = "URL")]
    pub(super) urls: Vec<String>,

    /// Folder for the files, created if missing [default: print the files]
    #[arg(short, long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,

    /// Maximum number of concurrent downloads [default: 10] [env: ANTIPHON_WORKERS]
    #[arg(long, value_name = "N", value_parser = concurrency, alias = "concurrency")]
    pub(super) max_concurrency: Option<usize>,

    /// Start fresh: fetch existing files again, and replace them
    #[arg(long, requires = "out")]
    pub(super) fresh: bool,

    /// Print one JSON document about the files on stdout, instead of their paths
    #[arg(long, requires = "out")]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct SimulateArgs {
    /// Port to listen on; 0 picks a free one
    #[arg(long, value_name = "N", default_value_t = 4010)]
    pub(super) port: u16,

    /// TOML file with the server's behaviour, instead of the options below
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "latency", "spread", "tokens_per_second", "answer_tokens", "requests_per_second", "tokens_per_minute", "limit_signal",
        "errors", "resets", "stalls", "halves", "garbage", "seed",
    ])]
    pub(super) scenario: Option<PathBuf>,

    /// Time to the first byte of an answer, in milliseconds
    #[arg(long, value_name = "MS", default_value = "0", value_parser = millis)]
    pub(super) latency: Duration,

    /// Sigma of a log-normal latency with the median --latency, such as 0.5 [default: fixed latency]
    #[arg(long, value_name = "SIGMA", value_parser = positive)]
    pub(super) spread: Option<f64>,

    /// Rate of a streamed answer, in tokens per second [default: all at once]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(super) tokens_per_second: Option<f64>,

    /// Length of an answer, in tokens
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub(super) answer_tokens: u32,

    /// Rate limit, in requests per second [default: none]
    #[arg(long, value_name = "N", value_parser = positive, help_heading = "Limits")]
    pub(super) requests_per_second: Option<f64>,

    /// Burst that --requests-per-second allows, in requests
    #[arg(
        long,
        value_name = "N",
        default_value_t = 10,
        requires = "requests_per_second",
        help_heading = "Limits"
    )]
    pub(super) burst: u32,

    /// Rate limit, in tokens per minute [default: none]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(super) tokens_per_minute: Option<u32>,

    /// Information about the rate limits in responses
    #[arg(long, value_enum, default_value_t = LimitSignalArg::Headers, value_name = "WHAT", help_heading = "Limits")]
    pub(super) limit_signal: LimitSignalArg,

    /// Fraction of requests that get status 500, from 0 to 1
    #[arg(long, value_name = "PART", default_value_t = 0.0, value_parser = part, help_heading = "Faults")]
    pub(super) errors: f64,

    /// Fraction of requests that are reset before an answer
    #[arg(long, value_name = "PART", default_value_t = 0.0, value_parser = part, help_heading = "Faults")]
    pub(super) resets: f64,

    /// Fraction of answers that stall in the middle and never resume
    #[arg(long, value_name = "PART", default_value_t = 0.0, value_parser = part, help_heading = "Faults")]
    pub(super) stalls: f64,

    /// Fraction of answers that end in the middle as if complete
    #[arg(long, value_name = "PART", default_value_t = 0.0, value_parser = part, help_heading = "Faults")]
    pub(super) halves: f64,

    /// Fraction of answers that are not valid JSON
    #[arg(long, value_name = "PART", default_value_t = 0.0, value_parser = part, help_heading = "Faults")]
    pub(super) garbage: f64,

    /// Seed of the random number generator
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LimitSignalArg {
    /// x-ratelimit headers with each answer, and Retry-After with a 429
    Headers,
    /// Retry-After with a 429, to the millisecond
    RetryAfter,
    /// Retry-After with a 429, in whole seconds
    RetryAfterSeconds,
    /// The status only
    None,
}

#[derive(Debug, Args)]
#[command(after_long_help = KEYS)]
pub(super) struct ModelsArgs {
    /// List models that generate no text, too
    #[arg(short, long)]
    pub(super) all: bool,

    /// Print one JSON document on stdout
    #[arg(long)]
    pub(super) json: bool,

    #[arg(short, long, value_name = "NAME", help = help::provider_of_models())]
    provider: Option<String>,

    /// Base URL of the server
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
}

/// The providers, and the variables for their keys and addresses, for `--help`.
const KEYS: LongHelp = LongHelp::Providers;

#[derive(Debug, Args)]
pub(super) struct LocalArgs {
    #[command(subcommand)]
    pub(super) command: LocalCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum LocalCommand {
    /// Show the engines that answer on their default ports, with their concurrency limits (slots)
    Status {
        /// Print one JSON document on stdout
        #[arg(long)]
        json: bool,
    },
    /// List the models of the engines
    Models {
        /// Print one JSON document on stdout
        #[arg(long)]
        json: bool,
    },
    #[command(about = help::pull())]
    Pull {
        /// Name of the model
        #[arg(value_name = "MODEL")]
        model: String,
    },
}

impl LocalCommand {
    /// Whether the result is one JSON document.
    fn wants_json(&self) -> bool {
        match self {
            Self::Status { json } | Self::Models { json } => *json,
            Self::Pull { .. } => false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ProgressMode {
    /// A live line on a terminal, plain lines elsewhere
    Auto,
    /// Plain lines
    Plain,
    /// One JSON object per line (NDJSON), also for warnings, errors and, last, the summary
    Json,
    /// No progress
    None,
}

impl ModelsArgs {
    /// Returns the flags from which the settings are resolved: the provider and its address.
    pub(super) fn flags(&self) -> Flags {
        let mut flags = Flags::default();
        (flags.provider, flags.base_url) = (self.provider.clone(), self.base_url.clone());
        flags
    }
}

/// Parses a concurrency limit: a whole number of at least 1.
fn concurrency(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "expected a number of at least 1".to_owned())
}

/// Parses a duration in seconds, such as `0.5`; 0 is rejected, since a run with that deadline would start no call.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds
        .filter(|seconds| !seconds.is_zero())
        .ok_or_else(|| "expected a positive number of seconds".to_owned())
}

/// Parses a duration in whole milliseconds, from 0.
fn millis(text: &str) -> Result<Duration, String> {
    let millis = text.parse().map_err(|_| "expected a whole number of milliseconds".to_owned())?;
    Ok(Duration::from_millis(millis))
}

/// Parses a finite number above 0, such as a rate.
fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "expected a number above 0".to_owned())
}

/// Parses a fraction, from 0 to 1 inclusive.
fn part(text: &str) -> Result<f64, String> {
    let part = text.parse().ok().filter(|part| (0.0..=1.0).contains(part));
    part.ok_or_else(|| "expected a number from 0 to 1".to_owned())
}
