//! Every input of the corpus, seeds and what was found once, is read again, in seconds; and the
//! lists of targets agree.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking, also outside the test functions")]

use action_domain::audit::{Proof, SealKey};
use action_fuzz_targets::{TARGETS, parts};
use action_wasm::inspect_component;
use std::{
    collections::BTreeSet,
    fs,
    panic::catch_unwind,
    path::{Path, PathBuf},
};

/// Targets whose code is a guest's, in another workspace, with a replay of its own there.
const OF_GUESTS: [&str; 1] = ["transforms"];
/// All of it together, so that it stays in a repository that people clone.
const CORPUS_BYTES_MAX: u64 = 1 << 20;

fn fuzz() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn inputs(target: &str) -> Vec<PathBuf> {
    let folder = fuzz().join("corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut inputs: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    inputs
}

#[test]
fn every_input_of_the_corpus_is_read_well() {
    let mut failed = Vec::new();
    let mut bytes = 0;
    for (target, check) in TARGETS {
        let inputs = inputs(target);
        assert!(!inputs.is_empty(), "{target} has no seeds");
        for input in inputs {
            let data = fs::read(&input).unwrap();
            bytes += data.len() as u64;
            // What went wrong stands above, in the output.
            if catch_unwind(|| check(&data)).is_err() {
                failed.push(input.strip_prefix(fuzz()).unwrap().display().to_string());
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(bytes <= CORPUS_BYTES_MAX, "the corpus has {bytes} bytes: minimise it (`make fuzz-minimise`)");
}

#[test]
fn each_target_has_its_program_its_seeds_and_its_place_in_the_list() {
    let own = || TARGETS.iter().map(|(name, _)| (*name).to_owned());
    let listed: BTreeSet<String> = own().chain(OF_GUESTS.map(str::to_owned)).collect();
    let manifest: toml::Table = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap().parse().unwrap();
    let programs = manifest["bin"].as_array().unwrap().iter();
    assert_eq!(programs.map(|bin| bin["name"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>(), listed);
    let folders = fs::read_dir(fuzz().join("corpus")).unwrap();
    let folders = folders.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(folders.collect::<BTreeSet<_>>(), listed);
    let files = fs::read_dir(fuzz().join("targets/src")).unwrap();
    let files = files.map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned());
    assert_eq!(files.filter(|name| name != "lib").collect::<BTreeSet<_>>(), own().collect());
}

/// Seeds that are refused at the door would try nothing behind it.
#[test]
fn seeds_get_as_far_as_they_should() {
    let seed = |path: &str| fs::read(fuzz().join("corpus").join(path)).unwrap();
    let key = SealKey::from_seed(&[7; 32]).public();
    let imports = inspect_component(&seed("admission/noop-signed"), &[key]);
    assert!(imports.is_ok(), "{imports:?}");
    let proof = seed("audit/proof");
    let proof: Proof = serde_json::from_slice(parts::<4>(&proof)[0]).unwrap();
    assert_eq!(proof.check(&[key]).map(|seal| seal.sequence), Ok(2));
    let action = seed("config/action-and-schema");
    let action = action_api::untrusted::document(parts::<3>(&action)[0]).unwrap();
    let action = action_api::ActionDraft::read(&action).finish();
    assert!(action.is_ok(), "{action:?}");
}
