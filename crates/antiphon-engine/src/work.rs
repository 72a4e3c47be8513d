use std::fmt;

use antiphon_llm::{Prompt, Schema};
use serde_json::Value;

/// The recipe of a run's jobs: what is asked about a row, and what an answer's value is worth.
///
/// [`Recipe`](crate::Recipe) is the one for rows of a table; implement it for a recipe with a meaning of its own. The methods
/// are called from many jobs concurrently, must not block, and keep no state of a job: what a job has to remember between
/// two answers goes into [`Accepted::notes`] and [`Invalid::Partial`], which the engine carries.
pub trait Work: fmt::Debug + Send + Sync + 'static {
    /// Returns the prompt about a row, which is the text of a JSON object.
    ///
    /// # Errors
    /// A sentence for the author of the recipe or of the row, where nothing can be asked about it.
    fn prompt(&self, row: &str) -> Result<Prompt, String>;

    /// Returns the schema that answers are checked against. Default `None`: the prompt's own.
    fn schema(&self) -> Option<&Schema> {
        None
    }

    /// Turns an answer's value into the job's result. The value fits the schema; without one it is the trimmed text.
    ///
    /// # Errors
    /// The reason why the answer has no result.
    fn accept(&self, _job: &JobView<'_>, value: Value) -> Result<Accepted, Invalid> {
        Ok(Accepted::new(value))
    }

    /// Returns the path (RFC 6901) of the list whose whole elements are worth keeping from an answer that was cut.
    fn list(&self) -> Option<&str> {
        None
    }

    /// Returns the result that the elements of a partially valid answer make if no valid one follows. Default `None`: the
    /// job fails then.
    fn settle_for(&self, _kept: &[Value]) -> Option<Value> {
        None
    }

    /// Returns what no other row of the run may have in its result. The store keeps to that for all processes that work on the
    /// run. Default: nothing.
    fn unique(&self, _result: &Value) -> Vec<Unique> {
        Vec::new()
    }

    /// Whether the results of other rows matter to that of a row.
    fn looks_back(&self) -> bool {
        false
    }

    /// Receives, where results of other rows matter, those that are there already before anything is asked: a row's
    /// index and the JSON of its result.
    fn accepted_before(&self, _index: u64, _result: &str) {}
}

/// A part of a result that no other row may have.
#[derive(Debug, Clone, PartialEq)]
pub struct Unique {
    /// The path of the part (RFC 6901); empty for the whole.
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

    /// Returns the digest by which the store knows it.
    pub(crate) fn digest(&self) -> [u8; 16] {
        let mut hash = blake3::Hasher::new();
        hash.update(self.at.as_bytes()).update(&[0]).update(self.value.to_string().as_bytes());
        let hash = hash.finalize();
        std::array::from_fn(|at| hash.as_bytes()[at])
    }

    /// Returns what is wrong with a second one, for the model.
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
    /// How many partially valid answers came before this one.
    pub partial_answers: u32,
}

impl<'a> JobView<'a> {
    /// Creates the view of a job without earlier answers.
    #[must_use]
    pub fn new(index: u64, row: &'a str) -> Self {
        Self { index, row, partial_answers: 0 }
    }

    pub(crate) fn partial_answers(mut self, answers: u32) -> Self {
        self.partial_answers = answers;
        self
    }
}

/// The result of a valid answer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Accepted {
    /// The result.
    pub value: Value,
    /// Remarks for the caller, which are handed on with the job's outcome and are no part of the result.
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
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Invalid {
    /// The answer ends in the middle.
    Truncated,
    /// The answer is partially valid: some elements of its list are of use, and others have to be asked for. The elements
    /// come once more, before those of the next answer.
    Partial {
        /// The elements to keep.
        kept: Vec<Value>,
        /// The reasons why the others were rejected, a line each; the model is given them.
        reasons: String,
        /// Remarks for the caller, which are handed on with the job's outcome.
        notes: Vec<Value>,
    },
    /// The answer breaks its schema or a check, for these reasons, a line each; the model is given them, and asked again.
    Violations(String),
}

#[cfg(test)]
mod tests {
    use antiphon_llm::{Message, Prompt};
    use serde_json::json;

    use super::{Accepted, JobView, Unique, Work};

    #[test]
    fn equal_parts_at_one_path_have_one_digest() {
        let part = |at: &str, value: &str| Unique::new(at, json!(value)).digest();
        assert_eq!(part("/a", "x"), part("/a", "x"));
        assert!(part("/a", "x") != part("/b", "x") && part("/a", "x") != part("/a", "y"));
        let whole = Unique::new("", json!("x")).complaint();
        assert_eq!(whole, "the whole answer: another one has \"x\" already: give a different one");
    }

    /// A recipe that says no more than it has to.
    #[derive(Debug)]
    struct Plain;

    impl Work for Plain {
        fn prompt(&self, row: &str) -> Result<Prompt, String> {
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
