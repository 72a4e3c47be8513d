//! Arguments of `map`.
//!
//! `--results` names the file, `--out` the folder. A run overwrites only files that are its own, unless `--overwrite`
//! is set.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::ENVIRONMENT;
use super::anonymise::AnonymiseArgs;
use super::run::{EXITS, OutArgs, RowLimitArgs, RunArgs};

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

    #[command(flatten)]
    pub(in crate::commands) encoding: EncodingArgs,

    /// Order of results
    #[arg(long, value_enum, default_value_t = OrderArg::Input, value_name = "ORDER")]
    pub(in crate::commands) order: OrderArg,

    #[command(flatten)]
    pub(in crate::commands) anonymise: AnonymiseArgs,

    #[command(flatten)]
    pub(in crate::commands) run: RunArgs,

    #[command(flatten)]
    pub(in crate::commands) max_rows: RowLimitArgs,
}

/// The encoding of input files.
#[derive(Debug, Clone, Default, Args)]
pub(in crate::commands) struct EncodingArgs {
    /// Encoding of files that are not UTF-8, such as windows-1251 [default: by their content]
    #[arg(long, value_name = "NAME", value_parser = encoding)]
    pub(in crate::commands) encoding: Option<String>,
}

/// Checks the name of an encoding, and returns its usual form.
fn encoding(label: &str) -> Result<String, String> {
    let unknown = || format!("{label} is no name of an encoding (WHATWG Encoding Standard)");
    antiphon_data::Encoding::of_label(label).map(|encoding| encoding.name().to_owned()).ok_or_else(unknown)
}

/// The handling of an existing file with the name of the results.
#[derive(Debug, Clone, Default, Args)]
pub(in crate::commands) struct OverwriteArgs {
    /// Overwrite the output file if it exists and is not this run's own
    #[arg(long)]
    pub(in crate::commands) overwrite: bool,
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
