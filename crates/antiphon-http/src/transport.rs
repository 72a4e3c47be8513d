//! The reqwest clients below a [`Client`](crate::Client), and their TLS configuration.
//!
//! reqwest opens one HTTP/2 connection for each client and host. Several clients are therefore kept, one for each
//! connection that a host may have at the same time, as `Host` counts them. A client serves all hosts of its route.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use rustls::ClientConfig;
use tokio::sync::OnceCell;

use crate::connecting::ConnectingLayer;
use crate::endpoint::Endpoint;
use crate::error::{Error, RequestPhase};
use crate::hosts::{ConnectionSlot, Route};
use crate::options::ClientBuilder;
use crate::tls::{self, TlsSetupError};

/// The clients that own the connections, created when they are first needed.
pub(crate) enum Transport {
    /// The caller's custom client.
    Given(reqwest::Client),
    /// Clients of this crate.
    Own(Box<Own>),
}

/// The clients that this crate creates.
#[derive(Default)]
pub(crate) struct Own {
    /// The TLS configuration for `https` addresses, once it was needed.
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
        match self {
            Self::Given(client) => Ok(client.clone()),
            Self::Own(own) => own.client(options, slot, endpoint).await,
        }
    }
}

impl Own {
    /// Returns the client for a slot, and creates it and those before it if it does not exist yet.
    async fn client(
        &self,
        options: &ClientBuilder,
        slot: &ConnectionSlot,
        endpoint: &Endpoint,
    ) -> Result<reqwest::Client, Error> {
        let route = slot.host().route;
        let clients = &self.clients[route as usize];
        // The lock is not held while TLS is set up.
        let there = clients.lock().unwrap_or_else(PoisonError::into_inner).get(slot.shard()).cloned();
        if let Some(client) = there {
            return Ok(client);
        }
        let tls = self.tls_for(options, route, endpoint).await?;
        let mut clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
        client_at(&mut clients, slot.shard(), || make(options, tls.clone(), route))
            .map_err(|err| Error::of_reqwest(err, endpoint.clone(), RequestPhase::Queue))
    }

    /// Returns the TLS configuration for a route; one without trusted roots for an unencrypted one, which needs none.
    async fn tls_for(
        &self,
        options: &ClientBuilder,
        route: Route,
        endpoint: &Endpoint,
    ) -> Result<ClientConfig, Error> {
        if route.is_secure() {
            return Ok(self.tls(options, endpoint).await?.clone());
        }
        tls::without_roots().map_err(|err| Error::tls_setup(&err, endpoint.clone()))
    }

    /// Returns the configuration with the platform's root certificates. They are read once, on a blocking thread, when
    /// the first `https` address is requested; a failure is not kept, and the next request reads them again.
    async fn tls(&self, options: &ClientBuilder, endpoint: &Endpoint) -> Result<&ClientConfig, Error> {
        let read = || async {
            let roots = options.roots.clone();
            let read = tokio::task::spawn_blocking(move || tls::with_platform_roots(&roots)).await;
            read.unwrap_or(Err(TlsSetupError::Aborted))
                .map_err(|err| Error::tls_setup(&err, endpoint.clone()))
        };
        self.tls.get_or_try_init(read).await
    }
}

/// Returns the client at an index, after adding those that are missing up to it.
fn client_at(
    clients: &mut Vec<reqwest::Client>,
    index: usize,
    make: impl Fn() -> reqwest::Result<reqwest::Client>,
) -> reqwest::Result<reqwest::Client> {
    while clients.len() <= index {
        clients.push(make()?);
    }
    Ok(clients[index].clone())
}

/// Creates a client, which opens no connection yet. Redirects are followed by this crate instead, which checks each
/// target.
fn make(options: &ClientBuilder, tls: ClientConfig, route: Route) -> reqwest::Result<reqwest::Client> {
    let mut client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        // reqwest's own retries stay on: they repeat only requests that an HTTP/2 server reports as not processed.
        .connect_timeout(options.connect_timeout)
        .pool_max_idle_per_host(options.max_connections.max(1))
        .tcp_nodelay(true)
        .connector_layer(ConnectingLayer)
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
