use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use antiphon_engine::{Input, Mapped, Mapping, Recipe};
use antiphon_llm::{Calls, LimiterRegistry, Stack};
use antiphon_providers::{OpenAi, SecretString};
use antiphon_sim::{Limit, LimitSignal, Scenario, Server};
use antiphon_store::{Bill, NewRun, Run, Settlement, Store};
use futures::future::join_all;
use futures::{StreamExt, stream};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use super::http::{body, cpu, reqwest_client};
use super::two_threads;
use crate::harness::{Measured, Row, wall};
use crate::server::{Process, more_handles};

const WRITERS: u64 = 1_000;
const JOBS: usize = 20_000;
const SLOW_JOBS: usize = 10_000;
const AT_ONCE: usize = 1_000;
const KEPT: usize = 100_000;
const RECIPE: &str = "prompt = \"Name a bakery. {{ n }}\"\nparameters.max_tokens = 64";

/// Measures the whole engine, with journal, cache, checks and results, against code that only makes the calls.
pub(super) fn rows() -> Result<Vec<Measured>, String> {
    more_handles();
    let row = |row, baseline, ops, target| Row { suite: "engine", row, baseline, ops, target };
    let runtime = two_threads();
    let mut rows = vec![group_commit(
        &runtime,
        row("1,000 writers at once, group commit", "one transaction by hand", WRITERS, 1.3),
    )];
    let server = Process::start(0, 8, 100)?;
    let (calls, bare) = (calls(&server.url, 64)?, reqwest_client(false));
    let theirs = |url: &str, count: usize, at_once: usize, time: Time| {
        time(&runtime, Box::pin(only_calls(bare.clone(), url.to_owned(), count, at_once)))
    };
    let ours = |calls: &Calls, count: usize, at_once: usize, time: Time| {
        let place = Place::new(count);
        time(&runtime, Box::pin(place.map(calls.clone(), at_once)))
    };
    rows.push(
        row("20,000 jobs, no latency, CPU", "reqwest, only the calls", JOBS as u64, 2.0).measure_rounds(
            3,
            || ours(&calls, JOBS, 64, processor),
            || theirs(&server.url, JOBS, 64, processor),
        ),
    );
    let slow = Process::start(50, 8, 100)?;
    let calls = self::calls(&slow.url, AT_ONCE)?;
    rows.push(
        row("10,000 jobs of 50 ms, 1,000 at once, wall", "reqwest, only the calls", SLOW_JOBS as u64, 1.15)
            .measure_rounds(
                3,
                || ours(&calls, SLOW_JOBS, AT_ONCE, clock),
                || theirs(&slow.url, SLOW_JOBS, AT_ONCE, clock),
            ),
    );
    let (requests, tokens) = (Limit::per_second(100.0, 10), Limit::per_second(10_000.0, 1_000));
    let (full, half) = (Scenario::default().requests(requests), Limit::per_second(50.0, 10));
    let tokens = Scenario::default().tokens(tokens);
    for (name, scenario, change, signal) in [
        ("1,500 jobs at 100/s, x-ratelimit headers", &full, None, LimitSignal::Headers),
        ("1,500 jobs at 100/s, no headers", &full, None, LimitSignal::None),
        ("1,500 jobs at 10,000 tokens/s, headers", &tokens, None, LimitSignal::Headers),
        ("1,500 jobs at 10,000 tokens/s, no headers", &tokens, None, LimitSignal::None),
        ("1,500 jobs at 100/s, then 50/s, headers", &full, Some(half), LimitSignal::Headers),
        ("1,500 jobs at 100/s, then 50/s, no headers", &full, Some(half), LimitSignal::None),
    ] {
        let (target, most) = if signal == LimitSignal::Headers { (0.95, 0.01) } else { (0.85, 1.0) };
        let row = Row { suite: "engine", row: name, baseline: "the limit itself", ops: 1, target };
        rows.push(row.reach(2, || reached(scenario.clone().limit_signal(signal), change, most)));
    }
    let (place, calls) = (Place::new(KEPT), self::calls(&server.url, 256)?);
    runtime.block_on(place.map(calls.clone(), 256));
    rows.push(row("a finished run of 100,000 jobs, shown again", "2 seconds", 1, 1.0).measure_rounds(
        3,
        || clock(&runtime, Box::pin(place.map(calls.clone(), 256))),
        || Duration::from_secs(2),
    ));
    Ok(rows)
}

type Time = fn(&Runtime, Work) -> Duration;
type Work<'a> = std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>;

fn processor(runtime: &Runtime, work: Work) -> Duration {
    cpu(runtime, work)
}

fn clock(runtime: &Runtime, work: Work) -> Duration {
    wall(|| runtime.block_on(work))
}

/// Creates a provider with the layers of the program, and a connection pool of this size.
fn calls(url: &str, connections: usize) -> Result<Calls, String> {
    let base = url.trim_end_matches("/chat/completions");
    let provider = OpenAi::new(SecretString::from("k")).base_url(base).map_err(|err| err.to_string())?;
    Ok(Stack::new(provider.max_connections(connections)).limiters(LimiterRegistry::default()).calls())
}

/// A temporary folder with rows, and a recipe.
pub(super) struct Place {
    folder: TempDir,
    pub(super) recipe: Recipe,
    runs: Cell<u64>,
}

impl Place {
    pub(super) fn new(rows: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let text: String = (0..rows).map(|n| format!("{{\"n\":{n}}}\n")).collect();
        std::fs::write(folder.path().join("rows.jsonl"), text).expect("rows");
        let recipe = Recipe::parse("r.toml", RECIPE).expect("a recipe");
        Self { folder, recipe, runs: Cell::new(0) }
    }

    pub(super) async fn map(&self, calls: Calls, at_once: usize) {
        let out = self.folder.path().join("out");
        let store = Store::open(out.join("antiphon.db")).await.expect("a store");
        let input = Input::Path(self.folder.path().join("rows.jsonl"), None);
        let mut mapping = Mapping::new(input, self.recipe.clone(), "sim-1");
        mapping.options.limits.max_concurrency = Some(at_once);
        let Mapped { report, .. } = mapping.run(calls, store, &out).await.expect("a run");
        assert_eq!((report.failed, report.left), (0, 0), "{:?}", report.causes);
        self.runs.set(self.runs.get() + 1);
    }
}

async fn only_calls(client: reqwest::Client, url: String, count: usize, at_once: usize) {
    // On all threads, as our side.
    let mut tasks = JoinSet::new();
    let each = at_once.div_ceil(4);
    for part in 0..4 {
        let (client, url) = (client.clone(), url.clone());
        tasks.spawn(async move {
            let answers = stream::iter((part..count).step_by(4)).map(|number| {
                let call = client.post(&url).bearer_auth("k").json(&body(number));
                async move { call.send().await.expect("an answer").bytes().await.expect("all of it").len() }
            });
            answers.buffer_unordered(each).fold(0, async |sum, len| sum + len).await
        });
    }
    assert!(tasks.join_all().await.iter().all(|len| *len > 0));
}

/// Returns the part of a limit that is reached, or 0 if more than the part `most` of the calls is refused.
fn reached(scenario: Scenario, change: Option<Limit>, most: f64) -> f64 {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let server = Arc::new(runtime.block_on(Server::start(scenario, 0)).expect("a server"));
    if let Some(limit) = change {
        let server = server.clone();
        runtime.spawn(async move {
            while server.stats().answered < 700 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            server.change_limits(Some(limit), None);
        });
    }
    let calls = calls(&format!("{}/v1/chat/completions", server.url()), 256).expect("calls");
    let place = Place::new(1_500);
    two_threads().block_on(place.map(calls, 4_096));
    let (stats, verdict) = (server.stats(), server.verdict());
    println!("engine   {:.2} % refused, {:?}", verdict.throttled * 100.0, stats.limit_reached);
    if verdict.throttled > most { 0.0 } else { stats.limit_reached.expect("it has a limit") }
}

/// Measures the group commit of a thousand tasks that each settle a job, against the same changes in one transaction by hand.
fn group_commit(runtime: &Runtime, row: Row) -> Measured {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("antiphon.db");
    let store = runtime.block_on(Store::open(&path)).expect("a store");
    let by_hand = rusqlite::Connection::open(folder.path().join("hand.db")).expect("a database");
    prepare(&by_hand, &path);
    println!("engine   one flush of this disk takes {:?}", flush(folder.path()));
    let (round, hand) = (Cell::new(0_u64), Cell::new(0_i64));
    row.measure_rounds(
        15,
        || {
            round.set(round.get() + 1);
            let run = Arc::new(runtime.block_on(new_run(&store, round.get())));
            wall(|| runtime.block_on(settle_all(run)))
        },
        || {
            hand.set(hand.get() + 1);
            let first = hand.get() << 32;
            by_hand.execute_batch("BEGIN IMMEDIATE").expect("a transaction");
            for key in first..first + WRITERS as i64 {
                by_hand
                    .prepare_cached("INSERT INTO jobs (key) VALUES (?1)")
                    .expect("sql")
                    .execute([key])
                    .expect("a job");
            }
            by_hand.execute_batch("COMMIT").expect("a commit");
            wall(|| change(&by_hand, first))
        },
    )
}

async fn new_run(store: &Store, number: u64) -> Run {
    let run = store.open_run(NewRun::new(format!("{number}"))).await.expect("a run");
    run.enqueue(vec!["{}".to_owned(); WRITERS as usize]).await.expect("jobs");
    run
}

const RESULT: &str = "\"The quick brown fox jumps over lazy dogs.\"";

async fn settle_all(run: Arc<Run>) {
    let settle = |index| run.settle(Settlement::accepted(index, RESULT, Bill::call(Some(1))));
    for kept in join_all((0..WRITERS).map(settle)).await {
        kept.expect("kept");
    }
}

/// Prepares a database with the store's table and settings.
fn prepare(by_hand: &rusqlite::Connection, ours: &Path) {
    let schema = rusqlite::Connection::open(ours).expect("ours");
    let sql: String = schema
        .query_row("SELECT sql FROM sqlite_schema WHERE name = 'jobs'", [], |row| row.get(0))
        .expect("the table");
    by_hand.execute_batch(&sql).expect("a table");
    for (name, value) in [("journal_mode", "WAL"), ("synchronous", "FULL")] {
        by_hand.pragma_update(None, name, value).expect("a setting");
    }
}

fn change(by_hand: &rusqlite::Connection, first: i64) {
    by_hand.execute_batch("BEGIN IMMEDIATE").expect("a transaction");
    let sql = "UPDATE jobs SET state = 3, calls = calls + 1, settled = settled + 1, lost = lost + 0,
        possible = possible + 0, input_tokens = input_tokens + 0, output_tokens = output_tokens + 0,
        reserved = NULL, result = ?2, error_kind = NULL, error = NULL, due = NULL, timings = ?3
        WHERE key = ?1 AND state NOT IN (3, 4)";
    for key in first..first + WRITERS as i64 {
        let timings: &[u8] = &[];
        let changed =
            by_hand.prepare_cached(sql).expect("sql").execute((key, RESULT, timings)).expect("a change");
        assert_eq!(changed, 1);
    }
    by_hand.execute_batch("COMMIT").expect("a commit");
}

/// Returns the median time of an fsync after writing one page.
fn flush(folder: &Path) -> Duration {
    use std::io::Write;
    let mut file = std::fs::File::create(folder.join("flushed")).expect("a file");
    let mut times: Vec<Duration> = (0..21)
        .map(|_| {
            file.write_all(&[0; 4_096]).expect("a page");
            let began = Instant::now();
            file.sync_data().expect("a flush");
            began.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}
