//! Reading, each query over its index.

use crate::{
    Follow, MemoryStore,
    state::{State, pin_key, status_key},
};
use action_domain::{
    action::Action,
    capture::Values,
    consumer::StandingConsumer,
    digest::Digest,
    event::{Event, EventType, Position},
    execution::{Execution, Status, WorkerId},
    id::{ActionId, ExecutionId, TokenId},
    limits::PAGE_ITEMS_MAX,
    name::Name,
    protocol::{Pin, Protocol},
    repositories::{
        ActionFilter, ActionKey, EventFilter, ExecutionFilter, IdempotencyKey, Page, Positions, Reader,
        StoreUnavailable,
    },
    secret::Secret,
    time::Timestamp,
    token::Token,
    trigger::{Standing, StandingKind},
};
use async_trait::async_trait;
use bytes::Bytes;
use std::{
    collections::BTreeSet,
    ops::Bound::{Excluded, Included, Unbounded},
    sync::Arc,
};
use uuid::Uuid;

#[async_trait]
impl Reader for MemoryStore {
    async fn protocol(&self, pin: &Pin) -> Result<Option<Arc<Protocol>>, StoreUnavailable> {
        Ok(self.read().protocols.get(&pin_key(pin)).cloned())
    }

    async fn protocol_versions(&self, name: &Name) -> Result<Vec<Arc<Protocol>>, StoreUnavailable> {
        let state = self.read();
        let from = (name.clone(), String::new());
        let of_name = state.protocols.range(from..).take_while(|((other, _), _)| other == name);
        let mut versions: Vec<_> = of_name.map(|(_, protocol)| Arc::clone(protocol)).collect();
        versions.sort_by(|a, b| b.descriptor.version.cmp(&a.descriptor.version));
        versions.truncate(PAGE_ITEMS_MAX as usize);
        Ok(versions)
    }

    async fn protocols(&self, page: Page<Pin>) -> Result<Vec<Arc<Protocol>>, StoreUnavailable> {
        let from = page.after.as_ref().map_or(Unbounded, |pin| Excluded(pin_key(pin)));
        let state = self.read();
        let rest = state.protocols.range((from, Unbounded)).take(page.limit as usize);
        Ok(rest.map(|(_, protocol)| Arc::clone(protocol)).collect())
    }

    async fn protocols_with(&self, digest: &Digest) -> Result<Vec<Arc<Protocol>>, StoreUnavailable> {
        let state = self.read();
        let keys = state.protocols_with.get(digest).into_iter().flatten();
        Ok(keys.filter_map(|key| state.protocols.get(key).cloned()).take(PAGE_ITEMS_MAX as usize).collect())
    }

    async fn component(&self, digest: &Digest) -> Result<Option<Bytes>, StoreUnavailable> {
        Ok(self.read().components.get(digest).cloned())
    }

    async fn action(&self, key: &ActionKey) -> Result<Option<Arc<Action>>, StoreUnavailable> {
        let state = self.read();
        Ok(match key {
            ActionKey::Id(id) => state.action(*id).cloned(),
            ActionKey::Name(name) => state.actions.get(name).cloned(),
        })
    }

    async fn action_revision(&self, id: ActionId, revision: u32) -> Result<Option<Arc<Action>>, StoreUnavailable> {
        Ok(self.read().revisions.get(&(id, revision)).cloned())
    }

    async fn actions(&self, filter: &ActionFilter, page: Page<Name>) -> Result<Vec<Arc<Action>>, StoreUnavailable> {
        let from = page.after.map_or(Unbounded, Excluded);
        let state = self.read();
        // Actions are few: a walk by name does.
        let rest = state.actions.range((from, Unbounded)).map(|(_, action)| action);
        Ok(rest.filter(|action| filter.matches(action)).take(page.limit as usize).cloned().collect())
    }

    async fn execution(&self, id: ExecutionId) -> Result<Option<Execution>, StoreUnavailable> {
        Ok(self.read().executions.get(&id).cloned())
    }

    async fn executions(
        &self,
        filter: &ExecutionFilter,
        page: Page<ExecutionId>,
    ) -> Result<Vec<Execution>, StoreUnavailable> {
        let state = self.read();
        let limit = page.limit as usize;
        Ok(match (filter.action, filter.status) {
            (Some(action), _) => {
                let ids = newest_first(&state.executions_of, action, page.after);
                state.pick(ids, filter, limit)
            }
            (None, Some(status)) => {
                let ids = newest_first(&state.executions_that_are, status_key(status), page.after);
                state.pick(ids, filter, limit)
            }
            (None, None) => {
                let to = page.after.map_or(Unbounded, Excluded);
                let ids = state.executions.range((Unbounded, to)).rev().map(|(id, _)| *id);
                state.pick(ids, filter, limit)
            }
        })
    }

    async fn abandoned(
        &self,
        now: Timestamp,
        except: Option<WorkerId>,
        limit: u32,
    ) -> Result<Vec<Execution>, StoreUnavailable> {
        let state = self.read();
        let running = state.leased_until.iter().filter_map(|(_, id)| state.executions.get(id));
        let lost = |execution: &&Execution| {
            let of_another = |worker| except.is_some_and(|except| worker != except);
            execution.lease.is_some_and(|lease| lease.until < now || of_another(lease.worker))
        };
        Ok(running.filter(lost).take(limit as usize).cloned().collect())
    }

    async fn expired(&self, now: Timestamp, limit: u32) -> Result<Vec<Execution>, StoreUnavailable> {
        let state = self.read();
        let ids = state.expire_at.iter().take_while(|(end, _)| *end <= now).map(|(_, id)| id);
        let queued = ids.filter_map(|id| state.executions.get(id)).filter(|execution| execution.attempt == 0);
        Ok(queued.take(limit as usize).cloned().collect())
    }

    async fn to_cancel(&self, worker: WorkerId) -> Result<Vec<ExecutionId>, StoreUnavailable> {
        let state = self.read();
        let running = state.leased_until.iter().filter_map(|(_, id)| state.executions.get(id));
        let wanted = |execution: &&Execution| {
            execution.cancel_requested && execution.lease.is_some_and(|lease| lease.worker == worker)
        };
        Ok(running.filter(wanted).map(|execution| execution.id).collect())
    }

    async fn idempotency_key(&self, action: ActionId, key: &str) -> Result<Option<IdempotencyKey>, StoreUnavailable> {
        Ok(self.read().idempotency_keys.get(&(action, key.into())).cloned())
    }

    async fn token(&self, id: TokenId) -> Result<Option<Arc<Token>>, StoreUnavailable> {
        Ok(self.read().tokens.get(&id).cloned())
    }

    async fn tokens(&self, page: Page<TokenId>) -> Result<Vec<Arc<Token>>, StoreUnavailable> {
        let to = page.after.map_or(Unbounded, Excluded);
        let state = self.read();
        Ok(state
            .tokens
            .range((Unbounded, to))
            .rev()
            .take(page.limit as usize)
            .map(|(_, token)| token.clone())
            .collect())
    }

    async fn has_sent(&self, execution: ExecutionId, attempt: u32) -> Result<bool, StoreUnavailable> {
        let filter = EventFilter {
            types: vec![EventType::AttemptSending],
            execution: Some(execution),
            ..EventFilter::default()
        };
        let sent = self.read().log.select(&filter, 0, usize::MAX);
        Ok(sent.iter().any(|event| event.context.attempt == Some(attempt)))
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreUnavailable> {
        Ok(self.read().due_at.first().map(|(run_at, _)| *run_at))
    }

    async fn paused_until(&self, action: ActionId) -> Result<Option<Timestamp>, StoreUnavailable> {
        Ok(self.read().pauses.get(&action).copied())
    }

    async fn events(&self, filter: &EventFilter, page: Page<Position>) -> Result<Vec<Event>, StoreUnavailable> {
        Ok(self.read().log.select(filter, page.after.unwrap_or(0), page.limit as usize))
    }

    async fn event_of(&self, execution: ExecutionId, r#type: EventType) -> Result<Option<Event>, StoreUnavailable> {
        Ok(self.read().log.of(execution, r#type))
    }

    async fn payload(&self, digest: &Digest) -> Result<Option<Bytes>, StoreUnavailable> {
        Ok(self.read().payloads.get(digest).cloned())
    }

    async fn secrets_named(&self, names: &[Name]) -> Result<Vec<Arc<Secret>>, StoreUnavailable> {
        Ok(self.read().secrets_named(names))
    }

    async fn secrets(&self, page: Page<Name>) -> Result<Vec<Arc<Secret>>, StoreUnavailable> {
        Ok(self.read().secrets_page(page))
    }

    async fn webhook_at(&self, path: &str) -> Result<Option<Standing>, StoreUnavailable> {
        Ok(self.read().triggers.at(path).cloned())
    }

    async fn triggers_of(&self, action: ActionId) -> Result<Vec<Standing>, StoreUnavailable> {
        Ok(self.read().triggers.of(action))
    }

    async fn triggers(
        &self,
        kind: StandingKind,
        page: Page<(ActionId, u32)>,
    ) -> Result<Vec<Standing>, StoreUnavailable> {
        Ok(self.read().triggers.of_kind(kind, page))
    }

    async fn due_schedules(&self, now: Timestamp, limit: u32) -> Result<Vec<Standing>, StoreUnavailable> {
        Ok(self.read().triggers.due(now, limit))
    }

    async fn next_schedule(&self) -> Result<Option<Timestamp>, StoreUnavailable> {
        Ok(self.read().triggers.next_due())
    }

    async fn captured_keys(&self, action: ActionId, keys: &[Arc<str>]) -> Result<Vec<Arc<str>>, StoreUnavailable> {
        Ok(self.read().captured_keys(action, keys))
    }

    async fn values(&self, action: ActionId) -> Result<Values, StoreUnavailable> {
        Ok(self.read().values.get(&action).cloned().unwrap_or_default())
    }

    async fn consumer(&self, name: &Name) -> Result<Option<StandingConsumer>, StoreUnavailable> {
        Ok(self.read().consumers.get(name).cloned())
    }

    async fn consumers(&self, page: Page<Name>) -> Result<Vec<StandingConsumer>, StoreUnavailable> {
        Ok(self.read().consumers_page(page))
    }

    async fn cursor(&self, name: &str) -> Result<Option<Position>, StoreUnavailable> {
        Ok(self.read().cursors.get(name).copied())
    }

    async fn cursors(&self, page: Page<Arc<str>>) -> Result<Vec<(Arc<str>, Position)>, StoreUnavailable> {
        let state = self.read();
        let from = page.after.map_or(Unbounded, Excluded);
        let cursors = state.cursors.range((from, Unbounded)).take(page.limit as usize);
        Ok(cursors.map(|(name, position)| (name.clone(), *position)).collect())
    }

    async fn last_position(&self) -> Result<Position, StoreUnavailable> {
        Ok(self.read().log.last_position())
    }

    fn follow(&self) -> Box<dyn Positions> {
        Box::new(Follow(self.positions.subscribe()))
    }
}

impl State {
    fn pick(&self, ids: impl Iterator<Item = ExecutionId>, filter: &ExecutionFilter, limit: usize) -> Vec<Execution> {
        let matching = |execution: &&Execution| {
            filter.action.is_none_or(|action| execution.action == action)
                && filter.status.is_none_or(|status: Status| execution.status == status)
                && filter.since.is_none_or(|since| execution.created_at >= since)
                && filter.until.is_none_or(|until| execution.created_at < until)
        };
        ids.filter_map(|id| self.executions.get(&id)).filter(matching).take(limit).cloned().collect()
    }
}

/// The ids under a key of an index, from the newest (or the one before `after`) to the oldest.
fn newest_first<K: Ord + Copy>(
    index: &BTreeSet<(K, ExecutionId)>,
    key: K,
    after: Option<ExecutionId>,
) -> impl Iterator<Item = ExecutionId> {
    let oldest = Included((key, ExecutionId::from_uuid(Uuid::nil())));
    let newest = match after {
        Some(after) => Excluded((key, after)),
        None => Included((key, ExecutionId::from_uuid(Uuid::max()))),
    };
    index.range((oldest, newest)).rev().map(|(_, id)| *id)
}
