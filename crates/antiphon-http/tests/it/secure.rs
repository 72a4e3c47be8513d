use std::convert::Infallible;
use std::sync::Arc;

use antiphon_http::{Client, ErrorKind};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A TLS server with a self-signed certificate; it is stopped when it is dropped.
struct Secure {
    url: String,
    certificate: String,
    _tasks: JoinSet<()>,
}

impl Secure {
    async fn start(protocols: &[&str]) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = CertificateDer::from(made.cert.der().to_vec());
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config =
            config.unwrap().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/path?key=topsecret", listener.local_addr().unwrap().port());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
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
        Self { url, certificate: made.cert.pem(), _tasks: tasks }
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
async fn a_certificate_that_the_platform_does_not_trust_is_refused() {
    let (server, other) = (Secure::start(&["h2"]).await, Secure::start(&["h2"]).await);
    for client in
        [Client::default(), Client::builder().add_root_certificate(other.certificate.clone()).build()]
    {
        let err = client.get(&server.url).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Tls, "{err}");
        assert!(!format!("{err} {err:?}").contains("topsecret"));
    }
    let err = Client::builder().add_root_certificate("nonsense").build().get(&server.url).await.unwrap_err();
    assert!(err.kind() == ErrorKind::Tls && err.to_string().contains("no BEGIN CERTIFICATE"), "{err}");
}
