//! URLs of the schemes http and https, as far as a client needs them: taken apart, resolved
//! against each other, percent-encoded. Not a general parser: names are not mapped to ASCII,
//! and the service, which connects, has the last word.

use std::fmt::Write;

/// A URL taken apart; nothing is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Url<'a> {
    /// `http` or `https`, in any case.
    pub scheme: &'a str,
    /// A name or an address; IPv6 in its brackets.
    pub host: &'a str,
    /// The port, where it is given.
    pub port: Option<u16>,
    /// Empty, or with its slash.
    pub path: &'a str,
    /// What is between `?` and `#`.
    pub query: Option<&'a str>,
}

impl<'a> Url<'a> {
    /// Takes a URL apart, or says in a few words why that is not possible.
    pub fn parse(text: &'a str) -> Result<Self, &'static str> {
        if text.bytes().any(|b| b <= b' ' || b == 0x7f) {
            return Err("a URL holds no blanks and no control characters");
        }
        let (scheme, rest) = text.split_once("://").ok_or("a URL begins with http:// or https://")?;
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return Err("the scheme of the URL is neither http nor https");
        }
        let (rest, _fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let (authority, path_and_query) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err("a URL holds no user name and no password");
        }
        if authority.contains('\\') {
            return Err("the host of the URL is not a name or an address");
        }
        let behind_address = authority.rfind(']').map_or(0, |at| at + 1);
        let (host, port) = match authority[behind_address..].split_once(':') {
            Some((name, port)) => {
                let port = port.parse().ok().filter(|port| *port != 0);
                let port = port.ok_or("the port of the URL is not a number from 1 to 65535")?;
                (&authority[..behind_address + name.len()], Some(port))
            }
            None => (authority, None),
        };
        let well_formed = if host.starts_with('[') || host.ends_with(']') {
            host.starts_with('[') && host.ends_with(']') && host.len() > 2
        } else {
            !host.is_empty() && !host.contains(['[', ']', '%', '<', '>', '^', '|', '"', '{', '}'])
        };
        if !well_formed {
            return Err("the host of the URL is not a name or an address");
        }
        let (path, query) = match path_and_query.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path_and_query, None),
        };
        Ok(Self { scheme, host, port, path, query })
    }

    /// Whether TLS is spoken.
    pub fn is_https(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("https")
    }

    /// The port that is connected to.
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(if self.is_https() { 443 } else { 80 })
    }

    /// Scheme, host and port, where a port is written: the URL's beginning.
    pub fn origin(&self) -> String {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{}{port}", self.scheme, self.host)
    }

    /// Whether both are the same server for what concerns trust.
    pub fn same_origin(&self, other: &Url<'_>) -> bool {
        self.is_https() == other.is_https()
            && self.host.eq_ignore_ascii_case(other.host)
            && self.port_or_default() == other.port_or_default()
    }
}

/// The URL that a reference (a `Location`) means where it stands in an answer from `base`
/// (RFC 3986, 5.2). Blanks and characters beyond ASCII in it are percent-encoded.
pub fn resolve(base: &Url<'_>, reference: &str) -> Result<String, &'static str> {
    let reference = reference.split('#').next().unwrap_or_default();
    let reference = encode_unsafe(reference.trim());
    let has_scheme =
        reference.split_once(':').is_some_and(|(scheme, _)| !scheme.is_empty() && !scheme.contains(['/', '?']));
    let target = if has_scheme {
        reference
    } else if let Some(rest) = reference.strip_prefix("//") {
        format!("{}://{rest}", base.scheme)
    } else {
        let (path, query) = match reference.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (reference.as_str(), None),
        };
        let folder = &base.path[..base.path.rfind('/').unwrap_or(0)];
        let (path, query) = match path {
            "" => (base.path.to_owned(), query.or(base.query)),
            _ if path.starts_with('/') => (without_dots(path), query),
            _ => (without_dots(&format!("{folder}/{path}")), query),
        };
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        format!("{}{path}{query}", base.origin())
    };
    Url::parse(&target)?;
    Ok(target)
}

/// RFC 3986, 5.2.4.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ => {
                kept.push(segment);
                continue;
            }
        }
        if is_last {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

fn encode_unsafe(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii_graphic() {
            encoded.push(character);
        } else {
            let mut buffer = [0; 4];
            encode_bytes(&mut encoded, character.encode_utf8(&mut buffer).as_bytes());
        }
    }
    encoded
}

/// Adds a value to a URL, percent-encoded so that it means nothing but itself wherever in
/// path or query it stands: all but RFC 3986's unreserved characters.
pub fn encode(url: &mut String, value: &str) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            encode_bytes(url, &[byte]);
        }
    }
}

fn encode_bytes(url: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing into a String cannot fail.
        let _ = write!(url, "%{byte:02X}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let url = Url::parse("https://api.example.com:8443/a/b?c=d#e").unwrap();
        assert_eq!((url.host, url.port, url.path, url.query), ("api.example.com", Some(8443), "/a/b", Some("c=d")));
        assert_eq!(url.origin(), "https://api.example.com:8443");
        let url = Url::parse("HTTP://[::1]:80?x").unwrap();
        assert_eq!((url.host, url.port, url.path, url.query), ("[::1]", Some(80), "", Some("x")));
        assert_eq!(Url::parse("http://[::1]/").unwrap().port_or_default(), 80);
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for text in [
            "",
            "example.com",
            "ftp://a/",
            "http://",
            "http:///a",
            "https://a b/",
            "https://u:p@a/",
            "https://a:0/",
            "https://a:x/",
            "https://a:70000/",
            "https://[::1/",
            "https://{{h}}/",
            "https://a\\@b/",
            "https://a\n/",
            "https://a%00/",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn references_are_resolved_as_the_rfc_shows() {
        let base = Url::parse("http://a/b/c/d;p?q").unwrap();
        for (reference, target) in [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("#s", "http://a/b/c/d;p?q"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("g;x=1/../y", "http://a/b/c/y"),
            ("https://h:1/x", "https://h:1/x"),
            ("/ä b", "http://a/%C3%A4%20b"),
        ] {
            assert_eq!(resolve(&base, reference).as_deref(), Ok(target), "{reference}");
        }
        assert!(resolve(&base, "mailto:x@y").is_err());
        assert!(resolve(&base, "file:///etc/passwd").is_err());
    }

    #[test]
    fn an_encoded_value_stays_in_its_place() {
        let mut url = String::new();
        encode(&mut url, "a/../b?c=d&e#f ä%");
        assert_eq!(url, "a%2F..%2Fb%3Fc%3Dd%26e%23f%20%C3%A4%25");
    }

    #[test]
    fn origins_are_compared_with_their_default_ports() {
        let same = |a, b| Url::parse(a).unwrap().same_origin(&Url::parse(b).unwrap());
        assert!(same("https://A.example/x", "https://a.example:443/y"));
        assert!(!same("https://a.example/", "http://a.example/"));
        assert!(!same("https://a.example/", "https://a.example:444/"));
    }
}
