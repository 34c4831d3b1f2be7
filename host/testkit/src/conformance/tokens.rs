//! Tokens: there from their commit on, and gone from that of their removal on.

use crate::World;
use action_domain::{
    actor::Actor,
    digest::Digest,
    repositories::{CommitError, Conflict, Page, Store, UnitOfWork, Write},
    services::Random,
    token::{Scope, Scopes, Token},
};
use std::sync::Arc;

fn token(w: &World, name: &str) -> Token {
    Token {
        id: w.random.token_id(),
        name: name.into(),
        scopes: Scopes::of(&[Scope::Invoke, Scope::Read]),
        actions: Some([w.random.action_id(), w.random.action_id()].into()),
        digest: Digest::of(name.as_bytes()),
        created_at: w.now(),
        created_by: Actor::Subject("jürgen@example.com \u{0}".into()),
        expires_at: Some(w.now()),
    }
}

/// With all that it is, also when its time is over: that is for others to judge.
pub async fn a_token_comes_back_whole_until_it_is_removed(store: Arc<dyn Store>) {
    let w = World::new(store);
    let (one, other) = (token(&w, "one"), token(&w, "other"));
    assert!(w.store.token(one.id).await.unwrap().is_none());
    for token in [&one, &other] {
        w.write(Write::AddToken(Box::new(token.clone()))).await;
        assert_eq!(w.store.token(token.id).await.unwrap().as_deref(), Some(token));
    }
    let plain = Token { actions: None, expires_at: None, created_by: Actor::Admin, ..token(&w, "plain") };
    w.write(Write::AddToken(Box::new(plain.clone()))).await;
    assert_eq!(w.store.token(plain.id).await.unwrap().as_deref(), Some(&plain));
    w.write(Write::RemoveToken(one.id)).await;
    assert!(w.store.token(one.id).await.unwrap().is_none());
    assert!(w.store.token(other.id).await.unwrap().is_some(), "the others stay");
    assert_eq!(w.refused(UnitOfWork::new().write(Write::RemoveToken(one.id))).await, Conflict::NotFound);
}

/// A unit that is refused adds and removes none.
pub async fn tokens_of_a_refused_unit_are_as_before(store: Arc<dyn Store>) {
    let w = World::new(store);
    let (there, new) = (token(&w, "there"), token(&w, "new"));
    w.write(Write::AddToken(Box::new(there.clone()))).await;
    let missing = Write::RemoveToken(w.random.token_id());
    let unit = UnitOfWork::new().write(Write::AddToken(Box::new(new.clone()))).write(Write::RemoveToken(there.id));
    assert_eq!(w.refused(unit.write(missing)).await, Conflict::NotFound);
    assert!(w.store.token(there.id).await.unwrap().is_some());
    assert!(w.store.token(new.id).await.unwrap().is_none());
    let twice = w.store.commit(UnitOfWork::new().write(Write::AddToken(Box::new(there.clone())))).await;
    assert!(matches!(twice, Err(CommitError::Unavailable(_))), "{twice:?}");
    assert_eq!(w.store.token(there.id).await.unwrap().as_deref(), Some(&there));
}

/// The newest first.
pub async fn tokens_are_paged(store: Arc<dyn Store>) {
    let w = World::new(store);
    let mut all = Vec::new();
    for number in 0..7 {
        let token = token(&w, &format!("number {number}"));
        w.write(Write::AddToken(Box::new(token.clone()))).await;
        all.insert(0, token);
    }
    for limit in [1, 3, 7, 500] {
        let mut found: Vec<Arc<Token>> = Vec::new();
        loop {
            let page = Page { after: found.last().map(|token| token.id), limit };
            let page = w.store.tokens(page).await.unwrap();
            assert!(page.len() <= limit as usize);
            if page.is_empty() {
                break;
            }
            found.extend(page);
        }
        assert_eq!(
            found.iter().map(|token| &**token).collect::<Vec<_>>(),
            all.iter().collect::<Vec<_>>(),
            "by {limit}"
        );
    }
}
