use std::sync::Arc;
use std::time::Duration;

use antiphon::runtime::{Environment, Flags, connect, resolve};
use antiphon_sim::{Faults, Latency, Limit, LimitSignal, Scenario, Server};
use tokio::runtime::{Builder, Runtime};

use super::engine::Place;
use super::two_threads;
use crate::harness::{Measured, Row, wall};
use crate::server::more_handles;

/// Measures runs at a server with faults, each against the same run without faults.
pub(super) fn rows() -> Vec<Measured> {
    more_handles();
    let none = Faults::default();
    let steady = [
        ("4,000 rows of 400 ms, 5 % 500s", none.error(0.05), 1.25),
        ("4,000 rows of 400 ms, 3 % cut streams, 2 % 500s", none.error(0.02).half(0.03), 1.3),
        ("4,000 rows of 400 ms, 30 % no JSON", none.garbage(0.3), 2.0),
    ];
    let row = |row, target| Row { suite: "faults", row, baseline: "without faults", ops: 1, target };
    let mut rows = Vec::new();
    for (name, faults, target) in steady {
        rows.push(row(name, target).measure_rounds(1, || faulty(faults, false), || faulty(none, false)));
    }
    // The target allows the length of the outage and two seconds more, for a run of about four seconds.
    let outage = row("4,000 rows of 400 ms, an outage of one second", 1.75);
    rows.push(outage.measure_rounds(1, || faulty(none, true), || faulty(none, false)));
    rows.extend(limits());
    rows
}

/// Measures runs at a server with a rate limit, whose answers take 300 ms.
fn limits() -> Vec<Measured> {
    // A hundred requests per second, with a burst of a tenth of a second and of six seconds.
    let few = Scenario::default().requests(Limit::per_second(100.0, 10));
    let many = Scenario::default().requests(Limit::per_second(100.0, 600));
    let tokens = Scenario::default().tokens(Limit::per_second(10_000.0, 60_000));
    let rows = [
        ("2,000 rows of 300 ms, 6,000 requests/min, headers", &few, LimitSignal::Headers),
        ("2,000 rows of 300 ms, 6,000 requests/min, bare", &few, LimitSignal::None),
        ("2,000 rows, 6,000 requests/min, 600 at once, headers", &many, LimitSignal::Headers),
        ("2,000 rows, 6,000 requests/min, 600 at once, bare", &many, LimitSignal::None),
        ("2,000 rows of 300 ms, 600,000 tokens/min, headers", &tokens, LimitSignal::Headers),
        ("2,000 rows of 300 ms, 600,000 tokens/min, bare", &tokens, LimitSignal::None),
    ];
    let measure = |(name, scenario, signal): (_, &Scenario, _)| {
        let (target, most) = if signal == LimitSignal::Headers { (0.95, 0.01) } else { (0.85, 1.0) };
        let row = Row { suite: "faults", row: name, baseline: "the limit itself", ops: 1, target };
        row.reach(1, || reached(scenario.clone().limit_signal(signal), most))
    };
    rows.into_iter().map(measure).collect()
}

/// Returns the time that 4,000 rows take at a server with these faults; with `goes_down` it has an outage of one second.
fn faulty(faults: Faults, goes_down: bool) -> Duration {
    let runtime = one_thread();
    let latency = Latency::Fixed(Duration::from_millis(400));
    let scenario = Scenario::default().latency(latency).faults(faults);
    let server = Arc::new(runtime.block_on(Server::start(scenario, 0)).expect("a server"));
    if goes_down {
        let server = server.clone();
        runtime.spawn(async move {
            while server.stats().answered < 1_000 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            server.change_faults(Faults::default().error(1.0));
            tokio::time::sleep(Duration::from_secs(1)).await;
            server.change_faults(Faults::default());
        });
    }
    map(&runtime, &server, 4_000)
}

/// Returns the part of a limit that is reached, or 0 if more than the part `most` of the calls is refused.
fn reached(scenario: Scenario, most: f64) -> f64 {
    let runtime = one_thread();
    let scenario = scenario.latency(Latency::Fixed(Duration::from_millis(300)));
    let server = runtime.block_on(Server::start(scenario, 0)).expect("a server");
    map(&runtime, &server, 2_000);
    let (reached, refused) = (server.stats().limit_reached, server.verdict().throttled);
    println!("faults   {:.2} % refused, {reached:.3?} of the limit", refused * 100.0);
    if refused > most { 0.0 } else { reached.expect("it has a limit") }
}

fn one_thread() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

/// Returns the time that `rows` rows take with the layers of the program, its circuit breaker included.
fn map(runtime: &Runtime, server: &Server, rows: usize) -> Duration {
    let flags = Flags::default().provider("openai").base_url(format!("{}/v1", server.url())).model("sim-1");
    let key = Environment::from_iter([("OPENAI_API_KEY", "k"), ("ANTIPHON_POOL_SIZE", "4096")]);
    let settings = resolve(&flags, &key, &[]).expect("settings");
    let session = runtime.block_on(connect(&settings)).expect("a session");
    let mut place = Place::new(rows);
    // All answers to a row but the last may be invalid.
    place.recipe.attempts = 20;
    let work = two_threads();
    wall(|| work.block_on(place.map(session.calls, 4_096)))
}
