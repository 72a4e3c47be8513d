use std::time::Duration;

use antiphon_llm::{Billed, Error as LlmError, Output, Prompt, ProviderExt, Schema, Usage};
use serde_json::{Value, json};

use crate::persona::{Refused, sort_out};
use crate::pipeline::{Pipeline, Prepared};
use crate::watched::{Watched, Words};
use antiphon_engine::{Lacking, rest_of};

/// How often others are asked for in the place of personas that were refused.
pub(crate) const REPLACEMENTS: u32 = 3;

/// What came of asking.
pub(crate) struct Asked {
    pub(crate) answer: Result<Value, LlmError>,
    pub(crate) took: Took,
    pub(crate) refused: Vec<Refused>,
}

/// What the calls of a run took, whether or not they gave anything.
pub(crate) struct Took {
    pub(crate) calls: u32,
    pub(crate) usage: Usage,
    pub(crate) cost_usd_micros: Option<u64>,
    pub(crate) may_cost_more: bool,
    pub(crate) served_model: Option<String>,
    pub(crate) first_token: Option<Duration>,
}

impl Took {
    pub(crate) fn nothing() -> Self {
        Self {
            calls: 0,
            usage: Usage::new(Some(0), Some(0)),
            cost_usd_micros: Some(0),
            may_cost_more: false,
            served_model: None,
            first_token: None,
        }
    }

    pub(crate) fn and(mut self, later: Self) -> Self {
        self.usage += later.usage;
        Self {
            calls: self.calls + later.calls,
            usage: self.usage,
            cost_usd_micros: self.cost_usd_micros.zip(later.cost_usd_micros).map(|(one, other)| one + other),
            may_cost_more: self.may_cost_more || later.may_cost_more,
            served_model: later.served_model.or(self.served_model),
            first_token: self.first_token.or(later.first_token),
        }
    }
}

/// The personas of an answer that differ.
pub(crate) struct Distinct {
    pub(crate) kept: Vec<Value>,
    pub(crate) refused: Vec<Refused>,
}

impl Distinct {
    pub(crate) fn of(answer: &Value, max_similarity: f64) -> Self {
        let drafts = answer["personas"].as_array().map(Vec::as_slice).unwrap_or_default();
        let (kept, refused) = sort_out(drafts, max_similarity);
        Self { kept, refused }
    }

    pub(crate) fn answer(&self) -> Value {
        json!({ "personas": self.kept })
    }

    /// Why some were refused, for the model.
    pub(crate) fn reasons(&self) -> String {
        let reason = |refused: &Refused| {
            let Refused { name, like, similarity, .. } = refused;
            format!("{name} is too much like {like}: {:.0} % is the same", similarity * 100.0)
        };
        self.refused.iter().map(reason).collect::<Vec<_>>().join("\n")
    }
}

impl Pipeline {
    /// Asks for personas, and for others in the place of those that are too much alike. What differs is kept where no
    /// others come.
    pub(crate) async fn ask(&self, prepared: &Prepared) -> Asked {
        let question = prepared.prompt.clone().output(Output::Json(prepared.schema.clone()));
        let recipe = &prepared.config.recipe;
        let (mut answer, mut took) = self.ask_once(prepared, &question, &prepared.schema).await;
        let mut refused = Vec::new();
        let mut replacements = 0;
        while let Ok(value) = &answer {
            let mut distinct = Distinct::of(value, recipe.max_similarity);
            let reasons = distinct.reasons();
            distinct.refused.retain(|again| !refused.contains(again));
            refused.append(&mut distinct.refused);
            let is_short = distinct.kept.len() < prepared.config.count.least();
            answer = Ok(distinct.answer());
            if !is_short || replacements == REPLACEMENTS || self.drain.is_cancelled() {
                break;
            }
            replacements += 1;
            let Some(rest) = rest_of(&question, "/personas", &distinct.kept, Lacking::Refused(&reasons))
            else {
                break;
            };
            let Output::Json(schema) = &rest.output else { break };
            let (others, more) = self.ask_once(prepared, &rest, schema).await;
            took = took.and(more);
            // Whoever has some is not left without them because no others came.
            let Ok(mut others) = others else { break };
            if let Some(Value::Array(others)) = others.get_mut("personas") {
                distinct.kept.append(others);
            }
            answer = Ok(distinct.answer());
        }
        Asked { answer, took, refused }
    }

    pub(crate) async fn ask_once(
        &self,
        prepared: &Prepared,
        prompt: &Prompt,
        schema: &Schema,
    ) -> (Result<Value, LlmError>, Took) {
        let provider = Watched {
            inner: self.provider.clone(),
            on_event: self.on_event.clone(),
            words: Words::default(),
        };
        let asked = provider.complete_json(prompt, schema, &prepared.context()).await;
        let (answer, mut took) = match asked {
            Ok(answer) => {
                let mut usage = answer.usage;
                if let Billed::Yes(lost) = answer.lost {
                    usage += lost;
                }
                let took = Took {
                    calls: answer.calls,
                    usage,
                    cost_usd_micros: None,
                    may_cost_more: answer.lost == Billed::Maybe,
                    served_model: answer.completion.head.model,
                    first_token: answer.completion.timing.first_token,
                };
                (Ok(answer.value), took)
            }
            Err(err) => {
                let usage = match err.billed() {
                    Billed::No => Some(Usage::new(Some(0), Some(0))),
                    Billed::Yes(usage) => Some(usage),
                    Billed::Maybe => err.partial().map(|partial| partial.usage),
                };
                let took = Took {
                    calls: err.attempts(),
                    usage: usage.unwrap_or_default(),
                    may_cost_more: err.billed() == Billed::Maybe,
                    ..Took::nothing()
                };
                (Err(err), took)
            }
        };
        let price = (self.pricing)(took.usage.input.unwrap_or(prepared.estimated_tokens));
        took.cost_usd_micros = price.and_then(|price| price.cost_usd_micros(took.usage));
        (answer, took)
    }
}
