//! The count of results by the model that gave them.
//!
//! The requested model may be an alias that the vendor resolves to a dated version, or a fallback may have answered. A
//! report therefore names the models as the answers do.

use std::collections::BTreeMap;

use crate::engine::JobOutcome;
use crate::report::MapReport;

/// The maximum number of model names that are counted: a server may report a new one with each answer.
const MOST: usize = 32;

/// Results by the model that gave them.
#[derive(Debug, Default)]
pub(crate) struct Served(BTreeMap<String, u64>);

impl Served {
    /// Continues from the report of an earlier process, if any. A report that cannot be parsed counts as none.
    pub(crate) fn after(report: Option<&str>) -> Self {
        let report = report.and_then(|report| serde_json::from_str::<MapReport>(report).ok());
        Self(report.map(|report| report.served_models).unwrap_or_default())
    }

    /// Counts an outcome that has a result, if the provider named the model of its last answer. Models after the first
    /// 32 are not counted.
    pub(crate) fn count(&mut self, outcome: &JobOutcome) {
        let (Ok(_), Some(model)) = (&outcome.result, &outcome.seen.head.model) else { return };
        if self.0.len() < MOST || self.0.contains_key(model) {
            *self.0.entry(model.clone()).or_default() += 1;
        }
    }

    /// Returns the counts.
    pub(crate) fn into_models(self) -> BTreeMap<String, u64> {
        self.0
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
        let models: Vec<_> = served.0.iter().map(|(model, results)| (model.as_str(), *results)).collect();
        assert_eq!(models, [("large", 1), ("small", 2)]);
        for model in 0..1_000 {
            served.count(&outcome(Some(&model.to_string()), Ok("1".to_owned())));
        }
        assert_eq!(served.into_models().len(), MOST);
    }
}
