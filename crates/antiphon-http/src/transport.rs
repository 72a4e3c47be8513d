use std::sync::{Mutex, PoisonError};

use rustls::ClientConfig;
use tokio::sync::OnceCell;

use crate::error::{Error, ErrorKind, Phase};
use crate::hosts::{Route, Seat};
use crate::options::ClientBuilder;
use crate::place::Place;
use crate::tls;

/// The clients that connections belong to, made when they are first needed.
#[derive(Debug)]
pub(crate) enum Transport {
    /// The caller's own.
    Given(reqwest::Client),
    Own(Box<Own>),
}

#[derive(Debug, Default)]
pub(crate) struct Own {
    tls: OnceCell<ClientConfig>,
    secure: Mutex<Vec<reqwest::Client>>,
    plain: Mutex<Vec<reqwest::Client>>,
    loopback: Mutex<Vec<reqwest::Client>>,
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
        let clients = match seat.host().route {
            Route::Secure => &own.secure,
            Route::Plain => &own.plain,
            Route::Loopback => &own.loopback,
        };
        // The lock is not held while TLS is set up.
        let there = clients.lock().unwrap_or_else(PoisonError::into_inner).get(seat.shard()).cloned();
        if let Some(client) = there {
            return Ok(client);
        }
        let tls = match seat.host().route {
            Route::Secure => own.tls(options, place).await?.clone(),
            _ => tls::trusting_nobody()
                .map_err(|err| Error::new(ErrorKind::Tls, Phase::Queue, place.clone(), err.to_string()))?,
        };
        let mut clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
        while clients.len() <= seat.shard() {
            let client = make(options, tls.clone(), seat.host().route);
            clients.push(client.map_err(|err| Error::of_reqwest(err, place.clone(), Phase::Queue))?);
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
                .map_err(|reason| Error::new(ErrorKind::Tls, Phase::Connect, place.clone(), reason))
        };
        self.tls.get_or_try_init(read).await
    }
}

fn make(options: &ClientBuilder, tls: ClientConfig, route: Route) -> reqwest::Result<reqwest::Client> {
    let mut client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        // Retries have one owner, and reqwest is not it.
        .retry(reqwest::retry::never())
        .connect_timeout(options.connect_timeout)
        .pool_max_idle_per_host(options.max_connections.max(1))
        .tcp_nodelay(true)
        .user_agent(&options.user_agent);
    if route == Route::Loopback {
        client = client.no_proxy();
    }
    if options.http2_prior_knowledge && route != Route::Secure {
        client = client.http2_prior_knowledge();
    }
    client.build()
}
