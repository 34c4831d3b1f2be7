//! A connection that is authenticated: sends a command and waits for its reply.

use action_protocol::net::{Deadline, Dialer, Stream, Wire};
use action_protocol::tls::Tls;
use action_protocol::{Effect, Failure, OutboundError};

use crate::config::{Config, Security};
use crate::failure;
use crate::resp::{self, REPLIES_BYTES_MAX, Reply};

/// The user who is meant where none is named.
const DEFAULT_USER: &str = "default";

/// A connection to a server who knows us.
#[derive(Debug)]
pub struct Session<W> {
    stream: Stream<W>,
    /// What replies may still take, in bytes.
    budget: usize,
    /// What the server said of itself.
    pub server: Reply,
}

impl<W: Wire> Session<W> {
    /// Connects, says who asks, and chooses the database. Nothing is changed by that, so a repeat does no
    /// harm, whatever the commands are.
    pub fn open<D: Dialer<Wire = W>>(config: &Config, dialer: &D, deadline: Deadline) -> Result<Self, Failure> {
        let tls = (config.security == Security::Tls).then(|| Tls::options_of(config.tls.as_ref()));
        let lost = |error: OutboundError| failure::of_connection(&error, config, Effect::Read);
        // Before anything is sent: a secret that may not be seen is no reason to connect.
        let password = config.password.as_ref().map(|password| password.value("/password")).transpose()?;
        let stream = Stream::open(dialer, &config.address, tls.as_ref(), deadline).map_err(lost)?;
        let mut session = Self { stream, budget: REPLIES_BYTES_MAX, server: Reply::Null };
        session.greet(config, password).map_err(|why| match why {
            Greeting::Lost(error) => lost(error),
            Greeting::Refused(error) => failure::of_error(&error, true),
        })?;
        if config.database != 0 {
            let select = [b"SELECT".to_vec(), config.database.to_string().into_bytes()];
            if let Reply::Error(error) = session.ask(&select).map_err(lost)? {
                return Err(failure::of_database(&error, config.database));
            }
        }
        Ok(session)
    }

    fn greet(&mut self, config: &Config, password: Option<Vec<u8>>) -> Result<(), Greeting> {
        let mut hello = vec![b"HELLO".to_vec(), b"3".to_vec()];
        if let Some(password) = &password {
            let user = config.username.as_deref().unwrap_or(DEFAULT_USER);
            hello.extend([b"AUTH".to_vec(), user.as_bytes().to_vec(), password.clone()]);
        }
        match self.ask(&hello)? {
            Reply::Error(error) if !failure::is_unknown_command(&error) => return Err(Greeting::Refused(error)),
            Reply::Error(_) => {}
            server => {
                self.server = server;
                return Ok(());
            }
        }
        // A server before Redis 6, or one that is not Redis: it speaks RESP2.
        if let Some(password) = password {
            let user = config.username.as_ref().map(|user| user.as_bytes().to_vec());
            let auth: Vec<Vec<u8>> = [Some(b"AUTH".to_vec()), user, Some(password)].into_iter().flatten().collect();
            if let Reply::Error(error) = self.ask(&auth)? {
                return Err(Greeting::Refused(error));
            }
        }
        Ok(())
    }

    /// Sends a command and waits for its reply.
    pub fn ask(&mut self, command: &[Vec<u8>]) -> Result<Reply, OutboundError> {
        self.send(&resp::write(command))?;
        self.reply()
    }

    /// Sends commands as they are written.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), OutboundError> {
        self.stream.write(bytes)
    }

    /// Waits for the next reply.
    pub fn reply(&mut self) -> Result<Reply, OutboundError> {
        resp::read(&mut self.stream, &mut self.budget)
    }
}

enum Greeting {
    Lost(OutboundError),
    Refused(String),
}

impl From<OutboundError> for Greeting {
    fn from(error: OutboundError) -> Self {
        Self::Lost(error)
    }
}
