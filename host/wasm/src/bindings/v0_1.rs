//! `julee:action@0.1.0`, host side.
//!
//! `with` maps the resource to the host's own type; only the way out is asynchronous.

wasmtime::component::bindgen!({
    path: "../../wit/v0.1",
    world: "julee:action/action-protocol@0.1.0",
    imports: {
        "julee:action/outbound@0.1.0": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    with: { "julee:action/outbound.connection": crate::capability::connection::Connection },
});
