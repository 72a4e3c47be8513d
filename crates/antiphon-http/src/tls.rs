use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

/// A configuration that trusts whom the platform trusts, and the certificates in `extra`, in PEM. Reading the platform's
/// takes a while.
pub(crate) fn with_platform_roots(extra: &[Vec<u8>]) -> Result<ClientConfig, String> {
    let mut roots = Vec::new();
    for pem in extra {
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            roots.push(certificate.map_err(|err| format!("a root certificate is no valid PEM: {err}"))?);
        }
        if roots.len() == before {
            return Err("a root certificate is no PEM: it has no BEGIN CERTIFICATE".to_owned());
        }
    }
    let cannot_be_read = |err: rustls::Error| {
        if extra.is_empty() {
            format!(
                "the system's certificates cannot be read ({err}); install ca-certificates, or give a root certificate"
            )
        } else {
            format!("a root certificate is not acceptable: {err}")
        }
    };
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(roots, provider).map_err(cannot_be_read)?;
    let config = builder().map_err(|err| err.to_string())?;
    // It is called dangerous since any verifier can be given; this one is rustls's own, over the platform's roots.
    let config =
        config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    Ok(with_alpn(config))
}

/// A configuration that trusts nobody, for connections that are not encrypted: reqwest asks for one all the same.
pub(crate) fn without_roots() -> Result<ClientConfig, rustls::Error> {
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

#[cfg(test)]
mod tests {
    use super::with_platform_roots;

    #[test]
    fn a_root_certificate_that_is_none_is_told() {
        for (pem, why) in [
            (&b"nonsense"[..], "has no BEGIN CERTIFICATE"),
            (b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n", "no valid PEM"),
            (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "not acceptable"),
        ] {
            let err = with_platform_roots(&[pem.to_vec()]).unwrap_err();
            assert!(err.contains(why), "{err}");
        }
    }
}
