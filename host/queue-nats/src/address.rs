//! The broker's URL: where it is and who we are, apart from each other.
//!
//! Servers are kept without credentials, so that no error and no log line of the client can have
//! them.

use crate::NatsOptions;
use async_nats::{ConnectOptions, ServerAddr};
use percent_encoding::percent_decode_str;
use std::{fmt, path::PathBuf};
use url::Url;

/// The URL of the broker cannot be used. Says why without repeating the URL, which may have a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the URL of the NATS server is invalid: {0}")]
pub struct InvalidUrl(String);

/// Where the servers are and what they want to hear from us.
#[derive(Clone)]
pub(crate) struct Address {
    pub(crate) servers: Vec<ServerAddr>,
    credentials: Option<Credentials>,
    ca: Option<PathBuf>,
}

#[derive(Clone, PartialEq, Eq)]
enum Credentials {
    User { name: String, password: String },
    Token(String),
}

impl Address {
    /// The address, and the options with what the URL says about them.
    pub(crate) fn parse(url: &str, mut options: NatsOptions) -> Result<(Self, NatsOptions), InvalidUrl> {
        let (servers, query) = url.split_once('?').unwrap_or((url, ""));
        let mut address = Self { servers: Vec::new(), credentials: None, ca: None };
        for server in servers.split(',') {
            address.add_server(server)?;
        }
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "stream" => options.stream = value.into_owned(),
                "subject" => options.subject = Some(value.into_owned()),
                "ca" => address.ca = Some(PathBuf::from(&*value)),
                name => return invalid(format!("there is no parameter {name:?}, only stream, subject and ca")),
            }
        }
        let is_name =
            |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        if !is_name(&options.stream) {
            return invalid("a stream's name is of letters, digits, - and _");
        }
        if !options.subject.iter().all(|subject| subject.split('.').all(is_name)) {
            return invalid("a subject is of letters, digits, - and _, in parts between dots");
        }
        Ok((address, options))
    }

    fn add_server(&mut self, text: &str) -> Result<(), InvalidUrl> {
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("nats://{text}") };
        let Ok(mut url) = Url::parse(&with_scheme) else {
            return invalid("it is not of the form nats://user:password@host:port");
        };
        if !["nats", "tls"].contains(&url.scheme()) {
            return invalid(format!("it begins with {}://, which is neither nats:// nor tls://", url.scheme()));
        }
        if url.host_str().unwrap_or_default().is_empty() {
            return invalid("it has no host");
        }
        if !["", "/"].contains(&url.path()) || url.fragment().is_some() {
            return invalid("nothing but parameters comes after the host");
        }
        let credentials = credentials(&url)?;
        if self.credentials.is_some() && credentials.is_some() && self.credentials != credentials {
            return invalid("the credentials are the same for all servers");
        }
        self.credentials = self.credentials.take().or(credentials);
        // These fail for URLs without a host only.
        if url.set_username("").and_then(|()| url.set_password(None)).is_err() {
            return invalid("it has no host");
        }
        match ServerAddr::from_url(url) {
            Ok(server) => self.servers.push(server),
            Err(error) => return invalid(error),
        }
        Ok(())
    }

    /// The client's options with who we are.
    pub(crate) fn identify(&self, options: ConnectOptions) -> ConnectOptions {
        let options = match self.credentials.clone() {
            None => options,
            Some(Credentials::User { name, password }) => options.user_and_password(name, password),
            Some(Credentials::Token(token)) => options.token(token),
        };
        match self.ca.clone() {
            None => options,
            Some(file) => options.add_root_certificates(file),
        }
    }
}

fn credentials(url: &Url) -> Result<Option<Credentials>, InvalidUrl> {
    let decode = |text: &str| match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => invalid("the credentials are not UTF-8"),
    };
    let name = decode(url.username())?;
    Ok(match url.password() {
        Some(password) => Some(Credentials::User { name, password: decode(password)? }),
        None if name.is_empty() => None,
        None => Some(Credentials::Token(name)),
    })
}

fn invalid<T>(why: impl ToString) -> Result<T, InvalidUrl> {
    Err(InvalidUrl(why.to_string()))
}

/// The servers, without credentials.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, server) in self.servers.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(f, "{comma}{}://{}:{}", server.scheme(), server.host(), server.port())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> (Address, NatsOptions) {
        Address::parse(url, NatsOptions::default()).unwrap()
    }

    fn refusal(url: &str) -> String {
        Address::parse(url, NatsOptions::default()).unwrap_err().to_string()
    }

    #[test]
    fn credentials_are_taken_out_of_the_url_and_decoded() {
        let user = |name: &str, password: &str| {
            Some(Credentials::User { name: name.to_owned(), password: password.to_owned() })
        };
        assert!(parse("nats://ann:p%40ss%3A+1@localhost").0.credentials == user("ann", "p@ss:+1"));
        assert!(parse("tls://s3cr%2Ft@localhost").0.credentials == Some(Credentials::Token("s3cr/t".to_owned())));
        assert!(parse("localhost").0.credentials.is_none());
        let (address, _) = parse("nats://ann:secret@a:1,b?stream=s");
        assert_eq!(format!("{address:?}"), "nats://a:1,nats://b:4222");
        assert!(!format!("{:?}", address.servers).contains("secret"));
    }

    #[test]
    fn the_url_names_stream_and_subject() {
        let (_, options) = parse("nats://localhost");
        assert_eq!((options.stream.as_str(), options.subject), ("action-service", None));
        let (_, options) = parse("nats://localhost:4222/?stream=blue&subject=blue.due.now");
        assert_eq!((options.stream.as_str(), options.subject.as_deref()), ("blue", Some("blue.due.now")));
    }

    #[test]
    fn a_url_that_cannot_be_used_is_refused_with_the_reason_and_without_its_password() {
        for (url, reason) in [
            ("", "no host"),
            ("nats://", "no host"),
            ("redis://ann:secret@localhost", "redis://"),
            ("ws://ann:secret@localhost", "ws://"),
            ("nats://ann:secret@host:port", "nats://user:password@host:port"),
            ("nats://ann:se/cret@host", "nats://user:password@host:port"),
            ("nats://ann:secret@host/queue", "after the host"),
            ("nats://ann:secret@a,bob:secret@b", "the same for all"),
            ("nats://ann:secret@host?streams=a", "\"streams\""),
            ("nats://ann:secret@host?stream=a.b", "a stream's name"),
            ("nats://ann:secret@host?subject=a.>", "a subject"),
            ("nats://ann:secret@host?subject=a..b", "a subject"),
            ("nats://ann:secret%FF@host", "UTF-8"),
        ] {
            let refusal = refusal(url);
            assert!(refusal.contains(reason), "{url}: {refusal}");
            assert!(!refusal.contains("secret") && !refusal.contains("cret@"), "{url}: {refusal}");
        }
    }
}
