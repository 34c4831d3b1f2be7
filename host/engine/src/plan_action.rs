//! Shows what an action would do with an input, without doing it.

use crate::{
    Engine, EngineError,
    dispatch_action::{Occurrence, input_issues},
};
use action_domain::{
    capture::{Captured, Item, Values},
    failure::ExecutionError,
    id::ActionId,
    payload::Payload,
    receipt::Receipt,
    repositories::{ActionKey, Store, StoreUnavailable},
    services::{Capturing, Entry, GuestTrigger, Journal, Plan, PlannedRequest},
};
use async_trait::async_trait;
use std::sync::{Arc, Mutex, PoisonError};

/// What an action would do.
#[derive(Debug)]
pub struct Planned {
    /// Requests that it would make. What it would make of the answers nobody knows: it is told that
    /// nothing is reached.
    pub requests: Vec<PlannedRequest>,
    /// Items that it would capture.
    pub items: Vec<Item>,
    /// What it did beside: lines of log, progress, denials.
    pub entries: Vec<Entry>,
    /// What it gave, or why nothing.
    pub result: Result<Payload, ExecutionError>,
    /// What it cost.
    pub receipt: Receipt,
}

impl Engine {
    /// Runs an action with a host that sends nothing and keeps nothing. Nothing is recorded, because
    /// nothing happens.
    ///
    /// # Errors
    /// [`EngineError::NotFound`], [`EngineError::InvalidInput`].
    pub async fn plan_action(&self, key: &ActionKey, input: Payload) -> Result<Planned, EngineError> {
        let ready = self.ready(key).await?;
        let issues = input_issues(&ready, &input);
        if !issues.is_empty() {
            return Err(EngineError::InvalidInput(issues));
        }
        let nothing = |error| Planned {
            requests: Vec::new(),
            items: Vec::new(),
            entries: Vec::new(),
            result: Err(error),
            receipt: Receipt::default(),
        };
        let armed = match self.arm(&ready).await {
            Ok(armed) => armed,
            Err(error) => return Ok(nothing(error)),
        };
        let given = match self.transformed_input(&ready, &GuestTrigger::Call, input.clone()).await {
            Ok(given) => given,
            Err(error) => return Ok(nothing(error)),
        };
        // Nothing waits for it and it waits for nothing: its order does not matter.
        let mut execution = self.new_execution(&ready, &Occurrence::noticed(GuestTrigger::Call, input), None);
        execution.begin_attempt(self.now());
        let journal = Arc::new(Journal::without(armed.secrets.clone()));
        let plan = Arc::new(Plan::without(armed.secrets.clone()));
        let mut request = self.attempt_request(&ready, &armed, &execution, GuestTrigger::Call, given, &journal);
        request.plan = Some(plan.clone());
        let (store, action) = (self.inner.parts.store.clone(), execution.action);
        let dry = Arc::new(Dry { store, action, captured: Mutex::default() });
        request.capturing = Some(dry.clone());
        let _permit = self.attempt_permit().await?;
        let report = armed.clean(self.inner.parts.runtime.run(request).await);
        let mut items = armed.clean_captured(dry.take()).items;
        items.extend(report.captured.items);
        Ok(Planned {
            requests: plan.take(),
            items,
            entries: journal.finish(),
            result: report.result.map(|outcome| outcome.output),
            receipt: report.receipt,
        })
    }
}

/// Shows what the action keeps, and keeps nothing.
struct Dry {
    store: Arc<dyn Store>,
    action: ActionId,
    captured: Mutex<Captured>,
}

impl Dry {
    fn take(&self) -> Captured {
        std::mem::take(&mut self.captured.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Capturing for Dry {
    async fn values(&self) -> Result<Values, StoreUnavailable> {
        self.store.values(self.action).await
    }

    async fn checkpoint(&self, captured: Captured) -> Result<u32, StoreUnavailable> {
        let new = u32::try_from(captured.items.len()).unwrap_or(u32::MAX);
        let mut kept = self.captured.lock().unwrap_or_else(PoisonError::into_inner);
        // What is shown is bounded like what an attempt may hold back at once.
        for item in captured.items {
            if kept.emit(item).is_err() {
                break;
            }
        }
        Ok(new)
    }
}
