//! Arguments of the commands about the configuration and the providers.

use clap::{Args, Subcommand};

use super::KEYS;
use super::model::ProviderArgs;
use crate::runtime::{Flags, SettingKey};

#[derive(Debug, Args)]
pub(in crate::commands) struct ConfigArgs {
    #[command(subcommand)]
    pub(in crate::commands) command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::commands) enum ConfigCommand {
    /// Print all settings in effect, each with its origin
    ///
    /// An origin is a flag, a variable, a file with a line, or the default. Keys and secret headers are never printed, only their
    /// variables; of other headers, query parameters and extra fields only the names. The command fails where a run would fail:
    /// for an unknown key, a wrong value, or an option that the provider does not have.
    Show {
        /// List the settings of all providers, not only of those that are set up
        #[arg(short, long)]
        all: bool,

        /// Print one JSON document with all settings on stdout
        #[arg(long)]
        json: bool,

        #[command(flatten)]
        provider: ProviderArgs,
    },
    /// Print the value of a setting, or the settings of a table
    Get {
        /// Name as in antiphon.toml, such as defaults.model or providers.lab
        #[arg(value_name = "KEY")]
        key: SettingKey,

        /// Print one JSON document on stdout
        #[arg(long)]
        json: bool,
    },
    /// Set a setting in a file, and keep its comments and order
    ///
    /// The file is checked before it is written, and written atomically. A key (a secret) does not belong into it: set key_env to
    /// the name of the variable that has the key.
    Set {
        /// Name as in antiphon.toml, such as defaults.model or providers.lab.base_url
        #[arg(value_name = "KEY")]
        key: SettingKey,

        /// Value: a number, true, false, a list such as '["ollama/llama3.2"]', or a text
        #[arg(value_name = "VALUE", allow_hyphen_values = true)]
        value: String,

        #[command(flatten)]
        file: FileArgs,
    },
    /// Write a new antiphon.toml, in which each setting is a comment with its meaning
    Init {
        #[command(flatten)]
        file: FileArgs,

        /// Replace the file if it exists
        #[arg(long)]
        overwrite: bool,
    },
    /// Print the files in which settings are looked up, the first of which wins
    Path {
        /// Print one JSON document on stdout
        #[arg(long)]
        json: bool,
    },
}

/// The file that a command writes.
#[derive(Debug, Clone, Copy, Args)]
pub(in crate::commands) struct FileArgs {
    /// Use the file of the user, for all folders, instead of ./antiphon.toml
    #[arg(long)]
    pub(in crate::commands) user: bool,
}

impl ConfigCommand {
    /// Returns the flags from which the settings are resolved.
    pub(in crate::commands) fn flags(&self) -> Flags {
        match self {
            Self::Show { provider, .. } => provider.flags(None, None),
            Self::Get { .. } | Self::Set { .. } | Self::Init { .. } | Self::Path { .. } => Flags::default(),
        }
    }

    /// Whether the result is one JSON document.
    pub(super) fn wants_json(&self) -> bool {
        match self {
            Self::Show { json, .. } | Self::Get { json, .. } | Self::Path { json } => *json,
            Self::Set { .. } | Self::Init { .. } => false,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_long_help = KEYS)]
pub(in crate::commands) struct DoctorArgs {
    /// Provider to check step by step: configuration, key, name resolution, connection, models and price [default: check all]
    #[arg(value_name = "PROVIDER")]
    pub(in crate::commands) provider: Option<String>,

    /// Model to look for [default: the configured one, else the provider's]
    #[arg(short, long, value_name = "NAME", requires = "provider")]
    model: Option<String>,

    /// Base URL of the server
    #[arg(long, value_name = "URL", requires = "provider")]
    base_url: Option<String>,

    /// Print one JSON document on stdout
    #[arg(long)]
    pub(in crate::commands) json: bool,
}

impl DoctorArgs {
    /// Returns the flags from which the settings are resolved.
    pub(in crate::commands) fn flags(&self) -> Flags {
        let mut flags = Flags::default();
        (flags.provider, flags.model) = (self.provider.clone(), self.model.clone());
        flags.base_url = self.base_url.clone();
        flags
    }
}
