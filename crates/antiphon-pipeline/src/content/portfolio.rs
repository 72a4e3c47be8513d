use antiphon_llm::Schema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::grounding::{self, Removed};
use super::voice::Voice;
use crate::error::Error;
use antiphon_engine::ErrorKind;

/// The copy of a portfolio site.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Content {
    /// Whose site it is: up to 100 characters.
    pub brand_name: String,
    /// A line below the name: up to 200 characters.
    #[serde(default)]
    pub tagline: Option<String>,
    /// What is seen first.
    pub hero: Hero,
    /// The work that is shown: up to 20.
    #[serde(default)]
    pub repos: Vec<Project>,
    /// Links beside those to the page's own parts: up to 8.
    #[serde(default)]
    pub menu_items: Vec<Link>,
    /// What a visitor is asked to do.
    #[serde(default)]
    pub cta: Option<CallToAction>,
}

/// What a site begins with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Hero {
    /// Up to 200 characters.
    pub title: String,
    /// Up to 500 characters.
    #[serde(default)]
    pub subtitle: String,
}

/// A piece of work.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Project {
    /// Up to 200 characters.
    pub name: String,
    /// Up to 1,000 characters.
    #[serde(default)]
    pub description: String,
    /// Where it is.
    #[serde(default)]
    pub url: Option<String>,
    /// How many people marked it.
    #[serde(default, deserialize_with = "whole")]
    pub stars: Option<u64>,
    /// The language that it is written in.
    #[serde(default)]
    pub language: Option<String>,
    /// Up to 10, of up to 50 characters.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// A count as JSON may have it: 12.0 and 1e3 are integers there. What no count can be is none.
fn whole<'de, D: Deserializer<'de>>(value: D) -> Result<Option<u64>, D::Error> {
    let Some(number) = Option::<serde_json::Number>::deserialize(value)? else { return Ok(None) };
    let exact = |number: f64| number.fract() == 0.0 && (0.0..=9e15).contains(&number);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is whole and within bounds"
    )]
    let from_float = || number.as_f64().filter(|number| exact(*number)).map(|number| number as u64);
    Ok(number.as_u64().or_else(from_float))
}

/// A link with its words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Link {
    /// Up to 60 characters.
    pub label: String,
    /// Where it leads.
    pub url: String,
}

/// What a visitor is asked to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CallToAction {
    /// Up to 100 characters.
    #[serde(alias = "label")]
    pub text: String,
    /// Where it leads.
    #[serde(default)]
    pub url: Option<String>,
}

/// The schema of an answer, with the limits of each text.
pub(super) fn schema() -> Value {
    let text = |least: u32, most: u32| json!({ "type": "string", "minLength": least, "maxLength": most });
    let maybe = |most: u32| json!({ "type": ["string", "null"], "maxLength": most });
    let object = |properties: Value| {
        let required: Vec<&String> =
            properties.as_object().into_iter().flat_map(serde_json::Map::keys).collect();
        json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
    };
    let list = |items: Value, most: u32| json!({ "type": "array", "items": items, "maxItems": most });
    let project = object(json!({
        "name": text(1, 200),
        "description": text(0, 1_000),
        "url": maybe(500),
        "stars": { "type": ["integer", "null"], "minimum": 0 },
        "language": maybe(50),
        "tags": list(text(1, 50), 10),
    }));
    let mut cta = object(json!({ "text": text(1, 100), "url": maybe(500) }));
    cta["type"] = json!(["object", "null"]);
    object(json!({
        "brand_name": text(1, 100),
        "tagline": maybe(200),
        "hero": object(json!({ "title": text(1, 200), "subtitle": text(1, 500) })),
        "repos": list(project, 20),
        "menu_items": list(object(json!({ "label": text(1, 60), "url": text(1, 500) })), 8),
        "cta": cta,
    }))
}

impl Content {
    /// Reads content that somebody wrote: a file that stands in for a model, say. `path` is only for errors.
    ///
    /// # Errors
    /// `Config` with each place that does not fit.
    pub fn parse(path: &str, text: &str) -> Result<Self, Error> {
        let failed = |why: String| Error::new(ErrorKind::Config, format!("{path}: {why}"));
        let content: Self = serde_json::from_str(text).map_err(|err| failed(err.to_string()))?;
        let schema = Schema::new("portfolio", schema()).map_err(Error::from_provider)?;
        let violations = schema.violations(&json!(content));
        if violations.is_empty() {
            return Ok(content);
        }
        let messages = violations.iter().map(|wrong| format!("{}: {}", wrong.pointer, wrong.message));
        Err(failed(messages.collect::<Vec<_>>().join("; ")))
    }

    /// The content of an answer, without the links and numbers that the notes do not have, and as the voice's rules want it.
    ///
    /// # Errors
    /// `Internal` for a value that is no answer of the recipe.
    pub fn of_answer(answer: Value, notes: &str, voice: &Voice) -> Result<(Self, Vec<Removed>), Error> {
        let content = serde_json::from_value(answer);
        let mut content: Self = content
            .map_err(|err| Error::internal(format!("the schema let a wrong answer through: {err}")))?;
        let removed = grounding::remove_ungrounded(&mut content, notes);
        voice.apply(&mut content);
        Ok((content, removed))
    }

    /// Each text that people read, with its place, such as `repos[].description`.
    pub(super) fn texts(&mut self) -> impl Iterator<Item = (&'static str, &mut String)> {
        let own = [
            Some(("brand_name", &mut self.brand_name)),
            self.tagline.as_mut().map(|text| ("tagline", text)),
            Some(("hero.title", &mut self.hero.title)),
            Some(("hero.subtitle", &mut self.hero.subtitle)),
            self.cta.as_mut().map(|cta| ("cta.text", &mut cta.text)),
        ];
        let projects = self.repos.iter_mut().flat_map(|project| {
            let tags = project.tags.iter_mut().map(|tag| ("repos[].tags[]", tag));
            [("repos[].name", &mut project.name), ("repos[].description", &mut project.description)]
                .into_iter()
                .chain(tags)
        });
        let menu = self.menu_items.iter_mut().map(|link| ("menu_items[].label", &mut link.label));
        own.into_iter().flatten().chain(projects).chain(menu)
    }
}

#[cfg(test)]
mod tests {
    use super::Content;

    #[test]
    fn content_that_somebody_wrote_is_held_to_the_limits() {
        let good =
            r#"{"brand_name": "Ada", "hero": {"title": "T", "subtitle": "S"}, "cta": {"label": "Go"}}"#;
        let content = Content::parse("a.json", good).unwrap();
        assert_eq!((content.cta.unwrap().text.as_str(), content.repos.len()), ("Go", 0));
        let err = |text: &str| Content::parse("a.json", text).unwrap_err().to_string();
        assert!(err("{").starts_with("a.json: "));
        let long = good.replace("Ada", &"A".repeat(101));
        assert!(err(&long).starts_with("a.json: /brand_name: "), "{}", err(&long));
        let stars = |number: &str| {
            let text = format!("{{\"name\": \"n\", \"stars\": {number}}}");
            serde_json::from_str::<super::Project>(&text).unwrap().stars
        };
        assert_eq!(
            [stars("12"), stars("12.0"), stars("1e3"), stars("null")],
            [Some(12), Some(12), Some(1_000), None]
        );
        assert_eq!([stars("99999999999999999999"), stars("1.5"), stars("-1")], [None; 3]);
    }
}
