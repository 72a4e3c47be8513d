use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::personas::{GenerationArgs, PersonaArgs};

#[derive(Debug, Args)]
pub(in crate::commands) struct ExperimentArgs {
    /// The folder of all experiments
    #[arg(long, value_name = "DIR", default_value = "experiments", global = true)]
    pub(in crate::commands) dir: PathBuf,

    #[command(subcommand)]
    pub(in crate::commands) command: ExperimentCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::commands) enum ExperimentCommand {
    /// Make a folder for one, with its experiment.toml, data/, outputs/ and README.md
    Create {
        /// Its name, of letters, digits and these: . - _
        #[arg(value_name = "NAME")]
        name: String,
        /// What it is about
        #[arg(long, value_name = "TEXT", default_value = "")]
        description: String,
        /// Who answers, unless a flag or the environment says otherwise
        #[arg(short, long, value_name = "NAME")]
        provider: Option<String>,
        /// The model to ask
        #[arg(short, long, value_name = "NAME")]
        model: Option<String>,
        #[command(flatten)]
        personas: PersonaArgs,
    },
    /// List them
    List {
        /// Print one JSON document on stdout
        #[arg(long)]
        json: bool,
    },
    /// Show one: its data, how personas are drawn, and what all its runs came to
    Show {
        #[arg(value_name = "NAME")]
        name: String,
        /// Print one JSON document on stdout
        #[arg(long)]
        json: bool,
    },
    /// Add files or folders to its data
    Add {
        #[arg(value_name = "NAME")]
        name: String,
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Link to them instead of copying: a later run sees what has changed
        #[arg(long)]
        link: bool,
    },
    /// Make personas of its data; of several, at once
    Generate {
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        how: Box<GenerationArgs>,
    },
    /// List its runs, the newest first
    History {
        #[arg(value_name = "NAME")]
        name: String,
        /// Print one JSON document on stdout
        #[arg(long)]
        json: bool,
    },
    /// Print the personas of one of its runs as JSON
    Outputs {
        #[arg(value_name = "NAME")]
        name: String,
        /// The run's id, the beginning of it, or latest
        #[arg(value_name = "RUN", default_value = "latest")]
        run: String,
    },
    /// Remove it with all its data and outputs; what links lead to stays
    Delete {
        #[arg(value_name = "NAME")]
        name: String,
        /// Do not ask for its name once more
        #[arg(long)]
        yes: bool,
    },
}
