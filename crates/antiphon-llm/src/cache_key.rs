use std::fmt;

use crate::prompt::{DocumentPart, Message, Output, Part, Prompt, Role, Side, SpeakerTurn};
use crate::provider::Scope;
use crate::sampling::SamplingParams;

/// The cache key of a prompt at a provider: a BLAKE3 digest of the vendor, its address, its variant, and everything in the
/// prompt that changes the answer. [`Cached`](crate::Cached) and the deduplication of [`SingleFlight`](crate::SingleFlight) use
/// it.
///
/// The API key is not part of the cache key, so two accounts at one provider share cached answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CacheKey([u8; 32]);

impl CacheKey {
    /// Returns the key of a prompt at a provider.
    ///
    /// ```
    /// use antiphon_llm::{CacheKey, Message, SamplingParams, Prompt, Scope};
    /// let scope = Scope::new("openai", None);
    /// let prompt = Prompt::new("m", [Message::user("Hello")]);
    /// let warmer = prompt.clone().parameters(SamplingParams::default().temperature(0.5));
    /// assert_ne!(CacheKey::of(&scope, &prompt), CacheKey::of(&scope, &warmer));
    /// ```
    #[must_use]
    pub fn of(scope: &Scope, prompt: &Prompt) -> Self {
        // Destructured field by field, and matched without `_`: a new field or variant must not be left out of the key.
        let Scope { vendor, base_url, variant, key_digest: _ } = scope;
        let Prompt { model, system, messages, parameters, output } = prompt;
        let mut hasher = Fields(blake3::Hasher::new_derive_key("antiphon 2026-11-21 prompt"));
        hasher.text(vendor).optional(base_url.as_deref()).optional(variant.as_deref());
        hasher.text(model).optional(system.as_deref());
        hasher.number(messages.len() as u64);
        for Message { role, parts } in messages {
            let role = match role {
                Role::User => 0,
                Role::Assistant => 1,
            };
            hasher.number(role).number(parts.len() as u64);
            parts.iter().for_each(|part| hasher.part(part));
        }
        let SamplingParams { temperature, max_tokens, seed, .. } = *parameters;
        for value in [temperature.map(f64::to_bits), max_tokens, seed] {
            hasher.number(u64::from(value.is_some())).number(value.unwrap_or(0));
        }
        match output {
            Output::Text => hasher.number(0),
            Output::Json(schema) => hasher.number(1).text(schema.name()).text(schema.text()),
        };
        // Behind everything else, and only those that are set: a prompt without them keeps the key of earlier versions.
        for (name, value) in parameters.set().filter(|(name, _)| !SamplingParams::FIRST.contains(name)) {
            hasher.text(name).text(&value.to_string());
        }
        Self(*hasher.0.finalize().as_bytes())
    }

    /// Returns the key as bytes, for storage.
    #[must_use]
    pub fn bytes(self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Display for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A hasher of fields, each prefixed by its length, so that no two sequences of fields have the same bytes.
struct Fields(blake3::Hasher);

impl Fields {
    fn number(&mut self, number: u64) -> &mut Self {
        self.0.update(&number.to_le_bytes());
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.number(text.len() as u64).0.update(text.as_bytes());
        self
    }

    fn part(&mut self, part: &Part) {
        match part {
            Part::Text(text) => self.number(0).text(text),
            Part::Document(DocumentPart { id, name, text, turns }) => {
                self.number(1).text(id).text(name).text(text).number(turns.len() as u64);
                turns.iter().fold(self, Self::turn)
            }
        };
    }

    fn turn(&mut self, SpeakerTurn { speaker, side, span }: &SpeakerTurn) -> &mut Self {
        let side = match side {
            Side::Participant => 0,
            Side::Interviewer => 1,
        };
        self.text(speaker).number(side).number(span.start as u64).number(span.end as u64)
    }

    fn optional(&mut self, text: Option<&str>) -> &mut Self {
        self.number(u64::from(text.is_some())).text(text.unwrap_or_default())
    }
}

#[cfg(test)]
#[cfg(feature = "schema")]
mod tests {
    use std::collections::HashSet;

    use serde_json::json;

    use super::{CacheKey, Prompt, Scope};
    use crate::{
        DocumentPart, Message, Output, Part, ReasoningEffort, Role, SamplingParams, Schema, Side, SpeakerTurn,
    };

    #[test]
    fn keys_are_stable_across_versions() {
        let turns =
            [SpeakerTurn::new("P1", Side::Participant, 0..2), SpeakerTurn::new("I", Side::Interviewer, 2..4)];
        let document = Part::Document(DocumentPart::new("d1", "a.txt", "text").turns(turns));
        let messages = [Message::of(Role::User, [Part::Text("Read:".to_owned()), document])];
        let prompt = Prompt::new("m", messages).message(Message::assistant("ok")).system("Be brief.");
        let prompt = prompt.parameters(SamplingParams::default().temperature(0.5).max_tokens(9).seed(1));
        let schema = Schema::new("s", json!({"type": "object", "required": ["a"]})).unwrap();
        let key = CacheKey::of(&Scope::new("v", None).variant("chat"), &prompt.output(Output::Json(schema)));
        assert_eq!(key.to_string(), "66909fbd9afec1f2ebc7645ffdda808866efe40be31438ab012513c20a52b1b8");
    }

    #[test]
    fn everything_that_changes_an_answer_changes_the_key_and_an_account_does_not() {
        let scope = Scope::new("v", Some("http://h/v1".to_owned()));
        let prompt = || Prompt::new("m", [Message::user("ab")]);
        let schema = |name, value| Output::Json(Schema::new(name, value).unwrap());
        let document = |name: &str| Part::Document(DocumentPart::new("d1", name, "text"));
        let effort = |effort| SamplingParams::default().reasoning_effort(effort);
        let different = [
            CacheKey::of(&scope, &prompt()),
            CacheKey::of(&Scope::new("v", None), &prompt()),
            CacheKey::of(&Scope::new("w", Some("http://h/v1".to_owned())), &prompt()),
            CacheKey::of(&scope, &Prompt::new("n", [Message::user("ab")])),
            CacheKey::of(&scope, &prompt().system("")),
            CacheKey::of(&scope, &prompt().system("s")),
            CacheKey::of(&scope, &Prompt::new("m", [Message::user("a"), Message::user("b")])),
            CacheKey::of(&scope, &Prompt::new("m", [Message::assistant("ab")])),
            CacheKey::of(&scope, &Prompt::new("m", [Message::of(Role::User, [document("a")])])),
            CacheKey::of(&scope, &Prompt::new("m", [Message::of(Role::User, [document("b")])])),
            CacheKey::of(&scope, &prompt().parameters(SamplingParams::default().temperature(0.0))),
            CacheKey::of(&scope, &prompt().parameters(SamplingParams::default().max_tokens(0))),
            CacheKey::of(&scope, &prompt().parameters(SamplingParams::default().seed(0))),
            CacheKey::of(&scope, &prompt().parameters(SamplingParams::default().top_p(0.0))),
            CacheKey::of(&scope, &prompt().parameters(SamplingParams::default().min_p(0.0))),
            CacheKey::of(&scope, &prompt().parameters(SamplingParams::default().top_k(0))),
            CacheKey::of(&scope, &prompt().parameters(SamplingParams::default().presence_penalty(0.0))),
            CacheKey::of(&scope, &prompt().parameters(SamplingParams::default().frequency_penalty(0.0))),
            CacheKey::of(&scope, &prompt().parameters(SamplingParams::default().stop(["a", "b"]))),
            CacheKey::of(&scope, &prompt().parameters(SamplingParams::default().stop(["ab"]))),
            CacheKey::of(&scope, &prompt().parameters(SamplingParams::default().reasoning_budget(0))),
            CacheKey::of(&scope, &prompt().parameters(effort(ReasoningEffort::None))),
            CacheKey::of(&scope, &prompt().parameters(effort(ReasoningEffort::Low))),
            CacheKey::of(&scope, &prompt().parameters(SamplingParams::default().service_tier("low"))),
            CacheKey::of(&scope, &prompt().output(schema("s", json!({})))),
            CacheKey::of(&scope, &prompt().output(schema("t", json!({})))),
            CacheKey::of(&scope, &prompt().output(schema("s", json!({"type": "object"})))),
        ];
        assert_eq!(different.iter().collect::<HashSet<_>>().len(), different.len());
        assert_eq!(CacheKey::of(&scope.key("sk-a"), &prompt()), different[0]);
        assert_eq!(different[0].to_string().len(), 64);
    }
}
