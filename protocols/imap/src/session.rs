//! Commands and their responses: greeting, TLS, who asks.

use std::time::{Duration, Instant};

use action_protocol::net::{Deadline, Dialer, Stream, Wire};
use action_protocol::tls::Tls;
use action_protocol::{Effect, Failure, FailureKind, OutboundError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::command::Piece;
use crate::config::{Config, Security};
use crate::pace::{Pace, Paced, PacedDialer};
use crate::response::{self, Response, Said, Status};

/// More than any command here leads to: what a server tells by the way is little.
const RESPONSES_MAX: usize = 10_000;
/// What is taken of strings that were not asked for.
const STRAY_BYTES_MAX: usize = 64 << 10;

/// A connection to a server who knows us.
#[derive(Debug)]
pub struct Session<W> {
    stream: Stream<Paced<W>>,
    pace: Pace,
    timeout: Duration,
    commands: u32,
    address: String,
    /// What the server said first.
    pub greeting: String,
    /// What it can do, in upper case.
    pub capabilities: Vec<String>,
    /// How the password was shown.
    pub method: Option<&'static str>,
    /// How many mails there are in the mailbox, as far as the server told.
    pub exists: u32,
}

impl<W: Wire> Session<W> {
    /// Connects, does TLS and says who asks.
    pub fn open<D: Dialer<Wire = W>>(config: &Config, dialer: &D, deadline: Deadline) -> Result<Self, Failure> {
        // Before anything is sent: a secret that may not be seen is no reason to connect.
        let password = config.password.value("/password")?;
        if password.contains(&0) {
            return Err(Failure::invalid_config("config /password: IMAP has no password with a NUL in it"));
        }
        let address = config.address.to_string();
        let timeout = Duration::from_millis(config.timeout_ms.into());
        let pace = Pace::new(timeout);
        let options = Tls::options_of(config.tls.as_ref());
        let tls = (config.security == Security::Tls).then_some(&options);
        let paced = PacedDialer { dialer, pace: pace.clone() };
        let stream =
            Stream::open(&paced, &config.address, tls, deadline).map_err(|error| lost(&address, config, &error))?;
        let mut session = Self {
            stream,
            pace,
            timeout,
            commands: 0,
            address,
            greeting: String::new(),
            capabilities: Vec::new(),
            method: None,
            exists: 0,
        };
        let is_known = session.greet(config)?;
        if config.security == Security::Starttls {
            session.start_tls(config, is_known)?;
        }
        if !is_known {
            session.authenticate(&config.username, &password)?;
        }
        // It can do other things for those it knows.
        session.ask_capabilities()?;
        Ok(session)
    }

    /// Hears the greeting. Whether the server knows already who asks.
    fn greet(&mut self, config: &Config) -> Result<bool, Failure> {
        self.pace.set(self.timeout);
        let (status, said) = match self.read(STRAY_BYTES_MAX) {
            Ok(Response::Told(status, said)) => (status, said),
            Ok(_) => return Err(self.nonsense("it does not greet")),
            Err(error) => return Err(lost(&self.address, config, &error)),
        };
        self.greeting.clone_from(&said.text);
        match status {
            Status::Ok => Ok(false),
            Status::PreAuth => Ok(true),
            _ => Err(Failure::unavailable(format!("{}: it does not serve now: {}", self.address, said.text))),
        }
    }

    fn start_tls(&mut self, config: &Config, is_known: bool) -> Result<(), Failure> {
        self.ask_capabilities()?;
        // A server that knows us in the clear may be anybody's, who wants that nothing is hidden.
        if is_known || !self.can("STARTTLS") {
            let message = format!("config /security: the server at {} does not offer STARTTLS", self.address);
            return Err(Failure::invalid_config(message));
        }
        self.run(&[Piece::word("STARTTLS")], "STARTTLS", STRAY_BYTES_MAX, |_| Ok(()))?;
        self.pace.set(self.timeout);
        let options = Tls::options_of(config.tls.as_ref());
        self.stream.start_tls(&options).map_err(|error| self.lost(&error))?;
        // What it said before could have been said by anybody.
        self.capabilities.clear();
        Ok(())
    }

    fn authenticate(&mut self, user: &str, password: &[u8]) -> Result<(), Failure> {
        self.ask_capabilities()?;
        if self.can("AUTH=PLAIN") {
            self.method = Some("PLAIN");
            let shown = STANDARD.encode([b"\0", user.as_bytes(), b"\0", password].concat());
            return self.authenticate_plain(&shown);
        }
        if self.can("LOGINDISABLED") {
            let offered: Vec<&str> = self.capabilities.iter().filter_map(|word| word.strip_prefix("AUTH=")).collect();
            let message = match offered.as_slice() {
                [] => "the server does not let anybody in like this; some do so only with TLS".to_owned(),
                offered => format!("the server wants a way to log in that is not known here: {}", offered.join(", ")),
            };
            return Err(Failure::unauthenticated(format!("{}: {message}", self.address)));
        }
        self.method = Some("LOGIN");
        let pieces = [Piece::word("LOGIN"), Piece::text(user), Piece::text(password)];
        self.run(&pieces, "LOGIN", STRAY_BYTES_MAX, |_| Ok(())).map(drop)
    }

    fn authenticate_plain(&mut self, shown: &str) -> Result<(), Failure> {
        let tag = self.begin();
        // In one line where the server takes that (RFC 4959), else when it asks.
        let initial = if self.can("SASL-IR") { format!(" {shown}") } else { String::new() };
        let mut told = !initial.is_empty();
        self.write(format!("{tag} AUTHENTICATE PLAIN{initial}\r\n").as_bytes())?;
        for _ in 0..RESPONSES_MAX {
            match self.read(STRAY_BYTES_MAX).map_err(|error| self.lost(&error))? {
                Response::GoOn(_) if !told => {
                    told = true;
                    self.write(format!("{shown}\r\n").as_bytes())?;
                }
                Response::GoOn(_) => return Err(self.nonsense("it asks again for what it was told")),
                Response::Done { tag: of, status, said } if of == tag => {
                    return self.judge("AUTHENTICATE", status, said).map(drop);
                }
                response => self.note(&response)?,
            }
        }
        Err(self.nonsense("it talks without end"))
    }

    fn ask_capabilities(&mut self) -> Result<(), Failure> {
        self.run(&[Piece::word("CAPABILITY")], "CAPABILITY", STRAY_BYTES_MAX, |_| Ok(())).map(drop)
    }

    /// Whether the server can do something.
    pub fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|word| word == capability)
    }

    /// Says a command and hears everything up to its end. `name` is for people; strings in the responses have this
    /// many bytes in all, each.
    pub fn run(
        &mut self,
        pieces: &[Piece],
        name: &str,
        literal_bytes_max: usize,
        mut hear: impl FnMut(Response) -> Result<(), Failure>,
    ) -> Result<Said, Failure> {
        let tag = self.begin();
        let mut line = tag.clone();
        for piece in pieces {
            line.push(' ');
            match piece {
                Piece::Word(word) => line.push_str(word),
                Piece::Text(bytes) => {
                    if let Some(quoted) = Piece::quoted(bytes) {
                        line.push_str(&quoted);
                        continue;
                    }
                    self.write(format!("{line}{{{}}}\r\n", bytes.len()).as_bytes())?;
                    self.go_on(&tag, name)?;
                    self.write(bytes)?;
                    line.clear();
                }
            }
        }
        line.push_str("\r\n");
        self.write(line.as_bytes())?;
        for _ in 0..RESPONSES_MAX {
            match self.read(literal_bytes_max).map_err(|error| self.lost(&error))? {
                Response::Done { tag: of, status, said } if of == tag => return self.judge(name, status, said),
                Response::Done { .. } | Response::GoOn(_) => return Err(self.nonsense("it answers what was not asked")),
                response => {
                    self.note(&response)?;
                    hear(response)?;
                }
            }
        }
        Err(self.nonsense("it talks without end"))
    }

    /// Waits until the server takes more of a command.
    fn go_on(&mut self, tag: &str, name: &str) -> Result<(), Failure> {
        for _ in 0..RESPONSES_MAX {
            match self.read(STRAY_BYTES_MAX).map_err(|error| self.lost(&error))? {
                Response::GoOn(_) => return Ok(()),
                Response::Done { tag: of, status, said } if of == tag => {
                    self.judge(name, status, said)?;
                    return Err(self.nonsense("it ends what was not said"));
                }
                response => self.note(&response)?,
            }
        }
        Err(self.nonsense("it talks without end"))
    }

    /// Waits this long for something new in the mailbox: told by the server where it can (RFC 2177), else asked for
    /// behind that time.
    pub fn idle(&mut self, wait: Duration) -> Result<(), Failure> {
        let idles = self.can("IDLE");
        let tag = self.begin();
        if idles {
            self.write(format!("{tag} IDLE\r\n").as_bytes())?;
            self.go_on(&tag, "IDLE")?;
        }
        let until = Instant::now() + wait;
        loop {
            self.pace.set(until.saturating_duration_since(Instant::now()));
            let line = match response::line(&mut self.stream) {
                Ok(line) => line,
                // Nothing of a response is lost with that.
                Err(OutboundError::TimedOut) => break,
                Err(error) => return Err(self.lost(&error)),
            };
            self.pace.set(self.timeout);
            match self.response(line, STRAY_BYTES_MAX).map_err(|error| self.lost(&error))? {
                Response::Done { tag: of, status, said } if of == tag => {
                    return self.judge("IDLE", status, said).map(drop);
                }
                response => {
                    self.note(&response)?;
                    if matches!(response, Response::Exists(_)) {
                        break;
                    }
                }
            }
        }
        self.pace.set(self.timeout);
        if idles {
            self.write(b"DONE\r\n")?;
            self.end(&tag, "IDLE")
        } else {
            self.run(&[Piece::word("NOOP")], "NOOP", STRAY_BYTES_MAX, |_| Ok(())).map(drop)
        }
    }

    /// Hears everything up to a command's end.
    fn end(&mut self, tag: &str, name: &str) -> Result<(), Failure> {
        for _ in 0..RESPONSES_MAX {
            match self.read(STRAY_BYTES_MAX).map_err(|error| self.lost(&error))? {
                Response::Done { tag: of, status, said } if of == tag => {
                    return self.judge(name, status, said).map(drop);
                }
                response => self.note(&response)?,
            }
        }
        Err(self.nonsense("it talks without end"))
    }

    /// Says goodbye. Whether it is heard does not matter.
    pub fn close(mut self) {
        let tag = self.begin();
        let _ = self.write(format!("{tag} LOGOUT\r\n").as_bytes());
    }

    /// What a server tells by the way.
    fn note(&mut self, response: &Response) -> Result<(), Failure> {
        match response {
            Response::Capability(words) => self.capabilities.clone_from(words),
            Response::Exists(mails) => self.exists = *mails,
            Response::Expunge => self.exists = self.exists.saturating_sub(1),
            Response::Told(Status::Bye, said) => {
                return Err(Failure::unavailable(format!("{}: it says goodbye: {}", self.address, said.text)));
            }
            _ => {}
        }
        Ok(())
    }

    /// The tag of a new command, whose time begins.
    fn begin(&mut self) -> String {
        self.pace.set(self.timeout);
        self.commands += 1;
        format!("a{}", self.commands)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.stream.write(bytes).map_err(|error| self.lost(&error))
    }

    fn read(&mut self, literal_bytes_max: usize) -> Result<Response, OutboundError> {
        let line = response::line(&mut self.stream)?;
        self.response(line, literal_bytes_max)
    }

    fn response(&mut self, line: Vec<u8>, literal_bytes_max: usize) -> Result<Response, OutboundError> {
        let bytes = response::rest(&mut self.stream, line, literal_bytes_max)?;
        response::parse(&bytes).map_err(|why| OutboundError::BadResponse(why.to_owned()))
    }

    fn judge(&self, name: &str, status: Status, said: Said) -> Result<Said, Failure> {
        match status {
            Status::Ok => Ok(said),
            _ => Err(refused(name, status, &said, &self.address)),
        }
    }

    fn lost(&self, error: &OutboundError) -> Failure {
        in_place(&self.address, error)
    }

    /// What the server says makes no sense.
    pub fn nonsense(&self, why: &str) -> Failure {
        self.lost(&OutboundError::BadResponse(why.to_owned()))
    }
}

/// The failure that a refusal is (RFC 5530).
fn refused(name: &str, status: Status, said: &Said, address: &str) -> Failure {
    let code = said.code.as_deref().unwrap_or_default();
    let kind = match (code, name) {
        ("UNAVAILABLE" | "INUSE" | "SERVERBUG" | "LIMIT" | "THROTTLED", _) => FailureKind::Unavailable,
        ("AUTHENTICATIONFAILED" | "AUTHORIZATIONFAILED" | "EXPIRED" | "PRIVACYREQUIRED" | "CONTACTADMIN", _) => {
            FailureKind::Unauthenticated
        }
        (_, "LOGIN" | "AUTHENTICATE") if status == Status::No => FailureKind::Unauthenticated,
        _ => FailureKind::Rejected,
    };
    let word = if status == Status::Bad { "BAD" } else { "NO" };
    Failure::new(kind, format!("{address}: {name}: {word} {}", said.text))
        .details(&json!({ "command": name, "status": word, "code": said.code, "text": said.text }))
}

fn in_place(address: &str, error: &OutboundError) -> Failure {
    let mut failure = Failure::from_outbound(error, Effect::Read);
    failure.message = format!("{address}: {}", failure.message);
    failure
}

/// The connection is gone before the server said a word.
fn lost(address: &str, config: &Config, error: &OutboundError) -> Failure {
    let mut failure = in_place(address, error);
    if matches!(error, OutboundError::Closed | OutboundError::TimedOut) && config.security != Security::Tls {
        failure.message = format!("{}; does the server want TLS?", failure.message);
    }
    failure
}
