//! Who may connect and to what, and what is said about it.

use super::*;
use std::fs;

#[tokio::test]
async fn where_nobody_listens_the_error_says_where_and_why() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let broker = NatsBroker::new(&format!("nats://ann:s3cr3t@{nobody}"), NatsOptions::default()).unwrap();
    for _ in 0..2 {
        let why = trouble(bounded(broker.publish(&due(1))).await);
        assert!(why.contains(&format!("NATS at nats://{nobody}: ")) && why.contains("refused"), "{why}");
    }
    let broker = NatsBroker::new("nats://no-such-host.invalid", NatsOptions::default()).unwrap();
    let why = trouble(bounded(broker.pull(1, MOMENT)).await);
    assert!(why.contains("nats://no-such-host.invalid:4222: DNS error"), "{why}");
}

#[tokio::test]
async fn the_second_of_two_servers_is_used_where_the_first_is_away() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = NatsServer::start();
    let url = format!("nats://{nobody},127.0.0.1:{}", server.port());
    let broker = NatsBroker::new(&url, NatsOptions::default()).unwrap();
    let due = due(1);
    bounded(broker.publish(&due)).await.unwrap();
    assert_eq!(finish(&broker, 1).await, ids(&due));
}

#[tokio::test]
async fn a_stream_of_somebody_else_is_left_alone_and_named() {
    let server = NatsServer::start();
    let config =
        stream::Config { name: "action-service".to_owned(), subjects: vec!["other".to_owned()], ..Default::default() };
    look(&server).await.create_stream(config).await.unwrap();
    let why = trouble(bounded(broker(&server).publish(&due(1))).await);
    assert!(
        why.contains("action-service is there, and is not a work queue for the subject action-service.due"),
        "{why}"
    );
}

#[tokio::test]
async fn tls_is_checked_against_the_certificate_that_the_url_names() {
    let server_of = |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let folder = std::env::temp_dir().join(format!("action-service-nats-tls-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, content: String| {
        let file = folder.join(name).to_str().unwrap().to_owned();
        fs::write(&file, content).unwrap();
        file
    };
    let own = server_of("127.0.0.1");
    let (certificate, key) = (file("cert.pem", own.cert.pem()), file("key.pem", own.signing_key.serialize_pem()));
    let other = file("other.pem", server_of("127.0.0.1").cert.pem());
    let server = NatsServer::start_with(&["--tls", "--tlscert", &certificate, "--tlskey", &key]);
    let due = due(1);
    for (scheme, ca) in [("tls", &certificate), ("nats", &certificate), ("tls", &other)] {
        let url = format!("{scheme}://127.0.0.1:{}?ca={ca}", server.port());
        let broker = NatsBroker::new(&url, NatsOptions::default()).unwrap();
        let published = bounded(broker.publish(&due)).await;
        assert_eq!(published.is_ok(), *ca == certificate, "{url}: {published:?}");
    }
    fs::remove_dir_all(&folder).unwrap();
    // A server without TLS is not spoken to where it was asked for.
    let plain = NatsServer::start();
    let broker = NatsBroker::new(&format!("tls://127.0.0.1:{}", plain.port()), NatsOptions::default()).unwrap();
    trouble(bounded(broker.publish(&due)).await);
}
