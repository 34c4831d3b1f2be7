//! `julee:action/reconciler@0.1.0`, host side: what a component of v0.1 may export beside the
//! rest. It stands apart because most do not export it.

wasmtime::component::bindgen!({
    path: "../../wit/v0.1",
    inline: "package action-service:host; world reconciling { export julee:action/reconciler@0.1.0; }",
    world: "action-service:host/reconciling",
    exports: { default: async },
    with: { "julee:action/model": crate::bindings::v0_1::julee::action::model },
});
