//! The log: pages, the stream, and where a reader resumes.

use crate::kit::{PATIENCE, Service, fixture};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

async fn three_executions(service: &Service) -> Vec<String> {
    let api = &service.private;
    api.upload(fixture("noop")).await.json(201);
    api.action("echo", "noop", json!({})).await.json(201);
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(api.execute("echo", &json!(number)).await.json(200)["id"].as_str().unwrap().to_owned());
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_follows_positions_misses_nothing() {
    let service = Service::start().await;
    let ids = three_executions(&service).await;
    let api = &service.private;
    let (mut seen, mut after) = (Vec::new(), 0);
    loop {
        let page = api.get(&format!("/v1/events?limit=2&after={after}")).await.json(200);
        let items = page["items"].as_array().unwrap();
        seen.extend(items.iter().cloned());
        match items.last() {
            Some(last) => after = last["position"].as_i64().unwrap(),
            None => break,
        }
    }
    let positions: Vec<i64> = seen.iter().map(|event| event["position"].as_i64().unwrap()).collect();
    assert_eq!(positions, (1..=positions.len() as i64).collect::<Vec<_>>());
    for id in &ids {
        let own: Vec<&Value> = seen.iter().filter(|event| event["execution"] == **id).collect();
        assert_eq!(own.len(), 3);
    }
    let cloud =
        api.request(Method::GET, "/v1/events?type=action_executed").header("accept", "application/cloudevents+json");
    let cloud = api.send(cloud).await.json(200);
    let first = cloud["items"].get(0).or_else(|| cloud.get(0)).unwrap();
    assert_eq!(first["specversion"], "1.0", "{cloud}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_resumes_where_it_was_left() {
    let service = Service::start().await;
    let ids = three_executions(&service).await;
    let api = &service.private;
    let page = api.get(&format!("/v1/executions/{}/events", ids[0])).await.json(200);
    let left_at = page["items"][2]["position"].as_i64().unwrap();
    let request = api
        .request(Method::GET, "/v1/events?type=action_executed")
        .header("accept", "text/event-stream")
        .header("last-event-id", left_at.to_string());
    let mut response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    // Two old ones, then one that happens while the stream is open.
    let fourth = api.execute("echo", &json!(4)).await.json(200)["id"].as_str().unwrap().to_owned();
    let mut text = String::new();
    let read = async {
        while !text.contains(&fourth) {
            text.push_str(&String::from_utf8_lossy(&response.chunk().await.unwrap().expect("the stream goes on")));
        }
    };
    timeout(PATIENCE, read).await.expect("the event comes");
    assert!(!text.contains(&ids[0]), "{text}");
    for id in &ids[1..] {
        assert!(text.contains(id.as_str()), "{text}");
    }
    assert_eq!(text.lines().filter(|line| line.starts_with("id:")).count(), 3, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_that_name_nothing_are_refused() {
    let service = Service::start().await;
    let api = &service.private;
    for (query, code) in [
        ("type=nonsense", "invalid_query"),
        ("after=x", "invalid_cursor"),
        ("after=99999", "position_beyond_end"),
        ("execution=act_1", "invalid_query"),
        ("limit=501", "invalid_query"),
        ("colour=red", "invalid_query"),
    ] {
        api.get(&format!("/v1/events?{query}")).await.problem(400, code);
    }
}
