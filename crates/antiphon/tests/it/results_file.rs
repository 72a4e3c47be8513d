//! The destinations of results: only a run's own file is replaced silently, and each path is tried before any call.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use antiphon_sim::{Latency, Scenario};
use serde_json::Value;

use crate::map::{Bench, map, report};
use crate::program::Ran;

impl Bench {
    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.lab.path(name)).unwrap()
    }

    /// The names in the lab's folder that are not its own.
    fn made(&self) -> Vec<String> {
        let entries = fs::read_dir(self.lab.path("")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let own = ["in", "towns.csv", "r.toml", "antiphon.toml", "antiphon-out"];
        let mut made: Vec<_> = names.filter(|name| !own.contains(&name.as_str())).collect();
        made.sort();
        made
    }

    fn begin(&self, line: &str) -> Child {
        self.lab.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

#[track_caller]
fn has_all(text: &str, rows: usize) {
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let indices: Vec<_> = lines.iter().map(|line| line["index"].as_u64().unwrap()).collect();
    assert_eq!(indices, (0..rows as u64).collect::<Vec<_>>(), "{text}");
}

const EXISTS: &str = "out.jsonl: file exists already";

#[test]
fn a_file_of_others_is_replaced_only_with_overwrite() {
    let bench = Bench::new(Scenario::default(), 3);
    bench.lab.file("out.jsonl", "{\"index\":0,\"mine\":true}\n");
    let ran = bench.map("--results out.jsonl");
    ran.ends_with(2, &[EXISTS, "--overwrite"]);
    assert_eq!((bench.stats().requests, bench.read("out.jsonl").lines().count()), (0, 1));
    assert!(bench.lab.run("runs list").stdout.is_empty(), "no run began");
    bench.map("--results out.jsonl --overwrite").ends_with(0, &[]);
    has_all(&bench.read("out.jsonl"), 3);
    assert_eq!(bench.made(), ["out.jsonl"]);
}

#[test]
fn a_run_replaces_its_own_results_and_not_what_became_of_them() {
    let bench = Bench::new(Scenario::default().answer_tokens(40), 60);
    bench.map("--results out.jsonl --max-cost 0.005").ends_with(6, &[]);
    let first = bench.read("out.jsonl");
    assert!((1..60).contains(&first.lines().count()), "{first}");
    bench.lab.run("runs resume latest --max-cost 0.006").ends_with(6, &[]);
    let second = bench.read("out.jsonl");
    assert!(second.len() > first.len() && first.lines().all(|line| second.contains(line)), "{second}");
    bench.lab.file("out.jsonl", second.clone() + "a note of mine\n");
    let before = bench.stats().requests;
    bench.lab.run("runs resume latest --max-cost 1").ends_with(2, &[EXISTS, "--overwrite"]);
    bench.map("--results out.jsonl").ends_with(2, &[EXISTS]);
    assert_eq!(bench.stats().requests, before);
    bench.lab.file("out.jsonl", second);
    bench.map("--results out.jsonl --order completion").ends_with(0, &[]);
    bench.map("--results out.jsonl").ends_with(0, &["already finished"]);
    has_all(&bench.read("out.jsonl"), 60);
    bench.lab.file("out.jsonl", "a note of mine\n");
    bench.lab.run("runs resume latest").ends_with(2, &[EXISTS]);
    bench.lab.run("runs resume latest --overwrite").ends_with(0, &[]);
    has_all(&bench.read("out.jsonl"), 60);
}

#[test]
fn two_runs_into_one_file_do_not_mix() {
    let bench = Bench::new(Scenario::default().latency(Latency::Fixed(Duration::from_millis(20))), 200);
    bench.lab.file("in/cities.csv", bench.read("towns.csv").replace("Town", "City"));
    let line = |out: &str| map(&format!("--results out.jsonl --out {out} --max-concurrency 8"));
    let children =
        [line("a"), line("b").replace("towns.csv", "in/cities.csv")].map(|line| bench.begin(&line));
    let ran = children.map(|child| Ran::new(child.wait_with_output().unwrap()));
    let mut codes: Vec<_> = ran.iter().map(|ran| ran.code.unwrap()).collect();
    codes.sort_unstable();
    assert_eq!(codes, [0, 1], "{ran:?}");
    let second = ran.iter().find(|ran| ran.code == Some(1)).unwrap();
    second.ends_with(1, &["out.jsonl: another file took this name meanwhile", "out-2.jsonl"]);
    assert!(second.stdout.contains("out-2.jsonl"), "{second:?}");
    assert_eq!(bench.made(), ["a", "b", "out-2.jsonl", "out.jsonl"]);
    has_all(&bench.read("out.jsonl"), 200);
    has_all(&bench.read("out-2.jsonl"), 200);
    let towns = ["out.jsonl", "out-2.jsonl"].map(|file| bench.read(file).matches("Town").count());
    assert!(matches!(towns, [0, 200] | [200, 0]), "{towns:?}");
}

#[test]
fn a_link_at_a_temporary_name_is_not_followed() {
    let bench = Bench::new(Scenario::default(), 3);
    bench.lab.file("victim", "precious");
    symlink("victim", bench.lab.path("out.jsonl.part")).unwrap();
    bench.map("--results out.jsonl").ends_with(0, &[]);
    assert_eq!(bench.read("victim"), "precious");
    has_all(&bench.read("out.jsonl"), 3);
    assert_eq!(bench.made(), ["out.jsonl", "out.jsonl.part", "victim"]);
}

#[test]
fn results_go_through_links_into_pipes_and_devices() {
    let bench = Bench::new(Scenario::default(), 3);
    fs::create_dir(bench.lab.path("there")).unwrap();
    symlink("there/made.jsonl", bench.lab.path("link.jsonl")).unwrap();
    bench.map("--results link.jsonl").ends_with(0, &[]);
    assert!(fs::symlink_metadata(bench.lab.path("link.jsonl")).unwrap().is_symlink());
    has_all(&bench.read("there/made.jsonl"), 3);
    bench.lab.file("there/made.jsonl", "other");
    bench.map("--results link.jsonl --fresh").ends_with(2, &["link.jsonl: file exists already"]);
    bench.map("--results link.jsonl --fresh --overwrite").ends_with(0, &[]);
    has_all(&bench.read("there/made.jsonl"), 3);
    bench.map("--results /dev/null").ends_with(0, &[]);
    let stdout = bench.map("--results /dev/stdout");
    stdout.ends_with(0, &["3 of 3 rows done"]);
    has_all(&stdout.stdout, 3);
    let pipe = bench.lab.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let child = bench.begin(&map("--results pipe"));
    has_all(&bench.read("pipe"), 3);
    Ran::new(child.wait_with_output().unwrap()).ends_with(0, &[]);
    assert_eq!(bench.made(), ["link.jsonl", "pipe", "there"]);
}

#[test]
fn a_reader_of_a_pipe_that_has_enough_ends_the_run_quietly() {
    let bench = Bench::new(Scenario::default().latency(Latency::Fixed(Duration::from_millis(5))), 2_000);
    let pipe = bench.lab.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let child = bench.begin(&map("--results pipe --max-concurrency 4 --yes"));
    drop(fs::File::open(pipe).unwrap());
    Ran::new(child.wait_with_output().unwrap()).ends_with(0, &["its results are no longer read"]);
    assert!(bench.stats().requests < 2_000);
}

#[test]
fn a_pipe_without_a_reader_is_not_awaited_after_ctrl_c() {
    let bench = Bench::new(Scenario::default(), 3);
    let pipe = bench.lab.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut child = bench.begin(&map("--results pipe"));
    let mut first = String::new();
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("provider: "), "{first}");
    let id = child.id().to_string();
    assert!(Command::new("sh").args(["-c", "kill -INT \"$0\"", &id]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(bench.stats().requests, 0);
}

#[test]
fn a_link_to_the_rows_is_not_written_through() {
    let bench = Bench::new(Scenario::default(), 3);
    symlink("towns.csv", bench.lab.path("link")).unwrap();
    bench.map("--results link --overwrite").ends_with(2, &["cannot write results to"]);
    assert_eq!((bench.read("towns.csv").lines().count(), bench.stats().requests), (4, 0));
}

#[test]
fn a_place_that_cannot_be_written_costs_nothing() {
    let bench = Bench::new(Scenario::default(), 3);
    fs::create_dir(bench.lab.path("folder")).unwrap();
    for (place, why) in [
        ("folder", "folder: this is a folder"),
        ("towns.csv/out.jsonl", "towns.csv"),
        ("/proc/out.jsonl", "/proc/out.jsonl"),
        ("/dev/null/out.jsonl", "/dev/null"),
    ] {
        bench.map(&format!("--results {place}")).ends_with(3, &[why]);
        bench.map(&format!("--results {place} --overwrite")).ends_with(3, &[why]);
    }
    bench.lab.file("file", "");
    bench.map("--out file/out --results out.jsonl").ends_with(3, &["file/out"]);
    assert_eq!(bench.stats().requests, 0);
    let run = report(&bench.map("--json"))["run_id"].as_str().unwrap().to_owned();
    assert_eq!(bench.stats().requests, 3);
    // The run's own folder, of results elsewhere, too.
    fs::remove_dir_all(bench.lab.path("antiphon-out").join(&run)).unwrap();
    bench.lab.file(&format!("antiphon-out/{run}"), "");
    bench.map("--results out.jsonl").ends_with(3, &[&run]);
    assert_eq!(bench.made(), ["file", "folder"]);
}

#[test]
fn exports_and_reports_replace_no_file_unseen() {
    let bench = Bench::new(Scenario::default(), 3);
    bench.map("").ends_with(0, &[]);
    for (command, file) in
        [("export latest", "out.csv"), ("export latest", "out.jsonl"), ("report latest", "out.html")]
    {
        bench.lab.file(file, "mine");
        let line = format!("runs {command} --results {file}");
        bench.lab.run(&line).ends_with(2, &[&format!("{file}: file exists already"), "--overwrite"]);
        assert_eq!(bench.read(file), "mine");
        bench.lab.run(&format!("{line} --overwrite")).ends_with(0, &[]);
        assert!(bench.read(file).contains("Town 2"), "{file}");
    }
    bench.lab.run("runs report latest").ends_with(0, &[]);
    bench.lab.run("runs report latest").ends_with(0, &[]);
    bench.lab.run("runs export latest --results /dev/null").ends_with(0, &[]);
    bench.lab.run("runs export latest --results in").ends_with(3, &["in: this is a folder"]);
    let lines = bench.lab.run("runs export latest --results /dev/stdout").stdout;
    assert_eq!(lines, bench.read("out.jsonl"));
}
