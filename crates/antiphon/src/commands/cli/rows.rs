//! Arguments of `map` and of `runs`.
//!
//! `--results` names the file, `--out` the folder. A run overwrites only files that are its own, unless `--overwrite`
//! is set.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::ENVIRONMENT;
use super::run::{EXITS, LimitArgs, OutArgs, ReportArgs, RowLimitArgs, RunArgs};

#[derive(Debug, Args)]
#[command(after_help = EXITS, after_long_help = format!("{EXITS}\n\n{ENVIRONMENT}"))]
pub(in crate::commands) struct MapArgs {
    /// CSV, JSONL or JSON file, folder of documents, or - for stdin
    #[arg(value_name = "ROWS")]
    pub(in crate::commands) rows: PathBuf,

    /// Recipe: a TOML file with the prompt
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::commands) recipe: PathBuf,

    /// File for results, one JSON object per line (NDJSON); - for stdout, without the summary [default: results.jsonl in the
    /// run's folder]
    #[arg(long, value_name = "FILE")]
    pub(in crate::commands) results: Option<PathBuf>,

    #[command(flatten)]
    pub(in crate::commands) existing: OverwriteArgs,

    #[command(flatten)]
    pub(in crate::commands) out: OutArgs,

    /// Format of ROWS [default: by its name, or its first bytes]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(in crate::commands) format: Option<FormatArg>,

    /// Order of results
    #[arg(long, value_enum, default_value_t = OrderArg::Input, value_name = "ORDER")]
    pub(in crate::commands) order: OrderArg,

    #[command(flatten)]
    pub(in crate::commands) run: RunArgs,

    #[command(flatten)]
    pub(in crate::commands) max_rows: RowLimitArgs,
}

/// The handling of an existing file with the name of the results.
#[derive(Debug, Clone, Default, Args)]
pub(in crate::commands) struct OverwriteArgs {
    /// Overwrite the output file if it exists and is not this run's own
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
    /// Show a run: rows, cost, and why rows failed
    Show {
        /// ID of the run, a prefix of the ID, or latest
        #[arg(value_name = "RUN")]
        run: String,
        /// Print one JSON document on stdout
        #[arg(long)]
        json: bool,
    },
    /// Resume a stopped run from the journal, with the request it was started with
    Resume {
        /// ID of the run, a prefix of the ID, or latest
        #[arg(value_name = "RUN")]
        run: String,
        #[command(flatten)]
        existing: OverwriteArgs,
        #[command(flatten)]
        limits: LimitArgs,
        #[command(flatten)]
        reports: ReportArgs,
    },
    /// Retry the failed rows of a run
    RetryFailed {
        /// ID of the run, a prefix of the ID, or latest
        #[arg(value_name = "RUN")]
        run: String,
        #[command(flatten)]
        existing: OverwriteArgs,
        #[command(flatten)]
        limits: LimitArgs,
        #[command(flatten)]
        reports: ReportArgs,
    },
    /// Cancel a run permanently: processes that work on it stop, and its results are kept
    Cancel {
        /// ID of the run, a prefix of the ID, or latest
        #[arg(value_name = "RUN")]
        run: String,
    },
    /// Compare the results of two runs, row by row
    Diff {
        /// ID of the first run, a prefix of the ID, or latest
        #[arg(value_name = "RUN")]
        first: String,
        /// ID of the second run, a prefix of the ID, or latest
        #[arg(value_name = "OTHER")]
        second: String,
        /// Print one JSON document on stdout
        #[arg(long)]
        json: bool,
    },
    /// Write an HTML report of a run: figures, time per phase, why rows failed, and its rows
    Report {
        /// ID of the run, a prefix of the ID, or latest
        #[arg(value_name = "RUN")]
        run: String,
        /// File for the report [default: report.html in the run's folder]
        #[arg(long, value_name = "FILE")]
        results: Option<PathBuf>,
        #[command(flatten)]
        existing: OverwriteArgs,
    },
    /// Write the results of a run in the order of its rows, or the personas of a run of generate
    Export {
        /// ID of the run, a prefix of the ID, or latest
        #[arg(value_name = "RUN")]
        run: String,
        /// File for the export; - for stdout [default: stdout]
        #[arg(long, value_name = "FILE")]
        results: Option<PathBuf>,
        #[command(flatten)]
        existing: OverwriteArgs,
        /// Format of the export [default: by the file's extension, else jsonl]
        #[arg(short, long, value_enum, value_name = "FORMAT")]
        format: Option<ExportArg>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::commands) enum ExportArg {
    /// One JSON value per line (NDJSON)
    Jsonl,
    /// One JSON array
    Json,
    /// A table with a header; cells are escaped so that none is a formula
    Csv,
    /// A table for people, or a document for personas
    #[value(alias = "md")]
    Markdown,
}

impl RunsCommand {
    /// Whether the result is one JSON document on request.
    pub(super) fn wants_json(&self) -> bool {
        match self {
            Self::List { json } | Self::Show { json, .. } | Self::Diff { json, .. } => *json,
            _ => false,
        }
    }

    /// Returns the options for reports; `None` for a command that makes no call.
    pub(super) fn reports(&self) -> Option<&ReportArgs> {
        match self {
            Self::Resume { reports, .. } | Self::RetryFailed { reports, .. } => Some(reports),
            _ => None,
        }
    }
}

impl ExportArg {
    /// Returns the format for a file's extension, in upper or lower case; `None` for any other, which is then JSONL.
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
    /// One JSON value per line (NDJSON)
    Jsonl,
    /// One JSON array
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::commands) enum OrderArg {
    /// Order of the rows
    Input,
    /// Order of completion
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
