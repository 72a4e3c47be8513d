use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::ENVIRONMENT;
use super::run::{EXITS, LimitArgs, OutArgs, RowLimitArgs, RunArgs};

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
    #[arg(long, value_name = "FILE")]
    pub(in crate::commands) results: Option<PathBuf>,

    #[command(flatten)]
    pub(in crate::commands) existing: OverwriteArgs,

    #[command(flatten)]
    pub(in crate::commands) out: OutArgs,

    /// What ROWS is written as [default: what its name or its beginning tells]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(in crate::commands) format: Option<FormatArg>,

    /// The order of results
    #[arg(long, value_enum, default_value_t = OrderArg::Input, value_name = "ORDER")]
    pub(in crate::commands) order: OrderArg,

    /// Do not ask before a run that may cost more than a dollar
    #[arg(short, long, conflicts_with = "no_input")]
    pub(in crate::commands) yes: bool,

    /// Never ask anything: where an answer would be needed, stop
    #[arg(long)]
    pub(in crate::commands) no_input: bool,

    #[command(flatten)]
    pub(in crate::commands) run: RunArgs,

    #[command(flatten)]
    pub(in crate::commands) max_rows: RowLimitArgs,
}

/// What becomes of a file that has the name of results already.
#[derive(Debug, Clone, Default, Args)]
pub(in crate::commands) struct OverwriteArgs {
    /// Replace the file for results, if it is there already and is not this run's own
    #[arg(long)]
    pub(in crate::commands) overwrite: bool,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct RunsArgs {
    #[command(flatten)]
    pub(in crate::commands) out: OutArgs,

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
    /// Resume a run that was stopped, as it was begun, from what the journal has
    Resume {
        /// Its id, the beginning of it, or latest
        #[arg(value_name = "RUN")]
        run: String,
        #[command(flatten)]
        existing: OverwriteArgs,
        #[command(flatten)]
        limits: LimitArgs,
    },
    /// Ask again about the rows of a run that failed
    RetryFailed {
        /// Its id, the beginning of it, or latest
        #[arg(value_name = "RUN")]
        run: String,
        #[command(flatten)]
        existing: OverwriteArgs,
        #[command(flatten)]
        limits: LimitArgs,
    },
    /// Cancel a run for good: a process that works on it stops, and what it has stays
    Cancel {
        /// Its id, the beginning of it, or latest
        #[arg(value_name = "RUN")]
        run: String,
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
        #[arg(long, value_name = "FILE")]
        results: Option<PathBuf>,
        #[command(flatten)]
        existing: OverwriteArgs,
    },
    /// Write the results that a run has, in the order of its rows; of a generation, its personas
    Export {
        /// Its id, the beginning of it, or latest
        #[arg(value_name = "RUN")]
        run: String,
        /// The file; - for stdout [default: stdout]
        #[arg(long, value_name = "FILE")]
        results: Option<PathBuf>,
        #[command(flatten)]
        existing: OverwriteArgs,
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

impl From<FormatArg> for antiphon_data::RowFormat {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Csv => Self::Csv,
            FormatArg::Jsonl => Self::Jsonl,
            FormatArg::Json => Self::Json,
        }
    }
}
