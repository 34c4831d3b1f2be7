//! `s3` against a server that verifies signatures: s3s over a folder.

use super::{odd, world::World};
use crate::kit::Authority;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

const KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
const KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

struct Server {
    url: String,
    folder: TempDir,
}

impl Server {
    async fn start() -> Self {
        Self::start_as(None).await
    }

    /// One that speaks TLS, to whom this authority knows.
    async fn start_as(authority: Option<&Authority>) -> Self {
        let acceptor = authority.map(Authority::acceptor);
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("reports")).unwrap();
        let mut service = S3ServiceBuilder::new(FileSystem::new(folder.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(KEY_ID, KEY));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (service, acceptor) = (service.clone(), acceptor.clone());
                tokio::spawn(async move {
                    let builder = Builder::new(TokioExecutor::new());
                    let Some(acceptor) = acceptor else {
                        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                        return;
                    };
                    if let Ok(stream) = acceptor.accept(stream).await {
                        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                    }
                });
            }
        });
        Self { url, folder }
    }
}

fn config(url: &str, operation: Value) -> Value {
    json!({
        "endpoint": url, "bucket": "reports", "access_key_id": KEY_ID, "secret_access_key": {"$secret": "s3-key"},
        "operation": operation,
    })
}

async fn world() -> World {
    let world = World::new("s3").await;
    world.secret("s3-key", KEY).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_put_listed_got_and_deleted_without_a_sight_of_the_key() {
    let (world, server) = (world().await, Server::start().await);
    let input = json!({"id": "7 ü+&=", "deep": {"list": [1, 2]}});
    let put = json!({"put": {"key": "in/{{ id }}.json", "content": {"json": {"deep": "{{ deep }}"}}}});
    let execution = world.run(config(&server.url, put), &input).await;
    let output = World::output(&execution);
    assert_eq!((&output["key"], &output["size"]), (&json!("in/7 ü+&=.json"), &json!(23)), "{output}");
    assert!(output["etag"].as_str().is_some_and(|etag| etag.len() == 32), "{output}");
    let kept = std::fs::read_to_string(server.folder.path().join("reports/in/7 ü+&=.json")).unwrap();
    assert_eq!(kept, "{\"deep\":{\"list\":[1,2]}}");
    let bytes = json!({"put": {"key": "out/bytes", "content": {"base64": "/wA="}, "content_type": "image/png"}});
    World::output(&world.run(config(&server.url, bytes), &input).await);

    let execution = world.run(config(&server.url, json!({"get": {"key": "in/{{ id }}.json"}})), &input).await;
    assert_eq!(World::output(&execution)["deep"], input["deep"]);
    let execution = world.run(config(&server.url, json!({"get": {"key": "out/bytes"}})), &input).await;
    assert_eq!(*World::output(&execution), json!({"content_type": "image/png", "base64": "/wA="}));

    let list = json!({"list": {"prefix": "in/", "keys_max": 10}});
    let execution = world.run(config(&server.url, list), &input).await;
    let objects = &World::output(&execution)["objects"];
    assert_eq!((objects.as_array().unwrap().len(), &objects[0]["key"]), (1, &json!("in/7 ü+&=.json")), "{execution}");
    assert_eq!(objects[0]["size"], 23, "{execution}");

    for _ in 0..2 {
        let execution = world.run(config(&server.url, json!({"delete": {"key": "in/{{ id }}.json"}})), &input).await;
        World::output(&execution);
    }
    assert!(!server.folder.path().join("reports/in/7 ü+&=.json").exists());
    let report = world.test_seeing(&[], &config(&server.url, json!({"list": {}}))).await;
    assert_eq!(report["verdict"], "connected", "{report}");
    assert!(report["report"]["summary"].as_str().unwrap().contains(KEY_ID), "{report}");
    world.tells_nowhere("wJalrXUtnFEMI").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_takes_a_private_authority_and_a_client_certificate() {
    let (world, authority) = (world().await, Authority::new());
    let server = Server::start_as(Some(&authority)).await;
    let client = authority.identity("a client", &["client"]);
    world.secret("client-key", &client.key).await;
    let certificate = json!({"chain": client.certificate, "key": {"$secret": "client-key"}});
    let with = |tls: Value| {
        let mut config = config(&server.url, json!({"list": {}}));
        config["tls"] = tls;
        config
    };
    let known = with(json!({"extra_roots": authority.pem(), "client_certificate": certificate}));
    assert_eq!(World::output(&world.run(known, &json!({})).await)["objects"], json!([]));
    let stranger = with(json!({"client_certificate": certificate}));
    assert_eq!(World::failure(&world.run(stranger, &json!({})).await), ("bad_response", "give_up"));
    let nobody = with(json!({"extra_roots": authority.pem()}));
    assert_eq!(world.run(nobody, &json!({})).await["status"], "failed");
    world.tells_nowhere("PRIVATE KEY").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_in_and_what_is_not_there_is_told_apart() {
    let (world, server) = (world().await, Server::start().await);
    let get = || config(&server.url, json!({"get": {"key": "nothing"}}));
    let execution = world.run(get(), &json!({})).await;
    assert_eq!(World::failure(&execution), ("rejected", "give_up"));
    assert_eq!(execution["error"]["failure"]["details"]["code"], "NoSuchKey", "{execution}");
    let mut elsewhere = config(&server.url, json!({"list": {}}));
    elsewhere["bucket"] = "nowhere".into();
    let execution = world.run(elsewhere, &json!({})).await;
    assert_eq!(World::failure(&execution), ("invalid_config", "give_up"));

    world.secret("wrong", "not the key that it is").await;
    let mut config = get();
    config["secret_access_key"] = json!({"$secret": "wrong"});
    let execution = world.run(config.clone(), &json!({})).await;
    assert_eq!(World::failure(&execution), ("unauthenticated", "give_up"));
    assert_eq!(execution["error"]["failure"]["details"]["code"], "SignatureDoesNotMatch", "{execution}");
    let report = world.test_seeing(&[], &config).await;
    assert_eq!(
        (&report["verdict"], &report["error"]["failure"]["kind"]),
        (&json!("failed"), &json!("unauthenticated"))
    );

    let mut with_token = get();
    with_token["session_token"] = json!({"$secret": "wrong"});
    let execution = world.run(with_token, &json!({})).await;
    assert_eq!(World::failure(&execution), ("invalid_config", "give_up"));
    let message = execution["error"]["message"].as_str().unwrap();
    assert!(message.contains("/session_token") && message.contains("grants.reveal"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn remotes_that_are_away_slow_or_no_s3_are_told_apart() {
    let world = world().await;
    let list = |address: String| {
        let mut config = config(&format!("http://{address}"), json!({"list": {}}));
        config["timeout_ms"] = 300.into();
        config
    };
    let execution = world.run(list(odd::nobody()), &json!({})).await;
    assert_eq!(World::failure(&execution), ("unavailable", "retry"));
    let execution = world.run(list(odd::silent().await), &json!({})).await;
    assert_eq!(World::failure(&execution), ("unavailable", "retry"));
    for garbage in
        [&b"220 mail.test ESMTP\r\n"[..], b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>"]
    {
        let execution = world.run(list(odd::answers(garbage).await), &json!({})).await;
        assert_eq!(World::failure(&execution).0, "bad_response", "{execution}");
    }
}
