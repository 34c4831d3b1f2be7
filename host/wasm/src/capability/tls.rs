//! TLS towards the outside: the well-known roots, and what a component adds to them.

use super::{
    gate::{Gate, Refusal, Target},
    tls_failure::TlsFailure,
};
use crate::bindings::v0_1::julee::action::outbound::{ClientIdentity, TlsOptions};
use action_domain::services::StageKind;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use std::{sync::Arc, time::Instant};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Most certificates that a component may add as roots.
const EXTRA_ROOTS_MAX: usize = 64;
/// Most certificates that a component may say that it is.
const CHAIN_MAX: usize = 16;

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

/// Who we are: a certificate with those above it, and its key.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn config(roots: RootCertStore, alpn: Vec<Vec<u8>>) -> ClientConfig {
    #[expect(clippy::expect_used, reason = "only a client identity can be wrong")]
    config_of(roots, alpn, None).expect("no client identity")
}

fn config_of(
    roots: RootCertStore,
    alpn: Vec<Vec<u8>>,
    identity: Option<Identity>,
) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    #[expect(clippy::expect_used, reason = "ring supports the versions that rustls has")]
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS versions");
    let builder = builder.with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
    };
    config.alpn_protocols = alpn;
    Ok(config)
}

/// The key is a secret: the component has its handle and never sees it.
fn client_identity(gate: &Gate, identity: &ClientIdentity) -> Result<Identity, &'static str> {
    let key = gate.secrets.value_of(&identity.key).map_err(|_| "the key is no handle of a secret of the config")?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| "the secret holds no private key in PEM")?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(identity.chain.as_bytes()).collect();
    match chain {
        Ok(chain) if !chain.is_empty() && chain.len() <= CHAIN_MAX => Ok((chain, key)),
        _ => Err("the chain is not a list of certificates in PEM, leaf first"),
    }
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
    pub(crate) fn http_with(gate: &Gate, options: &TlsOptions) -> Result<Self, Refusal> {
        if !options.alpn.is_empty() && !options.alpn.iter().any(|name| name == "http/1.1") {
            return Err(Refusal::BadRequest("`alpn` of a request can only be `http/1.1`".to_owned()));
        }
        Self::build(gate, options, http_alpn(), &gate.trust.http)
    }

    /// What the component asks for, for a connection of its own.
    pub(crate) fn with(gate: &Gate, options: &TlsOptions) -> Result<Self, Refusal> {
        if let Some(name) = options.alpn.iter().find(|name| name.is_empty() || name.len() > 255) {
            return Err(Refusal::BadRequest(format!("`{name}` is no ALPN protocol")));
        }
        let alpn = options.alpn.iter().map(|name| name.clone().into_bytes()).collect();
        Self::build(gate, options, alpn, &gate.trust.plain)
    }

    fn build(
        gate: &Gate,
        options: &TlsOptions,
        alpn: Vec<Vec<u8>>,
        default: &Arc<ClientConfig>,
    ) -> Result<Self, Refusal> {
        let plain = options.extra_roots.is_none() && options.client_identity.is_none();
        let config = if plain && alpn == default.alpn_protocols {
            default.clone()
        } else {
            let wrong = |text: String| Refusal::TlsFailed(TlsFailure::of_options(text));
            let mut roots = gate.trust.roots.clone();
            if let Some(pem) = &options.extra_roots {
                add_roots(&mut roots, pem).map_err(|text| wrong(format!("extra-roots: {text}")))?;
            }
            let identity = options.client_identity.as_ref().map(|identity| client_identity(gate, identity));
            let identity = identity.transpose().map_err(|text| wrong(format!("client-identity: {text}")))?;
            Arc::new(config_of(roots, alpn, identity).map_err(|error| wrong(format!("client-identity: {error}")))?)
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
