//! Components: those built from `tests/fixtures` and `protocols`, and some made here because
//! no compiler would write them.

use std::path::{Path, PathBuf};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}; `make guests` builds it", path.display()))
}

/// A component of `tests/fixtures`, by its crate's name.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    read(&fixture_path(name))
}

/// Where a component of `tests/fixtures` is, by its crate's name.
pub(crate) fn fixture_path(name: &str) -> PathBuf {
    let file = format!("{}.wasm", name.replace('-', "_"));
    repository().join("tests/fixtures/target/wasm32-wasip2/release").join(file)
}

/// A built-in protocol.
pub(crate) fn protocol(name: &str) -> Vec<u8> {
    read(&repository().join(format!("protocols/target/wasm32-wasip2/release/{name}.wasm")))
}

pub(crate) fn protocol_path(name: &str) -> PathBuf {
    repository().join(format!("protocols/target/wasm32-wasip2/release/{name}.wasm"))
}

/// A core module, which is no component.
pub(crate) fn core_module() -> Vec<u8> {
    wat::parse_str("(module (func (export \"run\")))").unwrap()
}

/// A valid component that declares this many types.
pub(crate) fn many_types(count: usize) -> Vec<u8> {
    let mut types = wasm_encoder::ComponentTypeSection::new();
    for _ in 0..count {
        types.defined_type().primitive(wasm_encoder::PrimitiveValType::U32);
    }
    let mut component = wasm_encoder::Component::new();
    component.section(&types);
    component.finish()
}

/// A component of the right world with one valid function so large that Cranelift takes more
/// than a minute for it.
pub(crate) fn compile_bomb() -> Vec<u8> {
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_dir(repository().join("wit/v0.1")).unwrap();
    let world = resolve.select_world(&[package], Some("action-protocol")).unwrap();
    let abi = wit_parser::ManglingAndAbi::Legacy(wit_parser::LiftLowerAbi::Sync);
    let dummy = wit_component::dummy_module(&resolve, world, abi);
    // The dummy exports all that the world asks for; the function goes to its end.
    let printed = wasmprinter::print_bytes(&dummy).unwrap();
    let end = printed.rfind(')').unwrap();
    let mut text = printed[..end].to_owned();
    text.push_str("(func (param i32) (result i32) (local i32 i32 i32 i32 i32 i32 i32 i32)\n");
    for step in 0..300_000 {
        let (from, to) = (step % 8 + 1, (step * 5 + 3) % 8 + 1);
        let then = format!("if local.get {to} local.get 0 i32.add local.set {from} end\n");
        text.extend([format!("local.get {from} local.get {to} i32.mul "), then]);
    }
    text.push_str("local.get 1))");
    let mut module = wat::parse_str(text).unwrap();
    wit_component::embed_component_metadata(&mut module, &resolve, world, wit_component::StringEncoding::UTF8).unwrap();
    wit_component::ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}
