//! The data folder and what is in it for this user's eyes only: the admin token, the key of secrets.

use crate::{
    config::{Settings, names},
    system,
};
use anyhow::{Context as _, bail};
use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// Readers of a log or of an environment see what it is.
const TOKEN_PREFIX: &str = "tok_";
/// 256 bits.
const TOKEN_BYTES: usize = 32;

/// The admin token, and where it was found.
pub(crate) struct Token {
    /// What callers send.
    pub(crate) value: String,
    /// The file that holds it; `None` where the settings do.
    pub(crate) file: Option<PathBuf>,
}

/// Makes the folder where it is missing, and whatever is above it.
///
/// # Errors
/// Where it cannot be made, or is no folder.
pub(crate) fn make(folder: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("{} (from {}) cannot be made", folder.display(), names::DATA_DIR))
}

/// Where the admin token is.
pub(crate) fn token_file(folder: &Path) -> PathBuf {
    folder.join("admin-token")
}

/// The admin token: as set, as found, or made now.
///
/// # Errors
/// Where the file cannot be read or written.
pub(crate) fn admin_token(settings: &Settings) -> anyhow::Result<Token> {
    if let Some(value) = &settings.admin_token {
        if let Some(file) = &settings.admin_token_file {
            warn_if_others_can_read(file, "the admin token");
        }
        return Ok(Token { value: value.clone(), file: settings.admin_token_file.clone() });
    }
    let file = token_file(&settings.data_dir);
    let value = match read_token(&file)? {
        Some(value) => value,
        None => make_token(&file).with_context(|| format!("{} cannot be written", file.display()))?,
    };
    warn_if_others_can_read(&file, "the admin token");
    Ok(Token { value, file: Some(file) })
}

/// The token in a file; `None` where there is no file.
///
/// # Errors
/// Where it cannot be read, or holds no token.
pub(crate) fn read_token(file: &Path) -> anyhow::Result<Option<String>> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", file.display())),
    };
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        bail!("{} holds no token; delete it, and the next start makes a new one", file.display());
    }
    Ok(Some(token.to_owned()))
}

/// Says so where a file is not its owner's alone.
pub(crate) fn warn_if_others_can_read(file: &Path, what: &str) {
    if std::fs::metadata(file).is_ok_and(|metadata| metadata.mode() & 0o077 != 0) {
        tracing::warn!(file = %file.display(), "others than its owner can read {what}: chmod 600 it");
    }
}

fn make_token(file: &Path) -> std::io::Result<String> {
    let mut bytes = [0; TOKEN_BYTES];
    system::fill(&mut bytes);
    let token = format!("{TOKEN_PREFIX}{}", hex::encode(bytes));
    write_for_owner(file, &token)?;
    Ok(token)
}

/// Writes a line beside its place and moves it there: a crash leaves none or a whole one.
///
/// # Errors
/// Where it cannot be written.
pub(crate) fn write_for_owner(file: &Path, line: &str) -> std::io::Result<()> {
    let draft = file.with_extension("new");
    // A draft that a crash left may have other rights.
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    writeln!(written, "{line}")?;
    written.sync_all()?;
    std::fs::rename(&draft, file)?;
    // The name too has to survive the loss of power: what is sealed with a key does.
    if let Some(folder) = file.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    fn settings(folder: &Path) -> Settings {
        let env = [(names::DATA_DIR.into(), folder.as_os_str().to_owned())];
        Settings::from_sources(&Sources::collect(None, env.into_iter()).unwrap()).unwrap()
    }

    #[test]
    fn a_token_is_made_once_for_its_owner_alone() {
        let temp = tempfile::TempDir::new().unwrap();
        let folder = temp.path().join("a/b");
        make(&folder).unwrap();
        assert_eq!(std::fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        let first = admin_token(&settings(&folder)).unwrap();
        assert!(first.value.starts_with("tok_") && first.value.len() == 4 + 64, "{}", first.value);
        assert_eq!(std::fs::metadata(first.file.unwrap()).unwrap().mode() & 0o777, 0o600);
        assert_eq!(admin_token(&settings(&folder)).unwrap().value, first.value);
    }

    #[test]
    fn a_damaged_token_is_not_taken() {
        let temp = tempfile::TempDir::new().unwrap();
        std::fs::write(token_file(temp.path()), "\n").unwrap();
        assert!(admin_token(&settings(temp.path())).is_err());
    }
}
