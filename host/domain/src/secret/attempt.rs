//! The secrets of one attempt: what its handles stand for, and nothing else.

use super::{Redactor, SecretValue};
use crate::name::Name;
use memchr::memmem;
use secrecy::ExposeSecret as _;
use std::{fmt, sync::Arc};
use zeroize::Zeroizing;

/// Every handle begins so. Behind it come as many characters as make [`HANDLE_BYTES`].
pub const HANDLE_PREFIX: &str = "sec_";
/// All handles are of this length: 128 random bits in hexadecimal digits behind the prefix.
pub const HANDLE_BYTES: usize = HANDLE_PREFIX.len() + 32;

/// A handle and what it stands for.
pub struct Held {
    /// Opaque; made for this attempt alone.
    pub handle: String,
    /// The secret.
    pub name: Name,
    /// Its value; `None` where the config is only looked at, and nothing is sent.
    pub value: Option<Arc<SecretValue>>,
    /// Whether the action lets the protocol see it.
    pub reveal: bool,
}

/// Why a value is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandleError {
    /// No handle of this attempt is in it.
    Unknown,
    /// The action does not let the protocol see it.
    NotGranted,
}

/// What the handles of one attempt stand for.
#[derive(Default)]
pub struct AttemptSecrets {
    held: Vec<Held>,
    redactor: Redactor,
}

impl fmt::Debug for AttemptSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.held.iter().map(|held| held.name.as_str())).finish()
    }
}

impl AttemptSecrets {
    /// These.
    pub fn new(held: Vec<Held>) -> Self {
        let mut redactor = Redactor::default();
        let mut named: Vec<&Name> = Vec::new();
        for Held { handle, name, value, .. } in &held {
            redactor.add_handle(name, handle);
            if let Some(value) = value.as_ref().filter(|_| !named.contains(&name)) {
                redactor.add(name, value.expose_secret());
                named.push(name);
            }
        }
        Self { held, redactor }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Takes them out of whatever is recorded.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// A text with the values in the place of its handles, each as `write` puts it; `None` where
    /// there is no handle in it. What only looks like a handle stays as it is.
    pub fn filled(&self, text: &[u8], write: impl Fn(&[u8], &mut Vec<u8>)) -> Option<Zeroizing<Vec<u8>>> {
        let places = self.places(text);
        if places.is_empty() {
            return None;
        }
        // All of it at once: a buffer that grows leaves parts of the value behind.
        let values = places.iter().filter_map(|(_, held)| held.value.as_ref()).map(|it| it.expose_secret().len());
        let mut filled = Zeroizing::new(Vec::with_capacity(text.len() + values.sum::<usize>() * 3));
        let mut at = 0;
        for (place, held) in places {
            let Some(value) = &held.value else { continue };
            filled.extend_from_slice(&text[at..place]);
            write(value.expose_secret(), &mut filled);
            at = place + HANDLE_BYTES;
        }
        filled.extend_from_slice(&text[at..]);
        Some(filled)
    }

    /// What a config's value stands for: a handle, with its prefix where it has one. For the host's
    /// own use of it.
    pub fn value_of(&self, text: &str) -> Result<Zeroizing<Vec<u8>>, HandleError> {
        self.filled(text.as_bytes(), |value, out| out.extend_from_slice(value)).ok_or(HandleError::Unknown)
    }

    /// The same, for the protocol to see.
    pub fn revealed(&self, text: &str) -> Result<Zeroizing<Vec<u8>>, HandleError> {
        if self.places(text.as_bytes()).iter().any(|(_, held)| !held.reveal) {
            return Err(HandleError::NotGranted);
        }
        self.value_of(text)
    }

    /// The names of the secrets whose handles are in a text, for messages.
    pub fn names_in(&self, text: &[u8]) -> Vec<&Name> {
        self.places(text).into_iter().map(|(_, held)| &held.name).collect()
    }

    fn places(&self, text: &[u8]) -> Vec<(usize, &Held)> {
        if self.held.is_empty() {
            return Vec::new();
        }
        let mut places: Vec<(usize, &Held)> = Vec::new();
        for at in memmem::find_iter(text, HANDLE_PREFIX) {
            let is_inside = places.last().is_some_and(|(last, _)| at < last + HANDLE_BYTES);
            let found = text.get(at..at + HANDLE_BYTES).filter(|_| !is_inside);
            let held = found.and_then(|found| self.held.iter().find(|held| held.handle.as_bytes() == found));
            places.extend(held.map(|held| (at, held)));
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle(digit: char) -> String {
        format!("{HANDLE_PREFIX}{}", digit.to_string().repeat(32))
    }

    fn secrets() -> AttemptSecrets {
        let held = |digit, name: &str, value: &str, reveal| Held {
            handle: handle(digit),
            name: name.parse().unwrap(),
            value: Some(Arc::new(SecretValue::from(value.as_bytes().to_vec()))),
            reveal,
        };
        AttemptSecrets::new(vec![held('a', "token", "hunter2", false), held('b', "seen", "open sesame", true)])
    }

    fn filled(text: &str) -> Option<String> {
        let filled = secrets().filled(text.as_bytes(), |value, out| out.extend_from_slice(value))?;
        Some(String::from_utf8(filled.to_vec()).unwrap())
    }

    #[test]
    fn values_stand_in_the_place_of_known_handles_only() {
        let (a, b, other) = (handle('a'), handle('b'), handle('c'));
        assert_eq!(filled(&format!("Bearer {a}")).as_deref(), Some("Bearer hunter2"));
        let text = format!("{a}{b}sec_{a}{other}sec_");
        assert_eq!(filled(&text), Some(format!("hunter2open sesamesec_hunter2{other}sec_")));
        for none in ["", "sec_", &other, &a[..HANDLE_BYTES - 1], &a.to_uppercase()] {
            assert_eq!(filled(none), None, "{none}");
        }
        assert!(AttemptSecrets::default().value_of(&a).is_err());
    }

    #[test]
    fn only_what_is_granted_is_revealed() {
        let (a, b) = (handle('a'), handle('b'));
        let secrets = secrets();
        assert_eq!(secrets.revealed(&b).unwrap().as_slice(), b"open sesame");
        assert_eq!(secrets.revealed(&format!("x {b}")).unwrap().as_slice(), b"x open sesame");
        assert_eq!(secrets.revealed(&a).unwrap_err(), HandleError::NotGranted);
        assert_eq!(secrets.revealed(&format!("{b}{a}")).unwrap_err(), HandleError::NotGranted);
        assert_eq!(secrets.revealed("b").unwrap_err(), HandleError::Unknown);
        assert_eq!(secrets.value_of(&a).unwrap().as_slice(), b"hunter2");
    }

    #[test]
    fn debug_shows_names_and_nothing_else() {
        assert_eq!(format!("{:?}", secrets()), r#"["token", "seen"]"#);
    }
}
