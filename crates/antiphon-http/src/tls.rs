use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

/// A configuration that trusts whom the platform trusts. Reading its certificates takes a while.
pub(crate) fn trusting_platform() -> Result<ClientConfig, rustls::Error> {
    let config = builder()?.with_platform_verifier()?.with_no_client_auth();
    Ok(with_alpn(config))
}

/// A configuration that trusts nobody, for connections that are not encrypted: reqwest asks for one all the same.
pub(crate) fn trusting_nobody() -> Result<ClientConfig, rustls::Error> {
    Ok(builder()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

// The provider is named here and not installed for the process: two libraries that install one each make rustls panic.
fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, rustls::Error> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
}

/// reqwest sets ALPN only on configurations of its own; without it HTTP/2 is never spoken.
fn with_alpn(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}
