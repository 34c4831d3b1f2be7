//! `wasi:sockets/ip-name-lookup`, host side: the one WASI interface that is implemented here,
//! because wasmtime-wasi's resolves every name or none.

wasmtime::component::bindgen!({
    path: "../../wit/v0.1",
    inline: "package action-service:host; world names { import wasi:sockets/ip-name-lookup@0.2.12; }",
    world: "action-service:host/names",
    imports: {
        "wasi:sockets/ip-name-lookup@0.2.12.resolve-addresses": async | trappable,
        default: trappable,
    },
    with: {
        "wasi:io": wasmtime_wasi::p2::bindings::io,
        "wasi:sockets/network": wasmtime_wasi::p2::bindings::sockets::network,
        "wasi:sockets/ip-name-lookup.resolve-address-stream": crate::capability::wasi_sockets::Addresses,
    },
});
