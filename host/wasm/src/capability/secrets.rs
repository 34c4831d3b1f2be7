//! `secrets`: what a component can do with a handle beside sending it.

use crate::{
    bindings::v0_1::julee::action::secrets::{Host, KeyEncoding, SecretError},
    state::State,
};
use action_domain::secret::HandleError;
use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use wasmtime::Result;
use zeroize::Zeroizing;

type Answer<T> = Result<std::result::Result<T, SecretError>>;

/// How a key in base64 begins where it is one of Standard Webhooks.
const WEBHOOK_KEY_PREFIX: &[u8] = b"whsec_";

const STANDARD: GeneralPurpose = indifferent(&base64::alphabet::STANDARD);
const URL_SAFE: GeneralPurpose = indifferent(&base64::alphabet::URL_SAFE);

const fn indifferent(alphabet: &base64::alphabet::Alphabet) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(alphabet, config)
}

/// Why a call was ended: a secret is not what the protocol takes it for. The contract's enum has no case for
/// it and is frozen; the protocol did nothing wrong, and no repeat would change it.
#[derive(Debug, thiserror::Error)]
#[error("the secret `{0}` is not base64 of a key, behind whsec_ or not, and the protocol signs with it as such")]
pub(crate) struct NoKey(String);

impl From<HandleError> for SecretError {
    fn from(error: HandleError) -> Self {
        match error {
            // No value of a config is so long, and the contract's enum is frozen.
            HandleError::Unknown | HandleError::TooLong => Self::UnknownHandle,
            HandleError::NotGranted => Self::NotGranted,
        }
    }
}

impl Host for State {
    fn reveal(&mut self, handle: String) -> Answer<Vec<u8>> {
        Ok(self.gate.secrets.revealed(&handle).map(|value| value.to_vec()).map_err(Into::into))
    }

    fn hmac_sha256(
        &mut self,
        handle: String,
        encoding: KeyEncoding,
        prefix: String,
        message: Vec<u8>,
    ) -> Answer<Vec<u8>> {
        let secret = match self.gate.secrets.value_of(&handle) {
            Ok(secret) => secret,
            Err(error) => return Ok(Err(error.into())),
        };
        let key = match encoding {
            KeyEncoding::Raw => secret,
            KeyEncoding::Base64 => decoded(&secret).ok_or_else(|| {
                let name = self.gate.secrets.names_in(handle.as_bytes()).first().map(ToString::to_string);
                NoKey(name.unwrap_or_default())
            })?,
        };
        Ok(Ok(hmac(prefix.as_bytes(), &key, &message)?))
    }
}

fn decoded(secret: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let text = secret.trim_ascii();
    let text = text.strip_prefix(WEBHOOK_KEY_PREFIX).unwrap_or(text);
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok().map(Zeroizing::new)
}

fn hmac(prefix: &[u8], key: &[u8], message: &[u8]) -> Result<Vec<u8>> {
    let mut whole = Zeroizing::new(Vec::with_capacity(prefix.len() + key.len()));
    whole.extend_from_slice(prefix);
    whole.extend_from_slice(key);
    // A key of any length will do.
    let mut mac = Hmac::<Sha256>::new_from_slice(&whole)?;
    mac.update(message);
    Ok(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmacs_are_those_that_others_make() {
        // RFC 4231, test case 2.
        let hmac_of =
            |prefix: &str, key: &[u8], message: &[u8]| hex::encode(hmac(prefix.as_bytes(), key, message).unwrap());
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hmac_of("", b"Jefe", b"what do ya want for nothing?"), expected);
        assert_eq!(hmac_of("Je", b"fe", b"what do ya want for nothing?"), expected);
    }

    #[test]
    fn a_webhook_key_is_base64_behind_its_prefix() {
        for text in ["whsec_SmVmZQ==", "SmVmZQ", " SmVmZQ==\n"] {
            assert_eq!(decoded(text.as_bytes()).unwrap().as_slice(), b"Jefe", "{text}");
        }
        assert_eq!(decoded(b"-_-_").unwrap().as_slice(), decoded(b"+/+/").unwrap().as_slice());
        assert!(decoded(b"no base64!").is_none());
    }
}
