use std::sync::{Arc, Mutex};

use antiphon_store::{NewRun, Store};
use tokio::sync::mpsc;

use super::{Lines, MAX_WAITING, Order, Output, Sink};
use crate::engine::{JobDetails, JobOutcome};

/// Returns the outcome of a row whose result has a size in bytes.
fn outcome(index: u64, size: usize, is_stored: bool) -> JobOutcome {
    let result = Ok(format!("\"{}\"", "x".repeat(size)));
    JobOutcome { index, row: "{}".to_owned(), result, seen: JobDetails::default(), is_stored }
}

#[tokio::test]
async fn a_result_that_is_not_stored_is_written_whatever_waits_before_it() {
    let run = Store::in_memory().open_run(NewRun::new("a run")).await.unwrap();
    run.enqueue(vec!["{}".to_owned(); 4]).await.unwrap();
    let taken = Arc::new(Mutex::new(String::new()));
    let into = taken.clone();
    let lines = Lines::new(move |block| {
        into.lock().unwrap().push_str(std::str::from_utf8(block).unwrap());
        Ok(())
    });
    let mut output = Output::begin(Arc::new(run), Order::Input, Sink::Lines(lines)).await.unwrap();
    let (ended, mut results) = mpsc::channel(4);
    // The first row stays open, and the second one's line takes all the room.
    for row in [outcome(1, MAX_WAITING - 100, false), outcome(2, 200, false), outcome(3, 200, false)] {
        ended.send(row).await.unwrap();
    }
    drop(ended);
    output.follow(&mut results).await.unwrap();
    output.finish().await.unwrap();
    let taken = taken.lock().unwrap();
    let written: Vec<_> = taken.lines().map(|line| &line[..11]).collect();
    assert_eq!(written, ["{\"index\":1,", "{\"index\":2,", "{\"index\":3,"]);
}
