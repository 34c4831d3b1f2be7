//! The result for people: ratios, aims, and what one has to know to read them.

use crate::{
    guests::Guests,
    load::Slice,
    rounds::{CONNECTIONS, Results, Work},
};
use std::process::Command;

/// The service's works, each with the limit that it is compared with.
const PAIRS: [(&str, Work, Work); 3] = [
    ("no-op", Work::Noop, Work::LimitNoop),
    ("HTTP call, leanest component", Work::EchoHttp, Work::LimitCall),
    ("HTTP call, `http`", Work::Http, Work::LimitCall),
];

/// The whole of `docs/benchmarks.md`.
pub(crate) fn render(results: &Results) -> String {
    format!(
        "# Benchmarks

Written by `make bench`: the service beside the limit, which is the same HTTP server and the
same durable storage with native code where the service runs a component; the queue beside
what its database can do; and what safety, webhooks, transforms and languages cost.

{run}
- `fdatasync` of 4 KiB: {before}/s before, {after}/s after

## Aims

{aims}
## All figures

{table}
Memory (PSS): the service {idle:.1} MiB idle and {loaded:.1} MiB after the load, the limit
{limit_idle:.1} and {limit_loaded:.1} MiB.

## How it was got

One load generator in a process of its own, on the same cores, keeps each connection busy with
one small JSON request at a time; {rounds} round(s) of slices of {seconds} s after a warm-up of 0.3 s, in
which service and limit take turns, every other round in the opposite order. Both begin each round
with an empty SQLite database (WAL, `synchronous=FULL`). The limit makes two events a request
durable, one before and one after its work, and commits those of all waiting requests together;
it keeps no executions, checks no token and has no limits. The service has its default settings{concurrency},
is asked to wait for the end of each execution, and keeps its whole record. The HTTP calls go to an
echo server on loopback over connections that stay open. Any answer but a success fails the whole run.
The figures are medians over the rounds, ratios are the medians of the rounds' own ratios. CPU is
user and kernel time of the server's process for each request. Ready is the time from the start of
the process to the first 200 of `/readyz`, with components that it has compiled before. The sandbox's
CPU is the middle one of 300 no-ops' receipts, from a fresh store and instance over `validate-config`
and `execute` to everything given back. Only ratios
compare: between two hours or two machines the absolute figures do not.
",
        run = run(),
        before = thousands(results.syncs[0]),
        after = thousands(results.syncs[1]),
        aims = aims(results),
        table = figures(results),
        idle = median(results.idle_mib.iter().copied()),
        loaded = median(results.after_mib.iter().copied()),
        limit_idle = median(results.limit_mib.iter().map(|(idle, _)| *idle)),
        limit_loaded = median(results.limit_mib.iter().map(|(_, loaded)| *loaded)),
        rounds = results.rounds,
        seconds = results.seconds,
        concurrency = std::env::var("ACTION_SERVICE_CONCURRENCY")
            .map_or_else(|_| String::new(), |number| format!(" but ACTION_SERVICE_CONCURRENCY={number}")),
    )
}

/// When and where this run was, as a list.
pub(crate) fn run() -> String {
    let revision = output_of("git", &["describe", "--always", "--dirty"]);
    let revision = revision.map_or_else(|| "unknown revision".into(), |revision| format!("revision {revision}"));
    let build = if cfg!(debug_assertions) { "\n- **A debug build: the figures mean nothing.**" } else { "" };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (date, machine) = (now(), machine());
    let command = format!("cargo run --release -p action-bench -- {}", arguments.join(" "));
    format!("- {date}, {revision}\n- {machine}\n- `{}`{build}", command.trim_end_matches(" -- "))
}

fn aims(results: &Results) -> String {
    let ratio = |(_, work, limit): (&str, Work, Work), of| median(ratios(results, work, limit, 64, of));
    let row = |aim: &str, wanted: &str, measured: String, met: bool| {
        [aim.into(), wanted.into(), measured, if met { "met" } else { "**not met**" }.to_owned()]
    };
    let mut rows = Vec::new();
    for pair in &PAIRS[1..] {
        let (rate, p99) = (ratio(*pair, |slice| slice.rate), ratio(*pair, |slice| slice.p99_ms));
        let name = pair.0;
        rows.push(row(
            &format!("{name}: throughput / limit, 64 connections"),
            "≥ 0.80",
            format!("{rate:.2}"),
            rate >= 0.8,
        ));
        rows.push(row(&format!("{name}: p99 / limit, 64 connections"), "≤ 1.3", format!("{p99:.2}"), p99 <= 1.3));
    }
    let rate = ratio(PAIRS[0], |slice| slice.rate);
    rows.push(row("no-op: throughput / limit, 64 connections", "≥ 0.60", format!("{rate:.2}"), rate >= 0.6));
    let guests = |of: fn(&Guests) -> f64| median(results.guests.iter().map(of));
    let sandbox = guests(|guests| guests.sandbox_us);
    rows.push(row("no-op: CPU of the sandbox", "≤ 30 µs", format!("{sandbox:.0} µs"), sandbox <= 30.0));
    let slowest = guests(|guests| guests.slowest_ms);
    let aim = "slowest answer of the API beside 100 endless loops";
    rows.push(row(aim, "≤ 100 ms", format!("{slowest:.0} ms"), slowest <= 100.0));
    let share = guests(|guests| guests.quiet_share);
    rows.push(row(
        "rate of a quiet action beside 4 endless loops / alone",
        "≥ 0.50",
        format!("{share:.2}"),
        share >= 0.5,
    ));
    let idle = median(results.idle_mib.iter().copied());
    rows.push(row("memory idle", "≤ 40 MiB", format!("{idle:.1} MiB"), idle <= 40.0));
    let ready = median(results.ready_ms.iter().copied());
    rows.push(row("start to ready, warm compile cache", "≤ 300 ms", format!("{ready:.0} ms"), ready <= 300.0));
    table(["aim", "wanted", "measured", ""], &rows)
}

fn figures(results: &Results) -> String {
    let mut rows = Vec::new();
    for (name, work, limit) in PAIRS {
        for connections in CONNECTIONS {
            let both = |of_slice: fn(&Slice) -> f64| {
                let mid = |work| median(of(results, work, connections).map(|slice| of_slice(&slice)));
                (mid(limit), mid(work), median(ratios(results, work, limit, connections, of_slice)))
            };
            let rate = both(|slice| slice.rate);
            let p99 = both(|slice| slice.p99_ms);
            let cpu = both(|slice| slice.cpu_us);
            rows.push([
                name.to_owned(),
                connections.to_string(),
                thousands(rate.0),
                thousands(rate.1),
                format!("**{:.2}**", rate.2),
                format!("{:.2} ms", p99.0),
                format!("{:.2} ms", p99.1),
                format!("**{:.2}**", p99.2),
                format!("{:.0} µs", cpu.0),
                format!("{:.0} µs", cpu.1),
            ]);
        }
    }
    let head = [
        "work",
        "conn.",
        "limit req/s",
        "service req/s",
        "ratio",
        "limit p99",
        "service p99",
        "ratio",
        "limit CPU",
        "service CPU",
    ];
    table(head, &rows)
}

/// The slices of one work, in the order of rounds.
fn of(results: &Results, work: Work, connections: usize) -> impl Iterator<Item = Slice> {
    let wanted =
        move |(of, over, slice): &(Work, usize, Slice)| (*of == work && *over == connections).then_some(*slice);
    results.slices.iter().filter_map(wanted)
}

/// The service's figure by the limit's, for each round.
fn ratios(
    results: &Results,
    work: Work,
    limit: Work,
    connections: usize,
    figure: fn(&Slice) -> f64,
) -> impl Iterator<Item = f64> {
    let limits = of(results, limit, connections);
    of(results, work, connections).zip(limits).map(move |(own, limit)| figure(&own) / figure(&limit))
}

/// The middle one, or between the middle two.
pub(crate) fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    match figures.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => figures[length / 2],
        length => f64::midpoint(figures[length / 2 - 1], figures[length / 2]),
    }
}

#[expect(clippy::disallowed_methods, reason = "the date of a report")]
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let information = read("/proc/cpuinfo");
    let model = information.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let kernel = read("/proc/sys/kernel/osrelease");
    let compiler = output_of("rustc", &["--version"]).unwrap_or_else(|| "unknown rustc".into());
    format!("{cores} cores ({model}), Linux {}, {compiler}", kernel.trim())
}

fn output_of(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// 12,345
pub(crate) fn thousands(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Markdown that is also a table to look at.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let head = head.map(str::to_owned);
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = rows.iter().chain([&head]).map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(3)
    });
    let line = |cells: &[String; N]| {
        let cells = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    let rule = widths.map(|width| "-".repeat(width));
    [line(&head), line(&rule)].into_iter().chain(rows.iter().map(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one_or_between_the_middle_two() {
        assert!((median([3.0, 1.0, 2.0].into_iter()) - 2.0).abs() < 1e-9);
        assert!((median([4.0, 1.0, 2.0, 3.0].into_iter()) - 2.5).abs() < 1e-9);
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([999.0, 1000.0, 1_234_567.0].map(thousands), ["999", "1,000", "1,234,567"]);
    }
}
