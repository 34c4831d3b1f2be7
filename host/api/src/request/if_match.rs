//! `If-Match` and `If-None-Match` (RFC 9110 section 13.1) over revisions. A revision's entity
//! tag is its number: `"3"`.

use crate::error::{Answer, Problem};
use action_engine::EngineError;
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// A condition on the current revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// `*`: there is one.
    Any,
    /// It is one of these; tags that are no revision are none of them.
    OneOf(Vec<u32>),
}

/// The condition of `If-Match`, if there is one.
pub(crate) fn if_match(headers: &HeaderMap) -> Answer<Option<Condition>> {
    condition(headers, header::IF_MATCH)
}

/// Whether `If-None-Match: *` is there: make it, do not change it.
pub(crate) fn only_if_new(headers: &HeaderMap) -> Answer<bool> {
    match condition(headers, header::IF_NONE_MATCH)? {
        None => Ok(false),
        Some(Condition::Any) => Ok(true),
        Some(Condition::OneOf(_)) => {
            Err(Problem::bad_request("invalid_header", "a change can only have If-None-Match: *"))
        }
    }
}

/// A revision's entity tag.
pub(crate) fn etag(revision: u32) -> HeaderValue {
    // A number between quotes is always legal in a header.
    HeaderValue::from_str(&format!("\"{revision}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

impl Condition {
    /// What the engine is told to believe, given the current revision, or a problem if the
    /// condition does not hold. The engine checks it again when it commits.
    pub(crate) fn believe(&self, current: Option<u32>) -> Answer<Option<u32>> {
        match (self, current) {
            (_, None) => Err(Problem::revision_mismatch("there is no current revision")),
            (Self::Any, Some(_)) => Ok(None),
            (Self::OneOf(revisions), Some(current)) if revisions.contains(&current) => Ok(Some(current)),
            (Self::OneOf(_), Some(current)) => Err(EngineError::RevisionMismatch { current }.into()),
        }
    }
}

fn condition(headers: &HeaderMap, name: HeaderName) -> Answer<Option<Condition>> {
    let invalid = || Problem::bad_request("invalid_header", format!("{name} is `*` or entity tags: \"3\", \"4\""));
    let mut revisions = Vec::new();
    let mut found = false;
    for value in headers.get_all(&name) {
        found = true;
        let mut rest = value.to_str().map_err(|_| invalid())?.trim();
        if rest == "*" {
            return Ok(Some(Condition::Any));
        }
        while !rest.is_empty() {
            // A weak tag is well formed and never matches: the comparison is the strong one.
            let (weak, tag) = rest.strip_prefix("W/").map_or((false, rest), |tag| (true, tag));
            let (tag, behind) = tag.strip_prefix('"').and_then(|tag| tag.split_once('"')).ok_or_else(invalid)?;
            if !weak && let Some(revision) = revision(tag) {
                revisions.push(revision);
            }
            rest = behind.trim_start();
            rest = match rest.strip_prefix(',') {
                Some(behind) => behind.trim_start(),
                None if rest.is_empty() => rest,
                None => return Err(invalid()),
            };
        }
    }
    Ok(found.then_some(Condition::OneOf(revisions)))
}

/// A revision as its tag writes it: `03` and `+3` are other tags.
fn revision(tag: &str) -> Option<u32> {
    tag.parse().ok().filter(|revision: &u32| revision.to_string() == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(values: &[&str]) -> Result<Option<Condition>, ()> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::IF_MATCH, HeaderValue::from_str(value).unwrap());
        }
        if_match(&headers).map_err(|_| ())
    }

    #[test]
    fn every_way_to_write_it() {
        assert_eq!(parse(&[]), Ok(None));
        assert_eq!(parse(&[" * "]), Ok(Some(Condition::Any)));
        for (values, revisions) in [
            (&["\"3\""][..], &[3][..]),
            (&["\"3\", \"4\""], &[3, 4]),
            (&["\"3\",\"4\" ,"], &[3, 4]),
            (&["\"3\"", "\"5\""], &[3, 5]),
            (&["W/\"3\""], &[]),
            (&["\"abc\", \"03\", \"7\""], &[7]),
            (&["\"a,b\""], &[]),
        ] {
            assert_eq!(parse(values), Ok(Some(Condition::OneOf(revisions.to_vec()))), "{values:?}");
        }
        for bad in ["3", "\"3", "\"3\" \"4\"", "w/\"3\""] {
            assert_eq!(parse(&[bad]), Err(()), "{bad}");
        }
    }

    #[test]
    fn a_condition_holds_or_not() {
        let one_of = Condition::OneOf(vec![2, 3]);
        assert_eq!(one_of.believe(Some(3)).unwrap(), Some(3));
        assert!(one_of.believe(Some(4)).is_err());
        assert!(one_of.believe(None).is_err());
        assert_eq!(Condition::Any.believe(Some(4)).unwrap(), None);
        assert!(Condition::Any.believe(None).is_err());
    }
}
