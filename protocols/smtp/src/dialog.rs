//! Commands and replies (RFC 5321): greeting, TLS, who asks.

use action_protocol::net::{Deadline, Dialer, Stream, Wire};
use action_protocol::tls::Tls;
use action_protocol::{Effect, Failure, OutboundError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::config::{Config, Security};

/// Longer than servers write, who are told to keep to 512.
const LINE_BYTES_MAX: usize = 4_096;
/// More than any server can do.
const LINES_MAX: usize = 128;

/// A reply: its code and its lines.
#[derive(Debug)]
pub struct Reply {
    /// Three digits.
    pub code: u16,
    /// What stands behind them.
    pub lines: Vec<String>,
}

impl Reply {
    /// As people see it.
    pub fn text(&self) -> String {
        format!("{} {}", self.code, self.lines.join(" / "))
    }

    /// The failure that a refusal is. Nothing was sent on the server's side before a mail was taken, so that
    /// what can pass by itself is tried again.
    pub fn refusal(&self, what: &str) -> Failure {
        let message = format!("{what}: {}", self.text());
        let failure = match self.code {
            530 | 534 | 535 | 538 => Failure::unauthenticated(message),
            // RFC 4954: a password that is right may be refused for now.
            400..=499 => Failure::unavailable(message),
            500..=599 => Failure::rejected(message),
            _ => Failure::bad_response(message),
        };
        failure.details(&json!({ "code": self.code, "reply": self.lines }))
    }
}

/// A connection to a server who knows us.
#[derive(Debug)]
pub struct Dialog<W> {
    stream: Stream<W>,
    address: String,
    /// What the server said first.
    pub greeting: String,
    /// What it can do, in upper case.
    pub extensions: Vec<String>,
    /// How the password was shown.
    pub method: Option<&'static str>,
}

impl<W: Wire> Dialog<W> {
    /// Connects, does TLS and says who asks.
    pub fn open<D: Dialer<Wire = W>>(config: &Config, dialer: &D, deadline: Deadline) -> Result<Self, Failure> {
        // Before anything is sent: a secret that may not be seen is no reason to connect.
        let password = config.password.as_ref().map(|password| password.value("/password")).transpose()?;
        let address = config.address.to_string();
        let options = Tls::options_of(config.tls.as_ref());
        let tls = (config.security == Security::Tls).then_some(&options);
        let stream = Stream::open(dialer, &config.address, tls, deadline).map_err(|error| lost(&address, &error))?;
        let mut dialog = Self { stream, address, greeting: String::new(), extensions: Vec::new(), method: None };
        let greeting = dialog.reply()?;
        if greeting.code != 220 {
            return Err(greeting.refusal("greeting"));
        }
        dialog.greeting = greeting.lines.into_iter().next().unwrap_or_default();
        dialog.hello(config)?;
        if config.security == Security::Starttls {
            if !dialog.offers("STARTTLS") {
                let message = format!("config /security: the server at {} does not offer STARTTLS", dialog.address);
                return Err(Failure::invalid_config(message));
            }
            dialog.must("STARTTLS", 220)?;
            dialog.stream.start_tls(&options).map_err(|error| lost(&dialog.address, &error))?;
            // What it said before could have been said by anybody.
            dialog.hello(config)?;
        }
        if let (Some(user), Some(password)) = (&config.username, password) {
            dialog.authenticate(user, &password)?;
        }
        Ok(dialog)
    }

    fn hello(&mut self, config: &Config) -> Result<(), Failure> {
        let reply = self.must(&format!("EHLO {}", config.hello), 250)?;
        self.extensions = reply.lines.iter().skip(1).map(|line| line.to_ascii_uppercase()).collect();
        Ok(())
    }

    fn authenticate(&mut self, user: &str, password: &[u8]) -> Result<(), Failure> {
        let offered = self.parameters("AUTH").unwrap_or_default();
        let offers = |name: &str| offered.split([' ', '=']).any(|offered| offered == name);
        if offers("PLAIN") {
            self.method = Some("PLAIN");
            let said = STANDARD.encode([b"\0", user.as_bytes(), b"\0", password].concat());
            let reply = self.ask(&format!("AUTH PLAIN {said}"))?;
            return if reply.code == 235 { Ok(()) } else { Err(reply.refusal("AUTH PLAIN")) };
        }
        if offers("LOGIN") {
            self.method = Some("LOGIN");
            let mut reply = self.ask("AUTH LOGIN")?;
            for part in [user.as_bytes(), password] {
                if reply.code != 334 {
                    break;
                }
                reply = self.ask(&STANDARD.encode(part))?;
            }
            return if reply.code == 235 { Ok(()) } else { Err(reply.refusal("AUTH LOGIN")) };
        }
        let message = if offered.is_empty() {
            "the server does not offer to know who sends; some do so only with TLS".to_owned()
        } else {
            format!("the server wants a way to authenticate that is not known here: {offered}")
        };
        Err(Failure::unauthenticated(message))
    }

    /// Whether the server can do something.
    pub fn offers(&self, extension: &str) -> bool {
        self.parameters(extension).is_some()
    }

    /// What stands behind an extension's name.
    pub fn parameters(&self, extension: &str) -> Option<String> {
        self.extensions.iter().find_map(|line| {
            let rest = line.strip_prefix(extension)?;
            (rest.is_empty() || rest.starts_with([' ', '='])).then(|| rest.trim_start_matches([' ', '=']).to_owned())
        })
    }

    /// Says something and waits for the reply.
    pub fn ask(&mut self, command: &str) -> Result<Reply, Failure> {
        self.write(format!("{command}\r\n").as_bytes())?;
        self.reply()
    }

    /// The same where only one code goes on.
    pub fn must(&mut self, command: &str, code: u16) -> Result<Reply, Failure> {
        let reply = self.ask(command)?;
        let what = command.split(' ').next().unwrap_or_default();
        if reply.code == code { Ok(reply) } else { Err(reply.refusal(what)) }
    }

    /// Hands bytes over.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.stream.write(bytes).map_err(|error| lost(&self.address, &error))
    }

    /// The next reply, where a repeat does no harm.
    pub fn reply(&mut self) -> Result<Reply, Failure> {
        read(&mut self.stream).map_err(|error| lost(&self.address, &error))
    }

    /// Says that the mail is complete. From here to the reply nobody knows whether the server took it.
    pub fn end_of_mail(&mut self) -> Result<Reply, Failure> {
        let ended = self.stream.write(b".\r\n").and_then(|()| read(&mut self.stream));
        ended.map_err(|error| {
            let mut failure = Failure::from_outbound(&error, Effect::Unsafe);
            failure.message = format!("{}: after the mail was sent: {}", self.address, failure.message);
            failure
        })
    }

    /// Says goodbye. Whether it is heard does not matter.
    pub fn close(mut self) {
        let _ = self.stream.write(b"QUIT\r\n");
    }
}

fn lost(address: &str, error: &OutboundError) -> Failure {
    let mut failure = Failure::from_outbound(error, Effect::Read);
    failure.message = format!("{address}: {}", failure.message);
    failure
}

fn read<W: Wire>(stream: &mut Stream<W>) -> Result<Reply, OutboundError> {
    let nonsense = |why: &str| OutboundError::BadResponse(why.to_owned());
    let mut lines = Vec::new();
    let mut first = None;
    loop {
        let line = stream.line(LINE_BYTES_MAX)?;
        let text = String::from_utf8_lossy(&line).into_owned();
        let code = text.get(..3).and_then(|code| code.parse::<u16>().ok()).filter(|code| (200..600).contains(code));
        let code = code.ok_or_else(|| nonsense("this is not the language of SMTP"))?;
        if *first.get_or_insert(code) != code {
            return Err(nonsense("a reply has two codes"));
        }
        let more = match text.as_bytes().get(3) {
            None | Some(b' ') => false,
            Some(b'-') => true,
            Some(_) => return Err(nonsense("this is not the language of SMTP")),
        };
        lines.push(text.get(4..).unwrap_or_default().to_owned());
        if !more {
            return Ok(Reply { code, lines });
        }
        if lines.len() >= LINES_MAX {
            return Err(nonsense("a reply has no end"));
        }
    }
}
