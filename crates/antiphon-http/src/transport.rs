use std::fmt;
use std::sync::{Mutex, PoisonError};

use rustls::ClientConfig;
use tokio::sync::OnceCell;

use crate::error::{Error, ErrorKind, RequestPhase};
use crate::hosts::{Route, Seat};
use crate::options::ClientBuilder;
use crate::place::Place;
use crate::tls;

/// The clients that connections belong to, made when they are first needed.
pub(crate) enum Transport {
    /// The caller's own.
    Given(reqwest::Client),
    Own(Box<Own>),
}

#[derive(Default)]
pub(crate) struct Own {
    tls: OnceCell<ClientConfig>,
    /// By [`Route`].
    clients: [Mutex<Vec<reqwest::Client>>; 4],
}

impl fmt::Debug for Transport {
    // A client prints its default headers, and a key may be among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Given(_) => "Given",
            Self::Own(_) => "Own",
        })
    }
}

impl Transport {
    /// The client for a seat: one for each of a host's connections.
    pub(crate) async fn client(
        &self,
        options: &ClientBuilder,
        seat: &Seat,
        place: &Place,
    ) -> Result<reqwest::Client, Error> {
        let own = match self {
            Self::Given(client) => return Ok(client.clone()),
            Self::Own(own) => own,
        };
        let route = seat.host().route;
        let clients = &own.clients[route as usize];
        // The lock is not held while TLS is set up.
        let there = clients.lock().unwrap_or_else(PoisonError::into_inner).get(seat.shard()).cloned();
        if let Some(client) = there {
            return Ok(client);
        }
        let tls = match route.is_secure() {
            true => own.tls(options, place).await?.clone(),
            false => tls::trusting_nobody().map_err(|err| {
                Error::new(ErrorKind::Tls, RequestPhase::Queue, place.clone(), err.to_string())
            })?,
        };
        let mut clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
        while clients.len() <= seat.shard() {
            let client = make(options, tls.clone(), route);
            clients.push(client.map_err(|err| Error::of_reqwest(err, place.clone(), RequestPhase::Queue))?);
        }
        Ok(clients[seat.shard()].clone())
    }
}

impl Own {
    async fn tls(&self, options: &ClientBuilder, place: &Place) -> Result<&ClientConfig, Error> {
        let read = || async {
            let roots = options.roots.clone();
            let read = tokio::task::spawn_blocking(move || tls::trusting_platform_and(&roots)).await;
            let given_up = |_| Err("reading the system's certificates was given up".to_owned());
            read.unwrap_or_else(given_up)
                .map_err(|reason| Error::new(ErrorKind::Tls, RequestPhase::Connect, place.clone(), reason))
        };
        self.tls.get_or_try_init(read).await
    }
}

fn make(options: &ClientBuilder, tls: ClientConfig, route: Route) -> reqwest::Result<reqwest::Client> {
    let mut client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        // reqwest's own retries stay on: only of what an HTTP/2 server says it has not touched, when it closes a connection.
        .connect_timeout(options.connect_timeout)
        .pool_max_idle_per_host(options.max_connections.max(1))
        .tcp_nodelay(true)
        .user_agent(&options.user_agent);
    if let Some(resolver) = options.reach.resolver() {
        // A proxy would go where it likes.
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
