//! The count of results by the model that gave them, and of list elements that they are without.
//!
//! The requested model may be an alias that the vendor resolves to a dated version, or a fallback may have answered. A
//! report therefore names the models as the answers do.

use std::collections::BTreeMap;

use crate::engine::JobOutcome;
use crate::list_check::LEFT_OUT;
use crate::report::MapReport;

/// The maximum number of model names that are counted: a server may report a new one with each answer.
const MOST: usize = 32;

/// Results by the model that gave them.
#[derive(Debug, Default)]
pub(crate) struct Served {
    models: BTreeMap<String, u64>,
    /// The number of elements that were left out of lists.
    left_out: u64,
}

impl Served {
    /// Continues from the report of an earlier process, if any. A report that cannot be parsed counts as none.
    pub(crate) fn after(report: Option<&str>) -> Self {
        let report = report.and_then(|report| serde_json::from_str::<MapReport>(report).ok());
        let (models, left_out) =
            report.map(|report| (report.served_models, report.elements_left_out)).unwrap_or_default();
        Self { models, left_out }
    }

    /// Counts an outcome that has a result, if the provider named the model of its last answer. Models after the first
    /// 32 are not counted.
    pub(crate) fn count(&mut self, outcome: &JobOutcome) {
        if outcome.result.is_err() {
            return;
        }
        let left_out = outcome.seen.notes.iter().filter_map(|note| note[LEFT_OUT].as_u64());
        self.left_out += left_out.sum::<u64>();
        let Some(model) = &outcome.seen.head.model else { return };
        if self.models.len() < MOST || self.models.contains_key(model) {
            *self.models.entry(model.clone()).or_default() += 1;
        }
    }

    /// Returns the counts: results by model, and the number of elements that were left out.
    pub(crate) fn into_counts(self) -> (BTreeMap<String, u64>, u64) {
        (self.models, self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use antiphon_llm::Head;

    use super::{MOST, Served};
    use crate::engine::{JobDetails, JobOutcome};
    use crate::job::JobFailure;

    fn outcome(model: Option<&str>, result: Result<String, JobFailure>) -> JobOutcome {
        let mut seen = JobDetails { head: Head::default(), ..JobDetails::default() };
        seen.head.model = model.map(str::to_owned);
        JobOutcome { index: 0, row: String::new(), result, seen }
    }

    #[test]
    fn results_are_counted_by_the_model_that_was_reported() {
        let mut served = Served::default();
        for model in [Some("small"), Some("large"), Some("small"), None] {
            served.count(&outcome(model, Ok("1".to_owned())));
        }
        served.count(&outcome(Some("large"), Err(JobFailure::bad_row("no".to_owned()))));
        let models: Vec<_> =
            served.models.iter().map(|(model, results)| (model.as_str(), *results)).collect();
        assert_eq!(models, [("large", 1), ("small", 2)]);
        for model in 0..1_000 {
            served.count(&outcome(Some(&model.to_string()), Ok("1".to_owned())));
        }
        assert_eq!(served.into_counts().0.len(), MOST);
    }
}
