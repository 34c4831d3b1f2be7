//! `julee:action/transformer@0.1.0`, host side: another world than protocols have.

wasmtime::component::bindgen!({
    path: "../../wit/v0.1",
    world: "julee:action/action-transform@0.1.0",
    exports: { default: async },
    with: { "julee:action/model": crate::bindings::v0_1::julee::action::model },
});
