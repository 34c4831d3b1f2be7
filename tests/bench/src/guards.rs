//! What safety costs: the gate, secrets put in on the way out, and sealing the log.
//!
//! None of them can be turned off, so each is measured against as little of it as there can be: a
//! header that says the same without a secret, no list of the operator's against two long ones, a
//! seal an hour against one each second. The servers are the same binary and take turns in slices.

use crate::{
    Options,
    load::{Good, slice},
    process::Server,
    product::Product,
    report::{run as this_run, table},
    rounds::echo,
    turns::{Turns, in_turns},
};
use action_domain::{
    action::{EgressGrant, Grants},
    egress::{Egress, EgressPolicy, PolicyEntry},
};
use anyhow::{Context as _, Result};
use serde_json::json;
use std::{
    fmt::Write as _,
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

/// Begins this part of the page.
pub(crate) const HEADING: &str = "## What safety costs";

/// Length of a slice where nothing is said.
const SECONDS: u64 = 2;
/// Rounds where nothing is said.
const ROUNDS: usize = 5;
const CONNECTIONS: usize = 64;
/// Entries of each of the operator's lists.
const ENTRIES: usize = 100;
/// The secret's value, and what stands in its place where there is none.
const VALUE: &str = "tok_0123456789abcdef0123456789abcdef";
/// Decisions that are timed.
const DECISIONS: u32 = 200_000;
/// What all of it may take from the throughput.
const RATIO_MIN: f64 = 0.95;

/// A server, and the action that it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// As little of everything as there can be.
    Plain,
    /// A secret in a header.
    Secret,
    /// A seal each second.
    Sealed,
    /// Long lists of the operator's.
    Lists,
    /// All of it.
    All,
}

impl Turn {
    const EACH: [Self; 5] = [Self::Plain, Self::Secret, Self::Sealed, Self::Lists, Self::All];

    fn action(self) -> &'static str {
        if matches!(self, Self::Secret | Self::All) { "secret" } else { "plain" }
    }

    fn seals(self) -> bool {
        matches!(self, Self::Sealed | Self::All)
    }

    fn has_lists(self) -> bool {
        matches!(self, Self::Lists | Self::All)
    }

    fn told(self) -> &'static str {
        match self {
            Self::Plain => "as little as there can be",
            Self::Secret => "a secret in a header, for the same text",
            Self::Sealed => "a seal each second, for one an hour",
            Self::Lists => "200 entries of the operator's, for none",
            Self::All => "all three together",
        }
    }
}

/// What was measured.
pub(crate) struct Results {
    seconds: u64,
    rounds: usize,
    turns: Turns<Turn>,
    /// Rules of an action, and what a decision of the gate takes with them, in nanoseconds.
    decisions: Vec<(usize, f64)>,
}

/// Measures it.
pub(crate) async fn run(options: &Options) -> Result<Results> {
    let echo = echo().await?;
    std::fs::create_dir_all(&options.dir)?;
    let (seconds, rounds) = (options.seconds(SECONDS), options.rounds(ROUNDS));
    let folder = tempfile::Builder::new().prefix("guards-").tempdir_in(&options.dir)?;
    // Compiled once: all begin with a copy of this one's data.
    let ground = Product::new(folder.path().join("ground"))?;
    let (server, _) = ground.start().await?;
    set_up(&ground, &server, &echo).await?;
    server.stop().await?;
    let mut turns = Turns::new();
    for number in 0..rounds {
        let folder = tempfile::Builder::new().prefix("round-").tempdir_in(folder.path())?;
        let mut servers = Vec::new();
        for turn in Turn::EACH {
            let product = product(turn, &ground, folder.path())?;
            let (server, _) = product.start().await?;
            servers.push((turn, product, server));
        }
        for (turn, product, server) in in_turns(number, servers.iter().collect()) {
            let asked = product.execute(turn.action());
            let length = Duration::from_secs(seconds);
            let slice = slice(server, asked, Good::Succeeded, CONNECTIONS, length).await;
            turns.add(number, *turn, slice.with_context(|| format!("{turn:?}"))?);
        }
        for (_, _, server) in servers {
            server.stop().await?;
        }
    }
    echo.stop().await?;
    let decisions = [1, 10, 100].map(|rules| (rules, decision_ns(rules))).to_vec();
    Ok(Results { seconds, rounds, turns, decisions })
}

fn product(turn: Turn, ground: &Product, folder: &Path) -> Result<Product> {
    let product = ground.twin(folder.join(format!("{turn:?}")))?;
    let product = product.with("ACTION_SERVICE_AUDIT_SECONDS", if turn.seals() { 1 } else { 3600 });
    if !turn.has_lists() {
        return Ok(product);
    }
    let others =
        |kind: &str| (0..ENTRIES - 1).map(|n| format!("*.{kind}{n}.example:443")).collect::<Vec<_>>().join(",");
    Ok(product
        .with("ACTION_SERVICE_EGRESS_DENY", others("denied"))
        .with("ACTION_SERVICE_EGRESS_ALLOW", format!("{},127.0.0.1", others("allowed"))))
}

async fn set_up(product: &Product, server: &Server, echo: &Server) -> Result<()> {
    product.put(server, "/v1/secrets/bench", &json!({"value": VALUE})).await?;
    let url = format!("http://{}/", echo.address);
    let secret = json!({"$secret": "bench", "prefix": "Bearer "});
    for (name, header) in [("plain", json!(format!("Bearer {VALUE}"))), ("secret", secret)] {
        let config =
            json!({"url": url, "method": "POST", "idempotency": "keyed", "headers": {"X-Authorization": header}});
        let grants = json!({"private_networks": true});
        let action = json!({"name": name, "protocol": "http", "config": config, "grants": grants});
        product.create(server, &action).await?;
    }
    Ok(())
}

/// How long the gate takes to decide about a host that the last of these rules grants.
fn decision_ns(rules: usize) -> f64 {
    let grant = |n: usize| EgressGrant { host: format!("*.granted{n}.example"), ports: vec![443] };
    let last = EgressGrant { host: "api.example.com".to_owned(), ports: vec![443] };
    let grants = Grants { egress: (1..rules).map(grant).chain([last]).collect(), ..Grants::default() };
    let egress = Egress::of_action(&json!({}), &json!({}), &grants);
    let deny = PolicyEntry::parse_list("10.0.0.0/8,*.denied.example").unwrap_or_default();
    let policy = EgressPolicy { deny, ..EgressPolicy::default() };
    let address = std::net::Ipv4Addr::new(93, 184, 216, 34).into();
    let begun = Instant::now();
    for _ in 0..DECISIONS {
        if let Ok(admitted) = egress.admit(black_box("API.example.com"), black_box(443), &policy) {
            let decided = egress.check_address(&admitted.host, black_box(address), 443, &policy);
            black_box(decided.is_ok());
        }
    }
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(DECISIONS)
}

/// This part of `docs/benchmarks.md`.
pub(crate) fn render(results: &Results) -> String {
    let turns = &results.turns;
    let plain = turns.median(Turn::Plain, |slice| slice.cpu_us);
    let mut rows = Vec::new();
    for turn in Turn::EACH {
        let (rate, cpu) = (turns.median(turn, |slice| slice.rate), turns.median(turn, |slice| slice.cpu_us));
        let ratio = turns.ratio(turn, Turn::Plain, |slice| slice.rate);
        let of_another = |text: String| if turn == Turn::Plain { "–".to_owned() } else { text };
        rows.push([
            turn.told().to_owned(),
            format!("{rate:.0}"),
            of_another(format!("**{ratio:.2}**")),
            format!("{cpu:.0} µs"),
            of_another(format!("{:+.0} µs", cpu - plain)),
        ]);
    }
    let all = turns.ratio(Turn::All, Turn::Plain, |slice| slice.rate);
    let met = if all >= RATIO_MIN { "met" } else { "**not met**" };
    let mut decisions = String::new();
    for (rules, ns) in &results.decisions {
        // Writing into a text cannot fail.
        let (comma, share) = (if decisions.is_empty() { "" } else { ", " }, ns / plain / 10.0);
        let _ = write!(decisions, "{comma}{ns:.0} ns ({share:.2} % of the CPU of an execution) with {rules}");
    }
    format!(
        "{HEADING}

Executions of `http` over {CONNECTIONS} connections, waited for, with as little as there can be of each and then with more.

{run}

{table}
Aim: all three together leave {RATIO_MIN:.2} of the throughput or more: {all:.2}, {met}.

A decision of the gate, name and address, takes by itself {decisions} rules of the action.

{rounds} round(s) of slices of {seconds} s in which five services with SQLite take turns, every other round in the
opposite order; the ratio is the median of the rounds' own. A service that seals each second reads and hashes
every event that it wrote, as one does that seals each minute; what a seal costs beside that is sixty times as
much. The gate cannot be left out: with the lists it compares each request with all of their entries.
",
        run = this_run(),
        table = table(["with", "req/s", "ratio", "CPU", "more CPU"], &rows),
        rounds = results.rounds,
        seconds = results.seconds,
    )
}
