//! `antiphon runs delete` and `runs prune`, and the status of runs that are at work or were killed.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use antiphon_sim::{Latency, Scenario};
use antiphon_tests::{Reply, Server};
use serde_json::{Value, json};

use crate::map::{Bench, map};
use crate::program::{Lab, SAID, answer};

/// The ids of the runs that a command lists, the oldest first.
fn ids(lab: &Lab, line: &str) -> Vec<String> {
    let list: Value = serde_json::from_str(&lab.run(line).stdout).unwrap();
    let runs = list["runs"].as_array().unwrap().iter();
    runs.map(|run| run["run_id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_run_is_deleted_with_its_folder_and_without_files_elsewhere() {
    let bench = Bench::new(Scenario::default(), 5);
    bench.map("--results mine.jsonl").ends_with(0, &[]);
    let folder = bench.lab.only_run();
    bench
        .lab
        .run("runs delete latest")
        .ends_with(2, &["cannot delete 1 run: this needs a confirmation", "use --yes"]);
    bench.lab.run("runs delete latest nothing --yes").ends_with(2, &["there is no run nothing"]);
    assert!(folder.is_dir(), "nothing is deleted if a name is wrong");
    let id = folder.file_name().unwrap().to_str().unwrap();
    let ran = bench.lab.run(&format!("runs delete latest {id} --yes"));
    ran.ends_with(0, &[&format!("deleted run {id} and its folder antiphon-out/{id}"), "kept mine.jsonl"]);
    assert_eq!(
        (ran.stdout.as_str(), folder.exists(), bench.lab.path("mine.jsonl").is_file()),
        ("", false, true)
    );
    assert_eq!(bench.lab.run("runs list").stdout, "");
    bench.map("").ends_with(0, &[]);
    assert_eq!(bench.stats().requests, 10, "its cached answers were deleted, too");
}

#[test]
fn a_run_at_work_is_shown_as_running_and_a_killed_one_as_interrupted() {
    let bench = Bench::new(Scenario::default().latency(Latency::Fixed(Duration::from_millis(50))), 300);
    bench.map("--max-rows 2").ends_with(0, &[]);
    let command = map("--max-concurrency 4");
    let mut child = bench.lab.command(&command).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while bench.stats().answered < 6 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before its time");
        std::thread::yield_now();
    }
    let all = ids(&bench.lab, "runs list --json");
    assert_eq!(ids(&bench.lab, "runs list --status running --json"), all[1..]);
    assert_eq!(ids(&bench.lab, "runs list --status finished --json"), all[..1]);
    let show = || bench.lab.run(&format!("runs show {}", all[1])).stdout;
    assert!(show().contains("status     running\n") && !show().contains("runs resume"), "{}", show());
    let refused = bench.lab.run(&format!("runs delete {} {} --yes", all[0], all[1]));
    let cancel = format!("stop it with antiphon runs cancel {}", all[1]);
    refused.ends_with(4, &[&format!("deleted run {}", all[0]), "a worker is at work on it", &cancel]);
    let elsewhere = bench.lab.run(&format!("runs delete {} --yes --out ./antiphon-out", all[1]));
    elsewhere.ends_with(4, &[&format!("{cancel} --out ./antiphon-out")]);
    bench.lab.run("runs prune --older-than 0s --yes").ends_with(0, &["nothing to delete"]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(ids(&bench.lab, "runs list --json"), all[1..]);
    assert_eq!(ids(&bench.lab, "runs list --status interrupted --json"), all[1..]);
    let shown = show();
    let resume = format!("resume     antiphon runs resume {}\n", all[1]);
    assert!(shown.contains("status     interrupted\n") && shown.ends_with(&resume), "{shown}");
    bench.lab.run(&resume["resume     antiphon ".len()..]).ends_with(0, &[]);
    assert!(show().contains("status     finished\n"), "{}", show());
}

#[test]
fn old_runs_are_pruned_and_the_newest_kept() {
    let lab = Lab::new();
    for how in ["-n 1", "-n 2", "-n 1 --detail brief"] {
        lab.run(&format!("generate in --offline {how}")).ends_with(0, &[]);
    }
    let all = ids(&lab, "runs list --json");
    lab.run("runs prune --older-than 30d --yes").ends_with(0, &["nothing to delete: no run is old enough"]);
    lab.run("runs prune --older-than 0s --status stopped --yes").ends_with(0, &["nothing to delete"]);
    lab.run("runs prune --older-than 30").ends_with(2, &["such as 90m, 12h or 30d"]);
    let dry = lab.run("runs prune --older-than 0s --keep 1 --dry-run");
    dry.ends_with(0, &["2 runs would be deleted"]);
    assert!(
        dry.stdout.contains(&all[0]) && dry.stdout.contains(&all[1]) && !dry.stdout.contains(&all[2]),
        "{dry:?}"
    );
    lab.run("runs prune --older-than 0s --keep 1").ends_with(2, &["cannot delete 2 runs", "use --yes"]);
    assert_eq!(ids(&lab, "runs list --json"), all);
    lab.run("runs prune --older-than 0s --keep 1 --status finished --yes").ends_with(0, &["deleted run"]);
    assert_eq!(ids(&lab, "runs list --json"), all[2..]);
    assert!(lab.only_run().ends_with(&all[2]));
}

#[test]
fn a_distillation_is_deleted_with_the_last_run_over_its_documents() {
    let noted = json!({ "findings": [{ "claim": "Close early", "document": "d1", "quote": SAID }] });
    let noted = || Reply::chat(&noted.to_string(), "stop");
    let models = json!({ "data": [{ "id": "m", "max_model_len": 4096 }] });
    let models = || Reply::json(200, &models);
    let persona = || Reply::chat(&answer(), "stop");
    let server = Server::start([models(), noted(), noted(), noted(), persona(), models(), persona()]);
    let lab = Lab::new();
    lab.file("in/p3.txt", format!("P3: {}\n", "I usually feed the goats before dawn. ".repeat(400)));
    lab.ask(&server.url("/v1"), "").ends_with(0, &["distilling 3 parts first"]);
    lab.ask(&server.url("/v1"), "--detail brief").ends_with(0, &[]);
    let kinds = || {
        let list: Value = serde_json::from_str(&lab.run("runs list --json").stdout).unwrap();
        let kinds =
            list["runs"].as_array().unwrap().iter().map(|run| run["kind"].as_str().unwrap().to_owned());
        kinds.collect::<Vec<_>>()
    };
    assert_eq!(kinds(), ["personas", "personas/distil", "personas"]);
    lab.run("runs delete latest --yes").ends_with(0, &["deleted run"]);
    assert_eq!(kinds(), ["personas", "personas/distil"], "the other run uses it");
    lab.run("runs delete latest --yes").ends_with(0, &["with 1 distillation of its documents"]);
    assert!(kinds().is_empty());
}

#[test]
fn the_originals_of_anonymised_names_are_deleted_and_an_experiment_lists_its_runs_anew() {
    let lab = Lab::new();
    lab.file("in/anna.txt", "Anna Lee: I want to close early. Mail anna@lee.example.\n");
    lab.run("experiment create goats -n 1").ends_with(0, &[]);
    lab.run("experiment add goats in").ends_with(0, &[]);
    lab.run("experiment generate goats --offline --anonymise replace").ends_with(0, &["anonymised names"]);
    let out = "experiments/goats/outputs";
    let id = ids(&lab, &format!("runs list --json --out {out}")).remove(0);
    let originals = lab.path(&format!("{out}/.anonymised/{id}.json"));
    let readme = || fs::read_to_string(lab.path("experiments/goats/README.md")).unwrap();
    assert!(originals.is_file() && readme().contains(&id), "{}", readme());
    lab.run(&format!("runs delete latest --yes --out {out}")).ends_with(0, &["deleted run"]);
    assert!(!originals.exists() && !readme().contains(&id), "{}", readme());
}
