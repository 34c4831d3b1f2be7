//! Words as small integers: statuses by their place, event types by a table of the database.

use action_domain::{event::EventType, execution::Status};
use rusqlite::Connection;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A status as it is stored: its place in [`Status::ALL`]. The schema's partial indexes name
/// these numbers.
pub(crate) const fn status_code(status: Status) -> i64 {
    match status {
        Status::Queued => 0,
        Status::Running => 1,
        Status::Waiting => 2,
        Status::InDoubt => 3,
        Status::Succeeded => 4,
        Status::Failed => 5,
        Status::Cancelled => 6,
        Status::Expired => 7,
    }
}

/// The status that is stored so.
pub(crate) fn status_of(code: i64) -> Option<Status> {
    Status::ALL.into_iter().find(|status| status_code(*status) == code)
}

/// Codes up to this are those of the types that every execution has; the schema gives them.
pub(crate) const FREQUENT_MAX: i64 = 4;

/// The codes of event types in this database.
#[derive(Debug)]
pub(crate) struct EventTypes {
    words: BTreeMap<i64, Arc<str>>,
    /// By the type's place in the enum.
    codes: Vec<i64>,
}

impl EventTypes {
    /// Registers the types of this release where they are missing, and reads all.
    pub(crate) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut register = connection.prepare("INSERT OR IGNORE INTO event_types (word) VALUES (?)")?;
        for r#type in EventType::ALL {
            register.execute([r#type.as_str()])?;
        }
        Self::read(connection)
    }

    /// Reads all, and changes nothing.
    pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut words = BTreeMap::new();
        let mut codes = vec![0; EventType::ALL.len()];
        let mut seen = BTreeSet::new();
        let mut stored = connection.prepare("SELECT code, word FROM event_types ORDER BY code")?;
        let mut rows = stored.query([])?;
        while let Some(row) = rows.next()? {
            let (code, word): (i64, String) = (row.get(0)?, row.get(1)?);
            // A second code of a word is not ours: what has it would mean the same, and not be found.
            if !seen.insert(word.clone()) {
                continue;
            }
            if let Some(r#type) = EventType::from_word(&word) {
                codes[r#type as usize] = code;
            }
            words.insert(code, word.into());
        }
        Ok(Self { words, codes })
    }

    /// The code of a type.
    pub(crate) fn code(&self, r#type: EventType) -> i64 {
        self.codes[r#type as usize]
    }

    /// The word of a code.
    pub(crate) fn word(&self, code: i64) -> Option<Arc<str>> {
        self.words.get(&code).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_places_that_the_schema_names() {
        for (place, status) in Status::ALL.into_iter().enumerate() {
            assert_eq!(status_code(status), place as i64);
            assert_eq!(status_of(place as i64), Some(status));
        }
        for (place, r#type) in EventType::ALL.iter().enumerate() {
            assert_eq!(*r#type as usize, place);
        }
    }
}
