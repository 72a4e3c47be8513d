use antiphon_engine::{Accepted, Invalid, InvalidRow, JobView, Work};
use antiphon_llm::{Output, Prompt, Schema};
use serde_json::{Value, json};

use crate::persona::{self, Count, Duplicate, deduplicate};
use crate::pipeline::Prepared;

/// Maximum number of calls for replacements of personas that were rejected as near duplicates.
const REPLACEMENTS: u32 = 3;

/// The work of the only job of a persona run.
#[derive(Debug)]
pub(crate) struct PersonaWork {
    prompt: Prompt,
    /// The schema of a list of any length.
    list: Schema,
    count: Count,
    max_similarity: f64,
}

impl PersonaWork {
    pub(crate) fn new(prepared: &Prepared) -> Self {
        /// Default maximum tokens of one persona under a budget, hidden reasoning included.
        const MAX_TOKENS: u64 = 4_000;
        let (schema, count) = (prepared.schema.clone(), prepared.config.count);
        let list = persona::unbounded(&schema);
        let mut prompt = prepared.prompt.clone().output(Output::Json(schema));
        if prepared.config.limits.max_cost.is_some() {
            let most = MAX_TOKENS.saturating_mul(count.likely() as u64);
            prompt.parameters.max_tokens.get_or_insert(most);
        }
        Self { prompt, list, count, max_similarity: prepared.config.recipe.max_similarity }
    }

    /// Checks the number of personas in an answer without near duplicates: only then is a wrong number the answer's fault.
    fn check_count(&self, personas: usize, job: &JobView<'_>) -> Result<(), Invalid> {
        let (least, most) = (self.count.least(), self.count.most());
        let complaint = match personas {
            count if count > most => format!("/personas: there are {count}, and {most} is the most"),
            // After near duplicates were rejected, fewer personas are better than none.
            count if count < least && job.partial_answers == 0 => {
                format!("/personas: there are {count}, and {least} is the least")
            }
            _ => return Ok(()),
        };
        Err(Invalid::Violations(complaint))
    }
}

impl Work for PersonaWork {
    fn prompt(&self, _row: &str) -> Result<Prompt, InvalidRow> {
        Ok(self.prompt.clone())
    }

    fn schema(&self) -> Option<&Schema> {
        Some(&self.list)
    }

    fn accept(&self, job: &JobView<'_>, value: Value) -> Result<Accepted, Invalid> {
        let drafts = value["personas"].as_array().map(Vec::as_slice).unwrap_or_default();
        let (mut kept, duplicates) = deduplicate(drafts, self.max_similarity);
        if duplicates.is_empty() {
            self.check_count(kept.len(), job)?;
        }
        kept.truncate(self.count.most());
        let notes = duplicates.iter().map(|duplicates| json!(duplicates)).collect();
        if kept.len() < self.count.least() && job.partial_answers < REPLACEMENTS && !duplicates.is_empty() {
            return Err(Invalid::Partial { kept, reasons: reasons(&duplicates), notes });
        }
        // Fewer distinct personas are better than none: the report says how many are missing.
        Ok(Accepted::new(json!({ "personas": kept })).notes(notes))
    }

    fn list(&self) -> Option<&str> {
        Some("/personas")
    }

    fn settle_for(&self, kept: &[Value]) -> Option<Value> {
        (!kept.is_empty()).then(|| json!({ "personas": kept }))
    }
}

/// Returns the reasons why personas were rejected, for the model.
fn reasons(duplicates: &[Duplicate]) -> String {
    let reason = |duplicate: &Duplicate| {
        let Duplicate { name, like, similarity, .. } = duplicate;
        format!("{name} is too much like {like}: {:.0} % is the same", similarity * 100.0)
    };
    duplicates.iter().map(reason).collect::<Vec<_>>().join("\n")
}

/// Returns the personas that were rejected, from the notes of a job, each once: a model may repeat one.
pub(crate) fn duplicates(notes: Vec<Value>) -> Vec<Duplicate> {
    let mut all: Vec<Duplicate> = Vec::new();
    for duplicates in notes.into_iter().filter_map(|note| serde_json::from_value(note).ok()) {
        if !all.contains(&duplicates) {
            all.push(duplicates);
        }
    }
    all
}
