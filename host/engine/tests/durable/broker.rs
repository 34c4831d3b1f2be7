//! A broker carries as much as workers can take, and the store keeps the rest.

use super::*;
use action_domain::services::{Broker, BrokerUnavailable, Carried};
use std::collections::VecDeque;

/// Keeps what it is given in its order; what it has already it does not take again.
#[derive(Default)]
struct Shelf {
    waiting: Mutex<VecDeque<(ExecutionId, u32)>>,
    /// All that was ever offered.
    offered: Mutex<usize>,
}

struct Note(ExecutionId);

#[async_trait]
impl Carried for Note {
    fn execution(&self) -> ExecutionId {
        self.0
    }

    async fn done(self: Box<Self>) -> Result<(), BrokerUnavailable> {
        Ok(())
    }
}

#[async_trait]
impl Broker for Shelf {
    async fn publish(&self, due: &[(ExecutionId, u32)]) -> Result<(), BrokerUnavailable> {
        *self.offered.lock().unwrap() += due.len();
        let mut waiting = self.waiting.lock().unwrap();
        let there: std::collections::HashSet<_> = waiting.iter().copied().collect();
        waiting.extend(due.iter().filter(|pair| !there.contains(pair)));
        Ok(())
    }

    async fn backlog(&self) -> Result<u64, BrokerUnavailable> {
        Ok(self.waiting.lock().unwrap().len() as u64)
    }

    async fn pull(&self, limit: usize, wait: Duration) -> Result<Vec<Box<dyn Carried>>, BrokerUnavailable> {
        let take = || -> Vec<Box<dyn Carried>> {
            let mut waiting = self.waiting.lock().unwrap();
            let taken = limit.min(waiting.len());
            waiting.drain(..taken).map(|(id, _)| Box::new(Note(id)) as Box<dyn Carried>).collect()
        };
        let at_once = take();
        if at_once.is_empty() {
            // Nobody calls: it is the test's time that moves.
            let _ = timeout(wait, std::future::pending::<()>()).await;
            return Ok(take());
        }
        Ok(at_once)
    }
}

impl Shelf {
    fn offered(&self) -> usize {
        *self.offered.lock().unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_offered_as_it_can_be_taken_and_again_when_the_broker_lost_it() {
    const WAITING: usize = 5_700;
    const CARRIED: usize = 5_000;
    let mut t = Test::new(|_| {}).await;
    let queued: Vec<Execution> = (0..WAITING).map(|_| t.w.queued(&t.action)).collect();
    for some in queued.chunks(1000) {
        let add = |execution: &Execution| Write::AddExecution(Box::new(execution.clone()));
        let received = |execution: &Execution| t.w.event(EventType::TriggerReceived, t.w.context(execution));
        let unit = UnitOfWork { writes: some.iter().map(add).collect(), events: some.iter().map(received).collect() };
        t.w.commit(unit).await;
    }
    let shelf = Arc::new(Shelf::default());
    let broker = || Some(shelf.clone() as Arc<dyn Broker>);
    let api = t
        .process_with(1, |parts| {
            parts.runs_attempts = false;
            parts.broker = broker();
        })
        .await;
    assert!(t.is_quiet().await);
    assert_eq!((shelf.backlog().await.unwrap(), shelf.offered()), (CARRIED as u64, CARRIED));
    for _ in 0..15 {
        api.dispatch(t.call(false)).await.unwrap();
        assert!(t.is_quiet().await);
    }
    assert_eq!(shelf.offered(), CARRIED, "five minutes, and nothing was offered twice");
    // The broker loses what it has.
    shelf.waiting.lock().unwrap().clear();
    assert!(t.is_quiet().await && t.is_quiet().await);
    assert_eq!((shelf.backlog().await.unwrap(), shelf.offered()), (CARRIED as u64, 2 * CARRIED));
    // With somebody who takes them, all come.
    let _worker = t.process_with(2, |parts| parts.broker = broker()).await;
    for _ in 0..WAITING + 15 {
        t.attempt().await.succeed();
    }
    assert!(t.is_quiet().await);
    assert_eq!(shelf.backlog().await.unwrap(), 0);
}
