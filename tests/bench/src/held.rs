//! A service that accepts and runs nothing, so that accepting can be measured by itself.
//!
//! It is started with room for one attempt, and that one calls somebody who never answers.

use crate::{http::Connection, process::Server, product::Product};
use anyhow::{Result, ensure};
use serde_json::json;
use std::{
    net::TcpListener,
    path::Path,
    time::{Duration, Instant},
};

/// The longest that an attempt may have: it ends with its process, when all has been accepted.
const HOLD_MS: u64 = 900_000;
/// The attempt that takes the room has begun by then.
const HELD_WITHIN: Duration = Duration::from_secs(20);

/// Somebody who never answers: connections are taken by the kernel, and nobody ever reads from them.
pub(crate) fn silent() -> Result<TcpListener> {
    Ok(TcpListener::bind("127.0.0.1:0")?)
}

/// Makes the action that takes the room, in a service that has all of it.
pub(crate) async fn set_up(product: &Product, server: &Server, fixtures: &Path, silent: &TcpListener) -> Result<()> {
    product.upload(server, fixtures, &["echo_http.wasm"]).await?;
    let hold = json!({
        "name": "hold", "protocol": "echo-http", "config": {"url": format!("http://{}/", silent.local_addr()?)},
        "grants": {"private_networks": true}, "limits": {"timeout_ms": HOLD_MS},
    });
    product.create(server, &hold).await
}

/// Starts it with room for one attempt, and has that taken.
pub(crate) async fn start(product: &Product) -> Result<Server> {
    let product = product.again().with("ACTION_SERVICE_CONCURRENCY", 1);
    let (server, _) = product.start().await?;
    let there = async |status: &str| -> Result<bool> {
        let page = product.get(&server, &format!("/v1/executions?action=hold&status={status}&limit=1")).await?;
        Ok(page["items"].as_array().is_some_and(|items| !items.is_empty()))
    };
    let begun = Instant::now();
    while !there("running").await? {
        ensure!(begun.elapsed() < HELD_WITHIN, "the room for attempts cannot be taken");
        // What an earlier process gave back runs again.
        if !there("queued").await? && !there("waiting").await? {
            let reply = Connection::open(server.address).await?.exchange(&product.begin("hold")).await?;
            ensure!(reply.status == 202, "a trigger was answered with {}", reply.status);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(server)
}
