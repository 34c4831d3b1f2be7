//! Api processes, workers, a database, a broker and a remote; and what can happen to them.

use crate::kit::{
    PATIENCE, Remote, Service,
    client::Client,
    service::{Options, TOKEN},
};
use action_testkit::{
    nats::NatsServer,
    postgres::{Database, Server},
};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    io::Write as _,
    process::{Child, Command, Stdio},
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

/// Kinds of blows.
pub(super) const KINDS: u64 = 9;

/// How long a worker may be silent, in seconds.
const LEASE_SECONDS: u64 = 3;

/// Connections that the database has: few, so that they can run out.
const CONNECTIONS: usize = 60;

/// What decides what happens; prints its seed.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn from_environment() -> Self {
        let given = std::env::var("CHAOS_SEED").ok().and_then(|seed| seed.parse().ok());
        let now = || std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
        let seed = given.unwrap_or_else(now);
        println!("CHAOS_SEED={seed}");
        Self(seed | 1)
    }

    /// Below a number; xorshift (Marsaglia 2003), since nothing hangs on its quality.
    fn below(&mut self, number: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % number
    }
}

pub(super) struct Cluster {
    pub(super) remote: Remote,
    database: Database,
    broker: Option<NatsServer>,
    apis: Vec<Option<Service>>,
    workers: Vec<Option<Service>>,
    broker_is_down: bool,
    /// The kind of the first blow; the others follow in their order, so that each comes.
    first: Option<u64>,
    stopped: Vec<u32>,
    holders: Vec<Child>,
    doors: Arc<RwLock<Vec<String>>>,
    blows: usize,
}

impl Cluster {
    /// Two api processes, three workers, Postgres that syncs, and NATS.
    pub(super) async fn start(broker: bool) -> Self {
        Self::of(2, 3, broker).await
    }

    /// One of each, without a broker.
    pub(super) async fn start_small() -> Self {
        Self::of(1, 1, false).await
    }

    async fn of(apis: usize, workers: usize, broker: bool) -> Self {
        let database = tokio::task::spawn_blocking(|| {
            Server::private(&[("max_connections", &CONNECTIONS.to_string())]).database()
        })
        .await
        .unwrap();
        let broker = if broker { Some(tokio::task::spawn_blocking(NatsServer::start).await.unwrap()) } else { None };
        let mut cluster = Self {
            remote: Remote::start().await,
            database,
            broker,
            apis: (0..apis).map(|_| None).collect(),
            workers: (0..workers).map(|_| None).collect(),
            broker_is_down: false,
            first: None,
            stopped: Vec::new(),
            holders: Vec::new(),
            doors: Arc::default(),
            blows: 0,
        };
        cluster.revive().await;
        cluster
    }

    fn options(&self, role: &'static str) -> Options {
        let options = Options { role, ..Options::default() }
            .with("ACTION_SERVICE_DATABASE_URL", self.database.url.clone())
            .with("ACTION_SERVICE_LEASE_SECONDS", LEASE_SECONDS.to_string())
            .with("ACTION_SERVICE_CONCURRENCY", "8");
        match &self.broker {
            Some(broker) => options.with("ACTION_SERVICE_QUEUE_URL", broker.url()),
            None => options,
        }
    }

    /// Starts again whatever does not run.
    pub(super) async fn revive(&mut self) {
        for number in 0..self.apis.len() {
            if self.apis[number].is_none() {
                self.apis[number] = Some(Service::start_with(self.options("api")).await);
            }
        }
        for number in 0..self.workers.len() {
            if self.workers[number].is_none() {
                self.workers[number] = Some(Service::start_with(self.options("worker")).await);
            }
        }
        let doors = self.apis.iter().flatten().map(|api| api.private.base.clone()).collect();
        *self.doors.write().unwrap() = doors;
    }

    pub(super) fn api(&self) -> &Client {
        &self.apis.iter().flatten().next().unwrap().private
    }

    pub(super) fn doors(&self) -> Doors {
        // Connections that hang are as bad as none.
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap();
        Doors { bases: self.doors.clone(), http }
    }

    pub(super) async fn action(&self, name: &str, config: Value, delivery: Value) {
        self.action_at(name, "/count", config, delivery).await;
    }

    pub(super) async fn action_at(&self, name: &str, path: &str, mut config: Value, delivery: Value) {
        config["url"] = json!(self.remote.url(path));
        config["method"] = json!("POST");
        config["headers"] = json!({"x-execution": "{{@execution}}"});
        if config["effect"].is_null() {
            // What may be repeated, because the remote knows it by its key.
            config.as_object_mut().unwrap().remove("effect");
            config["idempotency"] = json!("keyed");
        }
        let action = json!({
            "name": name, "protocol": "http", "config": config, "delivery": delivery,
            "grants": {"private_networks": true},
        });
        self.api().post("/v1/actions", &action).await.json(201);
    }

    /// One of the things that happen, each of them at some time.
    pub(super) async fn strike(&mut self, dice: &mut Dice) {
        self.heal().await;
        let worker = dice.below(self.workers.len() as u64) as usize;
        let api = dice.below(self.apis.len() as u64) as usize;
        let first = *self.first.get_or_insert_with(|| dice.below(KINDS));
        let kind = (self.blows as u64 + first) % KINDS;
        self.blows += 1;
        println!("blow {}: kind {kind}, worker {worker}, api {api}", self.blows);
        match kind {
            0 => self.kill_worker(worker).await,
            1 => drop(self.apis[api].take().unwrap().kill().await),
            2 => {
                self.broker.as_mut().unwrap().kill();
                self.broker_is_down = true;
            }
            3 => {
                let pid = self.workers[worker].as_ref().unwrap().pid();
                signal("STOP", pid);
                self.stopped.push(pid);
            }
            4 => {
                let server = self.database.server();
                tokio::task::block_in_place(|| {
                    server.crash();
                    server.restart();
                });
            }
            5 => self.end_connections(),
            // Somebody holds what every writer needs, and does nothing with it.
            6 => self.hold("BEGIN; LOCK TABLE executions IN SHARE ROW EXCLUSIVE MODE; SELECT pg_sleep(3); ROLLBACK", 1),
            7 => self.hold_and_idle(),
            // Somebody has all the connections that there are.
            _ => self.hold("SELECT pg_sleep(3)", CONNECTIONS),
        }
    }

    /// Keeps connections of the service's own role busy, until they are ended.
    fn hold(&mut self, sql: &str, connections: usize) {
        for _ in 0..connections {
            let mut command = Command::new("psql");
            command.args([&self.database.url, "-qtc", sql]).stdout(Stdio::null()).stderr(Stdio::null());
            self.holders.push(command.spawn().unwrap());
        }
    }

    /// A tool that looks at everything, locks what it looked at, among it the end of the log, and
    /// then does nothing any more, in the middle of its transaction: for longer than a lease lasts
    /// and than the service waits for a lock, but not as long as it tries.
    fn hold_and_idle(&mut self) {
        let script = "BEGIN;\n\
            SELECT count(*) FROM events;\n\
            SELECT id FROM executions FOR UPDATE;\n\
            SELECT position FROM log FOR UPDATE;\n\
            \\! sleep 7\n\
            ROLLBACK;\n";
        let mut command = Command::new("psql");
        command.args([&self.database.url, "-qt"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut holder = command.spawn().unwrap();
        holder.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        self.holders.push(holder);
        let idles = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' \
                     AND application_name = 'psql' AND datname = current_database()";
        let begun = Instant::now();
        while self.as_admin(idles).trim() == "0" {
            assert!(begun.elapsed() < PATIENCE, "it gets what it wants and idles");
        }
    }

    fn as_admin(&self, sql: &str) -> String {
        let done = Command::new("psql").args([&self.database.admin_url, "-qtc", sql]).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    /// `kill -9`.
    pub(super) async fn kill_worker(&mut self, number: usize) {
        drop(self.workers[number].take().unwrap().kill().await);
    }

    /// `pg_terminate_backend` for all of the service's connections.
    fn end_connections(&self) {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
                   AND datname = current_database()";
        self.as_admin(sql);
    }

    /// Mends what was broken. Who was paused past its lease goes on, and may write no more.
    pub(super) async fn heal(&mut self) {
        for mut holder in std::mem::take(&mut self.holders) {
            tokio::task::block_in_place(|| drop(holder.wait()));
        }
        for pid in std::mem::take(&mut self.stopped) {
            // Until somebody has taken over what it had, if it had anything.
            let taken_over = self.api().seen("attempt_abandoned");
            let _ = tokio::time::timeout(Duration::from_secs(2 * LEASE_SECONDS + 5), taken_over).await;
            signal("CONT", pid);
        }
        if std::mem::take(&mut self.broker_is_down)
            && let Some(broker) = &mut self.broker
        {
            tokio::task::block_in_place(|| broker.restart());
        }
        self.revive().await;
    }

    /// Executions in the order in which they came to the remote.
    pub(super) fn order(&self) -> Vec<String> {
        let of = |request: &hyper::Request<bytes::Bytes>| {
            Some(request.headers().get("x-execution")?.to_str().unwrap().to_owned())
        };
        self.remote.requests().iter().filter_map(of).collect()
    }

    /// How often each execution came to the remote.
    pub(super) fn effects(&self) -> HashMap<String, usize> {
        let mut effects = HashMap::new();
        for request in self.remote.requests() {
            if let Some(id) = request.headers().get("x-execution") {
                *effects.entry(id.to_str().unwrap().to_owned()).or_default() += 1;
            }
        }
        effects
    }

    /// Executions that there are.
    pub(super) async fn all_executions(&self) -> usize {
        let mut count = 0;
        let mut next = "/v1/executions?limit=500".to_owned();
        loop {
            let page = self.api().get(&next).await.json(200);
            count += page["items"].as_array().unwrap().len();
            let Some(after) = page["next"].as_str() else { return count };
            next = format!("/v1/executions?limit=500&after={after}");
        }
    }
}

fn signal(name: &str, pid: u32) {
    assert!(Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap().success());
}

/// The way in for callers, whichever api process is there.
#[derive(Clone)]
pub(super) struct Doors {
    bases: Arc<RwLock<Vec<String>>>,
    http: reqwest::Client,
}

impl Doors {
    /// Triggers until it is accepted, always with the same key; gives the execution.
    pub(super) async fn trigger(&self, action: &str, number: usize) -> String {
        let begun = Instant::now();
        for door in number.. {
            assert!(begun.elapsed() < PATIENCE, "nobody accepts trigger {number}");
            let base = {
                let bases = self.bases.read().unwrap();
                bases[door % bases.len()].clone()
            };
            let request = self
                .http
                .post(format!("{base}/v1/actions/{action}/execute"))
                .bearer_auth(TOKEN)
                .header("idempotency-key", format!("\"trigger-{number}\""))
                .header("prefer", "respond-async")
                .json(&json!({"number": number, "key": format!("k{}", number % 5)}));
            let answer = async { request.send().await?.error_for_status()?.json::<Value>().await };
            match answer.await {
                Ok(execution) => return execution["id"].as_str().unwrap().to_owned(),
                // Not accepted, or accepted and not answered: the key tells.
                Err(_) => tokio::task::yield_now().await,
            }
        }
        unreachable!("the loop ends by an answer or by patience")
    }
}
