use std::path::PathBuf;

use clap::Args;

use super::rows::{AtOnce, EXITS, auto_or_number, dollars};
use super::{DrawingArgs, ENVIRONMENT, ProgressMode, ProviderArgs};
use crate::runtime::Flags;

#[derive(Debug, Args)]
#[command(after_help = EXITS, after_long_help = format!("{EXITS}\n\n{ENVIRONMENT}"))]
pub(in crate::commands) struct ContentArgs {
    /// Notes: files or folders
    #[arg(required = true, value_name = "NOTES")]
    pub(in crate::commands) inputs: Vec<PathBuf>,

    /// brutalist, hacker, minimalist, enterprise, editorial, retro, academic, studio, all, or the folder of one's own,
    /// such as ./mine/; several with commas
    #[arg(short, long, value_name = "THEME", value_delimiter = ',', default_value = "minimalist")]
    pub(in crate::commands) theme: Vec<String>,

    /// Where the site goes [default: site in the run's folder]
    #[arg(short, long, value_name = "DIR")]
    pub(in crate::commands) site: Option<PathBuf>,

    /// What stands above the index of several pages
    #[arg(long, value_name = "TEXT", default_value = "Portfolio")]
    pub(in crate::commands) title: String,

    /// Content for pages that the provider gave none for: a JSON file
    #[arg(long, value_name = "FILE")]
    pub(in crate::commands) fallback: Option<PathBuf>,

    /// The folder of the journal and of all runs [default: antiphon-out]
    #[arg(long, value_name = "DIR")]
    pub(in crate::commands) dir: Option<PathBuf>,

    /// The most calls at once, or auto: as many as the provider takes [default: auto] [env: ANTIPHON_WORKERS]
    #[arg(long, value_name = "auto|N", value_parser = auto_or_number)]
    pub(in crate::commands) concurrency: Option<AtOnce>,

    /// Stop before all calls together cost more than so many US dollars
    #[arg(long, value_name = "USD", value_parser = dollars)]
    pub(in crate::commands) max_cost: Option<f64>,

    /// Leave an earlier run of the same command alone, and ask for all pages anew
    #[arg(long)]
    pub(in crate::commands) fresh: bool,

    /// The one run that is gone on with: for `runs resume`
    #[arg(skip)]
    pub(in crate::commands) resume: Option<String>,

    /// Whether its failed pages are asked for again: for `runs retry-failed`
    #[arg(skip)]
    pub(in crate::commands) retry_failed: bool,

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
    pub(in crate::commands) drawing: DrawingArgs,
}

impl ContentArgs {
    pub(in crate::commands) fn flags(&self) -> Flags {
        let concurrency = self.concurrency.and_then(AtOnce::number);
        self.provider.flags(concurrency, self.dir.clone(), self.max_cost)
    }
}
