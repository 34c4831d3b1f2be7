//! `julee:action@0.1.0`, host side.
//!
//! `with` maps the resource to the host's own type. What waits is asynchronous: the way out, and what an
//! action keeps.

wasmtime::component::bindgen!({
    path: "../../wit/v0.1",
    world: "julee:action/action-protocol@0.1.0",
    imports: {
        "julee:action/outbound@0.1.0": async | trappable,
        "julee:action/capture@0.1.0.get-state": async | trappable,
        "julee:action/capture@0.1.0.set-state": async | trappable,
        "julee:action/capture@0.1.0.delete-state": async | trappable,
        "julee:action/capture@0.1.0.checkpoint": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    with: { "julee:action/outbound.connection": crate::capability::connection::Connection },
});
