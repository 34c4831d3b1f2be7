//! HTTP connections that are kept for the next request of the same action.
//!
//! A kept connection belongs to one action, one scheme, host and port, with the service's own
//! TLS. Whoever takes one has passed the name check for this request, and checks the address
//! once more. Nobody drives a connection while it is idle: it is looked at when it is taken.

use super::http::Exchanger;
use action_domain::id::ActionId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Longer than the pause between two executions of a busy action; shorter than what servers
/// commonly keep open (Node 5 s, nginx 75 s), so that few are found closed.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// All together: file descriptors are few.
const CONNECTIONS_MAX: usize = 512;
/// To one place for one action.
const CONNECTIONS_PER_KEY_MAX: usize = 128;

/// To whom a kept connection leads, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) action: ActionId,
    pub(crate) https: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
}

struct Idle {
    since: Instant,
    connection: Exchanger,
}

/// The connections that are idle.
#[derive(Default)]
pub(crate) struct Pool {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    idle: HashMap<Key, Vec<Idle>>,
    count: usize,
    sweeping: bool,
}

impl Pool {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that was used last, if it was not too long ago.
    pub(crate) fn take(&self, key: &Key) -> Option<Exchanger> {
        let mut state = self.state();
        let idle = state.idle.get_mut(key)?.pop()?;
        state.count -= 1;
        (idle.since.elapsed() < IDLE_MAX).then_some(idle.connection)
    }

    /// Keeps a connection whose last exchange is complete.
    pub(crate) fn put(self: &Arc<Self>, key: Key, connection: Exchanger) {
        let mut state = self.state();
        if state.count >= CONNECTIONS_MAX {
            return;
        }
        let same = state.idle.entry(key).or_default();
        if same.len() >= CONNECTIONS_PER_KEY_MAX {
            return;
        }
        same.push(Idle { since: Instant::now(), connection });
        state.count += 1;
        if !state.sweeping {
            state.sweeping = true;
            drop(state);
            let pool = Arc::downgrade(self);
            tokio::spawn(async move {
                // Ends when nothing is idle, or nobody has the pool any more.
                loop {
                    tokio::time::sleep(IDLE_MAX / 2).await;
                    let Some(pool) = pool.upgrade() else { return };
                    if !pool.sweep() {
                        return;
                    }
                }
            });
        }
    }

    /// Closes what was idle for too long. Says whether anything is left.
    fn sweep(&self) -> bool {
        let mut old = Vec::new();
        let mut state = self.state();
        state.idle.retain(|_, same| {
            let fresh = same.partition_point(|idle| idle.since.elapsed() >= IDLE_MAX);
            old.extend(same.drain(..fresh));
            !same.is_empty()
        });
        state.count -= old.len();
        state.sweeping = state.count > 0;
        let left = state.sweeping;
        drop(state);
        left
    }
}
