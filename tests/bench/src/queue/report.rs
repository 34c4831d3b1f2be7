//! The queue's part of the report.

use super::{Backend, Level, Results, What, cluster};
use crate::report::{median, run, table, thousands};

/// Where this part begins in the report.
pub(crate) const HEADING: &str = "## The queue";

/// A quantity of which the service has a part.
type Row = [String; 4];

/// The whole part.
pub(crate) fn render(results: &Results) -> String {
    let [[file_before, socket_before], [file_after, socket_after]] = results.syncs.map(|both| both.map(thousands));
    format!(
        "{HEADING}

Durable dispatch beside what the database can do: no-ops that nobody waits for, kept, taken and run.

{run}
- `fdatasync` of 4 KiB where SQLite is: {file_before}/s before, {file_after}/s after
- `fdatasync` of 4 KiB where Postgres is: {socket_before}/s before, {socket_after}/s after
- {steadiness}

### Aims of the queue

{aims}
### Figures of the queue

Accepted over 64 connections, while no attempt runs:

{enqueue}
Run while nothing comes:

{drain}
From the trigger to its first attempt, one trigger every 20 ms:

{to_start}
### How the queue was measured

{rounds} round(s) of slices of {seconds} s, in which the databases take turns, every other round in the
opposite order: one with little in it, and those with executions that wait or with events that are
stored, copies of what a real execution left. A slice of `POST …/execute` with `Prefer: respond-async`
fills the queue, then it is run. How fast is taken from the times of `action_executed`, after the
last worker has started and without the last 5 %; where much waits, only a part of it is run.

SQLite is one `serve`; Postgres has its default settings, one `api`, and as many `worker` processes as
the table says. Nothing runs beside the enqueuing: on Postgres no worker is there, on SQLite the only
attempt that it has room for calls somebody who does not answer. *Beside work* is with one worker,
or with the one process as it is. From the trigger to the attempt is the time between
`trigger_received` and `attempt_started`, {triggers} of them, with one worker.

The limits are measured just before what is compared with them, where nothing is stored. Enqueuing on
SQLite: the limit program over the same HTTP, which commits three rows an execution, as the service
does (the execution and two events), for all waiting requests together. On Postgres: two clients
without HTTP, which insert the same rows into tables without further indexes, 32 executions in one
statement. Running: a table with nothing but an index of what is due, whose rows are claimed and
completed in batches of ten, a durable commit each, over as many connections as there are workers.

Callers, service, database and broker share this machine's cores: more workers than cores only take
from each other. The figures are medians over the rounds, ratios the medians of the rounds' own
ratios. Any answer but a success, and any execution that fails, ends the whole run.
",
        run = run(),
        steadiness = steadiness(&results.between),
        aims = table(["aim", "wanted", "measured", ""], &aims(results)),
        enqueue = enqueue(results),
        drain = drain(results),
        to_start = to_start(results),
        rounds = results.rounds,
        seconds = results.seconds,
        triggers = of(results, results.backends[0], Level::Empty, What::ToStart).count(),
    )
}

/// Syncs are what durable work waits for: where the disk was not the same all the time, ratios of
/// what was measured at different times say little.
fn steadiness(between: &[f64]) -> String {
    let (least, most) =
        between.iter().fold((f64::INFINITY, 0.0_f64), |(least, most), figure| (least.min(*figure), most.max(*figure)));
    let middle = thousands(median(between.iter().copied()));
    let rough = if 2.0 * least < most { "; **the disk was not steady, the ratios are rough**" } else { "" };
    format!("between the turns {}/s to {}/s, {middle}/s in the middle{rough}", thousands(least), thousands(most))
}

fn aims(results: &Results) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut aim = |name: String, wanted: &str, measured: String, met: bool| {
        rows.push([name, wanted.into(), measured, if met { "met" } else { "**not met**" }.to_owned()]);
    };
    for backend in results.backends.iter().copied() {
        let name = name(backend);
        let empty = |what| (Level::Empty, what);
        let by_limit = ratio(results, backend, empty(What::Enqueue), empty(What::RawEnqueue));
        aim(format!("{name}: enqueue / limit"), "≥ 0.50", format!("{by_limit:.2}"), by_limit >= 0.5);
        for count in workers(backend, Level::Empty) {
            let by_limit = ratio(results, backend, empty(What::Drain(*count)), empty(What::RawDrain(*count)));
            let name = format!("{name}: {} / limit", drained_by(backend, *count));
            aim(name, "≥ 0.30", format!("{by_limit:.2}"), by_limit >= 0.3);
        }
        let p99 = quantile(results, backend, 0.99);
        aim(format!("{name}: trigger to attempt, p99, idle"), "≤ 20 ms", format!("{p99:.1} ms"), p99 <= 20.0);
        let much = results.levels.iter().copied().filter(|level| matches!(level, Level::Stored(_)));
        for level in much {
            let kinds =
                [What::Enqueue].into_iter().chain(workers(backend, level).iter().map(|count| What::Drain(*count)));
            for what in kinds {
                let kept = ratio(results, backend, (level, what), empty(what));
                let work = match what {
                    What::Drain(count) => drained_by(backend, count),
                    _ => "enqueue".to_owned(),
                };
                let name = format!("{name}: {work}, {} / empty", in_it(level));
                aim(name, "≥ 0.80", format!("{kept:.2}"), kept >= 0.8);
            }
        }
    }
    rows
}

fn enqueue(results: &Results) -> String {
    let mut rows = Vec::new();
    for (backend, level) in all(results) {
        let mid = |what| median(of(results, backend, level, what));
        let beside = mid(What::EnqueueBeside);
        rows.push([
            name(backend).to_owned(),
            in_it(level),
            thousands(mid(What::Enqueue)),
            versus_empty(results, backend, level, What::Enqueue),
            thousands(median(of(results, backend, Level::Empty, What::RawEnqueue))),
            bold(ratio(results, backend, (level, What::Enqueue), (Level::Empty, What::RawEnqueue))),
            format!("{:.1} ms", mid(What::AnswerP99)),
            if beside.is_nan() { "–".into() } else { thousands(beside) },
        ]);
    }
    let head = ["database", "in it", "enqueued/s", "/ empty", "limit/s", "/ limit", "answer p99", "beside work/s"];
    table(head, &rows)
}

fn drain(results: &Results) -> String {
    let mut rows = Vec::new();
    for (backend, level) in all(results) {
        for count in workers(backend, level) {
            let (own, raw) = (What::Drain(*count), What::RawDrain(*count));
            rows.push([
                name(backend).to_owned(),
                in_it(level),
                count.to_string(),
                thousands(median(of(results, backend, level, own))),
                versus_empty(results, backend, level, own),
                thousands(median(of(results, backend, Level::Empty, raw))),
                bold(ratio(results, backend, (level, own), (Level::Empty, raw))),
            ]);
        }
    }
    table(["database", "in it", "workers", "run/s", "/ empty", "limit/s", "/ limit"], &rows)
}

fn to_start(results: &Results) -> String {
    let ms = |backend, part| format!("{:.2} ms", quantile(results, backend, part));
    let row = |backend: &Backend| [name(*backend).to_owned(), ms(*backend, 0.5), ms(*backend, 0.99), ms(*backend, 1.0)];
    let rows: Vec<_> = results.backends.iter().map(row).collect();
    table(["database", "p50", "p99", "slowest"], &rows)
}

fn all(results: &Results) -> impl Iterator<Item = (Backend, Level)> {
    results.backends.iter().flat_map(|backend| results.levels.iter().map(|level| (*backend, *level)))
}

fn workers(backend: Backend, level: Level) -> &'static [usize] {
    match (backend, level) {
        (Backend::Sqlite, _) => &[1],
        (_, Level::Empty) => &cluster::WORKERS,
        _ => &cluster::WORKERS_MUCH,
    }
}

const fn name(backend: Backend) -> &'static str {
    match backend {
        Backend::Sqlite => "SQLite",
        Backend::Postgres => "Postgres",
        Backend::Nats => "Postgres + NATS",
    }
}

fn drained_by(backend: Backend, count: usize) -> String {
    match (backend, count) {
        (Backend::Sqlite, _) => "run".to_owned(),
        (_, 1) => "run by 1 worker".to_owned(),
        (_, count) => format!("run by {count} workers"),
    }
}

fn in_it(level: Level) -> String {
    match level {
        Level::Empty => "nothing".to_owned(),
        Level::Waiting(count) => format!("{} waiting", thousands(count as f64)),
        Level::Stored(count) => format!("{} events", thousands(count as f64)),
    }
}

fn of(results: &Results, backend: Backend, level: Level, what: What) -> impl Iterator<Item = f64> {
    let wanted = (backend, level, what);
    results.figures.iter().filter(move |(b, l, w, _)| (*b, *l, *w) == wanted).map(|(.., figure)| *figure)
}

fn ratio(results: &Results, backend: Backend, own: (Level, What), other: (Level, What)) -> f64 {
    let others = of(results, backend, other.0, other.1);
    median(of(results, backend, own.0, own.1).zip(others).map(|(own, other)| own / other))
}

fn versus_empty(results: &Results, backend: Backend, level: Level, what: What) -> String {
    match level {
        Level::Empty => "–".to_owned(),
        _ => format!("{:.2}", ratio(results, backend, (level, what), (Level::Empty, what))),
    }
}

/// The latency that this part of the triggers stayed within.
fn quantile(results: &Results, backend: Backend, part: f64) -> f64 {
    let mut latencies: Vec<f64> = of(results, backend, Level::Empty, What::ToStart).collect();
    latencies.sort_unstable_by(f64::total_cmp);
    let place = (latencies.len() as f64 * part).ceil() as usize;
    latencies.get(place.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

fn bold(ratio: f64) -> String {
    format!("**{ratio:.2}**")
}
