//! What a config says about TLS, which the service does: a private authority, another name, a
//! certificate that says who asks.

use serde::Deserialize;

use crate::secrets::Secret;
use crate::{ClientIdentity, TlsOptions};

/// How TLS differs from the usual.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Certificates (PEM) of authorities to trust beside the well-known ones.
    pub extra_roots: Option<String>,
    /// The name that the remote's certificate bears, where it is not the host that is connected to.
    pub server_name: Option<String>,
    /// A certificate that says who asks.
    pub client_certificate: Option<ClientCertificate>,
}

/// A certificate and its key.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ClientCertificate {
    /// The certificate and those above it (PEM), leaf first.
    pub chain: String,
    /// The private key (PEM), as a secret. The protocol does not see it.
    pub key: Secret,
}

impl Tls {
    /// The options as the contract has them.
    pub fn options(&self) -> TlsOptions {
        let identity = self.client_certificate.as_ref();
        TlsOptions {
            server_name: self.server_name.clone(),
            extra_roots: self.extra_roots.clone(),
            client_identity: identity
                .map(|identity| ClientIdentity { chain: identity.chain.clone(), key: identity.key.to_string() }),
            alpn: Vec::new(),
        }
    }

    /// The same of a property that may be left out.
    pub fn options_of(tls: Option<&Self>) -> TlsOptions {
        tls.map_or_else(|| Self::default().options(), Self::options)
    }
}
