//! Protocols and components.

use crate::World;
use action_domain::{
    digest::Digest,
    protocol::{Pin, Protocol},
    repositories::{Conflict, Page, Store, UnitOfWork, Write},
    services::Random,
};
use std::sync::Arc;

fn pins(protocols: &[Arc<Protocol>]) -> Vec<String> {
    protocols.iter().map(|protocol| protocol.pin().to_string()).collect()
}

fn remove(pin: &str) -> Write {
    Write::RemoveProtocolIfUnused(pin.parse().unwrap())
}

/// Whole, by each key.
pub async fn protocols_are_read_by_pin_name_and_digest(store: Arc<dyn Store>) {
    let w = World::new(store);
    let (protocol, component) = w.protocol("http@1.0.0-rc.1+build.5", b"\0asm");
    w.write(Write::AddProtocol(Box::new(protocol.clone()), component.clone())).await;
    assert_eq!(*w.store.protocol(&protocol.pin()).await.unwrap().unwrap(), protocol);
    assert_eq!(w.store.component(&protocol.digest).await.unwrap().unwrap(), component);
    let name = &protocol.descriptor.name;
    assert_eq!(*w.store.protocol_versions(name).await.unwrap()[0], protocol);
    assert_eq!(*w.store.protocols_with(&protocol.digest).await.unwrap()[0], protocol);
    for other in ["http@1.0.0-rc.1", "http@1.0.0", "htt@1.0.0-rc.1+build.5"] {
        assert!(w.store.protocol(&other.parse().unwrap()).await.unwrap().is_none(), "{other}");
    }
    assert!(w.store.protocols_with(&Digest::of(b"other")).await.unwrap().is_empty());
}

/// By semantic version, not by text.
pub async fn versions_come_newest_first(store: Arc<dyn Store>) {
    let w = World::new(store);
    for version in ["1.10.0", "1.9.0", "2.0.0-rc.1", "1.0.0", "2.0.0", "0.1.0", "2.0.0-rc.2"] {
        w.write(w.add_protocol(&format!("http@{version}"), b"c")).await;
    }
    w.write(w.add_protocol("http-two@3.0.0", b"c")).await;
    let versions = w.store.protocol_versions(&"http".parse().unwrap()).await.unwrap();
    assert_eq!(
        pins(&versions),
        ["2.0.0", "2.0.0-rc.2", "2.0.0-rc.1", "1.10.0", "1.9.0", "1.0.0", "0.1.0"].map(|v| format!("http@{v}"))
    );
}

/// Pages of each size give the same list.
pub async fn protocols_are_paged_by_name_and_version(store: Arc<dyn Store>) {
    let w = World::new(store);
    let mut all = ["b@1.0.0", "a@2.0.0", "a@10.0.0", "a-b@1.0.0", "c@1.0.0", "a@1.0.0", "aa@1.0.0"];
    for pin in all {
        w.write(w.add_protocol(pin, pin.as_bytes())).await;
    }
    all.sort_by_key(|pin| pin.split_once('@').map(|(name, version)| (name.to_owned(), version.to_owned())));
    for limit in 1..=8 {
        let mut found: Vec<String> = Vec::new();
        loop {
            let after = found.last().map(|pin| pin.parse::<Pin>().unwrap());
            let page = w.store.protocols(Page { after, limit }).await.unwrap();
            assert!(page.len() <= limit as usize);
            if page.is_empty() {
                break;
            }
            found.extend(pins(&page));
        }
        assert_eq!(found, all, "pages of {limit}");
    }
    let nowhere = Page { after: Some("aaa@0.0.0".parse().unwrap()), limit: 1 };
    assert_eq!(pins(&w.store.protocols(nowhere).await.unwrap()), ["b@1.0.0"], "after what is not there");
    assert!(w.store.protocols(Page { after: None, limit: 0 }).await.unwrap().is_empty());
}

/// Bytes are shared, and go with the last that has them.
pub async fn a_component_goes_with_its_last_protocol(store: Arc<dyn Store>) {
    let w = World::new(store);
    let digest = Digest::of(b"same");
    w.write(w.add_protocol("a@1.0.0", b"same")).await;
    w.write(w.add_protocol("b@1.0.0", b"same")).await;
    assert_eq!(pins(&w.store.protocols_with(&digest).await.unwrap()), ["a@1.0.0", "b@1.0.0"]);
    w.write(remove("a@1.0.0")).await;
    assert!(w.store.component(&digest).await.unwrap().is_some());
    assert_eq!(pins(&w.store.protocols_with(&digest).await.unwrap()), ["b@1.0.0"]);
    w.write(remove("b@1.0.0")).await;
    assert!(w.store.component(&digest).await.unwrap().is_none());
    assert!(w.store.protocols_with(&digest).await.unwrap().is_empty());
    assert_eq!(w.refused(UnitOfWork::new().write(remove("b@1.0.0"))).await, Conflict::NotFound);
    // It comes back as what it was, or not at all: old revisions and executions name it.
    let other = UnitOfWork::new().write(w.add_protocol("b@1.0.0", b"others"));
    assert_eq!(w.refused(other).await, Conflict::VersionWasOther);
    assert!(w.store.component(&Digest::of(b"others")).await.unwrap().is_none());
    for _ in 0..2 {
        w.write(w.add_protocol("b@1.0.0", b"same")).await;
        assert!(w.store.component(&digest).await.unwrap().is_some());
        w.write(remove("b@1.0.0")).await;
    }
}

/// By the current revision of an action, or by an execution that has not ended; by nothing else.
pub async fn a_protocol_in_use_is_not_removed(store: Arc<dyn Store>) {
    let w = World::new(store);
    for pin in ["http@1.0.0", "http@2.0.0"] {
        w.write(w.add_protocol(pin, pin.as_bytes())).await;
    }
    let action = w.action("a", "http@1.0.0");
    w.write(Write::AddAction(Box::new(action.clone()))).await;
    let in_use = |by: &str| Conflict::InUse { by: by.to_owned() };
    let try_it = || UnitOfWork::new().write(remove("http@1.0.0"));
    assert_eq!(w.refused(try_it()).await, in_use("a"));
    let mut moved = w.revised(&action);
    moved.protocol = "http@2.0.0".parse().unwrap();
    w.write(Write::AddRevisionIfCurrent(Box::new(moved))).await;
    let worker = w.random.uuid();
    let running = w.running(&action, worker);
    w.write(Write::AddExecution(Box::new(running.clone()))).await;
    assert_eq!(w.refused(try_it()).await, in_use(&running.id.to_string()));
    let waiting = w.waiting(&running);
    w.write(Write::UpdateExecutionIfLeased(Box::new(waiting.clone()), w.lease(worker, 1))).await;
    assert_eq!(w.refused(try_it()).await, in_use(&running.id.to_string()));
    let ended = w.succeeded(&waiting);
    w.write(Write::UpdateExecutionIfStatus(Box::new(ended), waiting.status, 1)).await;
    w.commit(try_it()).await;
    assert!(w.store.protocol(&"http@1.0.0".parse().unwrap()).await.unwrap().is_none());
    assert_eq!(w.refused(UnitOfWork::new().write(remove("http@2.0.0"))).await, in_use("a"));
}
