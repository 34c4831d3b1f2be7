//! Where `run` and `check` keep compiled code from one call to the next: in a folder of the user's own,
//! since compiling a component of Python takes most of a minute.
//!
//! It is the service's own cache, sealed and bounded like that. Code from there is run, so the folder has to
//! be this user's, and nobody else may write to it: where it is not, or cannot be made, nothing is kept.

use std::{
    ffi::OsString,
    fs::DirBuilder,
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

/// Below the folder for caches.
const NAME: &str = "action-service";
/// Who else may write: the group, and all.
const OTHERS_WRITE: u32 = 0o022;

/// The folder of compiled code: the user's, else `instead`, which is this process's and goes with it.
pub(crate) fn folder(instead: &Path) -> PathBuf {
    let caches = caches(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"));
    caches.and_then(|caches| own(&caches, instead).ok()).unwrap_or_else(|| instead.to_owned())
}

/// The folder for caches, as the XDG base directory specification has it: a relative path is none.
fn caches(xdg: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    xdg.and_then(absolute).or_else(|| Some(home.and_then(absolute)?.join(".cache")))
}

/// Our folder there, made if it is missing. It belongs to whoever `instead` belongs to, which is this user.
fn own(caches: &Path, instead: &Path) -> io::Result<PathBuf> {
    let folder = caches.join(NAME);
    DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    // Not of what a link leads to: who made the link may lead it elsewhere.
    let found = folder.symlink_metadata()?;
    let is_ours = found.is_dir() && found.uid() == instead.metadata()?.uid() && found.mode() & OTHERS_WRITE == 0;
    if is_ours { Ok(folder) } else { Err(io::ErrorKind::PermissionDenied.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt as _};

    #[test]
    fn it_is_where_caches_are_and_nowhere_else() {
        let text = |text: &str| Some(OsString::from(text));
        assert_eq!(caches(text("/c"), text("/h")), Some("/c".into()));
        assert_eq!(caches(None, text("/h")), Some("/h/.cache".into()));
        assert_eq!(caches(text("c"), text("/h")), Some("/h/.cache".into()));
        assert_eq!(caches(text(""), None), None);
    }

    #[test]
    fn a_folder_that_somebody_else_could_write_to_is_not_used() {
        let (caches, instead) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folder = own(caches.path(), instead.path()).unwrap();
        assert_eq!(folder.metadata().unwrap().mode() & 0o777, 0o700);
        assert_eq!(own(caches.path(), instead.path()).unwrap(), folder);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o770)).unwrap();
        assert!(own(caches.path(), instead.path()).is_err());
        fs::remove_dir(&folder).unwrap();
        std::os::unix::fs::symlink(instead.path(), &folder).unwrap();
        assert!(own(caches.path(), instead.path()).is_err());
        fs::remove_file(&folder).unwrap();
        fs::write(&folder, "").unwrap();
        assert!(own(caches.path(), instead.path()).is_err());
    }
}
