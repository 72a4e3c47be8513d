//! Arguments of `generate`, and the persona settings that it shares with `experiment`.
//!
//! A setting that no flag names is `None`, so that the experiment's own default or the recipe's applies. The enums
//! repeat those of the pipeline, since the names of their values and the help texts belong to the command line.

use std::path::PathBuf;

use antiphon_pipeline::experiment::PersonaDefaults;
use antiphon_pipeline::{Complexity, Count, Detail, Distil, Grounding};
use clap::{Args, ValueEnum};

use super::anonymise::AnonymiseArgs;
use super::rows::EncodingArgs;
use super::run::{EXITS, OutArgs, RunArgs};
use super::{ENVIRONMENT, SamplingArgs};

#[derive(Debug, Args)]
#[command(after_help = EXITS, after_long_help = format!("{EXITS}\n\n{ENVIRONMENT}"))]
pub(in crate::commands) struct GenerateArgs {
    /// Interviews: files, folders or https URLs, which are one run together
    #[arg(required = true, value_name = "PATH")]
    pub(in crate::commands) inputs: Vec<PathBuf>,

    /// Make a separate run of each PATH
    #[arg(long)]
    pub(in crate::commands) each: bool,

    /// Allow http URLs, and URLs of this machine and of private networks
    #[arg(long)]
    pub(in crate::commands) allow_local: bool,

    #[command(flatten)]
    pub(in crate::commands) encoding: EncodingArgs,

    #[command(flatten)]
    pub(in crate::commands) out: OutArgs,

    #[command(flatten)]
    pub(in crate::commands) how: GenerationArgs,
}

/// The options of all commands that generate personas.
#[derive(Debug, Args)]
pub(in crate::commands) struct GenerationArgs {
    #[command(flatten)]
    pub(in crate::commands) personas: PersonaArgs,

    /// Handling of interviews that exceed the model's context window
    #[arg(long, value_enum, default_value_t = DistilArg::Auto, value_name = "HOW")]
    pub(in crate::commands) distil: DistilArg,

    #[command(flatten)]
    pub(in crate::commands) anonymise: AnonymiseArgs,

    #[command(flatten)]
    pub(in crate::commands) run: RunArgs,

    #[command(flatten)]
    pub(in crate::commands) sampling: SamplingArgs,
}

/// The persona settings of a run or of an experiment.
#[derive(Debug, Clone, Args)]
pub(in crate::commands) struct PersonaArgs {
    /// Personas per run: 3, 3-5, ~4 (about 4) or 3+ (at least 3) [default: 3, or the recipe's]
    #[arg(short = 'n', long, value_name = "N", value_parser = count, allow_hyphen_values = true)]
    count: Option<Count>,

    /// Recipe: default, research (detailed, and verified claims only), quick (for a first look), or a TOML file
    #[arg(long, value_name = "NAME|FILE")]
    recipe: Option<String>,

    /// Maximum number of claims of each kind: 3, 6 or 10 [default: moderate, or the recipe's]
    #[arg(long, value_enum, value_name = "HOW")]
    complexity: Option<ComplexityArg>,

    /// Length of each claim [default: standard, or the recipe's]
    #[arg(long, value_enum, value_name = "HOW")]
    detail: Option<DetailArg>,

    /// Grounding: handling of claims whose quotes no participant said [default: mark, or the recipe's]
    #[arg(long, value_enum, value_name = "HOW")]
    evidence: Option<EvidenceArg>,

    /// Speaker who asks, by name, first name or label; can be repeated [default: by labels, heads and questions]
    #[arg(long = "interviewer", value_name = "NAME")]
    interviewers: Vec<String>,

    /// Speaker who answers, by name, first name or label; can be repeated
    #[arg(long = "participant", value_name = "NAME")]
    participants: Vec<String>,

    /// Fail if it is not clear who asks and who answers in an interview
    #[arg(long)]
    strict_speakers: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ComplexityArg {
    Simple,
    Moderate,
    Complex,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DetailArg {
    /// A few words, and a third of the claims: for small models, or for a first look
    Brief,
    /// One sentence
    Standard,
    /// Two or three sentences
    Detailed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::commands) enum DistilArg {
    /// Distil findings from the parts first, with one call per part
    Auto,
    /// Fail before any call is made
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
enum EvidenceArg {
    /// Omit them, and list them as not verified
    Strict,
    /// Keep them, and list them as not verified
    Mark,
    /// Request no quotes, and verify nothing
    Off,
}

impl PersonaArgs {
    /// Returns the settings that the flags name.
    pub(in crate::commands) fn persona_defaults(&self) -> PersonaDefaults {
        // A file named by a flag is relative to the working directory, whatever folder the rest is relative to.
        let whole = |file: &String| match file.ends_with(".toml").then(|| std::path::absolute(file)) {
            Some(Ok(path)) => path.display().to_string(),
            _ => file.clone(),
        };
        PersonaDefaults {
            recipe: self.recipe.as_ref().map(whole),
            count: self.count,
            complexity: self.complexity.map(Into::into),
            detail: self.detail.map(Into::into),
            evidence: self.evidence.map(Into::into),
            interviewers: self.interviewers.clone(),
            participants: self.participants.clone(),
            strict_speakers: self.strict_speakers.then_some(true),
        }
    }
}

impl From<ComplexityArg> for Complexity {
    fn from(complexity: ComplexityArg) -> Self {
        match complexity {
            ComplexityArg::Simple => Self::Simple,
            ComplexityArg::Moderate => Self::Moderate,
            ComplexityArg::Complex => Self::Complex,
        }
    }
}

impl From<DetailArg> for Detail {
    fn from(detail: DetailArg) -> Self {
        match detail {
            DetailArg::Brief => Self::Brief,
            DetailArg::Standard => Self::Standard,
            DetailArg::Detailed => Self::Detailed,
        }
    }
}

impl From<EvidenceArg> for Grounding {
    fn from(evidence: EvidenceArg) -> Self {
        match evidence {
            EvidenceArg::Strict => Self::Strict,
            EvidenceArg::Mark => Self::Mark,
            EvidenceArg::Off => Self::Off,
        }
    }
}

/// Parses a number of personas, such as `3`, `3-5`, `~4` or `3+`.
fn count(text: &str) -> Result<Count, String> {
    text.parse().map_err(|err: antiphon_pipeline::NoCount| err.to_string())
}
