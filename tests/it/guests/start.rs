//! Large built-in protocols hold nobody up: neither a start, nor whoever does not want them.

use super::{
    scripted::{Reply, Server},
    world::{World, is_built},
};
use crate::kit::{
    Service,
    client::Client,
    components::protocol_path,
    service::{Options, binary},
};
use serde_json::{Value, json};
use tokio::process::Command;

async fn missing(api: &Client) -> Vec<(String, String)> {
    let page = api.get("/v1/protocols").await.json(200);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let missing = page["missing"].as_array().unwrap();
    missing.iter().map(|one| (text(&one["name"]), text(&one["state"]))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_seconds_to_compile_is_prepared_after_the_start_and_waited_for() {
    if !is_built(&protocol_path("feed")) {
        return;
    }
    // Cold: nothing is compiled yet.
    let service = Service::start_with(Options::default().with("ACTION_SERVICE_PREPARE", "start")).await;
    let api = &service.private;
    let coming = missing(api).await;
    let state = coming.iter().find(|(name, _)| name == "feed").map(|(_, state)| state.as_str());
    assert!(matches!(state, Some("waiting" | "preparing")), "{coming:?}");
    // Small ones were there before it was ready.
    api.get("/v1/protocols/http/0.1.0").await.json(200);
    api.action("news", "feed", json!({"url": "http://127.0.0.1:1/"})).await.json(201);
    assert!(missing(api).await.iter().all(|(name, _)| name != "feed"));
    let shown = api.get("/v1/protocols/feed").await.json(200);
    assert_eq!(shown["items"][0]["version"], "0.1.0", "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_they_are_prepared_when_wanted_only_what_is_named_is() {
    let Some(world) = World::of_protocol("slack").await else { return };
    let api = &world.service.private;
    let names = async || missing(api).await.into_iter().filter(|(_, state)| state == "waiting").map(|(name, _)| name);
    assert!(names().await.any(|name| name == "slack"));
    api.get("/v1/protocols/slack/0.1.0").await.json(200);
    let left: Vec<String> = names().await.collect();
    assert!(!left.contains(&"slack".to_owned()) && left.contains(&"github".to_owned()), "{left:?}");
    api.get("/v1/protocols/nothing/0.1.0").await.problem(404, "protocol_not_found");
    // A second start finds it registered.
    let (status, options) = world.service.stop().await;
    assert!(status.success());
    let again = Service::start_with(options).await;
    assert!(missing(&again.private).await.iter().all(|(name, _)| name != "slack"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_nothing_but_what_is_missing_says_so() {
    let page = json!({"items": [], "next": null, "missing": [{"name": "feed", "state": "waiting", "reason": null}]});
    let answered = page.clone();
    let service = Server::start(move |_| Reply::json(200, &answered)).await;
    let list = async |words: &[&str]| {
        let mut command = Command::new(binary());
        command.args(words).args(["protocol", "list", "--server", &service.url(""), "--token", "t"]);
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let told = list(&[]).await;
    assert!(told.lines().any(|line| line.contains("feed") && line.contains("being prepared")), "{told}");
    assert_eq!(serde_json::from_str::<Value>(&list(&["--json"]).await).unwrap(), page);
}
