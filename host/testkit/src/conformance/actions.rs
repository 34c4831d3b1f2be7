//! Actions and their revisions.

use crate::World;
use action_domain::{
    action::Action,
    name::Name,
    repositories::{ActionFilter, ActionKey, Page, Store, UnitOfWork, Write},
};
use std::sync::Arc;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

async fn by_name(w: &World, text: &str) -> Option<Arc<Action>> {
    w.store.action(&ActionKey::Name(name(text))).await.unwrap()
}

/// Whole, by each key.
pub async fn actions_are_read_by_id_and_name(store: Arc<dyn Store>) {
    let w = World::new(store);
    let action = w.action("notify", "http@1.0.0");
    w.write(Write::AddAction(Box::new(action.clone()))).await;
    assert_eq!(*by_name(&w, "notify").await.unwrap(), action);
    assert_eq!(*w.store.action(&ActionKey::Id(action.id)).await.unwrap().unwrap(), action);
    assert_eq!(*w.store.action_revision(action.id, 1).await.unwrap().unwrap(), action);
    assert!(w.store.action_revision(action.id, 2).await.unwrap().is_none());
    assert!(by_name(&w, "notif").await.is_none());
}

/// Of what is and of what was.
pub async fn revisions_stay_readable(store: Arc<dyn Store>) {
    let w = World::new(store);
    let mut revisions = vec![w.action("a", "http@1.0.0")];
    w.write(Write::AddAction(Box::new(revisions[0].clone()))).await;
    for number in 2..=5 {
        let mut next = w.revised(revisions.last().unwrap());
        next.spec.description = format!("revision {number}");
        w.write(Write::AddRevisionIfCurrent(Box::new(next.clone()))).await;
        assert_eq!(*by_name(&w, "a").await.unwrap(), next);
        revisions.push(next);
    }
    let id = revisions[0].id;
    w.write(Write::RemoveActionIfCurrent(id, 5)).await;
    assert!(by_name(&w, "a").await.is_none());
    assert!(w.store.action(&ActionKey::Id(id)).await.unwrap().is_none());
    for revision in revisions {
        let found = w.store.action_revision(id, revision.revision).await.unwrap().unwrap();
        assert_eq!(*found, revision);
    }
    assert!(w.store.actions(&ActionFilter::default(), Page { after: None, limit: 9 }).await.unwrap().is_empty());
}

/// After a deletion and after a change of name; two actions can change names in one unit.
pub async fn names_can_be_used_again(store: Arc<dyn Store>) {
    let w = World::new(store);
    let first = w.action("a", "http@1.0.0");
    w.write(Write::AddAction(Box::new(first.clone()))).await;
    w.write(Write::RemoveActionIfCurrent(first.id, 1)).await;
    let second = w.action("a", "http@1.0.0");
    w.write(Write::AddAction(Box::new(second.clone()))).await;
    let mut renamed = w.revised(&second);
    renamed.spec.name = name("b");
    w.write(Write::AddRevisionIfCurrent(Box::new(renamed.clone()))).await;
    assert!(by_name(&w, "a").await.is_none());
    assert_eq!(by_name(&w, "b").await.unwrap().id, second.id);
    let third = w.action("a", "http@1.0.0");
    w.write(Write::AddAction(Box::new(third.clone()))).await;
    assert_eq!(by_name(&w, "a").await.unwrap().id, third.id);
    let called = |action: &Action, text: &str| {
        let mut next = w.revised(action);
        next.spec.name = name(text);
        next
    };
    let (aside, to_a) = (called(&third, "c"), called(&renamed, "a"));
    let to_b = called(&aside, "b");
    let unit = [aside, to_a, to_b]
        .into_iter()
        .fold(UnitOfWork::new(), |unit, action| unit.write(Write::AddRevisionIfCurrent(Box::new(action))));
    w.commit(unit).await;
    assert_eq!(by_name(&w, "a").await.unwrap().id, second.id);
    assert_eq!(by_name(&w, "b").await.unwrap().id, third.id);
    assert!(by_name(&w, "c").await.is_none());
}

/// Every filter, alone and with the others, in pages of every size.
pub async fn actions_are_filtered_and_paged(store: Arc<dyn Store>) {
    let w = World::new(store);
    let mut all = Vec::new();
    for number in 0..24_u32 {
        // Names do not come in their order.
        let pin = if number % 3 == 0 { "smtp@1.0.0" } else { "http@1.0.0" };
        let mut action = w.action(&format!("a{}", number * 7 % 24), pin);
        action.spec.enabled = number % 2 == 0;
        let team = if number % 4 == 0 { "ops" } else { "dev" };
        action.spec.labels = [("team".into(), team.into()), ("täm".into(), "ö".into())].into();
        w.write(Write::AddAction(Box::new(action.clone()))).await;
        all.push(action);
    }
    all.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
    let labels = [None, Some(("team", "ops")), Some(("team", "dev")), Some(("team", "x")), Some(("täm", "ö"))];
    for protocol in [None, Some("http"), Some("smtp"), Some("ftp")] {
        for enabled in [None, Some(true), Some(false)] {
            for label in labels {
                let expected: Vec<&Action> = all
                    .iter()
                    .filter(|action| protocol.is_none_or(|name| action.protocol.name.as_str() == name))
                    .filter(|action| enabled.is_none_or(|enabled| action.spec.enabled == enabled))
                    .filter(|action| {
                        label.is_none_or(|(key, value)| action.spec.labels.get(key).is_some_and(|v| v == value))
                    })
                    .collect();
                let filter = ActionFilter {
                    protocol: protocol.map(name),
                    label: label.map(|(key, value)| (key.to_owned(), value.to_owned())),
                    enabled,
                };
                for limit in [1, 5, 24, 500] {
                    let mut found: Vec<Arc<Action>> = Vec::new();
                    loop {
                        let after = found.last().map(|action| action.spec.name.clone());
                        let page = w.store.actions(&filter, Page { after, limit }).await.unwrap();
                        assert!(page.len() <= limit as usize);
                        if page.is_empty() {
                            break;
                        }
                        found.extend(page);
                    }
                    assert_eq!(found.iter().map(|a| &**a).collect::<Vec<_>>(), expected, "{filter:?} by {limit}");
                }
            }
        }
    }
}

/// Labels of revisions that were, and of actions that are gone, find nothing.
pub async fn labels_follow_the_current_revision(store: Arc<dyn Store>) {
    let w = World::new(store);
    let mut action = w.action("a", "http@1.0.0");
    action.spec.labels = [("k".into(), "old".into())].into();
    w.write(Write::AddAction(Box::new(action.clone()))).await;
    let found = async |value: &str| {
        let filter = ActionFilter { label: Some(("k".into(), value.into())), ..ActionFilter::default() };
        w.store.actions(&filter, Page { after: None, limit: 10 }).await.unwrap().len()
    };
    assert_eq!((found("old").await, found("new").await), (1, 0));
    let mut next = w.revised(&action);
    next.spec.labels = [("k".into(), "new".into())].into();
    next.spec.name = name("z");
    w.write(Write::AddRevisionIfCurrent(Box::new(next))).await;
    assert_eq!((found("old").await, found("new").await), (0, 1));
    w.write(Write::RemoveActionIfCurrent(action.id, 2)).await;
    assert_eq!((found("old").await, found("new").await), (0, 0));
}
