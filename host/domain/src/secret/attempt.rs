//! The secrets of one attempt: what its handles stand for, and nothing else.

use super::{Redactor, SecretValue};
use crate::{limits::SECRET_BYTES_MAX, name::Name};
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
    /// No handle of this attempt is in it; or more than one, where it stands for one value.
    Unknown,
    /// The action does not let the protocol see it.
    NotGranted,
    /// With the values in it, it would be longer than it may be.
    TooLong,
}

/// How a value is written in the place of its handle.
#[derive(Debug, Clone, Copy)]
pub struct Spelling {
    /// What becomes of one byte at most.
    pub bytes_per_byte_max: usize,
    /// Writes it.
    pub write: fn(&[u8], &mut Vec<u8>),
}

impl Spelling {
    /// As it is.
    pub const PLAIN: Self = Self { bytes_per_byte_max: 1, write: |value, out| out.extend_from_slice(value) };
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

    /// A text with the values in the place of its handles; `None` where there is no handle in it. What
    /// only looks like a handle stays as it is.
    ///
    /// # Errors
    /// [`HandleError::TooLong`] where it might have more than `bytes_max` then. A text of a component's may have a
    /// handle as often as it likes, so this is known before anything is set aside for it.
    pub fn filled(
        &self,
        text: &[u8],
        spelling: Spelling,
        bytes_max: usize,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, HandleError> {
        let places = self.places(text);
        if places.is_empty() {
            return Ok(None);
        }
        let add = |sum: usize, (_, held): &(usize, &Held)| {
            let value = held.value.as_ref().map_or(0, |value| value.expose_secret().len());
            sum.checked_add(value.checked_mul(spelling.bytes_per_byte_max)?)
        };
        let length = places.iter().try_fold(text.len(), add);
        let length = length.filter(|length| *length <= bytes_max).ok_or(HandleError::TooLong)?;
        // All of it at once: a buffer that grows leaves parts of the value behind.
        let mut filled = Zeroizing::new(Vec::with_capacity(length));
        let mut at = 0;
        for (place, held) in places {
            let Some(value) = &held.value else { continue };
            filled.extend_from_slice(&text[at..place]);
            (spelling.write)(value.expose_secret(), &mut filled);
            at = place + HANDLE_BYTES;
        }
        filled.extend_from_slice(&text[at..]);
        Ok(Some(filled))
    }

    /// What a config's value stands for: one handle, with its prefix where it has one. For the host's
    /// own use of it.
    pub fn value_of(&self, text: &str) -> Result<Zeroizing<Vec<u8>>, HandleError> {
        if self.places(text.as_bytes()).len() != 1 {
            return Err(HandleError::Unknown);
        }
        let one_value = text.len().saturating_add(SECRET_BYTES_MAX);
        self.filled(text.as_bytes(), Spelling::PLAIN, one_value)?.ok_or(HandleError::Unknown)
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
        let filled = secrets().filled(text.as_bytes(), Spelling::PLAIN, 1 << 20).unwrap()?;
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
    fn what_would_be_too_long_is_refused_before_it_is_made() {
        let (a, secrets) = (handle('a'), secrets());
        let fill = |text: &str, bytes_per_byte_max, bytes_max| {
            let spelling = Spelling { bytes_per_byte_max, ..Spelling::PLAIN };
            secrets.filled(text.as_bytes(), spelling, bytes_max).map(|filled| filled.map(|it| it.len()))
        };
        let twice = format!("{a}{a}");
        let most = twice.len() + 2 * "hunter2".len();
        assert_eq!(fill(&twice, 1, most), Ok(Some(14)));
        assert_eq!(fill(&twice, 1, most - 1), Err(HandleError::TooLong));
        assert_eq!(fill(&twice, 2, most), Err(HandleError::TooLong));
        // Were as much set aside as this asks for, nobody would be left to say so.
        assert_eq!(fill(&twice, usize::MAX / 8, usize::MAX), Err(HandleError::TooLong));
        assert_eq!(fill(&a.repeat(100_000), 1, 256 << 10), Err(HandleError::TooLong));
        assert_eq!(fill("nothing to fill in", 1, 0), Ok(None));
    }

    #[test]
    fn a_value_of_the_config_is_one_handle() {
        let (b, secrets) = (handle('b'), secrets());
        for many in [format!("{b}{b}"), b.repeat(10_000), format!("{}{b}", handle('a'))] {
            assert_eq!(secrets.value_of(&many).unwrap_err(), HandleError::Unknown);
        }
        assert_eq!(secrets.revealed(&format!("{b}{b}")).unwrap_err(), HandleError::Unknown);
    }

    #[test]
    fn debug_shows_names_and_nothing_else() {
        assert_eq!(format!("{:?}", secrets()), r#"["token", "seen"]"#);
    }
}
