//! Rows that failed: the notes that replace unreadable rows, and the file in which failed rows can be corrected.
//!
//! A line of the input that cannot be read still has to count as a row, so that indices match the input and the run can
//! report it. It is enqueued as an object with a note, and fails as `bad_row` without a call. In `failed.jsonl`, each
//! failed row has its own fields, and a note with its error:
//!
//! ```json
//! {"name": "Ulm", "_antiphon": {"index": 7, "error": "schema_mismatch", "message": "the answer does not fit: …",
//!   "attempts": 2, "answer": "…", "possibly_billed_calls": 1, "possibly_billed_usd_micros": 300,
//!   "cost_usd_micros": 120}}
//! ```
//!
//! The cost is that of the calls that were billed; possibly billed ones may have cost the other amount in addition, which is `null`
//! where no bound of it is known.
//!
//! The file is an input again: a corrected row may keep its note, which templates can ignore.

use std::path::{Path, PathBuf};

use antiphon_data::Failure;
use antiphon_fs::Writer;
use antiphon_store::{JobRecord, Run};
use serde_json::{Map, Value, json};

use crate::stop::StopCause;

/// The key of the note in a row. Recipes must not use it for a field of their own.
const NOTE: &str = "_antiphon";

/// Returns the row that replaces one that cannot be read, so that it is counted and reported: a note with the reason and the
/// original text.
pub(super) fn note_of(failure: &Failure) -> String {
    let mut note = json!({ "bad_row": failure.to_string() });
    if let Some(line) = failure.line {
        note["line"] = json!(line);
    }
    if let Some(Value::Object(raw)) = failure.raw.as_ref().map(|raw| json!(raw)) {
        raw.into_iter().for_each(|(key, value)| note[key] = value);
    }
    json!({ NOTE: note }).to_string()
}

/// Returns the reason why a row could not be read, if it is the note of a bad one. The prefix is compared first, so
/// that other rows are not parsed. A row of `failed.jsonl` is no bad one, since its note has no `bad_row`.
pub(super) fn bad_row(row: &str) -> Option<String> {
    if !row.starts_with("{\"_antiphon\":") {
        return None;
    }
    let row: Value = serde_json::from_str(row).ok()?;
    row[NOTE]["bad_row"].as_str().map(str::to_owned)
}

/// Writes the failed rows, each with its error, so that they can be corrected and run again. Returns the path, or `None` if no
/// row failed.
///
/// The file is written atomically, and only created with the first failed row. The rows are read from the store in
/// pages, with those of other processes.
pub(super) async fn write_failed(run: &Run, path: &Path) -> Result<Option<PathBuf>, StopCause> {
    let (mut writer, mut pages) = (None, run.failed());
    loop {
        let jobs = pages.next().await.map_err(not_written)?;
        if jobs.is_empty() {
            break;
        }
        for job in &jobs {
            let open = match writer.take() {
                Some(open) => open,
                None => Writer::atomic(path).await.map_err(not_written)?,
            };
            writer.insert(open).write_line(&failed_line(job)).await.map_err(not_written)?;
        }
    }
    finish(writer, path).await.map_err(not_written)
}

/// Returns the cause of a stop by an error of the store, or of the file.
fn not_written(err: impl std::error::Error) -> StopCause {
    StopCause::Output(err.to_string())
}

/// Renames the file of the failed rows to its final name. Without failed rows, removes the file of an earlier part of
/// the run: its rows have results now.
async fn finish(writer: Option<Writer>, path: &Path) -> Result<Option<PathBuf>, antiphon_fs::Error> {
    match writer {
        Some(writer) => writer.finish().await.map(|()| Some(path.to_owned())),
        None if antiphon_fs::exists(path).await.unwrap_or(false) => {
            antiphon_fs::remove(path).await.map(|_| None)
        }
        None => Ok(None),
    }
}

/// Returns a failed row with a note of its error; for a bad line, the note has its text.
fn failed_line(job: &JobRecord) -> String {
    let (kind, message) = job.error.clone().unwrap_or_default();
    let possible = (job.bill.unbounded == 0).then_some(job.bill.possible);
    let mut note = json!({
        "index": job.index, "error": kind, "message": message, "attempts": job.attempt, "answer": job.result,
        "possibly_billed_calls": job.bill.possibly_billed, "possibly_billed_usd_micros": possible,
        "cost_usd_micros": job.bill.settled,
    });
    let mut row = match serde_json::from_str(&job.row) {
        Ok(Value::Object(row)) => row,
        _ => Map::new(),
    };
    // A note of an earlier run is replaced; that of a bad row has its text.
    if let Some(Value::Object(mut bad)) = row.shift_remove(NOTE)
        && bad.shift_remove("bad_row").is_some()
    {
        bad.into_iter().for_each(|(key, value)| note[key] = value);
    }
    row.insert(NOTE.to_owned(), note);
    Value::Object(row).to_string()
}

#[cfg(test)]
mod tests {
    use antiphon_data::Rows;
    use antiphon_store::{Bill, NewRun, Settlement, Store};
    use serde_json::{Value, json};

    use super::{bad_row, note_of, write_failed};

    /// Returns the row that replaces the bad line of a file.
    async fn noted(line: &[u8]) -> String {
        let folder = antiphon_fs::temp_dir().unwrap();
        let path = folder.path().join("rows.jsonl");
        antiphon_fs::write(&path, line.to_owned()).await.unwrap();
        let batch = Rows::open(&path, None).await.unwrap().next().await.unwrap();
        note_of(batch[0].as_ref().unwrap_err())
    }

    #[tokio::test]
    async fn a_bad_line_is_noted_with_its_text_and_number() {
        let row = noted(b"\n{\"a\": \xff").await;
        assert!(bad_row(&row).unwrap().ends_with("rows.jsonl:2: this row is not valid UTF-8"), "{row}");
        let note: Value = serde_json::from_str(&row).unwrap();
        let note = &note["_antiphon"];
        assert_eq!((&note["line"], &note["text"]), (&json!(2), &json!("{\"a\": \u{fffd}")));
        assert_eq!((&note["lossy"], note.get("cut")), (&json!(true), None));
        assert_eq!(bad_row("{\"a\": 1}"), None);
        assert_eq!(bad_row("{\"_antiphon\": {}}"), None);
    }

    #[tokio::test]
    async fn the_note_of_an_earlier_run_is_replaced() {
        let folder = antiphon_fs::temp_dir().unwrap();
        let path = folder.path().join("failed.jsonl");
        let run = Store::in_memory().open_run(NewRun::new("f")).await.unwrap();
        let row = json!({ "name": "Ulm", "_antiphon": { "index": 7, "error": "old", "attempts": 3 } });
        run.enqueue(vec![row.to_string()]).await.unwrap();
        run.settle(Settlement::failed(0, "schema_mismatch", "m", Bill::none())).await.unwrap();
        assert_eq!(write_failed(&run, &path).await.unwrap().as_ref(), Some(&path));
        let line: Value = serde_json::from_slice(&antiphon_fs::read(&path).await.unwrap()).unwrap();
        let note = &line["_antiphon"];
        assert_eq!((&line["name"], &note["index"]), (&json!("Ulm"), &json!(0)));
        assert_eq!((&note["error"], &note["attempts"]), (&json!("schema_mismatch"), &json!(0)));
    }

    #[tokio::test]
    async fn the_note_has_what_possibly_billed_calls_may_have_cost() {
        let folder = antiphon_fs::temp_dir().unwrap();
        let path = folder.path().join("failed.jsonl");
        let run = Store::in_memory().open_run(NewRun::new("f")).await.unwrap();
        run.enqueue(vec!["{}".to_owned(), "{}".to_owned()]).await.unwrap();
        for (index, unbounded) in [(0, 0), (1, 1)] {
            let mut bill = Bill::none();
            (bill.calls, bill.possibly_billed, bill.possible, bill.unbounded) = (1, 1, 300, unbounded);
            run.settle(Settlement::failed(index, "provider", "m", bill)).await.unwrap();
        }
        write_failed(&run, &path).await.unwrap();
        let text = String::from_utf8(antiphon_fs::read(&path).await.unwrap()).unwrap();
        let most = |line: &str| {
            serde_json::from_str::<Value>(line).unwrap()["_antiphon"]["possibly_billed_usd_micros"].clone()
        };
        assert_eq!(text.lines().map(most).collect::<Vec<_>>(), [json!(300), Value::Null]);
    }
}
