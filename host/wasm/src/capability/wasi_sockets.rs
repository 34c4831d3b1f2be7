//! wasi:sockets, through the same gate. Its interfaces know names and addresses apart, so the
//! gate remembers which address was resolved for which name.

use super::gate::{Gate, Refusal};
use crate::{
    bindings::names::wasi::sockets::ip_name_lookup::{Host, HostResolveAddressStream},
    state::State,
};
use std::{future::Future, net::SocketAddr, pin::Pin, sync::Arc};
use wasmtime::{Result, component::Resource};
use wasmtime_wasi::{
    p2::{
        DynPollable, Pollable,
        bindings::sockets::network::{ErrorCode, IpAddress, Network},
        subscribe,
    },
    sockets::SocketAddrUse,
};

/// Whether a socket may do this: connect or send to what the gate admits, from any port of its
/// own, and hear from where it may send. Listening is not offered.
pub(crate) fn check(
    gate: Arc<Gate>,
) -> impl Fn(SocketAddr, SocketAddrUse) -> Pin<Box<dyn Future<Output = bool> + Send + Sync>> + Send + Sync {
    move |address, purpose| {
        let gate = gate.clone();
        Box::pin(async move {
            match purpose {
                SocketAddrUse::TcpConnect => gate.admit_address(address).await,
                SocketAddrUse::UdpSend => gate.admit_datagram(address).await,
                SocketAddrUse::UdpReceive => gate.knows_sender(address),
                // Asked before each connect, for the port that the system chooses.
                SocketAddrUse::TcpBind | SocketAddrUse::UdpBind => address.ip().is_unspecified() && address.port() == 0,
                _ => false,
            }
        })
    }
}

/// The addresses of a name, all of them there already.
#[expect(unreachable_pub, reason = "bindgen re-exports it as `pub`, within this crate")]
pub struct Addresses(std::vec::IntoIter<IpAddress>);

#[async_trait::async_trait]
impl Pollable for Addresses {
    async fn ready(&mut self) {}
}

type Answer<T> = Result<std::result::Result<T, ErrorCode>>;

impl Host for State {
    async fn resolve_addresses(&mut self, network: Resource<Network>, name: String) -> Answer<Resource<Addresses>> {
        // The network is the capability to ask; there is one, and it says nothing more.
        self.table.get(&network)?;
        let found = match self.gate.lookup(&name).await {
            Ok(found) => found,
            Err(refusal) => return Ok(Err(to_code(&refusal))),
        };
        let found: Vec<_> = found.into_iter().map(IpAddress::from).collect();
        Ok(Ok(self.table.push(Addresses(found.into_iter()))?))
    }
}

fn to_code(refusal: &Refusal) -> ErrorCode {
    match refusal {
        Refusal::Denied(_) => ErrorCode::AccessDenied,
        Refusal::TimedOut => ErrorCode::TemporaryResolverFailure,
        _ => ErrorCode::NameUnresolvable,
    }
}

impl HostResolveAddressStream for State {
    fn resolve_next_address(&mut self, addresses: Resource<Addresses>) -> Answer<Option<IpAddress>> {
        Ok(Ok(self.table.get_mut(&addresses)?.0.next()))
    }

    fn subscribe(&mut self, addresses: Resource<Addresses>) -> Result<Resource<DynPollable>> {
        subscribe(&mut self.table, addresses)
    }

    fn drop(&mut self, addresses: Resource<Addresses>) -> Result<()> {
        self.table.delete(addresses)?;
        Ok(())
    }
}
