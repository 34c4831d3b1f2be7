//! Units of work. Each write gives back its undo, so that a unit that meets a conflict half
//! way leaves nothing behind; the log is touched only when nothing can be refused any more.

use crate::state::{PinKey, State, pin_key};
use action_domain::{
    action::Action,
    audit::Seal,
    event::Position,
    execution::{Execution, Lease, Status, WorkerId},
    id::{ActionId, ExecutionId, TokenId},
    limits::IDEMPOTENCY_KEY_FOR,
    protocol::{Pin, Protocol},
    repositories::{CommitError, Conflict, IdempotencyKey, StoreUnavailable, UnitOfWork, Write},
    time::Timestamp,
    token::Token,
    turn::CALLED_BACK_MAX,
};
use bytes::Bytes;
use std::sync::Arc;
use uuid::Uuid;

/// Takes one change back.
pub(crate) type Undo = Box<dyn FnOnce(&mut State)>;

impl State {
    /// Does all of `unit` or nothing.
    pub(crate) fn commit(&mut self, unit: UnitOfWork) -> Result<Position, CommitError> {
        let mut undos: Vec<Undo> = Vec::new();
        for write in unit.writes {
            match self.apply(write) {
                Ok(undo) => undos.push(undo),
                Err(error) => {
                    undos.into_iter().rev().for_each(|undo| undo(self));
                    return Err(error);
                }
            }
        }
        unit.events.into_iter().for_each(|event| self.log.append(event));
        Ok(self.log.last_position())
    }

    fn apply(&mut self, write: Write) -> Result<Undo, CommitError> {
        match write {
            Write::AddProtocol(protocol, component) => self.add_protocol(*protocol, component),
            Write::RemoveProtocolIfUnused(pin) => self.remove_protocol(&pin),
            Write::AddAction(action) => self.add_action(*action),
            Write::AddRevisionIfCurrent(action) => self.add_revision(*action),
            Write::RemoveActionIfCurrent(id, revision) => self.remove_action(id, revision),
            Write::AddPayload(digest, data) => {
                let new = !self.payloads.contains_key(&digest);
                self.payloads.entry(digest).or_insert(data);
                Ok(Box::new(move |state| {
                    if new {
                        state.payloads.remove(&digest);
                    }
                }))
            }
            Write::AddExecution(execution) => self.add_execution(*execution),
            Write::UpdateExecutionIfLeased(execution, lease) => self.update_if_leased(*execution, lease),
            Write::UpdateExecutionIfStatus(execution, status, attempt) => {
                self.update_if_status(*execution, status, attempt)
            }
            Write::RequireLease(id, lease) => {
                let held = self.holds(id, lease);
                if held { Ok(Box::new(|_| {})) } else { Err(Conflict::LeaseLost.into()) }
            }
            Write::RequestCancelIfRunning(id, attempt) => self.request_cancel(id, attempt),
            Write::RenewLeases(worker, executions, until) => Ok(self.renew_leases(worker, &executions, until)),
            Write::CallBack(action, key, now) => Ok(self.call_back(action, key.as_deref(), now)),
            Write::SlowDown(action, until) => Ok(self.slow_down(action, until)),
            Write::EndPause(action) => Ok(self.end_pause(action)),
            Write::ForgetPace(action) => Ok(self.forget_pace(action)),
            Write::AddIdempotencyKey(key) => self.add_idempotency_key(*key),
            Write::SetSecretIfCurrent(secret) => self.set_secret(*secret),
            Write::ResealSecretIfCurrent(secret) => self.reseal_secret(*secret),
            Write::RemoveSecretIfUnused(name, version) => self.remove_secret(&name, version),
            Write::AddToken(token) => self.add_token(*token),
            Write::RemoveToken(id) => self.remove_token(id),
            Write::AppendSealIfNext(seal, leaves) => self.append_seal(*seal, leaves),
            Write::SetTriggers(action, rows) => self.set_triggers(action, rows),
            Write::FireIfDue(fire) => self.fire(&fire),
            Write::UseTrigger(action, identity, most) => self.use_trigger(action, identity, most),
            Write::RestartIfLast(action, identity, before, new) => self.restart((action, identity), before, new),
            Write::AddItemKeys(action, keys) => self.add_item_keys(action, keys),
            Write::SetValues(action, changes) => Ok(self.set_values(action, changes)),
            Write::PutConsumer(consumer, position) => self.put_consumer(*consumer, position),
            Write::RemoveConsumer(name) => self.remove_consumer(name),
            Write::Acknowledge(name, position) => self.acknowledge(&name, position),
            Write::MoveCursorIf(name, from, to) => self.move_cursor(name, from, to),
        }
    }

    fn append_seal(&mut self, seal: Seal, leaves: Bytes) -> Result<Undo, CommitError> {
        if !seal.follows(self.last_seal()) {
            return Err(Conflict::NotNextSeal.into());
        }
        let sequence = seal.sequence;
        self.seals.insert(sequence, (seal, leaves));
        Ok(Box::new(move |state| drop(state.seals.remove(&sequence))))
    }

    fn add_protocol(&mut self, protocol: Protocol, component: Bytes) -> Result<Undo, CommitError> {
        let key = pin_key(&protocol.pin());
        if self.protocols.contains_key(&key) {
            return Err(Conflict::VersionExists.into());
        }
        if self.removed_protocols.get(&key).is_some_and(|digest| *digest != protocol.digest) {
            return Err(Conflict::VersionWasOther.into());
        }
        self.put_protocol(Arc::new(protocol), component);
        Ok(Box::new(move |state| drop(state.take_protocol(&key))))
    }

    fn remove_protocol(&mut self, pin: &Pin) -> Result<Undo, CommitError> {
        let key = pin_key(pin);
        if !self.protocols.contains_key(&key) {
            return Err(Conflict::NotFound.into());
        }
        if let Some(by) = self.user_of(&key) {
            return Err(Conflict::InUse { by }.into());
        }
        let taken = self.take_protocol(&key);
        let removed = taken.as_ref().map(|(protocol, _)| (key.clone(), protocol.digest));
        let remembered = self.removed_protocols.contains_key(&key);
        self.removed_protocols.extend(removed);
        Ok(Box::new(move |state| {
            if !remembered {
                state.removed_protocols.remove(&key);
            }
            if let Some((protocol, component)) = taken {
                state.put_protocol(protocol, component);
            }
        }))
    }

    /// What still needs a protocol: the first action by name, else the oldest execution.
    fn user_of(&self, key: &PinKey) -> Option<String> {
        if let Some(name) = self.actions_on.get(key).and_then(|names| names.first()) {
            return Some(name.to_string());
        }
        let oldest = ExecutionId::from_uuid(Uuid::nil());
        let (found, id) = self.open_executions_on.range((key.clone(), oldest)..).next()?;
        (found == key).then(|| id.to_string())
    }

    fn add_action(&mut self, action: Action) -> Result<Undo, CommitError> {
        if self.actions.contains_key(&action.spec.name) {
            return Err(Conflict::NameTaken.into());
        }
        let (id, revision) = (action.id, action.revision);
        if self.names_of.contains_key(&id) || self.revisions.contains_key(&(id, revision)) {
            return Err(used_twice(id));
        }
        self.has_secrets_of(&action)?;
        let action = Arc::new(action);
        self.revisions.insert((id, revision), Arc::clone(&action));
        self.put_action(action);
        Ok(Box::new(move |state| {
            state.take_action(id);
            state.revisions.remove(&(id, revision));
        }))
    }

    fn add_revision(&mut self, action: Action) -> Result<Undo, CommitError> {
        let (id, revision) = (action.id, action.revision);
        let current = self.action(id).ok_or(Conflict::NotFound)?.revision;
        if current.checked_add(1) != Some(revision) {
            return Err(Conflict::RevisionMismatch { current }.into());
        }
        if self.actions.get(&action.spec.name).is_some_and(|other| other.id != id) {
            return Err(Conflict::NameTaken.into());
        }
        self.has_secrets_of(&action)?;
        let action = Arc::new(action);
        self.revisions.insert((id, revision), Arc::clone(&action));
        let old = self.put_action(action);
        Ok(Box::new(move |state| {
            state.revisions.remove(&(id, revision));
            old.map(|old| state.put_action(old));
        }))
    }

    fn remove_action(&mut self, id: ActionId, revision: u32) -> Result<Undo, CommitError> {
        let current = self.action(id).ok_or(Conflict::NotFound)?.revision;
        if current != revision {
            return Err(Conflict::RevisionMismatch { current }.into());
        }
        let old = self.take_action(id);
        let triggers = self.triggers.replace(id, Vec::new());
        let (keys, values) = (self.item_keys.remove(&id), self.values.remove(&id));
        Ok(Box::new(move |state| {
            old.map(|old| state.put_action(old));
            state.triggers.replace(id, triggers);
            state.item_keys.extend(keys.map(|keys| (id, keys)));
            state.values.extend(values.map(|values| (id, values)));
        }))
    }

    fn add_execution(&mut self, execution: Execution) -> Result<Undo, CommitError> {
        let id = execution.id;
        if self.executions.contains_key(&id) {
            return Err(used_twice(id));
        }
        self.put_execution(execution);
        Ok(Box::new(move |state| drop(state.take_execution(id))))
    }

    fn update_if_leased(&mut self, execution: Execution, lease: Lease) -> Result<Undo, CommitError> {
        if !self.holds(execution.id, lease) {
            return Err(Conflict::LeaseLost.into());
        }
        let to_stop = self.executions.get(&execution.id).is_some_and(|stored| stored.cancel_requested);
        if to_stop && !execution.heeds_cancel() {
            return Err(Conflict::CancelRequested.into());
        }
        Ok(self.replace(execution))
    }

    fn holds(&self, id: ExecutionId, lease: Lease) -> bool {
        self.executions.get(&id).is_some_and(|stored| {
            let same = |stored: Lease| stored.worker == lease.worker && stored.attempt == lease.attempt;
            stored.status == Status::Running && stored.lease.is_some_and(same)
        })
    }

    fn update_if_status(&mut self, execution: Execution, status: Status, attempt: u32) -> Result<Undo, CommitError> {
        let believed = |stored: &Execution| stored.status == status && stored.attempt == attempt;
        if self.executions.get(&execution.id).is_some_and(believed) {
            Ok(self.replace(execution))
        } else {
            Err(Conflict::StatusMismatch.into())
        }
    }

    fn request_cancel(&mut self, id: ExecutionId, attempt: u32) -> Result<Undo, CommitError> {
        let running = |stored: &&Execution| stored.status == Status::Running && stored.attempt == attempt;
        let stored = self.executions.get(&id).filter(running).ok_or(Conflict::StatusMismatch)?;
        Ok(self.replace(Execution { cancel_requested: true, ..stored.clone() }))
    }

    fn renew_leases(&mut self, worker: WorkerId, executions: &[ExecutionId], until: Timestamp) -> Undo {
        let running = executions.iter().filter_map(|id| self.executions.get(id));
        let renewed: Vec<Execution> = running
            .filter_map(|execution| {
                let lease = execution.lease.filter(|lease| lease.worker == worker && lease.until < until)?;
                Some(Execution { lease: Some(Lease { until, ..lease }), ..execution.clone() })
            })
            .collect();
        self.replace_all(renewed)
    }

    fn call_back(&mut self, action: ActionId, key: Option<&str>, now: Timestamp) -> Undo {
        let nil = ExecutionId::from_uuid(Uuid::nil());
        let max = ExecutionId::from_uuid(Uuid::max());
        let aside = self.aside_of.range((action, nil)..=(action, max)).filter_map(|(_, id)| self.executions.get(id));
        let with_key = |execution: &&Execution| key.is_some() && execution.turn.ordering_key.as_deref() == key;
        let mut called: Vec<&Execution> = aside.clone().take(CALLED_BACK_MAX as usize).collect();
        called.extend(aside.filter(with_key).take(1));
        let called = called.into_iter().map(|execution| {
            let mut execution = execution.clone();
            execution.turn.aside = false;
            execution.run_at = execution.run_at.map(|run_at| run_at.min(now));
            execution
        });
        let called = called.collect();
        self.replace_all(called)
    }

    fn slow_down(&mut self, action: ActionId, until: Timestamp) -> Undo {
        let old = self.pauses.get(&action).copied();
        self.pauses.insert(action, old.map_or(until, |old| old.max(until)));
        Box::new(move |state| {
            match old {
                Some(old) => state.pauses.insert(action, old),
                None => state.pauses.remove(&action),
            };
        })
    }

    fn end_pause(&mut self, action: ActionId) -> Undo {
        let old = self.pauses.remove(&action);
        Box::new(move |state| state.pauses.extend(old.map(|old| (action, old))))
    }

    fn forget_pace(&mut self, action: ActionId) -> Undo {
        let old = self.paces.remove(&action);
        Box::new(move |state| state.paces.extend(old.map(|old| (action, old))))
    }

    fn add_idempotency_key(&mut self, key: IdempotencyKey) -> Result<Undo, CommitError> {
        let place = (key.action, Arc::clone(&key.key));
        let live = |used: &&IdempotencyKey| used.created_at.plus(IDEMPOTENCY_KEY_FOR) > key.created_at;
        if let Some(used) = self.idempotency_keys.get(&place).filter(live) {
            return Err(Conflict::KeyUsed(Box::new(used.clone())).into());
        }
        let old = self.idempotency_keys.insert(place.clone(), key);
        Ok(Box::new(move |state| {
            state.idempotency_keys.remove(&place);
            state.idempotency_keys.extend(old.map(|old| (place, old)));
        }))
    }

    fn add_token(&mut self, token: Token) -> Result<Undo, CommitError> {
        let id = token.id;
        if self.tokens.contains_key(&id) {
            return Err(used_twice(id));
        }
        self.tokens.insert(id, Arc::new(token));
        Ok(Box::new(move |state| drop(state.tokens.remove(&id))))
    }

    fn remove_token(&mut self, id: TokenId) -> Result<Undo, CommitError> {
        let old = self.tokens.remove(&id).ok_or(Conflict::NotFound)?;
        Ok(Box::new(move |state| drop(state.tokens.insert(id, old))))
    }

    fn replace_all(&mut self, executions: Vec<Execution>) -> Undo {
        let undos: Vec<Undo> = executions.into_iter().map(|execution| self.replace(execution)).collect();
        Box::new(move |state| undos.into_iter().rev().for_each(|undo| undo(state)))
    }

    fn replace(&mut self, execution: Execution) -> Undo {
        let id = execution.id;
        // What changed is another thing to offer.
        let offered = self.offered.remove(&id);
        let old = self.put_execution(execution);
        Box::new(move |state| {
            old.map(|old| state.put_execution(old));
            state.offered.extend(offered.map(|offered| (id, offered)));
        })
    }
}

/// Ids are new by contract; one that is not is a defect of the caller, not a conflict.
fn used_twice(id: impl std::fmt::Display) -> CommitError {
    StoreUnavailable(format!("the id {id} is there already")).into()
}
