use std::fs;

use antiphon_tests::{Reply, Server};
use serde_json::{Value, json};

use crate::program::{Lab, SAID, answer, json_file};

#[test]
fn the_main_job_needs_no_key_and_no_network() {
    let lab = Lab::new();
    let ran = lab.run("generate in --offline --count 2");
    ran.ends_with(0, &["no language model", "2 documents loaded"]);
    let run = lab.only_run();
    assert!(
        ran.stdout
            .contains(&format!("antiphon-out/{}/personas.html", run.file_name().unwrap().to_str().unwrap()))
    );
    let report = json_file(&run.join("run.json"));
    assert_eq!(
        (&report["schema"], &report["status"], &report["model_used"]),
        (&json!("antiphon.run/1"), &json!("finished"), &json!(false))
    );
    assert_eq!((&report["documents"][0]["name"], &report["cost_usd_micros"]), (&json!("p1.txt"), &json!(0)));
    assert_eq!(json_file(&run.join("personas.json"))["personas"].as_array().unwrap().len(), 2);
    assert_eq!(fs::read_dir(run.join("personas")).unwrap().count(), 2);
    let page = fs::read_to_string(run.join("personas.html")).unwrap();
    assert!(
        page.contains("No language model was used")
            && !page.contains("http://")
            && !page.contains("https://")
    );
    let text = fs::read_to_string(run.join("run.json")).unwrap();
    assert!(text.starts_with("{\n  \"schema\": \"antiphon.run/1\""));
}

#[test]
fn a_server_that_speaks_openai_does_the_same_job() {
    let server = Server::start([Reply::json(200, &json!({ "data": [] })), Reply::chat(&answer(), "stop")]);
    let lab = Lab::new();
    let ran = lab.ask(&server.url("/v1"), "--json");
    ran.ends_with(0, &["model m"]);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(ran.stdout.starts_with("{\n  \"schema\": \"antiphon.generate/1\""));
    let run = &document["runs"][0];
    assert_eq!(run["personas"][0]["quotes"][0]["text"], format!("{SAID}."));
    assert_eq!((&run["report"]["calls"], &run["report"]["cost_usd_micros"]), (&json!(1), &json!(null)));
}

#[test]
fn personas_without_evidence_are_named_first_and_score_nothing() {
    let made_up = answer().replace(SAID, "Every day I dream of the open sea");
    let server = Server::start([Reply::json(200, &json!({ "data": [] })), Reply::chat(&made_up, "stop")]);
    let lab = Lab::new();
    let ran = lab.ask(&server.url("/v1"), "");
    let only = "persona-001: its only claim has no evidence in a participant's words (evidence, warning)";
    ran.ends_with(0, &[only, "validation score: 0 of 100"]);
    assert!(ran.stderr.find(only) < ran.stderr.find("no verified quotes"), "{}", ran.stderr);
    let run = lab.only_run();
    let validation = &json_file(&run.join("run.json"))["validation"];
    assert_eq!((&validation["score"], &validation["findings"][0]["rule"]), (&json!(0), &json!("evidence")));
    let markdown = fs::read_to_string(run.join("personas/01-the-early-closer.md")).unwrap();
    assert!(markdown.contains("**The only claim has no evidence in a participant's words.**"), "{markdown}");
    assert!(markdown.contains("- Close early *(no evidence)*"), "{markdown}");
    let page = fs::read_to_string(run.join("personas.html")).unwrap();
    assert!(page.contains("Close early <span class=\"mark\">no evidence</span>"), "{page}");
    let report = fs::read_to_string(lab.path(lab.run("runs report latest").stdout.trim())).unwrap();
    assert!(report.contains("<dt>Claims with evidence</dt><dd>0 of 1</dd>"), "{report}");
    assert!(report.contains("Close early <span class=\"open\">no evidence</span>"), "{report}");
}

#[test]
fn the_same_command_again_shows_the_finished_run_without_a_call() {
    let server = Server::start([Reply::json(200, &json!({ "data": [] })), Reply::chat(&answer(), "stop")]);
    let lab = Lab::new();
    let first = lab.ask(&server.url("/v1"), "");
    let calls = server.requests().len();
    let second = lab.ask(&server.url("/v1"), "");
    second.ends_with(0, &["shown again, with 0 calls"]);
    assert_eq!((second.stdout, server.requests().len()), (first.stdout, calls));
    lab.file("in/p1.txt", format!("P1: {SAID} and on Tuesdays.\n"));
    lab.ask(&server.url("/v1"), "").ends_with(0, &[]);
    assert!(server.requests().len() > calls, "another document makes another run");
    let calls = server.requests().len();
    lab.ask(&server.url("/v1"), "--fresh").ends_with(0, &[]);
    assert!(server.requests().len() > calls);
}

#[test]
fn a_fresh_run_that_failed_is_resumed_without_the_flag() {
    let server = Server::start([Reply::new(400, "text/plain", "no")]);
    let lab = Lab::new();
    let ran = lab.ask(&server.url("/v1"), "--fresh");
    ran.ends_with(5, &["run the same command without --fresh to resume"]);
    assert!(!ran.stderr.contains("same command again"), "it would start another run: {}", ran.stderr);
    let again = lab.ask(&server.url("/v1"), "");
    assert_eq!((again.code, again.stderr.contains("--fresh")), (Some(5), false), "{}", again.stderr);
}

#[test]
fn one_failed_input_loses_no_other() {
    let lab = Lab::new();
    let ran = lab.run("generate --each in missing --offline --count 1 --json");
    ran.ends_with(4, &["missing: ", "no such file or folder"]);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["runs"][0]["personas"].as_array().unwrap().len(), 1);
    assert!(document["runs"][1]["error"].as_str().unwrap().contains("no such file"));
}

#[test]
fn files_that_cannot_be_used_are_named_with_their_line() {
    let lab = Lab::new();
    lab.file("in/bad.json", "{\n \"a\": 1,\n}");
    lab.file("in/picture.png", "x");
    let ran = lab.run("generate in --offline --count 1");
    ran.ends_with(4, &["left out bad.json:3: not valid JSON", "skipped picture.png"]);
    assert_eq!(json_file(&lab.only_run().join("run.json"))["failures"][0]["line"], 3);
}

#[test]
fn a_file_that_became_unusable_is_named_beside_the_finished_run_of_the_others() {
    let lab = Lab::new();
    lab.run("generate in --offline --count 1").ends_with(0, &[]);
    lab.file("in/bad.json", "{");
    let left_out = "left out bad.json:1: not valid JSON";
    let ran = lab.run("generate in --offline --count 1");
    ran.ends_with(4, &[left_out, "shown again, with 0 calls"]);
    assert_eq!(json_file(&lab.only_run().join("run.json"))["failures"][0]["document"], "bad.json");
    fs::remove_file(lab.path("in/bad.json")).unwrap();
    lab.run("generate in --offline --count 1").ends_with(0, &["shown again, with 0 calls"]);
    assert_eq!(json_file(&lab.only_run().join("run.json"))["failures"], json!([]));
    lab.file("in/bad.json", "{");
    lab.run("generate in --offline --count 1 --fresh").ends_with(4, &[left_out]);
    lab.run("runs resume latest").ends_with(4, &[left_out, "shown again"]);
}

#[test]
fn several_inputs_are_one_run_in_any_order_and_each_is_one_on_request() {
    let lab = Lab::new();
    lab.file("more/p3.txt", "P3: I want to sell honey at the market. I hate the long drive there.\n");
    let ran = lab.run("generate in/p1.txt more in/p2.md --offline --count 2");
    ran.ends_with(0, &["3 documents loaded"]);
    assert!(ran.stdout.starts_with("2 personas from 3 documents in in/p1.txt, more, in/p2.md ("), "{ran:?}");
    let report = json_file(&lab.only_run().join("run.json"));
    let names = |report: &Value| -> Vec<Value> {
        report["documents"].as_array().unwrap().iter().map(|document| document["name"].clone()).collect()
    };
    assert_eq!(names(&report), ["p1.txt", "p2.md", "p3.txt"]);
    lab.run("generate more in --offline --count 2").ends_with(0, &["shown again, with 0 calls"]);
    lab.run("runs resume latest").ends_with(0, &["shown again"]);
    assert!(lab.run("runs list").stdout.ends_with("in/p1.txt, more, in/p2.md with default\n"));
    lab.file("more/p1.txt", "P9: I want another thing, and I hate to wait for it.\n");
    let ran = lab.run("generate in more --offline --count 2 --json");
    ran.ends_with(0, &[]);
    let made: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(made["runs"][0]["input"], "in, more");
    assert_eq!(names(&made["runs"][0]["report"]), ["in/p1.txt", "in/p2.md", "more/p1.txt", "more/p3.txt"]);
    let planned = lab.run("generate in more --offline --dry-run");
    assert!(planned.stdout.starts_with("4 documents in in, more: "), "{planned:?}");
    let ran = lab.run("generate in more --each --offline --count 1");
    ran.ends_with(0, &[]);
    assert_eq!(ran.stdout.matches(" persona from 2 documents in ").count(), 2, "{ran:?}");
    lab.run("generate in missing --offline").ends_with(2, &["missing: no such file or folder"]);
}

#[test]
fn progress_can_be_read_by_programs_and_quiet_is_quiet() {
    let lab = Lab::new();
    let ran = lab.run("generate in --offline --count 1 --progress json");
    assert!(
        ran.stderr
            .lines()
            .any(|line| serde_json::from_str::<Value>(line).is_ok_and(|line| line["jobs_done"] == 1)),
        "{}",
        ran.stderr
    );
    assert_eq!(lab.run("generate in --offline --count 1 --fresh --quiet").stderr, "");
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let lab = Lab::new();
    let mut child = lab
        .command("generate in --offline --count 1")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && !stderr.contains("error"), "{stderr}");
}

/// An answer with personas that say these goals, each with a name.
fn drafts(personas: &[(&str, &str)]) -> Reply {
    Reply::chat(&drafts_text(personas), "stop")
}

pub(crate) fn drafts_text(personas: &[(&str, &str)]) -> String {
    let whole: Value = serde_json::from_str(&answer()).unwrap();
    let draft = |(name, goal): &(&str, &str)| {
        let mut draft = whole["personas"][0].clone();
        (draft["name"], draft["title"], draft["goals"][0]["claim"]) = (json!(name), json!(goal), json!(goal));
        draft
    };
    let drafts: Vec<Value> = personas.iter().map(draft).collect();
    json!({ "personas": drafts }).to_string()
}

#[test]
fn a_near_duplicate_persona_is_replaced_and_reported_on_the_page() {
    let (early, goats) = ("wants to close early on Mondays", "would rather feed goats than people");
    let models = Reply::json(200, &json!({ "data": [] }));
    let replies = [models, drafts(&[("Ada", early), ("Bea", early)]), drafts(&[("Cy", goats)])];
    let server = Server::start(replies);
    let lab = Lab::new();
    let ran = lab.ask(&server.url("/v1"), "--count 2");
    ran.ends_with(
        0,
        &[
            "rejected Bea: near duplicate of Ada, 100 % similar",
            "1 of 2 documents quoted by no persona: p2.md",
        ],
    );
    let run = lab.only_run();
    let report = json_file(&run.join("run.json"));
    assert_eq!((&report["calls"], &report["refused"][0]["like"]), (&json!(2), &json!("Ada")));
    let names: Vec<_> = json_file(&run.join("personas.json"))["personas"]
        .as_array()
        .unwrap()
        .iter()
        .map(|persona| persona["name"].clone())
        .collect();
    assert_eq!(names, ["Ada", "Cy"]);
    assert!(fs::read_to_string(run.join("personas.html")).unwrap().contains("Rejected as near duplicates"));
}

#[test]
fn personas_that_are_missing_are_a_failure_by_name_and_no_loss_of_the_others() {
    let models = Reply::json(200, &json!({ "data": [] }));
    let server = Server::start([models, drafts(&[("Ada", "closes early"), ("Bea", "closes early")])]);
    let lab = Lab::new();
    let ran = lab.ask(&server.url("/v1"), "--count 2");
    ran.ends_with(4, &["asked for 2 personas, got 1: the others were near duplicates"]);
    assert_eq!(json_file(&lab.only_run().join("run.json"))["failures"].as_array().unwrap().len(), 1);
    let again = lab.ask(&server.url("/v1"), "--count 2");
    again.ends_with(4, &["shown again, with 0 calls", "got 1: the others were near duplicates"]);
}

#[test]
fn personas_that_are_there_outlive_a_bad_answer_about_the_others() {
    let early = "wants to close early on Mondays";
    for bad in [
        Reply::chat("{\"personas\": []}", "stop"),
        Reply::chat("I am sorry.", "stop"),
        Reply::json(400, &json!({})),
    ] {
        let models = Reply::json(200, &json!({ "data": [] }));
        let server = Server::start([models, drafts(&[("Ada", early), ("Bea", early)]), bad]);
        let lab = Lab::new();
        let ran = lab.ask(&server.url("/v1"), "--count 2");
        ran.ends_with(4, &["asked for 2 personas, got 1: the others were near duplicates"]);
        assert!(ran.stdout.contains("Ada"), "{ran:?}");
    }
}

#[test]
fn a_recipe_file_has_rules_and_looking_at_an_answer_by_other_ones_costs_nothing() {
    let server = Server::start([Reply::json(200, &json!({ "data": [] })), Reply::chat(&answer(), "stop")]);
    let lab = Lab::new();
    lab.file(
        "own.toml",
        "count = 1\n[[rule]]\nname = \"two goals\"\nlevel = \"error\"\nat = \"/goals\"\nmin = 2\n",
    );
    lab.ask(&server.url("/v1"), "").ends_with(0, &[]);
    let calls = server.requests().len();
    let line = format!(
        "generate in --provider compatible --base-url {} --model m --recipe own.toml",
        server.url("/v1")
    );
    let ran = lab.run(&line);
    // A finding at the error level ends with 4.
    ran.ends_with(
        4,
        &["with 0 calls", "persona-001: /goals: its length is 1, and 2 is the least (two goals, error)"],
    );
    let chats =
        server.requests().iter().skip(calls).filter(|seen| seen.line.contains("/completions")).count();
    assert_eq!(chats, 0);
    let report = json_file(&lab.only_run().join("run.json"));
    assert_eq!(
        (&report["preset"], &report["validation"]["findings"][0]["level"]),
        (&json!("own"), &json!("error"))
    );
    lab.file("own.toml", "[[rule]]\nname = \"x\"\nat = \"/gaols\"\nmin = 2\n");
    lab.run(&line).ends_with(2, &["personas have nothing at /gaols; did you mean /goals?"]);
    lab.file("own.toml", "detial = 1\n");
    lab.run(&line).ends_with(2, &["own.toml:1: unknown key detial; did you mean detail?"]);
}

#[test]
fn documents_that_do_not_fit_are_distilled_once_for_all_that_is_drawn_from_them() {
    let long = "I usually feed the goats before dawn. ".repeat(400);
    let noted = json!({ "findings": [
        { "claim": "Close early", "document": "d1", "quote": SAID },
        { "claim": "Feeds goats", "document": "d1", "quote": "I usually feed the goats before dawn." },
    ] });
    let noted = || Reply::chat(&noted.to_string(), "stop");
    let models = json!({ "data": [{ "id": "m", "max_model_len": 4096 }] });
    let models = || Reply::json(200, &models);
    let goats = Reply::chat(&answer().replace(SAID, "I usually feed the goats before dawn."), "stop");
    let server =
        Server::start([models(), noted(), noted(), noted(), Reply::chat(&answer(), "stop"), models(), goats]);
    let lab = Lab::new();
    lab.file("in/p3.txt", format!("P3: {long}\n"));
    let ran = lab.ask(&server.url("/v1"), "--json");
    ran.ends_with(
        0,
        &[
            "exceed the model's context window of 4096 tokens: distilling 3 parts first",
            "3 of 3 parts distilled",
        ],
    );
    let made: Value = serde_json::from_str(&ran.stdout).unwrap();
    let report = &made["runs"][0]["report"];
    let distilled = &report["distilled"];
    assert_eq!(
        (&report["calls"], &distilled["calls"], &distilled["findings"]),
        (&json!(4), &json!(3), &json!(3))
    );
    let calls = server.requests().len();
    lab.ask(&server.url("/v1"), "").ends_with(0, &["with 0 calls"]);
    // Other settings for the same documents: the findings are reused.
    let other = lab.ask(&server.url("/v1"), "--detail brief --json");
    other.ends_with(0, &[]);
    let other: Value = serde_json::from_str(&other.stdout).unwrap();
    let report = &other["runs"][0]["report"];
    assert_eq!((&report["calls"], &report["distilled"]["calls"]), (&json!(1), &json!(3)));
    let chats = |seen: &&antiphon_tests::Received| seen.line.contains("/completions");
    assert_eq!(server.requests().iter().skip(calls).filter(chats).count(), 1);
    assert!(lab.run("runs list").stdout.contains("with distil"));
    let latest: Value = serde_json::from_str(&lab.run("runs show latest --json").stdout).unwrap();
    assert_eq!(latest["kind"], "personas");
}

#[test]
fn without_distillation_documents_that_are_too_long_fail_before_any_call() {
    let models = json!({ "data": [{ "id": "m", "max_model_len": 4096 }] });
    let server = Server::start([Reply::json(200, &models)]);
    let lab = Lab::new();
    lab.file("in/p3.txt", format!("P3: {}\n", "I usually feed the goats before dawn. ".repeat(400)));
    lab.ask(&server.url("/v1"), "--distil never").ends_with(5, &["and m takes 4096"]);
    assert!(server.requests().iter().all(|seen| !seen.line.contains("/completions")));
}

#[test]
fn names_leave_the_machine_only_anonymised() {
    use std::os::unix::fs::PermissionsExt;
    let said = "I hate the paperwork in Ulm";
    let quoted = answer().replace(SAID, said);
    let replies = [Reply::json(200, &json!({ "data": [] })), Reply::chat(&quoted, "stop")];
    let server = Server::start(replies);
    let lab = Lab::new();
    fs::remove_dir_all(lab.path("in")).unwrap();
    lab.file(
        "in/anna-lee.txt",
        format!("Interviewer: Hello Anna.\nAnna Lee: {said}. Mail anna@lee.example, or ask Zedekiah.\n"),
    );
    lab.file("names.txt", "Zedekiah\n");
    let ran = lab.ask(&server.url("/v1"), "--anonymise replace --names names.txt");
    ran.ends_with(0, &["addresses and numbers: 3; the originals are stored in .anonymised/"]);
    let sent = server.requests().iter().map(|seen| seen.body.to_string()).collect::<String>();
    for secret in ["Anna", "Lee", "anna", "Zedekiah"] {
        assert!(!sent.contains(secret), "{secret}: {sent}");
        assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{ran:?}");
    }
    assert!(sent.contains("Person 1: I hate the paperwork in Ulm"), "{sent}");
    let run = lab.only_run();
    let written = ["run.json", "personas.json", "personas.html"]
        .map(|name| fs::read_to_string(run.join(name)).unwrap());
    assert!(written.iter().all(|text| !text.contains("Anna") && !text.contains("anna")));
    assert_eq!(json_file(&run.join("personas.json"))["personas"][0]["quotes"][0]["line"], 2);
    assert_eq!(json_file(&run.join("run.json"))["anonymised"]["replaced"], 3);
    let id = run.file_name().unwrap().to_str().unwrap().to_owned();
    let map = lab.path(&format!("antiphon-out/.anonymised/{id}.json"));
    assert_eq!(fs::metadata(&map).unwrap().permissions().mode() & 0o777, 0o600);
    let is_mapped =
        json_file(&map)["replaced"].as_array().unwrap().iter().any(|one| one["original"] == "Anna Lee");
    assert!(is_mapped);
    // Without anonymisation it is another run.
    lab.ask(&server.url("/v1"), "").ends_with(0, &[]);
    lab.ask(&server.url("/v1"), "--anonymise redact").ends_with(0, &[]);
    assert_eq!(
        fs::read_dir(lab.path("antiphon-out/.anonymised")).unwrap().count(),
        1,
        "redaction stores no originals"
    );
    lab.ask(&server.url("/v1"), "--anonymise hash").ends_with(0, &[]);
    lab.ask(&server.url("/v1"), "--anonymise hash").ends_with(0, &["with 0 calls"]);
    lab.run("generate in --names names.txt").ends_with(2, &["--anonymise"]);
}

#[test]
fn documents_come_from_the_open_internet_by_https_alone_unless_allowed() {
    let page = "<h1>Talk</h1><p>Interviewer: How?</p><p>P1: I want to sleep for longer. I hate the noise in this street.</p>";
    let server = Server::start([Reply::new(200, "text/html; charset=utf-8", page)]);
    let lab = Lab::new();
    let url = server.url("/talks/one?token=topsecret");
    lab.run(&format!("generate {url} -n 1")).ends_with(2, &["fetched by https only"]);
    let secure = url.replace("http://", "https://");
    lab.run(&format!("generate {secure} -n 1")).ends_with(2, &["to this machine or to a private network"]);
    lab.run(&format!("generate {secure} --offline")).ends_with(2, &["--offline uses no network"]);
    assert_eq!(server.requests().len(), 0, "nothing was asked of it");
    let ran = lab.run(&format!("generate {url} -n 1 --allow-local --json"));
    ran.ends_with(0, &["fetched http://127.0.0.1", "one.html"]);
    let made: Value = serde_json::from_str(&ran.stdout).unwrap();
    let run = &made["runs"][0];
    assert_eq!(run["personas"][0]["goals"][0], "I want to sleep for longer.");
    assert_eq!(run["report"]["documents"][0]["format"], "html");
    let source = std::path::Path::new(run["input"].as_str().unwrap()).with_file_name(".source.json");
    assert!(json_file(&lab.path(source.to_str().unwrap()))["fetched_at"].is_string());
    let shown = lab.run("runs show latest --json").stdout;
    assert!(!shown.contains("topsecret") && !ran.stderr.contains("topsecret"), "{shown}");
    lab.run("runs resume latest").ends_with(0, &["with 0 calls"]);
}

#[test]
fn without_a_terminal_an_expensive_generation_is_refused_before_any_call() {
    let server = Server::start([Reply::json(200, &json!({ "data": [] })), Reply::chat(&answer(), "stop")]);
    let lab = Lab::new();
    lab.file("antiphon.toml", "[prices.compatible.m]\ninput = 2000.0\noutput = 9000.0\n");
    let ran = lab.ask(&server.url("/v1"), "");
    ran.ends_with(2, &["cannot start: this run may cost ", "--max-cost", "--yes"]);
    assert!(server.requests().iter().all(|request| !request.line.contains("chat")), "{ran:?}");
    lab.ask(&server.url("/v1"), "--yes").ends_with(0, &[]);
}

#[test]
fn a_run_whose_cost_was_planned_reports_its_documents_once() {
    let server = Server::start([Reply::json(200, &json!({ "data": [] })), Reply::chat(&answer(), "stop")]);
    let lab = Lab::new();
    lab.file("antiphon.toml", "[prices.compatible.m]\ninput = 0.01\noutput = 0.01\n");
    let ran = lab.ask(&server.url("/v1"), "");
    ran.ends_with(0, &[]);
    assert_eq!(ran.stderr.matches("documents loaded").count(), 1, "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("provider: ").count(), 1, "{}", ran.stderr);
}

#[test]
fn an_encoding_that_is_not_utf_8_is_named_on_the_screen_and_can_be_settled() {
    let lab = Lab::new();
    let cyrillic =
        b"\xc0\xed\xe0: \xdf \xef\xe8\xf8\xf3 \xed\xe0 \xf5\xee\xeb\xee\xe4\xe8\xeb\xfc\xed\xe8\xea\xe5.\n";
    lab.file("talks/a.txt", [&cyrillic[..], cyrillic].concat());
    lab.run("generate talks --offline --count 1").ends_with(5, &["--encoding windows-1251"]);
    let named = lab.run("generate talks --offline --count 1 --encoding cp1251");
    // Drafts are for English, so that this run fails behind the reading.
    named.ends_with(5, &["Ана: participant"]);
    assert!(!named.stderr.contains("read as"), "{}", named.stderr);
    lab.file("cafe/a.txt", b"Interviewer: Why?\nAna: I like the caf\xe9 since it is warm there, and I want to sit by the oven every morning.\n");
    let guessed = lab.run("generate cafe --offline --count 1");
    guessed.ends_with(0, &["a.txt: read as windows-1252; use --encoding NAME if the letters are wrong"]);
    lab.run("generate talks --offline --encoding klingon")
        .ends_with(2, &["klingon is no name of an encoding"]);
}
