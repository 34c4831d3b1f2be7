//! Several stores on one database, as several processes have them: nobody gets what another has,
//! nobody misses what another did.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking, also outside the test functions")]

use action_domain::{
    action::Action,
    digest::Digest,
    event::{Context, EventType, Position},
    execution::{Execution, Status},
    repositories::{
        Claim, CommitError, Conflict, EventFilter, Fire, IdempotencyKey, Page, Prune, Reader as _, Signal, Store as _,
        UnitOfWork, Write,
    },
    services::Random as _,
    turn::Turn,
};
use action_store_postgres::{PostgresOptions, PostgresStore};
use action_testkit::{
    World,
    postgres::{Database, Server},
};
use bytes::Bytes;
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(30);

/// Three stores, and a world of ids for all of them.
async fn three() -> (Database, Vec<Arc<PostgresStore>>, Arc<World>) {
    let database = Server::shared().database();
    let mut stores = Vec::new();
    for _ in 0..3 {
        stores.push(Arc::new(PostgresStore::open(&database.url, PostgresOptions::default()).await.unwrap()));
    }
    let world = Arc::new(World::new(stores[0].clone()));
    (database, stores, world)
}

async fn add(w: &World, executions: &[Execution]) {
    let add = |execution: &Execution| Write::AddExecution(Box::new(execution.clone()));
    w.commit(UnitOfWork { writes: executions.iter().map(add).collect(), events: Vec::new() }).await;
}

/// A reader that only follows what its own process tells it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_misses_nothing_while_several_processes_write() {
    const EVENTS: usize = 1800;
    let (_database, stores, w) = three().await;
    let reader = stores[2].clone();
    let reading = tokio::spawn(async move {
        let mut follower = reader.follow();
        let mut seen: Vec<i64> = Vec::new();
        while seen.len() < EVENTS {
            let page = Page { after: seen.last().copied(), limit: 50 };
            let events = reader.events(&EventFilter::default(), page).await.unwrap();
            if events.is_empty() {
                assert!(timeout(LONG, follower.changed()).await.unwrap());
            }
            seen.extend(events.iter().map(|event| event.position));
        }
        seen
    });
    let mut tasks = Vec::new();
    for number in 0..12 {
        let (store, w) = (stores[number % 2].clone(), w.clone());
        tasks.push(tokio::spawn(async move {
            for _ in 0..EVENTS / 36 {
                let events = (0..3).map(|_| w.any_event()).collect();
                store.commit(UnitOfWork { writes: Vec::new(), events }).await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(reading.await.unwrap(), (1..=EVENTS as i64).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_execution_goes_to_two_processes() {
    let (_database, stores, w) = three().await;
    let action = w.action("a", "http@1.0.0");
    let executions: Vec<_> = (0..300).map(|_| w.queued(&action)).collect();
    add(&w, &executions).await;
    let mut tasks = Vec::new();
    for number in 0..9_u16 {
        let (store, w) = (stores[usize::from(number) % 3].clone(), w.clone());
        tasks.push(tokio::spawn(async move {
            let worker = w.random.uuid();
            let mut mine = Vec::new();
            // What another process is just taking is passed over: empty is not yet the end.
            while store.next_due().await.unwrap().is_some() {
                let claimed = store.claim(w.claim_with(worker, 4, 100 + number)).await.unwrap().executions;
                for execution in claimed {
                    let (lease, ended) = (execution.lease.unwrap(), w.succeeded(&execution));
                    let end = Write::UpdateExecutionIfLeased(Box::new(ended), lease);
                    store.commit(UnitOfWork::new().write(end).event(w.any_event())).await.unwrap();
                    mine.push(execution.id);
                }
            }
            mine
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    assert_eq!(all.len(), 300);
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), executions.iter().map(|execution| execution.id).collect());
    assert_eq!(stores[1].last_position().await.unwrap(), 600);
}

/// Units over the same two executions in either order, from several processes: one of them wins
/// both, the others are told that they lost, and nobody waits in a ring.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_won_by_one_process() {
    let (_database, stores, w) = three().await;
    let worker = w.random.uuid();
    let action = w.action("a", "http@1.0.0");
    for _ in 0..15 {
        let pair = [w.running(&action, worker), w.running(&action, worker)];
        add(&w, &pair).await;
        let mut tasks = Vec::new();
        for number in 0..12 {
            let mut order = [&pair[0], &pair[1]];
            if number % 2 == 0 {
                order.reverse();
            }
            let end = |execution| Write::UpdateExecutionIfLeased(Box::new(w.succeeded(execution)), w.lease(worker, 1));
            let unit = UnitOfWork::new().write(end(order[0])).write(end(order[1])).event(w.any_event());
            let store = stores[number % 3].clone();
            tasks.push(tokio::spawn(async move { store.commit(unit).await }));
        }
        let mut won = 0;
        for task in tasks {
            match timeout(LONG, task).await.unwrap().unwrap() {
                Ok(_) => won += 1,
                Err(error) => assert!(matches!(error, CommitError::Conflict(Conflict::LeaseLost)), "{error}"),
            }
        }
        assert_eq!(won, 1);
    }
    assert_eq!(w.log().await.len(), 15);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_taken_by_one_process() {
    let (_database, stores, w) = three().await;
    w.write(w.add_protocol("http@1.0.0", b"c")).await;
    for round in 0..10 {
        let mut tasks = Vec::new();
        for number in 0..9 {
            let action = w.action(&format!("name{round}"), "http@1.0.0");
            let unit = UnitOfWork::new().write(Write::AddAction(Box::new(action))).event(w.any_event());
            let store = stores[number % 3].clone();
            tasks.push(tokio::spawn(async move { store.commit(unit).await }));
        }
        let mut won = 0;
        for task in tasks {
            match timeout(LONG, task).await.unwrap().unwrap() {
                Ok(_) => won += 1,
                Err(error) => assert!(matches!(error, CommitError::Conflict(Conflict::NameTaken)), "{error}"),
            }
        }
        assert_eq!(won, 1);
    }
}

/// The last action goes from a protocol in one process while another process removes it, and
/// revisions are saved from all sides: everybody is told what is so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revision_is_saved_by_one_process() {
    let (_database, stores, w) = three().await;
    let mut action: Action = w.action("a", "http@1.0.0");
    w.write(Write::AddAction(Box::new(action.clone()))).await;
    for _ in 0..10 {
        let next = w.revised(&action);
        let tasks: Vec<_> = (0..6)
            .map(|number| {
                let unit = UnitOfWork::new().write(Write::AddRevisionIfCurrent(Box::new(next.clone())));
                let store = stores[number % 3].clone();
                tokio::spawn(async move { store.commit(unit).await })
            })
            .collect();
        let mut won = 0;
        for task in tasks {
            match timeout(LONG, task).await.unwrap().unwrap() {
                Ok(_) => won += 1,
                Err(CommitError::Conflict(conflict)) => {
                    assert_eq!(conflict, Conflict::RevisionMismatch { current: next.revision });
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(won, 1);
        action = next;
    }
}

/// At once, and not when its own process looks at the log the next time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_heard_of_in_every_process() {
    let (_database, stores, w) = three().await;
    let mut followers: Vec<_> = stores.iter().map(|store| store.follow()).collect();
    for _ in 0..5 {
        w.commit(UnitOfWork::new().event(w.any_event())).await;
        for follower in &mut followers {
            assert!(timeout(Duration::from_secs(2), follower.changed()).await.unwrap());
        }
    }
}

/// Of work that another process left, and soon; of nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_and_cancels_are_heard_of_in_every_process() {
    let (_database, stores, w) = three().await;
    // Each listener signals once when it begins.
    let mut listeners = Vec::new();
    for store in &stores {
        let mut signals = store.signals();
        while timeout(Duration::from_millis(300), signals.next()).await.is_ok() {}
        listeners.push(signals);
    }
    let action = w.action("a", "http@1.0.0");
    let running = w.running(&action, w.random.uuid());
    add(&w, std::slice::from_ref(&running)).await;
    w.commit(UnitOfWork::new().event(w.any_event())).await;
    for signals in &mut listeners {
        assert!(timeout(Duration::from_millis(50), signals.next()).await.is_err());
    }
    for round in 0..3 {
        add(&w, &[w.queued(&action)]).await;
        for signals in &mut listeners {
            let heard = timeout(Duration::from_secs(2), signals.next()).await.unwrap();
            assert_eq!(heard, Signal::Due, "{round}: before anybody has looked");
        }
    }
    w.write(Write::RequestCancelIfRunning(running.id, 1)).await;
    for signals in &mut listeners {
        assert_eq!(timeout(Duration::from_secs(2), signals.next()).await.unwrap(), Signal::Cancel(running.id));
    }
    assert!(stores[2].claim(w.claim(w.random.uuid(), 1)).await.unwrap().executions.len() == 1);
}

/// However many claim at once in however many processes; and whoever ends calls the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seats_and_orders_are_kept_among_processes() {
    let (_database, stores, w) = three().await;
    let action = w.action("a", "http@1.0.0");
    let turn = |number: usize| Turn {
        max_concurrent: Some(2),
        ordering_key: Some(format!("key{}", number % 5).into()),
        ..Turn::default()
    };
    let executions: Vec<_> = (0..40).map(|number| Execution { turn: turn(number), ..w.queued(&action) }).collect();
    add(&w, &executions).await;
    let running = Arc::new(AtomicUsize::new(0));
    let ended = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for number in 0..6_u16 {
        let (store, w) = (stores[usize::from(number) % 3].clone(), w.clone());
        let (running, ended) = (running.clone(), ended.clone());
        let key = |execution: &Execution| execution.turn.ordering_key.clone();
        tasks.push(tokio::spawn(async move {
            let worker = w.random.uuid();
            while store.next_due().await.unwrap().is_some() {
                let claimed = store.claim(w.claim_with(worker, 4, 300 + number)).await.unwrap();
                for execution in claimed.executions {
                    assert!(running.fetch_add(1, Ordering::SeqCst) < 2, "no more than two at once");
                    tokio::task::yield_now().await;
                    ended.lock().unwrap().push(execution.id);
                    running.fetch_sub(1, Ordering::SeqCst);
                    let end =
                        Write::UpdateExecutionIfLeased(Box::new(w.succeeded(&execution)), execution.lease.unwrap());
                    let call = Write::CallBack(execution.action, key(&execution), w.now());
                    store.commit(UnitOfWork::new().write(end).write(call)).await.unwrap();
                }
            }
        }));
    }
    // The clock stands still: what was set aside and not called back is never due.
    for task in tasks {
        timeout(LONG, task).await.unwrap().unwrap();
    }
    let ended = ended.lock().unwrap().clone();
    assert_eq!(ended.len(), 40);
    for key in 0..5 {
        let of_key: Vec<_> = executions.iter().skip(key).step_by(5).map(|execution| execution.id).collect();
        let order: Vec<_> = ended.iter().filter(|id| of_key.contains(id)).copied().collect();
        assert_eq!(order, of_key, "in the order of their ids");
    }
}

/// Two processes that name different executions of an action with one seat; and one that ends
/// while another looks for work: what it sets aside meanwhile is called back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_seat_is_never_given_twice_and_never_lost() {
    let (_database, stores, w) = three().await;
    let one = Turn { max_concurrent: Some(1), ..Turn::default() };
    for round in 0..60 {
        let action = w.action("a", "http@1.0.0");
        let pair = [0, 1].map(|_| Execution { turn: one.clone(), ..w.queued(&action) });
        add(&w, &pair).await;
        let naming = |number: usize| Claim {
            only: Some(vec![pair[number].id]),
            ..w.claim_with(w.random.uuid(), 1, 500 + number as u16)
        };
        let (left, right) = tokio::join!(stores[0].claim(naming(0)), stores[1].claim(naming(1)));
        let first = [left.unwrap().executions, right.unwrap().executions].concat();
        assert_eq!(first.len(), 1, "{round}");
        let other = pair.iter().find(|execution| execution.id != first[0].id).unwrap();
        let end = Write::UpdateExecutionIfLeased(Box::new(w.succeeded(&first[0])), first[0].lease.unwrap());
        let unit = UnitOfWork::new().write(end).write(Write::CallBack(action.id, None, w.now()));
        // It may have been set aside; for this it has to be due.
        w.write(Write::CallBack(action.id, None, w.now())).await;
        let claim = || w.claim_with(w.random.uuid(), 1, 600);
        let (ended, claimed) = tokio::join!(stores[0].commit(unit), stores[1].claim(claim()));
        ended.unwrap();
        let mut second = claimed.unwrap().executions;
        if second.is_empty() {
            second = stores[2].claim(claim()).await.unwrap().executions;
        }
        assert_eq!(second.iter().map(|execution| execution.id).collect::<Vec<_>>(), [other.id], "{round}");
        let end = Write::UpdateExecutionIfLeased(Box::new(w.succeeded(&second[0])), second[0].lease.unwrap());
        w.write(end).await;
    }
}

/// The same key from several processes at once: one execution, and all others are told which.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotency_key_is_used_by_one_process() {
    let (_database, stores, w) = three().await;
    let action = w.action("a", "http@1.0.0");
    for round in 0..10 {
        let mut tasks = Vec::new();
        for number in 0..9 {
            let execution = w.queued(&action);
            // Two keys in each unit, in either order: nobody waits in a ring.
            let mut names = [format!("one{round}"), format!("two{round}")];
            if number % 2 == 0 {
                names.reverse();
            }
            let mut unit = UnitOfWork::new().write(Write::AddExecution(Box::new(execution.clone())));
            for name in names {
                unit = unit.write(Write::AddIdempotencyKey(Box::new(IdempotencyKey {
                    action: action.id,
                    key: name.into(),
                    fingerprint: Digest::of(b"body"),
                    execution: execution.id,
                    created_at: w.now(),
                })));
            }
            let store = stores[number % 3].clone();
            tasks.push((execution.id, tokio::spawn(async move { store.commit(unit.clone()).await })));
        }
        let (mut won, mut told) = (Vec::new(), BTreeSet::new());
        for (id, task) in tasks {
            match timeout(LONG, task).await.unwrap().unwrap() {
                Ok(_) => won.push(id),
                Err(CommitError::Conflict(Conflict::KeyUsed(used))) => drop(told.insert(used.execution)),
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(won.len(), 1);
        assert_eq!(told.into_iter().collect::<Vec<_>>(), won);
    }
}

/// Retention in one process while others refer to the same payload: no event is left without it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payload_that_is_needed_again_is_not_removed() {
    let (_database, stores, w) = three().await;
    let action = w.action("a", "http@1.0.0");
    let payload = Bytes::from(vec![7; 70_000]);
    let digest = Digest::of(&payload);
    for _ in 0..20 {
        let old = w.succeeded(&w.running(&action, w.random.uuid()));
        let adding = |execution: &Execution| {
            let mut event = w.event(EventType::TriggerReceived, w.context(execution));
            event.payload = Some(digest);
            let writes = [Write::AddPayload(digest, payload.clone()), Write::AddExecution(Box::new(execution.clone()))];
            UnitOfWork { writes: writes.to_vec(), events: vec![event] }
        };
        w.commit(adding(&old)).await;
        w.clock.advance(Duration::from_secs(1));
        let before = w.now();
        let new = w.queued(&action);
        let (recorded, unit) = (w.event(EventType::EventsPruned, Context::default()), adding(&new));
        let prune = Prune {
            before,
            now: w.now(),
            through: Position::MAX,
            limit: 5,
            recorded: Box::new(move |_| recorded.clone()),
        };
        let (pruned, committed) = tokio::join!(stores[0].prune(prune), stores[1].commit(unit));
        assert_eq!(pruned.unwrap().executions, 1);
        committed.unwrap();
        assert_eq!(stores[2].payload(&digest).await.unwrap().unwrap(), payload);
        assert!(stores[2].execution(old.id).await.unwrap().is_none());
        // So that the next round removes this one.
        let ended = Execution { status: Status::Succeeded, ended_at: Some(w.now()), run_at: None, ..new };
        w.write(Write::UpdateExecutionIfStatus(Box::new(ended.clone()), Status::Queued, 0)).await;
        w.clock.advance(Duration::from_secs(1));
        let (before, recorded) = (w.now(), w.event(EventType::EventsPruned, Context::default()));
        let prune = Prune {
            before,
            now: w.now(),
            through: Position::MAX,
            limit: 5,
            recorded: Box::new(move |_| recorded.clone()),
        };
        assert_eq!(stores[2].prune(prune).await.unwrap().payloads, 1);
    }
}

/// However many look for what is due; and each hears of a schedule that another process saved.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_fires_in_one_process() {
    const FIRES: u64 = 20;
    let (_database, stores, w) = three().await;
    let mut listeners = Vec::new();
    for store in &stores {
        let mut signals = store.signals();
        while timeout(Duration::from_millis(300), signals.next()).await.is_ok() {}
        listeners.push(signals);
    }
    let action = w.action("a", "http@1.0.0");
    let saved = UnitOfWork::new()
        .write(Write::AddAction(Box::new(action.clone())))
        .write(Write::SetTriggers(action.id, (0..3).map(|place| w.schedule(action.id, place, 0)).collect()));
    w.commit(saved).await;
    for signals in &mut listeners {
        assert_eq!(timeout(Duration::from_secs(2), signals.next()).await.unwrap(), Signal::Due);
    }
    w.clock.advance(Duration::from_secs(FIRES));
    let mut tasks = Vec::new();
    for store in stores.iter().chain(&stores) {
        let (store, w, action) = (store.clone(), w.clone(), action.clone());
        tasks.push(tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let due = store.due_schedules(w.now(), 2).await.unwrap();
                let Some(row) = due.last() else { return mine };
                let due_at = row.due_at.unwrap();
                let next = Some(due_at.plus(Duration::from_secs(1)));
                let execution = w.queued(&action);
                let fire = Fire { action: action.id, identity: row.identity, due_at, next, last: Some(execution.id) };
                let unit = UnitOfWork::new()
                    .write(Write::AddExecution(Box::new(execution)))
                    .write(Write::FireIfDue(Box::new(fire)))
                    .event(w.any_event());
                match store.commit(unit).await {
                    Ok(_) => mine.push((row.place, due_at)),
                    Err(error) => assert!(matches!(error, CommitError::Conflict(Conflict::FiredBefore)), "{error}"),
                }
            }
        }));
    }
    let mut fired = Vec::new();
    for task in tasks {
        fired.extend(timeout(LONG, task).await.unwrap().unwrap());
    }
    let expected = 3 * (FIRES as usize + 1);
    assert_eq!(fired.len(), expected);
    assert_eq!(fired.into_iter().collect::<BTreeSet<_>>().len(), expected, "no time of a schedule twice");
    assert_eq!(stores[0].last_position().await.unwrap(), expected as i64);
}

/// Executions of two actions in several processes capture the same items in either order, while the
/// actions are saved: each item comes once, and nobody waits in a ring.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_is_captured_in_one_process() {
    let (_database, stores, w) = three().await;
    let mut actions = [w.action("a", "http@1.0.0"), w.action("b", "http@1.0.0")];
    for action in &actions {
        w.write(Write::AddAction(Box::new(action.clone()))).await;
    }
    let ids = actions.each_ref().map(|action| action.id);
    for round in 0..15 {
        let key: Arc<str> = format!("k{round}").into();
        let mut tasks = Vec::new();
        for number in 0..12 {
            let mut order = ids;
            if number % 2 == 0 {
                order.reverse();
            }
            let value = [("seen".to_owned(), Some(Bytes::from(vec![round])))];
            let captured = |id| [Write::AddItemKeys(id, vec![key.clone()]), Write::SetValues(id, value.clone().into())];
            let unit = UnitOfWork { writes: order.map(captured).concat(), events: vec![w.any_event()] };
            let store = stores[number % 3].clone();
            tasks.push(tokio::spawn(async move { store.commit(unit).await }));
        }
        for action in &mut actions {
            *action = w.revised(action);
            let save = UnitOfWork::new().write(Write::AddRevisionIfCurrent(Box::new(action.clone())));
            stores[usize::from(round) % 3].commit(save).await.unwrap();
        }
        let mut won = 0;
        for task in tasks {
            match timeout(LONG, task).await.unwrap().unwrap() {
                Ok(_) => won += 1,
                Err(error) => assert!(matches!(error, CommitError::Conflict(Conflict::ItemKnown)), "{error}"),
            }
        }
        assert_eq!(won, 1);
        assert_eq!(stores[1].values(ids[0]).await.unwrap()["seen"][..], [round]);
    }
    assert_eq!(w.log().await.len(), 15);
}

/// An action goes while others capture for it: nothing of it is left, and nobody is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_captured_for_an_action_that_goes_is_not_kept() {
    let (_database, stores, w) = three().await;
    for round in 0..20 {
        let action = w.action("a", "http@1.0.0");
        w.write(Write::AddAction(Box::new(action.clone()))).await;
        let key: Arc<str> = "k".into();
        let captured = UnitOfWork::new()
            .write(Write::AddItemKeys(action.id, vec![key.clone()]))
            .write(Write::SetValues(action.id, [("v".to_owned(), Some(Bytes::new()))].into()));
        let gone = UnitOfWork::new().write(Write::RemoveActionIfCurrent(action.id, 1));
        let (kept, removed) = tokio::join!(stores[0].commit(captured), stores[1].commit(gone));
        kept.unwrap();
        removed.unwrap();
        assert!(stores[2].captured_keys(action.id, &[key]).await.unwrap().is_empty(), "{round}");
        assert!(stores[2].values(action.id).await.unwrap().is_empty(), "{round}");
    }
}
