use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use antiphon_http::{Client, ErrorKind, RequestPhase, RetryPolicy};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A TLS server with a self-signed certificate; it is stopped when it is dropped.
struct Secure {
    url: String,
    certificate: String,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Secure {
    async fn start(protocols: &[&str]) -> Self {
        Self::with_certificate(protocols, CertificateParams::new(["localhost".to_owned()]).unwrap()).await
    }

    /// Starts a server whose certificate has these properties.
    async fn with_certificate(protocols: &[&str], certificate: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let made = certificate.self_signed(&key).unwrap();
        let certificate = CertificateDer::from(made.der().to_vec());
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config =
            config.unwrap().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/path?key=topsecret", listener.local_addr().unwrap().port());
        let accepted = Arc::new(AtomicUsize::new(0));
        let (mut tasks, count) = (JoinSet::new(), accepted.clone());
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let acceptor = acceptor.clone();
                connections.spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(async |_| {
                        Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::from("in private"))))
                    });
                    let _ = Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { url, certificate: made.pem(), connections: accepted, _tasks: tasks }
    }

    /// Sends a request with retries to the server, which its client trusts or not. Returns the message of its TLS error.
    async fn refused(&self, url: &str, trusted: Option<&str>) -> String {
        let client = Client::builder().retry(RetryPolicy::default().base(Duration::ZERO, Duration::ZERO));
        let client = trusted.into_iter().fold(client, |client, pem| client.add_root_certificate(pem)).build();
        let before = self.connections.load(Ordering::Relaxed);
        let err = client.get(url).await.unwrap_err();
        assert_eq!(
            (err.kind(), err.phase(), err.attempts()),
            (ErrorKind::Tls, RequestPhase::Tls, 1),
            "{err}"
        );
        assert_eq!(
            self.connections.load(Ordering::Relaxed) - before,
            1,
            "a refused certificate is not retried"
        );
        assert!(!format!("{err} {err:?}").contains("topsecret"));
        err.to_string()
    }
}

#[tokio::test]
async fn http2_is_negotiated_by_alpn_with_http1_as_the_fallback() {
    for (protocols, version) in
        [(&["h2", "http/1.1"][..], "HTTP/2.0"), (&["http/1.1"], "HTTP/1.1"), (&[], "HTTP/1.1")]
    {
        let server = Secure::start(protocols).await;
        let client = Client::builder().add_root_certificate(server.certificate.clone()).build();
        let answer = client.get(&server.url).await.unwrap();
        assert_eq!(answer.version(), version);
        assert_eq!(answer.text().await.unwrap(), "in private");
    }
}

#[tokio::test]
async fn a_certificate_that_is_unknown_expired_or_of_another_name_is_refused_and_not_retried() {
    let (server, other) = (Secure::start(&["h2"]).await, Secure::start(&["h2"]).await);
    for trusted in [None, Some(other.certificate.as_str())] {
        let text = server.refused(&server.url, trusted).await;
        assert!(text.contains("no TLS connection: invalid peer certificate"), "{text}");
    }
    let by_address = server.url.replace("localhost", "127.0.0.1");
    let text = server.refused(&by_address, Some(&server.certificate)).await;
    assert!(text.contains("not valid for name"), "{text}");
    let mut old = CertificateParams::new(["localhost".to_owned()]).unwrap();
    old.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let old = Secure::with_certificate(&["h2"], old).await;
    let text = old.refused(&old.url, Some(&old.certificate)).await;
    assert!(text.contains("expired"), "{text}");
    let err = Client::builder().add_root_certificate("nonsense").build().get(&server.url).await.unwrap_err();
    assert_eq!(err.phase(), RequestPhase::Tls);
    assert!(err.kind() == ErrorKind::Tls && err.to_string().contains("no BEGIN CERTIFICATE"), "{err}");
}
