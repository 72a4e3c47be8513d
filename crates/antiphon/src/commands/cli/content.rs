//! Arguments of `content`.
//!
//! Themes are names or folders: a value with a path separator is the folder of a custom theme. They are looked up when
//! the command starts, so that an unknown theme is its error and no error of the parser.

use std::path::PathBuf;

use clap::Args;

use super::anonymise::AnonymiseArgs;
use super::rows::EncodingArgs;
use super::run::{EXITS, OutArgs, RowLimitArgs, RunArgs};
use super::{ENVIRONMENT, SamplingArgs};

#[derive(Debug, Args)]
#[command(after_help = EXITS, after_long_help = format!("{EXITS}\n\n{ENVIRONMENT}"))]
pub(in crate::commands) struct ContentArgs {
    /// Notes: files or folders
    #[arg(required = true, value_name = "NOTES")]
    pub(in crate::commands) inputs: Vec<PathBuf>,

    /// Theme: brutalist, hacker, minimalist, enterprise, editorial, retro, academic, studio, all, or the folder of a custom
    /// theme, such as ./mine/; separate several by commas
    #[arg(short, long, value_name = "THEME", value_delimiter = ',', default_value = "minimalist")]
    pub(in crate::commands) theme: Vec<String>,

    /// Folder for the site [default: site in the run's folder]
    #[arg(short, long, value_name = "DIR")]
    pub(in crate::commands) site: Option<PathBuf>,

    /// Heading of the index of several pages
    #[arg(long, value_name = "TEXT", default_value = "Portfolio")]
    pub(in crate::commands) title: String,

    /// JSON file with the content of pages for which the provider returned none
    #[arg(long, value_name = "FILE")]
    pub(in crate::commands) fallback: Option<PathBuf>,

    #[command(flatten)]
    pub(in crate::commands) encoding: EncodingArgs,

    #[command(flatten)]
    pub(in crate::commands) out: OutArgs,

    #[command(flatten)]
    pub(in crate::commands) anonymise: AnonymiseArgs,

    #[command(flatten)]
    pub(in crate::commands) run: RunArgs,

    #[command(flatten)]
    pub(in crate::commands) rows: RowLimitArgs,

    #[command(flatten)]
    pub(in crate::commands) sampling: SamplingArgs,
}
