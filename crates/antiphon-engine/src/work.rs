use std::fmt;

use antiphon_llm::{Completion, Prompt};
use serde_json::Value;

/// What is asked about a row, and what is made of the answer.
///
/// Its methods are called from many jobs at once and must not block.
pub trait Work: fmt::Debug + Send + Sync + 'static {
    /// What is asked about a row, which is the text of a JSON object.
    ///
    /// # Errors
    /// Why nothing can be asked about it, for whoever wrote the recipe or the row.
    fn prompt(&self, row: &str) -> Result<Prompt, String>;

    /// The result in an answer about a row, which is told by its place, from 0, and its text.
    ///
    /// # Errors
    /// Why the answer has none.
    fn read(&self, row: (u64, &str), answer: &Completion) -> Result<Value, Unfit>;

    /// The path (RFC 6901) of the list whose whole elements are worth keeping from an answer that was cut.
    fn list(&self) -> Option<&str> {
        None
    }

    /// Whether the results of other rows matter to that of a row.
    fn looks_back(&self) -> bool {
        false
    }

    /// Is told, where results of other rows matter, of those that are there already before anything is asked: a row's
    /// place and the JSON of its result.
    fn accepted_before(&self, _index: u64, _result: &str) {}
}

/// Why an answer has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// It ends in the middle.
    Cut,
    /// Some elements of its list are of use, and others have to be asked for, for these reasons. The elements come once
    /// more, before those of the next answer.
    Part(Vec<Value>, String),
    /// It does not fit, for these reasons, a line each; the model can be told, and asked again.
    Misfit(String),
}

impl From<antiphon_llm::Rejected> for Unfit {
    fn from(rejected: antiphon_llm::Rejected) -> Self {
        match rejected {
            antiphon_llm::Rejected::Cut => Self::Cut,
            antiphon_llm::Rejected::Misfit(complaint) => Self::Misfit(complaint),
        }
    }
}
