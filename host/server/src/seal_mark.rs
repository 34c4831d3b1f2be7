//! The mark of a node: the last seal that it knows of, in a file of its data folder. Whoever has the
//! database has not this.

use crate::{
    config::{Database, Settings},
    data_dir,
};
use action_domain::{
    audit::Anchor,
    services::{MarkUnusable, SealMark},
};
use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

/// An anchor in a file.
pub(crate) struct MarkFile(PathBuf);

impl MarkFile {
    /// The node's; `None` where the log is gone with the process.
    pub(crate) fn of(settings: &Settings) -> Option<Self> {
        match settings.database {
            Database::Memory => None,
            Database::Sqlite(_) | Database::Postgres(_) => Some(Self::in_folder(&settings.data_dir)),
        }
    }

    fn in_folder(folder: &Path) -> Self {
        Self(folder.join("audit-mark"))
    }

    fn unusable(&self, what: impl std::fmt::Display) -> MarkUnusable {
        MarkUnusable(format!("{}: {what}", self.0.display()))
    }
}

impl SealMark for MarkFile {
    fn read(&self) -> Result<Option<Anchor>, MarkUnusable> {
        match std::fs::read_to_string(&self.0) {
            Ok(text) => text.parse().map(Some).map_err(|error| self.unusable(error)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.unusable(error)),
        }
    }

    fn keep(&self, mark: Anchor) -> Result<(), MarkUnusable> {
        // Processes may share the folder.
        if self.read()?.is_some_and(|kept| kept.sequence >= mark.sequence) {
            return Ok(());
        }
        data_dir::write_for_owner(&self.0, &mark.to_string()).map_err(|error| self.unusable(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use action_domain::audit::SealHash;

    #[test]
    fn a_mark_only_grows_and_is_never_mistaken_for_none() {
        let temp = tempfile::TempDir::new().unwrap();
        let mark = MarkFile::in_folder(temp.path());
        let at = |sequence| Anchor { sequence, hash: SealHash([sequence as u8; 32]) };
        assert_eq!(mark.read(), Ok(None));
        mark.keep(at(3)).unwrap();
        mark.keep(at(2)).unwrap();
        assert_eq!(MarkFile::in_folder(temp.path()).read(), Ok(Some(at(3))));
        mark.keep(at(4)).unwrap();
        assert_eq!(mark.read(), Ok(Some(at(4))));
        std::fs::write(temp.path().join("audit-mark"), "").unwrap();
        assert!(mark.read().unwrap_err().0.contains("audit-mark"));
        assert!(mark.keep(at(5)).is_err(), "what cannot be read is not written over");
    }
}
