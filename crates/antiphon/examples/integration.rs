//! Files, streams, retries and the runner together: counts the words of a folder of interviews through a slow service.
//!
//! `cargo run -p antiphon --example integration [FOLDER]`
#![expect(clippy::print_stdout, reason = "a program")]

use std::error::Error;
use std::time::Duration;

use antiphon::fs::{FileRead, ReadOptions, WalkOptions, Writer, read_many, walk};
use antiphon::resilience::{Deadline, RetryPolicy, Verdict};
use antiphon::runtime::{CancellationToken, Progress, Runner, Shutdown};
use antiphon::stream::BackpressureExt;
use futures_util::{StreamExt as _, TryStreamExt, stream};

/// A slow service that is busy at the first call.
async fn count_words(text: &str, attempt: u32) -> Result<usize, &'static str> {
    tokio::time::sleep(Duration::from_millis(5)).await;
    if attempt == 1 { Err("busy") } else { Ok(text.split_whitespace().count()) }
}

/// Counts the words of a file; the closure of `run` decides whether an error is retried.
async fn counted(file: FileRead, progress: Progress) -> Result<(String, usize), String> {
    let bytes = file.bytes.map_err(|err| err.to_string())?;
    let text = String::from_utf8_lossy(&bytes);
    let policy = RetryPolicy::default().base(Duration::from_millis(1), Duration::from_millis(1));
    let deadline = Deadline::after(Duration::from_secs(10));
    let words = policy
        .run(|_| Verdict::Retry, |attempt| count_words(&text, attempt.number))
        .deadline(deadline)
        .await
        .map_err(str::to_owned)?;
    progress.advance(1);
    Ok((file.path.display().to_string(), words))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "examples/interviews".to_owned());
    let cancel = CancellationToken::new();

    // Files: found in batches and read several per blocking task, with one outcome per file.
    let batches = walk(&folder, WalkOptions::default(), cancel.clone());
    let paths: Vec<_> = batches.flat_map(stream::iter).map_ok(|entry| entry.path).try_collect().await?;
    let progress = Progress::new(Some(paths.len() as u64));

    // A stream of slow calls: at most four concurrently, with results in order.
    let files = read_many(paths, ReadOptions::default(), cancel);
    let mut rows = files.map_async(4, |file| counted(file, progress.clone()));

    // Results: written in the background, to a file that gets its name when it is complete.
    let scratch = antiphon::fs::temp_dir()?;
    let out = scratch.path().join("words.tsv");
    let (mut writer, mut counts) = (Writer::atomic(&out).await?, Vec::new());
    while let Some((name, words)) = rows.try_next().await? {
        writer.write_line(&format!("{words}\t{name}")).await?;
        counts.push(words);
    }
    writer.finish().await?;
    print!("{}", antiphon::fs::read_to_string(&out).await?.text);

    // Work on four workers, and sliding windows over its results.
    let runner = Runner::new(4);
    let squares = runner.map(counts, |n| async move { n * n }).await;
    runner.shutdown(Shutdown::Drain).await;
    let squares = squares.into_iter().collect::<Result<Vec<_>, _>>()?;
    let means = stream::iter(squares).window(2, 1).map(|pair| (pair[0] + pair[1]) / 2);
    println!("means of neighbouring squares: {:?}", means.collect::<Vec<_>>().await);
    let done = progress.snapshot();
    println!("{} of {} files", done.done, done.total.unwrap_or_default());
    Ok(())
}
