//! Readers of the log: consumers, and those of the service's own.

use crate::{state::State, write::Undo};
use action_domain::{
    consumer::{CONSUMERS_MAX, Consumer, StandingConsumer},
    event::Position,
    name::Name,
    repositories::{CommitError, Conflict, Page},
};
use std::{
    ops::Bound::{Excluded, Unbounded},
    sync::Arc,
};

impl State {
    pub(crate) fn consumers_page(&self, page: Page<Name>) -> Vec<StandingConsumer> {
        let from = page.after.map_or(Unbounded, Excluded);
        self.consumers.range((from, Unbounded)).take(page.limit as usize).map(|(_, one)| one.clone()).collect()
    }

    pub(crate) fn put_consumer(&mut self, consumer: Consumer, position: Position) -> Result<Undo, CommitError> {
        let standing = match self.consumers.get(&consumer.name) {
            Some(old) => StandingConsumer {
                consumer: Consumer { created_at: old.consumer.created_at, ..consumer },
                position: old.position,
            },
            None if self.consumers.len() >= CONSUMERS_MAX as usize => return Err(Conflict::TooMany.into()),
            None => StandingConsumer { consumer, position },
        };
        Ok(self.put_standing(standing))
    }

    pub(crate) fn remove_consumer(&mut self, name: Name) -> Result<Undo, CommitError> {
        let old = self.consumers.remove(&name).ok_or(Conflict::NotFound)?;
        Ok(Box::new(move |state| drop(state.consumers.insert(name, old))))
    }

    pub(crate) fn acknowledge(&mut self, name: &Name, position: Position) -> Result<Undo, CommitError> {
        let old = self.consumers.get(name).ok_or(Conflict::NotFound)?;
        let position = position.max(old.position);
        Ok(self.put_standing(StandingConsumer { position, ..old.clone() }))
    }

    fn put_standing(&mut self, standing: StandingConsumer) -> Undo {
        let name = standing.consumer.name.clone();
        let old = self.consumers.insert(name.clone(), standing);
        Box::new(move |state| {
            state.consumers.remove(&name);
            state.consumers.extend(old.map(|old| (name, old)));
        })
    }

    pub(crate) fn move_cursor(
        &mut self,
        name: Arc<str>,
        from: Option<Position>,
        to: Option<Position>,
    ) -> Result<Undo, CommitError> {
        if self.cursors.get(&name).copied() != from {
            return Err(Conflict::CursorMoved.into());
        }
        self.put_cursor(&name, to);
        Ok(Box::new(move |state| state.put_cursor(&name, from)))
    }

    fn put_cursor(&mut self, name: &Arc<str>, position: Option<Position>) {
        self.cursors.remove(name);
        self.cursors.extend(position.map(|position| (Arc::clone(name), position)));
    }
}
