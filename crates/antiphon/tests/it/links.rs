//! Symbolic links: in inputs none leads out unless it is asked for, and in outputs none is written through.

use std::fs;
use std::os::unix::fs::symlink;

use antiphon_tests::{Reply, Server};
use serde_json::{Value, json};

use crate::program::{Lab, Ran, answer, json_file};

/// Words of a file that no vendor gets.
const SECRET: &str = "BEGIN-PRIVATE-KEY";

/// A lab whose input folder has links to a key, to a hidden file, to another folder, and to everything.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.file("home/key.txt", format!("P9: {SECRET} of the goats, which I keep at home.\n"));
    lab.file("in/.env", format!("P8: {SECRET}=1\n"));
    for (target, name) in
        [("home/key.txt", "a.txt"), ("in/.env", "env.txt"), ("home", "more"), ("in/p1.txt", "p3.txt")]
    {
        symlink(lab.path(target), lab.path("in").join(name)).unwrap();
    }
    symlink("/", lab.path("in/root")).unwrap();
    symlink("/dev/zero", lab.path("in/zero.txt")).unwrap();
    symlink(lab.path("in"), lab.path("in/loop")).unwrap();
    lab
}

const NAMED: [&str; 5] = ["a.txt", "env.txt", "more", "root", "zero.txt"];

#[track_caller]
fn names_all(ran: &Ran, report: &str) {
    for name in NAMED {
        assert!(report.contains(name), "{name} is not in the report: {report}");
    }
    assert!(
        ran.stderr.contains("a.txt: a link that leads out") && ran.stderr.contains("--follow-links"),
        "{ran:?}"
    );
}

#[test]
fn links_out_of_the_input_of_personas_are_named_and_not_sent() {
    let lab = lab();
    let server = Server::start([Reply::chat(&answer(), "stop"), Reply::chat(&answer(), "stop")]);
    let ran = lab.ask(&server.url("/v1"), "");
    ran.ends_with(4, &["2 documents"]);
    names_all(&ran, &json_file(&lab.only_run().join("run.json"))["failures"].to_string());
    let sent = || server.requests().iter().map(|request| request.body.to_string()).collect::<String>();
    assert!(sent().contains("P1") && !sent().contains(SECRET), "{}", sent());
    let ran = lab.ask(&server.url("/v1"), "--follow-links");
    // A folder that contains the input is no input, and a device is no file.
    ran.ends_with(4, &["4 documents", "root: a link that leads out", "zero.txt: not a regular file"]);
    assert_eq!(sent().matches(SECRET).count(), 2, "each file is read once: {}", sent());
}

#[test]
fn a_link_that_is_named_itself_is_read() {
    let lab = lab();
    lab.run("generate in/a.txt in/p1.txt --offline --count 1").ends_with(0, &["2 documents"]);
    lab.run("generate in/more --offline --count 1").ends_with(0, &["1 document"]);
}

#[test]
fn links_out_of_the_input_of_rows_are_failed_rows() {
    let lab = lab();
    lab.file("r.toml", "prompt = \"Who speaks in {{ name }}? {{ text }}\"\n");
    let map = |more: &str, rows: usize| {
        let server = Server::start(std::iter::repeat_with(|| Reply::chat("P1", "stop")).take(rows));
        let line = format!(
            "map in -r r.toml --provider compatible --base-url {}/v1 --model m --json",
            server.url("")
        );
        let ran = lab.run(&format!("{line} {more}"));
        let sent: String = server.requests().into_iter().map(|request| request.body.to_string()).collect();
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        (ran, sent, report["accepted"].clone())
    };
    let (ran, sent, accepted) = map("", 4);
    assert_eq!((ran.code, accepted, sent.contains(SECRET)), (Some(4), json!(2), false), "{ran:?}");
    let failed = fs::read_to_string(lab.only_run().join("failed.jsonl")).unwrap();
    names_all(&Ran { stderr: failed.clone(), ..ran }, &failed);
    let (ran, sent, accepted) = map("--follow-links", 6);
    assert_eq!((ran.code, accepted, sent.contains(SECRET)), (Some(4), json!(4), true), "{ran:?}");
}

#[test]
fn links_in_the_data_of_an_experiment_are_followed_if_they_were_added() {
    let lab = lab();
    lab.run("experiment create goats --count 1").ends_with(0, &[]);
    lab.run("experiment add goats in/p1.txt").ends_with(0, &[]);
    lab.file("other/key.txt", format!("P7: {SECRET}, which is none of the goats' business.\n"));
    symlink(lab.path("other/key.txt"), lab.path("experiments/goats/data/key.txt")).unwrap();
    lab.run("experiment generate goats --offline")
        .ends_with(4, &["1 document", "key.txt: a link that leads out"]);
    lab.run("experiment add goats home --link").ends_with(0, &[]);
    lab.run("experiment generate goats --offline")
        .ends_with(4, &["2 documents", "key.txt: a link that leads out"]);
    lab.run("experiment generate goats --offline --follow-links").ends_with(0, &["3 documents"]);
    // A link of the same name that someone else made is not the one that was added.
    fs::remove_file(lab.path("experiments/goats/data/home")).unwrap();
    symlink(lab.path("home"), lab.path("experiments/goats/data/home")).unwrap();
    lab.run("experiment generate goats --offline")
        .ends_with(4, &["1 document", "home: a link that leads out"]);
    lab.run("experiment add goats in").ends_with(2, &["a link leads out of the folder"]);
}

#[test]
fn links_in_the_output_folder_are_not_written_through() {
    let lab = Lab::new();
    lab.file("home/kept.txt", "kept");
    let kept = || assert_eq!(fs::read_to_string(lab.path("home/kept.txt")).unwrap(), "kept");
    lab.run("generate in --offline --count 1").ends_with(0, &[]);
    let run = lab.only_run();
    for name in ["personas.html", "run.json", "personas.json"] {
        fs::remove_file(run.join(name)).unwrap();
        symlink(lab.path("home/kept.txt"), run.join(name)).unwrap();
    }
    lab.run("runs resume latest").ends_with(0, &[]);
    kept();
    assert!(fs::read_to_string(run.join("personas.html")).unwrap().contains("Content-Security-Policy"));
    assert!(!fs::symlink_metadata(run.join("run.json")).unwrap().is_symlink());
    // A folder that is a link is refused by its name.
    fs::remove_dir_all(run.join("personas")).unwrap();
    fs::remove_file(run.join("run.json")).unwrap();
    symlink(lab.path("home"), run.join("personas")).unwrap();
    let ran = lab.run("runs resume latest");
    assert!(ran.code != Some(0) && ran.stderr.contains("personas") && ran.stderr.contains("link"), "{ran:?}");
    assert_eq!(fs::read_dir(lab.path("home")).unwrap().count(), 1);
}

#[test]
fn a_run_folder_that_is_a_link_is_refused() {
    let lab = Lab::new();
    fs::create_dir(lab.path("home")).unwrap();
    lab.run("generate in --offline --count 1").ends_with(0, &[]);
    let run = lab.only_run();
    fs::remove_dir_all(&run).unwrap();
    symlink(lab.path("home"), &run).unwrap();
    let ran = lab.run("runs resume latest");
    assert!(ran.code != Some(0) && ran.stderr.contains("link"), "{ran:?}");
    assert_eq!(fs::read_dir(lab.path("home")).unwrap().count(), 0, "{ran:?}");
}

#[test]
fn the_folder_of_a_map_run_that_is_a_link_is_refused() {
    let lab = Lab::new();
    fs::create_dir(lab.path("home")).unwrap();
    lab.file("r.toml", "prompt = \"{{ text }}\"\n");
    lab.file("rows.jsonl", "{\"text\":\"a\"}\n");
    let server = Server::start(std::iter::repeat_with(|| Reply::chat("", "content_filter")).take(4));
    let line =
        format!("map rows.jsonl -r r.toml --provider compatible --base-url {}/v1 --model m", server.url(""));
    assert_ne!(lab.run(&line).code, Some(0));
    let run = lab.only_run();
    assert!(run.join("failed.jsonl").exists());
    fs::remove_dir_all(&run).unwrap();
    symlink(lab.path("home"), &run).unwrap();
    for line in ["runs report latest", "runs retry-failed latest", "runs resume latest", &line] {
        let ran = lab.run(line);
        assert!(ran.code != Some(0) && ran.stderr.contains("link"), "{line}: {ran:?}");
        assert_eq!(fs::read_dir(lab.path("home")).unwrap().count(), 0, "{line}: {ran:?}");
    }
}

#[test]
fn copies_of_data_are_not_written_through_links() {
    let lab = Lab::new();
    fs::create_dir(lab.path("home")).unwrap();
    lab.file("more/p2.txt", "P2: I keep goats.\n");
    lab.run("experiment create farm").ends_with(0, &[]);
    let data = lab.path("experiments/farm/data");
    fs::create_dir_all(&data).unwrap();
    symlink(lab.path("home"), data.join("more")).unwrap();
    let refused = || {
        let ran = lab.run("experiment add farm more");
        assert!(ran.code != Some(0) && ran.stderr.contains("link"), "{ran:?}");
        assert_eq!(fs::read_dir(lab.path("home")).unwrap().count(), 0, "{ran:?}");
    };
    refused();
    fs::remove_file(data.join("more")).unwrap();
    fs::create_dir(data.join("more")).unwrap();
    for target in ["home/p2.txt", "more/p2.txt"] {
        symlink(lab.path(target), data.join("more/p2.txt")).unwrap();
        refused();
        assert!(fs::symlink_metadata(data.join("more/p2.txt")).unwrap().is_symlink(), "{target}");
        fs::remove_file(data.join("more/p2.txt")).unwrap();
    }
    lab.run("experiment add farm more").ends_with(0, &[]);
}

#[test]
fn a_folder_with_a_link_is_not_free_for_an_experiment_and_a_link_to_nothing_is_not_left_out() {
    let lab = Lab::new();
    let root = lab.path("experiments/farm");
    fs::create_dir_all(&root).unwrap();
    symlink(lab.path("nowhere"), root.join("notes.txt")).unwrap();
    lab.run("experiment create farm").ends_with(2, &["already has other files"]);
    fs::remove_dir_all(&root).unwrap();
    fs::create_dir(lab.path("home")).unwrap();
    symlink(lab.path("home"), &root).unwrap();
    let ran = lab.run("experiment create farm");
    assert!(ran.code != Some(0) && ran.stderr.contains("link"), "{ran:?}");
    assert_eq!(fs::read_dir(lab.path("home")).unwrap().count(), 0, "{ran:?}");
    fs::remove_file(&root).unwrap();
    lab.run("experiment create farm").ends_with(0, &[]);
    lab.file("more/p2.txt", "P2: I keep goats.\n");
    symlink(lab.path("nowhere"), lab.path("more/p3.txt")).unwrap();
    let ran = lab.run("experiment add farm more");
    assert!(ran.code != Some(0) && ran.stderr.contains("p3.txt"), "{ran:?}");
}

#[test]
fn a_database_that_is_a_link_is_refused_by_its_name() {
    for ending in ["", "-wal", "-shm"] {
        let lab = Lab::new();
        lab.file("home/kept.txt", "");
        lab.run("generate in --offline --count 1").ends_with(0, &[]);
        let name = format!("antiphon-out/antiphon.db{ending}");
        let _ = fs::remove_file(lab.path(&name));
        symlink(lab.path("home/kept.txt"), lab.path(&name)).unwrap();
        for line in ["generate in --offline --count 2", "runs list"] {
            let ran = lab.run(line);
            assert!(ran.code != Some(0), "{line}: {ran:?}");
            assert!(
                ran.stderr.contains(&format!("antiphon.db{ending}: this is a symbolic link")),
                "{line}: {ran:?}"
            );
        }
        assert_eq!(fs::read_to_string(lab.path("home/kept.txt")).unwrap(), "");
    }
}

#[test]
fn a_results_file_that_the_user_names_may_be_a_link() {
    let lab = Lab::new();
    lab.file("r.toml", "prompt = \"Who is {{ name }}?\"\n");
    lab.file("rows.csv", "name\nAda\n");
    lab.file("results/old.jsonl", "");
    symlink(lab.path("results/old.jsonl"), lab.path("results.jsonl")).unwrap();
    let server = Server::start([Reply::chat("P1", "stop")]);
    let url = server.url("/v1");
    let line = format!("map rows.csv -r r.toml --provider compatible --base-url {url} --model m");
    lab.run(&format!("{line} --results results.jsonl --overwrite")).ends_with(0, &[]);
    assert!(fs::read_to_string(lab.path("results/old.jsonl")).unwrap().contains("P1"));
    assert!(fs::symlink_metadata(lab.path("results.jsonl")).unwrap().is_symlink());
    // The file that the program names itself is replaced.
    let run = lab.only_run();
    symlink(lab.path("in/p1.txt"), run.join("report.html")).unwrap();
    lab.run("runs report latest").ends_with(0, &[]);
    assert!(!fs::symlink_metadata(run.join("report.html")).unwrap().is_symlink());
}
