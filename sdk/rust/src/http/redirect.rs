//! Follows redirects as RFC 9110 (15.4) has them.
//!
//! Each hop is a request of its own, so the service's gate checks each: a redirect leads
//! nowhere that the action does not grant. Credentials do not cross from one origin to
//! another, and neither does any header with a secret in it; other headers go along.

use super::Transport;
use super::url::{Url, resolve};
use crate::secrets::holds_handle;
use crate::{HttpRequest, HttpResponse, OutboundError};

/// An answer that does not lead on, or where the hops ended.
#[derive(Debug)]
pub struct Followed {
    /// The last answer.
    pub response: HttpResponse,
    /// Who gave it.
    pub url: String,
    /// How many redirects led there.
    pub hops: u32,
}

/// Why following ended without an answer.
#[derive(Debug)]
pub enum RedirectError {
    /// A request failed: the first one, or that of a hop.
    Outbound {
        /// What happened.
        error: OutboundError,
        /// Where the request went.
        url: String,
        /// 0 for the first request.
        hops: u32,
    },
    /// A remote redirects to something that is no URL.
    BadLocation {
        /// What it said.
        location: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// Headers that say who asks. They are for the origin that they were given for.
const CREDENTIALS: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];

/// Sends a request and follows at most `hops_max` redirects. When there are more, the last
/// redirect is the answer.
pub fn follow(transport: &impl Transport, mut request: HttpRequest, hops_max: u32) -> Result<Followed, RedirectError> {
    let mut hops = 0;
    loop {
        let response = match transport.send(&request) {
            Ok(response) => response,
            Err(error) => return Err(RedirectError::Outbound { error, url: request.url, hops }),
        };
        let location = match response.header("location") {
            Some(location) if leads_on(response.status) && hops < hops_max => location,
            _ => return Ok(Followed { response, url: request.url, hops }),
        };
        let bad = |reason| RedirectError::BadLocation { location: location.to_owned(), reason };
        let target = {
            let base = Url::parse(&request.url).map_err(bad)?;
            let target = resolve(&base, location).map_err(bad)?;
            if !Url::parse(&target).map_err(bad)?.same_origin(&base) {
                leave_origin(&mut request);
            }
            target
        };
        rewrite_method(&mut request, response.status);
        request.url = target;
        hops += 1;
    }
}

/// 300 and 304 are answers; 305 is not used any more.
fn leads_on(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// What is meant for one server only stays behind.
fn leave_origin(request: &mut HttpRequest) {
    request.headers.retain(|header| {
        let says_who = CREDENTIALS.iter().any(|credential| header.name.eq_ignore_ascii_case(credential));
        // An API key in a header of the remote's own is one too, and is known by its handle.
        !says_who && !holds_handle(&header.value)
    });
    if let Some(tls) = &mut request.tls {
        tls.client_identity = None;
        tls.server_name = None;
    }
}

/// 303 always asks for a GET; after 301 and 302 everybody makes a GET of a POST; 307 and
/// 308 keep the method and the body.
fn rewrite_method(request: &mut HttpRequest, status: u16) {
    let becomes_get = match status {
        303 => request.method != "HEAD",
        301 | 302 => request.method == "POST",
        _ => false,
    };
    if becomes_get {
        request.method = "GET".into();
        request.body = None;
        request.headers.retain(|header| {
            let name = header.name.to_ascii_lowercase();
            !name.starts_with("content-") && name != "transfer-encoding"
        });
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::{ClientIdentity, Header, TlsOptions};

    fn answer(status: u16, location: Option<&str>) -> HttpResponse {
        let header = |value: &str| Header { name: "Location".into(), value: value.into() };
        HttpResponse { status, headers: location.map(header).into_iter().collect(), body: vec![] }
    }

    /// Follows with a remote that redirects as told; gives the answer and what was asked.
    fn run(
        request: HttpRequest,
        hops_max: u32,
        answers: &[(u16, Option<&str>)],
    ) -> (Result<Followed, RedirectError>, Vec<HttpRequest>) {
        let asked = RefCell::new(Vec::new());
        let result = follow(
            &|request: &HttpRequest| {
                let (status, location) = answers[asked.borrow().len()];
                asked.borrow_mut().push(request.clone());
                Ok(answer(status, location))
            },
            request,
            hops_max,
        );
        (result, asked.into_inner())
    }

    fn post() -> HttpRequest {
        HttpRequest::post("https://a.example/in?x=1")
            .header("Authorization", "Bearer t")
            .header("cookie", "c")
            .header("Content-Type", "text/plain")
            .header("X-Own", "1")
            .body("b")
    }

    fn names(request: &HttpRequest) -> Vec<&str> {
        request.headers.iter().map(|header| header.name.as_str()).collect()
    }

    #[test]
    fn a_post_becomes_a_get_after_301_302_303_and_stays_one_after_307_308() {
        for (status, method, body) in
            [(301, "GET", false), (302, "GET", false), (303, "GET", false), (307, "POST", true), (308, "POST", true)]
        {
            let (result, asked) = run(post(), 5, &[(status, Some("/next")), (200, None)]);
            assert_eq!(asked[1].method, method, "{status}");
            assert_eq!(asked[1].body.is_some(), body, "{status}");
            assert_eq!(names(&asked[1]).contains(&"Content-Type"), body, "{status}");
            assert_eq!(asked[1].url, "https://a.example/next");
            assert_eq!(result.unwrap().hops, 1);
        }
    }

    #[test]
    fn other_methods_change_at_303_only_and_head_never() {
        let (_, asked) = run(HttpRequest::put("http://a/").body("b"), 1, &[(302, Some("/n")), (200, None)]);
        assert_eq!(asked[1].method, "PUT");
        let (_, asked) = run(HttpRequest::put("http://a/").body("b"), 1, &[(303, Some("/n")), (200, None)]);
        assert_eq!(asked[1].method, "GET");
        let (_, asked) = run(HttpRequest::head("http://a/"), 1, &[(303, Some("/n")), (200, None)]);
        assert_eq!(asked[1].method, "HEAD");
    }

    #[test]
    fn credentials_do_not_leave_their_origin() {
        let tls = TlsOptions {
            server_name: Some("a".into()),
            extra_roots: Some("pem".into()),
            client_identity: Some(ClientIdentity { chain: "c".into(), key: "k".into() }),
            alpn: Vec::new(),
        };
        let key = format!("key sec_{}", "0a".repeat(16));
        let request = post().tls(tls).header("X-Api-Key", key.as_str());
        let (_, asked) = run(request, 5, &[(307, Some("https://b.example/")), (200, None)]);
        assert_eq!(names(&asked[1]), ["Content-Type", "X-Own"]);
        let tls = asked[1].tls.as_ref().unwrap();
        assert!(tls.client_identity.is_none() && tls.server_name.is_none());
        assert!(tls.extra_roots.is_some());
        let (_, asked) = run(post(), 5, &[(307, Some("http://a.example/in")), (200, None)]);
        assert!(!names(&asked[1]).contains(&"Authorization"), "to plain http");
        let keyed = post().header("X-Api-Key", key.as_str());
        let (_, asked) = run(keyed, 5, &[(307, Some("//a.example:443/x")), (200, None)]);
        assert!(names(&asked[1]).contains(&"X-Api-Key"), "the same origin");
        assert!(names(&asked[1]).contains(&"Authorization"), "the same origin");
    }

    #[test]
    fn the_hops_have_an_end() {
        let (result, asked) = run(post(), 2, &[(307, Some("/1")), (307, Some("/2")), (307, Some("/3"))]);
        let followed = result.unwrap();
        assert_eq!((followed.hops, followed.response.status, asked.len()), (2, 307, 3));
        assert_eq!(followed.url, "https://a.example/2");
        let (result, asked) = run(post(), 0, &[(302, Some("/1"))]);
        assert_eq!((result.unwrap().response.status, asked.len()), (302, 1));
    }

    #[test]
    fn what_leads_nowhere_is_an_answer_or_an_error() {
        let (result, _) = run(post(), 5, &[(304, Some("/x"))]);
        assert_eq!(result.unwrap().response.status, 304);
        let (result, _) = run(post(), 5, &[(302, None)]);
        assert_eq!(result.unwrap().response.status, 302);
        let (result, asked) = run(post(), 5, &[(302, Some("file:///etc/passwd"))]);
        assert!(matches!(result, Err(RedirectError::BadLocation { .. })));
        assert_eq!(asked.len(), 1);
    }
}
