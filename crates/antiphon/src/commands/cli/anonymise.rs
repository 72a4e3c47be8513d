//! Arguments of anonymisation, which `generate`, `map` and `content` share.

use std::path::PathBuf;

use antiphon_data::Strategy;
use clap::{Args, ValueEnum};

use crate::commands::error::{CommandError, USAGE};
use crate::operations::Anonymise;

#[derive(Debug, Args)]
pub(in crate::commands) struct AnonymiseArgs {
    /// Anonymise personal data (PII) in the input before anything is sent or stored [default: off]
    ///
    /// Covers the names of speakers, of people in headers and introductions, and of --names, with their inflected forms;
    /// e-mail addresses, account names, telephone and card numbers, streets with their numbers, and postcodes with their
    /// towns. Of rows, the texts of all fields are covered, and whole fields such as first_name, phone and address. Names
    /// of people who are only mentioned are kept: words that may be such names are listed. Files keep their names, unless
    /// those have a person's name.
    #[arg(long, value_enum, value_name = "HOW")]
    anonymise: Option<AnonymiseArg>,

    /// File with more names to anonymise, one per line
    #[arg(long = "names", value_name = "FILE", requires = "anonymise")]
    more_names: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AnonymiseArg {
    /// [name], [email], [phone]: the originals cannot be restored
    Redact,
    /// Consistent pseudonyms such as Person 1; the originals are stored in a file that only you can read
    Replace,
    /// Consistent codes; the originals are stored in a file that only you can read
    Hash,
}

impl AnonymiseArgs {
    /// Returns the anonymisation that the flags name, with the names in the file of `--names`: one per line, without
    /// white space around them, empty lines skipped. `None` without `--anonymise`.
    ///
    /// # Errors
    /// A usage error for a file that cannot be read.
    pub(in crate::commands) async fn anonymise(&self) -> Result<Option<Anonymise>, CommandError> {
        let Some(mode) = self.anonymise else { return Ok(None) };
        let names = match &self.more_names {
            Some(file) => {
                let text = antiphon_fs::read_to_string(file).await;
                text.map_err(|err| CommandError::new(USAGE, err.to_string()))?.text.into_owned()
            }
            None => String::new(),
        };
        let names = names.lines().map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
        let mode = match mode {
            AnonymiseArg::Redact => Strategy::Redact,
            AnonymiseArg::Replace => Strategy::Replace,
            AnonymiseArg::Hash => Strategy::Hash,
        };
        Ok(Some(Anonymise::new(mode, names.collect())))
    }
}
