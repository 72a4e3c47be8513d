use std::sync::Arc;
use std::time::Duration;

use antiphon::runtime::{Environment, Flags, connect, resolve};
use antiphon_sim::{Faults, Latency, Scenario, Server};
use tokio::runtime::Builder;

use super::engine::Place;
use super::two_threads;
use crate::harness::{Measured, Row, wall};
use crate::server::more_handles;

/// Runs at a server with faults, each against the same run without.
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
    // The length of the outage and two seconds for a whole run of about four.
    let outage = row("4,000 rows of 400 ms, an outage of one second", 1.75);
    rows.push(outage.measure_rounds(1, || faulty(none, true), || faulty(none, false)));
    rows
}

/// How long 4,000 rows take at a server with such faults; `goes_down` for a second in the midst of them.
fn faulty(faults: Faults, goes_down: bool) -> Duration {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
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
    // As the program has it, with its breaker.
    let flags = Flags::default().provider("openai").base_url(format!("{}/v1", server.url())).model("sim-1");
    let key = Environment::from_iter([("OPENAI_API_KEY", "k"), ("ANTIPHON_POOL_SIZE", "4096")]);
    let settings = resolve(&flags, &key, &[]).expect("settings");
    let session = runtime.block_on(connect(&settings)).expect("a session");
    let mut place = Place::new(4_000);
    // Of a row all answers but the last may be of no use.
    place.recipe.attempts = 20;
    let work = two_threads();
    wall(|| work.block_on(place.map(session.calls, 4_096)))
}
