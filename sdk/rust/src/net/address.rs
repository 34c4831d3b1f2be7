//! A host and a port, as a config names them.

use std::fmt;

use serde::Deserialize;

/// `host:port`; an IPv6 address stands in brackets. Its schema says `x-egress`, so that the execution
/// may reach it and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Address {
    /// A name or an address, without brackets.
    pub host: String,
    /// From 1.
    pub port: u16,
}

impl TryFrom<String> for Address {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const WRONG: &str = "an address is written host:port, and an IPv6 host in brackets";
        if text.contains("{{") {
            return Err("an address holds no templates: it says what the action may reach");
        }
        if text.contains("://") {
            return Err("an address is written host:port, without a scheme");
        }
        let (host, port) = text.rsplit_once(':').ok_or(WRONG)?;
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = match inner {
            Some(inner) => inner.contains(':'),
            None => !host.contains(':'),
        };
        let host = inner.unwrap_or(host);
        if !is_host
            || host.is_empty()
            || host.contains(|c: char| c.is_whitespace() || c.is_control() || "/@".contains(c))
        {
            return Err(WRONG);
        }
        let port = port.parse().ok().filter(|port| *port != 0).ok_or("a port is a number from 1 to 65535")?;
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Address {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^.+:[0-9]{1,5}$", "x-egress": "tcp" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_and_a_port_or_nothing() {
        for (text, host, port) in
            [("a.example:6379", "a.example", 6379), ("[::1]:25", "::1", 25), ("10.0.0.1:1", "10.0.0.1", 1)]
        {
            let address = Address::try_from(text.to_owned()).unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port));
            assert_eq!(address.to_string(), text);
        }
        for text in
            ["", "a", "a:", ":1", "a:0", "a:65536", "::1:25", "[a]:1", "redis://a:1", "u@a:1", "a b:1", "{{ h }}:1"]
        {
            assert!(Address::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
