//! A connection that is authenticated: TLS, who asks, and the exchange of messages.

use action_protocol::net::{Deadline, Dialer, Stream, Wire};
use action_protocol::secrets::Secret;
use action_protocol::tls::Tls;
use action_protocol::{Effect, Failure, OutboundError};
use md5::{Digest, Md5};

use crate::config::{Config, Security};
use crate::failure::{ServerError, of_connection};
use crate::scram::{self, Scram};
use crate::values::digits;
use crate::wire::{self, ANSWER_BYTES_MAX, Builder, Message, SSL_REQUEST, TERMINATE, nonsense};

/// Why an exchange did not come to its end.
#[derive(Debug)]
pub enum Broken {
    /// The connection failed.
    Lost(OutboundError),
    /// The server refused.
    Refused(ServerError),
    /// It is a failure already.
    Failed(Failure),
}

impl From<OutboundError> for Broken {
    fn from(error: OutboundError) -> Self {
        Self::Lost(error)
    }
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Broken {
    /// The failure that it is, in an exchange with this effect.
    pub fn failure(self, config: &Config, effect: Effect, statement: Option<&str>) -> Failure {
        match self {
            Self::Lost(error) => of_connection(&error, config, effect),
            Self::Refused(error) => error.failure(statement),
            Self::Failed(failure) => failure,
        }
    }
}

/// A connection to a server who knows us.
#[derive(Debug)]
pub struct Session<W> {
    stream: Stream<W>,
    /// What the server may still say, in bytes.
    budget: usize,
    /// Its release, as it says.
    pub version: String,
    /// How the password was shown.
    pub method: &'static str,
}

impl<W: Wire> Session<W> {
    /// Connects and says who asks. Nothing is changed by that, so a repeat does no harm.
    pub fn open<D: Dialer<Wire = W>>(config: &Config, dialer: &D, deadline: Deadline) -> Result<Self, Failure> {
        let stream = Stream::open(dialer, &config.address, None, deadline)
            .map_err(|error| of_connection(&error, config, Effect::Read))?;
        let mut session = Self { stream, budget: ANSWER_BYTES_MAX, version: String::new(), method: "none" };
        session.begin(config).map_err(|broken| broken.failure(config, Effect::Read, None))?;
        Ok(session)
    }

    fn begin(&mut self, config: &Config) -> Result<(), Broken> {
        if config.security == Security::Tls {
            self.stream.write(&SSL_REQUEST)?;
            match self.stream.exact(1)?[0] {
                b'S' => self.stream.start_tls(&Tls::options_of(config.tls.as_ref()))?,
                b'N' => {
                    let message = format!("config /security: the server at {} does not do TLS", config.address);
                    return Err(Failure::invalid_config(message).into());
                }
                _ => return Err(nonsense("this is not the language of Postgres").into()),
            }
        }
        let database = config.database.as_ref().unwrap_or(&config.user);
        let named = [
            ("user", config.user.as_str()),
            ("database", database),
            ("application_name", "action-service"),
            ("client_encoding", "UTF8"),
            ("DateStyle", "ISO"),
        ];
        let startup = named.iter().fold(Builder::startup(), |message, (name, value)| message.text(name).text(value));
        self.stream.write(&startup.raw(&[0]).done())?;
        self.authenticate(config)?;
        loop {
            let mut message = self.read()?;
            match message.kind {
                b'Z' => return Ok(()),
                b'S' => {
                    if message.text()? == "server_version" {
                        self.version = message.text()?;
                    }
                }
                b'K' => {}
                _ => return Err(nonsense("the server says something else than that it is ready").into()),
            }
        }
    }

    fn authenticate(&mut self, config: &Config) -> Result<(), Broken> {
        let no_password = || Failure::unauthenticated("the server asks for a password, and the config has none");
        let password = || config.password.as_ref().ok_or_else(no_password);
        let mut scram: Option<(Scram, Vec<u8>)> = None;
        let mut proven = false;
        loop {
            let mut message = self.read()?;
            if message.kind != b'R' {
                return Err(nonsense("the server does not say how to authenticate").into());
            }
            match message.int()? {
                0 if scram.is_some() && !proven => {
                    return Err(nonsense("the server lets us in and does not prove that it knows the password").into());
                }
                0 => return Ok(()),
                3 => {
                    self.method = "password";
                    let value = text_of(password()?)?;
                    self.stream.write(&Builder::new(b'p').text(&value).done())?;
                }
                5 => {
                    self.method = "md5";
                    let inner = Md5::digest([text_of(password()?)?, config.user.clone()].concat());
                    let salted = Md5::digest([digits(&inner).as_bytes(), message.bytes(4)?].concat());
                    self.stream.write(&Builder::new(b'p').text(&format!("md5{}", digits(&salted))).done())?;
                }
                10 => {
                    let mut offered = std::iter::from_fn(|| message.text().ok().filter(|name| !name.is_empty()));
                    if !offered.any(|name| name == "SCRAM-SHA-256") {
                        return Err(
                            Failure::unauthenticated("the server wants a kind of SASL that is not known here").into()
                        );
                    }
                    password()?;
                    self.method = "scram-sha-256";
                    let begun = Scram::new();
                    let first = begun.first();
                    let initial = Builder::new(b'p').text("SCRAM-SHA-256").value(Some(first.as_bytes()));
                    self.stream.write(&initial.done())?;
                    scram = Some((begun, Vec::new()));
                }
                11 => {
                    let challenge = String::from_utf8_lossy(message.rest()).into_owned();
                    let (begun, expected) = scram.as_mut().ok_or_else(|| nonsense("SASL goes on and never began"))?;
                    let (answer, proof) = begun.answer(&challenge, password()?)?;
                    *expected = proof;
                    self.stream.write(&Builder::new(b'p').raw(answer.as_bytes()).done())?;
                }
                12 => {
                    let last = String::from_utf8_lossy(message.rest()).into_owned();
                    proven = scram
                        .as_ref()
                        .is_some_and(|(_, expected)| !expected.is_empty() && scram::proves_itself(&last, expected));
                    if !proven {
                        return Err(Failure::bad_response("the server does not know the password itself").into());
                    }
                }
                other => {
                    let message = format!("the server wants a way to authenticate that is not known here ({other})");
                    return Err(Failure::unauthenticated(message).into());
                }
            }
        }
    }

    /// Sends messages.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), OutboundError> {
        self.stream.write(bytes)
    }

    /// The next message that is about what was asked; an error of the server is one here too.
    pub fn read(&mut self) -> Result<Message, Broken> {
        loop {
            let mut message = wire::read(&mut self.stream, &mut self.budget)?;
            match message.kind {
                b'E' => return Err(Broken::Refused(ServerError::read(&mut message)?)),
                // Notices and notifications; parameters may change at any time, and do in the beginning.
                b'N' | b'A' => {}
                b'S' if !self.version.is_empty() => {}
                _ => return Ok(message),
            }
        }
    }

    /// Statements without parameters; how the transaction stands behind them (`I`, `T`, `E`), and the tag of
    /// the last.
    pub fn simple(&mut self, sql: &str) -> Result<(u8, String), Broken> {
        self.send(&Builder::new(b'Q').text(sql).done())?;
        let mut tag = String::new();
        loop {
            let mut message = self.read()?;
            match message.kind {
                b'C' => tag = message.text()?,
                b'Z' => return Ok((message.byte()?, tag)),
                _ => {}
            }
        }
    }

    /// When it has to be done.
    pub fn deadline(&self) -> Deadline {
        self.stream.deadline()
    }

    /// Says goodbye. Whether it is heard does not matter: a connection that ends says the same.
    pub fn close(mut self) {
        let _ = self.stream.write(&TERMINATE);
    }
}

/// The password itself, for the older ways, which send it or something as good.
fn text_of(password: &Secret) -> Result<String, Failure> {
    String::from_utf8(password.value("/password")?).map_err(|_| Failure::invalid_config("the password is no text"))
}
