//! Two feeds of questions, a queue between them and two workers, and stages of slow calls. The slowest stage limits how far
//! the feeds are read ahead (backpressure), and answers are stored in batches.
#![expect(clippy::print_stdout, reason = "a program")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use antiphon_stream::{BackpressureExt, Closed, Queue, Stages, merge};
use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, sleep};

const MAX_CONCURRENCY: usize = 8;
const CAPACITY: usize = 4;

/// A slow call that fails for one question in ten.
async fn ask(n: usize) -> Result<String, usize> {
    sleep(Duration::from_millis(20)).await;
    if n.is_multiple_of(10) { Err(n) } else { Ok(format!("answer {n}")) }
}

/// A service that stores a batch; its cost for each batch makes small batches slow.
async fn store(group: Vec<String>, stored: Arc<Mutex<Vec<String>>>) -> usize {
    sleep(Duration::from_millis(5)).await;
    let size = group.len();
    stored.lock().unwrap_or_else(PoisonError::into_inner).extend(group);
    size
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Closed<usize>> {
    let (start, queue) = (Instant::now(), Queue::new(CAPACITY));
    let (read, stored) = (AtomicUsize::new(0), Arc::new(Mutex::new(Vec::new())));

    // Feeds that always have an item: only the queue's capacity slows them down.
    let produce = async {
        let mut numbers = merge([stream::iter(0..40), stream::iter(100..140)]);
        while let Some(n) = numbers.next().await {
            read.fetch_add(1, Ordering::Relaxed);
            queue.push(n).await?;
        }
        queue.close();
        Ok(())
    };

    // Built once, and run by each worker.
    let into = stored.clone();
    let stages = Stages::new()
        .map(MAX_CONCURRENCY, ask)
        .filter(MAX_CONCURRENCY, |answer: &Result<String, usize>| std::future::ready(answer.is_ok()))
        .stage(|answers| answers.filter_map(|answer| std::future::ready(answer.ok())))
        .stage(|answers| answers.batch_within(16, Duration::from_millis(30)))
        .map(2, move |group| store(group, into.clone()));
    let work = async |worker: usize| {
        let mut groups = stages.run(queue.stream());
        let mut answers = 0;
        while let Some(size) = groups.next().await {
            answers += size;
            println!("worker {worker}: {size} answers stored after {:?}", start.elapsed());
        }
        answers
    };

    let early = async {
        sleep(Duration::from_millis(10)).await;
        // No call has ended yet: each question that was read is in a call, in the queue, or waits for room in it.
        let most = 2 * MAX_CONCURRENCY + CAPACITY + 1;
        let read = read.load(Ordering::Relaxed);
        println!("after 10 ms: {read} of 80 questions read, {most} at most");
        assert!(read <= most);
    };
    let (produced, one, two, ()) = tokio::join!(produce, work(1), work(2), early);
    produced?;
    let stored = stored.lock().unwrap_or_else(PoisonError::into_inner);
    println!(
        "{} of 80 answers stored, {one} and {two} by the workers, in {:?}",
        stored.len(),
        start.elapsed()
    );
    assert_eq!((one + two, stored.len()), (72, 72), "eight questions failed");
    Ok(())
}
