use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::dispatch::JobOutcome;

/// The most names that are counted: a server may report another one with each answer.
const MOST: usize = 32;

/// Results by the model that gave them. Clones are handles to the same counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Served(Arc<Mutex<BTreeMap<String, u64>>>);

impl Served {
    /// Counts an outcome, if it has a result and the provider named the model of its last answer.
    pub(crate) fn count(&self, outcome: &JobOutcome) {
        let (Ok(_), Some(model)) = (&outcome.result, &outcome.seen.head.model) else { return };
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() < MOST || counts.contains_key(model) {
            *counts.entry(model.clone()).or_default() += 1;
        }
    }

    /// Returns the counts so far.
    pub(crate) fn models(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use antiphon_llm::Head;

    use super::{MOST, Served};
    use crate::dispatch::{JobOutcome, JobSeen};
    use crate::job::Failed;

    fn outcome(model: Option<&str>, result: Result<String, Failed>) -> JobOutcome {
        let mut seen = JobSeen { head: Head::default(), ..JobSeen::default() };
        seen.head.model = model.map(str::to_owned);
        JobOutcome { index: 0, row: String::new(), result, seen }
    }

    #[test]
    fn results_are_counted_by_the_model_that_was_reported() {
        let served = Served::default();
        for model in [Some("small"), Some("large"), Some("small"), None] {
            served.count(&outcome(model, Ok("1".to_owned())));
        }
        served.count(&outcome(Some("large"), Err(Failed::bad_row("no".to_owned()))));
        let models: Vec<_> = served.models().into_iter().collect();
        assert_eq!(models, [("large".to_owned(), 1), ("small".to_owned(), 2)]);
        for model in 0..1_000 {
            served.count(&outcome(Some(&model.to_string()), Ok("1".to_owned())));
        }
        assert_eq!(served.models().len(), MOST);
    }
}
