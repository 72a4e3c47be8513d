//! The progress of a run as one line: its parts in order, each with a rank, so that a narrow terminal shows the most
//! important ones.
//!
//! | rank | run over rows | run over documents |
//! |---|---|---|
//! | 0 | time left | time left |
//! | 1 | rows | jobs |
//! | 2 | failed rows | failed jobs |
//! | 3 | wait for the provider | step |
//! | 4 | cost | cost |
//! | 5 | rows/s | documents |
//! | 6 | rows in progress | answer, with its tokens/s |
//! | 7 | bottleneck | documents/s |
//! | 8 to 11 | limit, tokens/s, cached, processes | - |

use std::time::Duration;

use antiphon_engine::{DocumentsReading, Reading, RowsReading};

use super::progress::{Possible, cost, counted};

/// A reading of a run's progress as the parts of a line.
#[derive(Debug)]
pub(super) struct StatusLine {
    parts: Vec<Part>,
}

/// A part of the line.
#[derive(Debug)]
struct Part {
    /// The importance of the part: the lowest rank is left out last.
    rank: u8,
    text: String,
}

/// The separator of the parts.
const DOT: &str = " · ";

impl StatusLine {
    /// Creates the line of a reading. Without a language model there are no tokens, so that their rate is left out.
    pub(super) fn new(reading: &Reading, has_model: bool) -> Self {
        let parts = match reading {
            Reading::Documents(reading) => of_documents(reading, has_model),
            Reading::Rows(reading) => of_rows(reading, has_model),
        };
        let part = |(rank, text): (u8, Option<String>)| text.map(|text| Part { rank, text });
        Self { parts: parts.into_iter().filter_map(part).collect() }
    }

    /// Returns the whole line, for a log.
    pub(super) fn whole(&self) -> String {
        let texts: Vec<&str> = self.parts.iter().map(|part| part.text.as_str()).collect();
        texts.join(DOT)
    }

    /// Returns the line in at most `columns` columns of a terminal: from the lowest rank on, the parts for which there is
    /// room. The first of them is there in any case, if need be truncated.
    pub(super) fn fit(mut self, columns: usize) -> String {
        let mut ranks: Vec<u8> = self.parts.iter().map(|part| part.rank).collect();
        ranks.sort_unstable();
        let (mut shown, mut width) = (Vec::new(), 0);
        for rank in ranks {
            let parts = self.parts.iter().filter(|part| part.rank == rank);
            let more: usize =
                parts.map(|part| console::measure_text_width(&part.text) + DOT.chars().count()).sum();
            if shown.is_empty() || width + more <= columns + DOT.chars().count() {
                shown.push(rank);
                width += more;
            }
        }
        self.parts.retain(|part| shown.contains(&part.rank));
        console::truncate_str(&self.whole(), columns, "…").into_owned()
    }
}

/// Returns the parts of a run over documents, in order, each with its rank; `None` for one that does not apply.
fn of_documents(reading: &DocumentsReading, has_model: bool) -> Vec<(u8, Option<String>)> {
    let (documents, jobs) = (reading.documents_done, reading.jobs_done);
    let loading = reading.documents_per_second.filter(|_| reading.documents_total != Some(documents));
    let step = Some(antiphon_render::visible(&reading.step).into_owned());
    vec![
        (3, step.filter(|step| !step.is_empty() && step != "complete")),
        (5, Some(share(documents, reading.documents_total, "document"))),
        (1, Some(share(jobs, reading.jobs_total, "job"))),
        (2, unless_none(reading.jobs_failed, "failed")),
        (6, has_model.then(|| answer_rate(reading)).flatten()),
        (7, loading.map(|rate| format!("{rate:.0} documents/s"))),
        (0, left(reading.time_left)),
        (4, (jobs > 0).then(|| cost(reading.cost_usd_micros))),
    ]
}

/// Formats a count with its total, if that is known: `3 documents`, `0/1 job`.
fn share(done: u64, total: Option<u64>, thing: &str) -> String {
    match total {
        None => counted(done, thing),
        Some(total) => format!("{done}/{}", counted(total, thing)),
    }
}

/// Formats the length and the rate of the answer that is being streamed, at about four bytes a token: the number of
/// tokens is not known before the answer ends.
fn answer_rate(reading: &DocumentsReading) -> Option<String> {
    let tokens = reading.answer_bytes as f64 / 4.0;
    let since = reading.answering.filter(|_| tokens > 0.0)?;
    Some(format!("about {tokens:.0} tokens, {:.0}/s", tokens / since.as_secs_f64().max(0.1)))
}

/// Returns the parts of a run over rows, in order, each with its rank; `None` for one that does not apply. The total has
/// a `+` while rows are still being read.
fn of_rows(reading: &RowsReading, has_model: bool) -> Vec<(u8, Option<String>)> {
    let more = if reading.rows_are_all { "" } else { "+" };
    let tokens = reading.tokens_per_second.filter(|_| has_model);
    vec![
        (1, Some(format!("{} of {}{more} rows", reading.accepted, reading.rows))),
        (2, unless_none(reading.failed, "failed")),
        (10, unless_none(reading.cached, "cached")),
        (6, Some(in_progress(reading))),
        (11, (reading.processes > 1).then(|| format!("{} processes", reading.processes))),
        (5, reading.rows_per_second.map(|rate| format!("{rate:.1} rows/s"))),
        (9, tokens.map(|rate| format!("{rate:.0} tokens/s"))),
        (4, cost_so_far(reading)),
        (0, left(reading.time_left)),
        (7, reading.bottleneck.map(|phase| format!("bottleneck: {}", phase.label()))),
        (8, limit(reading)),
        (3, waiting(reading)),
    ]
}

/// Formats the cost with what possibly billed calls may add. Nothing is shown before the first call has ended: its price may not
/// be known.
fn cost_so_far(reading: &RowsReading) -> Option<String> {
    let possible =
        Possible { most: reading.possible_usd_micros, is_unbounded: reading.possible_unbounded > 0 };
    let has_cost = reading.cost_usd_micros != Some(0) || possible != Possible::default();
    let has_ended = reading.accepted + reading.failed > 0;
    (has_cost || has_ended).then(|| possible.beside(reading.cost_usd_micros))
}

/// Formats the rows in progress: those with a call in flight, and those whose call waits for its turn.
fn in_progress(reading: &RowsReading) -> String {
    let in_flight = reading.calls_in_flight.and_then(|calls| u64::try_from(calls).ok());
    let in_flight = in_flight.unwrap_or(reading.in_flight).min(reading.in_flight);
    match reading.in_flight - in_flight {
        0 => format!("{in_flight} in progress"),
        queued => format!("{in_flight} in progress, {queued} queued"),
    }
}

/// Formats the wait that the provider asked for or that the open circuit breaker causes.
fn waiting(reading: &RowsReading) -> Option<String> {
    reading.waiting.map(|wait| format!("waits {:.0} s for {}", wait.seconds.ceil(), wait.phase.awaited()))
}

/// Formats the limit that the run has met: the rate limit of the provider, else the concurrency limit at present.
fn limit(reading: &RowsReading) -> Option<String> {
    let rate = reading.limit_requests_per_second.map(|rate| format!("limit {rate:.1}/s"));
    rate.or(reading.limit_concurrency.map(|most| format!("up to {most} concurrent")))
}

/// Formats a number with its label; `None` for 0.
fn unless_none(number: u64, what: &str) -> Option<String> {
    (number > 0).then(|| format!("{number} {what}"))
}

/// Formats the time that is left, at least 1 s, in at most two units; `None` if it is not known or has passed.
fn left(eta: Option<Duration>) -> Option<String> {
    let seconds = eta.filter(|eta| !eta.is_zero())?.as_secs().max(1);
    Some(match (seconds / 3_600, seconds / 60, seconds) {
        (0, 0..2, seconds) => format!("{seconds} s left"),
        (0, minutes, _) => format!("{minutes} min left"),
        (hours, minutes, _) => format!("{hours} h {} min left", minutes % 60),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use antiphon_engine::{Meter, Reading, RunEvent};
    use serde_json::{Value, json};

    use super::{StatusLine, left};

    /// Returns the reading after the events.
    fn reading(mut meter: Meter, events: &[RunEvent]) -> Reading {
        events.iter().for_each(|event| meter.count(event));
        meter.read().unwrap()
    }

    fn status() -> Value {
        json!({
            "event": "progress", "rows": 9, "is_all": false, "accepted": 2, "failed": 1, "cached": 1, "calls": 2,
            "in_flight": 4, "input_tokens": 1, "output_tokens": 1, "cost_usd_micros": null, "possible_usd_micros": 0,
            "limits": { "requests_per_second": 2.5, "max_concurrency": 4, "in_flight": 4, "paused_seconds": 1.5 },
            "bottleneck": null, "waiting": { "phase": "limiter", "seconds": 1.5 }, "processes": 2,
        })
    }

    #[track_caller]
    fn check(meter: Meter, events: &[RunEvent], expected: &str) {
        assert_eq!(StatusLine::new(&reading(meter, events), true).whole(), expected);
    }

    #[test]
    fn runs_over_documents_are_counted_in_documents_and_jobs() {
        let events = [
            RunEvent::Loading { done: 2, total: 2 },
            RunEvent::Step { step: 2, steps: 4, message: "asking".to_owned() },
            RunEvent::JobStarted,
            RunEvent::JobFinished { ok: false, left: false, cost_usd_micros: Some(1_200) },
        ];
        check(Meter::of_documents(1), &[], "0 documents · 0/1 job");
        let expected = "asking · 2/2 documents · 1/1 job · 1 failed · $0.0012";
        check(Meter::of_documents(1), &events, expected);
    }

    #[test]
    fn runs_over_rows_are_counted_in_rows_with_what_limits_them() {
        let event = serde_json::from_value(status()).unwrap();
        let expected = "2 of 9+ rows · 1 failed · 1 cached · 4 in progress · 2 processes · cost unknown · limit 2.5/s · waits 2 s for the provider's limit";
        check(Meter::of_rows(), &[event], expected);
    }

    #[track_caller]
    fn check_rows(changes: &[(&str, Value)], expected: &str) {
        let mut status = status();
        (status["processes"], status["waiting"], status["cached"]) = (json!(1), Value::Null, json!(0));
        for (key, value) in changes {
            status[*key] = value.clone();
        }
        check(Meter::of_rows(), &[serde_json::from_value(status).unwrap()], expected);
    }

    #[test]
    fn a_cost_is_shown_as_far_as_it_is_known() {
        let none = ("cost_usd_micros", json!(0));
        let first = [none.clone(), ("accepted", json!(0)), ("failed", json!(0))];
        check_rows(&first, "0 of 9+ rows · 4 in progress · limit 2.5/s");
        check_rows(
            std::slice::from_ref(&none),
            "2 of 9+ rows · 1 failed · 4 in progress · no cost · limit 2.5/s",
        );
        let most = [none.clone(), ("possible_usd_micros", json!(3_400))];
        check_rows(
            &most,
            "2 of 9+ rows · 1 failed · 4 in progress · $0.0000, at most $0.0034 more · limit 2.5/s",
        );
        let unbounded = [none, ("possible_unbounded", json!(1))];
        check_rows(&unbounded, "2 of 9+ rows · 1 failed · 4 in progress · cost unknown · limit 2.5/s");
    }

    #[test]
    fn rows_that_wait_for_a_call_are_not_in_progress() {
        let limits = json!({ "requests_per_second": null, "max_concurrency": 20, "in_flight": 20, "paused_seconds": null });
        let queued = [("in_flight", json!(84)), ("limits", limits)];
        check_rows(
            &queued,
            "2 of 9+ rows · 1 failed · 20 in progress, 64 queued · cost unknown · up to 20 concurrent",
        );
    }

    #[test]
    fn without_a_model_there_are_no_tokens() {
        let events = [RunEvent::JobStarted, RunEvent::Text { bytes: 4_000 }];
        let reading = reading(Meter::of_documents(1), &events);
        assert!(StatusLine::new(&reading, true).whole().contains("about 1000 tokens"));
        assert!(!StatusLine::new(&reading, false).whole().contains("token"));
    }

    #[test]
    fn a_narrow_terminal_shows_the_time_left_and_what_matters_most() {
        let mut all = status();
        (all["rows"], all["accepted"]) = (json!(120_000), json!(84_000));
        let event = serde_json::from_value(all).unwrap();
        let Reading::Rows(mut rows) = reading(Meter::of_rows(), &[event]) else { unreachable!("of rows") };
        (rows.time_left, rows.rows_per_second) = (Some(Duration::from_secs(754)), Some(48.25));
        rows.tokens_per_second = Some(3_000.0);
        let line = |columns| StatusLine::new(&Reading::Rows(rows.clone()), true).fit(columns);
        assert_eq!(line(7), "12 min…");
        assert_eq!(line(20), "12 min left");
        assert_eq!(line(40), "84000 of 120000+ rows · 12 min left");
        assert_eq!(line(60), "84000 of 120000+ rows · 1 failed · 48.2 rows/s · 12 min left");
        assert_eq!(line(80), "84000 of 120000+ rows · 1 failed · 48.2 rows/s · cost unknown · 12 min left");
        assert_eq!(
            line(120),
            "84000 of 120000+ rows · 1 failed · 48.2 rows/s · cost unknown · 12 min left · waits 2 s for the provider's limit"
        );
        for columns in 11..200 {
            let line = line(columns);
            assert!(console::measure_text_width(&line) <= columns, "{columns}: {line}");
            assert!(line.contains("12 min left"), "{columns}: {line}");
        }
    }

    #[test]
    fn wide_characters_and_escapes_are_measured_as_they_are_shown() {
        let step =
            RunEvent::Step { step: 1, steps: 4, message: "読み込み中：面接\u{1b}[2J".to_owned() };
        let Reading::Documents(mut documents) = reading(Meter::of_documents(1), &[step]) else {
            unreachable!("of documents")
        };
        documents.time_left = Some(Duration::from_secs(90));
        let line = |columns| StatusLine::new(&Reading::Documents(documents.clone()), true).fit(columns);
        assert_eq!(line(40), "0 documents · 0/1 job · 90 s left");
        assert_eq!(line(60), "読み込み中：面接\\u{1b}[2J · 0/1 job · 90 s left");
        for columns in 9..100 {
            assert!(console::measure_text_width(&line(columns)) <= columns, "{columns}: {}", line(columns));
            assert!(line(columns).contains("90 s left"), "{}", line(columns));
        }
    }

    #[test]
    fn the_time_left_is_short() {
        let text = |seconds| left(Some(Duration::from_secs(seconds))).unwrap_or_default();
        assert_eq!(
            [0, 1, 119, 120, 7_199].map(text),
            ["", "1 s left", "119 s left", "2 min left", "1 h 59 min left"]
        );
        assert_eq!(left(None), None);
    }
}
