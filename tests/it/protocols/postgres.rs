//! `postgres` against a Postgres server.

use super::{odd, world::World};
use crate::kit::Authority;
use action_testkit::postgres::Server;
use serde_json::{Value, json};
use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::PathBuf,
    process::{Command, Stdio},
};

const PASSWORD: &str = "pa55 w0rd of \"postgres\"";

/// Who gets in how.
const ACCESS: &str = "local all all trust\n\
    hostssl all certified 127.0.0.0/8 cert\n\
    hostssl all tls_only 127.0.0.0/8 scram-sha-256\n\
    host all by_scram 127.0.0.0/8 scram-sha-256\n\
    host all by_md5 127.0.0.0/8 md5\n\
    host all by_password 127.0.0.0/8 password\n";

struct Postgres {
    address: SocketAddr,
    authority: Authority,
    server: Server,
}

impl Postgres {
    fn start() -> Self {
        // Its port is always the same, so it takes an address of its own; all of 127/8 is this machine.
        let [.., high, low] = std::process::id().to_be_bytes();
        let address = SocketAddr::from(([127, 99, high, low.max(2)], 5432));
        let server = Server::private(&[("listen_addresses", &address.ip().to_string()), ("fsync", "off")]);
        let socket = server.socket();
        let folder = socket.parent().unwrap();
        let data = folder.join("data");
        let authority = Authority::new();
        let files = authority.write(folder, &authority.identity("postgres", &[&address.ip().to_string()]));
        let owner = fs::metadata(&data).unwrap();
        for file in &files {
            chown(file, Some(owner.uid()), Some(owner.gid())).unwrap();
            fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let [ca, certificate, key] = files.map(|path| path.display().to_string());
        let mut config = OpenOptions::new().append(true).open(data.join("postgresql.conf")).unwrap();
        writeln!(config, "ssl = on\nssl_ca_file = '{ca}'\nssl_cert_file = '{certificate}'\nssl_key_file = '{key}'")
            .unwrap();
        fs::write(data.join("pg_hba.conf"), ACCESS).unwrap();
        server.crash();
        server.restart();
        let postgres = Self { address, authority, server };
        let quoted = PASSWORD.replace('\'', "''");
        let mut roles = vec!["CREATE ROLE certified LOGIN".to_owned()];
        for (role, kept) in [
            ("tls_only", "scram-sha-256"),
            ("by_scram", "scram-sha-256"),
            ("by_password", "scram-sha-256"),
            ("by_md5", "md5"),
        ] {
            roles.push(format!("SET password_encryption = '{kept}'"));
            roles.push(format!("CREATE ROLE {role} LOGIN PASSWORD '{quoted}'"));
        }
        roles.push(
            "CREATE TABLE orders (id bigint PRIMARY KEY, status text NOT NULL, total numeric, tags text[], document jsonb, \
             picture bytea, at timestamptz, CHECK (status <> 'broken'))"
                .to_owned(),
        );
        roles.push("CREATE TABLE secrets (id int)".to_owned());
        roles.push("GRANT ALL ON orders TO PUBLIC".to_owned());
        postgres.psql(&roles.iter().map(String::as_str).collect::<Vec<_>>());
        postgres
    }

    /// Runs statements as the administrator, and gives what the last one says.
    fn psql(&self, statements: &[&str]) -> String {
        let socket: PathBuf = self.server.socket();
        let mut command = Command::new("psql");
        command.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "postgres",
            "-p",
            "5432",
            "-d",
            "postgres",
            "-h",
        ]);
        command.arg(socket.parent().unwrap()).stdin(Stdio::null());
        for statement in statements {
            command.args(["-c", statement]);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn config(&self, user: &str, what: &str, statements: Value) -> Value {
        let mut config = json!({
            "address": self.address.to_string(), "security": "none", "user": user, "database": "postgres",
            "password": {"$secret": "db-password"},
        });
        config[what] = statements;
        config
    }
}

async fn world() -> World {
    let world = World::new("postgres").await;
    world.secret("db-password", PASSWORD).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_and_statements_take_parameters_of_every_type() {
    let (world, postgres) = (world().await, Postgres::start());
    let input = json!({
        "id": 7, "status": "it's \"paid\"; DROP TABLE orders", "total": "1.10", "tags": ["a", "b\"\\,{}", null],
        "document": {"deep": [1, {"ä": null}]}, "picture": "/wA=", "ids": [7, 8], "at": "2026-11-25T14:00:00Z"
    });
    let insert = json!([{
        "sql": "INSERT INTO orders VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id, status",
        "parameters": ["{{ id }}", "{{ status }}", "{{ total }}", "{{ tags }}", "{{ document }}", "{{ picture }}", "{{ at }}"]
    }, {
        "sql": "INSERT INTO orders (id, status) VALUES ($1, $2)", "parameters": [8, "n {{ id }}"]
    }]);
    // No grant but for the network: SCRAM does not show the password.
    let execution = world.run(postgres.config("by_scram", "execute", insert), &input).await;
    let expected = json!({"results": [
        {"command": "INSERT", "rows_affected": 1, "rows": [{"id": 7, "status": input["status"]}]},
        {"command": "INSERT", "rows_affected": 1, "rows": []},
    ]});
    assert_eq!(*World::output(&execution), expected);

    let query = json!({
        "sql": "SELECT o.*, id * 0.5::float8 AS half, true AS yes, 1 AS yes, 'NaN'::float8 AS nan, at::date AS day \
                FROM orders o WHERE id = ANY($1) ORDER BY id",
        "parameters": ["{{ ids }}"], "rows_max": 1
    });
    let execution = world.run(postgres.config("by_scram", "query", query), &input).await;
    let output = World::output(&execution);
    let mut row = output["rows"][0].clone();
    assert!(row["at"].as_str().unwrap().starts_with("2026-11-25 "), "{row}");
    row.as_object_mut().unwrap().remove("at");
    let expected = json!({
        "id": 7, "status": input["status"], "total": "1.10", "tags": input["tags"], "document": input["document"],
        "picture": "/wA=", "half": 3.5, "yes": true, "yes_2": 1, "nan": "NaN", "day": row["day"],
    });
    assert_eq!(row, expected);
    assert_eq!((&output["row_count"], &output["truncated"]), (&json!(1), &json!(true)));
    world.tells_nowhere("pa55 w0rd").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_taken_back_and_a_query_changes_nothing() {
    let (world, postgres) = (world().await, Postgres::start());
    let count = || postgres.psql(&["SELECT count(*) FROM orders"]);
    let insert =
        json!({"sql": "INSERT INTO orders (id, status) VALUES ($1, $2)", "parameters": ["{{ id }}", "{{ status }}"]});
    let input = json!({"id": 1, "status": "new"});
    for (second, kind) in [
        (insert.clone(), "rejected"),
        (json!({"sql": "INSERT INTO orders (id, status) VALUES (2, 'broken')"}), "rejected"),
        (json!({"sql": "SELECT 1 / $1::int", "parameters": [0]}), "invalid_input"),
        (json!({"sql": "SELECT $1::int", "parameters": ["no number"]}), "invalid_input"),
        (json!({"sql": "SELECT $1::int", "parameters": [{"no": "number"}]}), "invalid_input"),
        (json!({"sql": "SELEKT"}), "invalid_config"),
        (json!({"sql": "SELECT * FROM secrets"}), "unauthenticated"),
        (json!({"sql": "SELECT $1::int + $2::int", "parameters": [1]}), "invalid_config"),
        (json!({"sql": "COPY orders FROM STDIN"}), "invalid_config"),
    ] {
        let config = postgres.config("by_scram", "execute", json!([insert, second]));
        let execution = world.run(config, &input).await;
        assert_eq!(World::failure(&execution), (kind, "give_up"), "{second}: {execution}");
        assert_eq!(count(), "0", "{second}");
    }
    let execution = world.run(postgres.config("by_scram", "query", insert.clone()), &input).await;
    assert_eq!(World::failure(&execution), ("invalid_config", "give_up"));
    assert_eq!(execution["error"]["failure"]["details"]["sqlstate"], "25006", "{execution}");
    let ended = json!([{"sql": "COMMIT"}]);
    let execution = world.run(postgres.config("by_scram", "execute", ended), &input).await;
    assert_eq!(World::failure(&execution), ("invalid_config", "give_up"));
    // The server is told how long, and it is the server that says so.
    let mut slow = postgres.config("by_scram", "query", json!({"sql": "SELECT pg_sleep(60)"}));
    slow["timeout_ms"] = 1000.into();
    let execution = world.run(slow, &input).await;
    assert_eq!(World::failure(&execution), ("unavailable", "retry"));
    let large = json!({"sql": "SELECT repeat('x', 9000000)"});
    let execution = world.run(postgres.config("by_scram", "query", large), &input).await;
    assert_eq!(World::failure(&execution), ("bad_response", "give_up"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_authenticate_needs_the_grant_that_the_documentation_says() {
    let (world, postgres) = (world().await, Postgres::start());
    let config = |user: &str| postgres.config(user, "query", json!({"sql": "SELECT current_user::text AS me"}));
    for (user, needs_sight) in [("by_scram", false), ("by_md5", true), ("by_password", true)] {
        let execution = world.run(config(user), &json!({})).await;
        if needs_sight {
            assert_eq!(World::failure(&execution), ("invalid_config", "give_up"), "{user}");
            assert!(execution["error"]["message"].as_str().unwrap().contains("grants.reveal"), "{execution}");
            let execution = world.run_seeing(&["db-password"], config(user), &json!({})).await;
            assert_eq!(World::output(&execution)["rows"], json!([{"me": user}]));
        } else {
            assert_eq!(World::output(&execution)["rows"], json!([{"me": user}]));
        }
    }
    world.secret("wrong", "not the password").await;
    for user in ["by_scram", "by_md5", "by_password", "nobody"] {
        let mut config = config(user);
        config["password"] = json!({"$secret": "wrong"});
        let execution = world.run_seeing(&["wrong"], config, &json!({})).await;
        assert_eq!(World::failure(&execution), ("unauthenticated", "give_up"), "{user}");
    }
    let mut elsewhere = config("by_scram");
    elsewhere["database"] = "nowhere".into();
    let execution = world.run(elsewhere, &json!({})).await;
    assert_eq!(World::failure(&execution), ("invalid_config", "give_up"));
    world.tells_nowhere("pa55 w0rd").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_takes_a_private_authority_and_a_client_certificate() {
    let (world, postgres) = (world().await, Postgres::start());
    let client = postgres.authority.identity("certified", &["certified"]);
    world.secret("client-key", &client.key).await;
    let certificate = json!({"chain": client.certificate, "key": {"$secret": "client-key"}});
    let config = |user: &str, tls: Value| {
        let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        let mut config = postgres.config(user, "query", json!({"sql": sql}));
        config["security"] = "tls".into();
        config["tls"] = tls;
        config
    };
    let known = json!({"extra_roots": postgres.authority.pem()});
    let execution = world.run(config("tls_only", known.clone()), &json!({})).await;
    assert_eq!(World::output(&execution)["rows"], json!([{"ssl": true}]));
    let execution = world.run(config("tls_only", json!({})), &json!({})).await;
    assert_eq!(World::failure(&execution), ("bad_response", "give_up"));
    let plain = postgres.config("tls_only", "query", json!({"sql": "SELECT 1"}));
    let execution = world.run(plain, &json!({})).await;
    assert_eq!(World::failure(&execution), ("unauthenticated", "give_up"));

    let mut by_certificate =
        config("certified", json!({"extra_roots": postgres.authority.pem(), "client_certificate": certificate}));
    by_certificate.as_object_mut().unwrap().remove("password");
    let execution = world.run(by_certificate, &json!({})).await;
    assert_eq!(World::output(&execution)["rows"], json!([{"ssl": true}]));
    let execution = world.run(config("certified", known.clone()), &json!({})).await;
    assert_eq!(World::failure(&execution), ("unauthenticated", "give_up"));

    let report = world.test_seeing(&[], &config("tls_only", known.clone())).await;
    assert_eq!(report["verdict"], "connected", "{report}");
    let summary = report["report"]["summary"].as_str().unwrap();
    assert!(summary.contains("answered as user tls_only in database postgres"), "{summary}");
    assert_eq!(report["report"]["details"]["authentication"], "scram-sha-256", "{report}");
    let mut mistaken = config("tls_only", known);
    mistaken["query"]["sql"] = "SELECT * FROM nowhere".into();
    let report = world.test_seeing(&[], &mistaken).await;
    assert_eq!((&report["verdict"], &report["error"]["failure"]["kind"]), (&json!("failed"), &json!("invalid_config")));
}

#[tokio::test(flavor = "multi_thread")]
async fn remotes_that_are_away_slow_or_no_postgres_are_told_apart() {
    let (world, postgres) = (world().await, Postgres::start());
    let config = |address: String, security: &str| {
        json!({
            "address": address, "security": security, "user": "u", "timeout_ms": 300,
            "execute": [{"sql": "INSERT INTO orders (id, status) VALUES (1, 'x')"}],
        })
    };
    let execution = world.run(config(odd::nobody(), "none"), &json!({})).await;
    assert_eq!(World::failure(&execution), ("unavailable", "retry"));
    let execution = world.run(config(odd::silent().await, "tls"), &json!({})).await;
    assert_eq!(World::failure(&execution), ("unavailable", "retry"));
    for security in ["none", "tls"] {
        let execution =
            world.run(config(odd::says(b"HTTP/1.1 400 Bad Request\r\n\r\n").await, security), &json!({})).await;
        assert_eq!(World::failure(&execution), ("bad_response", "retry"), "nothing was done");
    }
    let execution = world.run(config(odd::says(b"N").await, "tls"), &json!({})).await;
    assert_eq!(World::failure(&execution), ("invalid_config", "give_up"), "no TLS there");

    // An answer that is lost counts where it is that to COMMIT, and the statement was carried out.
    for (word, status, advice, done) in
        [(&b"INSERT"[..], "failed", "retry", "0"), (b"COMMIT", "in_doubt", "in_doubt", "1")]
    {
        let through = odd::losing_the_answer_to(word, postgres.address).await;
        let statement = json!([{"sql": "INSERT INTO orders (id, status) VALUES (1, 'x')"}]);
        let mut config = postgres.config("by_scram", "execute", statement);
        config["address"] = through.into();
        let execution = world.run(config, &json!({})).await;
        assert_eq!((World::failure(&execution), &execution["status"]), (("unavailable", advice), &json!(status)));
        assert_eq!(postgres.psql(&["SELECT count(*) FROM orders"]), done);
    }
}
