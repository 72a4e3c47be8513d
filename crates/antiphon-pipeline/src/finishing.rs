//! The end of a run: verification of its answer, the rules, and the report.
//!
//! An answer arrives here from a call in this process or from the store. Both are verified by `Pipeline::verify`, so
//! that a resumed run has the same personas as an uninterrupted one; all but a run that is finished already end in
//! `Pipeline::end`. An error takes that path, too, and leaves with the report of the run as far as it got.
//!
//! | step | function | result |
//! |---|---|---|
//! | grounding | `Pipeline::verify` | personas with evidence, quotes and unverified citations |
//! | rules | `assess` | coverage, findings, score, and a failure if personas are missing |
//! | report | `Pipeline::end` | the [`Generation`], or the error with its report |

use antiphon_engine::{ErrorKind, RunEvent};
use antiphon_llm::{Capabilities, Scope, Usage};
use jiff::Timestamp;
use serde_json::Value;

use crate::blocking::{blocking, shutting_down};
use crate::call_summary::CallSummary;
use crate::config::GenerationConfig;
use crate::error::Error;
use crate::persona::{self, Answer, Coverage, Persona, Rules, Validation, validate};
use crate::pipeline::{Generation, Outcome, Pipeline, Prepared, millis, now};
use crate::report::{self, Anonymised, DocumentReport, FailureReport, Report, ReportStatus, Timings};

impl Pipeline {
    /// Turns an answer into personas with their report, or into an error with the report.
    ///
    /// The time of the end is taken after the verification. Step 4, the last one, is only reported for a run with a
    /// result.
    pub(crate) async fn end(
        &self,
        prepared: Prepared,
        mut report: Report,
        answer: Result<Value, Error>,
    ) -> Outcome {
        let result = match answer {
            Ok(answer) => self.verify(&prepared, answer, &mut report).await,
            Err(err) => Err(err),
        };
        report.finished_at = Timestamp::now().to_string();
        let personas = match result {
            Ok(personas) => personas,
            Err(err) => return Err(with_failure(err, report)),
        };
        self.step(4, "complete".to_owned()).await;
        Ok(Generation { personas, report, documents: prepared.documents })
    }

    /// Records the summary of the calls, and emits the end of the job. A job that was stopped is left, and has not failed.
    pub(crate) fn emit_report(&self, report: &mut Report, took: CallSummary, failure: Option<&Error>) {
        let cost_usd_micros = took.cost_usd_micros;
        Self::add_summary(report, took);
        let is_stop = |err: &Error| {
            matches!(err.kind(), ErrorKind::Cancelled | ErrorKind::Budget | ErrorKind::Deadline)
        };
        let (ok, left) = (failure.is_none(), failure.is_some_and(is_stop));
        (self.on_event)(RunEvent::JobFinished { ok, left, cost_usd_micros });
    }

    /// Records the summary of the calls, without an event: for a run that ended before its job began.
    pub(crate) fn add_summary(report: &mut Report, took: CallSummary) {
        let CallSummary {
            calls,
            usage,
            cost_usd_micros,
            may_cost_more,
            served_model,
            first_token,
            weakened,
            warnings,
        } = took;
        (report.weakened, report.warnings) = (weakened, warnings);
        (report.calls, report.usage, report.cost_usd_micros) = (calls, usage.into(), cost_usd_micros);
        (report.may_cost_more, report.served_model) = (may_cost_more, served_model);
        report.timings.first_token_ms = first_token.map(millis);
    }

    /// Verifies the citations of an answer on a blocking thread, and checks the personas against rules. The time of the
    /// verification, the coverage and the findings are recorded in the report.
    pub(crate) async fn verify(
        &self,
        prepared: &Prepared,
        answer: Value,
        report: &mut Report,
    ) -> Result<Vec<Persona>, Error> {
        let began = now();
        self.step(3, "verifying quotes".to_owned()).await;
        let answer = Answer::of(answer)?;
        let (documents, grounding) = (prepared.documents.clone(), prepared.config.recipe.grounding);
        let verified = blocking(move || answer.verified(&documents, grounding)).await;
        report.timings.verify_ms = millis(now().duration_since(began));
        let personas = verified.ok_or_else(shutting_down)?;
        assess(&personas, &prepared.config, report)?;
        Ok(personas)
    }

    /// Returns the report of a run before its first call. Request, documents and fingerprint are filled in, calls are
    /// zero and the cost is unknown. The status is `finished`, until a failure changes it.
    pub(crate) fn report(&self, prepared: &Prepared, capabilities: Capabilities) -> Report {
        let Scope { vendor, base_url, .. } = self.calls.provider().scope();
        let config = &prepared.config;
        Report {
            schema: "antiphon.run/1".to_owned(),
            run_id: prepared.run_id.to_string(),
            status: ReportStatus::Finished,
            fingerprint: prepared.fingerprint.to_string(),
            recipe: persona::NAME.to_owned(),
            started_at: prepared.started_at.to_string(),
            finished_at: String::new(),
            provider: vendor,
            base_url,
            model: config.model.clone(),
            served_model: None,
            model_used: !capabilities.without_model,
            parameters: report::parameters(&config.recipe.parameters),
            count: config.count,
            preset: config.recipe.name.clone(),
            complexity: config.recipe.complexity,
            detail: config.recipe.detail,
            evidence: config.recipe.grounding,
            documents: prepared.documents.iter().map(DocumentReport::from).collect(),
            failures: prepared.failures.clone(),
            skipped: prepared.skipped.clone(),
            calls: 0,
            usage: Usage::default().into(),
            cost_usd_micros: None,
            may_cost_more: false,
            weakened: Vec::new(),
            warnings: Vec::new(),
            timings: Timings { load_ms: millis(prepared.load_time), ..Timings::default() },
            anonymised: prepared.config.anonymiser.as_ref().map(|anonymiser| {
                let misses = prepared.possible_misses.clone();
                Anonymised::new(anonymiser.strategy(), prepared.replaced_count, misses)
            }),
            distilled: prepared.distilled.clone(),
            duplicates: Vec::new(),
            left_out: 0,
            coverage: Coverage::default(),
            validation: Validation::default(),
        }
    }
}

/// Completes the report of a run without a result, and attaches it to the error.
fn with_failure(err: Error, mut report: Report) -> Error {
    report.status = match err.kind() {
        ErrorKind::Cancelled => ReportStatus::Interrupted,
        _ => ReportStatus::Failed,
    };
    report.failures.push(FailureReport::of_job(err.to_string()));
    err.with_report(report)
}

/// Records coverage and validation of the personas, and a failure if there are too few.
///
/// A stored answer passes here again when its run is repeated, by the rules of the current recipe: so recipe and
/// grounding of the report are set, too, and a failure that an earlier pass recorded is not added twice.
fn assess(personas: &[Persona], config: &GenerationConfig, report: &mut Report) -> Result<(), Error> {
    let recipe = &config.recipe;
    let rules = Rules::new(&recipe.rules)?;
    (report.preset, report.evidence) = (recipe.name.clone(), recipe.grounding);
    report.coverage = Coverage::of(personas, &report.documents);
    report.validation = validate(personas, recipe, &rules);
    let (made, least) = (personas.len(), config.count.least());
    if made < least {
        let why = if report.duplicates.is_empty() {
            "the answers had no more valid ones"
        } else {
            "the others were near duplicates"
        };
        let missing = FailureReport::of_job(format!("asked for {least} personas, got {made}: {why}"));
        if !report.failures.contains(&missing) {
            report.failures.push(missing);
        }
    }
    Ok(())
}
