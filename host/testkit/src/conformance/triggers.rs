//! Triggers: found by what sets them off, and set off once.

use crate::World;
use action_domain::{
    action::Action,
    id::ActionId,
    repositories::{CommitError, Conflict, Fire, Page, Store, UnitOfWork, Write},
    services::Random,
    time::Timestamp,
    trigger::{Standing, StandingKind},
};
use std::{sync::Arc, time::Duration};

async fn added(w: &World, name: &str) -> Action {
    let action = w.action(name, "http@1.0.0");
    w.write(Write::AddAction(Box::new(action.clone()))).await;
    action
}

fn set(action: ActionId, rows: &[Standing]) -> UnitOfWork {
    UnitOfWork::new().write(Write::SetTriggers(action, rows.to_vec()))
}

fn fire(row: &Standing, due_at: Timestamp, next: Option<Timestamp>) -> Fire {
    Fire { action: row.action, identity: row.identity, due_at, next, last: None }
}

fn firing(fire: &Fire) -> UnitOfWork {
    UnitOfWork::new().write(Write::FireIfDue(Box::new(fire.clone())))
}

async fn of(w: &World, action: ActionId) -> Vec<Standing> {
    w.store.triggers_of(action).await.unwrap()
}

/// Whole and in their order; a save puts others in the place of all.
pub async fn triggers_are_those_of_the_last_save(store: Arc<dyn Store>) {
    let w = World::new(store);
    let (action, other) = (added(&w, "a").await.id, added(&w, "b").await.id);
    let last = Some(w.random.execution_id());
    let rows = [
        Standing { uses: u32::MAX, ..w.webhook(action, 0, "git/hub-1._x") },
        Standing { last, ..w.schedule(action, 3, 5) },
        w.standing(action, 4, StandingKind::Event),
        Standing { last, ..w.standing(action, u32::MAX, StandingKind::Continuous) },
    ];
    let of_other = [w.webhook(other, 0, "b")];
    let reversed: Vec<Standing> = rows.iter().rev().cloned().collect();
    w.commit(set(action, &reversed)).await;
    w.commit(set(other, &of_other)).await;
    assert_eq!(of(&w, action).await, rows);
    assert_eq!(of(&w, other).await, of_other);
    let at = async |path: &str| w.store.webhook_at(path).await.unwrap();
    assert_eq!(at("git/hub-1._x").await.as_ref(), Some(&rows[0]));
    for none in ["git", "git/hub-1._x/", "", "git/hub-1._x\u{0}"] {
        assert_eq!(at(none).await, None, "{none:?}");
    }
    let fewer = [w.standing(action, 0, StandingKind::Event), w.webhook(action, 1, "c")];
    w.commit(set(action, &fewer)).await;
    assert_eq!(of(&w, action).await, fewer);
    assert_eq!((at("git/hub-1._x").await, at("c").await.as_ref()), (None, Some(&fewer[1])));
    assert_eq!(w.store.next_schedule().await.unwrap(), None);
    w.commit(set(action, &[])).await;
    assert!(of(&w, action).await.is_empty());
    assert_eq!(of(&w, other).await, of_other, "another action's stay");
}

/// Also within a unit, in the order of its writes.
pub async fn a_path_belongs_to_one_action(store: Arc<dyn Store>) {
    let w = World::new(store);
    let (one, other) = (added(&w, "a").await, added(&w, "b").await);
    w.commit(set(one.id, &[w.webhook(one.id, 0, "p"), w.webhook(one.id, 1, "q")])).await;
    let wanted = [w.webhook(other.id, 0, "free"), w.webhook(other.id, 1, "q"), w.webhook(other.id, 2, "p")];
    assert_eq!(w.refused(set(other.id, &wanted)).await, Conflict::PathTaken("q".into()), "the first of them");
    assert!(of(&w, other.id).await.is_empty());
    assert_eq!(w.store.webhook_at("free").await.unwrap(), None);
    // The action itself may keep a path, at whatever place.
    w.commit(set(one.id, &[w.webhook(one.id, 0, "q"), w.webhook(one.id, 1, "r")])).await;
    w.commit(set(other.id, &[w.webhook(other.id, 0, "p")])).await;
    assert_eq!(w.store.webhook_at("p").await.unwrap().unwrap().action, other.id);
    assert_eq!(w.store.webhook_at("q").await.unwrap().unwrap().place, 0);
    let mut unit = set(one.id, &[]).write(Write::SetTriggers(other.id, vec![w.webhook(other.id, 0, "q")]));
    w.commit(unit.clone()).await;
    unit.writes.reverse();
    w.commit(set(one.id, &[w.webhook(one.id, 0, "p")])).await;
    let back = set(other.id, &[w.webhook(other.id, 0, "p")]).write(Write::SetTriggers(one.id, Vec::new()));
    assert_eq!(w.refused(back).await, Conflict::PathTaken("p".into()));
    w.write(Write::RemoveActionIfCurrent(one.id, 1)).await;
    w.commit(set(other.id, &[w.webhook(other.id, 0, "p")])).await;
}

/// And what it captured. Of what is not there nothing is kept.
pub async fn what_an_action_has_goes_with_it(store: Arc<dyn Store>) {
    let w = World::new(store);
    let action = added(&w, "a").await;
    let keys: Vec<Arc<str>> = vec!["k".into()];
    let filled = |id: ActionId| {
        UnitOfWork::new()
            .write(Write::SetTriggers(id, vec![w.webhook(id, 0, "p"), w.schedule(id, 1, 1)]))
            .write(Write::AddItemKeys(id, keys.clone()))
            .write(Write::SetValues(id, [("v".to_owned(), Some("1".into()))].into()))
    };
    w.commit(filled(action.id)).await;
    let state = async || {
        let store = &w.store;
        let captured = (store.captured_keys(action.id, &keys).await, store.values(action.id).await);
        let found = (store.webhook_at("p").await, store.next_schedule().await);
        format!("{:?} {captured:?} {found:?}", of(&w, action.id).await)
    };
    let before = state().await;
    let gone = UnitOfWork::new().write(Write::RemoveActionIfCurrent(action.id, 1));
    let refused = gone.clone().write(Write::RemoveConsumer("none".parse().unwrap()));
    assert_eq!(w.refused(refused).await, Conflict::NotFound);
    assert_eq!(state().await, before);
    w.commit(gone).await;
    let nothing = state().await;
    assert_eq!(nothing, "[] (Ok([]), Ok({})) (Ok(None), Ok(None))");
    w.commit(filled(action.id)).await;
    w.commit(filled(action.id)).await;
    assert_eq!(state().await, nothing);
    let next = added(&w, "a").await;
    w.commit(filled(next.id)).await;
    assert_eq!(of(&w, next.id).await.len(), 2);
}

/// By action and place, in pages of each size.
pub async fn triggers_are_paged_by_kind(store: Arc<dyn Store>) {
    let w = World::new(store);
    let mut all = Vec::new();
    for number in 0..6_u32 {
        let action = added(&w, &format!("a{number}")).await.id;
        let kinds = StandingKind::ALL.into_iter().cycle().skip(number as usize).take(6);
        let rows: Vec<Standing> = (0..).zip(kinds).map(|(place, kind)| w.standing(action, place, kind)).collect();
        w.commit(set(action, &rows)).await;
        all.extend(rows);
    }
    all.sort_by_key(|row| (row.action, row.place));
    for kind in StandingKind::ALL {
        let expected: Vec<&Standing> = all.iter().filter(|row| row.kind == kind).collect();
        assert!(expected.len() > 6);
        for limit in [1, 2, 5, 500] {
            let mut found: Vec<Standing> = Vec::new();
            loop {
                let after = found.last().map(|row| (row.action, row.place));
                let page = w.store.triggers(kind, Page { after, limit }).await.unwrap();
                assert!(page.len() <= limit as usize);
                if page.is_empty() {
                    break;
                }
                found.extend(page);
            }
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{kind:?} by {limit}");
        }
    }
}

/// What is due first comes first; what is never due again does not come.
pub async fn schedules_are_found_when_they_are_due(store: Arc<dyn Store>) {
    let w = World::new(store);
    let (one, other) = (added(&w, "a").await.id, added(&w, "b").await.id);
    let (late, never) = (w.schedule(one, 0, 9), w.standing(one, 1, StandingKind::Schedule));
    let (first, last) = (w.schedule(one, 2, 3), w.schedule(other, 0, 30));
    let same = w.schedule(other, 1, 3);
    w.commit(set(one, &[late.clone(), never, first.clone()])).await;
    w.commit(set(other, &[last.clone(), same.clone()])).await;
    let due = async |limit| w.store.due_schedules(w.now(), limit).await.unwrap();
    assert!(due(9).await.is_empty());
    assert_eq!(w.store.next_schedule().await.unwrap(), first.due_at);
    w.clock.advance(Duration::from_secs(3));
    assert_eq!(due(9).await, [first.clone(), same.clone()], "at its time it is due");
    assert_eq!(due(1).await, std::slice::from_ref(&first));
    w.clock.advance(Duration::from_secs(20));
    assert_eq!(due(9).await, [first.clone(), same, late.clone()]);
    w.commit(firing(&fire(&first, first.due_at.unwrap(), None))).await;
    w.commit(set(other, std::slice::from_ref(&last))).await;
    assert_eq!(due(9).await, [late]);
    w.commit(set(one, &[])).await;
    assert_eq!(w.store.next_schedule().await.unwrap(), last.due_at);
}

/// For whoever believes when it is due, and once.
pub async fn a_schedule_fires_when_it_is_due_and_once(store: Arc<dyn Store>) {
    let w = World::new(store);
    let action = added(&w, "a").await.id;
    let (row, other) = (w.schedule(action, 0, 5), w.schedule(action, 1, 5));
    w.commit(set(action, &[row.clone(), other.clone(), w.webhook(action, 2, "p")])).await;
    let due_at = row.due_at.unwrap();
    let later = due_at.plus(Duration::from_mins(1));
    let next = Some(later);
    let led_to = Some(w.random.execution_id());
    let wrong = [
        fire(&row, due_at.plus(Duration::from_micros(1)), next),
        fire(&w.webhook(action, 2, "p"), due_at, next),
        fire(&w.schedule(action, 3, 5), due_at, next),
        fire(&w.schedule(w.random.action_id(), 0, 5), due_at, next),
    ];
    for wrong in wrong {
        assert_eq!(w.refused(firing(&wrong)).await, Conflict::FiredBefore, "{wrong:?}");
    }
    let first = Fire { last: led_to, ..fire(&row, due_at, next) };
    w.commit(firing(&first)).await;
    assert_eq!(w.refused(firing(&first)).await, Conflict::FiredBefore);
    let fired = Standing { due_at: next, last: led_to, ..row.clone() };
    assert_eq!(of(&w, action).await[..2], [fired.clone(), other]);
    // Twice in one unit, to nothing, and for the last time.
    let again = fire(&row, later, Some(due_at));
    let unit = firing(&again).write(Write::FireIfDue(Box::new(fire(&row, due_at, None))));
    w.commit(unit).await;
    assert_eq!(of(&w, action).await[0], Standing { due_at: None, ..fired }, "what it led to is remembered");
    assert_eq!(w.refused(firing(&again)).await, Conflict::FiredBefore);
}

/// The number counts with the one that is to be added.
pub async fn a_trigger_is_used_as_often_as_it_may_be(store: Arc<dyn Store>) {
    let w = World::new(store);
    let action = added(&w, "a").await.id;
    w.commit(set(action, &[w.webhook(action, 0, "p"), w.webhook(action, 1, "q")])).await;
    let hook = |place| World::identity(place, StandingKind::Webhook);
    let using = |place, most| UnitOfWork::new().write(Write::UseTrigger(action, hook(place), most));
    assert_eq!(w.refused(using(0, 0)).await, Conflict::UsedUp);
    w.commit(using(0, 3)).await;
    w.commit(using(0, 3).write(Write::UseTrigger(action, hook(0), 3))).await;
    assert_eq!(w.refused(using(0, 3)).await, Conflict::UsedUp);
    let beyond = using(0, 4).write(Write::UseTrigger(action, hook(0), 4));
    assert_eq!(w.refused(beyond).await, Conflict::UsedUp);
    let uses = async || of(&w, action).await.iter().map(|row| row.uses).collect::<Vec<_>>();
    assert_eq!(uses().await, [3, 0], "what is refused does not count");
    w.commit(using(0, u32::MAX)).await;
    assert_eq!(uses().await, [4, 0]);
    assert_eq!(w.refused(using(2, 9)).await, Conflict::UsedUp, "it is gone");
    let of_nobody = Write::UseTrigger(w.random.action_id(), hook(0), 9);
    assert_eq!(w.refused(UnitOfWork::new().write(of_nobody)).await, Conflict::UsedUp);
}

/// What was used stays used, what is due stays due, what runs stays known: by what decides, wherever it
/// stands. What is enabled again begins anew.
pub async fn a_save_forgets_nothing_of_a_trigger_that_stays(store: Arc<dyn Store>) {
    let w = World::new(store);
    let action = added(&w, "a").await.id;
    let rows = [
        w.webhook(action, 0, "p"),
        w.schedule(action, 1, 5),
        w.standing(action, 2, StandingKind::Event),
        w.standing(action, 3, StandingKind::Continuous),
    ];
    w.commit(set(action, &rows)).await;
    let [hook, schedule, event, running] = rows;
    let (due_at, next) = (schedule.due_at.unwrap(), schedule.due_at.unwrap().plus(Duration::from_mins(1)));
    let [fired, runs] = [(); 2].map(|()| w.random.execution_id());
    let happened = UnitOfWork::new()
        .write(Write::UseTrigger(action, hook.identity, 9))
        .write(Write::FireIfDue(Box::new(Fire { last: Some(fired), ..fire(&schedule, due_at, Some(next)) })))
        .write(Write::RestartIfLast(action, running.identity, None, runs));
    w.commit(happened).await;
    w.clock.advance(Duration::from_secs(30));
    // As the next save has them, which knows nothing of it: elsewhere, and due later.
    let (now, due_later) = (Some(w.now()), Some(w.now().plus(Duration::from_hours(1))));
    let saved = [
        Standing { place: 0, since: now, ..running },
        Standing { place: 1, since: now, ..event.clone() },
        Standing { place: 2, since: now, due_at: due_later, ..schedule.clone() },
        Standing { place: 3, since: now, path: Some("p".into()), ..hook.clone() },
        Standing { identity: World::identity(9, StandingKind::Schedule), place: 4, ..w.schedule(action, 4, 7) },
    ];
    w.commit(set(action, &saved)).await;
    let since = hook.since;
    let known = [
        Standing { since, last: Some(runs), ..saved[0].clone() },
        Standing { since, ..saved[1].clone() },
        Standing { since, last: Some(fired), due_at: Some(next), ..saved[2].clone() },
        Standing { since, uses: 1, ..saved[3].clone() },
        saved[4].clone(),
    ];
    assert_eq!(of(&w, action).await, known);
    // It stands elsewhere, and is still the one that is meant.
    w.commit(UnitOfWork::new().write(Write::UseTrigger(action, saved[3].identity, 2))).await;
    w.commit(firing(&fire(&saved[2], next, None))).await;
    w.commit(set(action, &saved)).await;
    let rows = of(&w, action).await;
    assert_eq!((rows[2].due_at, rows[3].uses), (None, 2), "it never fires again, and is not made to");
    let disabled: Vec<Standing> =
        saved.iter().map(|row| Standing { since: None, due_at: None, ..row.clone() }).collect();
    w.commit(set(action, &disabled)).await;
    let rows = of(&w, action).await;
    assert!(rows.iter().all(|row| row.since.is_none() && row.due_at.is_none()), "{rows:?}");
    w.commit(set(action, &saved)).await;
    let rows = of(&w, action).await;
    assert!(rows[..4].iter().all(|row| row.since == now));
    assert_eq!((rows[0].last, rows[2].due_at, rows[3].uses), (Some(runs), due_later, 2));
}

/// However the saves and the others meet.
pub async fn of_many_saves_none_makes_a_trigger_fresh(store: Arc<dyn Store>) {
    let w = World::new(store);
    let action = added(&w, "a").await.id;
    let rows = [w.webhook(action, 0, "p"), w.standing(action, 1, StandingKind::Continuous)];
    w.commit(set(action, &rows)).await;
    let mut tasks = Vec::new();
    for number in 0..48 {
        let unit = match number % 3 {
            0 => set(action, &rows),
            1 => UnitOfWork::new().write(Write::UseTrigger(action, rows[0].identity, 10)),
            _ => {
                let restart = Write::RestartIfLast(action, rows[1].identity, None, w.random.execution_id());
                UnitOfWork::new().write(restart)
            }
        };
        let store = w.store.clone();
        tasks.push((number % 3, tokio::spawn(async move { store.commit(unit).await.is_ok() })));
    }
    let mut done = [0; 3];
    for (kind, task) in tasks {
        done[kind] += usize::from(task.await.unwrap());
    }
    assert_eq!(done, [16, 10, 1]);
    let rows = of(&w, action).await;
    assert!(rows[0].uses == 10 && rows[1].last.is_some(), "{rows:?}");
}

/// By whoever knows which instance was the last.
pub async fn an_instance_is_followed_by_one(store: Arc<dyn Store>) {
    let w = World::new(store);
    let action = added(&w, "a").await.id;
    w.commit(set(action, &[w.standing(action, 0, StandingKind::Continuous)])).await;
    let running = |place| World::identity(place, StandingKind::Continuous);
    let restart = |before, new| UnitOfWork::new().write(Write::RestartIfLast(action, running(0), before, new));
    let [one, two, three] = [(); 3].map(|()| w.random.execution_id());
    assert_eq!(w.refused(restart(Some(one), two)).await, Conflict::FiredBefore);
    w.commit(restart(None, one)).await;
    assert_eq!(w.refused(restart(None, two)).await, Conflict::FiredBefore);
    let both = restart(Some(one), two).write(Write::RestartIfLast(action, running(0), Some(two), three));
    w.commit(both).await;
    assert_eq!(w.refused(restart(Some(two), one)).await, Conflict::FiredBefore);
    assert_eq!(of(&w, action).await[0].last, Some(three));
    let gone = Write::RestartIfLast(action, running(1), None, one);
    assert_eq!(w.refused(UnitOfWork::new().write(gone)).await, Conflict::FiredBefore);
}

/// One of them wins; what the others wanted with it does not happen.
pub async fn of_many_who_fire_one_does(store: Arc<dyn Store>) {
    let w = World::new(store);
    let action = added(&w, "a").await;
    let row = w.schedule(action.id, 0, 5);
    let keyed = w.webhook(action.id, 1, "p");
    let hook = keyed.identity;
    w.commit(set(action.id, &[row.clone(), keyed])).await;
    let due_at = row.due_at.unwrap();
    let mut tasks = Vec::new();
    for number in 0..24 {
        let execution = w.queued(&action);
        let add = Write::AddExecution(Box::new(execution.clone()));
        let write = if number % 2 == 0 {
            Write::FireIfDue(Box::new(Fire { last: Some(execution.id), ..fire(&row, due_at, None) }))
        } else {
            Write::UseTrigger(action.id, hook, 5)
        };
        let unit = UnitOfWork::new().write(add).write(write.clone()).event(w.any_event());
        let store = w.store.clone();
        tasks.push((execution, write, tokio::spawn(async move { store.commit(unit).await })));
    }
    let (mut fired, mut used) = (Vec::new(), 0);
    for (execution, write, task) in tasks {
        let outcome = task.await.unwrap();
        let is_there = w.store.execution(execution.id).await.unwrap().is_some();
        assert_eq!(is_there, outcome.is_ok());
        match (write, outcome) {
            (Write::FireIfDue(_), Ok(_)) => fired.push(execution.id),
            (_, Ok(_)) => used += 1,
            (Write::FireIfDue(_), Err(CommitError::Conflict(Conflict::FiredBefore)))
            | (_, Err(CommitError::Conflict(Conflict::UsedUp))) => {}
            (_, Err(error)) => panic!("{error}"),
        }
    }
    let rows = of(&w, action.id).await;
    assert_eq!((fired.len(), used), (1, 5));
    assert_eq!((rows[0].last, rows[1].uses), (Some(fired[0]), 5));
    assert_eq!(w.log().await.len(), 6);
}
