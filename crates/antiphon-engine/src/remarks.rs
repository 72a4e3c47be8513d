//! Remarks of a run on its calls, beside their results: warnings, and the constraints that the provider did not enforce.
//!
//! A server that cuts prompts does so with each row. A warning is therefore reported once for each reason, as an event when it
//! first occurs, and in the report with the number of its rows.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use antiphon_llm::CallWarningKind;
use serde::{Deserialize, Serialize};

use crate::engine::JobOutcome;
use crate::event::RunEvent;
use crate::mapping::OnEvent;
use crate::report::MapReport;

/// The maximum number of places that are kept: a schema has few, and a run may have a schema for each row.
const MOST: usize = 100;

/// A warning of a run: what was not as was requested in calls that were answered.
///
/// As JSON: `{"kind": "prompt_cut", "message": "the server counted 300 tokens of …", "rows": 12}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunWarning {
    /// The reason.
    pub kind: CallWarningKind,
    /// The message of the first such call.
    pub message: String,
    /// The number of rows with such a call.
    pub rows: u64,
}

/// The warnings of a run so far, and the places of schemas that were not enforced.
#[derive(Clone)]
pub(crate) struct Remarks {
    /// The warnings, one for each kind, in the order in which they came.
    pub(crate) warnings: Vec<RunWarning>,
    /// The JSON pointers of constraints that the provider did not enforce.
    weakened: BTreeSet<String>,
    /// The kinds of warnings that were events of this process.
    reported: BTreeSet<CallWarningKind>,
    /// The receiver of an event for each new warning.
    on_event: OnEvent,
}

impl Default for Remarks {
    fn default() -> Self {
        Self::after(None, Arc::new(|_| ()))
    }
}

impl fmt::Debug for Remarks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remarks").field("warnings", &self.warnings).finish_non_exhaustive()
    }
}

impl Remarks {
    /// Continues from the report of an earlier process, if any; `on_event` gets the warnings of this one.
    pub(crate) fn after(report: Option<&str>, on_event: OnEvent) -> Self {
        let report = report.and_then(|report| serde_json::from_str::<MapReport>(report).ok());
        let (warnings, weakened) =
            report.map(|report| (report.warnings, report.weakened)).unwrap_or_default();
        Self { warnings, weakened: weakened.into_iter().collect(), reported: BTreeSet::new(), on_event }
    }

    /// Counts the warnings of an outcome. A warning of a kind that is new in this process is an event, also if an earlier process
    /// of the run had it.
    pub(crate) fn count(&mut self, outcome: &JobOutcome) {
        for warning in &outcome.seen.warnings {
            if self.reported.insert(warning.kind) {
                (self.on_event)(RunEvent::Warning { message: warning.message.clone() });
            }
            match self.warnings.iter_mut().find(|known| known.kind == warning.kind) {
                Some(known) => known.rows += 1,
                None => self.warnings.push(RunWarning {
                    kind: warning.kind,
                    message: warning.message.clone(),
                    rows: 1,
                }),
            }
        }
        let left = MOST.saturating_sub(self.weakened.len());
        self.weakened.extend(outcome.seen.head.weakened.iter().take(left).cloned());
    }

    /// Returns the places of schemas that were not enforced; the root alone, if a whole schema was not.
    pub(crate) fn weakened(&self) -> Vec<String> {
        let whole = self.weakened.get("").map(|root| vec![root.clone()]);
        whole.unwrap_or_else(|| self.weakened.iter().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use antiphon_llm::CallWarning;

    use super::Remarks;
    use crate::engine::{JobDetails, JobOutcome};
    use crate::event::RunEvent;

    #[test]
    fn a_reason_is_one_warning_and_one_event() {
        let events = Arc::new(Mutex::new(Vec::new()));
        let sent = events.clone();
        let on_event = move |event| sent.lock().unwrap().push(event);
        let mut remarks = Remarks::after(None, Arc::new(on_event));
        for (message, place) in [("300 of 7500", "/a/maxLength"), ("301 of 7500", ""), ("302 of 7500", "/b")]
        {
            let mut seen = JobDetails::default();
            seen.warnings.push(CallWarning::prompt_cut(message));
            seen.head.weakened.push(place.to_owned());
            let result = Ok("1".to_owned());
            let outcome = JobOutcome { index: 0, row: String::new(), result, seen, is_stored: true };
            remarks.count(&outcome);
        }
        assert_eq!((remarks.warnings.len(), remarks.warnings[0].rows), (1, 3));
        assert_eq!(remarks.weakened(), [""]);
        let first = RunEvent::Warning { message: "300 of 7500".to_owned() };
        assert_eq!(*events.lock().unwrap(), [first]);
    }
}
