//! Seals secrets, and opens them again.

use crate::{
    name::Name,
    secret::{KeyId, Sealed, Secret, SecretValue},
};

/// Seals values with the operator's keys. The first key seals; all of them open.
pub trait Vault: Send + Sync {
    /// Seals a value for this name and version: as the value of another one it cannot be opened.
    ///
    /// # Errors
    /// [`VaultError::NoKey`].
    fn seal(&self, name: &Name, version: u32, value: &[u8]) -> Result<Sealed, VaultError>;

    /// The value of a secret.
    ///
    /// # Errors
    /// [`VaultError::UnknownKey`], [`VaultError::LostKey`], [`VaultError::Damaged`].
    fn open(&self, secret: &Secret) -> Result<SecretValue, VaultError>;

    /// The same value under the first key; `None` where it is already.
    ///
    /// # Errors
    /// As of [`Self::seal`] and [`Self::open`].
    fn rewrap(&self, secret: &Secret) -> Result<Option<Sealed>, VaultError>;

    /// The key that seals, if there is one.
    fn sealing_key(&self) -> Option<KeyId>;

    /// Whether what this key has sealed can be opened.
    fn has_key(&self, key: &str) -> bool;

    /// A handle that nobody can guess: [`HANDLE_PREFIX`](crate::secret::HANDLE_PREFIX) and 32
    /// hexadecimal digits.
    ///
    /// # Errors
    /// [`VaultError::NoRandomness`].
    fn handle(&self) -> Result<String, VaultError>;
}

/// Why a secret cannot be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The operator gave none.
    #[error("there is no key to seal secrets with: set ACTION_SERVICE_SECRET_KEY or ACTION_SERVICE_SECRET_KEY_FILE")]
    NoKey,
    /// Another one sealed it.
    #[error(
        "it was sealed with the key {0}, which is not among those of ACTION_SERVICE_SECRET_KEY (or …_FILE): add it \
         behind the first"
    )]
    UnknownKey(KeyId),
    /// Another one sealed it, which the operator says is lost.
    #[error("it was sealed with the key {0}, which is lost: it has to be set again")]
    LostKey(KeyId),
    /// What is kept is not what was sealed, or was sealed for another name or version.
    #[error("what is kept of it was changed: it cannot be opened, and has to be set again")]
    Damaged,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoRandomness,
}
