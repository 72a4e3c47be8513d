//! Rows and notes without personal data, and drafts that say what they cannot do.

use std::fs;

use antiphon_tests::{Reply, Server};
use serde_json::Value;

use crate::map::{lab as towns, map};
use crate::program::{Lab, json_file};

/// Returns all that a server was sent.
fn sent(server: &Server) -> String {
    server.requests().iter().map(|seen| seen.body.to_string()).collect()
}

#[test]
fn rows_are_sent_stored_and_written_without_personal_data() {
    let server = Server::start([Reply::chat("fine", "stop")]);
    let lab = towns(&server.url("/v1"), 0);
    lab.file("r.toml", "prompt = \"{{ customer_name }}: {{ note }}\"\n");
    lab.file(
        "towns.csv",
        "id,customer_name,note\n1,Ada Byron,Byron lives at 12 Mill Lane. Call 0113 496 0001.\n2,Bo Lind,I asked Ada and Zed.\n3,short\n",
    );
    lab.file("names.txt", "Zed\n");
    let command = map("--anonymise replace --names names.txt --yes");
    let ran = lab.run(&command);
    ran.ends_with(
        4,
        &["addresses and numbers: 5; the originals are stored", "towns.csv:4: this row has 2 fields"],
    );
    let run = lab.only_run();
    let results = fs::read_to_string(run.join("results.jsonl")).unwrap();
    let journal =
        String::from_utf8_lossy(&fs::read(lab.path("antiphon-out/antiphon.db")).unwrap()).into_owned();
    for secret in ["Ada", "Byron", "Mill Lane", "0113", "Zed"] {
        for text in [&sent(&server), &results, &journal, &ran.stdout, &ran.stderr] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
    assert!(results.contains("Person 1 lives at 1 Example Street. Call 01632 960001."), "{results}");
    let id = run.file_name().unwrap().to_str().unwrap().to_owned();
    let report = json_file(&run.join("run.json"));
    assert_eq!(
        (&report["anonymised"]["replaced"], &report["anonymised"]["strategy"]),
        (&5.into(), &"replace".into())
    );
    assert!(report["anonymised"]["possible_misses"].is_array(), "{report}");
    let originals = json_file(&lab.path(&format!("antiphon-out/.anonymised/{id}.json")));
    let is_kept = |one: &Value| one["original"] == "Ada Byron" && one["instead"] == "Person 1";
    assert!(originals["replaced"].as_array().unwrap().iter().any(is_kept), "{originals}");
    // A retry reads the rows from the store, and keeps what the report says.
    lab.run("runs retry-failed latest").ends_with(4, &["1 row failed"]);
    assert_eq!(json_file(&run.join("run.json"))["anonymised"]["replaced"], 5);
    // The same command is the same run; with other names it is another one.
    lab.run(&command).ends_with(4, &["with 0 calls"]);
    lab.run(&map("--anonymise redact --yes")).ends_with(4, &["addresses and numbers: 4"]);
    assert_eq!(fs::read_dir(lab.path("antiphon-out/.anonymised")).unwrap().count(), 1);
    lab.run(&map("--names names.txt")).ends_with(2, &["--anonymise"]);
}

#[test]
fn an_encoding_that_is_named_leaves_no_row_as_it_is() {
    let server = Server::start([Reply::chat("fine", "stop")]);
    let lab = towns(&server.url("/v1"), 0);
    lab.file("r.toml", "prompt = \"{{ name }}: {{ note }}\"\n");
    lab.file("towns.csv", b"name,phone,note\nJadwiga Kowalczyk,0113 496 0001,Jadwiga likes the caf\xe9.\n");
    let ran = lab.run(&map("--anonymise redact --encoding windows-1252 --yes"));
    ran.ends_with(0, &["anonymised names, addresses and numbers: 2"]);
    let run = lab.only_run();
    let report = fs::read_to_string(run.join("run.json")).unwrap();
    let page = lab.run("runs report latest --results page.html");
    page.ends_with(0, &[]);
    let page = fs::read_to_string(lab.path("page.html")).unwrap();
    for text in [&sent(&server), &report, &page, &ran.stderr] {
        assert!(!text.contains("Jadwiga") && !text.contains("0113") && !text.contains("towns.csv"), "{text}");
    }
    assert!(sent(&server).contains("caf\u{e9}"), "{}", sent(&server));
}

#[test]
fn notes_are_drafted_without_personal_data() {
    let lab = Lab::new();
    lab.file(
        "ada-byron.md",
        "# Looms\n\nMy name is Ada Byron. I weave cloth by hand, and Byron is my name.\n\n## Contact\n\n- ada@a.example\n",
    );
    let ran = lab.run("content ada-byron.md --offline --anonymise redact --json");
    ran.ends_with(0, &["anonymised names, addresses and numbers: 2"]);
    assert!(!ran.stdout.contains("Byron") && !ran.stdout.contains("a.example"), "{}", ran.stdout);
    let made: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        (&made["pages"][0]["notes"], &made["anonymised"]["replaced"]),
        (&"document-001".into(), &2.into())
    );
    let report = json_file(&lab.only_run().join("run.json"));
    assert_eq!((&report["anonymised"], &report["schema"]), (&made["anonymised"], &"antiphon.map/1".into()));
}

#[test]
fn a_dry_run_with_codes_creates_no_file() {
    let server = Server::start([Reply::chat("fine", "stop")]);
    let lab = towns(&server.url("/v1"), 0);
    lab.file("r.toml", "prompt = \"{{ name }}\"\n");
    lab.file("towns.csv", "name\nAda Byron\n");
    lab.file("talks/p1.txt", "Interviewer: Why?\nAda Byron: I weave cloth by hand, and I am Ada.\n");
    lab.file("ada.md", "# Looms\n\nMy name is Ada Byron. I weave cloth by hand.\n");
    lab.run(&map("--anonymise hash --dry-run")).ends_with(0, &[]);
    lab.run("generate talks --offline --anonymise hash --dry-run").ends_with(0, &[]);
    lab.run("content ada.md --offline --anonymise hash --dry-run").ends_with(0, &[]);
    assert!(!lab.path("antiphon-out").exists());
}

#[test]
fn drafts_of_other_languages_need_a_model() {
    let lab = Lab::new();
    let said = "Ich führe das Lager von Hand, und ich will keine Überraschungen bei der Lieferung, denn das ist mir wichtig.";
    lab.file("de/p1.txt", format!("Interviewer: Wie?\nP1: {said}\n"));
    lab.run("generate de --offline -n 1").ends_with(5, &["p1.txt", "English", "language model"]);
    lab.file(
        "de.md",
        format!("# Ada\n\n{said}\n\n## Auszeichnungen\n\nPreis der Stadt.\n\n![Bild](b.png)\n"),
    );
    let ran = lab.run("content de.md --offline --json");
    ran.ends_with(0, &["left out of the page: pictures: b.png", "not in English"]);
    assert!(ran.stdout.contains("Preis der Stadt."), "{}", ran.stdout);
}
