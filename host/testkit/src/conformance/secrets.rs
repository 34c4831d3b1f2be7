//! Secrets, as they are kept, and what actions name.

use crate::World;
use action_domain::{
    action::Action,
    name::Name,
    repositories::{Conflict, Page, Store, UnitOfWork, Write},
    secret::{Sealed, Secret},
};
use serde_json::json;
use std::{sync::Arc, time::Duration};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn set(secret: &Secret) -> UnitOfWork {
    UnitOfWork::new().write(Write::SetSecretIfCurrent(Box::new(secret.clone())))
}

fn remove(text: &str, version: u32) -> UnitOfWork {
    UnitOfWork::new().write(Write::RemoveSecretIfUnused(name(text), version))
}

/// An action whose config names these secrets.
fn using(w: &World, text: &str, secrets: &[&str]) -> Action {
    let mut action = w.action(text, "http@1.0.0");
    action.spec.config = secrets.iter().map(|secret| (*secret, json!({"$secret": secret}))).collect();
    action
}

/// Whole, in pages of each size, and those of a list that are there.
pub async fn secrets_are_read_by_name_in_their_current_version(store: Arc<dyn Store>) {
    let w = World::new(store);
    let mut all = Vec::new();
    for text in ["b", "a", "a-b", "aa"] {
        let secret = w.secret(text, 1);
        w.commit(set(&secret)).await;
        all.push(secret);
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    w.clock.advance(Duration::from_secs(5));
    let next = Secret { created_at: all[0].created_at, ..w.secret("a", 2) };
    assert_ne!(next.updated_at, next.created_at);
    w.commit(set(&next)).await;
    all[0] = next;
    for limit in 1..=5 {
        let mut found: Vec<Secret> = Vec::new();
        loop {
            let after = found.last().map(|secret| secret.name.clone());
            let page = w.store.secrets(Page { after, limit }).await.unwrap();
            assert!(page.len() <= limit as usize);
            if page.is_empty() {
                break;
            }
            found.extend(page.iter().map(|secret| Secret::clone(secret)));
        }
        assert_eq!(found, all, "pages of {limit}");
    }
    let named = w.store.secrets_named(&["b", "none", "a"].map(name)).await.unwrap();
    assert_eq!(named.iter().map(|secret| Secret::clone(secret)).collect::<Vec<_>>(), [all[0].clone(), all[3].clone()]);
    assert!(w.store.secrets_named(&[]).await.unwrap().is_empty());
}

/// Each write believes in a version, and nothing happens where that does not hold.
pub async fn a_secret_is_set_version_by_version(store: Arc<dyn Store>) {
    let w = World::new(store);
    let wrong = |current| Conflict::RevisionMismatch { current };
    assert_eq!(w.refused(set(&w.secret("a", 2))).await, wrong(0));
    assert_eq!(w.refused(remove("a", 1)).await, Conflict::NotFound);
    w.commit(set(&w.secret("a", 1))).await;
    assert_eq!(w.refused(set(&w.secret("a", 1))).await, wrong(1));
    assert_eq!(w.refused(set(&w.secret("a", 3))).await, wrong(1));
    w.commit(set(&w.secret("a", 2))).await;
    let anew = |version| {
        let sealed = Sealed { key: "another".into(), ..w.secret("a", version).sealed };
        let secret = Secret { sealed, ..w.secret("a", version) };
        UnitOfWork::new().write(Write::ResealSecretIfCurrent(Box::new(secret)))
    };
    assert_eq!(w.refused(anew(1)).await, wrong(2));
    w.commit(anew(2)).await;
    let kept = w.store.secrets_named(&[name("a")]).await.unwrap();
    assert_eq!((&*kept[0].sealed.key, kept[0].version), ("another", 2));
    assert_eq!(w.refused(remove("a", 1)).await, wrong(2));
    w.commit(remove("a", 2)).await;
    assert!(w.store.secrets_named(&[name("a")]).await.unwrap().is_empty());
    assert_eq!(w.refused(anew(2)).await, wrong(0));
    // What was sealed for a version before would open in it again.
    for version in [1, 2, 4] {
        assert_eq!(w.refused(set(&w.secret("a", version))).await, wrong(2));
    }
    w.commit(set(&w.secret("a", 3))).await;
    w.commit(remove("a", 3)).await;
    // A unit that is refused takes nothing along.
    w.commit(set(&w.secret("a", 4))).await;
    let unit = remove("a", 4).write(Write::RemoveSecretIfUnused(name("none"), 1));
    assert_eq!(w.refused(unit).await, Conflict::NotFound);
    assert_eq!(w.store.secrets_named(&[name("a")]).await.unwrap()[0].version, 4);
    w.commit(remove("a", 4)).await;
    assert_eq!(w.refused(set(&w.secret("a", 4))).await, wrong(4));
    w.commit(set(&w.secret("b", 1))).await;
}

/// By the current revision of an action; the first ten are named.
pub async fn a_secret_in_use_is_not_removed(store: Arc<dyn Store>) {
    let w = World::new(store);
    for text in ["a", "b"] {
        w.commit(set(&w.secret(text, 1))).await;
    }
    let action = using(&w, "z", &["a", "b"]);
    w.write(Write::AddAction(Box::new(action.clone()))).await;
    let in_use = |by: &str| Conflict::InUse { by: by.to_owned() };
    assert_eq!(w.refused(remove("a", 1)).await, in_use("z"));
    // It may go in the same unit as its last user.
    let revised = Action { spec: using(&w, "y", &["b"]).spec, ..w.revised(&action) };
    let unit = UnitOfWork::new().write(Write::AddRevisionIfCurrent(Box::new(revised.clone())));
    w.commit(unit.write(Write::RemoveSecretIfUnused(name("a"), 1))).await;
    assert_eq!(w.refused(remove("b", 1)).await, in_use("y"));
    let mut names: Vec<String> = (0..11).map(|n| format!("user-{n:02}")).collect();
    for user in &names {
        w.write(Write::AddAction(Box::new(using(&w, user, &["b"])))).await;
    }
    names.truncate(10);
    assert_eq!(w.refused(remove("b", 1)).await, in_use(&names.join(", ")));
    w.write(Write::RemoveActionIfCurrent(revised.id, 2)).await;
    let named = w.store.secrets_named(&[name("b")]).await.unwrap();
    assert_eq!(named.len(), 1, "what is refused stays");
}

/// A save and a removal cannot pass each other.
pub async fn an_action_names_secrets_that_are_there(store: Arc<dyn Store>) {
    let w = World::new(store);
    w.commit(set(&w.secret("a", 1))).await;
    let add = |action: &Action| UnitOfWork::new().write(Write::AddAction(Box::new(action.clone())));
    let missing = Conflict::SecretMissing(name("b"));
    assert_eq!(w.refused(add(&using(&w, "x", &["a", "b", "c"]))).await, missing);
    let action = using(&w, "x", &["a"]);
    w.commit(add(&action)).await;
    let revised = Action { spec: using(&w, "x", &["b"]).spec, ..w.revised(&action) };
    let revise = UnitOfWork::new().write(Write::AddRevisionIfCurrent(Box::new(revised)));
    assert_eq!(w.refused(revise.clone()).await, missing);
    let both = UnitOfWork { writes: [set(&w.secret("b", 1)).writes, revise.writes].concat(), events: Vec::new() };
    w.commit(both).await;
    w.commit(remove("a", 1)).await;
}

/// What a webhook is proved with is there while the webhook is.
pub async fn an_action_names_secrets_in_its_triggers_too(store: Arc<dyn Store>) {
    let w = World::new(store);
    let webhook = |secret: &str| {
        let trigger = json!({"type": "webhook", "path": "p", "verify": {"scheme": "github", "secret": secret}});
        vec![serde_json::from_value(trigger).unwrap()]
    };
    let mut action = using(&w, "x", &["a"]);
    action.spec.triggers = webhook("b");
    w.commit(set(&w.secret("a", 1))).await;
    let add = |action: &Action| UnitOfWork::new().write(Write::AddAction(Box::new(action.clone())));
    assert_eq!(w.refused(add(&action)).await, Conflict::SecretMissing(name("b")));
    w.commit(set(&w.secret("b", 1))).await;
    w.commit(add(&action)).await;
    for text in ["a", "b"] {
        assert_eq!(w.refused(remove(text, 1)).await, Conflict::InUse { by: "x".into() });
    }
    let revise = |action: &Action| UnitOfWork::new().write(Write::AddRevisionIfCurrent(Box::new(action.clone())));
    let mut revised = w.revised(&action);
    revised.spec.triggers = webhook("c");
    assert_eq!(w.refused(revise(&revised)).await, Conflict::SecretMissing(name("c")));
    revised.spec.triggers = Vec::new();
    w.commit(revise(&revised)).await;
    w.commit(remove("b", 1)).await;
    assert_eq!(w.refused(remove("a", 1)).await, Conflict::InUse { by: "x".into() });
}
