//! The counts of results by the model that gave them, of answers by their end, of answers with a mark, and of elements that were
//! left out of lists.
//!
//! The requested model may be an alias that the vendor resolves to a dated version, or a fallback may have answered. A
//! report therefore names the models as the answers do, and the ends of answers as the vendor does.

use std::collections::BTreeMap;

use crate::engine::JobOutcome;
use crate::list_check::LEFT_OUT;
use crate::report::MapReport;

/// The maximum number of names that are counted: a server may report a new one with each answer.
const MOST: usize = 32;

/// Results by the model that gave them, and the last answers of all rows by their end and by their marks.
#[derive(Debug, Default)]
pub(crate) struct Served {
    models: BTreeMap<String, u64>,
    ends: BTreeMap<String, u64>,
    marks: BTreeMap<String, u64>,
    /// The number of elements that were left out of lists.
    left_out: u64,
}

impl Served {
    /// Continues from the report of an earlier process, if any. A report that cannot be parsed counts as none.
    pub(crate) fn after(report: Option<&str>) -> Self {
        let report = report.and_then(|report| serde_json::from_str::<MapReport>(report).ok());
        let before = |report: MapReport| Self {
            models: report.served_models,
            ends: report.finish_reasons,
            marks: report.marked_answers,
            left_out: report.elements_left_out,
        };
        report.map(before).unwrap_or_default()
    }

    /// Counts an outcome: the model of its last answer if it has a result, and the end and the marks of that answer. Names after
    /// the first 32 are not counted.
    pub(crate) fn count(&mut self, outcome: &JobOutcome) {
        let seen = &outcome.seen;
        if let Some(end) = &seen.raw_finish {
            add(&mut self.ends, end);
        }
        if outcome.result.is_err() {
            return;
        }
        if let Some(model) = &seen.head.model {
            add(&mut self.models, model);
        }
        seen.marks.iter().for_each(|mark| add(&mut self.marks, mark.name()));
        let left_out = seen.notes.iter().filter_map(|note| note[LEFT_OUT].as_u64());
        self.left_out += left_out.sum::<u64>();
    }

    /// Moves the counts into a report.
    pub(crate) fn report(self, report: &mut MapReport) {
        (report.served_models, report.finish_reasons, report.marked_answers, report.elements_left_out) =
            (self.models, self.ends, self.marks, self.left_out);
    }
}

/// Counts a name.
fn add(counts: &mut BTreeMap<String, u64>, name: &str) {
    if counts.len() < MOST || counts.contains_key(name) {
        *counts.entry(name.to_owned()).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use antiphon_llm::{AnswerMark, Head};

    use super::{MOST, Served};
    use crate::engine::{JobDetails, JobOutcome};
    use crate::job::JobFailure;

    fn outcome(model: Option<&str>, result: Result<String, JobFailure>) -> JobOutcome {
        let mut seen = JobDetails { head: Head::default(), ..JobDetails::default() };
        seen.head.model = model.map(str::to_owned);
        JobOutcome { index: 0, row: String::new(), result, seen, is_stored: true }
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
        assert_eq!(served.models.len(), MOST);
    }

    #[test]
    fn ends_are_counted_of_all_rows_and_marks_of_results() {
        let mut served = Served::default();
        let mut marked = |end: &str, result: Result<String, JobFailure>| {
            let mut outcome = outcome(None, result);
            outcome.seen.raw_finish = Some(end.to_owned());
            outcome.seen.marks = vec![AnswerMark::CompleteWithoutEnd];
            served.count(&outcome);
        };
        marked("MAX_TOKENS", Ok("1".to_owned()));
        marked("SAFETY", Err(JobFailure::bad_row("no".to_owned())));
        marked("MAX_TOKENS", Ok("1".to_owned()));
        let ends: Vec<_> = served.ends.iter().map(|(end, answers)| (end.as_str(), *answers)).collect();
        assert_eq!(ends, [("MAX_TOKENS", 2), ("SAFETY", 1)]);
        assert_eq!(served.marks.get("complete_without_end"), Some(&2));
    }
}
