//! Notices on stderr that a reader of personas should know before use: of each kind at most [`MOST`] lines.

use antiphon_pipeline::{Duplicate, Finding, Grounding, Level, Report, Validation};

use crate::commands::anonymised::print_anonymised;
use crate::commands::output::Talk;
use crate::commands::progress::{and_more, counted};

/// The maximum number of lines of a kind; the report and the page have all.
const MOST: usize = 5;

/// Prints anonymisation, failures, near duplicates, coverage and findings of a run.
pub(super) fn print_validation(report: &Report, talk: Talk) {
    if let Some(anonymised) = &report.anonymised {
        print_anonymised(anonymised, talk);
    }
    for lacking in report.failures.iter().filter(|failure| failure.document.is_none()) {
        talk.warning(&lacking.reason);
    }
    for refused in report.duplicates.iter().take(MOST) {
        let (Duplicate { name, like, .. }, alike) = (refused, refused.similarity * 100.0);
        talk.line(&format!("rejected {name}: near duplicate of {like}, {alike:.0} % similar"));
    }
    if report.left_out > 0 {
        let personas = counted(report.left_out, "persona");
        talk.line(&format!("left out {personas}: {} is the most that was asked for", report.count.most()));
    }
    print_unquoted(report, talk);
    print_findings(&report.validation, talk);
}

/// Prints the files that the run could not use.
pub(super) fn print_left_out(report: &Report, talk: Talk) {
    let of_files = report.failures.iter().filter(|failure| failure.document.is_some());
    for failure in of_files.clone().take(MOST) {
        talk.warning(&format!("left out {failure}"));
    }
    if let more @ 1.. = of_files.count().saturating_sub(MOST) {
        talk.warning(&format!("left out {more} more files; run.json lists all"));
    }
}

/// Prints the documents that no persona quotes, which may mean that their participants are not represented. Without
/// evidence there are no quotes, so nothing is printed.
fn print_unquoted(report: &Report, talk: Talk) {
    let unquoted: Vec<&str> = report.coverage.unquoted().collect();
    if report.evidence != Grounding::Off && !unquoted.is_empty() {
        let more = and_more(unquoted.len().saturating_sub(MOST));
        let names = unquoted.iter().take(MOST).copied().collect::<Vec<_>>().join(", ");
        let of = counted(report.documents.len(), "document");
        talk.line(&format!("{} of {of} quoted by no persona: {names}{more}", unquoted.len()));
    }
}

/// Prints the findings at the levels warning and error, and the score if there are any.
fn print_findings(validation: &Validation, talk: Talk) {
    let Validation { score, findings, .. } = validation;
    let worth_a_look = || findings.iter().filter(|finding| finding.level >= Level::Warning);
    for Finding { persona, rule, message, level, .. } in worth_a_look().take(MOST) {
        let level = if *level == Level::Error { "error" } else { "warning" };
        talk.line(&format!("{persona}: {message} ({rule}, {level})"));
    }
    if let more @ 1.. = worth_a_look().count().saturating_sub(MOST) {
        talk.line(&format!("and {more} more, on the page"));
    }
    if worth_a_look().next().is_some() {
        talk.line(&format!("validation score: {score} of 100"));
    }
}
