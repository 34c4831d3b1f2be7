//! A connection to a broker who knows us: packets in and out, within their times.

use std::time::{Duration, Instant};

use action_protocol::net::{Dialer, Wire};
use action_protocol::tls::Tls;
use action_protocol::{Effect, Failure, FailureKind, OutboundError};

use crate::config::{Config, Security};
use crate::packet::{self, Packet};

/// What is asked for at once.
const READ_BYTES: u32 = 64 << 10;

/// A connection.
#[derive(Debug)]
pub struct Session<W> {
    wire: W,
    buffer: Vec<u8>,
    /// When something was sent last.
    spoke_at: Instant,
    keep_alive: Duration,
    timeout_ms: u32,
    /// Whether the broker knew the session.
    pub known: bool,
}

impl<W: Wire> Session<W> {
    /// Connects and says who asks. `client_id`: under this name the broker keeps the session, unless it is `clean`.
    pub fn open<D: Dialer<Wire = W>>(
        config: &Config,
        dialer: &D,
        client_id: &str,
        clean: bool,
    ) -> Result<Self, Failure> {
        // Before anything is sent: a secret that may not be seen is no reason to connect.
        let password = config.password.as_ref().map(|password| password.value("/password")).transpose()?;
        let tls = (config.security == Security::Tls).then(|| Tls::options_of(config.tls.as_ref()));
        let wire = dialer.dial(&config.address, tls.as_ref()).map_err(|error| lost(&error, config))?;
        let mut session = Self {
            wire,
            buffer: Vec::new(),
            spoke_at: Instant::now(),
            keep_alive: Duration::from_secs(config.keep_alive_s.into()),
            timeout_ms: config.timeout_ms,
            known: false,
        };
        let credentials = config.username.as_deref().map(|username| (username, password.as_deref()));
        let hello = packet::connect(client_id, credentials, clean, config.keep_alive_s);
        session.send(&hello).map_err(|error| lost(&error, config))?;
        match session.answer().map_err(|error| error.into_failure(config))? {
            Packet::ConnAck { code: 0, known } => {
                session.known = known;
                Ok(session)
            }
            Packet::ConnAck { code, .. } => Err(refused(code, config)),
            _ => Err(Failure::bad_response("the broker answers CONNECT with something else than CONNACK")),
        }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), OutboundError> {
        self.wire.set_timeout_ms(self.timeout_ms);
        self.wire.write(bytes)?;
        self.spoke_at = Instant::now();
        Ok(())
    }

    /// The next packet, which has to come in the config's time.
    pub fn answer(&mut self) -> Result<Packet, Broken> {
        let wait = Duration::from_millis(self.timeout_ms.into());
        self.next(wait)?.ok_or(Broken::Lost(OutboundError::TimedOut))
    }

    /// A packet that has come already, if there is one.
    pub fn ready(&mut self) -> Result<Option<Packet>, Broken> {
        let read = packet::read(&self.buffer).map_err(Broken::NotMqtt)?;
        Ok(read.map(|(packet, bytes)| {
            self.buffer.drain(..bytes);
            packet
        }))
    }

    /// The next packet, if one comes within this time. The broker hears of us meanwhile.
    pub fn next(&mut self, wait: Duration) -> Result<Option<Packet>, Broken> {
        let until = Instant::now() + wait;
        loop {
            if let Some(packet) = self.ready()? {
                return Ok(Some(packet));
            }
            // Half of the time is enough for a broker that is slow to hear.
            let silent = self.spoke_at.elapsed();
            if silent >= self.keep_alive / 2 {
                self.send(&packet::PING)?;
                continue;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let quiet = left.min((self.keep_alive / 2).saturating_sub(silent));
            self.wire.set_timeout_ms(u32::try_from(quiet.as_millis()).unwrap_or(u32::MAX).max(1));
            match self.wire.read(READ_BYTES) {
                Ok(bytes) if bytes.is_empty() => return Err(Broken::Lost(OutboundError::Closed)),
                Ok(bytes) => self.buffer.extend(bytes),
                Err(OutboundError::TimedOut) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// How a session ends.
#[derive(Debug)]
pub enum Broken {
    /// The connection is gone.
    Lost(OutboundError),
    /// What came makes no sense.
    NotMqtt(Failure),
}

impl From<OutboundError> for Broken {
    fn from(error: OutboundError) -> Self {
        Self::Lost(error)
    }
}

impl Broken {
    /// Where nothing was sent that acts.
    pub fn into_failure(self, config: &Config) -> Failure {
        match self {
            Self::Lost(error) => lost(&error, config),
            Self::NotMqtt(failure) => failure,
        }
    }
}

/// The connection is gone, and nothing was sent that acts.
pub fn lost(error: &OutboundError, config: &Config) -> Failure {
    let mut failure = Failure::from_outbound(error, Effect::Read);
    failure.message = format!("{}: {}", config.address, failure.message);
    if matches!(error, OutboundError::Closed) && config.security == Security::None {
        failure.message = format!("{}; does the broker want TLS?", failure.message);
    }
    failure
}

/// Why a broker does not accept the connection (3.1.1, 3.2.2.3).
fn refused(code: u8, config: &Config) -> Failure {
    let (kind, why) = match code {
        1 => (FailureKind::BadResponse, "the broker does not speak MQTT 3.1.1"),
        2 => (FailureKind::InvalidConfig, "the broker does not take the client_id"),
        3 => (FailureKind::Unavailable, "the broker is not available"),
        4 => (FailureKind::Unauthenticated, "the broker does not know the user or the password"),
        5 => (FailureKind::Unauthenticated, "the broker does not let this client in"),
        _ => (FailureKind::BadResponse, "the broker refuses for a reason that MQTT 3.1.1 does not know"),
    };
    Failure::new(kind, format!("{}: {why}", config.address)).details(&serde_json::json!({ "connack": code }))
}
