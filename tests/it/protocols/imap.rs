//! `imap` against Dovecot.

use super::{
    kept::{Kept, free_address},
    odd,
    world::World,
};
use crate::kit::{Authority, PATIENCE, Service};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt, path::Path, process::Command, time::Duration};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

const USER: &str = "ada";
const PASSWORD: &str = "pa55 w0rd of \"imap\"";
const SEES: &[&str] = &["imap-password"];

/// How often a service is killed while it reads.
const KILLS: usize = 8;

/// A server on two ports: one in the clear, with STARTTLS for who wants it, and one with TLS.
struct Server {
    plain: SocketAddr,
    tls: SocketAddr,
    authority: Authority,
    _folder: TempDir,
    _process: Kept,
}

impl Server {
    async fn start() -> Self {
        loop {
            let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
            let (plain, tls) = (free_address(), free_address());
            authority.write(folder.path(), &authority.identity("imap", &["127.0.0.1", "imap.test"]));
            let config = write_config(folder.path(), plain.port(), tls.port());
            let arguments = ["-F", "-c", config.as_str()];
            if let Some(process) = Kept::start("dovecot", arguments, "starting up").await {
                return Self { plain, tls, authority, _folder: folder, _process: process };
            }
        }
    }

    /// A config of all that is needed.
    fn config(&self, changes: Value) -> Value {
        let mut config = json!({
            "address": self.plain.to_string(), "security": "none", "username": USER,
            "password": {"$secret": "imap-password"}, "timeout_ms": 10_000,
        });
        config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        config
    }
}

/// Dovecot takes no mails as root, and its parts have users of their own where it is started by root.
fn write_config(folder: &Path, plain: u16, tls: u16) -> String {
    let me = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap().trim().to_owned();
    let (user, login) = if me == "root" { ("dovecot", "dovenull") } else { (me.as_str(), me.as_str()) };
    let group = String::from_utf8(Command::new("id").args(["-gn", user]).output().unwrap().stdout).unwrap();
    let (group, at) = (group.trim(), folder.display());
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["run", "mail"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    assert!(Command::new("chown").arg(format!("{user}:{group}")).arg(folder.join("mail")).status().unwrap().success());
    fs::write(folder.join("users"), format!("{USER}:{{PLAIN}}{PASSWORD}:::::\n")).unwrap();
    let text = format!(
        "base_dir = {at}/run\nstate_dir = {at}/run\nprotocols = imap\nlisten = 127.0.0.1\nlog_path = /dev/stderr\n\
         default_internal_user = {user}\ndefault_internal_group = {group}\ndefault_login_user = {login}\n\
         ssl = yes\nssl_cert = <{at}/server.pem\nssl_key = <{at}/server.key\ndisable_plaintext_auth = no\n\
         mail_location = maildir:{at}/mail\nfirst_valid_uid = 1\nmail_max_userip_connections = 100\n\
         passdb {{\n  driver = passwd-file\n  args = {at}/users\n}}\n\
         userdb {{\n  driver = static\n  args = uid={user} gid={group} home={at}/mail\n}}\n\
         service anvil {{\n  chroot =\n}}\n\
         service imap-login {{\n  chroot =\n  inet_listener imap {{\n    port = {plain}\n  }}\n  \
         inet_listener imaps {{\n    port = {tls}\n    ssl = yes\n  }}\n}}\n",
    );
    let path = folder.join("dovecot.conf");
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Somebody else at the same mailbox, who delivers mails and looks at them.
struct Other {
    stream: BufReader<TcpStream>,
}

impl Other {
    async fn at(server: &Server) -> Self {
        let mut other = Self { stream: BufReader::new(TcpStream::connect(server.plain).await.unwrap()) };
        other.say(&format!("LOGIN {USER} \"{}\"", PASSWORD.replace('"', "\\\""))).await;
        other
    }

    /// Says a command and gives back what the server says up to its end, which has to be good.
    async fn say(&mut self, command: &str) -> String {
        self.stream.write_all(format!("x {command}\r\n").as_bytes()).await.unwrap();
        let (mut said, end) = (String::new(), "x OK");
        loop {
            let mut line = String::new();
            let bytes = timeout(PATIENCE, self.stream.read_line(&mut line)).await.unwrap().unwrap();
            assert!(bytes > 0 && !line.starts_with("x NO") && !line.starts_with("x BAD"), "{command}: {said}{line}");
            if line.starts_with(end) {
                return said;
            }
            said.push_str(&line);
        }
    }

    async fn deliver(&mut self, mailbox: &str, mail: &str) {
        let mail = mail.replace('\n', "\r\n");
        self.say(&format!("APPEND \"{mailbox}\" {{{}+}}\r\n{mail}", mail.len())).await;
    }

    async fn deliver_numbered(&mut self, mailbox: &str, n: usize) {
        let mail = format!("From: Ada <ada@a.test>\nSubject: mail {n}\nMessage-ID: <{n}@a.test>\n\nNumber {n}\n");
        self.deliver(mailbox, &mail).await;
    }
}

async fn world() -> World {
    let world = World::new("imap").await;
    world.secret("imap-password", PASSWORD).await;
    world
}

/// All items of an action, and their number has to be that of their keys.
async fn items(service: &Service, action: &str) -> Vec<Value> {
    let (mut found, mut after) = (Vec::new(), "0".to_owned());
    loop {
        let path = format!("/v1/items?action={action}&limit=500&after={after}");
        let page = service.private.get(&path).await.json(200);
        found.extend(page["items"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut after),
            None => return found,
        }
    }
}

fn subjects(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["content"]["json"]["subject"].as_str().unwrap()).collect()
}

/// The output of an execution, as (messages, began).
fn came(execution: &Value) -> (u64, bool) {
    let output = World::output(execution);
    (output["messages"].as_u64().unwrap(), output["began"].as_bool().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn new_mails_come_once_over_each_kind_of_security() {
    let (world, server) = (world().await, Server::start().await);
    let mut other = Other::at(&server).await;
    other.deliver_numbered("INBOX", 0).await;
    let first = world.run_seeing(SEES, server.config(json!({})), &json!(null)).await;
    assert_eq!(came(&first), (0, true), "what was there before is not new");
    let mut expected = Vec::new();
    for (n, security) in ["none", "starttls", "tls"].into_iter().enumerate() {
        let mut config = server.config(json!({"security": security}));
        if security != "none" {
            config["tls"] = json!({"extra_roots": server.authority.pem()});
        }
        if security == "tls" {
            config["address"] = server.tls.to_string().into();
        }
        for n in [3 * n + 1, 3 * n + 2] {
            other.deliver_numbered("INBOX", n).await;
            expected.push(format!("mail {n}"));
        }
        let run = async || came(&world.run_seeing(SEES, config.clone(), &json!(null)).await);
        assert_eq!(run().await, (2, false), "{security}");
        assert_eq!(run().await, (0, false), "{security}: a second look brings nothing");
        other.deliver_numbered("INBOX", 3 * n + 3).await;
        expected.push(format!("mail {}", 3 * n + 3));
        assert_eq!(run().await, (1, false), "{security}: what came between comes next");

        let report = world.test_seeing(SEES, &config).await;
        assert_eq!(report["verdict"], "connected", "{report}");
        let details = &report["report"]["details"];
        assert_eq!((&details["authentication"], &details["waits"]), (&json!("PLAIN"), &json!("idle")), "{report}");
        assert_eq!(details["messages"], json!(expected.len() + 1), "{report}");
    }
    let items = items(&world.service, "tried").await;
    assert_eq!(subjects(&items), expected);
    let item = &items[0]["content"]["json"];
    assert_eq!((&item["from"][0]["address"], &item["message_id"]), (&json!("ada@a.test"), &json!("1@a.test")));
    assert_eq!((item["text"].as_str().unwrap().trim(), &item["truncated"]), ("Number 1", &json!(false)));
    let key = format!("{}/{}", item["uid_validity"], item["uid"]);
    assert_eq!((&items[0]["key"], &items[0]["kind"]), (&json!(key), &json!("mail")));
    other.say("EXAMINE INBOX").await;
    let flags = other.say("FETCH 1:* (FLAGS)").await;
    assert!(!flags.contains("Seen"), "to look changes nothing: {flags}");
    world.tells_nowhere("pa55 w0rd").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_that_is_made_anew_begins_anew() {
    let (world, server) = (world().await, Server::start().await);
    let (mut other, written) = (Other::at(&server).await, "Entw&APw-rfe");
    other.say(&format!("CREATE {written}")).await;
    let config = |first_run: &str| server.config(json!({"mailbox": "Entwürfe", "first_run": first_run}));
    let run = async |first_run: &str| came(&world.run_seeing(SEES, config(first_run), &json!(null)).await);
    assert_eq!(run("all").await, (0, true), "there is nothing yet");
    for n in 0..2 {
        other.deliver_numbered(written, n).await;
    }
    assert_eq!(run("all").await, (2, false));
    other.say(&format!("DELETE {written}")).await;
    other.say(&format!("CREATE {written}")).await;
    for n in 2..4 {
        other.deliver_numbered(written, n).await;
    }
    assert_eq!(run("all").await, (2, true), "the same numbers are other mails");
    assert_eq!(run("all").await, (0, false));
    other.say(&format!("DELETE {written}")).await;
    other.say(&format!("CREATE {written}")).await;
    other.deliver_numbered(written, 4).await;
    assert_eq!(run("new_only").await, (0, true));
    other.deliver_numbered(written, 5).await;
    assert_eq!(run("new_only").await, (1, false));
    let items = items(&world.service, "tried").await;
    assert_eq!(subjects(&items), ["mail 0", "mail 1", "mail 2", "mail 3", "mail 5"]);
    let warned = world.service.private.get("/v1/events?type=message_logged&limit=500").await.json(200);
    assert_eq!(warned["items"].as_array().unwrap().len(), 2, "{warned}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_searched_for_comes_in_the_form_that_is_asked_for() {
    let (world, server) = (world().await, Server::start().await);
    let mut other = Other::at(&server).await;
    for (from, subject, text) in [
        ("Zoë <zoe@a.test>", "Grüße", "one".to_owned()),
        ("ada@b.test", "Grüße", "two".to_owned()),
        ("zoe@a.test", "other", "three".to_owned()),
        ("zoe@a.test", "noch mehr GRÜßE", "x".repeat(40_000)),
        ("zoe@a.test", "=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "five".to_owned()),
    ] {
        other.deliver("INBOX", &format!("From: {from}\nTo: ops@c.test\nSubject: {subject}\n\n{text}\n")).await;
    }
    other.say("SELECT INBOX").await;
    other.say("STORE 5 +FLAGS (\\Seen)").await;
    let search =
        json!({"from": "ZOE@a", "to": "ops@c.test", "subject": "grüße", "unseen": true, "since": "2026-01-01"});
    let config = server.config(json!({
        "first_run": "all", "search": search, "content": "raw", "mark_seen": true, "message_bytes_max": 16_384,
        "kind": "order",
    }));
    let first = world.run_seeing(SEES, config.clone(), &json!(null)).await;
    assert_eq!(came(&first), (2, true));
    let items = items(&world.service, "tried").await;
    assert!(items.iter().all(|item| item["kind"] == "order"), "{items:?}");
    let raw = &items[0]["content"];
    assert_eq!(raw["content_type"], "message/rfc822", "{raw}");
    let bytes = STANDARD.decode(raw["base64"].as_str().unwrap()).unwrap();
    let expected = "From: Zoë <zoe@a.test>\r\nTo: ops@c.test\r\nSubject: Grüße\r\n\r\none\r\n";
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    let large = &items[1]["content"]["json"];
    assert_eq!((&large["subject"], &large["truncated"]), (&json!("noch mehr GRÜßE"), &json!(true)), "{large}");
    other.say("NOOP").await;
    let seen = other.say("SEARCH SEEN").await;
    assert!(seen.contains("* SEARCH 1 4 5"), "what was captured is marked, and nothing else: {seen}");
    assert_eq!(came(&world.run_seeing(SEES, config, &json!(null)).await), (0, false));

    let few = server.config(json!({"mailbox": "INBOX", "max_messages": 2, "content": "headers", "first_run": "all"}));
    let action = json!({"name": "few", "protocol": "imap", "config": few,
        "grants": {"private_networks": true, "reveal": SEES}});
    world.service.private.post("/v1/actions", &action).await.json(201);
    for (messages, more) in [(2, true), (2, true), (1, false), (0, false)] {
        let run = world.service.private.execute("few", &json!(null)).await.json(200);
        let output = World::output(&run);
        assert_eq!((&output["messages"], &output["more"]), (&json!(messages), &json!(more)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_in_and_what_is_no_mail_server_is_told_apart() {
    let (world, server) = (world().await, Server::start().await);
    let hidden = world.run(server.config(json!({})), &json!(null)).await;
    assert_eq!(World::failure(&hidden), ("invalid_config", "give_up"), "the action has to let it see the password");
    world.secret("wrong", "not the password").await;
    let wrong = server.config(json!({"password": {"$secret": "wrong"}}));
    let refused = world.run_seeing(&["wrong"], wrong.clone(), &json!(null)).await;
    assert_eq!(World::failure(&refused), ("unauthenticated", "give_up"));
    let report = world.test_seeing(&["wrong"], &wrong).await;
    assert_eq!(report["error"]["failure"]["kind"], "unauthenticated", "{report}");
    let nowhere = world.run_seeing(SEES, server.config(json!({"mailbox": "Nowhere"})), &json!(null)).await;
    assert_eq!(World::failure(&nowhere), ("rejected", "give_up"));
    let stranger = json!({"security": "tls", "address": server.tls.to_string()});
    let stranger = world.run_seeing(SEES, server.config(stranger), &json!(null)).await;
    assert_eq!(World::failure(&stranger), ("bad_response", "give_up"), "nobody knows its authority");

    let at = async |address: String, security: &str| {
        let config = server.config(json!({"address": address, "security": security, "timeout_ms": 300}));
        world.run_seeing(SEES, config, &json!(null)).await
    };
    assert_eq!(World::failure(&at(odd::nobody(), "none").await), ("unavailable", "retry"));
    assert_eq!(World::failure(&at(odd::silent().await, "none").await), ("unavailable", "retry"));
    let waits = at(odd::says(b"* OK hi\r\n").await, "none").await;
    assert_eq!(World::failure(&waits), ("unavailable", "retry"), "it greets, and is silent then");
    for garbage in
        [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"\x15\x03\x01\x00\x02\x02\x28\n", b"* OK hi\r\nwhat?\r\n"]
    {
        assert_eq!(World::failure(&at(odd::says(garbage).await, "none").await), ("bad_response", "retry"));
    }
    let clear = odd::says(b"* OK hi\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\na1 OK\r\n").await;
    assert_eq!(World::failure(&at(clear, "starttls").await), ("invalid_config", "give_up"));
    let full = odd::says(b"* BYE too many connections\r\n").await;
    assert_eq!(World::failure(&at(full, "none").await), ("unavailable", "retry"));

    let mut other = Other::at(&server).await;
    other.deliver_numbered("INBOX", 1).await;
    let through = odd::losing_the_answer_to(b"BODY.PEEK", server.plain).await;
    let lost = server.config(json!({"address": through, "first_run": "all"}));
    let lost = world.run_seeing(SEES, lost, &json!(null)).await;
    assert_eq!(World::failure(&lost), ("unavailable", "retry"));
    assert!(items(&world.service, "tried").await.is_empty());
    let found = world.run_seeing(SEES, server.config(json!({"first_run": "all"})), &json!(null)).await;
    assert_eq!(came(&found), (1, false), "what was lost on the way comes with the next look");
}

/// Mails come while the service is killed at places that nobody chooses; each is captured once.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_is_killed_loses_no_mail_and_doubles_none() {
    const EACH_TIME: usize = 60;
    let server = Server::start().await;
    let mut other = Other::at(&server).await;
    let mut service = Service::start().await;
    service.private.put("/v1/secrets/imap-password", &json!({"value": PASSWORD})).await.json(201);
    let action = json!({
        "name": "reader", "protocol": "imap", "grants": {"private_networks": true, "reveal": SEES},
        "config": server.config(json!({"first_run": "all", "mark_seen": true, "max_messages": 1_000})),
        "delivery": {"max_attempts": 100, "max_concurrent": 1, "backoff": {"initial_ms": 1, "max_ms": 1}},
    });
    service.private.post("/v1/actions", &action).await.json(201);
    let text = "y".repeat(100_000);
    let mut seed = u64::from(std::process::id()) | 1;
    for kill in 0..KILLS {
        for n in kill * EACH_TIME..(kill + 1) * EACH_TIME {
            // Of different sizes, so that batches end at different places.
            let text = &text[..(n * 7_919) % 100_000];
            other.deliver("INBOX", &format!("Subject: {n}\n\n{text}\n")).await;
        }
        let call = service.private.request(reqwest::Method::POST, "/v1/actions/reader/execute");
        service.private.send(call.header("prefer", "respond-async").json(&json!(null))).await.json(202);
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let some = kill * EACH_TIME + usize::try_from((seed >> 33) % EACH_TIME as u64).unwrap();
        let wait = async { while items(&service, "reader").await.len() < some {} };
        // It may be that it fails, and goes on after the restart.
        let _ = timeout(Duration::from_secs(5), wait).await;
        let options = service.kill().await;
        service = Service::start_with(options).await;
    }
    // One execution takes only so much at once.
    let rest = async {
        loop {
            let run = service.private.execute("reader", &json!(null)).await.json(200);
            if World::output(&run)["more"] == false {
                return;
            }
        }
    };
    timeout(PATIENCE, rest).await.expect("the mails have an end");
    let items = items(&service, "reader").await;
    let uid = |item: &Value| item["key"].as_str().unwrap().split_once('/').unwrap().1.parse::<usize>().unwrap();
    let expected: Vec<usize> = (1..=KILLS * EACH_TIME).collect();
    assert_eq!(items.iter().map(uid).collect::<Vec<_>>(), expected, "each once, in their order");
    let executions = service.private.get("/v1/executions?action=reader&limit=500").await.json(200);
    for execution in executions["items"].as_array().unwrap() {
        assert_eq!(service.private.ended(execution["id"].as_str().unwrap()).await["status"], "succeeded");
    }
    other.say("SELECT INBOX").await;
    let unseen = other.say("SEARCH UNSEEN").await;
    assert!(unseen.contains("* SEARCH\r\n"), "each is marked, also where a kill came between: {unseen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_waits_is_told_at_once_and_goes_on_after_a_kill() {
    let server = Server::start().await;
    let mut other = Other::at(&server).await;
    let service = Service::start().await;
    service.private.put("/v1/secrets/imap-password", &json!({"value": PASSWORD})).await.json(201);
    let action = json!({
        "name": "waits", "protocol": "imap", "grants": {"private_networks": true, "reveal": SEES},
        "config": server.config(json!({"first_run": "all", "wait": true})),
        "triggers": [{"type": "continuous", "initial_ms": 10}],
    });
    service.private.post("/v1/actions", &action).await.json(201);
    let come = async |service: &Service, count: usize| {
        let enough = async { while items(service, "waits").await.len() < count {} };
        timeout(PATIENCE, enough).await.expect("mails come as they are delivered");
    };
    for n in 0..3 {
        other.deliver_numbered("INBOX", n).await;
        come(&service, n + 1).await;
    }
    // One that is gone moves the count, and the next is noticed all the same.
    other.say("SELECT INBOX").await;
    other.say("STORE 1:2 +FLAGS (\\Deleted)").await;
    other.say("EXPUNGE").await;
    other.deliver_numbered("INBOX", 3).await;
    come(&service, 4).await;
    let running = service.private.get("/v1/executions?action=waits").await.json(200);
    assert_eq!(running["items"].as_array().unwrap().len(), 1, "one execution saw all of them: {running}");
    let service = Service::start_with(service.kill().await).await;
    other.deliver_numbered("INBOX", 4).await;
    come(&service, 5).await;
    assert_eq!(subjects(&items(&service, "waits").await), ["mail 0", "mail 1", "mail 2", "mail 3", "mail 4"]);
    let id = running["items"][0]["id"].as_str().unwrap().to_owned();
    service.private.patch("/v1/actions/waits", &json!({"enabled": false})).await.json(200);
    assert!(matches!(service.private.ended(&id).await["status"].as_str(), Some("cancelled" | "failed")));
}
