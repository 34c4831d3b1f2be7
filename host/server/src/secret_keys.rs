//! The keys that seal secrets: as set, as found in the data folder, or made at the first start.

use crate::{
    config::{Database, Settings, names},
    data_dir,
};
use action_domain::{
    name::Name,
    repositories::{Page, Store},
    secret::KeyId,
};
use action_vault::{Key, Keyring};
use anyhow::{Context as _, bail};
use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};
use zeroize::Zeroizing;

/// As many secrets are named as somebody wants to read.
const TOLD_MAX: usize = 10;

/// Where the key is that the service makes for itself.
fn key_file(folder: &Path) -> PathBuf {
    folder.join("secret-key")
}

/// The keys. A database that several processes share needs them in the settings, since a key that one
/// of them makes is none for the others; but only where somebody wants to keep a secret: without
/// keys all else works, and setting one is refused.
///
/// # Errors
/// Where a file cannot be read or written, or is gone although it is needed.
pub(crate) async fn open(settings: &Settings, store: &dyn Store) -> anyhow::Result<Arc<Keyring>> {
    if let Some(keys) = &settings.secret_keys {
        return Ok(keys.clone());
    }
    let keys = match settings.database {
        Database::Postgres(_) => Keyring::default(),
        // Gone with the process, as what it seals is.
        Database::Memory => Keyring::new(vec![Key::random()?]),
        Database::Sqlite(_) => in_folder(settings, store).await?,
    };
    Ok(Arc::new(if settings.secret_key_lost { keys.without_others() } else { keys }))
}

async fn in_folder(settings: &Settings, store: &dyn Store) -> anyhow::Result<Keyring> {
    let file = key_file(&settings.data_dir);
    match std::fs::read_to_string(&file).map(Zeroizing::new) {
        Ok(text) => {
            data_dir::warn_if_others_can_read(&file, "the key that seals secrets");
            Keyring::parse(text.trim()).with_context(|| file.display().to_string())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let kept = store.secrets(Page { after: None, limit: 1 }).await?;
            if !kept.is_empty() && !settings.secret_key_lost {
                bail!(
                    "{} is gone, and the database has secrets that were sealed with the key in it: put it back, or set \
                     {} to that key",
                    file.display(),
                    names::SECRET_KEY
                );
            }
            let key = Key::random()?;
            data_dir::write_for_owner(&file, &key.to_text())
                .with_context(|| format!("{} cannot be written", file.display()))?;
            Ok(Keyring::new(vec![key]))
        }
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", file.display())),
    }
}

/// What to do where secrets cannot be opened: a process that cannot would fail every execution that
/// it takes and that needs them, and others could have run those.
///
/// # Errors
/// Unless the settings say that the key is lost.
pub(crate) fn check(locked: &[(Name, KeyId)], settings: &Settings) -> anyhow::Result<()> {
    if locked.is_empty() {
        return Ok(());
    }
    let told: Vec<String> = locked.iter().take(TOLD_MAX).map(|(name, key)| format!("{name} (key {key})")).collect();
    let more = locked.len().saturating_sub(TOLD_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let told = format!("{}{more}", told.join(", "));
    if settings.secret_key_lost {
        tracing::warn!(secrets = told, "these secrets cannot be opened: they have to be set again");
        return Ok(());
    }
    bail!(
        "the keys of this service do not open these secrets: {told}. Add the key that sealed them behind the first in \
         {} (the one in the data folder is in {}); if it is lost, start with {}=accept and set them again",
        names::SECRET_KEY,
        key_file(&settings.data_dir).display(),
        names::SECRET_KEY_LOST
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;
    use action_domain::{
        repositories::{UnitOfWork, Write},
        secret::Secret,
        services::Vault as _,
        time::Timestamp,
    };
    use action_store_memory::MemoryStore;
    use std::os::unix::fs::MetadataExt as _;

    fn settings(folder: &Path, more: &[(&str, &str)]) -> Settings {
        let env = [(names::DATA_DIR.into(), folder.as_os_str().to_owned())].into_iter();
        let more = more.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Settings::from_sources(&Sources::collect(None, env.chain(more)).unwrap()).unwrap()
    }

    async fn keep_one(store: &MemoryStore, keys: &Keyring) {
        let name: Name = "token".parse().unwrap();
        let now = Timestamp::from_micros(0);
        let sealed = keys.seal(&name, 1, b"a value").unwrap();
        let secret = Secret { name, version: 1, sealed, created_at: now, updated_at: now };
        store.commit(UnitOfWork::new().write(Write::SetSecretIfCurrent(Box::new(secret)))).await.unwrap();
    }

    #[tokio::test]
    async fn a_key_is_made_once_and_missed_when_it_is_gone() {
        let temp = tempfile::TempDir::new().unwrap();
        let store = MemoryStore::new();
        let settings = settings(temp.path(), &[]);
        let first = open(&settings, &store).await.unwrap();
        let file = key_file(temp.path());
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        let again = open(&settings, &store).await.unwrap();
        assert_eq!(again.sealing_key(), first.sealing_key());
        keep_one(&store, &first).await;
        std::fs::remove_file(&file).unwrap();
        let error = open(&settings, &store).await.unwrap_err().to_string();
        assert!(error.contains("secret-key is gone") && error.contains(names::SECRET_KEY), "{error}");
        assert!(!file.exists(), "no other key takes its place");
        std::fs::write(&file, "nonsense").unwrap();
        let error = format!("{:#}", open(&settings, &store).await.unwrap_err());
        assert!(error.contains("secret-key: key 1 is not 32 bytes") && !error.contains("nonsense"), "{error}");
    }

    #[tokio::test]
    async fn a_shared_database_needs_no_key_until_there_are_secrets() {
        let temp = tempfile::TempDir::new().unwrap();
        let shared = settings(temp.path(), &[(names::DATABASE_URL, "postgres://u@h/d")]);
        let keys = open(&shared, &MemoryStore::new()).await.unwrap();
        assert!(keys.sealing_key().is_none() && !key_file(temp.path()).exists());
        let locked = [("token".parse().unwrap(), "0a0b".into())];
        let error = check(&locked, &shared).unwrap_err().to_string();
        assert!(error.contains("token (key 0a0b)") && error.contains(names::SECRET_KEY), "{error}");
        let lost = settings(temp.path(), &[(names::SECRET_KEY_LOST, "accept")]);
        assert!(check(&locked, &lost).is_ok() && check(&[], &shared).is_ok());
    }

    #[test]
    fn keys_that_are_set_come_from_one_place_and_are_not_repeated() {
        let temp = tempfile::TempDir::new().unwrap();
        let file = temp.path().join("keys");
        std::fs::write(&file, format!("{},\n{}\n", "01".repeat(32), "02".repeat(32))).unwrap();
        let path = file.to_str().unwrap();
        let from_file = settings(temp.path(), &[(names::SECRET_KEY_FILE, path)]);
        let from_env = settings(temp.path(), &[(names::SECRET_KEY, &"01".repeat(32))]);
        let first = |settings: &Settings| settings.secret_keys.as_ref().unwrap().sealing_key().unwrap();
        assert_eq!(first(&from_file), first(&from_env));
        assert!(!format!("{from_env:?}").contains("0101"));
        let refused = |more: &[(&str, &str)]| {
            let env = more.iter().map(|(name, value)| ((*name).into(), (*value).into()));
            Settings::from_sources(&Sources::collect(None, env).unwrap()).unwrap_err().to_string()
        };
        let both = refused(&[(names::SECRET_KEY, &"01".repeat(32)), (names::SECRET_KEY_FILE, path)]);
        assert!(both.contains("one of the two"), "{both}");
        let short = refused(&[(names::SECRET_KEY, "hunter2")]);
        assert!(short.contains(names::SECRET_KEY) && !short.contains("hunter2"), "{short}");
        assert!(refused(&[(names::SECRET_KEY_FILE, "/nowhere/key")]).contains("/nowhere/key"));
    }
}
