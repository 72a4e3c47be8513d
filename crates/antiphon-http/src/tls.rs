//! TLS configurations: rustls with ring, and the platform's verifier.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

/// Creates a configuration that trusts the platform's root certificates and those in `extra`, in PEM. Reading the platform's is
/// slow and blocks.
///
/// # Errors
/// The reason why a certificate cannot be read.
pub(crate) fn with_platform_roots(extra: &[Vec<u8>]) -> Result<ClientConfig, TlsSetupError> {
    let roots = parse_roots(extra)?;
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(roots, provider).map_err(if extra.is_empty() {
        TlsSetupError::Platform
    } else {
        TlsSetupError::Unacceptable
    })?;
    let config = builder().map_err(TlsSetupError::Protocol)?;
    // `dangerous` accepts any verifier; this one is rustls's own, with the platform's roots.
    let config =
        config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    Ok(with_alpn(config))
}

/// Parses the extra root certificates, each text in PEM with one or more of them.
fn parse_roots(extra: &[Vec<u8>]) -> Result<Vec<CertificateDer<'static>>, TlsSetupError> {
    let mut roots = Vec::new();
    for pem in extra {
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            roots.push(certificate.map_err(TlsSetupError::Pem)?);
        }
        if roots.len() == before {
            return Err(TlsSetupError::NoCertificate);
        }
    }
    Ok(roots)
}

/// Creates a configuration that trusts no certificate, for unencrypted connections: reqwest needs one for these, too.
pub(crate) fn without_roots() -> Result<ClientConfig, TlsSetupError> {
    let builder = builder().map_err(TlsSetupError::Protocol)?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
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

/// A reason why TLS cannot be set up. Nothing was sent.
#[derive(Debug)]
pub(crate) enum TlsSetupError {
    /// The platform's certificates cannot be read, or there are none.
    Platform(rustls::Error),
    /// The task that reads them was aborted, as at the end of its runtime.
    Aborted,
    /// An extra root certificate is not valid PEM.
    Pem(pem::Error),
    /// An extra root certificate has no PEM section.
    NoCertificate,
    /// The verifier does not accept an extra root certificate.
    Unacceptable(rustls::Error),
    /// The cryptography supports none of the protocol versions.
    Protocol(rustls::Error),
}

impl fmt::Display for TlsSetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Platform(err) => write!(
                f,
                "cannot read the system's certificates: {err}. Install ca-certificates, or add a root certificate"
            ),
            Self::Aborted => f.write_str("cannot read the system's certificates: the task was aborted"),
            Self::Pem(err) => write!(f, "a root certificate is not valid PEM: {err}"),
            Self::NoCertificate => f.write_str("a root certificate is not PEM: it has no BEGIN CERTIFICATE"),
            Self::Unacceptable(err) => write!(f, "a root certificate is not acceptable: {err}"),
            Self::Protocol(err) => write!(f, "cannot set up TLS: {err}"),
        }
    }
}

impl std::error::Error for TlsSetupError {}

#[cfg(test)]
mod tests {
    use super::{TlsSetupError, with_platform_roots};

    #[test]
    fn an_invalid_root_certificate_is_reported() {
        for (pem, expected) in [
            (&b"nonsense"[..], "has no BEGIN CERTIFICATE"),
            (b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n", "not valid PEM"),
            (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "not acceptable"),
        ] {
            let err = with_platform_roots(&[pem.to_vec()]).unwrap_err();
            assert!(err.to_string().contains(expected), "{err}");
        }
        assert!(matches!(with_platform_roots(&[Vec::new()]), Err(TlsSetupError::NoCertificate)));
    }
}
