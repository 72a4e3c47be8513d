//! TLS configurations: rustls with ring, and the platform's verifier.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

/// Creates a configuration that trusts the platform's root certificates and those in `extra`, in PEM. Reading the platform's is
/// slow and blocks.
pub(crate) fn with_platform_roots(extra: &[Vec<u8>]) -> Result<ClientConfig, String> {
    let roots = parse_roots(extra)?;
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(roots, provider)
        .map_err(|err| if extra.is_empty() { unreadable(&err) } else { unacceptable(&err) })?;
    let config = builder().map_err(|err| err.to_string())?;
    // `dangerous` accepts any verifier; this one is rustls's own, with the platform's roots.
    let config =
        config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    Ok(with_alpn(config))
}

/// Parses the extra root certificates, each text in PEM with one or more of them.
fn parse_roots(extra: &[Vec<u8>]) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut roots = Vec::new();
    for pem in extra {
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            roots.push(certificate.map_err(|err| format!("a root certificate is not valid PEM: {err}"))?);
        }
        if roots.len() == before {
            return Err("a root certificate is not PEM: it has no BEGIN CERTIFICATE".to_owned());
        }
    }
    Ok(roots)
}

/// Returns the reason why there is no verifier without extra certificates: the platform has none.
fn unreadable(err: &rustls::Error) -> String {
    format!(
        "cannot read the system's certificates: {err}. Install ca-certificates, or add a root certificate"
    )
}

/// Returns the reason why there is no verifier with extra certificates, which are most likely at fault.
fn unacceptable(err: &rustls::Error) -> String {
    format!("a root certificate is not acceptable: {err}")
}

/// Creates a configuration that trusts no certificate, for unencrypted connections: reqwest needs one for these, too.
pub(crate) fn without_roots() -> Result<ClientConfig, rustls::Error> {
    Ok(builder()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

/// Creates a builder with ring. The provider is passed here and not installed for the process: rustls panics when two
/// libraries install one each.
fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, rustls::Error> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
}

/// Sets ALPN, which reqwest does only for its own configurations; without it HTTP/2 is never negotiated.
fn with_alpn(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

#[cfg(test)]
mod tests {
    use super::with_platform_roots;

    #[test]
    fn an_invalid_root_certificate_is_reported() {
        for (pem, expected) in [
            (&b"nonsense"[..], "has no BEGIN CERTIFICATE"),
            (b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n", "not valid PEM"),
            (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "not acceptable"),
        ] {
            let err = with_platform_roots(&[pem.to_vec()]).unwrap_err();
            assert!(err.contains(expected), "{err}");
        }
    }
}
