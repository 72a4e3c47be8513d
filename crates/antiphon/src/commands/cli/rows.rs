use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{ENVIRONMENT, ProgressMode, ProviderArgs, concurrency};
use crate::runtime::Flags;

/// How a run ends, and what the environment says where no flag does.
pub(super) const EXITS: &str = "\
Exit codes:
  0 done  1 a defect, or a disk  2 usage  3 configuration or key  4 some rows failed  5 all failed, or nobody answered
  6 the budget is used up  130 interrupted  143 terminated";

#[derive(Debug, Args)]
#[command(after_help = EXITS, after_long_help = format!("{EXITS}\n\n{ENVIRONMENT}"))]
pub(in crate::commands) struct MapArgs {
    /// A csv, jsonl or json file, a folder of documents, or - for stdin
    #[arg(value_name = "ROWS")]
    pub(in crate::commands) rows: PathBuf,

    /// The recipe: a TOML file
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::commands) recipe: PathBuf,

    /// Where results go, a JSON object a line; - for stdout [default: results.jsonl in the run's folder]
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::commands) out: Option<PathBuf>,

    /// The folder of the journal and of all runs [default: antiphon-out]
    #[arg(long, value_name = "DIR")]
    pub(in crate::commands) dir: Option<PathBuf>,

    /// What ROWS is written as [default: what its name or its beginning tells]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(in crate::commands) format: Option<FormatArg>,

    /// The first N rows alone
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(in crate::commands) limit: Option<u64>,

    /// The most calls at once, or auto: as many as the provider takes [default: auto] [env: ANTIPHON_WORKERS]
    #[arg(long, value_name = "auto|N", value_parser = auto_or_number)]
    pub(in crate::commands) concurrency: Option<AtOnce>,

    /// Stop before all calls together cost more than so many US dollars
    #[arg(long, value_name = "USD", value_parser = dollars)]
    pub(in crate::commands) max_cost: Option<f64>,

    /// The order of results
    #[arg(long, value_enum, default_value_t = OrderArg::Input, value_name = "ORDER")]
    pub(in crate::commands) order: OrderArg,

    /// Leave an earlier run of the same command alone, and begin anew
    #[arg(long)]
    pub(in crate::commands) fresh: bool,

    /// The one run that is gone on with: for `runs resume`
    #[arg(skip)]
    pub(in crate::commands) resume: Option<String>,

    /// Whether its failed rows are asked about again: for `runs retry-failed`
    #[arg(skip)]
    pub(in crate::commands) retry_failed: bool,

    /// Say what it would take, and make no call
    #[arg(long)]
    pub(in crate::commands) dry_run: bool,

    /// Do not ask before a run that may cost more than a dollar
    #[arg(short, long, conflicts_with = "no_input")]
    pub(in crate::commands) yes: bool,

    /// Never ask anything: where an answer would be needed, stop
    #[arg(long)]
    pub(in crate::commands) no_input: bool,

    /// Print the report as JSON on stdout
    #[arg(long)]
    pub(in crate::commands) json: bool,

    /// How progress is shown on stderr
    #[arg(long, value_enum, default_value_t = ProgressMode::Auto, value_name = "HOW")]
    pub(in crate::commands) progress: ProgressMode,

    #[command(flatten)]
    pub(in crate::commands) provider: ProviderArgs,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct RunsArgs {
    /// The folder of the journal [default: antiphon-out]
    #[arg(long, value_name = "DIR", global = true)]
    pub(in crate::commands) dir: Option<PathBuf>,

    #[command(subcommand)]
    pub(in crate::commands) command: RunsCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::commands) enum RunsCommand {
    /// List all runs, oldest first
    List {
        /// Print one JSON document on stdout
        #[arg(long)]
        json: bool,
    },
    /// Show one run: rows, money, and why rows failed
    Show {
        /// Its id, the beginning of it, or latest
        #[arg(value_name = "RUN")]
        run: String,
        /// Print one JSON document on stdout
        #[arg(long)]
        json: bool,
    },
    /// Go on with a run that was stopped, as it was begun
    Resume {
        /// Its id, the beginning of it, or latest
        #[arg(value_name = "RUN")]
        run: String,
        #[command(flatten)]
        limits: LimitArgs,
    },
    /// Ask again about the rows of a run that failed
    RetryFailed {
        /// Its id, the beginning of it, or latest
        #[arg(value_name = "RUN")]
        run: String,
        #[command(flatten)]
        limits: LimitArgs,
    },
    /// Compare the results of two runs, row by row
    Diff {
        /// One run's id, the beginning of it, or latest
        #[arg(value_name = "RUN")]
        first: String,
        /// The other's
        #[arg(value_name = "OTHER")]
        second: String,
        /// Print one JSON document on stdout
        #[arg(long)]
        json: bool,
    },
    /// Write a page about a run: figures, where the time went, why rows failed, and its rows
    Report {
        /// Its id, the beginning of it, or latest
        #[arg(value_name = "RUN")]
        run: String,
        /// The file [default: report.html in the run's folder]
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Write the results that a run has, in the order of its rows; of a generation, its personas
    Export {
        /// Its id, the beginning of it, or latest
        #[arg(value_name = "RUN")]
        run: String,
        /// The file [default: stdout]
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// What it is written as [default: as the file's name ends, else jsonl]
        #[arg(short, long, value_enum, value_name = "FORMAT")]
        format: Option<ExportArg>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::commands) enum ExportArg {
    /// A JSON value a line
    Jsonl,
    /// One list of JSON values
    Json,
    /// A table with a header, in which no cell is a formula
    Csv,
    /// For people: a table, and of personas a document
    #[value(alias = "md")]
    Markdown,
}

impl ExportArg {
    /// What a file's name says.
    pub(in crate::commands) fn of(path: &std::path::Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "json" => Some(Self::Json),
            "csv" => Some(Self::Csv),
            "md" | "markdown" => Some(Self::Markdown),
            _ => None,
        }
    }
}

/// What may be another than when a run was begun.
#[derive(Debug, Args)]
pub(in crate::commands) struct LimitArgs {
    /// Stop before all calls of the run together cost more than so many US dollars [default: as it was begun]
    #[arg(long, value_name = "USD", value_parser = dollars)]
    pub(in crate::commands) max_cost: Option<f64>,

    /// The most calls at once, or auto [default: as it was begun]
    #[arg(long, value_name = "auto|N", value_parser = auto_or_number)]
    pub(in crate::commands) concurrency: Option<AtOnce>,
}

/// How many calls at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) struct AtOnce(Option<usize>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::commands) enum FormatArg {
    /// A table with a header
    Csv,
    /// A JSON value a line
    Jsonl,
    /// One list of JSON values
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::commands) enum OrderArg {
    /// That of the rows
    Input,
    /// That in which they come
    Completion,
}

impl AtOnce {
    /// The number, if there is one.
    pub(in crate::commands) fn number(self) -> Option<usize> {
        self.0
    }
}

impl From<FormatArg> for antiphon_data::RowFormat {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Csv => Self::Csv,
            FormatArg::Jsonl => Self::Jsonl,
            FormatArg::Json => Self::Json,
        }
    }
}

impl MapArgs {
    pub(in crate::commands) fn flags(&self, recipe: &antiphon_engine::Recipe) -> Flags {
        let concurrency = self.concurrency.and_then(AtOnce::number);
        let flags = self.provider.flags(concurrency, self.dir.clone(), self.max_cost);
        Flags { model: flags.model.or_else(|| recipe.model.clone()), ..flags }
    }

    pub(in crate::commands) fn results_on_stdout(&self) -> bool {
        self.out.as_deref() == Some(std::path::Path::new("-"))
    }
}

pub(super) fn auto_or_number(text: &str) -> Result<AtOnce, String> {
    match text {
        "auto" => Ok(AtOnce(None)),
        number => concurrency(number)
            .map(|number| AtOnce(Some(number)))
            .map_err(|_| "auto, or a number from 1, is needed".to_owned()),
    }
}

pub(in crate::commands) fn dollars(text: &str) -> Result<f64, String> {
    let dollars = text
        .trim_start_matches('$')
        .parse()
        .ok()
        .filter(|dollars: &f64| dollars.is_finite() && *dollars >= 0.0);
    dollars.ok_or_else(|| "an amount of US dollars is needed, such as 2.50".to_owned())
}
