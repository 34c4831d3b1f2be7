//! Only what somebody who is trusted has signed is let in, signed with the tool of the ecosystem.

use crate::kit::{Service, fixture, service::Options};
use serde_json::{Value, json};
use std::io::Cursor;
use wasmsign2::{KeyPair, Module};

fn module(component: &[u8]) -> Module {
    Module::deserialize(&mut Cursor::new(component)).unwrap()
}

fn bytes(module: &Module) -> Vec<u8> {
    let mut bytes = Vec::new();
    module.serialize(&mut bytes).unwrap();
    bytes
}

fn sign(component: &[u8], pair: &KeyPair) -> Vec<u8> {
    bytes(&pair.sk.sign(module(component), None).unwrap())
}

/// One more signature beside those that are there.
fn sign_too(component: &[u8], pair: &KeyPair) -> Vec<u8> {
    bytes(&pair.sk.sign_multi(module(component), None, false, false).unwrap().0)
}

async fn refusals(service: &Service) -> Vec<Value> {
    let events = service.private.get("/v1/events?type=protocol_refused&limit=500").await.json(200);
    events["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_a_trusted_key_signed_is_let_in() {
    let (trusted, also, stranger) = (KeyPair::generate(), KeyPair::generate(), KeyPair::generate());
    // In two of the forms in which tools write keys.
    let keys = format!("{},{}", trusted.pk.to_pem(), also.pk.to_pem());
    let service = Service::start_with(Options::default().with("ACTION_SERVICE_TRUSTED_KEYS", keys)).await;
    let api = &service.private;
    // What comes with the binary is trusted by being in it.
    assert_eq!(api.get("/v1/protocols/http").await.json(200)["items"][0]["name"], "http");
    let component = fixture("noop");
    let signed = sign(&component, &trusted);
    let mut changed = signed.clone();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    // The signature of one component in front of another.
    let other = module(&fixture("misbehave"));
    let mut replayed = module(&signed);
    replayed.sections.truncate(1);
    replayed.sections.extend(other.sections);
    // A signature section that ends too soon.
    let mut truncated = module(&signed);
    let wasmsign2::Section::Custom(section) = &truncated.sections[0] else { panic!("no signature in front") };
    let payload = wasmsign2::SectionLike::payload(section);
    let short = wasmsign2::CustomSection::new("signature".to_owned(), payload[..payload.len() - 1].to_vec());
    truncated.sections[0] = wasmsign2::Section::Custom(short);
    let refused = [
        (component.clone(), "signature_missing"),
        (sign(&component, &stranger), "signature_untrusted"),
        (sign_too(&sign(&component, &stranger), &KeyPair::generate()), "signature_untrusted"),
        (changed, "signature_invalid"),
        ([&signed[..], b"\x00\x02\x01x"].concat(), "signature_invalid"),
        (bytes(&replayed), "signature_invalid"),
        (bytes(&truncated), "signature_invalid"),
        (b"not wasm at all".to_vec(), "signature_missing"),
    ];
    for (number, (component, code)) in refused.iter().enumerate() {
        let errors = api.upload(component.clone()).await.problem(422, "component_refused");
        assert!(errors.contains(&format!(" {code}")), "{code}: {errors:?}");
        let events = refusals(&service).await;
        assert_eq!(events.len(), number + 1);
        assert_eq!(events[number]["data"]["errors"][0]["code"], *code);
    }
    // Everything that is wrong at once, and nothing of it ran.
    let errors = api.upload(fixture("forbidden-import")).await.problem(422, "component_refused");
    assert!(errors.iter().any(|error| error.ends_with("signature_missing")), "{errors:?}");
    assert!(errors.iter().any(|error| error.ends_with("unknown_import")), "{errors:?}");
    let errors = api.upload(fixture("trap-in-describe")).await.problem(422, "component_refused");
    assert_eq!(errors, [" signature_missing"]);
    assert_eq!(api.get("/v1/protocols?limit=500").await.json(200)["items"].as_array().unwrap().len(), 1);

    let both = sign_too(&sign(&component, &stranger), &also);
    assert_eq!(api.upload(both.clone()).await.json(201)["name"], "noop");
    assert_eq!(api.upload(both).await.json(200)["name"], "noop");
    api.action("echo", "noop", json!({})).await.json(201);
    assert_eq!(api.execute("echo", &json!(1)).await.json(200)["status"], "succeeded");
    // The same version, signed by another: other bytes.
    api.upload(signed).await.problem(409, "version_exists");
}

#[tokio::test(flavor = "multi_thread")]
async fn trust_is_asked_at_the_door_and_signatures_do_no_harm_without_it() {
    let pair = KeyPair::generate();
    let service = Service::start().await;
    let unsigned = fixture("echo-http");
    service.private.upload(sign(&fixture("noop"), &pair)).await.json(201);
    service.private.upload(unsigned.clone()).await.json(201);
    let (_, options) = service.stop().await;
    // As the tool writes its public key.
    let key = options.folder.as_ref().unwrap().path().join("public.key");
    pair.pk.to_file(&key).unwrap();
    let service = Service::start_with(options.with("ACTION_SERVICE_TRUSTED_KEYS_FILE", key)).await;
    // What was let in before stays, and its bytes are known.
    assert_eq!(service.private.upload(unsigned).await.status, 200);
    service.private.upload(fixture("hollow")).await.problem(422, "component_refused");
    service.private.upload(sign(&fixture("hollow"), &pair)).await.json(201);
}
