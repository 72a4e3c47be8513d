//! Translation of lines in batches with clients that are slow to connect: a connection pool, a batch processor and a
//! progress counter. One client breaks and is replaced.
#![expect(clippy::print_stdout, reason = "a program")]

use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use antiphon_runtime::{
    AcquireError, BatchProcessor, Manage, Pool, PoolOptions, Progress, background, timeout,
};
use tokio::time::{Instant, sleep};

const LINES: usize = 24;
const CLIENTS: usize = 3;

/// A client; the first one breaks at its fifth call.
struct Client {
    number: u32,
    calls: u32,
}

impl Client {
    async fn translate(&mut self, line: &str) -> Result<String, String> {
        self.calls += 1;
        sleep(Duration::from_millis(5)).await;
        match (self.number, self.calls) {
            (1, 5) => Err("the connection broke".to_owned()),
            _ => Ok(line.to_uppercase()),
        }
    }
}

#[derive(Default)]
struct Connect {
    created: AtomicU32,
}

impl Manage for Connect {
    type Resource = Client;
    type Error = Infallible;

    async fn create(&self) -> Result<Client, Infallible> {
        let number = self.created.fetch_add(1, Ordering::Relaxed) + 1;
        println!("connecting client {number}");
        sleep(Duration::from_millis(40)).await;
        Ok(Client { number, calls: 0 })
    }

    async fn close(&self, client: Client) {
        println!("closing client {} after {} calls", client.number, client.calls);
    }
}

/// Translates one line with a client of the pool and replaces a client that broke.
async fn translate(pool: &Pool<Connect>, line: String) -> Result<String, AcquireError<Infallible>> {
    loop {
        let mut client = pool.acquire().await?;
        match client.translate(&line).await {
            Ok(translated) => return Ok(translated),
            Err(why) => {
                println!("{why}: client {} is replaced", client.number);
                client.discard();
            }
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (start, progress) = (Instant::now(), Progress::new(Some(LINES as u64)));
    let mut watcher = progress.subscribe();
    let watched = background(async move {
        let mut last = None;
        while let Some(snapshot) = watcher.changed().await {
            if snapshot.done % 8 == 0 {
                println!("{} of {LINES} lines", snapshot.done);
            }
            last = Some(snapshot);
        }
        last
    });

    let pool = Pool::new(Connect::default(), PoolOptions::new(CLIENTS));
    let batches = BatchProcessor::new(8).max_concurrency(CLIENTS).progress(progress);
    let lines = (0..LINES).map(|n| format!("line {n}"));
    let work = batches.process(lines, |line| translate(&pool, line));
    let translated = timeout(Duration::from_secs(10), work).await?;

    let status = pool.status();
    println!("{} clients created, {} reused, {:?} in total", status.created, status.reused, start.elapsed());
    for (n, result) in translated.into_iter().enumerate() {
        assert_eq!(result??, format!("LINE {n}"), "results are in the order of the lines");
    }
    assert_eq!(status.created, CLIENTS as u64 + 1, "each client was created once, and one was replaced");
    drop(batches);
    assert_eq!(watched.await?.and_then(|last| last.percent()), Some(100.0));
    pool.close().await;
    assert_eq!(pool.status().size, 0);
    Ok(())
}
