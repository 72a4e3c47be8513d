use std::path::PathBuf;

use antiphon_data::Strategy;
use antiphon_pipeline::experiment::PersonaDefaults;
use antiphon_pipeline::{Complexity, Count, Detail, Distil, Grounding};
use clap::{Args, ValueEnum};

use super::run::{OutArgs, RunArgs};
use super::{ENVIRONMENT, SamplingArgs};
use crate::commands::error::{CommandError, USAGE};
use crate::operations::Anonymise;

#[derive(Debug, Args)]
#[command(after_long_help = ENVIRONMENT)]
pub(in crate::commands) struct GenerateArgs {
    /// Interviews: files, folders, or https addresses
    #[arg(required = true, value_name = "PATH")]
    pub(in crate::commands) inputs: Vec<PathBuf>,

    /// Fetch by http, and from this machine and its network, too
    #[arg(long)]
    pub(in crate::commands) allow_local: bool,

    #[command(flatten)]
    pub(in crate::commands) out: OutArgs,

    #[command(flatten)]
    pub(in crate::commands) how: GenerationArgs,
}

/// How personas are made, whatever of.
#[derive(Debug, Args)]
pub(in crate::commands) struct GenerationArgs {
    #[command(flatten)]
    pub(in crate::commands) personas: PersonaArgs,

    /// What becomes of interviews that are more than the model's context
    #[arg(long, value_enum, default_value_t = DistilArg::Auto, value_name = "HOW")]
    pub(in crate::commands) distil: DistilArg,

    /// Take names, e-mail addresses and telephone numbers out of the documents before anything leaves this machine
    #[arg(long, value_enum, value_name = "HOW")]
    anonymise: Option<AnonymiseArg>,

    /// More names to take out: a file with one a line
    #[arg(long = "names", value_name = "FILE", requires = "anonymise")]
    more_names: Option<PathBuf>,

    #[command(flatten)]
    pub(in crate::commands) run: RunArgs,

    #[command(flatten)]
    pub(in crate::commands) sampling: SamplingArgs,
}

/// Which personas, and how they are drawn.
#[derive(Debug, Clone, Args)]
pub(in crate::commands) struct PersonaArgs {
    /// Personas for each path: 3, 3-5, ~4 (about) or 3+ (at least) [default: 3, or the recipe's]
    #[arg(short = 'n', long, value_name = "N", value_parser = count, allow_hyphen_values = true)]
    count: Option<Count>,

    /// default, research (much of everything, and nothing unverified), quick (a first look), or a TOML file
    #[arg(long, value_name = "NAME|FILE")]
    recipe: Option<String>,

    /// Claims of each kind: up to 3, 6 or 10 [default: moderate, or the recipe's]
    #[arg(long, value_enum, value_name = "HOW")]
    complexity: Option<ComplexityArg>,

    /// How much is said in each claim [default: standard, or the recipe's]
    #[arg(long, value_enum, value_name = "HOW")]
    detail: Option<DetailArg>,

    /// What becomes of claims whose quotes no participant said [default: mark, or the recipe's]
    #[arg(long, value_enum, value_name = "HOW")]
    evidence: Option<EvidenceArg>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ComplexityArg {
    Simple,
    Moderate,
    Complex,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DetailArg {
    /// A few words, and a third of the claims: for small models, and for a first look
    Brief,
    /// A sentence
    Standard,
    /// Two or three sentences
    Detailed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::commands) enum DistilArg {
    /// Findings are drawn from one part of them after the other first: a call for each part
    Auto,
    /// They are refused before anything is paid
    Never,
}

impl From<DistilArg> for Distil {
    fn from(distil: DistilArg) -> Self {
        match distil {
            DistilArg::Auto => Self::Auto,
            DistilArg::Never => Self::Never,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AnonymiseArg {
    /// [name], [email], [phone]: who is who is lost
    Redact,
    /// Person 1, everywhere the same; who that is stands in a file that you alone can read
    Replace,
    /// A code, everywhere the same; whose it is stands in a file that you alone can read
    Hash,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EvidenceArg {
    /// They are left out, and listed as not verified
    Strict,
    /// They stay, and are listed as not verified
    Mark,
    /// No quotes are asked for, and nothing is looked up
    Off,
}

impl PersonaArgs {
    /// What the flags say.
    pub(in crate::commands) fn persona_defaults(&self) -> PersonaDefaults {
        // A file that a flag names counts from here, whatever folder the rest counts from.
        let whole = |file: &String| match file.ends_with(".toml").then(|| std::path::absolute(file)) {
            Some(Ok(path)) => path.display().to_string(),
            _ => file.clone(),
        };
        PersonaDefaults {
            recipe: self.recipe.as_ref().map(whole),
            count: self.count,
            complexity: self.complexity.map(|complexity| match complexity {
                ComplexityArg::Simple => Complexity::Simple,
                ComplexityArg::Moderate => Complexity::Moderate,
                ComplexityArg::Complex => Complexity::Complex,
            }),
            detail: self.detail.map(|detail| match detail {
                DetailArg::Brief => Detail::Brief,
                DetailArg::Standard => Detail::Standard,
                DetailArg::Detailed => Detail::Detailed,
            }),
            evidence: self.evidence.map(|evidence| match evidence {
                EvidenceArg::Strict => Grounding::Strict,
                EvidenceArg::Mark => Grounding::Mark,
                EvidenceArg::Off => Grounding::Off,
            }),
        }
    }
}

impl GenerationArgs {
    /// How personal data is taken out, with the names of the file that a flag names.
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

fn count(text: &str) -> Result<Count, String> {
    text.parse().map_err(|err: antiphon_pipeline::NoCount| err.to_string())
}
