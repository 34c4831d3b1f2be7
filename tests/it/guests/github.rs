//! `github` against a server that answers as GitHub does.

use super::{
    scripted::{Reply, Server, json_of},
    world::World,
};
use serde_json::{Value, json};

const AT: &str = "2026-11-23T05:08:00Z";

fn issue(number: u64, body: &Value) -> Value {
    json!({
        "id": 1000 + number, "number": number, "title": format!("Issue {number}"), "state": "open", "body": body,
        "html_url": format!("https://github.example.com/acme/rockets/issues/{number}"), "user": {"login": "ada"},
        "labels": [{"name": "bug"}], "assignees": [], "comments": 0, "created_at": AT, "updated_at": AT
    })
}

/// A server with 250 issues. What its repository is called says how it is.
async fn github() -> Server {
    Server::start(|request| {
        if request.headers().get("authorization").is_none_or(|value| value != "Bearer right-token") {
            return Reply::json(401, &json!({"message": "Bad credentials"}));
        }
        let path: Vec<&str> = request.uri().path().split('/').skip(5).collect();
        let repository = *path.first().unwrap_or(&"");
        let date = ("date", "Sun, 06 Nov 1994 08:49:00 GMT");
        match (request.method().as_str(), repository, &path[1..]) {
            (_, "busy", _) => {
                let headers = [date, ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "784111777")];
                Reply::new(403, &headers, r#"{"message": "API rate limit exceeded"}"#)
            }
            (_, "down", _) => Reply::new(500, &[], ""),
            (_, "noise", _) => Reply::new(200, &[], "{\"id\": "),
            (_, "deep", _) => Reply::new(200, &[], "[".repeat(100_000)),
            (_, "half", _) => Reply::new(422, &[], r#"{"message": "\ud800", "errors": ["\udfff"]}"#),
            (_, "silent", _) => Reply::Silence,
            (_, "strict", _) => Reply::json(422, &json!({"message": "Validation Failed", "errors": [{"field": "title"}]})),
            ("GET", "rockets", []) => {
                Reply::json(200, &json!({"full_name": "acme/rockets", "permissions": {"pull": true, "push": true}}))
            }
            ("POST", "rockets", ["issues"]) => Reply::json(201, &issue(251, &json_of(request)["body"])),
            ("PATCH", "rockets", ["issues", "7"]) => Reply::json(200, &issue(7, &json_of(request)["state"])),
            ("POST", "rockets", ["issues", "7", "comments"]) => Reply::json(
                201,
                &json!({"id": 5, "html_url": "u", "body": json_of(request)["body"], "user": null, "created_at": AT, "updated_at": AT}),
            ),
            ("GET", "rockets", ["issues"]) => page(request.uri(), request.headers()["host"].to_str().unwrap()),
            _ => Reply::json(404, &json!({"message": "Not Found"})),
        }
    })
    .await
}

fn page(uri: &hyper::Uri, host: &str) -> Reply {
    let query = uri.query().unwrap_or_default();
    let number = |name: &str| {
        let pair = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        pair.and_then(|text| text.parse::<u64>().ok())
    };
    let (page, size) = (number("page").unwrap_or(1), number("per_page").unwrap_or(30));
    let issues: Vec<Value> =
        ((page - 1) * size + 1..=(page * size).min(250)).map(|n| issue(n, &json!("text"))).collect();
    let next = format!("<http://{host}{}?per_page={size}&page={}>; rel=\"next\"", uri.path(), page + 1);
    let last = [("content-type", "application/json"), ("link", next.as_str())];
    let headers = if page * size < 250 { &last[..] } else { &last[..1] };
    Reply::new(200, headers, Value::from(issues).to_string())
}

async fn world() -> Option<World> {
    let world = World::of_protocol("github").await?;
    for (name, value) in [("github", "right-token"), ("old", "wrong-token")] {
        world.secret(name, value).await;
    }
    Some(world)
}

fn config(server: &Server, operation: &str) -> Value {
    // As GitHub Enterprise has it, with a path before the API's own.
    let url = server.url("/api/v3");
    json!({"url": url, "repository": "acme/rockets", "token": {"$secret": "github"}, "operation": operation})
}

#[tokio::test(flavor = "multi_thread")]
async fn issues_are_created_changed_commented_and_listed() {
    let Some(world) = world().await else { return };
    let github = github().await;
    let run = async |operation: &str, more: Value, input: Value| {
        let mut config = config(&github, operation);
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        world.action("issues", "github", &config).await;
        let execution = world.execute("issues", &input).await;
        assert_eq!(execution["status"], "succeeded", "{execution}");
        execution
    };
    let created = run("create_issue", json!({}), json!({"title": "T", "body": "Broken"})).await;
    let mark = format!("Broken\n\n<!-- action-service: {} -->", created["id"].as_str().unwrap());
    assert_eq!((&created["output"]["number"], &created["output"]["body"]), (&json!(251), &json!(mark)), "{created}");
    let changed = run("update_issue", json!({}), json!({"number": 7, "state": "closed"})).await;
    assert_eq!(changed["output"]["body"], "closed", "{changed}");
    let said = run("comment", json!({"mark": false}), json!({"number": 7, "body": "Done"})).await;
    assert_eq!(said["output"]["body"], "Done", "{said}");
    let listed = run("list_issues", json!({"max_items": 1000}), json!({})).await;
    let listed = world.output(&listed).await;
    let items = listed["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[249]["number"], &listed["more"]), (250, &json!(250), &json!(false)));
    let some = run("list_issues", json!({"max_items": 120}), json!({"state": "all"})).await;
    let some = world.output(&some).await;
    assert_eq!((some["items"].as_array().unwrap().len(), &some["more"]), (120, &json!(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_has_its_kind_and_advice() {
    let Some(world) = world().await else { return };
    let github = github().await;
    let of = |repository: &str, secret: &str| {
        json!({
            "url": github.url("/api/v3"), "repository": format!("acme/{repository}"), "token": {"$secret": secret},
            "operation": "get_issue", "timeout_ms": 500
        })
    };
    for (config, kind, advice) in [
        (of("rockets", "old"), "unauthenticated", json!("give_up")),
        (of("rockets", "github"), "rejected", json!("give_up")),
        (of("busy", "github"), "rate_limited", json!({"retry_after_ms": 38_000})),
        (of("down", "github"), "unavailable", json!("retry")),
        (of("noise", "github"), "bad_response", json!("give_up")),
        (of("deep", "github"), "bad_response", json!("give_up")),
        (of("half", "github"), "invalid_input", json!("give_up")),
        (of("strict", "github"), "invalid_input", json!("give_up")),
        (of("silent", "github"), "unavailable", json!("retry")),
    ] {
        let told = world.failure("github", &config, &json!({"number": 404})).await;
        assert_eq!(told, (kind.to_owned(), advice), "{config}");
    }
    let mut refused = of("rockets", "github");
    refused["url"] = json!("http://127.0.0.1:1/api/v3");
    assert_eq!(world.failure("github", &refused, &json!({"number": 1})).await.0, "unavailable");
    let wrong = world.failure("github", &of("rockets", "github"), &json!({"number": "one"})).await;
    assert_eq!(wrong.0, "invalid_input");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_whose_answer_was_lost_is_found_again() {
    let Some(world) = world().await else { return };
    let created: std::sync::Arc<std::sync::Mutex<Vec<Value>>> = std::sync::Arc::default();
    let kept = created.clone();
    let github = Server::start(move |request| match request.method().as_str() {
        "POST" => {
            kept.lock().unwrap().push(issue(1, &json_of(request)["body"]));
            Reply::Hangup
        }
        _ => Reply::json(200, &json!(*kept.lock().unwrap())),
    })
    .await;
    world.action("lost", "github", &config(&github, "create_issue")).await;
    let answer = world.service.private.execute("lost", &json!({"title": "once"})).await;
    let execution: Value = serde_json::from_slice(&answer.body).unwrap();
    let ended = world.service.private.ended(execution["id"].as_str().unwrap()).await;
    assert_eq!((&ended["status"], &ended["output"]["number"]), (&json!("succeeded"), &json!(1)), "{ended}");
    assert_eq!(created.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_test_says_what_the_token_may() {
    let Some(world) = world().await else { return };
    let github = github().await;
    let connected = world.test_connection("github", &config(&github, "create_issue")).await;
    assert_eq!(connected["verdict"], "connected", "{connected}");
    assert_eq!(connected["report"]["details"]["permissions"], json!(["pull", "push"]), "{connected}");
    let mut strange = config(&github, "create_issue");
    strange["token"] = json!({"$secret": "old"});
    let failed = world.test_connection("github", &strange).await;
    assert_ne!(failed["verdict"], "connected", "{failed}");
}
