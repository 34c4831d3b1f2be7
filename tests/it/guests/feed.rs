//! `feed`: documents of every kind and hostile ones, from a real server, and what becomes of them.

use super::{
    scripted::{Reply, Server},
    world::World,
};
use crate::kit::Remote;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const ATOM: &str = r#"<feed xmlns="http://www.w3.org/2005/Atom"><title>Example</title><updated>2026-11-23T05:08:00Z</updated>
<entry><id>tag:1</id><title>First</title><link href="/1"/><updated>2026-11-23T06:08:00+01:00</updated>
<content type="html">&lt;p&gt;Hi&lt;/p&gt;</content></entry><entry><id>tag:2</id><title>Second</title></entry></feed>"#;
const BOMB: &str = r#"<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><rss><channel><title>&b;</title></channel></rss>"#;

async fn server() -> Server {
    let rss =
        "<rss version='2.0'><channel><title>R</title><item><guid>g1</guid><title>One</title></item></channel></rss>";
    let json_feed =
        json!({"version": "https://jsonfeed.org/version/1.1", "title": "J", "items": [{"id": "j1"}]}).to_string();
    Server::start(move |request| match request.uri().path() {
        "/atom" if request.headers().get("if-none-match").is_some_and(|tag| tag == "\"1\"") => Reply::new(304, &[], ""),
        "/atom" => Reply::new(200, &[("etag", "\"1\"")], ATOM),
        "/rss" => Reply::new(200, &[("content-type", "text/xml")], rss),
        "/json" => Reply::new(200, &[], json_feed.clone()),
        "/private" if request.headers().get("authorization").is_some_and(|value| value == "Bearer feed-pass") => {
            Reply::new(200, &[], rss)
        }
        "/private" => Reply::new(401, &[], ""),
        "/bomb" => Reply::new(200, &[], BOMB),
        "/page" => Reply::new(200, &[("content-type", "text/html")], "<html><p>no feed</html>"),
        "/busy" => Reply::new(429, &[("retry-after", "7")], ""),
        "/moved" => Reply::new(301, &[("location", "/atom")], ""),
        "/silence" => Reply::Silence,
        _ => Reply::new(404, &[], ""),
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn feeds_of_every_kind_are_read_and_captured_once() {
    let Some(world) = World::of_protocol("feed").await else { return };
    let server = server().await;
    for (path, format, id) in
        [("/atom", "atom", "tag:1"), ("/rss", "rss", "g1"), ("/json", "json", "j1"), ("/moved", "atom", "tag:1")]
    {
        world.action("read", "feed", &json!({"url": server.url(path)})).await;
        let execution = world.execute("read", &json!({})).await;
        let output = &execution["output"];
        assert_eq!((&output["format"], &output["entries"][0]["id"]), (&json!(format), &json!(id)), "{execution}");
    }
    world.action("twice", "feed", &json!({"url": server.url("/atom")})).await;
    let first = world.execute("twice", &json!({})).await;
    let entry = &first["output"]["entries"][0];
    assert_eq!(entry["url"], server.url("/1"), "{first}");
    assert_eq!(
        (&entry["content"], &entry["updated"]),
        (&json!("<p>Hi</p>"), &json!("2026-11-23T05:08:00Z")),
        "{first}"
    );
    let second = world.execute("twice", &json!({})).await;
    assert_eq!(first["output"]["captured"], true, "{first}");
    // What was there is not read again, and no item is captured twice.
    assert_eq!(
        (&second["output"]["status"], &second["output"]["entries"]),
        (&json!("not_modified"), &json!([])),
        "{second}"
    );
    let events = world.service.private.events(first["id"].as_str().unwrap()).await;
    assert_eq!(events.iter().filter(|event| event["type"] == "item_captured").count(), 2, "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_feed_is_read_in_parts_and_nothing_of_it_is_lost() {
    let Some(world) = World::of_protocol("feed").await else { return };
    // As many as no execution has fuel for at once.
    let item = |n: usize| {
        let text = "Some words about it. ".repeat(25);
        format!("<item><guid>{n}</guid><title>No. {n}</title><link>/{n}</link><description>{text}</description></item>")
    };
    let items: String = (0..5_000).map(item).collect();
    let rss = format!("<rss version='2.0'><channel><title>Long</title>{items}</channel></rss>");
    let server = Server::start(move |_| Reply::new(200, &[("etag", "\"1\"")], rss.clone())).await;
    world.action("long", "feed", &json!({"url": server.url("/"), "max_content_bytes": 0})).await;
    // Up to the last that is looked at, all of them are within what an action has by default.
    for round in 0..10 {
        let execution = world.execute("long", &json!({})).await;
        assert_eq!(execution["status"], "succeeded", "{execution}");
        let output = world.output(&execution).await;
        assert_eq!(output["entries"][0]["id"], (round * 100).to_string(), "{execution}");
        assert_eq!(output["left_out"], 4_900 - round * 100, "{execution}");
    }
    let over = world.execute("long", &json!({})).await;
    assert_eq!((&over["output"]["entries"], &over["output"]["left_out"]), (&json!([]), &json!(4_000)), "{over}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_odd_feed_holds_stops_nothing_else() {
    let Some(world) = World::of_protocol("feed").await else { return };
    let long = "x".repeat(600);
    let items = format!(r#"[{{"id": "{long}"}}, {{"id": "\ud800", "title": "\udfff"}}, {{"id": 1e999, "url": "/u"}}]"#);
    let odd = format!(r#"{{"version": "https://jsonfeed.org/version/1.1", "title": "\ud800", "items": {items}}}"#);
    let deep = format!(r#"{{"version": {}"#, "[".repeat(100_000));
    let server = Server::start(move |request| match request.uri().path() {
        "/odd" => Reply::new(200, &[], odd.clone()),
        "/deep" => Reply::new(200, &[], deep.clone()),
        "/number" => Reply::new(200, &[], r#"{"version": NaN}"#),
        "/bracket" => Reply::new(302, &[("location", "http://[::1")], ""),
        "/port" => Reply::new(302, &[("location", "http://127.0.0.1:99999/")], ""),
        _ => Reply::new(404, &[], ""),
    })
    .await;
    world.action("odd", "feed", &json!({"url": server.url("/odd")})).await;
    let execution = world.execute("odd", &json!({})).await;
    let ids: Vec<_> = execution["output"]["entries"].as_array().unwrap().iter().map(|entry| &entry["id"]).collect();
    assert_eq!(ids, [&json!(long), &json!("\u{fffd}"), &json!(server.url("/u"))], "{execution}");
    let events = world.service.private.events(execution["id"].as_str().unwrap()).await;
    assert_eq!(events.iter().filter(|event| event["type"] == "item_captured").count(), 3, "{events:?}");
    for path in ["/deep", "/number", "/bracket", "/port"] {
        let told = world.failure("feed", &json!({"url": server.url(path)}), &json!({})).await;
        assert_eq!(told, ("bad_response".to_owned(), json!("give_up")), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_has_its_kind_and_advice() {
    let Some(world) = World::of_protocol("feed").await else { return };
    let server = server().await;
    let garbage = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let garbage_url = format!("http://{}/", garbage.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = garbage.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(b"HTTP/1.1 two hundred fine\r\n\r\n").await;
                // Open until the other side has seen enough.
                let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            });
        }
    });
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}/", listener.local_addr().unwrap())
    };
    let quick = |url: String| json!({"url": url, "timeout_ms": 300});
    for (config, kind, advice) in [
        (json!({"url": server.url("/private")}), "unauthenticated", json!("give_up")),
        (json!({"url": server.url("/none")}), "rejected", json!("give_up")),
        (json!({"url": server.url("/busy")}), "rate_limited", json!({"retry_after_ms": 7000})),
        (json!({"url": server.url("/page")}), "bad_response", json!("give_up")),
        (json!({"url": server.url("/bomb")}), "bad_response", json!("give_up")),
        (quick(server.url("/silence")), "unavailable", json!("retry")),
        (json!({"url": garbage_url}), "bad_response", json!("retry")),
        (json!({"url": nobody}), "unavailable", json!("retry")),
    ] {
        let told = world.failure("feed", &config, &json!({})).await;
        assert_eq!(told, (kind.to_owned(), advice), "{config}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_goes_to_the_feed_and_nowhere_else() {
    let Some(world) = World::of_protocol("feed").await else { return };
    let (server, other) = (server().await, Remote::start().await);
    world.secret("feed-token", "feed-pass").await;
    let authorization = json!({"$secret": "feed-token", "prefix": "Bearer "});
    let config = json!({"url": server.url("/private"), "authorization": authorization});
    world.action("private", "feed", &config).await;
    let execution = world.execute("private", &json!({})).await;
    assert_eq!(execution["status"], "succeeded", "{execution}");
    assert!(!execution.to_string().contains("feed-pass"), "{execution}");
    // A redirect to another origin takes no credentials along.
    let to = other.url("/");
    let away = Server::start(move |_| Reply::new(302, &[("location", &to)], "")).await;
    let config = json!({"url": away.url("/"), "redirect_urls": [other.url("/")], "authorization": authorization});
    world.action("away", "feed", &config).await;
    world.execute("away", &json!({})).await;
    assert!(away.requests()[0].headers().contains_key("authorization"));
    assert!(!other.requests()[0].headers().contains_key("authorization"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_test_says_what_feed_is_there() {
    let Some(world) = World::of_protocol("feed").await else { return };
    let server = server().await;
    let connected = world.test_connection("feed", &json!({"url": server.url("/atom")})).await;
    assert_eq!(connected["verdict"], "connected", "{connected}");
    assert_eq!(connected["report"]["details"]["entries"], 2, "{connected}");
    for path in ["/page", "/private", "/none"] {
        let failed: Value = world.test_connection("feed", &json!({"url": server.url(path)})).await;
        assert_ne!(failed["verdict"], "connected", "{failed}");
    }
}
