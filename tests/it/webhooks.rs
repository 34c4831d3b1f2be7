//! Webhooks: who sends proves it, counts once, and what was taken happens.
//!
//! Deliveries of Standard Webhooks are signed by its own library; those of the others as their
//! documentation says, from the standard's HMAC and nothing of this project.

use crate::kit::{Answer, PATIENCE, Service, client::Client, fixture, service::Options};
use action_testkit::postgres::Server;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sha2::Sha256;
use std::time::SystemTime;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// What every webhook here is proved with: in the form of Standard Webhooks, which the others do not mind.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

fn mac(secret: &str, parts: &[&str]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    for part in parts {
        mac.update(part.as_bytes());
    }
    hex::encode(mac.finalize().into_bytes())
}

fn now() -> i64 {
    i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap()
}

/// A sender that signs in its own way. Each way knows a delivery by an id that it is told, but Slack's, which has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    StandardWebhooks,
    Github,
    Stripe,
    Slack,
    Key,
}

impl Sender {
    const ALL: [Self; 5] = [Self::StandardWebhooks, Self::Github, Self::Stripe, Self::Slack, Self::Key];

    const fn scheme(self) -> &'static str {
        match self {
            Self::StandardWebhooks => "standard-webhooks",
            Self::Github => "github",
            Self::Stripe => "stripe",
            Self::Slack => "slack",
            Self::Key => "key",
        }
    }

    /// Whether it signs a time with the body.
    const fn signs_time(self) -> bool {
        matches!(self, Self::StandardWebhooks | Self::Stripe | Self::Slack)
    }

    /// The proof of a body.
    fn headers(self, secret: &str, id: &str, at: i64, body: &str) -> Vec<(&'static str, String)> {
        let time = at.to_string();
        match self {
            Self::StandardWebhooks => {
                let signer = standardwebhooks::Webhook::new(secret).unwrap();
                let signature = signer.sign(id, at, body.as_bytes()).unwrap();
                vec![("webhook-id", id.into()), ("webhook-timestamp", time), ("webhook-signature", signature)]
            }
            Self::Github => {
                let signature = format!("sha256={}", mac(secret, &[body]));
                vec![
                    ("x-hub-signature-256", signature),
                    ("x-github-delivery", id.into()),
                    ("x-github-event", "push".into()),
                ]
            }
            Self::Stripe => {
                let signature = mac(secret, &[&time, ".", body]);
                vec![("stripe-signature", format!("t={time},v0={},v1={signature}", mac("an older way", &[body])))]
            }
            Self::Slack => {
                let signature = format!("v0={}", mac(secret, &["v0:", &time, ":", body]));
                vec![("x-slack-request-timestamp", time), ("x-slack-signature", signature)]
            }
            Self::Key => vec![("x-webhook-key", secret.into())],
        }
    }

    fn hook(self) -> String {
        format!("/hooks/in/{}", self.scheme())
    }

    /// A delivery as it is sent: signed as a whole, with another body where the test wants one.
    fn request(self, public: &Client, headers: &[(&'static str, String)], body: &str) -> RequestBuilder {
        let request = public.bare(Method::POST, &self.hook()).header("content-type", "application/json");
        headers.iter().fold(request, |request, (name, value)| request.header(*name, value)).body(body.to_owned())
    }
}

/// An action that gives back what comes, for each of the senders.
async fn set_up(api: &Client) {
    api.upload(fixture("noop")).await.json(201);
    api.put("/v1/secrets/hook", &json!({"value": SECRET})).await.json(201);
    for sender in Sender::ALL {
        let verify = json!({"scheme": sender.scheme(), "secret": "hook"});
        let trigger = json!({"type": "webhook", "path": format!("in/{}", sender.scheme()), "verify": verify});
        let action = json!({"name": sender.scheme(), "protocol": "noop", "config": {}, "triggers": [trigger]});
        api.post("/v1/actions", &action).await.json(201);
    }
}

/// A body that every sender here could send; `id` is Stripe's of the event.
fn body(id: &str) -> String {
    json!({"id": id, "object": "event", "text": "Grüße, \"all\""}).to_string()
}

async fn executions(api: &Client, action: &str) -> Vec<Value> {
    let page = api.get(&format!("/v1/executions?action={action}&limit=500")).await.json(200);
    page["items"].as_array().unwrap().clone()
}

/// Right, wrong, old, meddled with and replayed, of every sender, on one store.
async fn every_sender_is_believed_once(options: Options) {
    let service = Service::start_with(options).await;
    let (api, public) = (&service.private, &service.public);
    set_up(api).await;
    for sender in Sender::ALL {
        let text = body("evt_1");
        let right = sender.headers(SECRET, "msg_1", now(), &text);
        let taken = public.send(sender.request(public, &right, &text)).await.json(202);
        let id = taken["execution"].as_str().unwrap_or_else(|| panic!("{sender:?}: {taken}"));
        let ended = api.ended(id).await;
        assert_eq!(ended["status"], "succeeded", "{ended}");
        assert_eq!(ended["output"], serde_json::from_str::<Value>(&text).unwrap());
        let received = &api.events(id).await[0];
        assert_eq!(
            (&received["type"], &received["data"]["trigger"]["type"]),
            (&json!("trigger_received"), &json!("webhook"))
        );

        let again = public.send(sender.request(public, &right, &text)).await.json(202);
        // A key says who sends, and not which delivery it is.
        assert_eq!(again["execution"] == taken["execution"], sender != Sender::Key, "{sender:?}: {again}");
        let so_far = executions(api, sender.scheme()).await.len();
        let refused = async |headers: &[(&'static str, String)], body: &str, code: &str| {
            public.send(sender.request(public, headers, body)).await.problem(401, code);
            let last = api.get("/v1/events?type=trigger_refused&limit=500").await.json(200);
            let last = last["items"].as_array().unwrap().last().unwrap();
            assert_eq!(last["data"]["code"], code, "{sender:?}: {last}");
        };
        refused(&sender.headers(OTHER, "msg_2", now(), &text), &text, "webhook_unverified").await;
        refused(&[], &text, "webhook_unverified").await;
        if sender != Sender::Key {
            refused(&right, &body("evt_2"), "webhook_unverified").await;
            let cut: Vec<_> = right.iter().map(|(name, value)| (*name, value[..value.len() - 2].to_owned())).collect();
            refused(&cut, &text, "webhook_unverified").await;
        }
        if sender.signs_time() {
            for at in [now() - 3600, now() + 3600] {
                refused(&sender.headers(SECRET, "msg_3", at, &text), &text, "webhook_expired").await;
            }
        }
        assert_eq!(executions(api, sender.scheme()).await.len(), so_far, "{sender:?}: no refused one runs");
    }
    // An id that is signed is the delivery, whatever else is different in it; GitHub signs none.
    let other = body("evt_other");
    let again = async |sender: Sender, body: &str| {
        let headers = sender.headers(SECRET, "msg_1", now(), body);
        public.send(sender.request(public, &headers, body)).await
    };
    let ran = executions(api, "standard-webhooks").await;
    assert_eq!(again(Sender::StandardWebhooks, &other).await.json(202)["execution"], ran[0]["id"]);
    again(Sender::Github, &other).await.problem(409, "delivery_differs");
    let log = api.get("/v1/events?limit=500").await;
    let log = String::from_utf8(log.body.to_vec()).unwrap();
    for secret in [&SECRET[6..], &mac(SECRET, &[&body("evt_1")])] {
        assert!(!log.contains(secret), "what proves who sends is not for who reads the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sender_is_believed_once_on_sqlite() {
    every_sender_is_believed_once(Options::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sender_is_believed_once_on_postgres() {
    let database = tokio::task::spawn_blocking(|| Server::shared().database()).await.unwrap();
    let options = Options::default()
        .with("ACTION_SERVICE_DATABASE_URL", database.url.clone())
        .with("ACTION_SERVICE_SECRET_KEY", "ab".repeat(32));
    every_sender_is_believed_once(options).await;
}

/// What was answered 202 happens, once: the service is killed while deliveries come, and the sender, as
/// senders do, sends everything again that it has no answer for, and some that it has.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_happens_once_though_the_service_is_killed() {
    const KILLS: usize = 5;
    const SENT_AT_ONCE: usize = 40;
    let sender = Sender::StandardWebhooks;
    let mut service = Service::start().await;
    set_up(&service.private).await;
    let mut answered: Vec<(String, String)> = Vec::new();
    let mut unanswered: Vec<String> = Vec::new();
    for kill in 0..KILLS {
        let deliver = |id: String| {
            let text = body(&id);
            let headers = sender.headers(SECRET, &id, now(), &text);
            let sent = sender.request(&service.public, &headers, &text).send();
            async move {
                let answer = async {
                    let answer = sent.await?.error_for_status()?;
                    answer.json::<Value>().await
                };
                match answer.await {
                    Ok(taken) => Ok((id, taken["execution"].as_str().unwrap().to_owned())),
                    Err(_) => Err(id),
                }
            }
        };
        let new = (0..SENT_AT_ONCE).map(|n| format!("msg_{kill}_{n}"));
        let mut sent: Vec<_> = new.chain(unanswered.drain(..)).map(|id| tokio::spawn(deliver(id))).collect();
        // Some have their answer by then, some do not.
        let (first, rest) = sent.split_at_mut(1 + kill * SENT_AT_ONCE / KILLS);
        for task in first {
            match task.await.unwrap() {
                Ok(taken) => answered.push(taken),
                Err(id) => unanswered.push(id),
            }
        }
        let options = service.kill().await;
        for task in rest {
            match task.await.unwrap() {
                Ok(taken) => answered.push(taken),
                Err(id) => unanswered.push(id),
            }
        }
        service = Service::start_with(options).await;
    }
    assert!(answered.len() >= KILLS, "{} have an answer", answered.len());
    for (id, execution) in &answered {
        assert_eq!(service.private.ended(execution).await["status"], "succeeded", "{id}");
        let text = body(id);
        let headers = sender.headers(SECRET, id, now(), &text);
        let again = service.public.send(sender.request(&service.public, &headers, &text)).await.json(202);
        assert_eq!(&again["execution"], execution, "{id} was taken before");
    }
    for id in &unanswered {
        let text = body(id);
        let headers = sender.headers(SECRET, id, now(), &text);
        let taken = service.public.send(sender.request(&service.public, &headers, &text)).await.json(202);
        let ended = service.private.ended(taken["execution"].as_str().unwrap()).await;
        assert_eq!(ended["status"], "succeeded", "{id}");
    }
    let ran = executions(&service.private, sender.scheme()).await;
    assert_eq!(ran.len(), KILLS * SENT_AT_ONCE, "each delivery has one execution, however often it was sent");
}

/// The component verifies, and says what the sender is answered; over two processes, the answer is found too.
#[tokio::test(flavor = "multi_thread")]
async fn a_component_verifies_and_answers_wherever_it_runs() {
    let database = tokio::task::spawn_blocking(|| Server::shared().database()).await.unwrap();
    let options = |role| {
        Options { role, ..Options::default() }
            .with("ACTION_SERVICE_DATABASE_URL", database.url.clone())
            .with("ACTION_SERVICE_SECRET_KEY", "ab".repeat(32))
    };
    let (front, _worker) = (Service::start_with(options("api")).await, Service::start_with(options("worker")).await);
    let (api, public) = (&front.private, &front.public);
    api.upload(fixture("handshake")).await.json(201);
    api.put("/v1/secrets/hook", &json!({"value": SECRET})).await.json(201);
    let action = json!({
        "name": "handshake", "protocol": "handshake", "config": {"secret": {"$secret": "hook"}},
        "triggers": [{"type": "webhook", "path": "handshake", "verify": {"scheme": "protocol"}}],
    });
    api.post("/v1/actions", &action).await.json(201);
    let challenged = public.send(public.bare(Method::GET, "/hooks/handshake?mode=subscribe&challenge=c0ffee")).await;
    assert_eq!((challenged.status.as_u16(), &challenged.body[..]), (200, &b"c0ffee"[..]));
    assert_eq!((challenged.header("content-type"), challenged.header("x-handshake")), ("text/plain", "done"));
    assert_eq!(challenged.header("set-cookie"), "", "a component has no voice in browsers");
    let send = async |signature: Option<String>| -> Answer {
        let request = public.bare(Method::POST, "/hooks/handshake").body("hello");
        public.send(signature.into_iter().fold(request, |request, text| request.header("x-signature", text))).await
    };
    let signed = send(Some(mac(SECRET, &["hello"]))).await;
    assert_eq!((signed.status.as_u16(), &signed.body[..]), (201, &b"5 bytes"[..]));
    send(Some(mac(OTHER, &["hello"]))).await.problem(401, "webhook_unverified");
    send(None).await.problem(401, "webhook_unverified");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_wanted_or_too_large_or_broken_is_told_so() {
    let service = Service::start().await;
    let (api, public) = (&service.private, &service.public);
    set_up(api).await;
    let hook = |name: &str, more: Value| {
        let mut trigger = json!({"type": "webhook", "path": name, "verify": {"scheme": "none"}});
        trigger.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"name": name, "protocol": "noop", "config": {}, "triggers": [trigger]})
    };
    api.post("/v1/actions", &hook("paid", json!({"filter": ".type == \"paid\" and .amount > 10"}))).await.json(201);
    let post = |path: &str, media: &str, body: Vec<u8>| {
        public.bare(Method::POST, path).header("content-type", media.to_owned()).body(body)
    };
    let paid =
        async |body: Value| public.send(post("/hooks/paid", "application/json", body.to_string().into_bytes())).await;
    let taken = paid(json!({"type": "paid", "amount": 11})).await.json(202);
    assert_eq!(api.ended(taken["execution"].as_str().unwrap()).await["output"]["amount"], 11);
    for ignored in [json!({"type": "paid", "amount": 10}), json!({"type": "sent"}), json!(null)] {
        assert_eq!(paid(ignored).await.json(202), json!({"ignored": true}));
    }
    assert_eq!(executions(api, "paid").await.len(), 1);
    let refused = api.get("/v1/events?type=trigger_refused&limit=500").await.json(200);
    let codes: Vec<&str> =
        refused["items"].as_array().unwrap().iter().map(|event| event["data"]["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["filtered"; 3], "what is ignored is recorded as such");

    // Slack's commands are forms, and a form is an object to filters and transforms.
    let mut command = hook("command", json!({"filter": ".command == \"/deploy\""}));
    command["input_transform"] = json!({"language": "jq", "expression": "{deploy: .text}"});
    api.post("/v1/actions", &command).await.json(201);
    let form = async |body: &str| {
        let body = body.as_bytes().to_vec();
        public.send(post("/hooks/command", "application/x-www-form-urlencoded", body)).await.json(202)
    };
    let taken = form("command=%2Fdeploy&text=api+worker").await;
    let ended = api.ended(taken["execution"].as_str().unwrap()).await;
    assert_eq!(ended["output"], json!({"deploy": "api worker"}));
    assert_eq!(form("command=%2Fweather").await, json!({"ignored": true}));

    public.send(post("/hooks/nobody", "text/plain", b"x".to_vec())).await.problem(404, "webhook_not_found");
    public.send(post("/hooks/paid", "application/json", b"{\"type\": ".to_vec())).await.problem(400, "malformed_json");
    assert!(announced(public, (16 << 20) + 1).await.contains("body_too_large"));
    let headers =
        (0..65).fold(post("/hooks/paid", "text/plain", Vec::new()), |request, n| request.header(format!("x-{n}"), "1"));
    public.send(headers).await.problem(431, "headers_too_large");

    // As often as it may be, until its time, and while its action is enabled.
    let once = json!({"verify": {"scheme": "key", "secret": "hook", "max_uses": 1}});
    api.post("/v1/actions", &hook("once", once)).await.json(201);
    let with_key = |path: &str| public.bare(Method::POST, &format!("{path}?key={SECRET}")).body("x");
    public.send(with_key("/hooks/once")).await.json(202);
    public.send(with_key("/hooks/once")).await.problem(401, "webhook_used_up");
    let over = json!({"verify": {"scheme": "key", "secret": "hook", "expires_at": "2026-01-01T00:00:00Z"}});
    api.post("/v1/actions", &hook("over", over)).await.json(201);
    public.send(with_key("/hooks/over")).await.problem(401, "webhook_expired");
    api.patch("/v1/actions/paid", &json!({"enabled": false})).await.json(200);
    paid(json!({"type": "paid", "amount": 11})).await.problem(409, "action_disabled");
    // A new value of the secret counts from the next delivery on.
    api.put("/v1/secrets/hook", &json!({"value": OTHER})).await.json(200);
    let text = body("evt_rotated");
    let sender = Sender::Github;
    let old = sender.headers(SECRET, "rotated", now(), &text);
    public.send(sender.request(public, &old, &text)).await.problem(401, "webhook_unverified");
    let new = sender.headers(OTHER, "rotated", now(), &text);
    public.send(sender.request(public, &new, &text)).await.json(202);
    // Of two actions one has a path.
    let errors = api.post("/v1/actions", &hook("thief", json!({"path": "paid"}))).await.problem(409, "path_taken");
    assert_eq!(errors, Vec::<String>::new());
}

/// What is answered to a delivery that says how long it is, and of which nothing comes.
async fn announced(public: &Client, bytes: usize) -> String {
    let mut stream = TcpStream::connect(public.base.trim_start_matches("http://")).await.unwrap();
    let head = format!("POST /hooks/paid HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {bytes}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("it is answered at once").unwrap();
    answer
}
