use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::sync::OnceCell;
use tokio::time::timeout;
use url::{Host, Url};

use crate::error::{Error, ErrorKind, Phase};
use crate::request::Request;
use crate::response::{Limits, Response};
use crate::shards::{Place, Shards};
use crate::tls;

/// An HTTP client; cloning gives another handle to the same connections.
///
/// It sends each request once. Whoever owns the call decides whether it is made again.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: ClientBuilder,
    secure: Shards,
    plain: Shards,
    loopback: Shards,
    tls: OnceCell<ClientConfig>,
}

/// How a [`Client`] waits and what it accepts.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientBuilder {
    /// The time to a connection. Default 5 s.
    pub connect_timeout: Duration,
    /// The time from sending to the answer's head. Default 30 s.
    pub first_byte_timeout: Duration,
    /// The time between two pieces of a body. Default 30 s.
    pub idle_timeout: Duration,
    /// The size of a body that is read whole, and of one event of a stream, unpacked, in bytes. Default 16 MiB.
    pub max_body: usize,
    /// Requests under way on one HTTP/2 connection before another is opened. Default 100, as hosted front ends allow.
    pub max_streams_per_connection: usize,
    /// Connections in use at once, to `https`, to `http` and to loopback addresses each; a further request waits until
    /// one is free. They stay open for the next request. It does not bind HTTP/2, where requests share connections.
    /// Default 100; 0 counts as 1.
    pub max_connections: usize,
    /// What the client calls itself. Default `antiphon/` and the version.
    pub user_agent: String,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            first_byte_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(30),
            max_body: 16 << 20,
            max_streams_per_connection: 100,
            max_connections: 100,
            user_agent: concat!("antiphon/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

impl ClientBuilder {
    /// Sets the time to a connection.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets the time from sending to the answer's head.
    #[must_use]
    pub fn first_byte_timeout(mut self, timeout: Duration) -> Self {
        self.first_byte_timeout = timeout;
        self
    }

    /// Sets the time between two pieces of a body.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Sets the largest body, unpacked, in bytes.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Sets how many connections may be in use at once.
    #[must_use]
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// The client. Nothing is opened and no certificate is read before the first request.
    #[must_use]
    pub fn build(self) -> Client {
        let shards = || Shards::new(self.max_streams_per_connection, self.max_connections);
        let (secure, plain, loopback) = (shards(), shards(), shards());
        Client { inner: Arc::new(Inner { options: self, secure, plain, loopback, tls: OnceCell::new() }) }
    }
}

impl Client {
    /// How the client is to wait and what it accepts.
    #[must_use]
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Sends a request once and waits for the answer's head, whatever its status.
    ///
    /// # Errors
    /// `InvalidRequest`, `Connect`, `Tls`, `Timeout`, `Interrupted` or `InvalidResponse`.
    ///
    /// # Cancel safety
    /// Hangs up; the server may have acted on the request.
    pub async fn send(&self, request: Request) -> Result<Response, Error> {
        let place = request.place();
        let url = request.checked_url()?;
        let connection = self.connection(&url, &place).await?;
        let options = &self.inner.options;
        let mut sending = connection.client().request(request.method, url).headers(request.headers);
        if let Some(body) = request.body {
            sending = sending.body(body);
        }
        let patience = request.first_byte_timeout.unwrap_or(options.first_byte_timeout);
        let answer = match timeout(patience, sending.send()).await {
            Ok(answer) => answer.map_err(|err| Error::of_reqwest(err, &place, false))?,
            Err(_) => return Err(Error::new(ErrorKind::Timeout { phase: Phase::FirstByte }, place, "")),
        };
        connection.saw(answer.version());
        let limits = Limits { idle: options.idle_timeout, max_body: options.max_body };
        Ok(Response::new(answer, connection, place, limits))
    }

    async fn connection(&self, url: &Url, place: &str) -> Result<Place, Error> {
        let no_client = |err| Error::of_reqwest(err, place, false);
        let no_tls = |err: rustls::Error| Error::new(ErrorKind::Tls, place, err.to_string());
        let Inner { options, secure, plain, loopback, .. } = &*self.inner;
        if url.scheme() == "https" {
            let tls = self.tls(place).await?;
            return secure.place(|| options.client(tls.clone()).build()).await.map_err(no_client);
        }
        let client = || Ok(options.client(tls::trusting_nobody().map_err(no_tls)?));
        match is_loopback(url) {
            true => loopback.place(|| client()?.no_proxy().build().map_err(no_client)).await,
            false => plain.place(|| client()?.build().map_err(no_client)).await,
        }
    }

    async fn tls(&self, place: &str) -> Result<&ClientConfig, Error> {
        let read = || async {
            let read = tokio::task::spawn_blocking(tls::trusting_platform).await;
            let reason = match read {
                Ok(Ok(config)) => return Ok(config),
                Ok(Err(err)) => {
                    format!("the system's certificates cannot be read ({err}); install ca-certificates")
                }
                Err(_) => "reading the system's certificates was given up".to_owned(),
            };
            Err(Error::new(ErrorKind::Tls, place, reason))
        };
        self.inner.tls.get_or_try_init(read).await
    }
}

impl ClientBuilder {
    fn client(&self, tls: ClientConfig) -> reqwest::ClientBuilder {
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(self.connect_timeout)
            .pool_max_idle_per_host(self.max_connections.max(1))
            .user_agent(&self.user_agent)
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
