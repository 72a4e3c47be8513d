//! The comparison with blocking code that does the same work sequentially.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use antiphon_fs::{ReadOptions, read_many};
use antiphon_http::{Client, Request};
use antiphon_runtime::Runner;
use antiphon_stream::BackpressureExt;
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::chart;
use crate::harness::wall;

/// The time that one task or one answer of the server takes.
const LATENCY: Duration = Duration::from_millis(200);
const STAGE: Duration = Duration::from_millis(50);
const AT_ONCE: [usize; 4] = [3, 10, 20, 100];
const FILES: usize = 1000;
const ITEMS: usize = 80;
const STAGE_LIMIT: usize = 8;
/// The part of the ideal factor that is the target where nothing but waiting takes time.
const TARGET: f64 = 0.95;

/// One comparison.
pub(crate) struct Comparison {
    pub(crate) name: String,
    pub(crate) blocking: Duration,
    pub(crate) ours: Duration,
    /// The factor if nothing but waiting took time; `None` where work dominates.
    pub(crate) ideal: Option<f64>,
}

impl Comparison {
    pub(crate) fn factor(&self) -> f64 {
        self.blocking.as_secs_f64() / self.ours.as_secs_f64()
    }

    fn of_ideal(&self) -> Option<f64> {
        self.ideal.map(|ideal| self.factor() / ideal)
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "blocking_seconds": self.blocking.as_secs_f64(),
            "ours_seconds": self.ours.as_secs_f64(),
            "factor": self.factor(),
            "ideal_factor": self.ideal,
            "of_ideal": self.of_ideal(),
            "target": self.ideal.map(|_| TARGET),
            "met": self.of_ideal().map(|part| part >= TARGET),
        })
    }
}

pub(crate) fn run(out: &Path) -> Result<(), String> {
    let runtime = crate::suites::two_threads();
    println!("{:32} {:>10} {:>10} {:>8} {:>8} {:>9}", "", "blocking", "ours", "factor", "ideal", "of ideal");
    let mut rows = Vec::new();
    let mut add = |row: Comparison| {
        let ideal = row.ideal.map_or("-".to_owned(), |ideal| format!("{ideal:.1}"));
        let part = row.of_ideal().map_or("-".to_owned(), |part| format!("{part:.3}"));
        let (blocking, ours) = (row.blocking.as_secs_f64(), row.ours.as_secs_f64());
        println!(
            "{:32} {blocking:>8.3} s {ours:>8.3} s {:>7.1}x {ideal:>8} {part:>9}",
            row.name,
            row.factor()
        );
        rows.push(row);
    };
    AT_ONCE.map(|n| tasks(&runtime, n)).into_iter().for_each(&mut add);
    let server = slow_server()?;
    for n in AT_ONCE {
        add(requests(&runtime, &server, n)?);
    }
    add(files(&runtime)?);
    add(stages(&runtime));
    std::fs::create_dir_all(out).map_err(|err| format!("{}: {err}", out.display()))?;
    let write = |name: &str, text: String| {
        let path = out.join(name);
        std::fs::write(&path, text).map_err(|err| format!("{}: {err}", path.display()))?;
        println!("{}", path.display());
        Ok::<_, String>(())
    };
    let json: Vec<Value> = rows.iter().map(Comparison::json).collect();
    println!();
    write("compare.json", serde_json::to_string_pretty(&json).map_err(|err| err.to_string())?)?;
    write("compare.svg", chart::draw(&rows))
}

/// Returns the median time of three runs, since other load disturbs single ones.
fn median(mut work: impl FnMut()) -> Duration {
    let mut times = [wall(&mut work), wall(&mut work), wall(&mut work)];
    times.sort_unstable();
    times[1]
}

fn tasks(runtime: &Runtime, n: usize) -> Comparison {
    let blocking = wall(|| (0..n).for_each(|_| thread::sleep(LATENCY)));
    let ours = median(|| {
        runtime.block_on(async {
            let done = Runner::new(n).map(0..n, |_| tokio::time::sleep(LATENCY)).await;
            assert!(done.iter().all(Result::is_ok));
        });
    });
    Comparison { name: format!("{n} tasks of 200 ms"), blocking, ours, ideal: Some(n as f64) }
}

fn requests(runtime: &Runtime, url: &str, n: usize) -> Result<Comparison, String> {
    let blocking = wall(|| {
        for _ in 0..n {
            let mut answer = ureq::get(url).call().expect("the server runs");
            assert_eq!(answer.body_mut().read_to_string().expect("a body"), "ok");
        }
    });
    let ours = median(|| {
        let client = Client::builder().build();
        runtime.block_on(async {
            let runner = Runner::new(n);
            let answers = runner.map(0..n, |_| {
                let (client, request) = (client.clone(), Request::get(url));
                async move { client.send(request).await?.text().await }
            });
            for answer in answers.await {
                assert_eq!(answer.expect("no panic").expect("an answer"), "ok");
            }
        });
    });
    Ok(Comparison { name: format!("{n} requests of 200 ms"), blocking, ours, ideal: Some(n as f64) })
}

/// Starts a server on one thread, which answers after [`LATENCY`].
fn slow_server() -> Result<String, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|err| format!("no port: {err}"))?;
    let address = listener.local_addr().map_err(|err| err.to_string())?;
    listener.set_nonblocking(true).map_err(|err| err.to_string())?;
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            let mut connections = JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                connections.spawn(serve(connection));
            }
        });
    });
    Ok(format!("http://{address}/"))
}

async fn serve(mut connection: TcpStream) {
    let mut request = Vec::new();
    while let Ok(1..) = connection.read_buf(&mut request).await {
        if request.ends_with(b"\r\n\r\n") {
            tokio::time::sleep(LATENCY).await;
            request.clear();
            if connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.is_err() {
                return;
            }
        }
    }
}

fn files(runtime: &Runtime) -> Result<Comparison, String> {
    let folder = tempfile::tempdir().map_err(|err| format!("no scratch folder: {err}"))?;
    let paths: Vec<PathBuf> = (0..FILES).map(|n| folder.path().join(n.to_string())).collect();
    for path in &paths {
        std::fs::write(path, [b'x'; 4096]).map_err(|err| format!("{}: {err}", path.display()))?;
    }
    let blocking =
        || wall(|| paths.iter().map(|path| std::fs::read(path).expect("a file").len()).sum::<usize>());
    let ours = || {
        wall(|| {
            runtime.block_on(async {
                let files = read_many(paths.clone(), ReadOptions::default(), CancellationToken::new());
                assert_eq!(files.filter(|file| std::future::ready(file.bytes.is_ok())).count().await, FILES);
            });
        })
    };
    // The first round fills the caches of both.
    let (mut best_blocking, mut best_ours) = (blocking(), ours());
    for _ in 0..20 {
        (best_blocking, best_ours) = (best_blocking.min(blocking()), best_ours.min(ours()));
    }
    let name = format!("{FILES} files of 4 KiB");
    Ok(Comparison { name, blocking: best_blocking, ours: best_ours, ideal: None })
}

fn stages(runtime: &Runtime) -> Comparison {
    let blocking = wall(|| (0..ITEMS * 2).for_each(|_| thread::sleep(STAGE)));
    let nap = |n: usize| async move {
        tokio::time::sleep(STAGE).await;
        n
    };
    let ours = median(|| {
        let staged = stream::iter(0..ITEMS).map_async(STAGE_LIMIT, nap).map_async(STAGE_LIMIT, nap);
        assert_eq!(runtime.block_on(staged.count()), ITEMS);
    });
    // The second stage begins one turn after the first.
    let ideal = (ITEMS * 2) as f64 / (ITEMS / STAGE_LIMIT + 1) as f64;
    Comparison { name: format!("{ITEMS} items, 2 stages of 50 ms"), blocking, ours, ideal: Some(ideal) }
}
