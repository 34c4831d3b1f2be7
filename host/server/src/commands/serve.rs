//! `serve`: the whole service in one process.

use crate::{
    builtin::{self, Registered},
    capacity::{Capacity, Machine},
    cli::SettingsFile,
    compose::Service,
    config::{Settings, names},
    data_dir::{self, Token},
    lifecycle, logging,
    output::Output,
};
use action_api::{AdminToken, ApiState, Phase, Readiness, ServeOptions, private_router, public_router, serve};
use anyhow::Context as _;
use serde_json::json;
use std::{net::SocketAddr, process::ExitCode, sync::Arc};
use tokio::{net::TcpListener, task::JoinSet};

pub(super) async fn run(file: &SettingsFile, output: Output) -> anyhow::Result<ExitCode> {
    let settings = Settings::from_sources(&file.sources()?)?;
    logging::set_up(&settings)?;
    let capacity = Machine::look().capacity(settings.concurrency);
    report(capacity, &settings);
    data_dir::make(&settings.data_dir)?;
    let token = data_dir::admin_token(&settings)?;
    // From here on a signal ends it cleanly, also while it starts.
    let stopping = lifecycle::on_signal()?;
    // First, since it is what fails most: another process has the port. Callers who come too
    // early wait in the kernel's queue.
    let private = listen(settings.private_addr, names::PRIVATE_ADDR).await?;
    let public = listen(settings.public_addr, names::PUBLIC_ADDR).await?;
    let addresses = Addresses { private: private.local_addr()?, public: public.local_addr()? };
    let service = Service::open(&settings, capacity).await?;
    let registered = builtin::register(&service.engine).await?;
    service.engine.start().await?;

    let readiness = Readiness::new();
    let state = ApiState::new(service.engine.clone(), Arc::new(AdminToken::new(&token.value)), readiness.clone());
    let options = ServeOptions { connections_max: capacity.connections, grace: lifecycle::GRACE };
    let mut listeners = JoinSet::new();
    let stop = || stopping.clone().cancelled_owned();
    listeners.spawn(serve(private, private_router(state.clone()), options, stop()));
    listeners.spawn(serve(public, public_router(state), options, stop()));
    readiness.set(Phase::Ready);
    if let Err(error) = announce(&addresses, &token, &registered, capacity, output) {
        // Whoever started it does not listen. Others may call all the same.
        tracing::warn!(%error, "standard output cannot be written to");
    }

    let ended = tokio::select! {
        () = stopping.cancelled() => None,
        ended = listeners.join_next() => ended,
    };
    readiness.set(Phase::Stopping);
    // Where a listener ended by itself, the other one has to be told.
    stopping.cancel();
    if !service.engine.stop(lifecycle::GRACE).await {
        tracing::warn!("some attempts had not ended; the next start takes them up");
    }
    let mut all = ended.into_iter().collect::<Vec<_>>();
    all.extend(listeners.join_all().await.into_iter().map(Ok));
    service.close().await;
    for listener in all {
        listener.context("a listener panicked")?.context("a listener failed")?;
    }
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Where it listens, as the system says: a port that was 0 is a real one now.
struct Addresses {
    private: SocketAddr,
    public: SocketAddr,
}

async fn listen(address: SocketAddr, name: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("{address} (from {name}) cannot be listened to"))
}

fn report(capacity: Capacity, settings: &Settings) {
    let Capacity { carries, concurrency, .. } = capacity;
    if concurrency < settings.concurrency {
        tracing::warn!(
            wished = settings.concurrency,
            carries,
            "fewer attempts at once than {} says: memory, vm.max_map_count or open files do not carry more",
            names::CONCURRENCY
        );
    }
    tracing::info!(carries, concurrency, "attempts at once");
}

/// Says that it is ready: on one line for programs, with what to do next for people.
fn announce(
    addresses: &Addresses,
    token: &Token,
    registered: &[Registered],
    capacity: Capacity,
    output: Output,
) -> std::io::Result<()> {
    let private = format!("http://{}", addresses.private);
    let public = format!("http://{}", addresses.public);
    let protocols: Vec<&str> = registered.iter().map(Registered::name).collect();
    tracing::info!(private, public, pid = std::process::id(), "ready");
    let token_file = token.file.as_ref().map(|file| file.display().to_string());
    if output.is_json() {
        return Output::json_line(&json!({
            "event": "ready", "private": private, "public": public, "pid": std::process::id(),
            "version": env!("CARGO_PKG_VERSION"), "admin_token_file": token_file, "protocols": protocols,
            "attempts_carried": capacity.carries, "attempts_at_once": capacity.concurrency,
        }));
    }
    Output::line(&format!("private listener on {private}"))?;
    Output::line(&format!("public listener on {public}"))?;
    let token = match token_file {
        Some(file) => format!("in {file}"),
        None => format!("the one in {}", names::ADMIN_TOKEN),
    };
    let protocols = if protocols.is_empty() { "none built in".to_owned() } else { protocols.join(", ") };
    let at = if private == "http://127.0.0.1:8081" { String::new() } else { format!(" --server {private}") };
    Output::line(&format!(
        "admin token: {token}
protocols: {protocols}
attempts at once: {} (this machine carries {})

Next, in another terminal:
  action-service protocol list{at}
  action-service action apply -f FILE{at}
  action-service events tail{at}
The API is described at {private}/docs; README.md has a tour of two minutes. Ctrl-C stops.",
        capacity.concurrency, capacity.carries
    ))
}
