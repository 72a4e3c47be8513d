use std::sync::Arc;
use std::time::Duration;

use antiphon_sim::{Faults, Latency, Limit, Scenario, Server, Stats};
use tokio::runtime::Runtime;

pub(super) const TOKENS: u32 = 500;
pub(super) const LATENCY: Duration = Duration::from_millis(300);

/// The faults of the vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    Nothing,
    Limit,
    Errors,
    CutsAndErrors,
    Outage,
}

/// The simulated vendor on the loopback interface, stopped on drop.
pub(super) struct Vendor {
    server: Arc<Server>,
}

const OUTAGE_AFTER: Duration = Duration::from_secs(2);
const OUTAGE: Duration = Duration::from_secs(1);
/// The rate limit, with a burst of one second's worth.
const LIMIT: Limit = Limit::per_second(100.0, 100);

impl Trouble {
    pub(super) const ALL: [Self; 5] =
        [Self::Nothing, Self::Limit, Self::Errors, Self::CutsAndErrors, Self::Outage];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "no faults",
            Self::Limit => "100 requests/s, headers",
            Self::Errors => "5 % 500s",
            Self::CutsAndErrors => "3 % cut answers, 2 % 500s",
            Self::Outage => "an outage of one second",
        }
    }

    /// Returns the rate limit that a user would know from the vendor's documentation.
    pub(super) fn requests_per_minute(self) -> Option<u32> {
        (self == Self::Limit).then_some(6_000)
    }

    fn scenario(self) -> Scenario {
        let scenario = Scenario::default().latency(Latency::Fixed(LATENCY)).answer_tokens(TOKENS);
        let none = Faults::default();
        match self {
            Self::Nothing | Self::Outage => scenario,
            Self::Limit => scenario.requests(LIMIT),
            Self::Errors => scenario.faults(none.error(0.05)),
            Self::CutsAndErrors => scenario.faults(none.error(0.02).half(0.03)),
        }
    }
}

impl Vendor {
    pub(super) fn start(runtime: &Runtime, trouble: Trouble) -> Result<Self, String> {
        let server = runtime.block_on(Server::start(trouble.scenario(), 0));
        let server = Arc::new(server.map_err(|err| format!("the simulated vendor: {err}"))?);
        if trouble == Trouble::Outage {
            runtime.spawn(goes_down(server.clone()));
        }
        Ok(Self { server })
    }

    pub(super) fn base_url(&self) -> String {
        format!("{}/v1", self.server.url())
    }

    pub(super) fn stats(&self) -> Stats {
        self.server.stats()
    }
}

/// Causes an outage at a fixed time after the first requests, since some peers take seconds to start.
async fn goes_down(server: Arc<Server>) {
    while server.stats().requests < 10 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(OUTAGE_AFTER).await;
    server.change_faults(Faults::default().error(1.0));
    tokio::time::sleep(OUTAGE).await;
    server.change_faults(Faults::default());
}
