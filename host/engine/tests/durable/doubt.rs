//! What became of an attempt is asked without holding up anything else, and can be given up.

use super::*;

fn outcome() -> Reconciliation {
    Reconciliation::TookEffect(Outcome {
        output: Payload { content_type: "application/json".into(), data: "2".into() },
        reply: None,
    })
}

impl Test {
    /// An action whose repeats do harm, and whose protocol can be asked.
    async fn in_doubt() -> Self {
        Self::with_protocol(|action| action.effect = Effect::Unsafe, true).await
    }

    async fn question(&mut self) -> Question {
        timeout(Duration::from_hours(2), self.questions.recv()).await.unwrap().unwrap()
    }

    /// Lets an execution wait until it is looked at so seldom that this shows.
    async fn waits_long(&mut self, id: ExecutionId) {
        for _ in 0..300 {
            assert!(self.is_quiet().await);
        }
        let left = self.store.execution(id).await.unwrap().unwrap().run_at.unwrap().since(self.clock.now());
        assert!(left > Duration::from_secs(30), "{left:?}");
    }

    /// Executions whose worker was lost; all but the first had said that they were about to send.
    async fn lose(&self, engine: &Engine, number: usize) -> Vec<ExecutionId> {
        let mut ids = Vec::new();
        while ids.len() < number {
            for _ in ids.len()..number.min(ids.len() + 8) {
                ids.push(id(&engine.dispatch(self.call(false)).await.unwrap()));
            }
            self.lost_worker().await;
        }
        for lost in &ids[1..] {
            let execution = self.store.execution(*lost).await.unwrap().unwrap();
            let said = self.w.event(EventType::AttemptSending, self.w.context(&execution));
            self.w.commit(UnitOfWork::new().event(said)).await;
        }
        ids
    }
}

#[tokio::test(start_paused = true)]
async fn questions_are_asked_side_by_side_and_hold_up_nothing_else() {
    let mut t = Test::in_doubt().await;
    let api = t.process(false, 1).await;
    let lost = t.lose(&api, 20).await;
    assert!(api.stop(Duration::from_secs(1)).await);
    tokio::time::advance(Duration::from_mins(2)).await;
    let starting = timeout(Duration::from_mins(1), t.process_with(2, |parts| parts.concurrency = 64));
    let worker = starting.await.expect("nobody waits for an answer to begin");
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(t.question().await);
    }
    // What has sent nothing needs no answer, and what is new begins.
    let again = t.attempt().await;
    assert_eq!((again.request.execution, again.request.attempt), (lost[0], 2));
    again.succeed();
    let new = worker.dispatch(t.call(false)).await.unwrap();
    t.attempt().await.succeed();
    t.until(id(&new), Status::Succeeded).await;
    // Nobody answers for longer than any lease lasts: nobody is asked twice, and no more at once.
    assert!(t.is_quiet().await && t.is_quiet().await && t.is_quiet().await);
    assert!(t.questions.is_empty());
    for answered in 0..19 {
        open.remove(0).answer.send(outcome()).unwrap_or_else(|_| panic!("nobody asks any more"));
        if answered < 11 {
            open.push(t.question().await);
        }
    }
    for id in &lost {
        t.until(*id, Status::Succeeded).await;
        let abandoned = t.types(*id).await.iter().filter(|r#type| *r#type == "attempt_abandoned").count();
        assert_eq!(abandoned, 1);
    }
    assert!(t.questions.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_about_can_be_cancelled() {
    let mut t = Test::in_doubt().await;
    // The process that ran the attempt asks.
    let engine = t.process(true, 1).await;
    let own = id(&engine.dispatch(t.call(false)).await.unwrap());
    t.attempt().await.trap(Sent::MaybeSent);
    let mut question = t.question().await;
    assert_eq!(question.request.execution, own);
    let cancelled = engine.cancel_execution(own, &Actor::System).await.unwrap();
    assert_eq!(cancelled.execution.status, Status::Cancelled);
    timeout(Duration::from_secs(1), question.answer.closed()).await.unwrap();
    assert_eq!(t.types(own).await.last().unwrap(), "execution_cancelled");
    assert!(engine.stop(Duration::from_secs(1)).await);

    // Somebody asks about what another has lost: nine, so that one waits for room.
    let api = t.process(false, 2).await;
    let lost = t.lose(&api, 10).await;
    tokio::time::advance(Duration::from_mins(2)).await;
    let mut asked = Vec::new();
    for _ in 0..8 {
        asked.push(t.question().await);
    }
    let waits = lost[1..].iter().find(|id| asked.iter().all(|question| question.request.execution != **id)).unwrap();
    for id in [*waits, asked[0].request.execution] {
        let cancelled = api.cancel_execution(id, &Actor::System).await.unwrap();
        assert_eq!(cancelled.execution.status, Status::Cancelled);
    }
    timeout(Duration::from_secs(1), asked[0].answer.closed()).await.unwrap();
    assert!(t.questions.is_empty(), "nobody asks about what is cancelled");
}

/// Whoever asks is lost too: the next one asks again.
#[tokio::test(start_paused = true)]
async fn a_question_of_a_process_that_ends_is_asked_by_another() {
    let mut t = Test::in_doubt().await;
    let api = t.process(false, 1).await;
    let lost = t.lose(&api, 2).await;
    tokio::time::advance(Duration::from_mins(2)).await;
    let mut question = t.question().await;
    let stopping = tokio::spawn(async move { api.stop(Duration::from_secs(1)).await });
    timeout(Duration::from_mins(1), question.answer.closed()).await.unwrap();
    assert!(stopping.await.unwrap());
    assert_eq!(t.status(lost[1]).await, Status::Running, "nothing was made up");
    let _other = t.process(false, 2).await;
    let again = t.question().await;
    assert_eq!(again.request.execution, lost[1]);
    again.answer.send(outcome()).unwrap_or_else(|_| panic!("nobody asks any more"));
    t.until(lost[1], Status::Succeeded).await;
}

/// The request comes between the attempt's end and its being written down: no signal reaches the
/// attempt any more, and the store has the last word.
#[tokio::test(start_paused = true)]
async fn a_cancel_that_meets_the_end_of_a_failed_attempt_is_not_lost() {
    let mut t = Test::new(|_| {}).await;
    let worker = t.process(true, 1).await;
    let began = id(&worker.dispatch(t.call(false)).await.unwrap());
    let attempt = t.attempt().await;
    t.w.write(Write::RequestCancelIfRunning(began, 1)).await;
    attempt.fail(Advice::Retry);
    t.until(began, Status::Cancelled).await;
    assert_eq!(t.types(began).await.last().unwrap(), "execution_cancelled");
    assert!(t.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn a_revision_that_another_process_saved_is_used_by_the_next_call() {
    let mut t = Test::new(|_| {}).await;
    let (_one, two) = (t.process(true, 1).await, t.process(false, 2).await);
    let before = two.dispatch(t.call(false)).await.unwrap();
    t.attempt().await.succeed();
    let mut next = t.w.revised(&t.action);
    next.spec.config = serde_json::json!({"url": "https://other.example.com/"});
    t.w.write(Write::AddRevisionIfCurrent(Box::new(next))).await;
    let after = two.dispatch(t.call(false)).await.unwrap();
    let attempt = t.attempt().await;
    assert_eq!((before.view.execution.revision, after.view.execution.revision), (1, 2));
    assert!(attempt.request.config.contains("other.example.com"), "also by a worker that ran the one before");
    attempt.succeed();
    t.w.write(Write::RemoveActionIfCurrent(t.action.id, 2)).await;
    assert!(matches!(two.dispatch(t.call(false)).await, Err(EngineError::NotFound("action"))));
}

/// What waits behind something that somebody has to look after is looked at seldom. Whoever does so lets it
/// go on at once.
#[tokio::test(start_paused = true)]
async fn what_waited_long_for_somebody_goes_on_when_they_act() {
    for resolution in [Resolution::Succeeded, Resolution::Failed, Resolution::Retry] {
        let ordered = |action: &mut Action| {
            action.effect = Effect::Unsafe;
            action.spec.delivery.ordering_key = Some(".k".into());
            action.spec.delivery.on_order_failure = OnOrderFailure::Skip;
        };
        let mut t = Test::new(ordered).await;
        let engine = t.process(true, 1).await;
        let doubtful = id(&engine.dispatch(t.call(false)).await.unwrap());
        let waits = id(&engine.dispatch(t.call(false)).await.unwrap());
        t.attempt().await.trap(Sent::MaybeSent);
        t.until(doubtful, Status::InDoubt).await;
        t.waits_long(waits).await;
        engine.resolve_execution(doubtful, resolution, &Actor::Admin).await.unwrap();
        let acted = Instant::now();
        let mut next = t.attempt().await;
        if resolution == Resolution::Retry {
            assert_eq!(next.request.execution, doubtful);
            next.succeed();
            next = t.attempt().await;
        }
        assert_eq!(next.request.execution, waits);
        assert!(acted.elapsed() < Duration::from_secs(1), "{:?}", acted.elapsed());
    }
}

/// Behind a failed one as well, where it is tried again and ends well, or is dismissed.
#[tokio::test(start_paused = true)]
async fn what_waited_long_behind_a_failed_one_goes_on_when_it_ends() {
    for retries in [true, false] {
        let ordered = |action: &mut Action| {
            action.spec.delivery.ordering_key = Some(".k".into());
            action.spec.delivery.max_attempts = 1;
        };
        let mut t = Test::new(ordered).await;
        let engine = t.process(true, 1).await;
        let failed = id(&engine.dispatch(t.call(false)).await.unwrap());
        let waits = id(&engine.dispatch(t.call(false)).await.unwrap());
        t.attempt().await.fail(Advice::GiveUp);
        t.until(failed, Status::Failed).await;
        t.waits_long(waits).await;
        let acted = Instant::now();
        if retries {
            engine.retry_execution(failed, &Actor::Admin).await.unwrap();
            let again = t.attempt().await;
            assert_eq!(again.request.execution, failed);
            again.succeed();
        } else {
            engine.cancel_execution(failed, &Actor::Admin).await.unwrap();
        }
        assert_eq!(t.attempt().await.request.execution, waits);
        assert!(acted.elapsed() < Duration::from_secs(1), "{:?}", acted.elapsed());
    }
}
