//! The contract between the engine and a recipe: from a row to a prompt, and from an answer to a result.
//!
//! ```text
//! row ─ prompt ─▶ call ─▶ answer ─ schema ─▶ value ─ accept ─▶ result ─ unique ─▶ settlement
//!                            ▲                          │
//!                            └──── attempt after Invalid ┘
//! ```
//!
//! A recipe decides, and the engine acts: the methods of [`Work`] are synchronous and do no I/O, so that the engine can
//! retry, resume and deduplicate without the recipe's knowledge.

use std::fmt;

use antiphon_llm::{Prompt, Schema};
use serde_json::Value;

/// The reason why no prompt can be made of a row: a sentence for the author of the recipe or of the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidRow(String);

impl InvalidRow {
    /// Creates the error from its reason.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl From<String> for InvalidRow {
    fn from(reason: String) -> Self {
        Self(reason)
    }
}

impl fmt::Display for InvalidRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidRow {}

/// The recipe of a run's jobs: makes the prompt of a row, and turns an answer's value into a result.
///
/// [`Recipe::asking`](crate::Recipe::asking) returns the implementation for rows of a table; implement the trait for a custom
/// recipe. The methods are called by many jobs concurrently. They must not block, and must not keep state of a job: remarks for
/// the caller go into [`Accepted::notes`], and list elements to keep for the next answer into [`Invalid::Partial`]; the engine
/// stores both.
///
/// Only [`prompt`](Self::prompt) is required.
///
/// # Examples
/// ```
/// use antiphon_engine::{InvalidRow, Work};
/// use antiphon_llm::{Message, Prompt};
///
/// #[derive(Debug)]
/// struct Spell;
///
/// impl Work for Spell {
///     fn prompt(&self, row: &str) -> Result<Prompt, InvalidRow> {
///         if row == "{}" {
///             return Err(InvalidRow::new("the row is empty"));
///         }
///         Ok(Prompt::new("some-model", [Message::user(row)]))
///     }
/// }
/// assert!(Spell.prompt("{\"n\": 1}").is_ok());
/// ```
pub trait Work: fmt::Debug + Send + Sync + 'static {
    /// Returns the prompt for a row, which is the text of a JSON object.
    ///
    /// The same row should give the same prompt: prompts are the keys of deduplication and of cached answers, and a job
    /// that is resumed makes its prompt again.
    ///
    /// # Errors
    /// The reason why no prompt can be made, as a sentence for the author of the recipe or of the row. The row then fails as
    /// `bad_row`.
    fn prompt(&self, row: &str) -> Result<Prompt, InvalidRow>;

    /// Returns the schema that answers are checked against. Default `None`: the prompt's own.
    fn schema(&self) -> Option<&Schema> {
        None
    }

    /// Turns an answer's value into the job's result. The value has already been checked against the schema; without a schema it
    /// is the trimmed text of the answer. Default: the value is the result.
    ///
    /// # Errors
    /// The reason why the answer has no result: see [`Invalid`] for what follows from each.
    fn accept(&self, _job: &JobView<'_>, value: Value) -> Result<Accepted, Invalid> {
        Ok(Accepted::new(value))
    }

    /// Returns the JSON pointer (RFC 6901) of the answer's list. If an answer is cut, whole elements of that list are kept, and
    /// only the rest is requested. Default: none.
    fn list(&self) -> Option<&str> {
        None
    }

    /// Returns the maximum number of answers of a job that may be partially valid or invalid before it fails, for a recipe with
    /// this many attempts. Default: one less than the attempts, since the last one has to be valid.
    fn max_invalid_answers(&self, attempts: u32) -> u32 {
        attempts.saturating_sub(1)
    }

    /// Returns the result to settle for if an answer was partially valid and no valid one followed, made from the kept elements.
    /// Default `None`: the job fails.
    fn settle_for(&self, _kept: &[Value]) -> Option<Value> {
        None
    }

    /// Returns the parts of a result that must be unique among the rows of the run. The store enforces this, also across
    /// processes. Default: none.
    fn unique(&self, _result: &Value) -> Vec<Unique> {
        Vec::new()
    }

    /// Returns whether the result of a row depends on the results of other rows. If so, the engine passes earlier results to
    /// [`accepted_before`](Self::accepted_before) when a run is resumed. Default: no.
    fn looks_back(&self) -> bool {
        false
    }

    /// Receives an earlier result of the run, before the first call: the row's index and its result as JSON. Called only if
    /// [`looks_back`](Self::looks_back). Default: does nothing.
    fn accepted_before(&self, _index: u64, _result: &str) {}
}

/// A part of a result that no other row may have.
///
/// Parts are compared by their path and their JSON text, so `1` and `1.0` differ. If another row has the part, the
/// result is rejected, and the model gets the complaint in a schema retry.
#[derive(Debug, Clone, PartialEq)]
pub struct Unique {
    /// The JSON pointer (RFC 6901) of the part; empty for the whole result.
    pub at: String,
    /// The part.
    pub value: Value,
}

impl Unique {
    /// Creates a part at a path.
    #[must_use]
    pub fn new(at: impl Into<String>, value: Value) -> Self {
        Self { at: at.into(), value }
    }

    /// Returns the digest that identifies the part in the store: the first 16 bytes of BLAKE3 over the path, a zero
    /// byte and the value. The zero byte keeps path and value apart.
    pub(crate) fn digest(&self) -> [u8; 16] {
        let mut hash = blake3::Hasher::new();
        hash.update(self.at.as_bytes()).update(&[0]).update(self.value.to_string().as_bytes());
        let hash = hash.finalize();
        std::array::from_fn(|at| hash.as_bytes()[at])
    }

    /// Returns the complaint about a second row with this part, for the model.
    pub(crate) fn complaint(&self) -> String {
        let at = if self.at.is_empty() { "the whole answer" } else { &self.at };
        format!("{at}: another one has {} already: give a different one", self.value)
    }
}

/// The job that an answer is for.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct JobView<'a> {
    /// The row's index, from 0.
    pub index: u64,
    /// The row: the text of a JSON object.
    pub row: &'a str,
    /// The number of partially valid answers before this one.
    pub partial_answers: u32,
}

impl<'a> JobView<'a> {
    /// Creates the view of a job without earlier answers.
    #[must_use]
    pub fn new(index: u64, row: &'a str) -> Self {
        Self { index, row, partial_answers: 0 }
    }

    /// Sets the number of partially valid answers before this one.
    pub(crate) fn partial_answers(mut self, answers: u32) -> Self {
        self.partial_answers = answers;
        self
    }
}

/// The result of a valid answer: the value that is stored, and remarks beside it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Accepted {
    /// The result.
    pub value: Value,
    /// Remarks for the caller, which are returned with the job's outcome and are not part of the result.
    pub notes: Vec<Value>,
}

impl Accepted {
    /// Creates a result without remarks.
    #[must_use]
    pub fn new(value: Value) -> Self {
        Self { value, notes: Vec::new() }
    }

    /// Sets the remarks.
    #[must_use]
    pub fn notes(mut self, notes: Vec<Value>) -> Self {
        self.notes = notes;
        self
    }
}

/// The reasons why an answer has no result.
///
/// Each of them is followed by another attempt while the recipe's attempts last. A call whose answer is invalid is billed like
/// any other.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Invalid {
    /// The answer ends in the middle. If the recipe has a list, its whole elements are kept, and only the rest is
    /// requested.
    Truncated,
    /// The answer is partially valid: some elements of its list are kept, and replacements for the others are requested. The kept
    /// elements are prepended to the list of the next answer.
    Partial {
        /// The elements to keep.
        kept: Vec<Value>,
        /// The reasons why the others were rejected, one per line; they are sent to the model.
        reasons: String,
        /// Remarks for the caller, which are returned with the job's outcome.
        notes: Vec<Value>,
    },
    /// The answer breaks its schema or a check, for these reasons, one per line; a schema retry sends them to the model.
    Violations(String),
}

#[cfg(test)]
mod tests {
    use antiphon_llm::{Message, Prompt};
    use serde_json::json;

    use super::{Accepted, InvalidRow, JobView, Unique, Work};

    #[test]
    fn equal_parts_at_one_path_have_one_digest() {
        let part = |at: &str, value: &str| Unique::new(at, json!(value)).digest();
        assert_eq!(part("/a", "x"), part("/a", "x"));
        assert!(part("/a", "x") != part("/b", "x") && part("/a", "x") != part("/a", "y"));
        let whole = Unique::new("", json!("x")).complaint();
        assert_eq!(whole, "the whole answer: another one has \"x\" already: give a different one");
    }

    /// A recipe that implements the required method alone.
    #[derive(Debug)]
    struct Plain;

    impl Work for Plain {
        fn prompt(&self, row: &str) -> Result<Prompt, InvalidRow> {
            Ok(Prompt::new("model", [Message::user(row)]))
        }
    }

    #[test]
    fn by_default_any_value_is_a_result_and_no_list_is_kept() {
        let job = JobView::new(3, "row").partial_answers(2);
        assert_eq!((job.index, job.partial_answers), (3, 2));
        assert_eq!(Plain.accept(&job, json!("words")), Ok(Accepted::new(json!("words"))));
        assert!(Plain.schema().is_none() && Plain.list().is_none() && !Plain.looks_back());
        assert_eq!((Plain.settle_for(&[json!(1)]), Plain.unique(&json!(1))), (None, Vec::new()));
        Plain.accepted_before(0, "1");
        assert_eq!(Accepted::new(json!(1)).notes(vec![json!("so")]).notes, [json!("so")]);
    }
}
