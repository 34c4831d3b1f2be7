//! Where a backing service is: a URL that may hold a password, and never shows it.

use std::fmt;

/// A URL as it was set. What is printed of it is [`Self::place`].
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Place(String);

impl Place {
    /// A URL of one of these schemes.
    ///
    /// # Errors
    /// Where it is none; the message does not repeat it.
    pub(crate) fn parse(text: &str, schemes: &[&str]) -> Result<Self, String> {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme);
        if !scheme.is_some_and(|scheme| schemes.contains(&scheme)) {
            let wanted: Vec<String> = schemes.iter().map(|scheme| format!("{scheme}://…")).collect();
            return Err(format!("{} is needed", wanted.join(" or ")));
        }
        Ok(Self(text.to_owned()))
    }

    /// With its password, for whoever connects.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

/// Without password and parameters. The parts are taken by their places and not by parsing: what
/// cannot be parsed must not be shown either.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0))
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A URL without its credentials and parameters.
pub(crate) fn shown(url: &str) -> String {
    let plain = url.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = plain.split_once("://").map_or(("", plain), |(scheme, rest)| (scheme, rest));
    // The last `@`: a password may hold one, a host cannot.
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    if scheme.is_empty() { place.to_owned() } else { format!("{scheme}://{place}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_and_parameters_are_not_shown() {
        for (url, seen) in [
            ("postgres://u:hunter2@db:5432/action", "postgres://db:5432/action"),
            ("postgres://u:p@hunter2@db/action?password=hunter2", "postgres://db/action"),
            ("postgres://db/action?sslmode=require&password=hunter2", "postgres://db/action"),
            ("nats://hunter2@a:4222,hunter2@b:4222", "nats://b:4222"),
            ("http://127.0.0.1:8081/", "http://127.0.0.1:8081/"),
            ("hunter2@db", "db"),
        ] {
            assert_eq!(shown(url), seen);
        }
        let place = Place::parse("postgres://u:hunter2@db/x", &["postgres", "postgresql"]).unwrap();
        assert!(!format!("{place} {place:?}").contains("hunter2"));
        assert!(place.expose().contains("hunter2"));
        let refused = Place::parse("mysql://u:hunter2@db/x", &["postgres"]).unwrap_err();
        assert_eq!(refused, "postgres://… is needed");
    }
}
