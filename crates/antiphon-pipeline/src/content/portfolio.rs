//! The content of a portfolio site, its JSON schema, and the way from an answer to content.
//!
//! Types and schema have the same fields. The schema is stricter, with limits on lengths and counts: a model has to
//! keep to them (structured output), and a file that a person wrote is checked against them.

use antiphon_llm::Schema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::grounding::{self, Removed};
use super::voice::Voice;
use crate::error::Error;
use crate::json_schema::{list, nullable_text, object, text};
use antiphon_engine::ErrorKind;

/// The copy of a portfolio site. Lengths are in characters.
///
/// The limits are part of the schema of an answer, and are checked in a file that a person wrote; the fields themselves
/// accept any text.
///
/// # Examples
/// ```
/// use antiphon_pipeline::content::Content;
/// let text = r#"{ "brand_name": "Ada", "hero": { "title": "I weave.", "subtitle": "Looms since 1843." } }"#;
/// let content = Content::parse("fallback.json", text)?;
/// assert_eq!((content.hero.title.as_str(), content.repos.len()), ("I weave.", 0));
/// # Ok::<(), antiphon_pipeline::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Content {
    /// The name of the site's owner: 1 to 100 characters.
    pub brand_name: String,
    /// A line below the name: up to 200 characters. Default: none.
    #[serde(default)]
    pub tagline: Option<String>,
    /// The top section of the page.
    pub hero: Hero,
    /// The projects: up to 20. Default: none.
    #[serde(default)]
    pub repos: Vec<Project>,
    /// Links in addition to those to the page's own sections: up to 8. Default: none.
    #[serde(default)]
    pub menu_items: Vec<Link>,
    /// The call to action, such as a link to write a mail. Default: none.
    #[serde(default)]
    pub cta: Option<CallToAction>,
}

/// The top section of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Hero {
    /// The headline: 1 to 200 characters.
    pub title: String,
    /// One or two sentences below the headline: 1 to 500 characters.
    #[serde(default)]
    pub subtitle: String,
}

/// A project on the page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Project {
    /// The name: 1 to 200 characters.
    pub name: String,
    /// The description: up to 1,000 characters.
    #[serde(default)]
    pub description: String,
    /// The address of the project: up to 500 characters.
    #[serde(default)]
    pub url: Option<String>,
    /// The star count, as on GitHub.
    #[serde(default, deserialize_with = "whole")]
    pub stars: Option<u64>,
    /// The programming language: up to 50 characters.
    #[serde(default)]
    pub language: Option<String>,
    /// Tags: up to 10, of 1 to 50 characters each.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// Deserialises a count. In JSON, 12.0 and 1e3 are integers, too; a number that cannot be a count becomes `None`.
fn whole<'de, D: Deserializer<'de>>(value: D) -> Result<Option<u64>, D::Error> {
    let Some(number) = Option::<serde_json::Number>::deserialize(value)? else { return Ok(None) };
    let exact = |number: f64| number.fract() == 0.0 && (0.0..=9e15).contains(&number);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the number is whole and within bounds"
    )]
    let from_float = || number.as_f64().filter(|number| exact(*number)).map(|number| number as u64);
    Ok(number.as_u64().or_else(from_float))
}

/// A link with its label.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Link {
    /// The label: 1 to 60 characters.
    pub label: String,
    /// The target address: 1 to 500 characters.
    pub url: String,
}

/// A call to action: one thing that the visitor should do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CallToAction {
    /// The button's text: 1 to 100 characters.
    #[serde(alias = "label")]
    pub text: String,
    /// The target address: up to 500 characters. Default: none.
    #[serde(default)]
    pub url: Option<String>,
}

/// Returns the JSON schema of an answer (structured output), with the limits of each text.
pub(super) fn schema() -> Value {
    let hero = object(json!({ "title": text(1, 200), "subtitle": text(1, 500) }));
    let link = object(json!({ "label": text(1, 60), "url": text(1, 500) }));
    let mut cta = object(json!({ "text": text(1, 100), "url": nullable_text(500) }));
    cta["type"] = json!(["object", "null"]);
    object(json!({
        "brand_name": text(1, 100),
        "tagline": nullable_text(200),
        "hero": hero,
        "repos": list(&project_schema(), 20),
        "menu_items": list(&link, 8),
        "cta": cta,
    }))
}

/// Returns the schema of a project.
fn project_schema() -> Value {
    object(json!({
        "name": text(1, 200),
        "description": text(0, 1_000),
        "url": nullable_text(500),
        "stars": { "type": ["integer", "null"], "minimum": 0 },
        "language": nullable_text(50),
        "tags": list(&text(1, 50), 10),
    }))
}

impl Content {
    /// Parses JSON content that a person wrote, such as a fallback file. `path` is only used in errors.
    ///
    /// # Errors
    /// `Config` for invalid JSON, or with each place that violates the schema.
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

    /// Returns the content of an answer after grounding and the voice's rules, with the values that grounding removed: links
    /// and numbers that the notes do not contain.
    ///
    /// # Errors
    /// `Internal` for a value that does not have the recipe's schema.
    pub fn of_answer(answer: Value, notes: &str, voice: &Voice) -> Result<(Self, Vec<Removed>), Error> {
        let content = serde_json::from_value(answer);
        let mut content: Self = content
            .map_err(|err| Error::internal(format!("the schema let an invalid answer through: {err}")))?;
        let removed = grounding::remove_ungrounded(&mut content, notes);
        voice.apply(&mut content);
        Ok((content, removed))
    }

    /// Returns each visible text with its place, such as `repos[].description`. Addresses and languages are not among
    /// them: no voice rewrites those.
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
    fn written_content_is_checked_against_the_schema() {
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
