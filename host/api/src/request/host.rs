//! `Host` (RFC 9112 section 3.2): there once, and a host. Whoever stands before the service may have looked at
//! another one of two.

use crate::error::{Answer, Problem};
use http::{HeaderValue, Request, Version, header, uri::Authority};

/// Refuses a request that does not say plainly whom it is for.
pub(crate) fn check<B>(request: &Request<B>) -> Answer<()> {
    let mut all = request.headers().get_all(header::HOST).iter();
    let refuse = |detail: &str| Err(Problem::bad_request("invalid_host", detail.to_owned()));
    match (all.next(), all.next()) {
        (_, Some(_)) => refuse("there is more than one Host header"),
        // HTTP/2 says it in another way, and HTTP/1.0 need not.
        (None, None) if request.version() == Version::HTTP_11 => refuse("there is no Host header"),
        (Some(host), None) if !is_host(host) => refuse("the Host header is no host, or a host and a port"),
        _ => Ok(()),
    }
}

/// An empty one is what a target without an authority has.
fn is_host(value: &HeaderValue) -> bool {
    let text = value.to_str().unwrap_or("@");
    let Ok(authority) = text.parse::<Authority>() else { return text.is_empty() };
    let port = &text[text.len().min(authority.host().len())..];
    !text.contains('@') && (port.is_empty() || port == ":" || authority.port_u16().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_there_once_and_is_a_host() {
        let request = |version, hosts: &[&'static str]| {
            let request = Request::builder().version(version);
            hosts.iter().fold(request, |request, host| request.header("host", *host)).body(()).unwrap()
        };
        for host in ["x", "x:8081", "127.0.0.1:1", "[::1]:8081", "a.b-c_d", ""] {
            assert!(check(&request(Version::HTTP_11, &[host])).is_ok(), "{host}");
        }
        for hosts in [&[][..], &["x", "x"], &["x", "y"], &["a b"], &["u@x"], &["x/y"], &["x:8x"], &["http://x"]] {
            assert!(check(&request(Version::HTTP_11, hosts)).is_err(), "{hosts:?}");
        }
        for version in [Version::HTTP_10, Version::HTTP_2] {
            assert!(check(&request(version, &[])).is_ok());
            assert!(check(&request(version, &["x", "x"])).is_err());
        }
    }
}
