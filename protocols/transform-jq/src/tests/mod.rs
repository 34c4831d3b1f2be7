//! What jq does here.

use crate::{bindings::julee::action::model::Payload, definitions, program};
use jaq_json::read;

fn run(expression: &str, input: &str) -> Result<String, String> {
    let input = read::parse_single(input.as_bytes()).unwrap();
    let output = program::run(expression, input, r#"{"action":{"name":"notify"},"trigger":{"type":"call"}}"#);
    output.map(|json| String::from_utf8(json).unwrap()).map_err(|mistake| mistake.message)
}

#[test]
fn a_form_is_an_object() {
    let data = b"command=%2Fdeploy&text=a+b&x=1&x=2&x=&last".to_vec();
    let input =
        crate::value(&Payload { content_type: "Application/X-WWW-Form-Urlencoded; charset=utf-8".into(), data });
    let output = program::run(".", input.ok().unwrap(), "{}").ok().unwrap();
    assert_eq!(output, br#"{"command":"/deploy","text":"a b","x":["1","2",""],"last":""}"#);
}

fn places(expression: &str) -> Vec<(Option<u32>, String)> {
    let mistakes = program::compile(expression, ["action", "trigger"]).err().unwrap_or_default();
    mistakes.into_iter().map(|mistake| (mistake.offset, mistake.message)).collect()
}

#[test]
fn expressions_give_what_jq_gives() {
    let order = r#"{"id": 7, "lines": [{"sku": "a", "n": 2, "price": 1.5}, {"sku": "b", "n": 1, "price": 4}], "note": "\u00e4\n\"x\""}"#;
    for (expression, expected) in [
        (".", r#"{"id":7,"lines":[{"sku":"a","n":2,"price":1.5},{"sku":"b","n":1,"price":4}],"note":"ä\n\"x\""}"#),
        (".lines | map(.n * .price) | add", "7.0"),
        ("{text: \"order \\(.id): \\(.note)\"}", r#"{"text":"order 7: ä\n\"x\""}"#),
        ("[.. | numbers] | length", "5"),
        (".lines | map({(.sku): .n}) | add", r#"{"a":2,"b":1}"#),
        ("[.lines[] | select(.n > 1).sku] | join(\",\")", r#""a""#),
        (".note | test(\"X\"; \"i\")", "true"),
        (".missing // \"none\"", r#""none""#),
        ("to_entries | map(.key) | sort", r#"["id","lines","note"]"#),
        ("$action.name + \" by \" + $trigger.type", r#""notify by call""#),
        (
            "[nan, infinite, 12345678901234567890, 1.50, \"\u{1}\"]",
            "[null,1.7976931348623157e308,12345678901234567890,1.50,\"\\u0001\"]",
        ),
        ("@base64 \"x\\(.id)\"", r#""xNw==""#),
        ("limit(1; repeat(1))", "1"),
    ] {
        assert_eq!(run(expression, order).as_deref(), Ok(expected), "{expression}");
    }
}

#[test]
fn what_is_not_one_value_is_said() {
    for (expression, said) in [
        ("empty", "no value"),
        (".a, .b", "more than one value"),
        (".a.b", "cannot index"),
        ("{(1|tostring): 1} | error(\"it is wrong\")", "it is wrong"),
        ("{(1): 2}", "the key 1"),
        ("\"x\" | tobytes", "bytes"),
    ] {
        let error = run(expression, r#"{"a": 1}"#).unwrap_err();
        assert!(error.contains(said), "{expression}: {error}");
    }
}

#[test]
fn each_mistake_has_its_place() {
    assert_eq!(places(".a | mpa(.b)"), [(Some(5), "there is no filter `mpa` with 1 argument".to_owned())]);
    assert_eq!(places("$x + $action"), [(Some(0), "there is no variable `$x`".to_owned())]);
    assert_eq!(places(".a | (.b"), [(Some(8), "expected closing parenthesis, found the end".to_owned())]);
    assert_eq!(places(".a |"), [(Some(4), "expected term, found the end".to_owned())]);
    // In bytes.
    assert_eq!(places("\"ä\" | nein")[0].0, Some(7));
    assert_eq!(places("import \"a\" as a; .").len(), 1);
    let several: Vec<_> = places("[foo, bar(1), $baz]").into_iter().map(|(offset, _)| offset).collect();
    assert_eq!(several, [Some(1), Some(6), Some(14)]);
    assert!(places("map(.a) | unique_by(.b) | with_entries(.value += 1)").is_empty());
}

/// With nothing but what it reaches each compiles: nothing that it needs was left out.
#[test]
fn every_definition_of_jaq_reaches_what_it_needs() {
    let mut count = 0;
    for (name, arguments) in definitions::all() {
        let arguments = vec!["."; arguments].join("; ");
        let call = if arguments.is_empty() { name.to_owned() } else { format!("{name}({arguments})") };
        assert_eq!(places(&call), [], "{call}");
        count += 1;
    }
    assert!(count > 100, "{count}");
}
