//! `outbound.connection`: a TCP connection that a component holds.

use super::{
    gate::{Gate, Refusal, Target},
    http::establish,
    outbound::Record,
    stream::{Counted, Counters, Io},
    tls,
    tls_failure::TlsFailure,
};
use crate::{
    bindings::v0_1::julee::action::outbound::{HostConnection, OutboundError, TlsOptions},
    state::State,
};
use action_domain::{limits::CONNECT_TIMEOUT, services::NOTHING_IS_SENT};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use wasmtime::{Result, component::Resource};

/// Until the component sets another: an attempt's deadline ends it anyway.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// Most bytes that one `read` gives, whatever it asks for: TLS and TCP give less at a time.
const READ_BYTES_MAX: usize = 64 << 10;

type Answer<T> = std::result::Result<T, OutboundError>;

/// A TCP connection, with or without TLS. Closed when it is dropped, and recorded then.
#[expect(unreachable_pub, reason = "bindgen re-exports it as `pub`, within this crate")]
pub struct Connection {
    /// `None` once an error has closed it.
    io: Option<Counted>,
    gate: Arc<Gate>,
    target: Target,
    timeout: Duration,
    counters: Arc<Counters>,
    /// What went over it before TLS was put over it.
    earlier: (u64, u64),
    sending: bool,
    record: Record,
}

impl Connection {
    /// Through the gate to a host and port.
    pub(super) async fn open(
        gate: Arc<Gate>,
        host: &str,
        port: u16,
        options: Option<&TlsOptions>,
    ) -> std::result::Result<Self, Refusal> {
        let target = gate.admit(host, port).map_err(Refusal::Denied)?;
        if let Some(plan) = gate.plan() {
            plan.connection("TCP", target.authority());
            return Err(Refusal::ConnectFailed(NOTHING_IS_SENT.to_owned()));
        }
        let mut record = Record::new(gate.clone(), "TCP", target.clone(), None);
        let opened = async {
            let choice = options.map(|options| tls::Choice::with(&gate, options)).transpose()?;
            establish(&gate, &target, choice.as_ref()).await
        };
        match opened.await {
            Ok((io, _)) => {
                record.error = None;
                let counters = io.counters();
                let (timeout, earlier) = (TIMEOUT_DEFAULT, (0, 0));
                Ok(Self { io: Some(io), gate, target, timeout, counters, earlier, sending: false, record })
            }
            Err(refusal) => {
                record.refused(&refusal);
                Err(refusal)
            }
        }
    }

    async fn read(&mut self, bytes_max: u32) -> Answer<Vec<u8>> {
        let Some(io) = &mut self.io else { return Err(OutboundError::Closed) };
        if bytes_max == 0 {
            return Err(OutboundError::BadRequest("`max-bytes` is 0, and nothing read means the end".to_owned()));
        }
        let room = READ_BYTES_MAX.min(bytes_max as usize);
        let mut bytes = Vec::with_capacity(room);
        let mut limited = io.take(room as u64);
        match timeout(self.timeout, limited.read_buf(&mut bytes)).await {
            Ok(Ok(_)) => Ok(bytes),
            Ok(Err(error)) => Err(self.broken(&error)),
            Err(_) => Err(OutboundError::TimedOut),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Answer<()> {
        // What is over the connection cannot be known to be acknowledged: it is no request.
        if !self.sending && self.io.is_some() && !bytes.is_empty() {
            if let Err(withheld) = self.gate.begin_sending().await {
                self.fail(withheld.message());
                return Err(OutboundError::Closed);
            }
            self.sending = true;
        }
        let Some(mut io) = self.io.take() else { return Err(OutboundError::Closed) };
        let work = async {
            io.write_all(bytes).await?;
            io.flush().await
        };
        let outcome = timeout(self.timeout, work).await;
        match outcome {
            Ok(Ok(())) => {
                self.io = Some(io);
                Ok(())
            }
            Ok(Err(error)) => Err(self.broken(&error)),
            Err(_) => {
                self.fail("timed out while writing".to_owned());
                Err(OutboundError::TimedOut)
            }
        }
    }

    async fn start_tls(&mut self, options: &TlsOptions) -> Answer<Option<String>> {
        let plain = match self.io.take().map(Counted::into_plain) {
            Some(Ok(plain)) => plain,
            Some(Err(already)) => {
                self.io = Some(already);
                return Err(OutboundError::BadRequest("the connection has TLS already".to_owned()));
            }
            None => return Err(OutboundError::Closed),
        };
        let work = async {
            let choice = tls::Choice::with(&self.gate, options)?;
            choice.handshake(&self.gate, &self.target, plain).await
        };
        let outcome = timeout(self.timeout.min(CONNECT_TIMEOUT), work).await.unwrap_or(Err(Refusal::TimedOut));
        match outcome {
            Ok(stream) => {
                let alpn = stream.get_ref().1.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
                self.earlier = self.bytes();
                let io = Counted::new(Io::Tls(Box::new(stream)));
                self.counters = io.counters();
                self.io = Some(io);
                Ok(alpn)
            }
            Err(refusal) => {
                self.fail(refusal.message());
                Err(refusal.into())
            }
        }
    }

    fn bytes(&self) -> (u64, u64) {
        (self.earlier.0 + self.counters.sent(), self.earlier.1 + self.counters.received())
    }

    /// An error of TLS or TCP has ended it.
    fn broken(&mut self, error: &std::io::Error) -> OutboundError {
        if let Some(failure) = TlsFailure::within(error) {
            self.fail(format!("TLS failed: {failure}"));
            return OutboundError::TlsFailed(failure.to_string());
        }
        self.fail(super::gate::plain(error));
        OutboundError::Closed
    }

    fn fail(&mut self, error: String) {
        self.io = None;
        self.record.error.get_or_insert(error);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let (sent, received) = self.bytes();
        self.gate.meter.add_out(sent);
        self.gate.meter.add_in(received);
        self.record.bytes_out = sent;
        self.record.bytes_in = received;
        if self.sending && sent == 0 {
            self.gate.meter.nothing_sent();
        }
    }
}

impl HostConnection for State {
    async fn read(&mut self, connection: Resource<Connection>, bytes_max: u32) -> Result<Answer<Vec<u8>>> {
        Ok(self.table.get_mut(&connection)?.read(bytes_max).await)
    }

    async fn write(&mut self, connection: Resource<Connection>, bytes: Vec<u8>) -> Result<Answer<()>> {
        Ok(self.table.get_mut(&connection)?.write(&bytes).await)
    }

    async fn start_tls(
        &mut self,
        connection: Resource<Connection>,
        options: TlsOptions,
    ) -> Result<Answer<Option<String>>> {
        Ok(self.table.get_mut(&connection)?.start_tls(&options).await)
    }

    async fn set_timeout(&mut self, connection: Resource<Connection>, timeout_ms: u32) -> Result<()> {
        self.table.get_mut(&connection)?.timeout = Duration::from_millis(timeout_ms.into());
        Ok(())
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}
