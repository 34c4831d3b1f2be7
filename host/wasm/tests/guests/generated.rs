//! Components that no compiler would make: core modules in text form, around which
//! wit-component puts the contract.

use crate::kit::*;
use action_domain::{
    failure::ErrorCode,
    limits::{LIMITS_MIN, TABLE_ELEMENTS_MAX},
    services::{ProtocolRuntime, RuntimeError},
};
use bytes::Bytes;
use serde_json::json;

/// A protocol whose `execute` is this code, in a module with these further declarations.
///
/// Address 0 holds zeros: a descriptor without a word, an accepted config whose effect is
/// `read`, an empty outcome. What the host hands in lies behind it and is never given back.
fn protocol(declarations: &str, execute: &str) -> Bytes {
    let module = format!(
        r#"(module
            (memory (export "memory") 1)
            (global $free (mut i32) (i32.const 4096))
            {declarations}
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
                (global.set $free (i32.add (local.get $at) (local.get 3)))
                (local.get $at))
            (func (export "julee:action/protocol-api@0.1.0#describe") (result i32) (i32.const 0))
            (func (export "julee:action/protocol-api@0.1.0#validate-config") (param i32 i32) (result i32) (i32.const 0))
            (func (export "julee:action/protocol-api@0.1.0#test-connection") (param i32 i32) (result i32) (i32.const 0))
            (func (export "julee:action/protocol-api@0.1.0#execute") (param i32) (result i32)
                {execute}
                (i32.const 0)))"#
    );
    let mut module = wat::parse_str(module).unwrap();
    let mut resolve = wit_parser::Resolve::default();
    let contract = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/v0.1");
    let (package, _) = resolve.push_path(contract).unwrap();
    let world = resolve.select_world(&[package], Some("action-protocol")).unwrap();
    let encoding = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, encoding).unwrap();
    let mut encoder = wit_component::ComponentEncoder::default().validate(true).module(&module).unwrap();
    encoder.encode().unwrap().into()
}

/// Traps unless the table could grow by so many elements.
fn grow(table: &str, elements: usize) -> String {
    format!(
        "(if (i32.eq (table.grow {table} (ref.null func) (i32.const {elements})) (i32.const -1)) (then unreachable))"
    )
}

const TABLES: &str = "(table $a 0 funcref) (table $b 0 funcref)";

#[tokio::test]
async fn tables_grow_to_their_limit_all_together_and_no_further() {
    let fits = grow("$a", TABLE_ELEMENTS_MAX - 1) + &grow("$b", 1);
    let digest = runtime().admit(protocol(TABLES, &fits)).await.unwrap().digest;
    let (report, _) = run(request(digest, json!({}))).await;
    assert_eq!(report.result.unwrap().output.data, "");

    let digest = runtime().admit(protocol(TABLES, &(fits + &grow("$b", 1)))).await.unwrap().digest;
    let (report, _) = run(request(digest, json!({}))).await;
    assert_eq!(code(&report), ErrorCode::MemoryExceeded);
    assert_eq!(message(&report), "execute was refused table: more than 40000 elements, and ended then");
}

#[tokio::test]
async fn several_memories_of_a_module_count_together() {
    // Four pages in all: the protocol's own, and what is asked for here.
    for (pages, fits) in [(3, true), (4, false)] {
        let grow = format!("(if (i32.eq (memory.grow $more (i32.const {pages})) (i32.const -1)) (then unreachable))");
        let digest = runtime().admit(protocol("(memory $more 0)", &grow)).await.unwrap().digest;
        let mut four_pages = request(digest, json!({}));
        four_pages.limits.memory_bytes = 4 << 16;
        let (report, _) = run(four_pages).await;
        assert_eq!(report.result.as_ref().err().map(|error| error.code), (!fits).then_some(ErrorCode::MemoryExceeded));
    }
}

#[tokio::test]
async fn a_guest_that_lives_on_without_a_larger_table_may() {
    let polite = format!("(drop (table.grow $a (ref.null func) (i32.const {})))", TABLE_ELEMENTS_MAX + 1);
    let digest = runtime().admit(protocol(TABLES, &polite)).await.unwrap().digest;
    let (report, _) = run(request(digest, json!({}))).await;
    assert!(report.result.is_ok());
}

#[tokio::test]
async fn a_table_that_begins_over_the_limit_is_not_admitted() {
    let large = format!("(table {} funcref)", TABLE_ELEMENTS_MAX + 1);
    let Err(RuntimeError::Refused(issues)) = runtime().admit(protocol(&large, "")).await else { panic!() };
    assert_eq!(issues[0].code, "over_limits");
    assert!(issues[0].message.contains(&TABLE_ELEMENTS_MAX.to_string()), "{issues:?}");
}

#[tokio::test]
async fn the_smallest_protocol_runs_within_the_smallest_limits() {
    for (name, component) in [("by hand", protocol("", "")), ("by a compiler", guest("noop"))] {
        let digest = runtime().admit(component).await.unwrap().digest;
        let mut smallest = request(digest, json!({}));
        smallest.limits = LIMITS_MIN;
        let (report, _) = run(smallest).await;
        assert!(report.result.is_ok(), "{name}: {report:?}");
    }
}
