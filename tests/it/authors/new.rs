//! `new`: what it writes, and what it leaves alone. That its projects build is for the guides to show.

use super::action_service;
use std::{path::Path, process::Command};

#[tokio::test(flavor = "multi_thread")]
async fn a_project_is_begun_once_and_under_a_proper_name() {
    let folder = tempfile::tempdir().unwrap();
    let begun = action_service(folder.path(), &["new", "rust", "order-mail"]).await;
    assert!(begun.code == 0 && begun.out.contains("order-mail/ is ready"), "{}{}", begun.out, begun.err);
    let manifest = std::fs::read_to_string(folder.path().join("order-mail/Cargo.toml")).unwrap();
    assert!(manifest.contains("name = \"order-mail\""), "{manifest}");
    let contract = std::fs::read(folder.path().join("order-mail/action-service/wit/v0.1/action.wit")).unwrap();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit/v0.1/action.wit");
    assert_eq!(contract, std::fs::read(own).unwrap());
    for (words, said) in [
        (["new", "rust", "order-mail"], "order-mail is there already"),
        (["new", "rust", "Order_Mail"], "a name is a lower-case letter"),
        (["new", "python", "email"], "cannot be called email, which is a module of Python itself"),
        (["new", "rust", "self"], "cannot be called self, which is a word of Rust"),
        (["new", "cobol", "ledger"], "there is no template for `cobol`"),
    ] {
        let refused = action_service(folder.path(), &words).await;
        assert!(refused.code == 2 && refused.err.contains(said), "{words:?}: {}", refused.err);
    }
    assert!(!folder.path().join("ledger").exists() && !folder.path().join("email").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_is_used_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let words = ["new", "rust", "greet", "--sdk", checkout.to_str().unwrap(), "--json"];
    let begun = action_service(folder.path(), &words).await;
    assert_eq!(begun.json()["language"], "rust", "{}", begun.err);
    assert!(!folder.path().join("greet/action-service").exists());
    // Cargo finds the crate, and the workspace that it belongs to.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut metadata = Command::new(cargo);
    metadata.args(["metadata", "--format-version", "1"]).current_dir(folder.path().join("greet"));
    let found = metadata.output().unwrap();
    let told = String::from_utf8_lossy(&found.stdout);
    assert!(
        found.status.success() && told.contains("/sdk/rust/Cargo.toml"),
        "{}",
        String::from_utf8_lossy(&found.stderr)
    );
}
