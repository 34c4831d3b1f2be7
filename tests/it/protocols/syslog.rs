//! `syslog` against `rsyslogd`.

use super::{
    kept::{Kept, free_address},
    odd,
    world::World,
};
use crate::kit::Authority;
use crate::kit::PATIENCE;
use serde_json::{Value, json};
use std::{fs, net::SocketAddr};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// A receiver on three ports. What it receives it says again, one JSON text a line.
struct Rsyslog {
    plain: SocketAddr,
    tls: SocketAddr,
    authority: Authority,
    /// Where it says it; it connects with the first message.
    told: TcpListener,
    lines: Option<Lines<BufReader<TcpStream>>>,
    _folder: TempDir,
    _process: Kept,
}

impl Rsyslog {
    async fn start() -> Self {
        let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
        let (plain, tls) = (free_address(), free_address());
        let files = authority.write(folder.path(), &authority.identity("syslog", &["127.0.0.1"]));
        let [ca, certificate, key] = files.map(|path| path.display().to_string());
        let told = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let lines = format!(
            r#"global(workDirectory="{work}" defaultNetstreamDriverCAFile="{ca}" defaultNetstreamDriverCertFile="{certificate}"
                      defaultNetstreamDriverKeyFile="{key}")
               module(load="imudp") module(load="imtcp")
               template(name="told" type="string" string="%jsonmesg%\n")
               action(type="omfwd" target="127.0.0.1" port="{told}" protocol="tcp" template="told")
               input(type="imudp" address="127.0.0.1" port="{plain}")
               input(type="imtcp" address="127.0.0.1" port="{plain}")
               input(type="imtcp" address="127.0.0.1" port="{tls}" streamdriver.name="gtls" streamdriver.mode="1"
                     streamdriver.authmode="anon")
            "#,
            work = folder.path().display(),
            told = told.local_addr().unwrap().port(),
            plain = plain.port(),
            tls = tls.port(),
        );
        let config = folder.path().join("rsyslog.conf");
        fs::write(&config, lines).unwrap();
        let pid = folder.path().join("pid");
        // Its debug output says when its listeners are there.
        let arguments = ["-nd", "-f", config.to_str().unwrap(), "-i", pid.to_str().unwrap()];
        let process = Kept::start("rsyslogd", arguments, "initialization completed").await.unwrap();
        Self { plain, tls, authority, told, lines: None, _folder: folder, _process: process }
    }

    /// The next message of an execution.
    async fn received(&mut self) -> Value {
        if self.lines.is_none() {
            let (stream, _) = timeout(PATIENCE, self.told.accept()).await.expect("it tells what it receives").unwrap();
            self.lines = Some(BufReader::new(stream).lines());
        }
        let lines = self.lines.as_mut().unwrap();
        loop {
            let line = timeout(PATIENCE, lines.next_line()).await.expect("a message comes").unwrap().unwrap();
            let message: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            if message["programname"] != "rsyslogd" {
                return message;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_arrive_over_each_transport() {
    let (world, mut rsyslog) = (World::new("syslog").await, Rsyslog::start().await);
    let input = json!({
        "message": "Bestellung 7: bezahlt, größer als\nzwei Zeilen", "severity": "err", "facility": "local3", "message_id": "PAID",
        "time": "2026-11-23T06:08:00.25+01:00", "structured_data": {"origin": {"software": "a\"b]\\c"}}
    });
    for transport in ["udp", "tcp", "tls"] {
        let address = if transport == "tls" { rsyslog.tls } else { rsyslog.plain };
        let config = json!({
            "address": address.to_string(), "transport": transport, "ca": rsyslog.authority.pem(), "app_name": "shop",
            "host_name": "here.test", "settle_ms": 50
        });
        let execution = world.run(config, &input).await;
        let output = World::output(&execution);
        assert_eq!((&output["transport"], &output["priority"]), (&json!(transport), &json!(19 * 8 + 3)));
        let message = rsyslog.received().await;
        assert_eq!(message["syslogfacility"], "19", "{message}");
        assert_eq!(message["syslogseverity"], "3", "{message}");
        assert_eq!((&message["programname"], &message["hostname"]), (&json!("shop"), &json!("here.test")), "{message}");
        assert_eq!(message["msgid"], "PAID", "{message}");
        assert_eq!(message["procid"], execution["id"], "{message}");
        assert_eq!(message["structured-data"], r#"[origin software="a\"b\]\\c"]"#, "{message}");
        let text = message["msg"].as_str().unwrap();
        assert!(text.contains("Bestellung 7: bezahlt, größer als"), "{message}");
        assert!(message["timereported"].as_str().unwrap().contains("05:08:00.25"), "{message}");
    }
    let config = json!({"address": rsyslog.tls.to_string(), "transport": "tls", "ca": rsyslog.authority.pem()});
    let report = world.test_seeing(&[], &config).await;
    assert!(report.to_string().contains("took a TLS connection"), "{report}");
    let untrusted = json!({"address": rsyslog.tls.to_string(), "transport": "tls"});
    assert_eq!(World::failure(&world.run(untrusted, &input).await), ("bad_response", "give_up"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_in_trouble_is_no_success() {
    let world = World::new("syslog").await;
    let input = json!({"message": "x"});
    let tcp = |address: String| json!({"address": address, "settle_ms": 5000});
    let tls = |address: String| json!({"address": address, "transport": "tls", "timeout_ms": 300});
    // Nobody listens: nothing was sent, so that it may be tried again.
    assert_eq!(World::failure(&world.run(tcp(odd::nobody()), &input).await), ("unavailable", "retry"));
    let udp = json!({"address": odd::nobody(), "transport": "udp", "settle_ms": 5000});
    assert_eq!(World::failure(&world.run(udp, &input).await), ("unavailable", "retry"));
    // Something that answers is no receiver.
    let talks = odd::says(b"220 mail.test ESMTP\r\n").await;
    assert_eq!(World::failure(&world.run(tcp(talks.clone()), &input).await), ("bad_response", "in_doubt"));
    let execution = world.run(tls(talks), &input).await;
    assert_eq!(World::failure(&execution).1, "give_up", "{execution}");
    // Over TCP silence is what is hoped for.
    let silent = json!({"address": odd::silent().await, "settle_ms": 50});
    World::output(&world.run(silent, &input).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_standard_does_not_allow_is_refused() {
    let world = World::new("syslog").await;
    let config = json!({"address": odd::nobody()});
    for input in [
        json!({"message": "x", "message_id": "a b"}),
        json!({"message": "x", "structured_data": {"a b": {}}}),
        json!({"message": "x".repeat(9000)}),
    ] {
        let execution = world.run(config.clone(), &input).await;
        assert_eq!(execution["status"], "failed", "{input}: {execution}");
        assert!(execution.to_string().contains("invalid_input"), "{input}: {execution}");
    }
    let wrong = json!({"address": "nowhere", "app_name": "a b", "client_chain": "x"});
    let answer =
        world.service.private.post("/v1/protocols/syslog/0.1.0/validate-config", &json!({"config": wrong})).await;
    let errors = answer.problem(422, "invalid_document");
    for pointer in ["/config/address", "/config/app_name", "/config/client_chain"] {
        assert!(errors.iter().any(|error| error.starts_with(pointer)), "{pointer}: {errors:?}");
    }
}
