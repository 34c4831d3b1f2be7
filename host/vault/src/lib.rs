//! Seals secrets with the operator's keys, and opens them: the only crate that knows a cipher.
//!
//! Envelope encryption with XChaCha20-Poly1305. Each version of each secret has a data key of its
//! own, which encrypts the value; one of the operator's keys wraps the data key. Both are bound to
//! the secret's name and version, so that what was sealed as one cannot be opened as another. To
//! move to a new key, only data keys are wrapped anew ([`Keyring::rewrap`](action_domain::services::Vault::rewrap)).
//!
//! Keys, data keys and values are wiped from memory when they are dropped.

mod key;
mod seal;

pub use key::{InvalidKey, Key};

use action_domain::{
    name::Name,
    secret::{HANDLE_PREFIX, KeyId, Sealed, Secret, SecretValue},
    services::{Vault, VaultError},
};
use std::fmt;

/// The operator's keys. The first seals, all open.
#[derive(Default)]
pub struct Keyring {
    keys: Vec<Key>,
    /// Whether a key that is not here is nowhere else either.
    others_are_lost: bool,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.keys).finish()
    }
}

impl Keyring {
    /// Without keys, nothing can be sealed or opened.
    pub fn new(keys: Vec<Key>) -> Self {
        Self { keys, others_are_lost: false }
    }

    /// The same keys, where the operator says that there are no others any more.
    pub fn without_others(mut self) -> Self {
        self.others_are_lost = true;
        self
    }

    /// Keys in base64 or hexadecimal digits, separated by commas.
    ///
    /// # Errors
    /// Where one of them is none, by its place and never by what it looks like.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let texts = text.split(',').map(str::trim).enumerate();
        let keys: Vec<Key> = texts.map(|(index, text)| Key::parse(text, index + 1)).collect::<Result<_, _>>()?;
        Ok(Self::new(keys))
    }

    fn first(&self) -> Result<&Key, VaultError> {
        self.keys.first().ok_or(VaultError::NoKey)
    }

    fn key_of(&self, sealed: &Sealed) -> Result<&Key, VaultError> {
        let found = self.keys.iter().find(|key| *key.id() == sealed.key);
        let missing = if self.others_are_lost { VaultError::LostKey } else { VaultError::UnknownKey };
        found.ok_or_else(|| missing(sealed.key.clone()))
    }
}

impl Vault for Keyring {
    fn seal(&self, name: &Name, version: u32, value: &[u8]) -> Result<Sealed, VaultError> {
        seal::seal(self.first()?, name, version, value)
    }

    fn open(&self, secret: &Secret) -> Result<SecretValue, VaultError> {
        seal::open(self.key_of(&secret.sealed)?, secret)
    }

    fn rewrap(&self, secret: &Secret) -> Result<Option<Sealed>, VaultError> {
        let first = self.first()?;
        if *first.id() == secret.sealed.key {
            return Ok(None);
        }
        seal::rewrap(self.key_of(&secret.sealed)?, first, secret).map(Some)
    }

    fn sealing_key(&self) -> Option<KeyId> {
        self.keys.first().map(|key| key.id().clone())
    }

    fn has_key(&self, key: &str) -> bool {
        self.keys.iter().any(|own| **own.id() == *key)
    }

    fn handle(&self) -> Result<String, VaultError> {
        let mut bytes = [0; 16];
        key::fill(&mut bytes)?;
        Ok(format!("{HANDLE_PREFIX}{}", hex::encode(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use action_domain::{secret::HANDLE_BYTES, time::Timestamp};
    use secrecy::ExposeSecret as _;

    const VALUE: &[u8] = b"open sesame";

    fn keyring(texts: &[&str]) -> Keyring {
        Keyring::parse(&texts.join(",")).unwrap()
    }

    fn old() -> String {
        "0123456789abcdef".repeat(4)
    }

    fn new() -> String {
        // 32 bytes of 0xff.
        format!("{}8=", "/".repeat(42))
    }

    fn sealed(keys: &Keyring) -> Secret {
        let name: Name = "orders-token".parse().unwrap();
        let sealed = keys.seal(&name, 3, VALUE).unwrap();
        let now = Timestamp::from_micros(0);
        Secret { name, version: 3, sealed, created_at: now, updated_at: now }
    }

    #[test]
    fn what_was_sealed_is_opened_and_is_never_the_same_twice() {
        let keys = keyring(&[&old()]);
        let secret = sealed(&keys);
        assert_eq!(keys.open(&secret).unwrap().expose_secret(), VALUE);
        let again = sealed(&keys);
        assert_ne!(again.sealed.data, secret.sealed.data);
        assert_ne!(again.sealed.wrapped, secret.sealed.wrapped);
        let all = [&secret.sealed.data[..], &secret.sealed.wrapped].concat();
        assert!(!all.windows(4).any(|part| VALUE.windows(4).any(|plain| part == plain)));
        assert_eq!(keys.open(&sealed(&keys)).unwrap().expose_secret().len(), VALUE.len());
    }

    #[test]
    fn nothing_but_what_was_sealed_is_opened() {
        let keys = keyring(&[&old()]);
        let secret = sealed(&keys);
        let mut others = vec![
            Secret { version: 4, ..secret.clone() },
            Secret { name: "orders-toke".parse().unwrap(), ..secret.clone() },
        ];
        let other = sealed(&keys).sealed;
        others.push(Secret { sealed: Sealed { data: other.data, ..secret.sealed.clone() }, ..secret.clone() });
        others.push(Secret { sealed: Sealed { wrapped: other.wrapped, ..secret.sealed.clone() }, ..secret.clone() });
        for at in 0..secret.sealed.data.len() {
            let mut changed = secret.clone();
            changed.sealed.data[at] ^= 1;
            others.push(changed);
        }
        for at in 0..secret.sealed.wrapped.len() {
            let mut changed = secret.clone();
            changed.sealed.wrapped[at] ^= 1;
            others.push(changed);
        }
        for length in [0, 10, 24, secret.sealed.data.len() - 1] {
            let mut cut = secret.clone();
            cut.sealed.data.truncate(length);
            others.push(cut.clone());
            cut.sealed.wrapped.truncate(length);
            others.push(cut);
        }
        for other in others {
            assert_eq!(keys.open(&other).unwrap_err(), VaultError::Damaged, "{other:?}");
        }
    }

    #[test]
    fn all_keys_open_and_the_first_seals() {
        let secret = sealed(&keyring(&[&old()]));
        let both = keyring(&[&new(), &old()]);
        assert_eq!(both.open(&secret).unwrap().expose_secret(), VALUE);
        assert!(both.has_key(&secret.sealed.key));
        let only_new = keyring(&[&new()]);
        assert_eq!(only_new.open(&secret).unwrap_err(), VaultError::UnknownKey(secret.sealed.key.clone()));
        assert_eq!(sealed(&both).sealed.key, only_new.sealing_key().unwrap());

        let sealed_anew = both.rewrap(&secret).unwrap().unwrap();
        assert_eq!(sealed_anew.data, secret.sealed.data, "the value is not touched");
        let secret = Secret { sealed: sealed_anew, ..secret };
        assert_eq!(only_new.open(&secret).unwrap().expose_secret(), VALUE);
        assert_eq!(only_new.rewrap(&secret), Ok(None));
        let wrong_version = Secret { version: 9, ..sealed(&keyring(&[&old()])) };
        assert_eq!(both.rewrap(&wrong_version), Err(VaultError::Damaged));
    }

    #[test]
    fn without_a_key_nothing_is_sealed_and_the_setting_is_named() {
        let none = Keyring::default();
        let refused = none.seal(&"a".parse().unwrap(), 1, VALUE).unwrap_err();
        assert_eq!(refused, VaultError::NoKey);
        assert!(refused.to_string().contains("ACTION_SERVICE_SECRET_KEY"));
        let secret = sealed(&keyring(&[&old()]));
        assert_eq!(none.open(&secret).unwrap_err(), VaultError::UnknownKey(secret.sealed.key));
    }

    #[test]
    fn handles_have_their_form_and_differ() {
        let keys = Keyring::default();
        let (one, other) = (keys.handle().unwrap(), keys.handle().unwrap());
        assert_ne!(one, other);
        assert!(one.starts_with(HANDLE_PREFIX) && one.len() == HANDLE_BYTES, "{one}");
    }

    #[test]
    fn debug_shows_no_key() {
        let text = format!("{:?}", keyring(&[&old(), &new()]));
        assert!(!text.contains(&old()[..8]) && !text.contains("255"), "{text}");
        assert!(text.contains(&*keyring(&[&old()]).sealing_key().unwrap()), "{text}");
    }
}
