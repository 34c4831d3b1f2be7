//! A token that is limited to actions, beside others of which it must not learn.

use crate::testing::{Answer, Api, Call};
use serde_json::{Value, json};

struct Two {
    api: Api,
    /// Limited to `mine` and `ours`.
    text: String,
    mine: String,
}

/// Actions `mine`, `ours` and `theirs`, each executed twice, in turns.
async fn two() -> Two {
    let api = Api::new();
    let mine = api.protocol_and_action("mine").await;
    api.action("ours", json!({"mode": "fail"})).await;
    api.action("theirs", json!({"mode": "fail"})).await;
    for action in ["mine", "theirs", "ours", "mine", "theirs", "ours"] {
        api.execute(action).await;
    }
    let wish = json!({"name": "limited", "scopes": ["configure", "invoke", "read"], "actions": ["mine", "ours"]});
    let (_, text) = api.token(&wish).await;
    Two { api, text, mine }
}

impl Two {
    fn call(&self, method: &str, path: &str) -> Call {
        self.api.request(method, path).bearer(&self.text)
    }

    async fn get(&self, path: &str) -> Answer {
        self.call("GET", path).send().await
    }

    async fn all(&self, path: &str) -> Vec<Value> {
        let (mut items, mut next) = (Vec::new(), path.to_owned());
        loop {
            let page = self.get(&next).await;
            page.is(200);
            let mut page = page.json();
            items.append(page["items"].as_array_mut().unwrap());
            let Some(after) = page["next"].as_str() else { return items };
            next = format!("{path}{}after={after}", if path.contains('?') { '&' } else { '?' });
        }
    }
}

#[tokio::test]
async fn lists_have_its_own_in_their_order_and_nothing_else() {
    let two = two().await;
    let id = async |name: &str| two.api.get(&format!("/v1/actions/{name}")).send().await.json()["id"].clone();
    let theirs = id("theirs").await;
    for limit in [1, 2, 3, 500] {
        let names: Vec<Value> =
            two.all(&format!("/v1/actions?limit={limit}")).await.iter().map(|action| action["name"].clone()).collect();
        assert_eq!(names, ["mine", "ours"]);
        for list in ["executions", "events"] {
            let all = two.api.all_pages(&format!("/v1/{list}?limit=500")).await;
            let own = all.iter().filter(|item| item.get("action").is_some() && item["action"] != theirs);
            let seen = two.all(&format!("/v1/{list}?limit={limit}")).await;
            assert_eq!(seen, own.cloned().collect::<Vec<_>>(), "{list} by {limit}");
            assert!(seen.len() >= 4);
        }
    }
    assert_eq!(two.all("/v1/actions?protocol=echo&enabled=true").await.len(), 2);
    assert!(two.all("/v1/actions?protocol=other").await.is_empty());
    assert_eq!(two.all("/v1/executions?action=ours&status=failed").await.len(), 2);
    assert!(two.all(&format!("/v1/executions?action={}", theirs.as_str().unwrap())).await.is_empty());
    assert!(two.all(&format!("/v1/events?action={}", theirs.as_str().unwrap())).await.is_empty());
    for list in ["executions", "events"] {
        for name in ["theirs", "nobody"] {
            two.get(&format!("/v1/{list}?action={name}")).await.is_problem(404, "action_not_found");
        }
    }
}

#[tokio::test]
async fn a_stream_has_its_own_events_alone() {
    let two = two().await;
    let mut stream = two.call("GET", "/v1/events?after=latest").with("accept", "text/event-stream").open().await;
    assert!(stream.chunk().await.unwrap().starts_with(": events follow"));
    two.api.execute("theirs").await;
    let ran = two.api.execute("mine").await;
    let mut seen = String::new();
    while !seen.contains("action_executed") {
        seen.push_str(&stream.chunk().await.unwrap());
    }
    let subject =
        |line: &str| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok()?.get("subject").cloned();
    assert!(seen.lines().filter_map(subject).all(|subject| subject == ran["id"]), "{seen}");
}

/// Its actions are read one after the other, and what they do goes on meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_of_many_actions_misses_none_of_what_happens_meanwhile() {
    const ACTIONS: usize = 50;
    const RUNS: usize = 600;
    let api = Api::new();
    let names: Vec<String> = (0..ACTIONS).map(|number| format!("a{number}")).collect();
    for name in &names {
        api.protocol_and_action(name).await;
    }
    let (_, text) = api.token(&json!({"name": "limited", "scopes": ["read"], "actions": names})).await;
    let start = api.get("/v1/events?after=latest").send().await.json()["next"].clone();
    let run = |number: usize| api.post(&format!("/v1/actions/a{}/execute", number * 7 % ACTIONS)).body("x");
    let calls: Vec<Call> = (0..RUNS).map(run).collect();
    let running = tokio::spawn(async move {
        for call in calls {
            call.send().await.is(200);
        }
    });
    let (mut seen, mut after) = (Vec::new(), start.as_str().unwrap().to_owned());
    loop {
        let over = running.is_finished();
        let page = api.get(&format!("/v1/events?limit=500&after={after}")).bearer(&text).send().await.json();
        seen.extend(page["items"].as_array().unwrap().iter().map(|event| event["position"].as_i64().unwrap()));
        if over && page["items"] == json!([]) {
            break;
        }
        after = seen.last().map_or(after, i64::to_string);
    }
    running.await.unwrap();
    let begun: i64 = start.as_str().unwrap().parse().unwrap();
    let all = api.all_pages("/v1/events?limit=500").await;
    let all = all.iter().map(|event| event["position"].as_i64().unwrap()).filter(|position| *position > begun);
    let all: Vec<i64> = all.collect();
    assert!(all.len() >= RUNS);
    assert_eq!(seen, all);
}

/// What is out of reach and what is not there look the same.
#[tokio::test]
async fn others_are_not_there() {
    let two = two().await;
    let theirs = two.api.get("/v1/actions/theirs").send().await.json()["id"].as_str().unwrap().to_owned();
    let run = two.api.get("/v1/executions?action=theirs").send().await.json()["items"][0].clone();
    let execution = run["id"].as_str().unwrap();
    let spec = json!({"protocol": "echo", "config": {}});
    let calls = [
        ("GET", "", None),
        ("PUT", "", Some(spec.clone())),
        ("PATCH", "", Some(json!({"enabled": false}))),
        ("DELETE", "", None),
        ("GET", "/revisions/1", None),
        ("GET", "/egress", None),
        ("POST", "/validate-config", None),
        ("POST", "/test-connection", None),
        ("POST", "/execute", None),
    ];
    for (method, rest, body) in calls {
        let ask = async |action: &str| {
            let call = two.call(method, &format!("/v1/actions/{action}{rest}"));
            let call = if let Some(body) = &body { call.json(body) } else { call };
            let answer = call.send().await;
            answer.is_problem(404, "action_not_found");
            answer.json()
        };
        let missing = ask("nobody").await;
        assert_eq!(ask("theirs").await, missing, "{method} {rest}");
        assert_eq!(ask(&theirs).await, missing, "{method} {rest}");
    }
    for (method, rest, body) in [
        ("GET", "", None),
        ("GET", "/events", None),
        ("GET", "/output", None),
        ("POST", "/cancel", None),
        ("POST", "/retry", None),
        ("POST", "/resolve", Some(json!({"as": "failed"}))),
    ] {
        let call = two.call(method, &format!("/v1/executions/{execution}{rest}"));
        let call = if let Some(body) = &body { call.json(body) } else { call };
        call.send().await.is_problem(404, "execution_not_found");
    }
    let public = two.api.public();
    let call = |path: &str| public.get(path).bearer(&two.text).send();
    call(&format!("/v1/executions/{execution}")).await.is_problem(404, "execution_not_found");
    let call = public.post("/v1/actions/theirs/execute").bearer(&two.text).send();
    call.await.is_problem(404, "action_not_found");
    let after = two.api.get(&format!("/v1/actions/{theirs}")).send().await.json();
    assert_eq!((&after["revision"], &after["enabled"]), (&json!(1), &json!(true)), "nothing was done");
}

#[tokio::test]
async fn it_does_with_its_own_what_its_scopes_allow() {
    let two = two().await;
    two.get("/v1/actions/mine").await.is(200);
    two.get("/v1/actions/mine/egress").await.is(200);
    two.get("/v1/actions/mine/revisions/1").await.is(200);
    two.call("PATCH", "/v1/actions/mine").json(&json!({"description": "x"})).send().await.is(200);
    let spec = json!({"protocol": "echo", "config": {}});
    two.call("PUT", "/v1/actions/mine").json(&spec).send().await.is(200);
    two.call("PUT", &format!("/v1/actions/{}", two.mine))
        .json(&json!({"name": "mine", "protocol": "echo", "config": {}}))
        .send()
        .await
        .is(200);
    two.call("PUT", "/v1/actions/new").json(&spec).send().await.is_problem(404, "action_not_found");
    two.call("POST", "/v1/actions").json(&spec).send().await.is_problem(403, "token_limited");
    let ran = two.call("POST", "/v1/actions/mine/execute").body("x").send().await;
    ran.is(200);
    let path = format!("/v1/executions/{}", ran.json()["id"].as_str().unwrap());
    for rest in ["", "/events", "/output"] {
        two.get(&format!("{path}{rest}")).await.is(200);
    }
    let retried = two.call("POST", "/v1/executions/retry").json(&json!({})).send().await;
    retried.is(202);
    assert_eq!(retried.json(), json!({"retried": 2, "more": false}), "of `ours`, and not those of `theirs`");
    let refused = two.call("POST", "/v1/executions/retry").json(&json!({"action": "theirs"})).send().await;
    refused.is_problem(404, "action_not_found");
    for path in
        ["/v1/protocols", "/v1/protocols/echo", "/v1/protocols/echo/0.1.0", "/v1/protocols/echo/0.1.0/component"]
    {
        two.get(path).await.is_problem(403, "token_limited");
    }
}

/// A name is of those who have it: another action under an old name is another one.
#[tokio::test]
async fn a_deleted_action_matches_nothing_any_more() {
    let two = two().await;
    two.api.request("DELETE", "/v1/actions/mine").send().await.is(204);
    two.get("/v1/actions/mine").await.is_problem(404, "action_not_found");
    two.api.protocol_and_action("mine").await;
    two.get("/v1/actions/mine").await.is_problem(404, "action_not_found");
    two.call("POST", "/v1/actions/mine/execute").send().await.is_problem(404, "action_not_found");
    // Its revisions are still its own, as for everybody.
    two.get(&format!("/v1/actions/{}/revisions/1", two.mine)).await.is(200);
    assert_eq!(two.all("/v1/actions").await.len(), 1);
    assert_eq!(two.all("/v1/executions").await.len(), 4, "what it did stays");
}

/// An event is the input of what it sets off: whoever may listen to an action reads it.
#[tokio::test]
async fn it_listens_to_its_own_and_to_nobody_else() {
    let two = two().await;
    let theirs = two.api.get("/v1/actions/theirs").send().await.json()["id"].as_str().unwrap().to_owned();
    let listen = |trigger: &Value| json!({"triggers": [{"type": "call"}, trigger]});
    let errors = |answer: &Answer| -> Vec<String> {
        let word = |error: &Value, member: &str| error[member].as_str().unwrap().to_owned();
        let errors = answer.json()["errors"].as_array().unwrap().clone();
        errors.iter().map(|error| format!("{} {}", word(error, "pointer"), word(error, "code"))).collect()
    };
    for (rest, expected) in [
        (json!({"types": ["action_executed"], "action": "theirs"}), vec!["/triggers/1/action action_not_found"]),
        (json!({"types": ["action_executed"], "action": theirs}), vec!["/triggers/1/action action_not_found"]),
        (json!({"types": ["action_executed"], "action": "nobody"}), vec!["/triggers/1/action action_not_found"]),
        (json!({"types": ["trigger_received"]}), vec!["/triggers/1/action token_limited"]),
        (
            json!({"types": ["action_executed", "token_created", "secret_set"]}),
            vec![
                "/triggers/1/types/1 token_limited",
                "/triggers/1/types/2 token_limited",
                "/triggers/1/action token_limited",
            ],
        ),
        (json!({"types": ["token_created"], "action": "ours"}), vec!["/triggers/1/types/0 token_limited"]),
    ] {
        let mut trigger = rest;
        trigger["type"] = "event".into();
        let patched = two.call("PATCH", "/v1/actions/mine").json(&listen(&trigger)).send().await;
        patched.is_problem(422, "invalid_document");
        assert_eq!(errors(&patched), expected, "{trigger}");
        for query in ["", "?dry_run=true"] {
            let mut document = listen(&trigger);
            document
                .as_object_mut()
                .unwrap()
                .extend([("protocol".into(), "echo".into()), ("config".into(), json!({}))]);
            let put = two.call("PUT", &format!("/v1/actions/mine{query}")).json(&document).send().await;
            put.is_problem(422, "invalid_document");
            assert_eq!(errors(&put), expected, "{trigger} {query}");
        }
    }
    let ours = json!({"type": "event", "types": ["action_executed"], "action": "ours"});
    let saved = two.call("PATCH", "/v1/actions/mine").json(&listen(&ours)).send().await;
    saved.is(200);
    let id = two.get("/v1/actions/ours").await.json()["id"].clone();
    assert_eq!(saved.json()["triggers"][1]["action"], id, "a name may be another action's in a moment");
}

/// What somebody else wrote into an action does not stop whoever may change it.
#[tokio::test]
async fn a_trigger_that_stands_there_already_stays() {
    let two = two().await;
    let theirs = json!({"type": "event", "types": ["action_executed"], "action": "theirs"});
    two.api.request("PATCH", "/v1/actions/mine").json(&json!({"triggers": [theirs]})).send().await.is(200);
    let patched = two.call("PATCH", "/v1/actions/mine").json(&json!({"description": "x"})).send().await;
    patched.is(200);
    assert_eq!(patched.json()["triggers"], json!([theirs]));
    let mut wider = theirs.clone();
    wider["types"] = json!(["action_executed", "trigger_received"]);
    let patched = two.call("PATCH", "/v1/actions/mine").json(&json!({"triggers": [wider]})).send().await;
    patched.is_problem(422, "invalid_document");
}
