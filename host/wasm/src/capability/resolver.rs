//! Who is asked for the addresses of names: the system, or the servers that the operator names.
//!
//! Nobody but the gate asks, and only for names that it has let through. What comes back is
//! checked, and connected to as it is: no name is looked up twice for one connection.

use super::gate::plain;
use async_trait::async_trait;
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
};
use std::net::{IpAddr, SocketAddr};

/// Finds the addresses of names.
#[async_trait]
pub(crate) trait Resolver: Send + Sync {
    /// All addresses of a name, in the order in which to try them, or why there are none. The
    /// caller bounds the time.
    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, String>;
}

/// As every program on this machine does it: by its hosts file, its DNS servers, its search list.
pub(crate) struct System;

#[async_trait]
impl Resolver for System {
    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let found = tokio::net::lookup_host((name, 0)).await.map_err(|error| plain(&error))?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// These DNS servers and nothing else: no hosts file, no search list.
pub(crate) struct Servers(TokioResolver);

impl Servers {
    pub(crate) fn new(servers: &[SocketAddr]) -> Result<Self, String> {
        let server = |address: &SocketAddr| {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                connection.port = address.port();
                connection
            });
            NameServerConfig::new(address.ip(), true, connections.into())
        };
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.iter().map(server).collect());
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let options = builder.options_mut();
        options.use_hosts_file = ResolveHosts::Never;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        builder.build().map(Self).map_err(|error| error.to_string())
    }
}

#[async_trait]
impl Resolver for Servers {
    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        // The dot at its end says that nothing belongs behind it.
        let found = self.0.lookup_ip(format!("{name}.")).await.map_err(|error| error.to_string())?;
        Ok(found.iter().collect())
    }
}
