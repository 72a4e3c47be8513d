mod content;
mod experiment;
mod help;
mod model;
mod personas;
mod rows;
mod run;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(super) use self::content::ContentArgs;
pub(super) use self::experiment::{ExperimentArgs, ExperimentCommand};
use self::help::LongHelp;
pub(super) use self::model::SamplingArgs;
pub(super) use self::personas::{GenerateArgs, GenerationArgs};
pub(super) use self::rows::{ExportArg, MapArgs, OrderArg, OverwriteArgs, RunsArgs, RunsCommand};
pub(super) use self::run::{LimitArgs, OutArgs, RunArgs, file_of_out};
use crate::runtime::Flags;

/// Turns data into LLM-generated content in bulk.
#[derive(Debug, Parser)]
#[command(name = "antiphon", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Start with:  antiphon generate examples/interviews --offline")]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,

    /// Say nothing on stderr but errors and questions
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,

    /// Say more on stderr: -v what is done, -vv why, -vvv everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub(super) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make personas from interviews, every quote checked against its source.
    ///
    /// Reads txt, md, org, html, csv, json, jsonl, yaml, vtt, srt and docx, from files or from folders and everything below them. Each
    /// path is a run of its own and gets a folder of its own below --out, with personas.json, a Markdown file for each
    /// persona, personas.html and run.json. The same command again shows the finished run and asks nothing.
    ///
    /// Without --provider a local engine is used if one answers on its default port (antiphon local status), else no model
    /// at all. Data goes to a cloud only when you name it.
    Generate(Box<GenerateArgs>),
    /// Ask a model about each row of a table, and keep what it says.
    ///
    /// ROWS is a csv, jsonl or json file, a folder of documents, or - for stdin. The recipe is a TOML file with a prompt, in
    /// which a row's fields stand as {{ name }}, and what an answer has to be: a JSON schema and checks, or any text.
    ///
    /// Every call is in a journal before it is sent and every result before it is reported. The same command again resumes
    /// with what is left, after any kind of end; of a finished run it asks nothing. Rows that fail are named with why, in
    /// failed.jsonl, which can be run again.
    Map(Box<MapArgs>),
    /// Make sites from notes: the copy in a theme's voice, and a page that needs nothing else.
    ///
    /// Each file of notes gets a page in each theme, and several pages an index. Links and counts of stars that the
    /// notes do not have are left out and named. Calls are journalled as those of map: the same command asks for nothing that is there.
    ///
    /// Without --provider a local engine is used if one answers on its default port, else no model at all.
    Content(Box<ContentArgs>),
    /// Keep data, how personas are drawn from it, and every run in one folder that one comes back to
    Experiment(ExperimentArgs),
    /// Look at runs, and resume them
    Runs(RunsArgs),
    /// Fetch files, many at once, and resume what broke off.
    ///
    /// With --out each goes into a file named after its address, beside NAME.part while it is not whole; the same command
    /// resumes that, and leaves alone what is there already. Without --out what comes is printed, up to 16 MiB each.
    /// Redirects are followed, and failures are tried again.
    Fetch(FetchArgs),
    /// Run a server that answers as a model's vendor does, with limits and faults, for tests without a bill.
    ///
    /// It listens on this machine alone, in HTTP/1.1 and HTTP/2, and speaks the formats of OpenAI (chat completions and
    /// Responses), Anthropic, Gemini, Ollama and llama.cpp, each below its usual path. It always says the same words; asked
    /// for a JSON schema, it answers with a value that fits. What it has seen is under /_sim/stats, what it thinks of its
    /// clients under /_sim/verdict; POST /_sim/reset begins anew.
    Simulate(SimulateArgs),
    /// List the models of a provider, with their contexts and prices.
    ///
    /// Without --provider, those of the local engines that answer.
    Models(ModelsArgs),
    /// Look at every provider: keys, addresses, models, local engines, and what to do about what is missing.
    ///
    /// All are asked at once, for five seconds at most. No model works for it, so it costs nothing.
    Doctor(DoctorArgs),
    /// Look at the engines on this machine, and fetch models
    Local(LocalArgs),
    /// Show what the configuration amounts to
    Config(ConfigArgs),
    /// Print a script that completes commands and flags in a shell
    Completions {
        /// The shell
        #[arg(value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write one for each command into a folder
    Man {
        /// The folder, made if it is not there
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

impl Command {
    /// Whether its result is one JSON document.
    pub(super) fn wants_json(&self) -> bool {
        match self {
            Self::Generate(args) => args.how.run.json,
            Self::Experiment(args) => match &args.command {
                ExperimentCommand::Generate { how, .. } => how.run.json,
                ExperimentCommand::List { json }
                | ExperimentCommand::Show { json, .. }
                | ExperimentCommand::History { json, .. } => *json,
                _ => false,
            },
            Self::Map(args) => args.run.json,
            Self::Content(args) => args.run.json,
            Self::Fetch(args) => args.json,
            Self::Models(args) => args.json,
            Self::Doctor(args) => args.json,
            Self::Local(LocalArgs {
                command: LocalCommand::Status { json } | LocalCommand::Models { json },
            }) => *json,
            Self::Runs(args) => match &args.command {
                RunsCommand::List { json }
                | RunsCommand::Show { json, .. }
                | RunsCommand::Diff { json, .. } => *json,
                _ => false,
            },
            Self::Local(_)
            | Self::Simulate(_)
            | Self::Config(_)
            | Self::Completions { .. }
            | Self::Man { .. } => false,
        }
    }
}

/// What the environment says where no flag does.
const ENVIRONMENT: LongHelp = LongHelp::Environment;

#[derive(Debug, Args)]
#[command(after_long_help = ENVIRONMENT)]
pub(super) struct FetchArgs {
    /// Addresses that begin with http or https
    #[arg(required = true, value_name = "URL")]
    pub(super) urls: Vec<String>,

    /// The folder for the files, made if it is not there [default: print what comes]
    #[arg(short, long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,

    /// Files in progress at once [default: 10] [env: ANTIPHON_WORKERS]
    #[arg(long = "max-concurrency", value_name = "N", value_parser = concurrency, alias = "concurrency")]
    pub(super) concurrency: Option<usize>,

    /// Fetch again what is there already, and put it in its place
    #[arg(long, requires = "out")]
    pub(super) fresh: bool,

    /// Print one JSON document about the files on stdout instead of their paths
    #[arg(long, requires = "out")]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct SimulateArgs {
    /// The port to listen on; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 4010)]
    pub(super) port: u16,

    /// A TOML file that says how it behaves, instead of the options below
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "latency", "spread", "tokens_per_second", "answer_tokens", "requests_per_second", "tokens_per_minute", "tells",
        "errors", "resets", "stalls", "halves", "garbage", "seed",
    ])]
    pub(super) scenario: Option<PathBuf>,

    /// The time to the first byte of an answer, in milliseconds
    #[arg(long, value_name = "MS", default_value = "0", value_parser = millis)]
    pub(super) latency: Duration,

    /// Spread the latency as real models do: log-normal around --latency, such as 0.5
    #[arg(long, value_name = "SIGMA", value_parser = positive)]
    pub(super) spread: Option<f64>,

    /// How fast the words of a streamed answer come [default: all at once]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(super) tokens_per_second: Option<f64>,

    /// The words of an answer
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub(super) answer_tokens: u32,

    /// Refuse more requests than this each second
    #[arg(long, value_name = "N", value_parser = positive, help_heading = "Limits")]
    pub(super) requests_per_second: Option<f64>,

    /// The most requests at once that --requests-per-second allows
    #[arg(
        long,
        value_name = "N",
        default_value_t = 10,
        requires = "requests_per_second",
        help_heading = "Limits"
    )]
    pub(super) burst: u32,

    /// Refuse more tokens than this each minute
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(super) tokens_per_minute: Option<u32>,

    /// What is told of the limits
    #[arg(long, value_enum, default_value_t = TellsArg::Headers, value_name = "WHAT", help_heading = "Limits")]
    pub(super) tells: TellsArg,

    /// The part of requests that get a 500, from 0 to 1
    #[arg(long, value_name = "PART", default_value_t = 0.0, value_parser = part, help_heading = "Faults")]
    pub(super) errors: f64,

    /// The part of requests that are broken off
    #[arg(long, value_name = "PART", default_value_t = 0.0, value_parser = part, help_heading = "Faults")]
    pub(super) resets: f64,

    /// The part of answers that stop in the middle and never go on
    #[arg(long, value_name = "PART", default_value_t = 0.0, value_parser = part, help_heading = "Faults")]
    pub(super) stalls: f64,

    /// The part of answers that end in the middle
    #[arg(long, value_name = "PART", default_value_t = 0.0, value_parser = part, help_heading = "Faults")]
    pub(super) halves: f64,

    /// The part of answers that are no JSON
    #[arg(long, value_name = "PART", default_value_t = 0.0, value_parser = part, help_heading = "Faults")]
    pub(super) garbage: f64,

    /// The seed of everything that is left to chance
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum TellsArg {
    /// x-ratelimit headers with each answer, and the wait with a refusal
    Headers,
    /// The wait with a refusal, to the millisecond
    RetryAfter,
    /// The wait with a refusal, in whole seconds
    RetryAfterSeconds,
    /// Nothing but the status
    Nothing,
}

#[derive(Debug, Args)]
#[command(after_long_help = KEYS)]
pub(super) struct ModelsArgs {
    /// List those that write no text, too
    #[arg(short, long)]
    pub(super) all: bool,

    /// Print one JSON document on stdout
    #[arg(long)]
    pub(super) json: bool,

    #[arg(short, long, value_name = "NAME", help = help::provider_of_models())]
    provider: Option<String>,

    /// The server's address
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
}

/// The providers, and where keys and addresses are looked for.
const KEYS: LongHelp = LongHelp::Providers;

#[derive(Debug, Args)]
#[command(after_long_help = KEYS)]
pub(super) struct DoctorArgs {
    /// Print one JSON document on stdout
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct LocalArgs {
    #[command(subcommand)]
    pub(super) command: LocalCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum LocalCommand {
    /// Show which engines answer on their usual ports, and how many calls they work on at once
    Status {
        /// Print one JSON document on stdout
        #[arg(long)]
        json: bool,
    },
    /// List the models that they have
    Models {
        /// Print one JSON document on stdout
        #[arg(long)]
        json: bool,
    },
    #[command(about = help::pull())]
    Pull {
        /// The model's name
        #[arg(value_name = "MODEL")]
        model: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    pub(super) command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print the settings that hold
    Show {
        /// Print where each is from, too
        #[arg(long)]
        origin: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ProgressMode {
    /// A line that moves on a terminal, plain lines elsewhere
    Auto,
    /// Plain lines
    Plain,
    /// One JSON object a line for each step, beside warnings
    Json,
    /// Nothing
    None,
}

impl ModelsArgs {
    pub(super) fn flags(&self) -> Flags {
        let mut flags = Flags::default();
        (flags.provider, flags.base_url) = (self.provider.clone(), self.base_url.clone());
        flags
    }
}

fn concurrency(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "a number from 1 is needed".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds
        .filter(|seconds| !seconds.is_zero())
        .ok_or_else(|| "a positive number of seconds is needed".to_owned())
}

fn millis(text: &str) -> Result<Duration, String> {
    let millis = text.parse().map_err(|_| "a whole number of milliseconds is needed".to_owned())?;
    Ok(Duration::from_millis(millis))
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "a number above 0 is needed".to_owned())
}

fn part(text: &str) -> Result<f64, String> {
    let part = text.parse().ok().filter(|part| (0.0..=1.0).contains(part));
    part.ok_or_else(|| "a number from 0 to 1 is needed".to_owned())
}
