use std::fmt;
use std::sync::{Mutex, PoisonError};

use rustls::ClientConfig;
use tokio::sync::OnceCell;

use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, RequestPhase};
use crate::hosts::{ConnectionSlot, Route};
use crate::options::ClientBuilder;
use crate::tls;

/// The clients that own the connections, created when they are first needed.
pub(crate) enum Transport {
    /// The caller's custom client.
    Given(reqwest::Client),
    Own(Box<Own>),
}

#[derive(Default)]
pub(crate) struct Own {
    tls: OnceCell<ClientConfig>,
    /// The clients by [`Route`], one for each of a host's connections.
    clients: [Mutex<Vec<reqwest::Client>>; 4],
}

impl fmt::Debug for Transport {
    // A client's `Debug` prints its default headers, which may contain a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Given(_) => "Given",
            Self::Own(_) => "Own",
        })
    }
}

impl Transport {
    /// Returns the client for a slot: one for each of a host's connections.
    pub(crate) async fn client(
        &self,
        options: &ClientBuilder,
        slot: &ConnectionSlot,
        endpoint: &Endpoint,
    ) -> Result<reqwest::Client, Error> {
        let own = match self {
            Self::Given(client) => return Ok(client.clone()),
            Self::Own(own) => own,
        };
        let route = slot.host().route;
        let clients = &own.clients[route as usize];
        // The lock is not held while TLS is set up.
        let there = clients.lock().unwrap_or_else(PoisonError::into_inner).get(slot.shard()).cloned();
        if let Some(client) = there {
            return Ok(client);
        }
        let tls = if route.is_secure() {
            own.tls(options, endpoint).await?.clone()
        } else {
            tls::without_roots().map_err(|err| {
                Error::new(ErrorKind::Tls, RequestPhase::Queue, endpoint.clone(), err.to_string())
            })?
        };
        let mut clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
        while clients.len() <= slot.shard() {
            let client = make(options, tls.clone(), route);
            clients
                .push(client.map_err(|err| Error::of_reqwest(err, endpoint.clone(), RequestPhase::Queue))?);
        }
        Ok(clients[slot.shard()].clone())
    }
}

impl Own {
    async fn tls(&self, options: &ClientBuilder, endpoint: &Endpoint) -> Result<&ClientConfig, Error> {
        let read = || async {
            let roots = options.roots.clone();
            let read = tokio::task::spawn_blocking(move || tls::with_platform_roots(&roots)).await;
            let aborted = |_| Err("cannot read the system's certificates: the task was aborted".to_owned());
            read.unwrap_or_else(aborted)
                .map_err(|reason| Error::new(ErrorKind::Tls, RequestPhase::Connect, endpoint.clone(), reason))
        };
        self.tls.get_or_try_init(read).await
    }
}

fn make(options: &ClientBuilder, tls: ClientConfig, route: Route) -> reqwest::Result<reqwest::Client> {
    let mut client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        // reqwest's own retries stay on: they repeat only requests that an HTTP/2 server reports as not processed.
        .connect_timeout(options.connect_timeout)
        .pool_max_idle_per_host(options.max_connections.max(1))
        .tcp_nodelay(true)
        .user_agent(&options.user_agent);
    if let Some(resolver) = options.network_policy.resolver() {
        // A proxy would resolve names itself.
        client = client.dns_resolver(resolver).no_proxy();
    }
    if route.is_loopback() {
        client = client.no_proxy();
    }
    if options.http2_prior_knowledge && !route.is_secure() {
        client = client.http2_prior_knowledge();
    }
    client.build()
}
