//! Whether bytes are a component that this service can run: by its type, before anything of
//! it is compiled or run, and with everything that is wrong at once.
//!
//! It reads hostile bytes, so it is bounded: the number of types before they are validated,
//! and the validator's own limits (the size and depth of a type) after that.

use crate::engine;
use action_domain::{failure::Issue, limits::ISSUES_MAX, protocol::Kind, services::RuntimeError};
use wasmparser::{
    ComponentExternalKind, Encoding, Parser, Payload, Validator,
    component_types::{ComponentEntityType, ComponentInstanceTypeId},
    types::TypesRef,
};

/// Most types in one component, those of its parts counted too. Python's have 3,000.
const TYPES_MAX: u64 = 50_000;
/// Most imports and exports that are looked at.
const NAMES_MAX: usize = 1000;

/// What every protocol exports.
const PROTOCOL_API: &str = "julee:action/protocol-api@0.1.0";
/// What it may export.
const RECONCILER: &str = "julee:action/reconciler@0.1.0";

/// What every transform exports, and nothing beside it.
const TRANSFORMER: &str = "julee:action/transformer@0.1.0";

/// What a language's runtime needs where it computes only: the prefixes of what a transform may import.
const OF_TRANSFORMS: [&str; 6] =
    ["julee:action/model@", "wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/"];

/// The service's own interfaces that a component may import.
const OWN: [&str; 5] = ["model", "journal", "capture", "secrets", "outbound"];

/// The interfaces of WASI 0.2, of any patch level, that a component may import.
const WASI: [&str; 29] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:http/outgoing-handler",
    "wasi:http/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// The interfaces' types, as wit-component encodes them: what exports are compared with.
const CONTRACT: &str = include_str!("../../../wit/v0.1/action.wit");

/// What a component is, as far as its type says.
#[derive(Debug)]
pub(crate) struct Inspected {
    /// What it imports.
    pub(crate) imports: Vec<String>,
    /// Whether it exports `reconciler`.
    pub(crate) reconciles: bool,
    /// What it is for.
    pub(crate) kind: Kind,
}

/// Looks at a component. Takes about 20 ms a megabyte.
pub(crate) fn inspect(bytes: &[u8]) -> Result<Inspected, Vec<Issue>> {
    let one = |code: &str, message: String| vec![Issue::new("", code, message)];
    let names = survey(bytes).map_err(|(code, message)| one(code, message))?;
    let mut validator = Validator::new_with_features(engine::features());
    let contract = contract().map_err(|message| one("host_error", message))?;
    let invalid = |error: wasmparser::BinaryReaderError| {
        one("invalid_component", format!("not a valid component: {} (at byte {})", error.message(), error.offset()))
    };
    let wanted = validator.validate_all(&contract).map_err(invalid)?;
    validator.reset();
    let given = validator.validate_all(bytes).map_err(invalid)?;

    let mut issues: Vec<_> = names.imports.iter().filter_map(|name| unknown_import(name)).collect();
    let (wanted, given) = (wanted.as_ref(), given.as_ref());
    let reconciles = names.exports.iter().any(|name| name == RECONCILER);
    let exports = |wanted: &str| names.exports.iter().any(|name| name == wanted);
    let kind = if exports(TRANSFORMER) { Kind::Transform } else { Kind::Protocol };
    match kind {
        Kind::Protocol => issues.extend(compare(PROTOCOL_API, "protocol-api", wanted, given)),
        Kind::Transform => {
            issues.extend(compare(TRANSFORMER, "transformer", wanted, given));
            issues.extend(names.imports.iter().filter_map(|name| beyond_a_transform(name)));
            if exports(PROTOCOL_API) {
                let message = "exports both `protocol-api` and `transformer`: a component is one of them";
                issues.push(Issue::new("", "two_kinds", message));
            }
        }
    }
    if reconciles {
        issues.extend(compare(RECONCILER, "reconciler", wanted, given));
    }
    issues.truncate(ISSUES_MAX);
    if issues.is_empty() { Ok(Inspected { imports: names.imports, reconciles, kind }) } else { Err(issues) }
}

struct Names {
    imports: Vec<String>,
    exports: Vec<String>,
}

/// Reads what stands at the top, and counts types, without building any.
fn survey(bytes: &[u8]) -> Result<Names, (&'static str, String)> {
    let mut names = Names { imports: Vec::new(), exports: Vec::new() };
    let (mut depth, mut types) = (0_u32, 0_u64);
    begins_like_wasm(bytes).map_err(|message| ("invalid_component", message))?;
    let not_wasm = |error: wasmparser::BinaryReaderError| {
        let message = format!("not a WebAssembly component: {} (at byte {})", error.message(), error.offset());
        ("invalid_component", message)
    };
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(not_wasm)? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                let message = "a core WebAssembly module, not a component: build it for wasm32-wasip2, or wrap it \
                               with `wasm-tools component new`";
                return Err(("core_module", message.to_owned()));
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::TypeSection(section) => types += u64::from(section.count()),
            Payload::CoreTypeSection(section) => types += u64::from(section.count()),
            Payload::ComponentTypeSection(section) => types += u64::from(section.count()),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    let import = import.map_err(not_wasm)?;
                    names.imports.push(import.name.name.to_owned());
                    too_many(names.imports.len(), "imports")?;
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    let export = export.map_err(not_wasm)?;
                    if export.kind == ComponentExternalKind::Instance {
                        names.exports.push(export.name.name.to_owned());
                    }
                    too_many(names.exports.len(), "exports")?;
                }
            }
            _ => {}
        }
        if types > TYPES_MAX {
            return Err(("too_many_types", format!("more than {TYPES_MAX} types")));
        }
    }
    Ok(names)
}

/// Says of other files what they are; the command line has the same words.
fn begins_like_wasm(bytes: &[u8]) -> Result<(), String> {
    const TOLD_BYTES: usize = 16;
    let start = || bytes[..bytes.len().min(TOLD_BYTES)].escape_ascii();
    match bytes {
        [b'\0', b'a', b's', b'm', ..] => Ok(()),
        [] => Err("not a WebAssembly component: the file is empty".to_owned()),
        [b'(', ..] => Err(format!(
            "not a WebAssembly component: it starts with \"{}\", as text does; `wasm-tools parse` makes one of it",
            start()
        )),
        _ => Err(format!("not a WebAssembly component: it starts with \"{}\"", start())),
    }
}

fn too_many(count: usize, what: &str) -> Result<(), (&'static str, String)> {
    if count > NAMES_MAX { Err(("too_many_names", format!("more than {NAMES_MAX} {what}"))) } else { Ok(()) }
}

fn unknown_import(name: &str) -> Option<Issue> {
    let (interface, version) = name.split_once('@').unwrap_or((name, ""));
    let own = interface.strip_prefix("julee:action/").is_some_and(|own| OWN.contains(&own)) && version == "0.1.0";
    let wasi =
        WASI.contains(&interface) && version.strip_prefix("0.2.").is_some_and(|patch| patch.parse::<u32>().is_ok());
    if own || wasi {
        return None;
    }
    let offered = "it offers julee:action@0.1.0 and WASI 0.2 (cli, clocks, filesystem, http/outgoing-handler, io, \
                   random, sockets)";
    let name: String = name.chars().take(200).collect();
    Some(Issue::new("", "unknown_import", format!("imports `{name}`, which this service does not offer; {offered}")))
}

/// A transform computes: it is given no way to reach anything.
fn beyond_a_transform(name: &str) -> Option<Issue> {
    if OF_TRANSFORMS.iter().any(|prefix| name.starts_with(prefix)) || unknown_import(name).is_some() {
        return None;
    }
    let message = format!("imports `{name}`, and a transform reaches nothing");
    Some(Issue::new("", "not_for_transforms", message))
}

/// What is missing from an exported interface, or has another type than the contract's.
fn compare(name: &str, short: &str, wanted: TypesRef<'_>, given: TypesRef<'_>) -> Vec<Issue> {
    let missing = |what: &str| Issue::new("", "missing_export", format!("does not export `{what}`"));
    let Some(wanted_id) = contract_interface(wanted, name, short) else {
        return vec![Issue::new("", "host_error", format!("the contract has no `{name}`"))];
    };
    let Some(ComponentEntityType::Instance(given_id)) = given.component_item_for_export(name).map(|item| item.ty)
    else {
        return vec![missing(name)];
    };
    let mut issues = Vec::new();
    for (function, item) in &wanted[wanted_id].exports {
        if !matches!(item.ty, ComponentEntityType::Func(_)) {
            continue;
        }
        match given[given_id].exports.get(function) {
            None => issues.push(missing(&format!("{name}#{function}"))),
            Some(found) if !ComponentEntityType::is_subtype_of(&found.ty, given, &item.ty, wanted) => {
                let message = format!("`{name}#{function}` has another type than the contract's");
                issues.push(Issue::new("", "wrong_export_type", message));
            }
            Some(_) => {}
        }
    }
    issues
}

/// Where wit-component puts an interface when it encodes a package: a component type of the
/// interface's short name, which exports the instance.
fn contract_interface(types: TypesRef<'_>, name: &str, short: &str) -> Option<ComponentInstanceTypeId> {
    use wasmparser::component_types::ComponentAnyTypeId;
    let ComponentEntityType::Type { referenced: ComponentAnyTypeId::Component(outer), .. } =
        types.component_item_for_export(short)?.ty
    else {
        return None;
    };
    match types[outer].exports.get(name)?.ty {
        ComponentEntityType::Instance(id) => Some(id),
        _ => None,
    }
}

fn contract() -> Result<Vec<u8>, String> {
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_str("action.wit", CONTRACT).map_err(|error| error.to_string())?;
    wit_component::encode(&resolve, package).map_err(|error| error.to_string())
}

/// A component that is well formed, and of which wasmtime says why it is of no use here.
pub(crate) fn refusal(code: &str, error: &wasmtime::Error) -> RuntimeError {
    let texts: Vec<_> = error.chain().map(ToString::to_string).collect();
    let message: String = texts.join(": ").chars().take(1000).collect();
    RuntimeError::Refused(vec![Issue::new("", code, message)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn codes(wat: &str) -> Vec<String> {
        let issues = inspect(&wat::parse_str(wat).unwrap()).unwrap_err();
        issues.into_iter().map(|issue| issue.code).collect()
    }

    #[test]
    fn what_is_no_component_is_told_apart() {
        for (bytes, code, said) in [
            (&b"\0asm\x01\0\0\0"[..], "core_module", "a core WebAssembly module, not a component: build it for"),
            (b"", "invalid_component", "the file is empty"),
            (b"\0asm", "invalid_component", "not a WebAssembly component: unexpected end"),
            (b"\0asm\x0d\0\x01\0\xff", "invalid_component", "not a WebAssembly component: "),
            (b"\x7fELF\x02", "invalid_component", r#"not a WebAssembly component: it starts with "\x7fELF\x02""#),
            (b"hello, world, this is no wasm", "invalid_component", r#"it starts with "hello, world, th""#),
            (b"(component)", "invalid_component", "`wasm-tools parse` makes one of it"),
        ] {
            let issues = inspect(bytes).unwrap_err();
            assert_eq!(issues[0].code, code, "{bytes:?}");
            assert!(issues[0].message.contains(said), "{issues:?}");
        }
    }

    #[test]
    fn all_problems_come_at_once_and_by_name() {
        let wat = r#"(component
            (import "wasi:keyvalue/store@0.2.0" (instance))
            (import "julee:action/journal@0.2.0" (instance))
            (import "wasi:http/types@0.3.0" (instance))
            (import "wasi:io/poll" (instance))
            (import "wasi:io/poll@0.2.99" (instance)))"#;
        let issues = inspect(&wat::parse_str(wat).unwrap()).unwrap_err();
        assert_eq!(issues.len(), 5, "{issues:?}");
        for name in
            ["wasi:keyvalue/store@0.2.0", "julee:action/journal@0.2.0", "wasi:http/types@0.3.0", "`wasi:io/poll`"]
        {
            assert!(issues.iter().any(|issue| issue.message.contains(name)), "{name}: {issues:?}");
        }
        assert!(issues.iter().any(|issue| issue.message.contains("protocol-api")));
    }

    #[test]
    fn an_export_of_another_type_is_named() {
        let wat = r#"(component
            (core module $m (func (export "f") (result i32) i32.const 0))
            (core instance $i (instantiate $m))
            (func $f (result u32) (canon lift (core func $i "f")))
            (instance $api (export "describe" (func $f)) (export "execute" (func $f)))
            (export "julee:action/protocol-api@0.1.0" (instance $api)))"#;
        let mut found = codes(wat);
        found.sort();
        assert_eq!(found, ["missing_export", "missing_export", "wrong_export_type", "wrong_export_type"]);
    }

    #[test]
    fn bombs_of_types_go_off_quickly() {
        let many = format!("(component {})", "(type (tuple u8 u8))".repeat(100_000));
        let doubled: Vec<_> = (1..=90).map(|n| format!("(type $t{n} (tuple $t{0} $t{0}))", n - 1)).collect();
        let doubled = doubled.concat();
        let doubling = format!("(component (type $t0 u8){doubled})");
        for (wat, wanted) in [(many, "too_many_types"), (doubling, "invalid_component")] {
            let bytes = wat::parse_str(&wat).unwrap();
            let started = Instant::now();
            let issues = inspect(&bytes).unwrap_err();
            assert_eq!(issues[0].code, wanted, "{issues:?}");
            assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
        }
    }

    #[test]
    fn what_may_be_imported_is_what_the_linker_has() {
        let engine = engine::compiling().unwrap();
        let linker = crate::state::linker(&engine).unwrap();
        let wasi = WASI.iter().map(|name| format!("{name}@0.2.3"));
        for name in wasi.chain(OWN.iter().map(|name| format!("julee:action/{name}@0.1.0"))) {
            assert!(unknown_import(&name).is_none(), "{name}");
            // `model` holds types only, so it need not be there.
            if name.contains("/model@") {
                continue;
            }
            let wat = format!("(component (import \"{name}\" (instance)))");
            let component = wasmtime::component::Component::new(&engine, wat::parse_str(&wat).unwrap()).unwrap();
            assert!(linker.instantiate_pre(&component).is_ok(), "{name}");
            let wat = format!("(component (import \"{name}\" (instance (export \"no-such\" (func)))))");
            let component = wasmtime::component::Component::new(&engine, wat::parse_str(&wat).unwrap()).unwrap();
            assert!(linker.instantiate_pre(&component).is_err(), "{name}");
        }
    }
}
