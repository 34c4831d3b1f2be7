//! Somebody who has the database and no key makes the service itself work for him: it signs nothing in
//! the place of what is gone, and what it removes it signs as what it was.

use super::{Service, by_hand, edit, findings, json, seal, work};
use reqwest::Method;

/// The way of somebody who has the database and no key: an event is edited, the seals that tell go,
/// and the service is to sign the rest anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_signs_nothing_in_the_place_of_seals_that_are_gone() {
    let all = ("DELETE FROM seals", "anchor_missing seal 2", "nothing_sealed");
    let last = ("DELETE FROM seals WHERE sequence = 2", "anchor_missing seal 2", "");
    for ((delete, missing, more), restarts) in [(all, false), (all, true), (last, false), (last, true)] {
        let mut service = Service::start_with(by_hand()).await;
        for _ in 0..2 {
            work(&service).await;
            seal(&service).await;
        }
        let data = service.folder().join("data");
        let edited = "UPDATE events SET data = replace(data, '\"by\":\"admin\"', '\"by\":\"mallory\"') WHERE position = \
             (SELECT max(position) FROM events WHERE type = (SELECT code FROM event_types WHERE word = 'trigger_received'))";
        let forge = format!("{edited}; {delete}; SELECT changes()");
        if restarts {
            let options = service.kill().await;
            assert_ne!(edit(&data, &forge).await, "0");
            service = Service::start_with(options).await;
        } else {
            assert_ne!(edit(&data, &forge).await, "0");
        }
        let api = &service.private;
        api.execute("echo", &json!(1)).await.json(200);
        let refused = api.send(api.request(Method::POST, "/v1/audit/seals")).await;
        refused.problem(409, "chain_differs");
        assert_eq!(api.get("/readyz").await.json(200), json!({"status": "ready", "sealing": "refused"}));
        let pruned = api.post("/v1/events/prune", &json!({"before": "2999-01-01T00:00:00Z"})).await;
        pruned.problem(409, "chain_differs");
        // Not at its end either.
        let (status, options) = service.stop().await;
        assert!(status.success());
        let found = findings(&data, &[]).await;
        assert_eq!(found, [missing, more].into_iter().filter(|code| !code.is_empty()).collect::<Vec<_>>(), "{delete}");
        // Whoever operates the node has looked into it, and says that this is the log from now on.
        std::fs::remove_file(data.join("audit-mark")).unwrap();
        let service = Service::start_with(options).await;
        seal(&service).await;
        assert_eq!(service.private.get("/readyz").await.json(200), json!({"status": "ready"}));
        let (_, _options) = service.stop().await;
        assert_eq!(findings(&data, &[]).await, [""; 0]);
    }
}

/// The service itself removes what the database names; its signature tells whether that was what was sealed.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_was_made_to_remove_something_else_says_so() {
    let last = "(SELECT max(position) FROM events WHERE execution IS NOT NULL)";
    let first = "(SELECT execution FROM events WHERE execution IS NOT NULL ORDER BY position LIMIT 1)";
    for leaves_behind in [false, true] {
        let service = Service::start_with(by_hand()).await;
        work(&service).await;
        let first_ended = service.private.get("/v1/executions?limit=500").await.json(200);
        let mut ended: Vec<&str> =
            first_ended["items"].as_array().unwrap().iter().map(|it| it["ended_at"].as_str().unwrap()).collect();
        ended.sort_unstable();
        seal(&service).await;
        let data = service.folder().join("data");
        let position = edit(&data, &format!("SELECT {last}")).await;
        let whose = edit(&data, &format!("SELECT hex(execution) FROM events WHERE position = {position}")).await;
        let others =
            edit(&data, "SELECT hex(execution) FROM events WHERE execution IS NOT NULL ORDER BY position LIMIT 1")
                .await;
        let moved = if leaves_behind {
            // One of the first execution's events is said to be of the last one, which stays.
            let one = edit(&data, &format!("SELECT max(position) FROM events WHERE execution = {first}")).await;
            edit(&data, &format!("UPDATE events SET execution = x'{whose}' WHERE position = {one}")).await;
            one
        } else {
            // The last one of all, and old enough.
            edit(&data, &format!("UPDATE events SET execution = x'{others}', time = 1 WHERE position = {position}"))
                .await;
            position
        };
        let pruned = service.private.post("/v1/events/prune", &json!({"before": ended[1]})).await.json(200);
        assert_eq!(pruned["executions"], 1, "{pruned}");
        if leaves_behind {
            edit(&data, &format!("UPDATE events SET execution = x'{others}' WHERE position = {moved}")).await;
        }
        let (_, _options) = service.stop().await;
        let prune = edit(&data, "SELECT max(position) FROM events").await;
        let gone = edit(&data, "SELECT min(position) FROM pruned_events").await;
        let wanted = if leaves_behind { gone } else { prune };
        assert_eq!(findings(&data, &[]).await, [format!("prune_mismatch {wanted}")]);
    }
}
