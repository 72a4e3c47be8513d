use serde::{Deserialize, Serialize};
use serde_json::json;

use super::portfolio::schema;
use super::voice::Voice;
use antiphon_engine::Recipe;

/// A row of the recipe: notes, and the voice for their copy. As JSON:
///
/// ```json
/// { "name": "ada", "theme": "terminal", "voice": "Terse.", "notes": "Ada weaves. github.com/ada/loom" }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ContentRow {
    /// The name of the notes in reports.
    pub name: String,
    /// The theme's name.
    pub theme: String,
    /// The tone of the voice, as it is put into the prompt.
    pub voice: String,
    /// The text of the notes, which is the document of the prompt.
    pub notes: String,
}

impl ContentRow {
    /// Creates a row from notes and one voice.
    #[must_use]
    pub fn new(name: impl Into<String>, notes: impl Into<String>, voice: &Voice) -> Self {
        let (theme, tone) = (voice.name.clone(), voice.tone.clone());
        Self { name: name.into(), theme, voice: tone, notes: notes.into() }
    }

    /// Returns the row as JSON text.
    #[must_use]
    pub fn row(&self) -> String {
        json!(self).to_string()
    }
}

/// The template of the prompt. The row's `notes` are a document of the prompt, not a part of the template.
const PROMPT: &str = "\
The document below has somebody's notes. Write the copy of a one-page portfolio site from them.
Voice: {{ voice }}

- brand_name: whose site it is.
- tagline: one short line, or null.
- hero: a title and a subtitle of one or two sentences.
- repos: the pieces of work that the notes tell of, in their order, each with a description in the voice. Without any, an empty list.
- menu_items: the profiles and sites that the notes give addresses of, such as GitHub or a blog.
- cta: what a visitor should do, with an address of the notes (an e-mail address as mailto:), or null.

Names, numbers and addresses are the notes' own, letter by letter; what the notes do not tell is null. Say nothing that is \
not in the notes.";

/// The system prompt, which is the same for all rows, and so can be cached by the provider (prompt caching).
const SYSTEM: &str = "You write the copy of portfolio sites. You invent nothing: no work, no number, no client, no \
    address. You answer with JSON only.";

/// Returns the recipe `portfolio`, for a [`Mapping`](antiphon_engine::Mapping) over a table of notes: a row is a [`ContentRow`],
/// an answer a [`Content`](super::Content).
///
/// The results of such a mapping are answers as the model wrote them. Pass each to
/// [`Content::of_answer`](super::Content::of_answer), which removes what the notes do not contain (grounding) and
/// applies the rules of the voice. If an answer is cut, its whole `repos` are kept, and the missing ones are requested.
///
/// # Examples
/// ```
/// use antiphon_pipeline::content::{ContentRow, Voice, recipe};
/// let row = ContentRow::new("ada", "Ada weaves.", &Voice::new("terminal", "Terse."));
/// let prompt = recipe().asking("some-model")?.prompt(&row.row());
/// assert!(prompt.is_ok());
/// # Ok::<(), antiphon_pipeline::Error>(())
/// ```
#[must_use]
pub fn recipe() -> Recipe {
    let mut recipe = Recipe::empty();
    (recipe.name, recipe.prompt) = ("portfolio".to_owned(), PROMPT.to_owned());
    recipe.system = Some(SYSTEM.to_owned());
    recipe.schema = Some(schema());
    recipe.list = Some("/repos".to_owned());
    recipe.document = Some("notes".to_owned());
    recipe
}
