//! `smtp` against aiosmtpd.

use super::{kept::Kept, odd, world::World};
use crate::kit::Authority;
use serde_json::{Value, json};
use std::fs;
use tempfile::TempDir;

const USER: &str = "ada";
const PASSWORD: &str = "pa55 w0rd of \"mail\"";
const SEES: &[&str] = &["mail-password"];

/// One server in the clear, one with STARTTLS that knows LOGIN only, one with TLS for those who show a certificate.
struct Server {
    plain: String,
    starttls: String,
    tls: String,
    authority: Authority,
    folder: TempDir,
    _process: Kept,
}

impl Server {
    async fn start() -> Self {
        let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
        authority.write(folder.path(), &authority.identity("mail", &["127.0.0.1", "mail.test"]));
        let script = folder.path().join("server.py");
        fs::write(&script, include_str!("smtp_server.py")).unwrap();
        let arguments = [script.to_str().unwrap(), folder.path().to_str().unwrap(), USER, PASSWORD];
        // Debian's own Python, which has Debian's package.
        let process = Kept::start("/usr/bin/python3", arguments, "ready ").await.expect("aiosmtpd runs");
        let mut ports = process.said.split(' ').skip(1).map(|port| format!("127.0.0.1:{port}"));
        let (plain, starttls, tls) = (ports.next().unwrap(), ports.next().unwrap(), ports.next().unwrap());
        Self { plain, starttls, tls, authority, folder, _process: process }
    }

    /// What it took so far.
    fn mails(&self) -> Vec<Value> {
        let lines = fs::read_to_string(self.folder.path().join("mails.jsonl")).unwrap_or_default();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn config(&self, security: &str) -> Value {
        let address = match security {
            "tls" => &self.tls,
            "starttls" => &self.starttls,
            _ => &self.plain,
        };
        json!({
            "address": address, "security": security, "username": USER, "password": {"$secret": "mail-password"},
            "from": "The shop <shop@a.test>", "to": ["Ada <ada@b.test>", "{{ to? }}"], "bcc": "hidden@b.test",
            "subject": "Grüße {{ name }}", "text": "Hello {{ name }}\n.\nQUIT\n", "html": "<b>{{ name }}</b>",
            "attachments": [{"name": "a.bin", "content": {"base64": "/wA="}}, {"name": "in.json", "content_type": "application/json", "content": "input"}],
        })
    }

    fn tls_of(&self, config: &mut Value, identity: Option<&crate::kit::authority::Identity>) {
        config["tls"] = json!({"extra_roots": self.authority.pem()});
        if let Some(identity) = identity {
            config["tls"]["client_certificate"] =
                json!({"chain": identity.certificate, "key": {"$secret": "client-key"}});
        }
    }
}

async fn world() -> World {
    let world = World::new("smtp").await;
    world.secret("mail-password", PASSWORD).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_arrives_whole_over_each_kind_of_security() {
    let (world, server) = (world().await, Server::start().await);
    let client = server.authority.identity("a client", &["client"]);
    world.secret("client-key", &client.key).await;
    let input = json!({"name": "<Zoë>", "to": ["b@b.test", "c@b.test"]});
    for security in ["none", "starttls", "tls"] {
        let mut config = server.config(security);
        if security != "none" {
            server.tls_of(&mut config, (security == "tls").then_some(&client));
        }
        let execution = world.run_seeing(SEES, config.clone(), &input).await;
        let output = World::output(&execution);
        let to = json!(["ada@b.test", "b@b.test", "c@b.test", "hidden@b.test"]);
        assert_eq!((&output["recipients"], &output["reply"]), (&to, &json!("250 2.0.0 taken")), "{security}");
        let mail = server.mails().pop().unwrap();
        assert_eq!((&mail["from"], &mail["to"], &mail["user"]), (&json!("shop@a.test"), &to, &json!(USER)));
        let content = mail["content"].as_str().unwrap();
        assert!(content.contains(&format!("Message-ID: <{}@a.test>", execution["id"].as_str().unwrap())), "{content}");
        assert!(content.contains("\r\n.\r\nQUIT\r\n") || content.contains("=2E"), "the dot arrives: {content}");
        assert!(content.contains("&lt;Zo") && content.contains("a.bin") && content.contains("/wA="), "{content}");
        assert!(!content.contains("hidden@b.test"), "{content}");

        let report = world.test_seeing(SEES, &config).await;
        assert_eq!(report["verdict"], "connected", "{report}");
        let method = if security == "starttls" { "LOGIN" } else { "PLAIN" };
        assert_eq!(report["report"]["details"]["authentication"], method, "{report}");
        assert!(report["report"]["summary"].as_str().unwrap().contains("mail.test"), "{report}");
    }
    assert_eq!(server.mails().len(), 3, "a test sends nothing");
    world.tells_nowhere("pa55 w0rd").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_in_and_who_is_not_known_is_told_apart() {
    let (world, server) = (world().await, Server::start().await);
    let input = json!({"name": "n"});
    let execution = world.run(server.config("none"), &input).await;
    assert_eq!(World::failure(&execution), ("invalid_config", "give_up"));
    assert!(execution["error"]["message"].as_str().unwrap().contains("grants.reveal"), "{execution}");
    world.secret("wrong", "not the password").await;
    let mut config = server.config("none");
    config["password"] = json!({"$secret": "wrong"});
    let execution = world.run_seeing(&["wrong"], config, &input).await;
    assert_eq!(World::failure(&execution), ("unauthenticated", "give_up"));
    let mut nameless = server.config("starttls");
    server.tls_of(&mut nameless, None);
    for name in ["username", "password"] {
        nameless.as_object_mut().unwrap().remove(name);
    }
    let execution = world.run(nameless, &input).await;
    assert_eq!(World::failure(&execution), ("unauthenticated", "give_up"));
    for (to, kind, advice) in [("nobody@b.test", "rejected", "give_up"), ("later@b.test", "unavailable", "retry")] {
        let mut config = server.config("none");
        config["to"] = json!(["ada@b.test", to]);
        let execution = world.run_seeing(SEES, config, &input).await;
        assert_eq!(World::failure(&execution), (kind, advice));
        assert_eq!(execution["error"]["failure"]["details"]["refused"][0]["address"], to, "{execution}");
    }
    // A certificate of an authority that nobody named, and a server that wants one of ours.
    let execution = world.run_seeing(SEES, server.config("starttls"), &input).await;
    assert_eq!(World::failure(&execution), ("bad_response", "give_up"));
    let mut config = server.config("tls");
    server.tls_of(&mut config, None);
    let execution = world.run_seeing(SEES, config, &input).await;
    // With TLS 1.3 the refusal comes behind the handshake: as an alert, or as an end before it is read.
    assert!(matches!(World::failure(&execution).0, "bad_response" | "unavailable"), "{execution}");
    let mut config = server.config("none");
    config["security"] = "starttls".into();
    let execution = world.run_seeing(SEES, config, &input).await;
    assert_eq!(World::failure(&execution), ("invalid_config", "give_up"), "no STARTTLS there");
    assert!(server.mails().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn remotes_that_are_away_slow_or_no_mail_server_are_told_apart() {
    let (world, server) = (world().await, Server::start().await);
    let config = |address: String| json!({"address": address, "security": "none", "from": "a@b.test", "to": "c@d.test", "text": "x", "timeout_ms": 300});
    let execution = world.run(config(odd::nobody()), &json!({})).await;
    assert_eq!(World::failure(&execution), ("unavailable", "retry"));
    let execution = world.run(config(odd::silent().await), &json!({})).await;
    assert_eq!(World::failure(&execution), ("unavailable", "retry"));
    for garbage in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"\x15\x03\x01\x00\x02\x02\x28\n"] {
        let execution = world.run(config(odd::says(garbage).await), &json!({})).await;
        assert_eq!(World::failure(&execution), ("bad_response", "retry"), "nothing was sent");
    }
    let execution = world.run(config(odd::says(b"554 not you\r\n").await), &json!({})).await;
    assert_eq!(World::failure(&execution), ("rejected", "give_up"));
    let plain = server.plain.parse().unwrap();
    for (word, status, advice, taken) in
        [(&b"RCPT TO"[..], "failed", "retry", 0), (b"\r\n.\r\n", "in_doubt", "in_doubt", 1)]
    {
        let through = odd::losing_the_answer_to(word, plain).await;
        let mut config = config(through);
        config["timeout_ms"] = 20_000.into();
        let execution = world.run(config, &json!({})).await;
        assert_eq!((World::failure(&execution), &execution["status"]), (("unavailable", advice), &json!(status)));
        assert_eq!(server.mails().len(), taken);
    }
}
