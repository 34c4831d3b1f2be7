//! Transforms: what comes in and what goes out is put into another form, in the sandbox.

use crate::kit::{Answer, Remote, Service, client::Client, fixture};
use reqwest::Method;
use serde_json::{Value, json};

/// An action of the protocol `http` that posts its input and gets it back, with these members.
async fn echo(api: &Client, remote: &Remote, name: &str, more: Value) -> Answer {
    let mut action = json!({
        "name": name, "protocol": "http", "config": {"url": remote.url("/echo"), "method": "POST"},
        "grants": {"private_networks": true}, "delivery": {"max_attempts": 3}
    });
    action.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    api.post("/v1/actions", &action).await
}

fn jq(expression: &str) -> Value {
    json!({"language": "jq", "expression": expression})
}

async fn upload_as(api: &Client, query: &str, component: Vec<u8>) -> Answer {
    let request = api.request(Method::POST, &format!("/v1/protocols{query}"));
    api.send(request.header("content-type", "application/wasm").body(component)).await
}

fn bodies(remote: &Remote) -> Vec<Value> {
    remote.requests().iter().map(|request| serde_json::from_slice(request.body()).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn input_and_output_take_the_form_that_the_action_says() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let api = &service.private;
    let transforms = json!({
        "input_transform": jq("{text: \"\\(.title) for \\($action.name) by \\($trigger.type)\"}"),
        "output_transform": jq(".status"),
    });
    let saved = echo(api, &remote, "notify", transforms).await.json(201);
    assert_eq!(saved["transforms"], json!({"jq": "jq@0.1.0"}));
    let ended = api.execute("notify", &json!({"title": "Hello"})).await.json(200);
    assert_eq!((&ended["status"], &ended["output"]), (&json!("succeeded"), &json!(200)), "{ended}");
    assert_eq!(bodies(&remote), [json!({"text": "Hello for notify by call"})]);

    let template = "{# application/json #}{\"text\": {{ title }}}";
    let templated = json!({"input_transform": {"language": "template", "expression": template}});
    echo(api, &remote, "templated", templated).await.json(201);
    let ended = api.execute("templated", &json!({"title": "\"Hello\""})).await.json(200);
    assert_eq!(ended["status"], "succeeded", "{ended}");
    assert_eq!(bodies(&remote)[1], json!({"text": "\"Hello\""}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_is_told_with_its_place_when_the_action_is_saved() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let api = &service.private;
    let wrong = json!({
        "input_transform": jq("{a: .b,\n c: mpa(.d)}"),
        "output_transform": {"language": "awk", "expression": "1"},
        "triggers": [{"type": "event", "types": ["item_captured"], "filter": ".a |"}],
        "delivery": {"ordering_key": ".a + $x"}
    });
    let refused = echo(api, &remote, "wrong", wrong).await;
    assert_eq!(
        refused.problem(422, "invalid_document"),
        [
            "/delivery/ordering_key invalid_expression",
            "/input_transform/expression invalid_expression",
            "/output_transform/language transform_not_found",
            "/triggers/0/filter invalid_expression",
        ]
    );
    let errors = refused.json(422);
    let mistake = errors["errors"].as_array().unwrap().iter().find(|e| e["pointer"] == "/input_transform/expression");
    assert_eq!((&mistake.unwrap()["line"], &mistake.unwrap()["column"]), (&json!(2), &json!(5)), "{errors}");

    // Neither can stand in the place of the other.
    let kinds = json!({"protocol": "jq", "input_transform": {"language": "http", "expression": "."}});
    assert_eq!(
        echo(api, &remote, "kinds", kinds).await.problem(422, "invalid_document"),
        ["/input_transform/language not_a_transform", "/protocol not_a_protocol"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_final_and_repeats_nothing() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let api = &service.private;
    for (name, transforms) in [
        ("endless", json!({"input_transform": jq("[repeat(1)] | length")})),
        ("spinning", json!({"input_transform": jq("def f: f; f")})),
        ("bomb", json!({"input_transform": jq("reduce range(40) as $i (\"x\"; . + .) | length")})),
        ("deep", json!({"input_transform": jq("def f: [f]; f")})),
        ("none", json!({"input_transform": jq("empty")})),
    ] {
        echo(api, &remote, name, transforms).await.json(201);
        let ended = api.execute(name, &json!({"a": 1})).await.json(200);
        assert_eq!((&ended["status"], &ended["attempts"]), (&json!("failed"), &json!(1)), "{ended}");
        assert_eq!((&ended["error"]["code"], &ended["error"]["blame"]), (&json!("transform_failed"), &json!("action")));
        let events = api.event_types(ended["id"].as_str().unwrap()).await;
        assert_eq!(events, ["trigger_received", "attempt_started", "action_executed"], "{name}");
    }
    assert!(remote.requests().is_empty());

    // The effect has taken place, and what the protocol gave is kept.
    echo(api, &remote, "after", json!({"output_transform": jq(".status | error(\"no\")")})).await.json(201);
    let ended = api.execute("after", &json!({"a": 1})).await.json(200);
    assert_eq!((&ended["status"], &ended["attempts"]), (&json!("failed"), &json!(1)), "{ended}");
    assert_eq!(ended["error"]["code"], "transform_failed");
    assert_eq!(ended["output"]["body"], json!({"a": 1}), "{ended}");
    assert_eq!(remote.requests().len(), 1);
    // And nobody was harmed.
    echo(api, &remote, "plain", json!({})).await.json(201);
    assert_eq!(api.execute("plain", &json!({"a": 2})).await.json(200)["status"], "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_can_be_tried() {
    let service = Service::start().await;
    let api = &service.private;
    let attempt = async |language: &str, expression: &str, input: Value| {
        let body = json!({"expression": expression, "input": input});
        api.post(&format!("/v1/transforms/{language}/try"), &body).await
    };
    let tried = attempt("jq", ".a | map(. + 1)", json!({"a": [1, 2]})).await.json(200);
    assert_eq!(tried, json!({"output": [2, 3], "content_type": "application/json"}));
    let text = attempt("template@0.1.0", "Hello {{ name }}", json!({"name": "you"})).await.json(200);
    assert_eq!(text, json!({"output": "Hello you", "content_type": "text/plain; charset=utf-8"}));
    let wrong = attempt("jq", ".a | mpa(.b)", json!(1)).await.json(422);
    assert_eq!(
        wrong["errors"],
        json!([{"pointer": "/expression", "code": "invalid_expression",
            "message": "there is no filter `mpa` with 1 argument", "line": 1, "column": 6}])
    );
    let failed = attempt("template", "\n{{ missing.member }}", json!({})).await.json(422);
    assert_eq!((&failed["errors"][0]["code"], &failed["errors"][0]["line"]), (&json!("transform_failed"), &json!(2)));
    attempt("awk", "1", json!(1)).await.problem(404, "transform_not_found");

    // To the byte: numbers whose digits count, and what is no JSON.
    let of_text = async |members: Value| {
        let mut body = json!({"expression": ".a"});
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        api.post("/v1/transforms/jq/try", &body).await
    };
    let exact = of_text(json!({"text": "{\"a\": 12345678901234567890123}"})).await;
    assert!(String::from_utf8_lossy(&exact.body).contains("\"output\":12345678901234567890123"), "{exact:?}");
    let form = of_text(json!({"text": "a=b+c", "content_type": "application/x-www-form-urlencoded"})).await;
    assert_eq!(form.json(200)["output"], "b c");
    let twice = of_text(json!({"text": "1", "input": 2})).await.problem(422, "invalid_document");
    assert_eq!(twice, ["/text invalid"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_transform_is_held_by_its_limits() {
    let service = Service::start().await;
    let api = &service.private;
    let component = || fixture("wayward-transform");
    assert_eq!(upload_as(api, "", component()).await.problem(422, "component_refused"), ["/name required"]);
    let taken = upload_as(api, "?name=http&version=9.0.0", component()).await;
    taken.problem(409, "name_taken");
    let made = upload_as(api, "?name=wayward&version=1.0.0&summary=Odd", component()).await.json(201);
    assert_eq!(
        (&made["kind"], &made["name"], &made["summary"]),
        (&json!("transform"), &json!("wayward"), &json!("Odd"))
    );
    assert_eq!(upload_as(api, "?name=wayward&version=1.0.0", component()).await.json(200), made);
    let listed = api.get("/v1/protocols?kind=transform").await.json(200);
    let names: Vec<&str> =
        listed["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["wayward"], "http is there, and is none");

    for (expression, code, said) in [
        ("echo", "", ""),
        ("loop", "transform_failed", "fuel"),
        ("memory", "transform_failed", "memory"),
        ("large", "transform_failed", "bytes"),
        ("lie", "transform_failed", "JSON"),
        ("trap", "transform_failed", "trapped"),
        ("check-loop", "invalid_expression", "fuel"),
        ("check-silent", "invalid_expression", "does not say why"),
        ("check-far", "invalid_expression", "action trigger"),
    ] {
        let body = json!({"expression": expression, "input": {"a": 1}});
        let answer = api.post("/v1/transforms/wayward/try", &body).await;
        if code.is_empty() {
            assert_eq!(answer.json(200)["output"], json!({"a": 1}));
            continue;
        }
        let error = answer.json(422)["errors"][0].clone();
        assert_eq!(error["code"], code, "{expression}: {error}");
        assert!(error["message"].as_str().unwrap().contains(said), "{expression}: {error}");
    }

    let remote = Remote::start().await;
    let used = json!({"output_transform": {"language": "wayward", "expression": "echo"}});
    echo(api, &remote, "user", used).await.json(201);
    api.delete("/v1/protocols/wayward/1.0.0").await.problem(409, "in_use");
    assert_eq!(api.delete("/v1/actions/user").await.status, 204);
    assert_eq!(api.delete("/v1/protocols/wayward/1.0.0").await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_can_depend_on_any_expression() {
    let (service, remote) = (Service::start().await, Remote::start().await);
    let api = &service.private;
    let ordered = json!({"delivery": {"ordering_key": "\"\\(.customer)/\\(.region | ascii_downcase)\""}});
    echo(api, &remote, "ordered", ordered).await.json(201);
    let ended = api.execute("ordered", &json!({"customer": 7, "region": "EU"})).await.json(200);
    assert_eq!(ended["status"], "succeeded", "{ended}");
    // Without a region there is no key, and nothing is accepted that could come out of turn.
    let refused = api.execute("ordered", &json!({"customer": 7})).await;
    refused.problem(422, "transform_failed");
    let events = api.get("/v1/events?type=trigger_refused").await.json(200);
    assert_eq!(events["items"][0]["data"]["code"], "transform_failed");
}
