//! TLS towards the outside: the well-known roots, and what a component adds to them.

use super::{
    gate::{Gate, Refusal, Target, denial},
    tls_failure::TlsFailure,
};
use crate::bindings::v0_1::julee::action::outbound::TlsOptions;
use action_domain::services::StageKind;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use std::{sync::Arc, time::Instant};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Most certificates that a component may add as roots.
const EXTRA_ROOTS_MAX: usize = 64;

/// Whom the service itself trusts, and its own way to do TLS.
pub(crate) struct Trust {
    roots: RootCertStore,
    plain: Arc<ClientConfig>,
    http: Arc<ClientConfig>,
}

impl Default for Trust {
    fn default() -> Self {
        Self::with(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
    }
}

impl Trust {
    /// The well-known roots and these (PEM).
    pub(crate) fn and(pem: &str) -> Result<Self, String> {
        let mut roots = Self::default().roots;
        add_roots(&mut roots, pem)?;
        Ok(Self::with(roots))
    }

    fn with(roots: RootCertStore) -> Self {
        let plain = Arc::new(config(roots.clone(), Vec::new()));
        let http = Arc::new(config(roots.clone(), http_alpn()));
        Self { roots, plain, http }
    }
}

fn http_alpn() -> Vec<Vec<u8>> {
    vec![b"http/1.1".to_vec()]
}

fn config(roots: RootCertStore, alpn: Vec<Vec<u8>>) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    #[expect(clippy::expect_used, reason = "ring supports the versions that rustls has")]
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS versions");
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn;
    config
}

/// How to do TLS for one connection.
pub(crate) struct Choice {
    config: Arc<ClientConfig>,
    server_name: Option<String>,
}

impl Choice {
    /// The service's default for HTTP.
    pub(crate) fn http(gate: &Gate) -> Self {
        Self { config: gate.trust.http.clone(), server_name: None }
    }

    /// What the component asks for, for HTTP.
    pub(crate) fn http_with(gate: &Gate, target: &Target, options: &TlsOptions) -> Result<Self, Refusal> {
        if !options.alpn.is_empty() && !options.alpn.iter().any(|name| name == "http/1.1") {
            return Err(Refusal::BadRequest("`alpn` of a request can only be `http/1.1`".to_owned()));
        }
        Self::build(gate, target, options, http_alpn(), &gate.trust.http)
    }

    /// What the component asks for, for a connection of its own.
    pub(crate) fn with(gate: &Gate, target: &Target, options: &TlsOptions) -> Result<Self, Refusal> {
        if let Some(name) = options.alpn.iter().find(|name| name.is_empty() || name.len() > 255) {
            return Err(Refusal::BadRequest(format!("`{name}` is no ALPN protocol")));
        }
        let alpn = options.alpn.iter().map(|name| name.clone().into_bytes()).collect();
        Self::build(gate, target, options, alpn, &gate.trust.plain)
    }

    fn build(
        gate: &Gate,
        target: &Target,
        options: &TlsOptions,
        alpn: Vec<Vec<u8>>,
        default: &Arc<ClientConfig>,
    ) -> Result<Self, Refusal> {
        if options.client_identity.is_some() {
            let rule = "secrets are not available in this release, so there is no client identity";
            let denial = denial(&target.host.to_string(), target.port, rule, "leave client-identity out");
            gate.deny(&denial);
            return Err(Refusal::Denied(denial));
        }
        let config = if options.extra_roots.is_none() && alpn == default.alpn_protocols {
            default.clone()
        } else {
            let mut roots = gate.trust.roots.clone();
            if let Some(pem) = &options.extra_roots {
                add_roots(&mut roots, pem)
                    .map_err(|text| Refusal::TlsFailed(TlsFailure::of_options(format!("extra-roots: {text}"))))?;
            }
            Arc::new(config(roots, alpn))
        };
        Ok(Self { config, server_name: options.server_name.clone() })
    }

    /// Shakes hands. The caller bounds the time.
    pub(crate) async fn handshake(
        &self,
        gate: &Gate,
        target: &Target,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Refusal> {
        let started = Instant::now();
        let name = self.server_name.clone().unwrap_or_else(|| target.host.to_string());
        let outcome = match ServerName::try_from(name) {
            Ok(name) => TlsConnector::from(self.config.clone())
                .connect(name, stream)
                .await
                .map_err(|error| Refusal::TlsFailed(TlsFailure::of_handshake(&error))),
            Err(_) => Err(Refusal::BadRequest("`server-name` is no host name".to_owned())),
        };
        let told = match &outcome {
            Ok(stream) => {
                let version = stream.get_ref().1.protocol_version().and_then(|version| version.as_str());
                Ok(version.unwrap_or("TLS").replace('_', "."))
            }
            Err(Refusal::TlsFailed(failure)) => Err((failure.what.clone(), Some(failure.hint.to_owned()))),
            Err(refusal) => Err((refusal.message(), None)),
        };
        gate.stage(StageKind::Tls, target.authority(), started, told);
        outcome
    }
}

fn add_roots(roots: &mut RootCertStore, pem: &str) -> Result<(), &'static str> {
    let mut added = 0;
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|_| "not PEM")?;
        roots.add(certificate).map_err(|_| "not a certificate that can be a root")?;
        added += 1;
        if added > EXTRA_ROOTS_MAX {
            return Err("too many certificates");
        }
    }
    if added == 0 { Err("no certificate in it") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_certificates_become_roots() {
        for bad in ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(Trust::and(bad).is_err(), "{bad:?}");
        }
    }
}
