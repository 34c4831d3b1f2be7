//! Puts secrets in the place of their handles on the way out of a request that the gate has let
//! through: in header values, in the query, and in basic authentication, whose base64 hides them.
//!
//! Nowhere else. A path, a header's name and a body go out as they are, with the handle in them,
//! which is worth nothing to whoever gets it; and so does what a component writes to a connection of
//! its own: a protocol that has to speak a secret there asks to see it (`reveal`).

use action_domain::{
    limits::FILLED_BYTES_MAX,
    secret::{AttemptSecrets, HandleError, Spelling},
};
use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::{HeaderName, HeaderValue, Request, Uri, header::AUTHORIZATION};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use zeroize::Zeroizing;

/// What a query holds as it is (RFC 3986, unreserved).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A value in a query.
const IN_A_QUERY: Spelling = Spelling {
    bytes_per_byte_max: "%00".len(),
    write: |value, out| percent_encode(value, ESCAPED).for_each(|part| out.extend_from_slice(part.as_bytes())),
};

/// Clients differ in whether they write `=` at the end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Whether there is anything in a request to fill in.
pub(super) fn would_fill<B>(secrets: &AttemptSecrets, request: &Request<B>) -> bool {
    let has_handle = |text: &[u8]| !secrets.names_in(text).is_empty();
    let in_header = |(name, value): (&HeaderName, &HeaderValue)| {
        has_handle(value.as_bytes())
            || name == AUTHORIZATION && pair(value.as_bytes()).is_some_and(|it| has_handle(&it))
    };
    request.headers().iter().any(in_header) || request.uri().query().is_some_and(|query| has_handle(query.as_bytes()))
}

/// Fills in a request whose URI is its path and query.
///
/// # Errors
/// Where a value cannot stand in its place, by the secret's name; where all of it is more than
/// [`FILLED_BYTES_MAX`].
pub(super) fn fill<B>(secrets: &AttemptSecrets, request: &mut Request<B>) -> Result<(), String> {
    if secrets.is_empty() {
        return Ok(());
    }
    let named = |text: &[u8]| secrets.names_in(text).first().map_or_else(String::new, ToString::to_string);
    let mut left = FILLED_BYTES_MAX;
    let mut fill = |text: &[u8], spelling| {
        let filled = secrets.filled(text, spelling, left).map_err(too_long)?;
        left -= filled.as_ref().map_or(0, |filled| filled.len());
        Ok::<_, String>(filled)
    };
    for (name, value) in request.headers_mut() {
        let mut filled = fill(value.as_bytes(), Spelling::PLAIN)?;
        if filled.is_none() && name == AUTHORIZATION {
            let basic = pair(value.as_bytes()).map(|pair| fill(&pair, Spelling::PLAIN)).transpose()?;
            filled = basic.flatten().map(|pair| basic_of(&pair));
        }
        let Some(filled) = filled else { continue };
        let mut header = HeaderValue::from_bytes(&filled).map_err(|_| {
            format!(
                "the secret `{}` cannot stand in the header `{name}`: it has a line end in it",
                named(value.as_bytes())
            )
        })?;
        header.set_sensitive(true);
        *value = header;
    }
    let Some(query) = request.uri().query() else { return Ok(()) };
    if let Some(filled) = fill(query.as_bytes(), IN_A_QUERY)? {
        let target = Zeroizing::new([request.uri().path().as_bytes(), b"?", &filled].concat());
        let too_long = format!("the secret `{}` is too long for a query", named(query.as_bytes()));
        *request.uri_mut() = Uri::try_from(&target[..]).map_err(|_| too_long)?;
    }
    Ok(())
}

fn too_long(_: HandleError) -> String {
    format!("with the secrets in them, headers and query have more than {FILLED_BYTES_MAX} bytes")
}

/// `Basic`, and base64 of a user and a password (RFC 7617).
fn basic_of(pair: &[u8]) -> Zeroizing<Vec<u8>> {
    let encoded = Zeroizing::new(BASE64.encode(pair));
    Zeroizing::new([b"Basic ", encoded.as_bytes()].concat())
}

/// User and password of a value of `Authorization`, where they are that.
fn pair(value: &[u8]) -> Option<Vec<u8>> {
    let (scheme, encoded) = value.split_at_checked("Basic ".len())?;
    scheme.eq_ignore_ascii_case(b"Basic ").then(|| BASE64.decode(encoded.trim_ascii()).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use action_domain::secret::Held;
    use std::sync::Arc;

    fn handle() -> String {
        format!("sec_{}", "0a".repeat(16))
    }

    fn secrets(value: &str) -> AttemptSecrets {
        let value = Some(Arc::new(value.as_bytes().to_vec().into()));
        AttemptSecrets::new(vec![Held { handle: handle(), name: "token".parse().unwrap(), value, reveal: false }])
    }

    fn filled(value: &str, target: &str, headers: &[(&str, &str)]) -> Result<Request<()>, String> {
        let mut request = Request::builder().uri(target.replace("HANDLE", &handle()));
        for (name, value) in headers {
            request = request.header(*name, value.replace("HANDLE", &handle()));
        }
        let mut request = request.body(()).unwrap();
        let has_secret = would_fill(&secrets(value), &request);
        let before = request.uri().clone();
        let filled = fill(&secrets(value), &mut request).map(|()| request);
        if let Ok(request) = &filled {
            let fills = before != *request.uri() || request.headers().values().any(HeaderValue::is_sensitive);
            assert_eq!(has_secret, fills, "{target} {headers:?}");
        }
        filled
    }

    #[test]
    fn values_of_headers_and_the_query_are_filled_in_and_nothing_else() {
        let target = "/p/HANDLE?a=HANDLE&HANDLE=b&c";
        let request = filled("s p/e&c=+é", target, &[("x-key", "k HANDLE"), ("y", "plain")]).unwrap();
        assert_eq!(request.headers()["x-key"].as_bytes(), "k s p/e&c=+é".as_bytes());
        assert!(request.headers()["x-key"].is_sensitive() && !request.headers()["y"].is_sensitive());
        let escaped = "s%20p%2Fe%26c%3D%2B%C3%A9";
        let expected = format!("/p/{}?a={escaped}&{escaped}=b&c", handle());
        assert_eq!(request.uri().to_string(), expected);
        let mut named = Request::builder().uri("/").header(handle(), "x").body(()).unwrap();
        fill(&secrets("secret"), &mut named).unwrap();
        assert!(named.headers().contains_key(handle()));
    }

    #[test]
    fn basic_authentication_is_looked_into() {
        for (pair, expected) in [("user:HANDLE", "user:open sesame"), ("HANDLE:", "open sesame:")] {
            let encoded = BASE64.encode(pair.replace("HANDLE", &handle()));
            for text in [format!("Basic {encoded}"), format!("basic {}", encoded.trim_end_matches('='))] {
                let request = filled("open sesame", "/", &[("authorization", &text), ("x-other", &text)]).unwrap();
                let given = request.headers()["authorization"].to_str().unwrap();
                assert_eq!(given, format!("Basic {}", BASE64.encode(expected)));
                assert_eq!(request.headers()["x-other"], text);
            }
        }
        let other = format!("Basic {}", BASE64.encode("user:password"));
        let request = filled("open sesame", "/", &[("authorization", &other)]).unwrap();
        assert_eq!(request.headers()["authorization"], other);
    }

    #[test]
    fn a_value_that_would_make_another_header_is_refused_by_its_name() {
        let refused = filled("open\r\nx: sesame", "/", &[("a", "HANDLE")]).unwrap_err();
        assert!(refused.contains("`token`") && !refused.contains("sesame"), "{refused}");
        let refused = filled(&"x".repeat(40_000), "/?HANDLE&HANDLE", &[]).unwrap_err();
        assert!(refused.contains("`token`") && refused.len() < 100, "{refused}");
    }

    #[test]
    fn a_handle_that_stands_everywhere_makes_no_request_of_any_size() {
        let value = "x".repeat(60_000);
        let often = "HANDLE".repeat(20_000);
        let basic = format!("Basic {}", BASE64.encode(handle().repeat(10)));
        let four = [("a", "HANDLE"), ("b", "HANDLE"), ("c", "HANDLE"), ("d", "HANDLE")];
        filled(&value, "/", &four).unwrap();
        let five: Vec<_> = four.into_iter().chain([("e", "HANDLE")]).collect();
        let many: [(&str, &[(&str, &str)]); 5] = [
            ("/", &[("a", &often)]),
            ("/", &[("authorization", &basic)]),
            ("/", &five),
            ("/?HANDLE&HANDLE", &[]),
            ("/?HANDLE", &four),
        ];
        for (target, headers) in many {
            let refused = filled(&value, target, headers).unwrap_err();
            assert!(refused.ends_with("more than 262144 bytes") && refused.len() < 100, "{refused}");
        }
    }
}
