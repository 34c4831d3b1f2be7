//! Keeps what listens to events within the reach of whoever saves it.
//!
//! An event is the input of the action that it sets off. So whoever is limited to actions would read
//! all others by a trigger on theirs, if they could save one.

use crate::{Engine, EngineError};
use action_domain::{
    event::EventType,
    failure::Issue,
    id::ActionId,
    repositories::ActionKey,
    trigger::{EventTrigger, Trigger},
};

impl Engine {
    /// What is wrong with the event triggers of a limited caller; the pointers are into the action. A trigger
    /// that stands there already was somebody's wish who could have it. A new one listens to one action within
    /// reach, and by its id from then on: a name may be another action's in a moment.
    pub(crate) async fn confine(
        &self,
        triggers: &mut [Trigger],
        standing: &[Trigger],
        reach: Option<&[ActionId]>,
    ) -> Result<Vec<Issue>, EngineError> {
        let Some(reach) = reach else { return Ok(Vec::new()) };
        let mut issues = Vec::new();
        for (index, trigger) in triggers.iter_mut().enumerate() {
            if standing.contains(trigger) {
                continue;
            }
            if let Trigger::Event(event) = trigger {
                let found = self.confine_one(event, reach).await?;
                issues.extend(found.into_iter().map(|issue| issue.below(&format!("/triggers/{index}"))));
            }
        }
        Ok(issues)
    }

    async fn confine_one(&self, event: &mut EventTrigger, reach: &[ActionId]) -> Result<Vec<Issue>, EngineError> {
        let of_none = |(index, of): (usize, &EventType)| {
            let message = format!("`{}` is about no action, and the token is limited to actions", of.as_str());
            (!of.is_of_actions()).then(|| Issue::new(format!("/types/{index}"), "token_limited", message))
        };
        let mut issues: Vec<Issue> = event.types.iter().enumerate().filter_map(of_none).collect();
        match &event.action {
            None => {
                let message = "the token is limited to actions: name the one whose events are meant";
                issues.push(Issue::new("/action", "token_limited", message));
            }
            Some(text) => {
                if let Some(id) = self.within(text, reach).await? {
                    event.action = Some(id.to_string());
                } else {
                    // What is out of reach and what is not there look the same.
                    let message = format!("there is no action `{text}` within the token's reach");
                    issues.push(Issue::new("/action", "action_not_found", message));
                }
            }
        }
        Ok(issues)
    }

    async fn within(&self, text: &str, reach: &[ActionId]) -> Result<Option<ActionId>, EngineError> {
        let id = match text.parse() {
            Ok(id) => Some(id),
            Err(_) => match text.parse() {
                Ok(name) => self.reader().action(&ActionKey::Name(name)).await?.map(|action| action.id),
                Err(_) => None,
            },
        };
        Ok(id.filter(|id| reach.contains(id)))
    }
}
