//! What templates do here.

use crate::template::{Mistake, Rendered, check, render};

const VARIABLES: &str = r#"{"action":{"name":"notify"},"trigger":{"type":"call"}}"#;
const ORDER: &str =
    r#"{"id": 7, "customer": {"name": "A & \"B\""}, "lines": [{"sku": "a"}, {"sku": "b"}], "action": 1}"#;

fn render_json(template: &str, input: &str) -> Result<Rendered, Mistake> {
    render(template, "application/json", input.as_bytes(), VARIABLES)
}

#[test]
fn a_template_sees_the_input_and_what_set_it_off() {
    let template = "{{ action.name }}: order {{ id }} of {{ customer.name }} by {{ trigger.type }}{% for line in input.lines %} {{ line.sku }}{% endfor %}";
    let rendered = render_json(template, ORDER).unwrap();
    assert_eq!(rendered.text, "notify: order 7 of A & \"B\" by call a b");
    assert_eq!(rendered.content_type, "text/plain; charset=utf-8");
    let text = render("<{{ input }}>", "text/plain", b"hello", VARIABLES).unwrap();
    assert_eq!(text.text, "<hello>");
    let form = "application/x-www-form-urlencoded; charset=utf-8";
    let command = render("{{ command }} {{ text }} {{ x }}", form, b"command=%2Fdeploy&text=a+b&x=1&x=2", VARIABLES);
    assert_eq!(command.unwrap().text, "/deploy a b ['1', '2']");
    assert_eq!(render("[{{ input }}]", "application/octet-stream", b"", VARIABLES).unwrap().text, "[None]");
    assert!(render("x", "image/png", b"\x89", VARIABLES).unwrap_err().message.contains("image/png"));
}

#[test]
fn what_it_gives_is_written_as_it_says() {
    let json =
        render_json("{# application/json #}{\"text\": {{ customer.name }}, \"n\": {{ lines|length }}}", ORDER).unwrap();
    assert_eq!(
        json,
        Rendered { content_type: "application/json".into(), text: r#"{"text": "A & \"B\"", "n": 2}"#.into() }
    );
    let html = render_json("{# text/html; charset=utf-8 #}<p>{{ customer.name }}", ORDER).unwrap();
    assert_eq!(html.text, "<p>A &amp; &quot;B&quot;");
    assert_eq!(html.content_type, "text/html; charset=utf-8");
    let error = render_json("{# application/json #}{\"id\": {{ id }}", ORDER).unwrap_err();
    assert!(error.message.contains("is none"), "{error:?}");
    // Any other comment is a comment, also one with a blank that no header can have.
    for comment in ["{# a note #}", "{# text/html\u{b} #}", "{# text/html\u{b}; a=b #}", "{# text/html\t;a=b #}"] {
        let rendered = render_json(&format!("{comment}x"), ORDER).unwrap();
        assert_eq!(rendered.content_type, "text/plain; charset=utf-8", "{comment:?}");
    }
}

#[test]
fn each_mistake_has_its_place() {
    let wrong = check("Hello\n{{ name", &[]).unwrap_err();
    assert!(wrong.message.starts_with("syntax error"), "{wrong:?}");
    assert!(wrong.offset.is_some_and(|offset| offset >= 6), "{wrong:?}");
    assert_eq!(check("a\n{% for x in y %}{{ x }}{% endfor %}", &[]), Ok(()));
    let missing = render_json("order {{ number }}", ORDER).unwrap_err();
    assert_eq!(missing.offset, Some(9), "{missing:?}");
    assert!(missing.message.contains("undefined"), "{missing:?}");
    assert_eq!(render_json("{% if number %}{{ number }}{% else %}none{% endif %}", ORDER).unwrap().text, "none");
    let no_filter = render_json("{{ id|shout }}", ORDER).unwrap_err();
    assert!(no_filter.message.contains("shout"), "{no_filter:?}");
}
