//! Why TLS failed, in words for whoever has to mend it.

use action_domain::time::Timestamp;
use rustls::{AlertDescription, CertificateError, Error, pki_types::UnixTime};
use std::{fmt, io};

/// What failed, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsFailure {
    pub(crate) kind: TlsFailureKind,
    pub(crate) what: String,
    pub(crate) hint: &'static str,
}

/// Which part of TLS it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TlsFailureKind {
    /// The other end's certificate was not accepted.
    Certificate,
    /// The other end refused, with this alert of RFC 8446.
    Alert(u8),
    /// The connection ended in the middle of the handshake, and TLS has nothing to say about it.
    Cut,
    /// Anything else.
    Other,
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.hint)
    }
}

const NOT_TLS: &str = "is it the right port, and does it speak TLS from the first byte?";
const GIVE_ROOT: &str = "give the authority's root certificate (PEM) as extra-roots where the protocol takes it";
const ASK_OWNER: &str = "whoever runs the remote has to give it another certificate";
const RENEW: &str = "whoever runs the remote has to renew it, or the clock here is wrong";
const WAIT: &str = "wait until then, or correct the clock here";

impl TlsFailure {
    fn new(kind: TlsFailureKind, what: impl Into<String>, hint: &'static str) -> Self {
        Self { kind, what: what.into(), hint }
    }

    /// What the component gave cannot be used.
    pub(crate) fn of_options(what: impl Into<String>) -> Self {
        Self::new(TlsFailureKind::Other, what, "correct the options")
    }

    /// A handshake that ended with this.
    pub(crate) fn of_handshake(error: &io::Error) -> Self {
        if let Some(failure) = Self::within(error) {
            return failure;
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                Self::new(TlsFailureKind::Cut, "the remote closed the connection during the handshake", NOT_TLS)
            }
            _ => Self::new(TlsFailureKind::Cut, super::gate::plain(error), NOT_TLS),
        }
    }

    /// What TLS said, where an error of a connection came from there.
    pub(crate) fn within(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            let inner = inner.and_then(|inner| inner.downcast_ref::<Error>());
            if let Some(error) = inner.or_else(|| error.downcast_ref::<Error>()) {
                return Some(Self::of(error));
            }
            next = error.source();
        }
        None
    }

    fn of(error: &Error) -> Self {
        match error {
            Error::InvalidCertificate(error) => of_certificate(error),
            Error::AlertReceived(alert) => of_alert(*alert),
            Error::InvalidMessage(_) => Self::new(TlsFailureKind::Other, "the remote's answer is not TLS", NOT_TLS),
            Error::PeerIncompatible(_) => {
                let hint = "the remote has to offer TLS 1.2 or 1.3 with a cipher of this decade";
                Self::new(TlsFailureKind::Other, error.to_string(), hint)
            }
            error => Self::new(TlsFailureKind::Other, error.to_string(), "the remote breaks the rules of TLS"),
        }
    }
}

fn of_certificate(error: &CertificateError) -> TlsFailure {
    let (what, hint) = match error {
        CertificateError::UnknownIssuer => ("the certificate's authority is not known".to_owned(), GIVE_ROOT),
        // An authority that was set up anew commonly keeps its name.
        CertificateError::BadSignature => {
            ("the certificate's authority has the name of one that is known, and another key".to_owned(), GIVE_ROOT)
        }
        CertificateError::ExpiredContext { not_after, .. } => {
            (format!("the certificate expired at {}", time(*not_after)), RENEW)
        }
        CertificateError::Expired => ("the certificate expired".to_owned(), RENEW),
        CertificateError::NotValidYetContext { not_before, .. } => {
            (format!("the certificate is valid only from {}", time(*not_before)), WAIT)
        }
        CertificateError::NotValidYet => ("the certificate is not valid yet".to_owned(), WAIT),
        CertificateError::NotValidForNameContext { expected, presented } => (
            format!("the certificate is for {}, not for {}", names(presented), expected.to_str()),
            "connect by a name of the certificate, or give that name as server-name",
        ),
        CertificateError::NotValidForName => (
            "the certificate is for another name".to_owned(),
            "connect by a name of the certificate, or give that name as server-name",
        ),
        CertificateError::Other(error) => (
            format!("the certificate is not accepted: {}", error.0),
            "the remote's own certificate must not be an authority's (CA:TRUE)",
        ),
        error => (format!("the certificate is not accepted: {error}"), ASK_OWNER),
    };
    TlsFailure::new(TlsFailureKind::Certificate, what, hint)
}

fn of_alert(alert: AlertDescription) -> TlsFailure {
    let hint = match alert {
        AlertDescription::CertificateRequired
        | AlertDescription::BadCertificate
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => "does the remote want a client certificate? This release has none to give",
        AlertDescription::NoApplicationProtocol => "the remote speaks none of the ALPN protocols that were offered",
        AlertDescription::UnrecognisedName => "the remote does not know the server-name",
        _ => "the remote's own log has more",
    };
    TlsFailure::new(TlsFailureKind::Alert(alert.into()), format!("the remote refused: {alert:?}"), hint)
}

fn names(presented: &[String]) -> String {
    const TOLD: usize = 5;
    // rustls gives each as `DnsName("a")`, for people who read Rust.
    let plain = |name: &String| match (name.find('"'), name.rfind('"')) {
        (Some(first), Some(last)) if first < last => name[first + 1..last].to_owned(),
        _ => name.clone(),
    };
    match presented {
        [] => "no name".to_owned(),
        presented => presented.iter().take(TOLD).map(plain).collect::<Vec<_>>().join(", "),
    }
}

fn time(time: UnixTime) -> Timestamp {
    Timestamp::from_micros(i64::try_from(time.as_secs().saturating_mul(1_000_000)).unwrap_or(i64::MAX))
}
