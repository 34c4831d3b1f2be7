//! A remote that asked to be left alone is, by whatever calls it.

use super::*;

/// A call that is waited for, and the attempt that it led to.
async fn call_after(t: &mut Test, engine: &Engine) -> Attempt {
    let (call, other) = (t.call(true), engine.clone());
    tokio::spawn(async move { other.dispatch(call).await.unwrap() });
    t.attempt().await
}

/// Lets a process run into a remote that wants a minute of peace.
async fn run_into(t: &mut Test, engine: &Engine) -> Instant {
    let begun = id(&engine.dispatch(t.call(false)).await.unwrap());
    t.attempt().await.fail(Advice::RetryAfterMs(60_000));
    t.until(begun, Status::Failed).await;
    Instant::now()
}

fn once(action: &mut Action) {
    action.spec.delivery.max_attempts = 1;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_waited_for_waits_for_the_remote_too_also_after_a_restart() {
    for exclusive in [true, false] {
        let mut t = Test::new(once).await;
        let before = t.process_with(1, |parts| parts.exclusive_store = exclusive).await;
        let asked = run_into(&mut t, &before).await;
        assert!(before.stop(Duration::from_secs(1)).await);
        let after = t.process_with(2, |parts| parts.exclusive_store = exclusive).await;
        call_after(&mut t, &after).await.succeed();
        assert!(asked.elapsed() >= Duration::from_secs(59), "{:?}", asked.elapsed());
        // It is over: the next one begins at once again.
        let over = Instant::now();
        call_after(&mut t, &after).await.succeed();
        assert!(over.elapsed() < Duration::from_millis(10), "{:?}", over.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn what_another_process_was_asked_for_holds_here() {
    let mut t = Test::new(once).await;
    let here = t.process(true, 1).await;
    // This process has called the action before, and knows that nothing was asked for.
    call_after(&mut t, &here).await.succeed();
    t.w.clock.set(t.clock.now());
    let until = t.clock.now().plus(Duration::from_mins(1));
    t.w.write(Write::SlowDown(t.action.id, until)).await;
    let asked = Instant::now();
    call_after(&mut t, &here).await.succeed();
    assert!(asked.elapsed() >= Duration::from_secs(59), "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_shorter_wish_that_comes_later_does_not_shorten_the_longer_one() {
    let mut t = Test::new(once).await;
    let engine = t.process_with(1, |parts| parts.exclusive_store = true).await;
    let (one, other) = (t.call(false), t.call(false));
    engine.dispatch(one).await.unwrap();
    let last = id(&engine.dispatch(other).await.unwrap());
    let (one, other) = (t.attempt().await, t.attempt().await);
    let asked = Instant::now();
    one.fail(Advice::RetryAfterMs(60_000));
    other.fail(Advice::RetryAfterMs(5_000));
    t.until(last, Status::Failed).await;
    call_after(&mut t, &engine).await.succeed();
    assert!(asked.elapsed() >= Duration::from_secs(59), "{:?}", asked.elapsed());
}

/// Neither what has its time already, nor all of it together when the pause is over, whoever was
/// asked.
#[tokio::test(start_paused = true)]
async fn a_rate_keeps_still_in_a_pause_and_comes_back_without_a_burst() {
    let paced = |action: &mut Action| {
        once(action);
        action.spec.delivery.rate = Some(Rate { per_second: 1.0, burst: 3 });
    };
    let mut t = Test::new(paced).await;
    let here = t.process(true, 1).await;
    for _ in 0..9 {
        here.dispatch(t.call(false)).await.unwrap();
    }
    for _ in 0..3 {
        t.attempt().await.succeed();
    }
    // Six have their times now, a second after the other. Somebody else is asked to wait for ten.
    let until = t.clock.now().plus(Duration::from_secs(10));
    t.w.write(Write::SlowDown(t.action.id, until)).await;
    let asked = Instant::now();
    let mut began = Vec::new();
    for _ in 0..6 {
        t.attempt().await.succeed();
        began.push(asked.elapsed());
    }
    assert!(began[0] >= Duration::from_millis(9_900), "{began:?}");
    for pair in began.windows(2) {
        assert!(pair[1] >= pair[0] + Duration::from_millis(900), "{began:?}");
    }
}

async fn save(t: &mut Test, engine: &Engine, change: impl FnOnce(&mut Delivery)) {
    let mut spec = t.action.spec.clone();
    change(&mut spec.delivery);
    let saved = engine.change_action(&t.action, spec, Version::AsItIs, Editor::unlimited(&Actor::Admin)).await.unwrap();
    t.action = (*saved.action).clone();
}

#[tokio::test(start_paused = true)]
async fn a_save_ends_a_pause_and_none_is_longer_than_a_day() {
    for exclusive in [true, false] {
        let mut t = Test::new(once).await;
        let engine = t.process_with(1, |parts| parts.exclusive_store = exclusive).await;
        let begun = id(&engine.dispatch(t.call(false)).await.unwrap());
        t.attempt().await.fail(Advice::RetryAfterMs(u32::MAX));
        t.until(begun, Status::Failed).await;
        let until = t.store.paused_until(t.action.id).await.unwrap().unwrap();
        let ended = t.store.execution(begun).await.unwrap().unwrap().ended_at.unwrap();
        assert_eq!(until.since(ended), RETRY_AFTER_MAX);
        save(&mut t, &engine, |_| {}).await;
        let saved = Instant::now();
        let attempt = call_after(&mut t, &engine).await;
        assert!(saved.elapsed() < Duration::from_millis(10), "{:?}", saved.elapsed());
        // Not even by way of the queue: this process has forgotten it too.
        assert_eq!(t.types(attempt.request.execution).await, ["trigger_received", "attempt_started"]);
        attempt.succeed();
    }
}

#[tokio::test(start_paused = true)]
async fn a_save_forgets_what_another_rate_has_counted_and_nothing_else_does() {
    let slow = |action: &mut Action| action.spec.delivery.rate = Some(Rate { per_second: 0.01, burst: 1 });
    let mut t = Test::new(slow).await;
    let engine = t.process(true, 1).await;
    let first = engine.dispatch(t.call(false)).await.unwrap();
    t.attempt().await.succeed();
    t.until(id(&first), Status::Succeeded).await;
    let mistaken: Vec<ExecutionId> = {
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(id(&engine.dispatch(t.call(false)).await.unwrap()));
        }
        ids
    };
    assert!(t.is_quiet().await);
    for id in mistaken {
        engine.cancel_execution(id, &Actor::Admin).await.unwrap();
    }
    save(&mut t, &engine, |delivery| delivery.max_attempts = 7).await;
    let waits = id(&engine.dispatch(t.call(false)).await.unwrap());
    assert!(t.is_quiet().await);
    let given = t.store.execution(waits).await.unwrap().unwrap();
    assert!(given.given_time().unwrap().since(t.clock.now()) > Duration::from_secs(500), "{given:?}");
    engine.cancel_execution(waits, &Actor::Admin).await.unwrap();
    save(&mut t, &engine, |delivery| delivery.rate = Some(Rate { per_second: 1000.0, burst: 1000 })).await;
    let saved = Instant::now();
    call_after(&mut t, &engine).await.succeed();
    assert!(saved.elapsed() < Duration::from_millis(10), "{:?}", saved.elapsed());
}
