use antiphon_llm::Parameters;
use antiphon_pipeline::{Complexity, Count, Detail, Grounding, PersonaRecipe};
use clap::{Args, ValueEnum};

use crate::commands::error::{CommandError, USAGE};

/// Which personas, and how they are drawn.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Personas")]
pub(in crate::commands) struct PersonaArgs {
    /// Personas for each path: 3, 3-5, ~4 (about) or 3+ (at least) [default: 3, or the recipe's]
    #[arg(short = 'n', long, value_name = "N", value_parser = count)]
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
enum EvidenceArg {
    /// They are left out, and listed as not verified
    Strict,
    /// They stay, and are listed as not verified
    Mark,
    /// No quotes are asked for, and nothing is looked up
    Off,
}

impl PersonaArgs {
    /// The recipe with what the flags say, and how many personas.
    pub(in crate::commands) async fn recipe(
        &self,
        drawing: Parameters,
    ) -> Result<(PersonaRecipe, Count), CommandError> {
        let mut recipe = match self.recipe.as_deref() {
            None => PersonaRecipe::default(),
            Some(file) if file.ends_with(".toml") => {
                let read = antiphon_fs::read_to_string(std::path::Path::new(file)).await;
                let text = read.map_err(|err| CommandError::new(USAGE, err.to_string()))?;
                PersonaRecipe::parse(file, &text.text).map_err(|err| CommandError::of_run(&err))?
            }
            Some(name) => PersonaRecipe::built_in(name).map_err(|err| CommandError::of_run(&err))?,
        };
        if let Some(complexity) = self.complexity {
            recipe.complexity = match complexity {
                ComplexityArg::Simple => Complexity::Simple,
                ComplexityArg::Moderate => Complexity::Moderate,
                ComplexityArg::Complex => Complexity::Complex,
            };
        }
        if let Some(detail) = self.detail {
            recipe.detail = match detail {
                DetailArg::Brief => Detail::Brief,
                DetailArg::Standard => Detail::Standard,
                DetailArg::Detailed => Detail::Detailed,
            };
        }
        if let Some(evidence) = self.evidence {
            recipe.grounding = match evidence {
                EvidenceArg::Strict => Grounding::Strict,
                EvidenceArg::Mark => Grounding::Mark,
                EvidenceArg::Off => Grounding::Off,
            };
        }
        let drawn = &mut recipe.parameters;
        drawn.temperature = drawing.temperature.or(drawn.temperature);
        drawn.max_tokens = drawing.max_tokens.or(drawn.max_tokens);
        drawn.seed = drawing.seed.or(drawn.seed);
        let count = self.count.or(recipe.count).unwrap_or(Count::Exactly(3));
        Ok((recipe, count))
    }
}

fn count(text: &str) -> Result<Count, String> {
    text.parse().map_err(|err: antiphon_pipeline::NoCount| err.to_string())
}
