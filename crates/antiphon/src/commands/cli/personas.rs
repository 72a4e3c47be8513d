use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon_data::{Anonymiser, Strategy};
use antiphon_pipeline::experiment::Drawn;
use antiphon_pipeline::{Complexity, Count, Detail, Distil, Grounding};
use clap::{Args, ValueEnum};

use super::rows::dollars;
use super::{DrawingArgs, ENVIRONMENT, ProgressMode, ProviderArgs, concurrency, seconds};
use crate::commands::error::{CommandError, USAGE};
use crate::runtime::Flags;

#[derive(Debug, Args)]
#[command(after_long_help = ENVIRONMENT)]
pub(in crate::commands) struct GenerateArgs {
    /// Interviews: files, folders, or https addresses
    #[arg(required = true, value_name = "PATH")]
    pub(in crate::commands) inputs: Vec<PathBuf>,

    /// Fetch by http, and from this machine and its network, too
    #[arg(long)]
    pub(in crate::commands) allow_local: bool,

    /// Where results go [default: antiphon-out]
    #[arg(short, long, value_name = "DIR")]
    pub(in crate::commands) out: Option<PathBuf>,

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

    /// Give each path up after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(in crate::commands) deadline: Option<Duration>,

    /// Runs under way at once [default: 4] [env: ANTIPHON_WORKERS]
    #[arg(long, value_name = "N", value_parser = concurrency)]
    pub(in crate::commands) concurrency: Option<usize>,

    /// Stop before the calls for a path cost more than so many US dollars
    #[arg(long, value_name = "USD", value_parser = dollars)]
    pub(in crate::commands) max_cost: Option<f64>,

    /// Make a run again that is finished already
    #[arg(long)]
    pub(in crate::commands) fresh: bool,

    /// The one run that is gone on with: for `runs resume`
    #[arg(skip)]
    pub(in crate::commands) resume: Option<String>,

    /// Say what it would take, and make no call
    #[arg(long)]
    pub(in crate::commands) dry_run: bool,

    /// Print one JSON document on stdout instead of a list
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
    pub(in crate::commands) fn drawn(&self) -> Drawn {
        // A file that a flag names counts from here, whatever folder the rest counts from.
        let whole = |file: &String| match file.ends_with(".toml").then(|| std::path::absolute(file)) {
            Some(Ok(path)) => path.display().to_string(),
            _ => file.clone(),
        };
        Drawn {
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
    pub(in crate::commands) fn is_offline(&self) -> bool {
        self.flags(None).offline
    }

    /// What takes names out, for runs below `out`, where the salt of codes is kept.
    pub(in crate::commands) async fn anonymiser(
        &self,
        out: &Path,
    ) -> Result<Option<Anonymiser>, CommandError> {
        let failed = |err: antiphon_fs::Error| CommandError::new(USAGE, err.to_string());
        let Some(how) = self.anonymise else { return Ok(None) };
        let mut anonymiser = Anonymiser::new(match how {
            AnonymiseArg::Redact => Strategy::Redact,
            AnonymiseArg::Replace => Strategy::Replace,
            AnonymiseArg::Hash => Strategy::Hash,
        });
        if let Some(file) = &self.more_names {
            let names = antiphon_fs::read_to_string(file).await.map_err(failed)?.text;
            let names = names.lines().map(str::trim).filter(|name| !name.is_empty());
            anonymiser = anonymiser.names(names);
        }
        if how == AnonymiseArg::Hash {
            anonymiser = anonymiser.salt(salt(out).await.map_err(failed)?);
        }
        Ok(Some(anonymiser))
    }

    pub(in crate::commands) fn flags(&self, out: Option<PathBuf>) -> Flags {
        self.provider.flags(self.concurrency, out, self.max_cost)
    }
}

fn count(text: &str) -> Result<Count, String> {
    text.parse().map_err(|err: antiphon_pipeline::NoCount| err.to_string())
}

/// What codes below `out` are made with: made once, so that the same person has the same code in each run.
async fn salt(out: &Path) -> Result<String, antiphon_fs::Error> {
    let path = out.join(".anonymised").join("salt");
    match antiphon_fs::read_to_string(&path).await {
        Ok(salt) => Ok(salt.text.into_owned()),
        Err(err) if err.kind() == antiphon_fs::ErrorKind::NotFound => {
            antiphon_fs::create_dir(out.join(".anonymised")).await?;
            let salt = format!("{:032x}", rand::random::<u128>());
            antiphon_fs::write_private(&path, salt.clone()).await?;
            Ok(salt)
        }
        Err(err) => Err(err),
    }
}
