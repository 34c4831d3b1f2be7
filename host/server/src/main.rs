//! `action-service`: one binary for the service and its command line.
//!
//! `cli` knows the words, `commands` what each does, `config` the settings, `compose` how the
//! service is put together.

mod builtin;
mod capacity;
mod cli;
mod client;
mod commands;
mod compose;
mod config;
mod data_dir;
mod exit;
mod identity;
mod input;
mod lifecycle;
mod logging;
mod output;
mod role;
mod seal_mark;
mod secret_keys;
mod system;
mod user_cache;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    // Nothing else runs in the process that compiles: its limits are tight.
    if matches!(cli.command, cli::Command::CompileComponent) {
        return action_wasm::compile_child_main();
    }
    use_ring();
    let json = cli.json;
    let done = runtime().and_then(|runtime| runtime.block_on(commands::run(cli)));
    done.unwrap_or_else(|error| exit::report(&error, json))
}

/// glibc's allocator takes a lock where one thread frees what another one made, as it is with every unit
/// of work and every answer here.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// At least two threads: one must be left when the other is busy with a disk or a guest.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(cores.max(2)).enable_all().build()?)
}

/// TLS of the client commands. There is one provider of cryptography in this program.
fn use_ring() {
    // An error means that it is in place already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
