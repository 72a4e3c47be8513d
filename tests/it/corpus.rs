//! The checks of the fuzzers, on the inputs of their corpus.

#[path = "../../fuzz/src/checks.rs"]
#[expect(unreachable_pub, reason = "the fuzzers use them from outside")]
mod checks;

use std::path::Path;

#[track_caller]
#[expect(clippy::disallowed_methods, reason = "tests look at their files with std")]
fn replay(target: &str, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut inputs = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        check(&std::fs::read(entry.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs > 0, "there is a corpus for {target}");
}

#[test]
fn every_kept_input_passes() {
    replay("sse", checks::sse);
    replay("ndjson", checks::ndjson);
    replay("waits", checks::waits);
    replay("limits", checks::limits);
    for format in ["chat", "responses", "anthropic", "gemini", "ollama", "llamacpp"] {
        replay(format, |input| checks::answer(format, input));
    }
}
