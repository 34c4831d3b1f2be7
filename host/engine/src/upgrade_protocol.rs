//! What another version of a protocol changes, and what becomes of the actions that have an
//! earlier one. Nothing moves because of it: an action moves when it is saved.

use crate::{Engine, EngineError};
use action_domain::{
    action::Action,
    egress::Rule,
    failure::{Effect, Issue},
    id::ActionId,
    limits::{ISSUES_MAX, PAGE_ITEMS_MAX, UPGRADE_ACTIONS_MAX, UPGRADE_TIME_MAX},
    name::Name,
    protocol::{Pin, Protocol},
    repositories::{ActionFilter, Page},
    upgrade::{Comparison, widened_by_version},
};
use semver::Version;
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

/// What one version changes, seen from another.
#[derive(Debug, Clone)]
pub struct Upgrade {
    /// The version to compare with.
    pub from: Pin,
    /// The version that is looked at.
    pub to: Pin,
    /// How the two differ.
    pub comparison: Comparison,
    /// Actions that have an earlier version, and what this one says to them.
    pub actions: Vec<Prospect>,
    /// Whether there are more actions than were asked about.
    pub more: bool,
}

/// What a version says to an action that has another one.
#[derive(Debug, Clone)]
pub struct Prospect {
    /// The action.
    pub action: ActionId,
    /// Its name.
    pub name: Name,
    /// The version that it has.
    pub protocol: Pin,
    /// Why it would be refused; empty where it would not.
    pub issues: Vec<Issue>,
    /// What a repeat would do, where it would not be refused.
    pub effect: Option<Effect>,
}

impl Engine {
    /// Compares a version with `from`, or with the latest one before it, and asks it about the
    /// actions that have `from`, or any version before it.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] also where there is no version before it.
    pub async fn upgrade(&self, pin: &Pin, from: Option<Version>) -> Result<Upgrade, EngineError> {
        let to = self.protocol(pin).await?;
        let old = match &from {
            Some(version) => self.protocol(&Pin { name: pin.name.clone(), version: version.clone() }).await?,
            None => self.earlier_version(pin).await?.ok_or(EngineError::NotFound("earlier version"))?,
        };
        let concerned = |action: &Action| match &from {
            Some(version) => action.protocol.version == *version,
            None => action.protocol.version < pin.version,
        };
        let (actions, more) = self.prospects(&to, concerned).await?;
        let comparison = Comparison::of(&old, &to);
        Ok(Upgrade { from: old.pin(), to: pin.clone(), comparison, actions, more })
    }

    async fn earlier_version(&self, pin: &Pin) -> Result<Option<Arc<Protocol>>, EngineError> {
        let versions = self.reader().protocol_versions(&pin.name).await?;
        let earlier = versions.into_iter().filter(|protocol| protocol.descriptor.version < pin.version);
        Ok(earlier.max_by(|a, b| a.descriptor.version.cmp(&b.descriptor.version)))
    }

    /// Asks a version about the actions of its protocol that are concerned, as far as the limits
    /// reach.
    async fn prospects(
        &self,
        to: &Protocol,
        concerned: impl Fn(&Action) -> bool,
    ) -> Result<(Vec<Prospect>, bool), EngineError> {
        let filter = ActionFilter { protocol: Some(to.descriptor.name.clone()), ..ActionFilter::default() };
        let until = Instant::now() + UPGRADE_TIME_MAX;
        let (mut prospects, mut after) = (Vec::new(), None);
        loop {
            let page = Page { after: after.take(), limit: PAGE_ITEMS_MAX };
            let actions = self.reader().actions(&filter, page).await?;
            for action in actions.iter().filter(|action| concerned(action)) {
                if prospects.len() == UPGRADE_ACTIONS_MAX {
                    return Ok((prospects, true));
                }
                let Ok(prospect) = timeout_at(until, self.prospect(action, to)).await else {
                    return Ok((prospects, true));
                };
                prospects.push(prospect?);
            }
            match actions.last() {
                Some(last) if actions.len() == PAGE_ITEMS_MAX as usize => after = Some(last.spec.name.clone()),
                _ => return Ok((prospects, false)),
            }
        }
    }

    async fn prospect(&self, action: &Action, to: &Protocol) -> Result<Prospect, EngineError> {
        let (mut issues, mut effect) = (Vec::new(), None);
        match self.accept_config(to, &action.spec.config).await {
            Ok(Ok(accepted)) => {
                issues = issues_of_widening(&self.widened(action, action, to).await?, to);
                effect = issues.is_empty().then_some(accepted.effect);
            }
            Ok(Err(found)) => issues = found,
            Err(EngineError::ComponentBroken { code, message }) => issues.push(Issue::new("/config", code, message)),
            Err(error) => return Err(error),
        }
        issues.truncate(ISSUES_MAX);
        let (name, protocol) = (action.spec.name.clone(), action.protocol.clone());
        Ok(Prospect { action: action.id, name, protocol, issues, effect })
    }

    /// What an action may reach from now on only because of the version that it moves to.
    pub(crate) async fn widened(&self, old: &Action, new: &Action, to: &Protocol) -> Result<Vec<Rule>, EngineError> {
        if old.protocol == to.pin() {
            return Ok(Vec::new());
        }
        let old_protocol = self.protocol(&old.protocol).await?;
        Ok(widened_by_version(old, &old_protocol, new, to))
    }
}

/// Each value of the config that a version would make a grant of.
pub(crate) fn issues_of_widening(widened: &[Rule], to: &Protocol) -> Vec<Issue> {
    let issue = |rule: &Rule| {
        let ports = rule.ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let message = format!(
            "{} would let this be reached, which the version before it did not; if that is meant, \
             add {{\"host\": \"{}\", \"ports\": [{ports}]}} to grants.egress",
            to.pin(),
            rule.host
        );
        Issue::new(rule.from.clone(), "egress_widened", message)
    };
    widened.iter().map(issue).collect()
}
