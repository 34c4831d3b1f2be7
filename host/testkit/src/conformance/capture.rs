//! What actions captured: items once each, and values.

use crate::World;
use action_domain::{
    capture::{KEY_BYTES_MAX, STATE_BYTES_MAX, Values},
    id::ActionId,
    repositories::{CommitError, Conflict, Store, UnitOfWork, Write},
    services::Random,
};
use bytes::Bytes;
use std::{collections::BTreeMap, sync::Arc};

async fn added(w: &World, name: &str) -> ActionId {
    let action = w.action(name, "http@1.0.0");
    w.write(Write::AddAction(Box::new(action.clone()))).await;
    action.id
}

fn keys(texts: &[&str]) -> Vec<Arc<str>> {
    texts.iter().map(|text| Arc::from(*text)).collect()
}

fn captured(action: ActionId, texts: &[&str]) -> UnitOfWork {
    UnitOfWork::new().write(Write::AddItemKeys(action, keys(texts)))
}

/// Of each action for itself; with whatever key.
pub async fn an_item_is_captured_once(store: Arc<dyn Store>) {
    let w = World::new(store);
    let (one, other) = (added(&w, "a").await, added(&w, "b").await);
    let long = "ü".repeat(KEY_BYTES_MAX / 2);
    let odd = ["https://example.com/?a=1#x", "ключ \u{0} 🔑", "a", "A", " a", &long];
    w.commit(captured(one, &odd).event(w.any_event())).await;
    let known = async |action, texts: &[&str]| w.store.captured_keys(action, &keys(texts)).await.unwrap();
    let mut expected = keys(&odd);
    expected.sort_unstable();
    let mut found = known(one, &[&odd[..], &["new", "a ", ""]].concat()).await;
    found.sort_unstable();
    assert_eq!(found, expected);
    assert!(known(other, &odd).await.is_empty());
    assert!(known(one, &[]).await.is_empty());
    assert!(known(w.random.action_id(), &odd).await.is_empty());
    for again in [&["new", "a"][..], &["a", "new"], &["new", "new"]] {
        let unit = captured(one, again).event(w.any_event());
        assert_eq!(w.refused(unit).await, Conflict::ItemKnown, "{again:?}");
        assert!(known(one, &["new"]).await.is_empty(), "what is refused is not known");
    }
    let twice = captured(one, &["x", "y"]).write(Write::AddItemKeys(one, keys(&["z", "y"])));
    assert_eq!(w.refused(twice).await, Conflict::ItemKnown, "within a unit too");
    w.commit(captured(one, &["x"]).write(Write::AddItemKeys(one, keys(&["y"])))).await;
    w.commit(captured(other, &odd)).await;
    w.commit(captured(other, &[])).await;
    assert_eq!(w.log().await.len(), 1);
    // A revision is the same action.
    let action = w.store.action_revision(one, 1).await.unwrap().unwrap();
    w.write(Write::AddRevisionIfCurrent(Box::new(w.revised(&action)))).await;
    assert_eq!(w.refused(captured(one, &["a"])).await, Conflict::ItemKnown);
}

/// As many as an attempt may hold back.
pub async fn many_items_are_captured_at_once(store: Arc<dyn Store>) {
    let w = World::new(store);
    let action = added(&w, "a").await;
    let many: Vec<Arc<str>> = (0..10_000).map(|n| format!("https://example.com/entries/{n}").into()).collect();
    w.write(Write::AddItemKeys(action, many.clone())).await;
    let mut found = w.store.captured_keys(action, &many).await.unwrap();
    found.sort_unstable();
    let mut expected = many.clone();
    expected.sort_unstable();
    assert_eq!(found, expected);
    let again = UnitOfWork::new().write(Write::AddItemKeys(action, many[9_999..].to_vec()));
    assert_eq!(w.refused(again).await, Conflict::ItemKnown);
}

/// Executions that capture the same: each item comes once.
pub async fn of_many_who_capture_an_item_one_does(store: Arc<dyn Store>) {
    let w = World::new(store);
    let (one, other) = (added(&w, "a").await, added(&w, "b").await);
    for round in 0..5 {
        let mut tasks = Vec::new();
        for number in 0..12 {
            // In either order: nobody waits in a ring.
            let mut writes = [one, other].map(|action| Write::AddItemKeys(action, keys(&[&format!("k{round}")])));
            if number % 2 == 0 {
                writes.reverse();
            }
            let unit = UnitOfWork { writes: writes.to_vec(), events: vec![w.any_event()] };
            let store = w.store.clone();
            tasks.push(tokio::spawn(async move { store.commit(unit).await }));
        }
        let mut won = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => won += 1,
                Err(error) => assert!(matches!(error, CommitError::Conflict(Conflict::ItemKnown)), "{error}"),
            }
        }
        assert_eq!(won, 1);
    }
    assert_eq!(w.log().await.len(), 5);
}

/// Set, replaced and removed, of each action for itself.
pub async fn values_are_kept_until_they_are_changed(store: Arc<dyn Store>) {
    let w = World::new(store);
    let (one, other) = (added(&w, "a").await, added(&w, "b").await);
    let set = |changes: &[(&str, Option<&'static [u8]>)]| {
        let changes = changes.iter().map(|(key, value)| ((*key).to_owned(), value.map(Bytes::from_static)));
        Write::SetValues(one, changes.collect())
    };
    let kept = async || w.store.values(one).await.unwrap();
    let expected = |values: &[(&str, &'static [u8])]| -> Values {
        values.iter().map(|(key, value)| ((*key).to_owned(), Bytes::from_static(value))).collect()
    };
    assert!(kept().await.is_empty());
    w.write(set(&[("etag", Some(b"\"1\"")), ("ключ \u{0}", Some(&[0, 255])), ("empty", Some(b"")), ("none", None)]))
        .await;
    let first = expected(&[("etag", b"\"1\""), ("ключ \u{0}", &[0, 255]), ("empty", b"")]);
    assert_eq!(kept().await, first);
    assert!(w.store.values(other).await.unwrap().is_empty());
    let refused = UnitOfWork::new()
        .write(set(&[("etag", Some(b"\"2\"")), ("empty", None), ("new", Some(b"n"))]))
        .write(Write::RemoveConsumer("none".parse().unwrap()));
    assert_eq!(w.refused(refused).await, Conflict::NotFound);
    assert_eq!(kept().await, first);
    let unit = UnitOfWork::new().write(set(&[("etag", Some(b"\"2\"")), ("empty", None)])).write(set(&[
        ("etag", Some(b"\"3\"")),
        ("empty", Some(b"again")),
        ("ключ \u{0}", None),
    ]));
    w.commit(unit).await;
    assert_eq!(kept().await, expected(&[("etag", b"\"3\""), ("empty", b"again")]));
    let large: BTreeMap<_, _> = [("large".to_owned(), Some(Bytes::from(vec![7; STATE_BYTES_MAX])))].into();
    w.write(Write::SetValues(one, large.clone())).await;
    assert_eq!(kept().await.get("large"), large["large"].as_ref());
    w.write(Write::SetValues(one, BTreeMap::new())).await;
    assert_eq!(kept().await.len(), 3);
}
