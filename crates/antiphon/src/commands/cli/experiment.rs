//! Arguments of `experiment`.
//!
//! `--dir` is global, so that it may come before or after the subcommand. Names are checked by the operations, since an
//! experiment may also be named by its folder.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::personas::{GenerationArgs, PersonaArgs};
use super::run::ReportArgs;

#[derive(Debug, Args)]
pub(in crate::commands) struct ExperimentArgs {
    /// Folder of all experiments
    #[arg(long, value_name = "DIR", default_value = "experiments", global = true)]
    pub(in crate::commands) dir: PathBuf,

    #[command(subcommand)]
    pub(in crate::commands) command: ExperimentCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::commands) enum ExperimentCommand {
    /// Create an experiment: a folder with experiment.toml, data/, outputs/ and README.md
    Create {
        /// Name of the experiment: letters, digits and . - _
        #[arg(value_name = "NAME")]
        name: String,
        /// Description of the experiment
        #[arg(long, value_name = "TEXT", default_value = "")]
        description: String,
        /// Default provider of its runs; flags and the environment take precedence
        #[arg(short, long, value_name = "NAME")]
        provider: Option<String>,
        /// Default model of its runs
        #[arg(short, long, value_name = "NAME")]
        model: Option<String>,
        #[command(flatten)]
        personas: PersonaArgs,
    },
    /// List all experiments
    List {
        /// Print one JSON document on stdout
        #[arg(long)]
        json: bool,
    },
    /// Show an experiment: data, persona settings, and totals of all runs
    Show {
        /// Name of the experiment
        #[arg(value_name = "NAME")]
        name: String,
        /// Print one JSON document on stdout
        #[arg(long)]
        json: bool,
    },
    /// Add files or folders to the data of an experiment
    Add {
        /// Name of the experiment
        #[arg(value_name = "NAME")]
        name: String,
        /// Files or folders to add
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Create links instead of copies, so that later runs read changed files
        #[arg(long)]
        link: bool,
    },
    /// Generate personas from the data of experiments, of several concurrently
    Generate {
        /// Names of the experiments
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        how: Box<GenerationArgs>,
    },
    /// List the runs of an experiment, newest first
    History {
        /// Name of the experiment
        #[arg(value_name = "NAME")]
        name: String,
        /// Print one JSON document on stdout
        #[arg(long)]
        json: bool,
    },
    /// Print the personas of a run as JSON
    Outputs {
        /// Name of the experiment
        #[arg(value_name = "NAME")]
        name: String,
        /// ID of the run, a prefix of the ID, or latest
        #[arg(value_name = "RUN", default_value = "latest")]
        run: String,
    },
    /// Delete an experiment with all its data and outputs; the targets of links are kept
    Delete {
        /// Name of the experiment
        #[arg(value_name = "NAME")]
        name: String,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
}

impl ExperimentCommand {
    /// Whether the result is one JSON document on request. That of `outputs` always is one, but its errors are text.
    pub(super) fn wants_json(&self) -> bool {
        match self {
            Self::Generate { how, .. } => how.run.json,
            Self::List { json } | Self::Show { json, .. } | Self::History { json, .. } => *json,
            _ => false,
        }
    }

    /// Returns the options for reports on a run; `None` for a command that starts none.
    pub(super) fn reports(&self) -> Option<&ReportArgs> {
        match self {
            Self::Generate { how, .. } => Some(&how.run.reports),
            _ => None,
        }
    }
}
