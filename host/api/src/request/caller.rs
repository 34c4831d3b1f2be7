//! Whoever calls, as the guard knows them. What is not within their reach is not there for them:
//! they are not told of it, and not that it exists.

use crate::{
    ApiState, Principal,
    error::{Answer, Problem},
    request::path::action_key,
};
use action_domain::{
    actor::Actor,
    event::{Event, Position},
    execution::Execution,
    id::{ActionId, ExecutionId},
    repositories::{ActionKey, EventFilter, ExecutionFilter, Page, StoreUnavailable},
};
use action_engine::{Editor, EngineError};
use axum::extract::FromRequestParts;
use http::request::Parts;

/// Whoever calls. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Caller(Principal);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Answer<Self> {
        Self::of(parts)
    }
}

impl Caller {
    pub(crate) fn new(principal: Principal) -> Self {
        Self(principal)
    }

    /// Of a request that the guard let pass.
    pub(crate) fn of(parts: &Parts) -> Answer<Self> {
        // A route without a guard has no callers to ask for.
        parts.extensions.get().cloned().ok_or_else(Problem::internal)
    }

    /// Who it is, for the record.
    pub(crate) fn actor(&self) -> &Actor {
        &self.0.actor
    }

    /// Who saves an action.
    pub(crate) fn editor(&self) -> Editor<'_> {
        Editor { actor: self.actor(), reach: self.limited_to() }
    }

    /// Whether they are still known, for an answer that takes long.
    pub(crate) async fn is_known(&self, state: &ApiState) -> Result<bool, EngineError> {
        state.auth().knows(&self.0).await
    }

    /// The only actions within reach; `None` for all.
    pub(crate) fn limited_to(&self) -> Option<&[ActionId]> {
        self.0.reach.as_deref()
    }

    /// Whether an action is within reach.
    pub(crate) fn reaches(&self, action: ActionId) -> bool {
        self.0.reaches(action)
    }

    /// An action by id or name, if it is within reach.
    pub(crate) async fn action(&self, state: &ApiState, text: &str) -> Answer<ActionKey> {
        let key = action_key(text)?;
        if self.limited_to().is_none() {
            return Ok(key);
        }
        // By its id from here on: its name may be another one's in a moment.
        let id = state.engine().action_id(&key).await?;
        if self.reaches(id) { Ok(ActionKey::Id(id)) } else { Err(Problem::not_found("action")) }
    }

    /// Refuses an execution of an action that is out of reach.
    pub(crate) async fn check_execution(&self, state: &ApiState, id: ExecutionId) -> Answer<()> {
        if self.limited_to().is_none() {
            return Ok(());
        }
        let execution = state.engine().reader().execution(id).await?;
        match execution {
            Some(execution) if self.reaches(execution.action) => Ok(()),
            _ => Err(Problem::not_found("execution")),
        }
    }

    /// A page of executions within reach, the newest first.
    pub(crate) async fn executions(
        &self,
        state: &ApiState,
        filter: &ExecutionFilter,
        page: Page<ExecutionId>,
    ) -> Result<Vec<Execution>, StoreUnavailable> {
        let reader = state.engine().reader();
        let Some(actions) = self.wanted(filter.action) else { return reader.executions(filter, page).await };
        let mut found = Vec::new();
        for action in actions {
            let of_one = ExecutionFilter { action: Some(action), ..filter.clone() };
            found.extend(reader.executions(&of_one, page).await?);
        }
        // Of each action as many as the page has at most: no other one can come before these.
        found.sort_by_key(|execution| std::cmp::Reverse(execution.id));
        found.truncate(page.limit as usize);
        Ok(found)
    }

    /// A page of events of actions within reach, by position. Of several actions it ends where the log did
    /// before it was read: each is read in its turn, and what is committed between two of them would
    /// else be passed by, where it is of the first one and stands before what is found of the second.
    pub(crate) async fn events(
        &self,
        state: &ApiState,
        filter: &EventFilter,
        page: Page<Position>,
    ) -> Result<Vec<Event>, StoreUnavailable> {
        let reader = state.engine().reader();
        let Some(actions) = self.wanted(filter.action) else { return reader.events(filter, page).await };
        let end = reader.last_position().await?;
        let mut found = Vec::new();
        for action in actions {
            let of_one = EventFilter { action: Some(action), ..filter.clone() };
            found.extend(reader.events(&of_one, page).await?);
        }
        found.retain(|event: &Event| event.position <= end);
        found.sort_by_key(|event| event.position);
        found.truncate(page.limit as usize);
        Ok(found)
    }

    /// Of a limited caller, the actions to look at where one is asked for, or any.
    pub(crate) fn wanted(&self, asked: Option<ActionId>) -> Option<Vec<ActionId>> {
        let actions = self.limited_to()?;
        Some(match asked {
            None => actions.to_vec(),
            Some(action) => actions.iter().copied().filter(|own| *own == action).collect(),
        })
    }
}

#[cfg(test)]
mod tests;
