//! The sides for which the speakers of documents were taken, for people to check before the personas are paid for.

use antiphon_data::{Document, ParseOptions, SpeakerRole};

use crate::config::GenerationConfig;
use crate::error::Error;
use crate::persona::PersonaRecipe;

/// The most speakers of one document that are listed.
const MOST: usize = 8;

/// The speakers of all documents.
#[derive(Debug, Default)]
pub(crate) struct Voices {
    /// One text for each document with its speakers.
    pub(crate) speakers: Vec<String>,
    /// The names of the documents whose speakers have no clear side.
    pub(crate) unclear: Vec<String>,
    /// The names in the recipe that no speaker has.
    pub(crate) unknown: Vec<String>,
}

impl Voices {
    /// Returns the speakers of documents.
    pub(crate) fn of(documents: &[Document]) -> Self {
        let mut voices = Self::default();
        for document in documents {
            let speakers = document.speakers();
            let mut names: Vec<String> = speakers.iter().take(MOST).map(ToString::to_string).collect();
            if speakers.len() > MOST {
                names.push(format!("{} more", speakers.len() - MOST));
            }
            voices.speakers.push(format!("{}: {}", document.name, names.join("; ")));
            if speakers.iter().all(|speaker| speaker.role == SpeakerRole::Unclear) {
                voices.unclear.push(document.name.clone());
            }
        }
        voices
    }

    /// Refuses documents whose speakers have no clear side, if the recipe demands it.
    pub(crate) fn check(&self, config: &GenerationConfig) -> Result<(), Error> {
        if let Some(name) = self.unknown.first().filter(|_| config.recipe.strict_speakers) {
            return Err(Error::speakers(format!("no speaker of these documents is called {name}")));
        }
        let Some(first) = self.unclear.first().filter(|_| config.recipe.strict_speakers) else {
            return Ok(());
        };
        let more = match self.unclear.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Err(Error::speakers(format!("{first}{more}: it is not clear who asks and who answers")))
    }
}

/// Returns the options of reading that a recipe has.
pub(crate) fn parse_options(recipe: &PersonaRecipe) -> ParseOptions {
    let options = recipe.interviewers.iter().fold(ParseOptions::new(), ParseOptions::interviewer);
    recipe.participants.iter().fold(options, ParseOptions::participant)
}
