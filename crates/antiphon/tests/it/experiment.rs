use std::fs;

use antiphon_tests::{Reply, Server};
use serde_json::{Value, json};

use crate::program::{Lab, answer};

#[test]
fn an_experiment_from_its_beginning_to_its_end() {
    let lab = Lab::new();
    assert_eq!(lab.run("experiment list").stdout, "");
    let made = lab.run("experiment create goats --count 1-2 --evidence strict");
    made.ends_with(0, &["antiphon experiment add goats PATH"]);
    lab.run("experiment generate goats --offline")
        .ends_with(2, &["has no data", "experiment add goats PATH"]);
    lab.run("experiment add goats in").ends_with(0, &["2 files in"]);
    lab.run("experiment generate gaots --offline").ends_with(2, &["did you mean goats?"]);
    let tried = lab.run("experiment generate goats --offline --dry-run");
    tried.ends_with(0, &[]);
    assert!(
        tried
            .stdout
            .starts_with("2 documents in experiments/goats/data: drafts by text statistics, no model"),
        "{tried:?}"
    );
    lab.run("experiment generate goats --offline").ends_with(0, &["no language model"]);
    lab.run("experiment generate goats --offline").ends_with(0, &["shown again, with 0 calls"]);
    let shown: Value = serde_json::from_str(&lab.run("experiment show goats --json").stdout).unwrap();
    let (drawn, all) = (&shown["definition"]["personas"], &shown["statistics"]);
    assert_eq!((&drawn["count"], &drawn["evidence"]), (&json!("1-2"), &json!("strict")));
    assert_eq!((&all["files"], &all["runs"], &all["finished"]), (&json!(2), &json!(1), &json!(1)));
    assert!(lab.run("experiment history goats").stdout.contains("extractive-1"));
    let personas: Value = serde_json::from_str(&lab.run("experiment outputs goats").stdout).unwrap();
    assert_eq!(personas["schema"], "antiphon.personas/1");
    lab.run("runs resume latest --out experiments/goats/outputs").ends_with(0, &["shown again"]);
    lab.run("experiment delete goats").ends_with(2, &["use --yes to delete it without confirmation"]);
    assert!(lab.path("experiments/goats").exists());
    lab.run("experiment delete goats --yes").ends_with(0, &["deleted experiments/goats"]);
    assert!(!lab.path("experiments/goats").exists() && lab.path("in/p1.txt").exists());
}

#[test]
fn what_an_experiment_says_of_its_provider_goes_before_the_files_and_behind_the_flags() {
    let server = Server::start([Reply::json(200, &json!({ "data": [] })), Reply::chat(&answer(), "stop")]);
    let lab = Lab::new();
    let url = server.url("/v1");
    lab.file(
        "antiphon.toml",
        format!("[defaults]\nprovider = \"offline\"\n[providers.lab]\nkind = \"compatible\"\nbase_url = \"{url}\"\n"),
    );
    lab.run("experiment create one -n 1 --provider lab --model m").ends_with(0, &[]);
    lab.run("experiment create two -n 1").ends_with(0, &[]);
    for name in ["one", "two"] {
        lab.run(&format!("experiment add {name} in --link")).ends_with(0, &[]);
    }
    let ran = lab.run("experiment generate one two");
    ran.ends_with(0, &["provider: lab", "provider: offline"]);
    let readme = |name: &str| fs::read_to_string(lab.path(&format!("experiments/{name}/README.md"))).unwrap();
    assert!(readme("one").contains("| m | 1 | finished |") && readme("two").contains("extractive-1"));
    lab.run("experiment generate one --offline").ends_with(0, &["provider: offline"]);
    assert!(readme("one").contains("2 runs"));
    let path = lab.path("experiments/one/experiment.toml");
    let text = fs::read_to_string(&path).unwrap().replace("provider = \"lab\"", "provdier = \"lab\"");
    fs::write(&path, text).unwrap();
    lab.run("experiment generate one").ends_with(3, &["unknown key provdier; did you mean provider?"]);
}
