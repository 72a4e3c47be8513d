use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::runtime::Flags;

/// Turns data into LLM-generated content in bulk.
#[derive(Debug, Parser)]
#[command(name = "antiphon", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Start with:  antiphon generate examples/interviews --offline")]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,

    /// Say nothing on stderr but errors
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
    /// Reads txt, md, csv, json, jsonl, vtt, srt and docx, from files or from folders and everything below them. Each
    /// path is a run of its own and gets a folder of its own below --out, with personas.json, a Markdown file for each
    /// persona, personas.html and run.json. The same command again shows the finished run and asks nothing.
    ///
    /// Without --provider a local engine is used if one answers on its default port (llama.cpp, LM Studio, Ollama), else
    /// no model at all. Data goes to a cloud only when you name it.
    Generate(Box<GenerateArgs>),
    /// Show what the configuration amounts to
    Config(ConfigArgs),
}

#[derive(Debug, Args)]
pub(super) struct GenerateArgs {
    /// Interviews: files or folders
    #[arg(required = true, value_name = "PATH")]
    pub(super) inputs: Vec<PathBuf>,

    /// Personas for each path
    #[arg(short = 'n', long, default_value_t = 3, value_name = "N", value_parser = count)]
    pub(super) count: usize,

    /// How much is said of each persona
    #[arg(long, value_enum, default_value_t = DetailArg::Standard, value_name = "HOW")]
    pub(super) detail: DetailArg,

    /// Give a path up after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(super) deadline: Option<Duration>,

    /// Runs under way at once [default: 4] [env: ANTIPHON_WORKERS]
    #[arg(long, value_name = "N", value_parser = concurrency)]
    pub(super) concurrency: Option<usize>,

    /// Where results go [default: antiphon-out]
    #[arg(short, long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,

    /// Make a run again that is finished already
    #[arg(long)]
    pub(super) fresh: bool,

    /// Print one JSON document on stdout instead of a list
    #[arg(long)]
    pub(super) json: bool,

    /// How progress is shown on stderr
    #[arg(long, value_enum, default_value_t = ProgressMode::Auto, value_name = "HOW")]
    pub(super) progress: ProgressMode,

    #[command(flatten)]
    pub(super) provider: ProviderArgs,

    /// How freely words are drawn, from 0; some models refuse any value
    #[arg(long, value_name = "X", help_heading = "Model")]
    pub(super) temperature: Option<f64>,

    /// The most tokens of an answer, hidden reasoning included
    #[arg(long, value_name = "N", help_heading = "Model")]
    pub(super) max_tokens: Option<u64>,

    /// Ask for repeatable answers
    #[arg(long, value_name = "N", help_heading = "Model")]
    pub(super) seed: Option<u64>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Model")]
pub(super) struct ProviderArgs {
    /// Who answers: openai, compatible, offline, or a name from antiphon.toml
    #[arg(short, long, value_name = "NAME")]
    provider: Option<String>,

    /// The model to ask [default: the provider's]
    #[arg(short, long, value_name = "NAME")]
    model: Option<String>,

    /// The server's address, such as http://localhost:8080/v1 [env for openai: OPENAI_BASE_URL]
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,

    /// Use no network and no model: drafts by text statistics
    #[arg(long, conflicts_with_all = ["provider", "base_url", "model", "temperature", "max_tokens", "seed"])]
    offline: bool,
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
pub(super) enum DetailArg {
    /// Up to two claims of each kind: for small models, and for a first look
    Brief,
    /// Up to six claims of each kind
    Standard,
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

impl GenerateArgs {
    pub(super) fn flags(&self) -> Flags {
        let ProviderArgs { provider, model, base_url, offline } = &self.provider;
        Flags {
            provider: provider.clone(),
            model: model.clone(),
            base_url: base_url.clone(),
            offline: *offline,
            concurrency: self.concurrency,
            out: self.out.clone(),
        }
    }
}

fn count(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=50).contains(count));
    count.ok_or_else(|| "ask for 1 to 50 personas".to_owned())
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
