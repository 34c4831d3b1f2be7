//! Makes, changes and removes actions.

use crate::{
    Engine, EngineError, RefusedMove,
    arm::{missing_issues, missing_of_triggers},
    upgrade_protocol::issues_of_widening,
};
use action_domain::{
    action::{Action, ActionSpec},
    actor::Actor,
    event::{Context, Fact},
    failure::Issue,
    id::ActionId,
    limits::ISSUES_MAX,
    protocol::{Kind, Pin, Protocol, Reference},
    repositories::{ActionKey, CommitError, Conflict, UnitOfWork, Write},
    trigger::{self, Standing},
    upgrade::{Comparison, PowerChange},
};
use std::{collections::BTreeMap, sync::Arc};

/// An action as it was saved.
#[derive(Debug, Clone)]
pub struct SavedAction {
    /// The revision that is current now.
    pub action: Arc<Action>,
    /// Whether it is the first.
    pub created: bool,
    /// What the protocol wants known about the config.
    pub warnings: Vec<Issue>,
    /// How what it may do differs from the revision before.
    pub changes: Option<Box<PowerChange>>,
}

/// Whoever saves an action.
#[derive(Debug, Clone, Copy)]
pub struct Editor<'a> {
    /// For the record.
    pub actor: &'a Actor,
    /// The only actions whose events it may listen to; all where none.
    pub reach: Option<&'a [ActionId]>,
}

impl<'a> Editor<'a> {
    /// One who reaches all actions.
    pub const fn unlimited(actor: &'a Actor) -> Self {
        Self { actor, reach: None }
    }
}

/// What the caller expects to be there before a save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Whatever there is.
    Anything,
    /// Nothing: the action is to be new.
    Nothing,
    /// This revision.
    Revision(u32),
}

/// Which version of its protocol an action has after a save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// The one that it has, whatever newer ones there are.
    AsItIs,
    /// The one that it has, as long as that fits what the document names; else the best one that does. So
    /// whoever puts the same document again, by the hour perhaps, moves nothing.
    IfItFits,
    /// The best one that fits what the document names.
    AsNamed,
}

/// What becomes of a save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is the current revision from then on.
    Yes,
    /// Nothing is written and nothing is recorded: somebody wants to know what would be.
    No,
}

/// How often a change that expects nothing in particular is tried when others change the same.
pub(crate) const TRIES: usize = 20;

impl Engine {
    /// The id of an action, as one that is called often knows it.
    pub async fn action_id(&self, key: &ActionKey) -> Result<ActionId, EngineError> {
        match key {
            ActionKey::Id(id) => Ok(*id),
            ActionKey::Name(_) => Ok(self.ready(key).await?.action.id),
        }
    }

    /// The current revision of an action.
    pub async fn action(&self, key: &ActionKey) -> Result<Arc<Action>, EngineError> {
        self.reader().action(key).await?.ok_or(EngineError::NotFound("action"))
    }

    /// Makes an action.
    pub async fn create_action(&self, spec: ActionSpec, by: Editor<'_>) -> Result<SavedAction, EngineError> {
        self.make(spec, Kept::Yes, by).await
    }

    async fn make(&self, spec: ActionSpec, kept: Kept, by: Editor<'_>) -> Result<SavedAction, EngineError> {
        let mut spec = spec;
        let issues = self.confine(&mut spec.triggers, &[], by.reach).await?;
        let checked = self.check(&spec, None, None, issues).await?;
        let now = self.now();
        let action = Action {
            id: self.inner.parts.random.action_id(),
            revision: 1,
            protocol: checked.protocol.pin(),
            transforms: checked.transforms,
            effect: checked.accepted.effect,
            spec,
            created_at: now,
            updated_at: now,
        };
        let fact = Fact::ActionCreated { name: action.spec.name.clone(), protocol: action.protocol.clone() };
        let unit = UnitOfWork::new()
            .write(Write::AddAction(Box::new(action.clone())))
            .write(Write::SetTriggers(action.id, standings_of(&action)))
            .event(self.event_by(by.actor, context_of(&action), &fact));
        // Somebody may have asked for the name before, and another action may have had it.
        self.keep(unit, &action, kept, Outdated::by(None, Some(&action), Vec::new())).await?;
        Ok(SavedAction { action: Arc::new(action), created: true, warnings: checked.accepted.warnings, changes: None })
    }

    /// Replaces an action, or makes it where `key` is a free name, as far as `expected` allows.
    pub async fn put_action(
        &self,
        key: &ActionKey,
        spec: ActionSpec,
        expected: Expected,
        by: Editor<'_>,
    ) -> Result<SavedAction, EngineError> {
        self.put(key, spec, expected, Kept::Yes, by).await
    }

    /// What [`Self::put_action`] would do, with every refusal that can be known before; nothing is kept. The
    /// id of an action that is not there yet is not the one that it will have.
    pub async fn try_action(
        &self,
        key: &ActionKey,
        spec: ActionSpec,
        expected: Expected,
        by: Editor<'_>,
    ) -> Result<SavedAction, EngineError> {
        self.put(key, spec, expected, Kept::No, by).await
    }

    async fn put(
        &self,
        key: &ActionKey,
        spec: ActionSpec,
        expected: Expected,
        kept: Kept,
        by: Editor<'_>,
    ) -> Result<SavedAction, EngineError> {
        let mut tries = TRIES;
        loop {
            tries -= 1;
            let current = self.reader().action(key).await?;
            let saved = match (&current, key, expected) {
                (Some(current), _, Expected::Nothing) => {
                    return Err(EngineError::RevisionMismatch { current: current.revision });
                }
                (Some(current), _, Expected::Revision(believed)) => {
                    return self.revise(current, spec, Some(believed), Version::IfItFits, kept, by).await;
                }
                (Some(current), _, Expected::Anything) => {
                    self.revise(current, spec.clone(), None, Version::IfItFits, kept, by).await
                }
                (None, ActionKey::Name(name), Expected::Nothing | Expected::Anything) => {
                    if *name != spec.name {
                        let message = format!("a new action at `{name}` has to bear this name");
                        return Err(EngineError::Invalid(vec![Issue::new("/name", "name_mismatch", message)]));
                    }
                    self.make(spec.clone(), kept, by).await
                }
                _ => return Err(EngineError::NotFound("action")),
            };
            match saved {
                // Somebody else was quicker, and whoever expects nothing in particular does not mind.
                Err(EngineError::RevisionMismatch { .. } | EngineError::NotFound(_)) if tries > 0 => {}
                Err(EngineError::Conflict { code: "name_taken", .. }) if tries > 0 && current.is_none() => {}
                other => return other,
            }
        }
    }

    /// Makes the next revision of what was read as `current`, if that is still the current one.
    pub async fn change_action(
        &self,
        current: &Action,
        spec: ActionSpec,
        version: Version,
        by: Editor<'_>,
    ) -> Result<SavedAction, EngineError> {
        self.revise(current, spec, Some(current.revision), version, Kept::Yes, by).await
    }

    async fn revise(
        &self,
        current: &Action,
        spec: ActionSpec,
        if_match: Option<u32>,
        version: Version,
        keep: Kept,
        by: Editor<'_>,
    ) -> Result<SavedAction, EngineError> {
        if let Some(believed) = if_match.filter(|believed| *believed != current.revision) {
            tracing::debug!(believed, current = current.revision, "engine.save_action.revision_mismatch");
            return Err(EngineError::RevisionMismatch { current: current.revision });
        }
        let stays = match version {
            Version::AsItIs => true,
            Version::IfItFits => spec.protocol.parse().is_ok_and(|named: Reference| named.fits(&current.protocol)),
            Version::AsNamed => false,
        };
        let kept = stays.then_some(&current.protocol);
        let transforms = (version != Version::AsNamed).then_some(&current.transforms);
        let mut spec = spec;
        let issues = self.confine(&mut spec.triggers, &current.spec.triggers, by.reach).await?;
        let checked = match self.check(&spec, kept, transforms, issues).await {
            Err(EngineError::Invalid(issues)) => return Err(self.refused(current, &spec, kept, issues).await?),
            checked => checked?,
        };
        let action = Action {
            id: current.id,
            revision: current.revision + 1,
            protocol: checked.protocol.pin(),
            transforms: checked.transforms,
            effect: checked.accepted.effect,
            spec,
            created_at: current.created_at,
            updated_at: self.now(),
        };
        let widened = self.widened(current, &action, &checked.protocol).await?;
        if !widened.is_empty() {
            let issues = issues_of_widening(&widened, &checked.protocol);
            return Err(self.refused(current, &action.spec, kept, issues).await?);
        }
        let old_protocol = self.protocol(&current.protocol).await?;
        let changes = PowerChange::of((current, &old_protocol), (&action, &checked.protocol)).map(Box::new);
        let (name, protocol) = (action.spec.name.clone(), action.protocol.clone());
        let fact = Fact::ActionUpdated { name, protocol, changes: changes.clone() };
        let before = self.reader().triggers_of(current.id).await?;
        if keep == Kept::Yes {
            // What a wrong clock has put off is not carried over.
            self.put_right(current, &before).await?;
        }
        let mut unit = UnitOfWork::new()
            .write(Write::AddRevisionIfCurrent(Box::new(action.clone())))
            .write(Write::SetTriggers(action.id, standings_of(&action)))
            // What was counted or asked for by mistake is put right by a save, and by nothing else.
            .write(Write::EndPause(action.id))
            .event(self.event_by(by.actor, context_of(&action), &fact));
        if action.spec.delivery.rate != current.spec.delivery.rate {
            unit = unit.write(Write::ForgetPace(action.id));
        }
        self.keep(unit, &action, keep, Outdated::by(Some(current), Some(&action), before)).await?;
        Ok(SavedAction { action: Arc::new(action), created: false, warnings: checked.accepted.warnings, changes })
    }

    /// Commits a save, or looks at what the commit would refuse.
    async fn keep(&self, unit: UnitOfWork, action: &Action, kept: Kept, outdated: Outdated) -> Result<(), EngineError> {
        if kept == Kept::Yes {
            return self.commit_and(unit, outdated.told()).await.map_err(refused(action));
        }
        let missing = self.missing_secrets(&action.spec.config).await?;
        if !missing.is_empty() {
            return Err(EngineError::Invalid(missing.into_iter().map(|issue| issue.below("/config")).collect()));
        }
        for standing in standings_of(action) {
            let Some(path) = standing.path else { continue };
            if self.reader().webhook_at(&path).await?.is_some_and(|other| other.action != action.id) {
                return Err(Conflict::PathTaken(path).into());
            }
        }
        match self.reader().action(&ActionKey::Name(action.spec.name.clone())).await? {
            Some(other) if other.id != action.id => Err(refused(action)(CommitError::Conflict(Conflict::NameTaken))),
            _ => Ok(()),
        }
    }

    /// The refusal of a document that is wrong: with how the versions differ, where it would have
    /// moved the action to another one.
    async fn refused(
        &self,
        current: &Action,
        spec: &ActionSpec,
        kept: Option<&Pin>,
        issues: Vec<Issue>,
    ) -> Result<EngineError, EngineError> {
        let moves = |to: &Arc<Protocol>| to.descriptor.name == current.protocol.name && to.pin() != current.protocol;
        let to = match kept {
            Some(_) => None,
            None => self.resolve(&spec.protocol).await?.ok().filter(moves),
        };
        let Some(to) = to else { return Ok(EngineError::Invalid(issues)) };
        let comparison = Comparison::of(&*self.protocol(&current.protocol).await?, &to);
        let refused = RefusedMove { from: current.protocol.clone(), to: to.pin(), issues, comparison };
        Ok(EngineError::MoveRefused(Box::new(refused)))
    }

    /// Removes an action. Its revisions stay readable, and what was accepted still runs.
    pub async fn remove_action(&self, key: &ActionKey, if_match: Option<u32>, by: &Actor) -> Result<(), EngineError> {
        let mut tries = TRIES;
        loop {
            tries -= 1;
            match self.remove_current(key, if_match, by).await {
                Err(EngineError::RevisionMismatch { .. }) if if_match.is_none() && tries > 0 => {}
                other => return other,
            }
        }
    }

    async fn remove_current(&self, key: &ActionKey, if_match: Option<u32>, by: &Actor) -> Result<(), EngineError> {
        let current = self.action(key).await?;
        let believed = if_match.unwrap_or(current.revision);
        let fact = Fact::ActionDeleted { name: current.spec.name.clone() };
        let unit = UnitOfWork::new().write(Write::RemoveActionIfCurrent(current.id, believed)).event(self.event_by(
            by,
            context_of(&current),
            &fact,
        ));
        let before = self.reader().triggers_of(current.id).await?;
        match self.commit_and(unit, Outdated::by(Some(&current), None, before).told()).await {
            Ok(()) => Ok(()),
            Err(CommitError::Conflict(Conflict::NotFound)) => Err(EngineError::NotFound("action")),
            Err(error) => Err(error.into()),
        }
    }

    /// Everything that is wrong with a spec, whoever saves it; it is saved nowhere.
    pub async fn check_action(&self, spec: &ActionSpec) -> Result<(), EngineError> {
        self.check(spec, None, None, Vec::new()).await.map(drop)
    }

    /// Everything that is wrong with a spec, beside the `issues` that were found already, or what was found
    /// out about it, under the protocol that is kept, or else that it names.
    async fn check(
        &self,
        spec: &ActionSpec,
        kept: Option<&Pin>,
        transforms: Option<&BTreeMap<String, Pin>>,
        mut issues: Vec<Issue>,
    ) -> Result<Checked, EngineError> {
        issues.extend(spec.check());
        issues.extend(self.inner.parts.limits.check(&spec.limits));
        issues.extend(self.trigger_secret_issues(&spec.triggers).await?);
        let transforms = self.check_expressions(spec, transforms, &mut issues).await?;
        let found = match kept {
            Some(pin) => Ok(self.protocol(pin).await?),
            None => self.resolve(&spec.protocol).await?,
        };
        let protocol = match found {
            Ok(protocol) => protocol,
            Err(issue) => {
                issues.push(issue);
                return Err(EngineError::Invalid(issues));
            }
        };
        let accepted = match self.accept_config(&protocol, &spec.config).await? {
            Ok(accepted) => accepted,
            Err(found) => {
                issues.extend(found);
                issues.truncate(ISSUES_MAX);
                return Err(EngineError::Invalid(issues));
            }
        };
        if issues.is_empty() {
            Ok(Checked { protocol, transforms, accepted })
        } else {
            Err(EngineError::Invalid(issues))
        }
    }

    /// The protocol that an action names.
    async fn resolve(&self, text: &str) -> Result<Result<Arc<Protocol>, Issue>, EngineError> {
        let reference: Reference = match text.parse() {
            Ok(reference) => reference,
            Err(error) => return Ok(Err(Issue::new("/protocol", "invalid_reference", format!("{error}")))),
        };
        let mut versions = self.protocol_versions(&reference.name).await?;
        let there = versions.len();
        versions.retain(|version| version.kind == Kind::Protocol);
        if versions.is_empty() && there > 0 {
            let message = format!("`{}` is a transform and no protocol", reference.name);
            return Ok(Err(Issue::new("/protocol", "not_a_protocol", message)));
        }
        let chosen = reference.choose(versions.iter().map(|protocol| &protocol.descriptor.version)).cloned();
        let protocol = versions.iter().find(|protocol| Some(&protocol.descriptor.version) == chosen.as_ref());
        Ok(protocol.cloned().ok_or_else(|| {
            let message = if versions.is_empty() {
                format!("there is no protocol `{}`", reference.name)
            } else {
                let there: Vec<String> = versions.iter().map(|p| p.descriptor.version.to_string()).collect();
                format!("no version of `{}` fits; there are {}", reference.name, there.join(", "))
            };
            Issue::new("/protocol", "protocol_not_found", message)
        }))
    }
}

struct Checked {
    protocol: Arc<Protocol>,
    transforms: BTreeMap<String, Pin>,
    accepted: action_domain::services::Accepted,
}

/// What is not so any more once a save is written.
struct Outdated {
    action: Option<ActionId>,
    keys: Vec<ActionKey>,
    paths: Vec<String>,
    triggers: Vec<Standing>,
}

impl Outdated {
    /// By a save that puts `new` in the place of `old`, which has these triggers.
    fn by(old: Option<&Action>, new: Option<&Action>, triggers: Vec<Standing>) -> Self {
        let saves = || old.into_iter().chain(new);
        let names = saves().map(|action| ActionKey::Name(action.spec.name.clone()));
        Self {
            action: old.map(|old| old.id),
            keys: names.chain(old.map(|old| ActionKey::Id(old.id))).collect(),
            paths: saves().flat_map(standings_of).filter_map(|standing| standing.path).collect(),
            triggers,
        }
    }

    fn told(self) -> impl FnOnce(&Engine, bool) {
        move |engine, written| {
            engine.inner.cache.current.forget(&self.keys);
            engine.inner.cache.hooks.forget(&self.paths);
            if let Some(action) = self.action {
                engine.inner.pauses.end(action);
            }
            if written {
                engine.triggers_changed(&self.triggers);
            }
        }
    }
}

fn context_of(action: &Action) -> Context {
    Context { action: Some(action.id), revision: Some(action.revision), ..Context::default() }
}

/// The rows of an action's triggers, as this save has them. What is known of those that stay the store
/// carries over, or what happens between a read and the save would be lost.
fn standings_of(action: &Action) -> Vec<Standing> {
    trigger::standings(action.id, &action.spec.triggers, action.spec.enabled, action.updated_at)
}

fn refused(action: &Action) -> impl FnOnce(CommitError) -> EngineError {
    let (name, config) = (action.spec.name.clone(), action.spec.config.clone());
    let triggers = action.spec.triggers.clone();
    move |error| match error {
        // It went between the check and the save.
        CommitError::Conflict(Conflict::SecretMissing(secret)) => {
            let issues = missing_issues(&config, &[&secret].into()).into_iter().map(|issue| issue.below("/config"));
            EngineError::Invalid(issues.chain(missing_of_triggers(&triggers, &[&secret].into())).collect())
        }
        CommitError::Conflict(Conflict::NameTaken) => {
            EngineError::Conflict { code: "name_taken", message: format!("another action is called `{name}`") }
        }
        CommitError::Conflict(Conflict::NotFound) => EngineError::NotFound("action"),
        error => error.into(),
    }
}
