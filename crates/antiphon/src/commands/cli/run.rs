use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon_engine::{RunLimits, usd_micros};
use antiphon_runtime::Priority;
use clap::{Args, ValueEnum};

use super::model::{CassetteArgs, ProviderArgs};
use super::{ProgressMode, concurrency, seconds};
use crate::runtime::Flags;

/// How a run ends, for `--help`.
pub(super) const EXITS: &str = "\
Exit codes:
  0 done  1 a defect, or a disk  2 usage  3 configuration, key or place  4 some rows failed, or a deadline passed
  5 all failed, or nobody answered  6 the budget is used up  130 interrupted  143 terminated";

/// Where runs are.
#[derive(Debug, Clone, Args)]
pub(in crate::commands) struct OutArgs {
    /// The folder of the journal and of all runs [default: antiphon-out]
    #[arg(short, long, value_name = "DIR", global = true)]
    pub(in crate::commands) out: Option<PathBuf>,

    /// The folder, as earlier versions called it: there --out was the file for results
    #[arg(long, value_name = "DIR", global = true, hide = true)]
    pub(in crate::commands) dir: Option<PathBuf>,
}

impl OutArgs {
    pub(in crate::commands) fn folder(&self) -> Option<PathBuf> {
        self.out.clone().or_else(|| self.dir.clone())
    }
}

/// What all commands that run something have.
#[derive(Debug, Clone, Args)]
pub(in crate::commands) struct RunArgs {
    #[command(flatten)]
    pub(in crate::commands) limits: LimitArgs,

    /// Leave an earlier run of the same command alone, and start a new one
    #[arg(long)]
    pub(in crate::commands) fresh: bool,

    /// Say what it would take, and make no call
    #[arg(long)]
    pub(in crate::commands) dry_run: bool,

    /// Print one JSON document on stdout
    #[arg(long)]
    pub(in crate::commands) json: bool,

    /// How progress is shown on stderr
    #[arg(long, value_enum, default_value_t = ProgressMode::Auto, value_name = "HOW")]
    pub(in crate::commands) progress: ProgressMode,

    #[command(flatten)]
    pub(in crate::commands) provider: ProviderArgs,

    #[command(flatten)]
    cassette: CassetteArgs,
}

/// The limits of a run: [`RunLimits`] on the command line.
#[derive(Debug, Clone, Default, Args)]
pub(in crate::commands) struct LimitArgs {
    /// Stop before all calls of a run together cost more than so many US dollars
    #[arg(long, help_heading = "Limits", value_name = "USD", value_parser = dollars)]
    max_cost: Option<f64>,

    /// The most calls in progress at once, or auto: as many as the provider takes [default: auto] [env: ANTIPHON_WORKERS]
    #[arg(long, help_heading = "Limits", value_name = "auto|N", value_parser = auto_or_number, alias = "concurrency")]
    max_concurrency: Option<MaxConcurrency>,

    /// Answers about one row that are asked for until one is valid [default: the recipe's, or 2]
    #[arg(long, help_heading = "Limits", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    attempts: Option<u32>,

    /// Begin no call after so many seconds; what is left can be resumed
    #[arg(long, help_heading = "Limits", value_name = "SECONDS", value_parser = seconds)]
    deadline: Option<Duration>,

    /// Which run goes first where the provider's limits make calls wait [default: normal]
    #[arg(long, help_heading = "Limits", value_enum, value_name = "PRIORITY")]
    priority: Option<PriorityArg>,
}

/// A limit on the rows of an input.
#[derive(Debug, Clone, Default, Args)]
pub(in crate::commands) struct RowLimitArgs {
    /// The first N rows alone
    #[arg(long, help_heading = "Limits", value_name = "N", value_parser = clap::value_parser!(u64).range(1..), alias = "limit")]
    pub(in crate::commands) max_rows: Option<u64>,
}

/// The most calls in progress at once; `None`: as many as the provider takes.
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
    /// The limits as data.
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

    pub(in crate::commands) fn max_concurrency(&self) -> Option<usize> {
        self.max_concurrency.and_then(|most| most.0)
    }
}

impl RunArgs {
    pub(in crate::commands) fn flags(&self, out: Option<PathBuf>) -> Flags {
        let mut flags = self.provider.flags(self.limits.max_concurrency(), out);
        flags.cassette = self.cassette.cassette(!self.dry_run);
        flags
    }
}

/// Tells the file that `--out` named before it was the folder: `-`, a file that is there, or a name with such an ending.
pub(in crate::commands) async fn file_of_out(out: &Path, endings: &[&str]) -> bool {
    let ending = out.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let is_file = async || antiphon_fs::metadata(out).await.is_ok_and(|found| found.is_file);
    out == Path::new("-") || endings.contains(&ending) || is_file().await
}

fn auto_or_number(text: &str) -> Result<MaxConcurrency, String> {
    match text {
        "auto" => Ok(MaxConcurrency(None)),
        number => concurrency(number)
            .map(|number| MaxConcurrency(Some(number)))
            .map_err(|_| "auto, or a number from 1, is needed".to_owned()),
    }
}

fn dollars(text: &str) -> Result<f64, String> {
    let dollars = text
        .trim_start_matches('$')
        .parse()
        .ok()
        .filter(|dollars: &f64| dollars.is_finite() && (0.0..1e9).contains(dollars));
    dollars.ok_or_else(|| "an amount of US dollars is needed, such as 2.50".to_owned())
}
