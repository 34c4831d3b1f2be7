//! Built-in protocols that are on their way: large ones are prepared after the service is ready,
//! and whoever names one before waits for it.
//!
//! It stands apart from admission because it is about one process and is kept nowhere: what has
//! arrived is a protocol like any other.

use crate::Engine;
use action_domain::name::Name;
use std::{collections::BTreeMap, time::Duration};
use tokio::sync::watch;

/// Longest wait for a protocol that is being prepared: as long as it may take on a busy machine.
const PREPARED_WITHIN: Duration = Duration::from_mins(5);

/// How far a built-in protocol is that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expectation {
    /// It is prepared when others are, or when somebody wants it.
    Waiting,
    /// It is being compiled.
    Preparing,
    /// It did not become one, for this reason.
    Refused(String),
    /// Its component was not there when the binary was built.
    NotBuilt,
}

#[derive(Debug)]
struct Expected {
    state: Expectation,
    /// Its place in the order in which nobody asks for anything: small ones come first.
    bytes: u64,
    /// Whether somebody waits for it.
    wanted: bool,
}

/// Those that are expected, by name.
pub(crate) struct Expectations(watch::Sender<BTreeMap<Name, Expected>>);

impl Expectations {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(BTreeMap::new()))
    }

    fn set(&self, name: &Name, state: Expectation) {
        self.0.send_modify(|all| {
            if let Some(expected) = all.get_mut(name) {
                expected.state = state;
            }
        });
    }

    /// Marks a protocol as wanted, and waits until it is there or will not come. Whether there is a
    /// reason to look again.
    async fn want(&self, name: &Name) -> bool {
        let coming = |state: &Expectation| matches!(state, Expectation::Waiting | Expectation::Preparing);
        let wanted = self.0.send_if_modified(|all| match all.get_mut(name) {
            Some(expected) if coming(&expected.state) => {
                expected.wanted = true;
                true
            }
            _ => false,
        });
        if !wanted {
            return false;
        }
        let mut all = self.0.subscribe();
        let arrived = all.wait_for(|all| all.get(name).is_none_or(|expected| !coming(&expected.state)));
        matches!(tokio::time::timeout(PREPARED_WITHIN, arrived).await, Ok(Ok(all)) if !all.contains_key(name))
    }

    /// The next one to prepare, and that it is: one that is wanted, else the smallest where those
    /// that nobody wants are prepared too. Waits where there is none yet.
    async fn next(&self, unasked: bool) -> Option<Name> {
        let pick = |all: &BTreeMap<Name, Expected>| {
            let waiting = all.iter().filter(|(_, expected)| expected.state == Expectation::Waiting);
            let next = waiting.filter(|(_, expected)| unasked || expected.wanted);
            next.min_by_key(|(_, expected)| (!expected.wanted, expected.bytes)).map(|(name, _)| name.clone())
        };
        let done = |all: &BTreeMap<Name, Expected>| !all.values().any(|one| one.state == Expectation::Waiting);
        let mut all = self.0.subscribe();
        let name = pick(&*all.wait_for(|all| done(all) || pick(all).is_some()).await.ok()?)?;
        self.set(&name, Expectation::Preparing);
        Some(name)
    }
}

impl Engine {
    /// Says that a built-in protocol is not there yet, or not at all. `bytes`: what it takes.
    pub fn expect_protocol(&self, name: Name, bytes: u64, state: Expectation) {
        self.inner.expected.0.send_modify(|all| drop(all.insert(name, Expected { state, bytes, wanted: false })));
    }

    /// The next one to prepare; `None` when there is nothing more to do. `unasked`: those too that
    /// nobody has asked for. The caller says by [`Self::protocol_prepared`] what became of it.
    pub async fn next_expected(&self, unasked: bool) -> Option<Name> {
        self.inner.expected.next(unasked).await
    }

    /// It is there; or why not.
    pub fn protocol_prepared(&self, name: &Name, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => self.inner.expected.0.send_modify(|all| drop(all.remove(name))),
            Err(reason) => self.inner.expected.set(name, Expectation::Refused(reason)),
        }
    }

    /// The built-in protocols that are not there, by name.
    pub fn expected_protocols(&self) -> Vec<(Name, Expectation)> {
        let all = self.inner.expected.0.borrow();
        all.iter().map(|(name, expected)| (name.clone(), expected.state.clone())).collect()
    }

    /// Waits for a protocol that is on its way. Whether there is a reason to look again.
    pub(crate) async fn await_protocol(&self, name: &Name) -> bool {
        self.inner.expected.want(name).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn expecting(all: &[(&str, u64)]) -> Expectations {
        let expectations = Expectations::new();
        expectations.0.send_modify(|map| {
            for (text, bytes) in all {
                map.insert(name(text), Expected { state: Expectation::Waiting, bytes: *bytes, wanted: false });
            }
        });
        expectations
    }

    #[tokio::test]
    async fn the_smallest_comes_first_and_what_is_wanted_before_it() {
        let expected = expecting(&[("small", 1), ("large", 9), ("middle", 5)]);
        assert_eq!(expected.next(true).await, Some(name("small")));
        let wanted = name("large");
        let (found, next) = tokio::join!(expected.want(&wanted), async {
            let next = expected.next(true).await;
            expected.0.send_modify(|all| drop(all.remove(&wanted)));
            next
        });
        assert_eq!((found, next), (true, Some(name("large"))));
        assert_eq!(expected.next(true).await, Some(name("middle")));
        assert_eq!(expected.next(true).await, None);
    }

    #[tokio::test]
    async fn what_nobody_wants_is_left_where_it_is() {
        let expected = expecting(&[("a", 1), ("b", 2)]);
        let wanted = name("b");
        let (found, next) = tokio::join!(expected.want(&wanted), async {
            let next = expected.next(false).await;
            expected.set(&wanted, Expectation::Refused("broken".to_owned()));
            next
        });
        assert_eq!((found, next), (false, Some(name("b"))));
        // It is refused by now, and nobody waits for what will not come.
        assert!(!expected.want(&wanted).await);
        assert!(!expected.want(&name("c")).await);
    }
}
