//! `serve`, `api`, `worker`: the service, or a part of it, until a signal ends it.

use crate::{
    builtin,
    capacity::{Capacity, Machine},
    cli::SettingsFile,
    compose::Service,
    config::{Settings, names},
    data_dir::{self, Token},
    exit, identity, lifecycle, logging,
    output::Output,
    role::Role,
};
use action_api::{
    AdminToken, ApiState, Authenticator, Doors, Nobody, Phase, Readiness, ServeOptions, Tokens, private_router,
    public_router, serve, worker_router,
};
use anyhow::Context as _;
use serde_json::json;
use std::{net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::JoinSet};

/// Requests get this much more than attempts: those who wait for an attempt that is given back are told so.
const ANSWER_MARGIN: Duration = Duration::from_secs(2);

pub(super) async fn run(file: &SettingsFile, role: Role, output: Output) -> anyhow::Result<ExitCode> {
    let settings = Settings::from_sources(&file.sources()?)?;
    role.check(&settings.database).map_err(exit::usage)?;
    logging::set_up(&settings)?;
    let capacity = Machine::look().capacity(settings.concurrency);
    report(capacity, &settings);
    data_dir::make(&settings.data_dir)?;
    let token = if role.has_api() { Some(data_dir::admin_token(&settings)?) } else { None };
    let oidc = match settings.oidc.as_ref().filter(|_| role.has_api()) {
        Some(oidc) => Some(identity::open(oidc).await?),
        None => None,
    };
    // From here on a signal ends it cleanly, also while it starts.
    let stopping = lifecycle::on_signal(settings.shutdown_grace)?;
    // First, since it is what fails most: another process has the port. Callers who come too
    // early wait in the kernel's queue.
    let private = listen(settings.private_addr, names::PRIVATE_ADDR).await?;
    let public = if role.has_api() { Some(listen(settings.public_addr, names::PUBLIC_ADDR).await?) } else { None };
    let public_addr = public.as_ref().map(TcpListener::local_addr).transpose()?;
    let addresses = Addresses { private: private.local_addr()?, public: public_addr };
    let service = Service::open(&settings, role, capacity).await?;
    let registered = if role.has_api() { builtin::register(&service.engine).await? } else { Vec::new() };
    service.engine.start().await?;

    let readiness = Readiness::new();
    let auth: Arc<dyn Authenticator> = match &token {
        Some(token) => Arc::new(Doors::new(AdminToken::new(&token.value), Tokens::new(service.engine.clone()), oidc)),
        None => Arc::new(Nobody),
    };
    let state = ApiState::new(service.engine.clone(), auth, readiness.clone());
    let grace = settings.shutdown_grace;
    let options = ServeOptions { connections_max: capacity.connections, grace: grace + ANSWER_MARGIN };
    let mut listeners = JoinSet::new();
    let stop = || stopping.clone().cancelled_owned();
    let offered = if role.has_api() { private_router(state.clone()) } else { worker_router(state.clone()) };
    listeners.spawn(serve(private, offered, options, stop()));
    if let Some(public) = public {
        listeners.spawn(serve(public, public_router(state), options, stop()));
    }
    readiness.set(Phase::Ready);
    let prepared = role
        .has_api()
        .then(|| tokio::spawn(builtin::prepare(service.engine.clone(), settings.prepare_unasked, stopping.clone())));
    if let Err(error) = announce(role, &addresses, token.as_ref(), &registered, capacity, output) {
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
    if let Some(prepared) = prepared {
        prepared.await.context("the preparation of built-in protocols panicked")?;
    }
    if !service.engine.stop(grace).await {
        tracing::warn!("some attempts could not be given back; others take them up when their leases are over");
    }
    let mut all = ended.into_iter().collect::<Vec<_>>();
    all.extend(listeners.join_all().await.into_iter().map(Ok));
    service.engine.seal_at_end().await;
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
    public: Option<SocketAddr>,
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
    role: Role,
    addresses: &Addresses,
    token: Option<&Token>,
    protocols: &[String],
    capacity: Capacity,
    output: Output,
) -> std::io::Result<()> {
    let private = format!("http://{}", addresses.private);
    let public = addresses.public.map(|public| format!("http://{public}"));
    tracing::info!(role = role.as_str(), private, public, pid = std::process::id(), "ready");
    let token_file = token.and_then(|token| token.file.as_ref()).map(|file| file.display().to_string());
    let at_once = if role.runs_attempts() { capacity.concurrency } else { 0 };
    if output.is_json() {
        return Output::json_line(&json!({
            "event": "ready", "role": role.as_str(), "private": private, "public": public, "pid": std::process::id(),
            "version": env!("CARGO_PKG_VERSION"), "admin_token_file": token_file, "protocols": protocols,
            "attempts_carried": capacity.carries, "attempts_at_once": at_once,
        }));
    }
    Output::line(&format!("private listener on {private}"))?;
    let attempts = if role.runs_attempts() {
        format!("attempts at once: {at_once} (this machine carries {})", capacity.carries)
    } else {
        "attempts: in the workers".to_owned()
    };
    let Some(public) = public else {
        return Output::line(&format!("{attempts}\nIt takes no calls; {private}/readyz says how it is. Ctrl-C stops."));
    };
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
{attempts}

Next, in another terminal:
  action-service protocol list{at}
  action-service action apply -f FILE{at}
  action-service events tail{at}
The API is described at {private}/docs; README.md has a tour of two minutes. Ctrl-C stops.",
    ))
}
