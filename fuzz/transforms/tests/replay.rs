//! Every input of the corpus, seeds and what was found once, is read again.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{fs, panic::catch_unwind, path::Path};

#[test]
fn every_input_of_the_corpus_is_read_well() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus/transforms");
    let inputs: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!inputs.is_empty(), "there are no seeds");
    let read = |input: &&std::path::PathBuf| {
        let data = fs::read(input).unwrap();
        // What went wrong stands above, in the output.
        catch_unwind(|| action_fuzz_transforms::check(&data)).is_err()
    };
    let failed: Vec<_> = inputs.iter().filter(read).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}
