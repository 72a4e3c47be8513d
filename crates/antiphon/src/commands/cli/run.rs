//! Arguments of all commands that start a run: output folder, limits, progress, and the provider of `model`.
//!
//! A limit that no flag names is `None`, so that the recipe's, the file's or the default one applies. Limits of a
//! resumed run are merged in the same way: only what a flag names overrides the stored request.

use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon_engine::{RunLimits, usd_micros};
use antiphon_runtime::Priority;
use clap::{Args, ValueEnum};

use super::model::{CassetteArgs, ProviderArgs};
use super::{ProgressMode, concurrency, seconds};
use crate::runtime::Flags;

/// The exit codes of a run, for `--help`.
pub(super) const EXITS: &str = "\
Exit codes:
  0 done  1 internal error, or disk  2 usage  3 configuration, key or output path
  4 some rows failed, or deadline passed  5 all failed, or no answer  6 budget used up
  130 interrupted  143 terminated";

/// The output folder of runs.
#[derive(Debug, Clone, Args)]
pub(in crate::commands) struct OutArgs {
    /// Folder of the journal and of all runs [default: antiphon-out]
    #[arg(short, long, value_name = "DIR", global = true)]
    pub(in crate::commands) out: Option<PathBuf>,

    /// Earlier name of --out, when --out named the file for results
    #[arg(long, value_name = "DIR", global = true, hide = true)]
    pub(in crate::commands) dir: Option<PathBuf>,
}

impl OutArgs {
    /// Returns the folder that a flag names; `--out` wins over its earlier name.
    pub(in crate::commands) fn folder(&self) -> Option<PathBuf> {
        self.out.clone().or_else(|| self.dir.clone())
    }
}

/// The options of all commands that start a run.
#[derive(Debug, Clone, Args)]
pub(in crate::commands) struct RunArgs {
    #[command(flatten)]
    pub(in crate::commands) limits: LimitArgs,

    #[command(flatten)]
    pub(in crate::commands) confirm: ConfirmArgs,

    /// Start fresh: ignore earlier runs of the same command
    #[arg(long)]
    pub(in crate::commands) fresh: bool,

    /// Follow symbolic links in input folders that lead out of them or to hidden files; without it, these are reported and not read
    #[arg(long)]
    pub(in crate::commands) follow_links: bool,

    /// Print an estimate of calls, tokens and cost, and make no call
    #[arg(long)]
    pub(in crate::commands) dry_run: bool,

    /// Print one JSON document on stdout
    #[arg(long)]
    pub(in crate::commands) json: bool,

    #[command(flatten)]
    pub(in crate::commands) reports: ReportArgs,

    #[command(flatten)]
    pub(in crate::commands) provider: ProviderArgs,

    #[command(flatten)]
    cassette: CassetteArgs,
}

/// The confirmation of a run that may be expensive.
#[derive(Debug, Clone, Default, Args)]
pub(in crate::commands) struct ConfirmArgs {
    /// Allow a run that may cost $1 or more, or whose cost is unknown; needed without a terminal, unless --max-cost is set
    #[arg(short, long, conflicts_with = "no_input")]
    pub(in crate::commands) yes: bool,

    /// Never ask: fail where a confirmation is needed
    #[arg(long)]
    pub(in crate::commands) no_input: bool,
}

/// The reports on a run, beside its result.
#[derive(Debug, Clone, Args)]
pub(in crate::commands) struct ReportArgs {
    /// Format of progress and messages on stderr
    #[arg(long, value_enum, default_value_t = ProgressMode::Auto, value_name = "HOW")]
    pub(in crate::commands) progress: ProgressMode,

    /// File for a summary as JSON: exit code, errors, and counts, cost and files of the run; an earlier summary is replaced
    #[arg(long, value_name = "FILE")]
    pub(in crate::commands) summary: Option<PathBuf>,
}

/// The limits of a run: [`RunLimits`] on the command line.
#[derive(Debug, Clone, Default, Args)]
pub(in crate::commands) struct LimitArgs {
    /// Budget of the run, in US dollars: stop before its calls cost more
    #[arg(long, help_heading = "Limits", value_name = "USD", value_parser = dollars, allow_negative_numbers = true)]
    max_cost: Option<f64>,

    /// Maximum number of concurrent calls, or auto: adapt to the provider [default: auto] [env: ANTIPHON_WORKERS]
    #[arg(long, help_heading = "Limits", value_name = "auto|N", value_parser = auto_or_number, alias = "concurrency")]
    max_concurrency: Option<MaxConcurrency>,

    /// Maximum number of answers per row until one is valid [default: the recipe's, or 2]
    #[arg(long, help_heading = "Limits", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    attempts: Option<u32>,

    /// Start no call after this time, in seconds; the run can be resumed [default: none]
    #[arg(long, help_heading = "Limits", value_name = "SECONDS", value_parser = seconds)]
    deadline: Option<Duration>,

    /// Priority among runs that wait for the provider's rate limit [default: normal]
    #[arg(long, help_heading = "Limits", value_enum, value_name = "PRIORITY")]
    priority: Option<PriorityArg>,
}

/// A limit on the rows of an input.
#[derive(Debug, Clone, Default, Args)]
pub(in crate::commands) struct RowLimitArgs {
    /// Process only the first N rows [default: all]
    #[arg(long, help_heading = "Limits", value_name = "N", value_parser = clap::value_parser!(u64).range(1..), alias = "limit")]
    pub(in crate::commands) max_rows: Option<u64>,
}

/// The maximum number of concurrent calls; `None`: adaptive concurrency, as much as the provider allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct MaxConcurrency(Option<usize>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PriorityArg {
    Critical,
    High,
    Normal,
    Low,
    Background,
}

impl LimitArgs {
    /// Returns the limits as data.
    pub(in crate::commands) fn limits(&self) -> RunLimits {
        RunLimits::default()
            .max_cost(self.max_cost.map(usd_micros))
            .max_concurrency(self.max_concurrency())
            .attempts(self.attempts)
            .deadline(self.deadline)
            .priority(self.priority.map(|priority| match priority {
                PriorityArg::Critical => Priority::Critical,
                PriorityArg::High => Priority::High,
                PriorityArg::Normal => Priority::Normal,
                PriorityArg::Low => Priority::Low,
                PriorityArg::Background => Priority::Background,
            }))
    }

    /// Returns the maximum number of concurrent calls; `None` for `auto` and without the flag.
    pub(in crate::commands) fn max_concurrency(&self) -> Option<usize> {
        self.max_concurrency.and_then(|most| most.0)
    }
}

impl RunArgs {
    /// Returns the flags from which the settings are resolved, with the output folder. A dry run records nothing.
    pub(in crate::commands) fn flags(&self, out: Option<PathBuf>) -> Flags {
        let mut flags = self.provider.flags(self.limits.max_concurrency(), out);
        flags.cassette = self.cassette.cassette(!self.dry_run);
        flags
    }

    /// Returns the folder that answers are recorded to.
    pub(in crate::commands) fn recorded_to(&self) -> Option<&Path> {
        self.cassette.recorded_to()
    }
}

/// Returns whether `--out` names a file, as it did before it named the folder: `-`, an existing file, or a name with one of
/// these endings.
pub(in crate::commands) async fn file_of_out(out: &Path, endings: &[&str]) -> bool {
    let ending = out.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let is_file = async || antiphon_fs::metadata(out).await.is_ok_and(|found| found.is_file);
    out == Path::new("-") || endings.contains(&ending) || is_file().await
}

/// Parses `auto` or a number of at least 1.
fn auto_or_number(text: &str) -> Result<MaxConcurrency, String> {
    match text {
        "auto" => Ok(MaxConcurrency(None)),
        number => concurrency(number)
            .map(|number| MaxConcurrency(Some(number)))
            .map_err(|_| "expected auto or a number of at least 1".to_owned()),
    }
}

/// Parses an amount of US dollars, with or without a dollar sign, from 0 to below a billion.
fn dollars(text: &str) -> Result<f64, String> {
    let dollars = text
        .trim_start_matches('$')
        .parse()
        .ok()
        .filter(|dollars: &f64| dollars.is_finite() && (0.0..1e9).contains(dollars));
    dollars.ok_or_else(|| "expected an amount of US dollars from 0, such as 2.50".to_owned())
}
