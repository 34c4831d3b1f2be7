//! Certificates that are made when a test needs them, and a server that shows them.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
};
use std::{
    ops::RangeInclusive,
    sync::{Arc, OnceLock},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// Years in which a certificate is valid.
pub(crate) const NOW: RangeInclusive<i32> = 2020..=2090;

/// Somebody who issues certificates.
pub(crate) struct Authority {
    name: String,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// The one that the tests' runtime trusts beside the well-known ones.
pub(crate) fn operators() -> &'static Authority {
    static OPERATORS: OnceLock<Authority> = OnceLock::new();
    OPERATORS.get_or_init(|| Authority::new("the operator's"))
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { name: name.to_owned(), issuer }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// How a server with a certificate for this name does TLS.
    pub(crate) fn server(&self, name: &str, years: RangeInclusive<i32>) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(*years.start(), 1, 1);
        params.not_after = date_time_ymd(*years.end(), 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        config(None, certificate.der().clone(), &key)
    }

    /// How a server that shows the authority's own certificate does TLS.
    pub(crate) fn server_with_own_certificate(&self) -> ServerConfig {
        config(None, self.issuer.der().clone(), self.issuer.key())
    }

    /// A certificate for a client, and its key, in PEM.
    pub(crate) fn client(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(["a client".to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// How a server that wants a client certificate of this authority does TLS.
    pub(crate) fn server_for_known_clients(&self, name: &str) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        config(Some(self.issuer.der().clone()), certificate.der().clone(), &key)
    }
}

fn config(clients: Option<CertificateDer<'static>>, shown: CertificateDer<'static>, key: &KeyPair) -> ServerConfig {
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(ring.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), ring).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    builder.with_single_cert(vec![shown], key).unwrap()
}

/// A server over TLS, and what it saw.
pub(crate) struct TlsServer {
    pub(crate) port: u16,
    seen: mpsc::UnboundedReceiver<Seen>,
}

/// What came over one connection with TLS, at a time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A handshake that went well, and its ALPN protocol.
    Handshake(Option<String>),
    /// What was read in the clear.
    Clear(String),
    /// What was read over TLS.
    Read(String),
}

impl TlsServer {
    /// Gives this answer to whatever it reads.
    pub(crate) async fn answering(config: ServerConfig, answer: Vec<u8>) -> Self {
        Self::start(config, None, answer).await
    }

    /// Begins TLS once it was asked in the clear and has answered `greeting`.
    pub(crate) async fn upgrading(config: ServerConfig, greeting: &'static [u8], answer: Vec<u8>) -> Self {
        Self::start(config, Some(greeting), answer).await
    }

    async fn start(config: ServerConfig, greeting: Option<&'static [u8]>, answer: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, seen) = mpsc::unbounded_channel();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let answer: Arc<[u8]> = answer.into();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tell, acceptor, answer) = (tell.clone(), acceptor.clone(), answer.clone());
                tokio::spawn(async move {
                    let stream = greet(stream, greeting, &tell).await;
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, &answer, &tell).await;
                    }
                });
            }
        });
        Self { port, seen }
    }

    /// Everything that was seen so far.
    pub(crate) fn seen(&mut self) -> Vec<Seen> {
        std::iter::from_fn(|| self.seen.try_recv().ok()).collect()
    }
}

async fn greet(
    mut stream: TcpStream,
    greeting: Option<&'static [u8]>,
    tell: &mpsc::UnboundedSender<Seen>,
) -> TcpStream {
    if let Some(greeting) = greeting {
        let asked = read(&mut stream).await.unwrap_or_default();
        let _ = tell.send(Seen::Clear(asked));
        stream.write_all(greeting).await.unwrap();
    }
    stream
}

async fn serve(mut stream: TlsStream<TcpStream>, answer: &[u8], tell: &mpsc::UnboundedSender<Seen>) {
    let alpn = stream.get_ref().1.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
    let _ = tell.send(Seen::Handshake(alpn));
    while let Some(text) = read(&mut stream).await {
        let _ = tell.send(Seen::Read(text));
        if stream.write_all(answer).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut buffer = vec![0; 64 << 10];
    match stream.read(&mut buffer).await {
        Ok(0) | Err(_) => None,
        Ok(read) => Some(String::from_utf8_lossy(&buffer[..read]).into_owned()),
    }
}
