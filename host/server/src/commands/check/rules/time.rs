//! What a component does when nobody answers, when it is stopped, when it is asked what became of
//! an attempt; and what it costs.

use super::{
    Case, Finding, Problems, Rule, Subject, broke, count, not_checked, of,
    remote::{PATIENCE, THOROUGH_CASES_MAX},
};
use crate::commands::check::{cases::Reveal, peer::Manner, report::Measured, subject::Ran};
use action_domain::failure::ErrorCode;
use std::time::{Duration, Instant};

/// The time of an attempt to which nobody answers.
const DEADLINE: Duration = Duration::from_millis(700);
/// What the host may need to end an attempt, however busy the machine is.
const ENDED_WITHIN: Duration = Duration::from_secs(30);
/// Calls whose median is told.
const STARTS: usize = 7;
/// Larger components take long to upload and to compile.
const COMPONENT_BYTES_ODD: u64 = 32 << 20;
/// Half of what an action has where it says nothing.
const MEMORY_BYTES_ODD: u64 = 64 << 20;

/// Against a remote that never answers.
pub(super) async fn deadline(subject: &Subject, cases: &[Case]) -> Finding {
    let (mut problems, mut waited, mut gave_up) = (Problems::default(), 0, 0);
    for case in cases.iter().take(THOROUGH_CASES_MAX) {
        let Ok(armed) = subject.arm(case, Reveal::Yes).await else { continue };
        subject.bench.begin(&Manner::Silent);
        let started = Instant::now();
        let Ran { report, .. } = subject.execute(&armed, "deadline, nobody answers", DEADLINE).await;
        let took = started.elapsed();
        let asked = subject.bench.peers.iter().any(|peer| peer.connections() > 0);
        if took > DEADLINE + ENDED_WITHIN {
            problems.fail(of(
                case,
                format!("ended {} ms after its time was over", took.saturating_sub(DEADLINE).as_millis()),
            ));
        }
        match report.result {
            Err(error) if broke(&error) => problems.fail(of(case, &error.message)),
            Err(error) if error.code == ErrorCode::DeadlineExceeded => waited += 1,
            Err(_) if asked => gave_up += 1,
            Ok(_) if asked => problems.warn(of(case, "nobody answered, and it says that it worked")),
            _ => {}
        }
    }
    if waited + gave_up == 0 && problems.is_empty() {
        let why = if subject.has_a_way_out() {
            "no execution waited for a remote"
        } else {
            "it waits for nobody: it imports no way out"
        };
        return not_checked(Rule::Deadline, why);
    }
    let well = format!("{gave_up} gave up by themselves, {waited} were ended by the host, in time");
    problems.finding(Rule::Deadline, "nobody answers", &well)
}

/// Stopped while it waits.
pub(super) async fn cancellation(subject: &Subject, cases: &[Case]) -> Finding {
    let mut problems = Problems::default();
    for case in cases.iter().take(THOROUGH_CASES_MAX) {
        let Ok(armed) = subject.arm(case, Reveal::Yes).await else { continue };
        let Some(peer) = armed.hosts.first().map(|(_, peer)| &subject.bench.peers[*peer]) else { continue };
        subject.bench.begin(&Manner::Silent);
        let mut stopped = None;
        let reached = async {
            if peer.is_reached(PATIENCE).await {
                stopped = Some(Instant::now());
            }
        };
        let was_stopped = subject.stop_when(&armed, "cancellation", PATIENCE + ENDED_WITHIN, reached).await;
        let Some(stopped) = stopped.filter(|_| was_stopped) else { continue };
        let is_left = peer.is_left(ENDED_WITHIN).await;
        let ms = stopped.elapsed().as_millis();
        if !is_left {
            problems.fail(of(case, format!("its connection was still there {ms} ms after it was stopped")));
        }
        let well = format!("its connection was closed within {ms} ms");
        return problems.finding(Rule::Cancellation, "stopped while it waited", &well);
    }
    not_checked(Rule::Cancellation, "no execution waited for a remote, so that it could be stopped")
}

/// Asked what became of an attempt.
pub(super) async fn reconcile(subject: &Subject, cases: &[Case]) -> Finding {
    let mut problems = Problems::default();
    if !subject.reconciles {
        return problems.finding(Rule::Reconcile, "", "exports no reconciler: attempts in doubt are for people");
    }
    let mut asked = 0;
    for case in cases.iter().take(THOROUGH_CASES_MAX) {
        let Ok(armed) = subject.arm(case, Reveal::Yes).await else { continue };
        for (what, manner) in [
            ("it answers", Manner::Answers),
            ("it answers 404", Manner::Status(404)),
            ("it answers 500", Manner::Status(500)),
            ("it breaks off", Manner::Closes),
        ] {
            let situation = format!("reconcile, {what}");
            subject.bench.begin(&manner);
            asked += 1;
            if let Err(error) = subject.reconcile(&armed, &situation, PATIENCE).await.result
                && (broke(&error) || error.code == ErrorCode::DeadlineExceeded)
            {
                problems.fail(of(case, &error.message));
            }
        }
    }
    if asked == 0 {
        return not_checked(Rule::Reconcile, "no config could be pointed at the checker's peer");
    }
    problems.finding(Rule::Reconcile, &format!("asked {}", count(asked, "time")), "it answers, or fails properly")
}

/// Size, time to start, fuel and memory.
pub(super) async fn cost(subject: &Subject, cases: &[Case], admission: Duration) -> (Finding, Measured) {
    let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let config = subject.disguised(&cases[0].config);
    let mut starts = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        let started = Instant::now();
        let _ = subject.validate(&config).await;
        starts.push(micros(started.elapsed()));
    }
    starts.sort_unstable();
    let mut measured = Measured {
        component_bytes: subject.bench.component_bytes(),
        admission_ms: micros(admission) / 1000,
        start_us: starts[STARTS / 2],
        ..Measured::default()
    };
    if let Ok(armed) = subject.arm(&cases[0], Reveal::Yes).await {
        subject.bench.begin(&Manner::Answers);
        let Ran { report, .. } = subject.execute(&armed, "cost", PATIENCE).await;
        (measured.fuel, measured.memory_bytes) = (report.receipt.fuel, report.receipt.memory_bytes);
    }
    let mut problems = Problems::default();
    if measured.component_bytes > COMPONENT_BYTES_ODD {
        problems.warn(format!("the component has {} MiB", measured.component_bytes >> 20));
    }
    if measured.memory_bytes > MEMORY_BYTES_ODD {
        problems.warn(format!(
            "one execution takes {} MiB of memory; an action has 128 by default",
            measured.memory_bytes >> 20
        ));
    }
    let Measured { component_bytes, admission_ms, start_us, fuel, memory_bytes } = measured;
    // How long it takes is the machine's matter too: it is told, and nothing depends on it.
    let message = format!(
        "{} KiB, admitted in {admission_ms} ms, starts in {start_us} µs; one execution: {fuel} fuel, {} KiB of memory",
        component_bytes >> 10,
        memory_bytes >> 10
    );
    (problems.finding(Rule::Cost, &message, ""), measured)
}
