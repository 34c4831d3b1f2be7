//! An identity provider whose tokens are taken: all three of its settings, or none.

use super::{Sources, names};
use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};
use url::Url;

/// An identity provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OidcSettings {
    /// Tokens are from it.
    pub(crate) issuer: String,
    /// And for this.
    pub(crate) audience: String,
    /// Where its keys are.
    pub(crate) jwks: Jwks,
}

/// Where keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Jwks {
    /// Over HTTPS, or from this machine.
    Url(Url),
    /// In a file.
    File(PathBuf),
}

/// The identity provider, if one is set.
pub(super) fn read(sources: &Sources, problems: &mut Vec<String>) -> Option<OidcSettings> {
    let all = [names::OIDC_ISSUER, names::OIDC_AUDIENCE, names::OIDC_JWKS];
    let given = all.map(|name| sources.get(name));
    if given.iter().all(Option::is_none) {
        return None;
    }
    for (name, value) in all.iter().zip(given) {
        if value.is_none() {
            problems.push(format!("{name} is missing: {} go together", all.join(", ")));
        }
    }
    let [Some(issuer), Some(audience), Some(place)] = given else { return None };
    match jwks(place) {
        Ok(jwks) => Some(OidcSettings { issuer: issuer.to_owned(), audience: audience.to_owned(), jwks }),
        Err(reason) => {
            problems.push(format!("{}: {reason}", sources.place(names::OIDC_JWKS)));
            None
        }
    }
}

/// Whoever can change the keys on their way gets in: plain HTTP is for this machine only.
fn jwks(text: &str) -> Result<Jwks, String> {
    if !text.contains("://") {
        return Ok(Jwks::File(Path::new(text).to_owned()));
    }
    let url: Url = text.parse().map_err(|error| format!("it is no URL: {error}"))?;
    let is_here = || url.host_str().and_then(|host| host.parse::<IpAddr>().ok()).is_some_and(|host| host.is_loopback());
    match url.scheme() {
        "https" => Ok(Jwks::Url(url)),
        "http" if is_here() => Ok(Jwks::Url(url)),
        _ => Err("an https:// URL (http:// for 127.0.0.1 only) or the path of a file is needed".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> (Option<OidcSettings>, Vec<String>) {
        let env = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let mut problems = Vec::new();
        (read(&Sources::collect(None, env).unwrap(), &mut problems), problems)
    }

    #[test]
    fn all_of_it_or_nothing() {
        assert_eq!(settings(&[]), (None, vec![]));
        let (issuer, audience) = ((names::OIDC_ISSUER, "https://id.test"), (names::OIDC_AUDIENCE, "x"));
        let (found, problems) = settings(&[issuer, audience, (names::OIDC_JWKS, "keys.json")]);
        assert_eq!((found.unwrap().jwks, problems), (Jwks::File("keys.json".into()), vec![]));
        let (found, problems) = settings(&[issuer]);
        assert!(found.is_none());
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].starts_with(names::OIDC_AUDIENCE) && problems[1].starts_with(names::OIDC_JWKS));
    }

    #[test]
    fn keys_come_over_https_or_from_here() {
        for good in ["https://id.test/keys", "http://127.0.0.1:1/keys", "HTTP://127.1.2.3/keys"] {
            assert!(matches!(jwks(good), Ok(Jwks::Url(_))), "{good}");
        }
        for bad in ["http://id.test/keys", "http://localhost.evil.test/keys", "ftp://id.test/keys", "https://"] {
            assert!(jwks(bad).is_err(), "{bad}");
        }
    }
}
