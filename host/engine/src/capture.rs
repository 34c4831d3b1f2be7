//! Keeps what executions capture: items that are new, and the values of the action, in one unit with a
//! checkpoint or with the outcome.

use crate::{Engine, EngineError, arm::Armed, dispatch_action::context_of};
use action_domain::{
    capture::{Captured, Item, Values},
    event::{Event, Fact, ItemContent, NewEvent},
    execution::{Execution, Lease},
    id::ActionId,
    payload::Payload,
    repositories::{CommitError, Conflict, StoreUnavailable, UnitOfWork, Write},
    services::Capturing,
};
use async_trait::async_trait;
use std::{collections::HashSet, sync::Arc};

/// How often a unit is made anew when another execution of the action captured the same at the same time.
pub(crate) const TRIES: usize = 20;

/// Items that are new, and what has to be written for them.
pub(crate) struct Kept {
    writes: Vec<Write>,
    events: Vec<NewEvent>,
}

impl Kept {
    /// Puts it into a unit, the events behind those that are there.
    pub(crate) fn put_into(&self, unit: &mut UnitOfWork) {
        unit.writes.extend(self.writes.iter().cloned());
        unit.events.extend(self.events.iter().cloned());
    }

    /// How many items are new.
    fn items(&self) -> u32 {
        u32::try_from(self.events.len()).unwrap_or(u32::MAX)
    }
}

impl Engine {
    /// What is new of what an execution captured. Where another one captures the same meanwhile, the
    /// unit is refused with [`Conflict::ItemKnown`].
    pub(crate) async fn new_of(&self, execution: &Execution, captured: &Captured) -> Result<Kept, StoreUnavailable> {
        let mut kept = Kept { writes: Vec::new(), events: Vec::new() };
        let keys: Vec<Arc<str>> = captured.items.iter().filter_map(|item| item.key.clone()).collect();
        let known =
            if keys.is_empty() { Vec::new() } else { self.reader().captured_keys(execution.action, &keys).await? };
        let mut known: HashSet<Arc<str>> = known.into_iter().collect();
        let is_new = |item: &&Item| item.key.as_ref().is_none_or(|key| known.insert(key.clone()));
        let new: Vec<&Item> = captured.items.iter().filter(is_new).collect();
        let keys: Vec<Arc<str>> = new.iter().filter_map(|item| item.key.clone()).collect();
        if !keys.is_empty() {
            kept.writes.push(Write::AddItemKeys(execution.action, keys));
        }
        if !captured.values.is_empty() {
            kept.writes.push(Write::SetValues(execution.action, captured.values.clone()));
        }
        for Item { key, kind, content } in new {
            let (content, apart) = Payload::recorded(content);
            kept.writes.extend(apart.map(|(digest, bytes)| Write::AddPayload(digest, bytes)));
            let fact = Fact::ItemCaptured { kind: kind.clone(), key: key.clone(), content };
            kept.events.push(self.event(context_of(execution, None), &fact));
        }
        Ok(kept)
    }

    /// The information of an `item_captured` event.
    ///
    /// # Errors
    /// [`EngineError::Internal`] where the event is damaged.
    pub async fn item_content(&self, event: &Event) -> Result<Payload, EngineError> {
        let data: ItemContent = serde_json::from_str(event.data.get())
            .map_err(|error| EngineError::Internal(format!("event {}: {error}", event.id)))?;
        self.payload(&data.content).await
    }

    /// Keeps what an attempt captures.
    pub(crate) fn keeper(&self, execution: &Execution, lease: Lease, armed: &Arc<Armed>) -> Arc<dyn Capturing> {
        Arc::new(Keeper { engine: self.clone(), execution: execution.clone(), lease, armed: armed.clone() })
    }

    /// The values that an action keeps, for whoever looks after it.
    pub(crate) async fn values_of(&self, action: ActionId) -> Result<Values, StoreUnavailable> {
        self.reader().values(action).await
    }
}

/// Keeps what one attempt captures, as long as it has its lease.
struct Keeper {
    engine: Engine,
    execution: Execution,
    lease: Lease,
    armed: Arc<Armed>,
}

#[async_trait]
impl Capturing for Keeper {
    async fn values(&self) -> Result<Values, StoreUnavailable> {
        self.engine.values_of(self.execution.action).await
    }

    async fn checkpoint(&self, captured: Captured) -> Result<u32, StoreUnavailable> {
        let captured = self.armed.clean_captured(captured);
        for _ in 0..TRIES {
            let kept = self.engine.new_of(&self.execution, &captured).await?;
            let mut unit = UnitOfWork::new().write(Write::RequireLease(self.execution.id, self.lease));
            kept.put_into(&mut unit);
            match self.engine.store().commit(unit).await {
                Ok(_) => return Ok(kept.items()),
                Err(CommitError::Conflict(Conflict::ItemKnown)) => {}
                Err(error) => return Err(StoreUnavailable(error.to_string())),
            }
        }
        Err(StoreUnavailable("other executions of the action capture the same items all the time".to_owned()))
    }
}
