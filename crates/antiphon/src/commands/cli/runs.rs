//! Arguments of `runs`.
//!
//! A run is named by its ID, a prefix of it, or `latest`. What cannot be undone asks for a confirmation, unless `--yes` is
//! set.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::rows::OverwriteArgs;
use super::run::{LimitArgs, OutArgs, ReportArgs};
use crate::operations::{CurrentStatus, ExportFormat};

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
        /// List only runs with this status
        #[arg(long, value_enum, value_name = "STATUS")]
        status: Option<StatusArg>,
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
    /// Resume a run from the journal, with the request it was started with
    Resume(ResumeArgs),
    /// Retry the failed rows of a run
    RetryFailed(ResumeArgs),
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
        /// Show all rows that differ [default: the first 20]
        #[arg(long)]
        all: bool,
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
        /// Format of the export [default: by the file's extension, jsonl for stdout]
        #[arg(short, long, value_enum, value_name = "FORMAT")]
        format: Option<ExportArg>,
    },
    /// Delete runs with their results and folders; files that --results named elsewhere are kept.
    ///
    /// Stored answers of the runs are deleted as well, so that the same command pays for them again. A run that a process
    /// works on is not deleted (exit code 4).
    Delete {
        /// IDs of the runs, prefixes of the IDs, or latest
        #[arg(required = true, value_name = "RUN")]
        runs: Vec<String>,
        #[command(flatten)]
        confirmation: ConfirmDeletion,
    },
    /// Delete runs that ended long ago, with their results and folders.
    ///
    /// A run is as old as its last end or, if it never ended, its start. Runs that a process works on are not deleted.
    Prune {
        /// Minimum age, such as 30d, 12h or 90m
        #[arg(long, value_name = "AGE", value_parser = age)]
        older_than: Duration,
        /// Delete only runs with this status [default: all but running]
        #[arg(long, value_enum, value_name = "STATUS")]
        status: Option<StatusArg>,
        /// Keep the newest N runs with that status, however old they are
        #[arg(long, value_name = "N", default_value_t = 0)]
        keep: usize,
        /// List the runs that would be deleted, and delete nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        confirmation: ConfirmDeletion,
    },
}

/// The options of a run that is resumed.
#[derive(Debug, Args)]
pub(in crate::commands) struct ResumeArgs {
    /// ID of the run, a prefix of the ID, or latest
    #[arg(value_name = "RUN")]
    pub(in crate::commands) run: String,

    #[command(flatten)]
    pub(in crate::commands) existing: OverwriteArgs,

    #[command(flatten)]
    pub(in crate::commands) limits: LimitArgs,

    #[command(flatten)]
    pub(in crate::commands) reports: ReportArgs,
}

/// The confirmation of a deletion.
#[derive(Debug, Clone, Copy, Args)]
pub(in crate::commands) struct ConfirmDeletion {
    /// Do not ask for a confirmation
    #[arg(short, long)]
    pub(in crate::commands) yes: bool,
}

/// The status of a run: [`CurrentStatus`] on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::commands) enum StatusArg {
    /// A process works on it
    Running,
    /// All of its processes were killed; it can be resumed
    Interrupted,
    /// Stopped before its end; it can be resumed
    Stopped,
    /// All rows have ended
    Finished,
    /// Cancelled permanently
    Cancelled,
}

impl From<StatusArg> for CurrentStatus {
    fn from(status: StatusArg) -> Self {
        match status {
            StatusArg::Running => Self::Running,
            StatusArg::Interrupted => Self::Interrupted,
            StatusArg::Stopped => Self::Stopped,
            StatusArg::Finished => Self::Finished,
            StatusArg::Cancelled => Self::Cancelled,
        }
    }
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
    /// Returns the options for reports; `None` for a command that makes no call.
    pub(super) fn reports(&self) -> Option<&ReportArgs> {
        match self {
            Self::Resume(how) | Self::RetryFailed(how) => Some(&how.reports),
            _ => None,
        }
    }

    /// Whether the result is one JSON document on request.
    pub(super) fn wants_json(&self) -> bool {
        match self {
            Self::List { json, .. } | Self::Show { json, .. } | Self::Diff { json, .. } => *json,
            _ => false,
        }
    }
}

impl From<ExportArg> for ExportFormat {
    fn from(format: ExportArg) -> Self {
        match format {
            ExportArg::Jsonl => Self::Jsonl,
            ExportArg::Json => Self::Json,
            ExportArg::Csv => Self::Csv,
            ExportArg::Markdown => Self::Markdown,
        }
    }
}

/// Parses an age: a whole number with a unit, such as `30d`.
fn age(text: &str) -> Result<Duration, String> {
    const UNITS: [(char, u64); 5] =
        [('s', 1), ('m', 60), ('h', 60 * 60), ('d', 24 * 60 * 60), ('w', 7 * 24 * 60 * 60)];
    let seconds = UNITS
        .iter()
        .find_map(|(unit, seconds)| text.strip_suffix(*unit)?.parse::<u64>().ok()?.checked_mul(*seconds));
    let expected = "expected a number of seconds, minutes, hours, days or weeks, such as 90m, 12h or 30d";
    seconds.map(Duration::from_secs).ok_or_else(|| expected.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::age;

    #[test]
    fn an_age_has_a_unit() {
        for (text, seconds) in
            [("0d", 0), ("90m", 5_400), ("30d", 2_592_000), ("2w", 1_209_600), ("7s", 7), ("1h", 3_600)]
        {
            assert_eq!(age(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in
            ["", "30", "d", "-1d", "1.5h", "30 d", "99999999999999999999d", "999999999999999999w", "3y"]
        {
            assert!(age(text).is_err(), "{text}");
        }
    }
}
