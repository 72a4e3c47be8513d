//! The work of a persona run: one job, whose answer is a list of personas.
//!
//! A persona that breaks the schema, or is a near duplicate of an earlier one, costs itself alone: the others are kept, and as
//! many as are missing are asked for again. Personas beyond the number that was asked for are left out, the last ones first.

use antiphon_engine::{Accepted, Invalid, InvalidRow, JobView, Work};
use antiphon_llm::{Output, Prompt, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::persona::{self, Count, Duplicate, deduplicate};
use crate::pipeline::Prepared;

/// Maximum number of calls for replacements of personas that were missing or rejected.
const REPLACEMENTS: u32 = 3;

/// The note of an answer that has more personas than were asked for.
#[derive(Serialize, Deserialize)]
struct LeftOut {
    left_out: usize,
}

/// The work of the only job of a persona run.
#[derive(Debug)]
pub(crate) struct PersonaWork {
    prompt: Prompt,
    /// The schema of a list of any elements.
    list: Schema,
    /// The schema of a persona.
    element: Schema,
    count: Count,
    max_similarity: f64,
}

impl PersonaWork {
    pub(crate) fn new(prepared: &Prepared) -> Self {
        /// Default maximum tokens of one persona under a budget, hidden reasoning included.
        const MAX_TOKENS: u64 = 4_000;
        let (schema, count) = (prepared.schema.clone(), prepared.config.count);
        let (list, element) = persona::separated(&schema);
        let mut prompt = prepared.prompt.clone().output(Output::Json(schema));
        if prepared.config.limits.max_cost.is_some() {
            let most = MAX_TOKENS.saturating_mul(count.likely() as u64);
            prompt.parameters.max_tokens.get_or_insert(most);
        }
        Self { prompt, list, element, count, max_similarity: prepared.config.recipe.max_similarity }
    }

    /// Separates the drafts that fit the schema from the reasons why the others do not.
    fn valid(&self, drafts: Vec<Value>) -> (Vec<Value>, Vec<String>) {
        let (mut valid, mut reasons) = (Vec::new(), Vec::new());
        for (index, draft) in drafts.into_iter().enumerate() {
            match self.element.violations(&draft).first() {
                None => valid.push(draft),
                Some(violation) => {
                    reasons.push(format!("/personas/{index}{}: {}", violation.pointer, violation.message));
                }
            }
        }
        (valid, reasons)
    }

    /// Returns what an answer lacks of personas, with the reasons why others were rejected, for the model.
    fn lack(&self, kept: usize, rejected: Vec<String>) -> String {
        let least = self.count.least();
        let lack = format!("/personas: there are {kept} valid and distinct ones, and {least} is the least");
        [vec![lack], rejected].concat().join("\n")
    }
}

impl Work for PersonaWork {
    fn prompt(&self, _row: &str) -> Result<Prompt, InvalidRow> {
        Ok(self.prompt.clone())
    }

    fn schema(&self) -> Option<&Schema> {
        Some(&self.list)
    }

    fn accept(&self, job: &JobView<'_>, mut value: Value) -> Result<Accepted, Invalid> {
        let Value::Array(drafts) = value["personas"].take() else {
            return Err(Invalid::Violations("/personas: there is no list".to_owned()));
        };
        let (valid, invalid) = self.valid(drafts);
        let (mut kept, duplicates) = deduplicate(&valid, self.max_similarity);
        let mut notes: Vec<Value> = duplicates.iter().map(|duplicates| json!(duplicates)).collect();
        if kept.len() < self.count.least() {
            let lack = self.lack(kept.len(), [invalid, reasons(&duplicates)].concat());
            if kept.is_empty() {
                return Err(Invalid::Violations(lack));
            }
            if job.partial_answers < REPLACEMENTS {
                return Err(Invalid::Partial { kept, reasons: lack, notes });
            }
        }
        if let left_out @ 1.. = kept.len().saturating_sub(self.count.most()) {
            notes.push(json!(LeftOut { left_out }));
            kept.truncate(self.count.most());
        }
        // Fewer distinct personas are better than none: the report says how many are missing.
        Ok(Accepted::new(json!({ "personas": kept })).notes(notes))
    }

    fn list(&self) -> Option<&str> {
        Some("/personas")
    }

    fn max_invalid_answers(&self, attempts: u32) -> u32 {
        attempts.saturating_add(REPLACEMENTS)
    }

    fn settle_for(&self, kept: &[Value]) -> Option<Value> {
        (!kept.is_empty()).then(|| json!({ "personas": kept }))
    }
}

/// Returns the reasons why personas were rejected, for the model.
fn reasons(duplicates: &[Duplicate]) -> Vec<String> {
    let reason = |duplicate: &Duplicate| {
        let Duplicate { name, like, similarity, .. } = duplicate;
        format!("{name} is too much like {like}: {:.0} % is the same", similarity * 100.0)
    };
    duplicates.iter().map(reason).collect()
}

/// Returns the personas that were rejected, from the notes of a job, each once: a model may repeat one.
pub(crate) fn duplicates(notes: &[Value]) -> Vec<Duplicate> {
    let mut all: Vec<Duplicate> = Vec::new();
    for duplicates in notes.iter().filter_map(|note| Duplicate::deserialize(note).ok()) {
        if !all.contains(&duplicates) {
            all.push(duplicates);
        }
    }
    all
}

/// Returns the number of personas beyond the number that was asked for, from the notes of a job.
pub(crate) fn left_out(notes: &[Value]) -> usize {
    notes.iter().filter_map(|note| LeftOut::deserialize(note).ok()).map(|note| note.left_out).sum()
}
