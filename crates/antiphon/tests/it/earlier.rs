//! Journals that earlier versions wrote: their runs are shown, and resumed where what they name is still there.

use std::fs;

use antiphon::data::{RowFormat, Rows};
use antiphon::engine::Recipe;
use antiphon::operations::{ListFilter, Page, Workspace};
use antiphon::pipeline::content::{ContentRow, recipe as content_recipe};
use antiphon::pipeline::{GenerationConfig, PersonaRecipe, Pipeline};
use antiphon::render::Theme;
use antiphon::runtime::{ConfigFile, Environment, Flags, connect, resolve};
use antiphon_tests::{Reply, Server};
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::program::{Lab, Ran, SAID, answer};

const FORMAT_1: &str = include_str!("earlier/format-1.sql");
const FORMAT_2: &str = include_str!("earlier/format-2.sql");

/// The report of a finished generation, as such a version wrote it.
const REPORT: &str = include_str!("earlier/run.json");

const NOTES: &str = "# Ada\n\nI weave engines of brass and cards. https://github.com/ada/loom\n";

/// Ids as they are, in order.
fn id(number: i64) -> String {
    format!("01900000-0000-7000-8000-{number:012}")
}

/// A journal that is written by hand.
struct Journal {
    connection: Connection,
}

/// A run for a journal: its command, and rows with the results that they have.
struct OldRun<'a> {
    kind: &'a str,
    status: &'a str,
    command: &'a str,
    input: &'a str,
    recipe: &'a str,
    fingerprint: String,
    rows: Vec<(String, Option<String>)>,
    report: Option<&'a str>,
}

impl Journal {
    fn create(lab: &Lab, folder: &str, format: u32) -> Self {
        fs::create_dir_all(lab.path(folder)).unwrap();
        let connection = Connection::open(lab.path(folder).join("antiphon.db")).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection.execute_batch(FORMAT_1).unwrap();
        if format == 2 {
            connection.execute_batch(FORMAT_2).unwrap();
        }
        Self { connection }
    }

    fn add(&self, lab: &Lab, run: &OldRun<'_>) -> String {
        let note = json!({
            "input": run.input, "recipe": run.recipe, "model": "m",
            "arguments": run.command.split(' ').collect::<Vec<_>>(), "folder": lab.path("").display().to_string().trim_end_matches('/'),
        });
        let count: i64 =
            self.connection.query_row("SELECT count(*) FROM runs", [], |row| row.get(0)).unwrap();
        let id = id(count + 1);
        let insert = "INSERT INTO runs (id, fingerprint, kind, request, status, total, created_at, ended_at, report) \
            VALUES (?, ?, ?, ?, ?, ?, 1790000000000, 1790000001000, ?)";
        let values = (
            &id,
            &run.fingerprint,
            run.kind,
            note.to_string(),
            run.status,
            run.rows.len() as i64,
            run.report,
        );
        self.connection.execute(insert, values).unwrap();
        let seq = self.connection.last_insert_rowid();
        for (index, (row, result)) in (0_i64..).zip(&run.rows) {
            let key = (seq << 32) | index;
            self.connection.execute("INSERT INTO rows (key, row) VALUES (?, ?)", (key, row)).unwrap();
            let insert = "INSERT INTO jobs (key, state, attempt, calls, settled, input_tokens, output_tokens, result) \
                VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
            let is_done = i64::from(result.is_some());
            let values =
                (key, 3 * is_done, is_done, is_done, 100 * is_done, 40 * is_done, 9 * is_done, result);
            self.connection.execute(insert, values).unwrap();
        }
        id
    }
}

const MAP: &str = "map towns.csv -r r.toml --provider sim --model m --concurrency 1";

fn lab(url: &str) -> Lab {
    let lab = Lab::new();
    lab.file("towns.csv", "name\nBern\nUlm\nGraz\n");
    lab.file("r.toml", "prompt = \"What is {{ name }} known for?\"\n");
    lab.file("ada.md", NOTES);
    lab.file("antiphon.toml", format!("[providers.sim]\nkind = \"compatible\"\nbase_url = \"{url}\"\n"));
    lab
}

/// The fingerprint of a run over rows, by the formula of those versions.
fn fingerprint(url: &str, recipe: &Recipe, digest: &str, format: Option<&str>, limit: Option<u64>) -> String {
    let parts = json!({
        "kind": "map/1", "recipe": recipe, "model": "m", "provider": "sim", "base_url": url, "variant": null,
        "input": digest, "format": format, "limit": limit,
    });
    blake3::hash(parts.to_string().as_bytes()).to_hex().to_string()
}

fn map_run<'a>(lab: &Lab, url: &str, (status, done): (&'a str, usize), command: &'a str) -> OldRun<'a> {
    let digest = Runtime::new()
        .unwrap()
        .block_on(async { Rows::open_digested(lab.path("towns.csv"), None).await.unwrap().1 });
    let format = command.contains("--format csv").then_some("Csv");
    let limit = command.contains("--limit 3").then_some(3);
    let text = fs::read_to_string(lab.path("r.toml")).unwrap();
    let recipe = Recipe::parse("r.toml", &text).unwrap();
    let towns = ["Bern", "Ulm", "Graz"].iter().enumerate();
    let row = |(index, town): (usize, &&str)| {
        (
            json!({ "name": town }).to_string(),
            (index < done).then(|| json!(format!("old {town}")).to_string()),
        )
    };
    OldRun {
        kind: "map",
        status,
        command,
        input: "towns.csv",
        recipe: "r.toml",
        fingerprint: fingerprint(url, &recipe, &digest, format, limit),
        rows: towns.map(row).collect(),
        report: None,
    }
}

fn persona_run<'a>(
    lab: &Lab,
    (status, is_done): (&'a str, bool),
    command: &'a str,
    input: &'a str,
) -> OldRun<'a> {
    let fingerprint = Runtime::new().unwrap().block_on(async {
        let text = fs::read_to_string(lab.path("antiphon.toml")).unwrap();
        let files = [ConfigFile::parse("antiphon.toml", &text).unwrap()];
        let mut flags = Flags::default();
        (flags.provider, flags.model) = (Some("sim".to_owned()), Some("m".to_owned()));
        let settings = resolve(&flags, &Environment::default(), &files).unwrap();
        let pipeline = Pipeline::over(connect(&settings).await.unwrap().calls);
        let config = GenerationConfig::new(lab.path(input), "m").recipe(PersonaRecipe::default()).count(1);
        pipeline.prepare(&config).await.unwrap().fingerprint.to_string()
    });
    OldRun {
        kind: "generate",
        status,
        command,
        input,
        recipe: "persona (default, 1)",
        fingerprint,
        rows: vec![(json!({ "input": input }).to_string(), is_done.then(answer))],
        report: is_done.then_some(REPORT),
    }
}

fn page(title: &str) -> String {
    json!({
        "brand_name": "Ada", "tagline": null, "hero": { "title": title, "subtitle": "S" }, "repos": [],
        "menu_items": [], "cta": null,
    })
    .to_string()
}

const CONTENT: &str =
    "content ada.md --theme hacker,retro --provider sim --model m --site pages --concurrency 1";

fn content_run(url: &str, done: usize) -> OldRun<'static> {
    let row = |theme: &str| ContentRow::new("ada", NOTES, &Theme::built_in(theme).unwrap().voice).row();
    let rows = [row("hacker"), row("retro")];
    let digest = Rows::digest_of(&rows);
    let format = format!("{:?}", RowFormat::Jsonl);
    let fingerprint = fingerprint(url, &content_recipe(), &digest, Some(&format), None);
    let rows = rows.into_iter().enumerate().map(|(index, row)| (row, (index < done).then(|| page("Old"))));
    let status = if done == 2 { "finished" } else { "stopped" };
    OldRun {
        kind: "map",
        status,
        command: CONTENT,
        input: "ada.md",
        recipe: "portfolio in hacker, retro",
        fingerprint,
        rows: rows.collect(),
        report: None,
    }
}

fn models() -> Reply {
    Reply::json(200, &json!({ "data": [] }))
}

fn json_of(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap()
}

#[track_caller]
fn has_finished(lab: &Lab, run: &str, accepted: u64) {
    let shown = json_of(&lab.run(&format!("runs show {run} --json")));
    assert_eq!((&shown["status"], &shown["accepted"]), (&json!("finished"), &json!(accepted)), "{shown}");
}

/// Returns the number of runs that a filter by kind finds.
fn of_kind(lab: &Lab, kind: &str) -> usize {
    let mut filter = ListFilter::default();
    filter.kind = Some(kind.to_owned());
    let list = async {
        let workspace = Workspace::new(Environment::default(), Vec::new(), lab.path("antiphon-out"));
        let found = workspace.list(&filter, &Page::default()).await.unwrap().runs.len();
        workspace.close().await;
        found
    };
    antiphon::blocking::run(list).unwrap()
}

#[test]
fn their_runs_are_listed_shown_compared_exported_and_reported() {
    for format in [1, 2] {
        let server = Server::start([Reply::chat("new", "stop")]);
        let url = server.url("/v1");
        let lab = lab(&url);
        let journal = Journal::create(&lab, "antiphon-out", format);
        let finished = journal.add(&lab, &map_run(&lab, &url, ("finished", 3), MAP));
        let stopped = journal.add(&lab, &map_run(&lab, &url, ("stopped", 1), &format!("{MAP} --limit 3")));
        let made = journal.add(&lab, &persona_run(&lab, ("finished", true), "generate in --count 1", "in"));
        journal.add(&lab, &content_run(&url, 1));
        drop(journal);
        let list = json_of(&lab.run("runs list --json"));
        let of = |key: &str| {
            list["runs"].as_array().unwrap().iter().map(|run| run[key].clone()).collect::<Vec<_>>()
        };
        assert_eq!(of("kind"), ["map", "map", "personas", "content"]);
        for (kind, found) in [("map", 2), ("personas", 1), ("content", 1)] {
            assert_eq!(of_kind(&lab, kind), found, "{kind}");
        }
        assert_eq!(of("status"), ["finished", "stopped", "finished", "stopped"]);
        assert_eq!(of("accepted"), [3, 1, 1, 1]);
        assert_eq!(of("input"), ["towns.csv", "towns.csv", "in", "ada.md"]);
        let text = lab.run("runs list").stdout;
        assert!(text.contains("2026-09-21T14:13:20Z") && text.contains("towns.csv with r.toml"), "{text}");
        let shown = lab.run(&format!("runs show {stopped}")).stdout;
        assert!(
            shown.contains("rows       1 done, 0 failed, 2 left\n") && shown.contains("model      m\n"),
            "{shown}"
        );
        let exported = lab.run(&format!("runs export {finished}")).stdout;
        assert!(
            exported.starts_with("{\"index\":0,\"row\":{\"name\":\"Bern\"},\"result\":\"old Bern\"}\n"),
            "{exported}"
        );
        assert_eq!(exported.lines().count(), 3);
        let diff = lab.run(&format!("runs diff {finished} {stopped}")).stdout;
        assert!(
            diff.starts_with("1 the same, 0 changed, 2 only in the first, 0 only in the second"),
            "{diff}"
        );
        lab.run(&format!("runs export {made}")).ends_with(5, &["has no personas", "give the command again"]);
        for (run, expected) in [(&finished, "old Graz"), (&made, "in with persona (default, 1)")] {
            let report = lab.run(&format!("runs report {run}"));
            report.ends_with(0, &[]);
            assert!(
                fs::read_to_string(lab.path(report.stdout.trim())).unwrap().contains(expected),
                "{expected}"
            );
        }
        assert_eq!(server.requests().len(), 0, "looking asks nothing");
    }
}

#[test]
fn their_runs_over_rows_are_resumed_and_found_by_the_same_command() {
    for (command, again) in [
        ("--out results.jsonl", ""),
        ("--out=results.jsonl", "--results results.jsonl"),
        ("--format csv --out results.jsonl", ""),
        ("--limit 3 --out results.jsonl", "--max-rows 3 --results results.jsonl"),
    ] {
        let server = Server::start([Reply::chat("new one", "stop"), Reply::chat("new other", "stop")]);
        let url = server.url("/v1");
        let lab = lab(&url);
        let command = format!("map towns.csv -rr.toml --provider sim --model m --concurrency 1 -y {command}");
        let run = Journal::create(&lab, "antiphon-out", 2)
            .add(&lab, &map_run(&lab, &url, ("stopped", 1), &command));
        let line = match again {
            "" => format!("runs resume {}", &run[..34]),
            flags => format!("map towns.csv -r r.toml --provider sim --model m --max-concurrency 1 {flags}"),
        };
        // From another folder the old one is still where its files are.
        lab.run(&line).ends_with(0, &[&format!("resumed run {run} at 1 row")]);
        assert_eq!(server.requests().len(), 2, "{line}");
        let results = fs::read_to_string(lab.path("results.jsonl")).unwrap();
        let results: Vec<Value> = results.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!([&results[0]["result"], &results[2]["result"]], ["old Bern", "new other"]);
        has_finished(&lab, &run, 3);
        lab.run(&format!("runs resume {run}")).ends_with(0, &["already finished", "0 calls"]);
        assert_eq!(server.requests().len(), 2);
    }
}

#[test]
fn what_a_run_of_theirs_lacks_is_named_and_nothing_else_takes_its_place() {
    let server = Server::start([Reply::chat("new", "stop")]);
    let url = server.url("/v1");
    let lab = lab(&url);
    let run = Journal::create(&lab, "antiphon-out", 1).add(&lab, &map_run(&lab, &url, ("stopped", 1), MAP));
    let (recipe, rows) = (fs::read(lab.path("r.toml")).unwrap(), fs::read(lab.path("towns.csv")).unwrap());
    let resume =
        |code: i32, expected: &[&str]| lab.run(&format!("runs resume {run}")).ends_with(code, expected);
    fs::remove_file(lab.path("r.toml")).unwrap();
    resume(3, &["an earlier version stored this run without the text of r.toml", "no such file"]);
    lab.file("r.toml", "prompt = \"Who is from {{ name }}?\"\n");
    resume(2, &[&format!("cannot resume run {run}"), "recipe", "changed"]);
    lab.file("r.toml", recipe);
    fs::remove_file(lab.path("towns.csv")).unwrap();
    resume(2, &["towns.csv", "no such file"]);
    lab.file("towns.csv", "name\nBern\nUlm\nLinz\n");
    resume(2, &["cannot resume run", "input row 3 changed"]);
    lab.file("towns.csv", rows);
    assert_eq!(server.requests().len(), 0, "nothing was asked");
    resume(0, &["at 1 row"]);
    has_finished(&lab, &run, 3);
}

#[test]
fn their_generations_are_resumed_and_shown_again() {
    let command = "generate in --provider sim --model m -n1 --out made";
    let again = "generate in --provider sim --model m --count 1 --out made";
    for (is_done, line) in [
        (false, "runs resume latest --out made"),
        (false, again),
        (true, again),
        (true, "runs resume latest --out made"),
    ] {
        let server = Server::start([models(), Reply::chat(&answer(), "stop")]);
        let lab = lab(&server.url("/v1"));
        let status = if is_done { "finished" } else { "stopped" };
        let run =
            Journal::create(&lab, "made", 2).add(&lab, &persona_run(&lab, (status, is_done), command, "in"));
        let ran = lab.run(line);
        ran.ends_with(0, &[]);
        assert!(ran.stdout.contains("The early closer") && ran.stdout.contains(&run), "{ran:?}");
        assert_eq!(ran.stderr.contains("shown again, with 0 calls"), is_done, "{ran:?}");
        assert_eq!(server.requests().len(), if is_done { 0 } else { 2 });
        let export = lab.run(&format!("runs export {run} --out made"));
        assert!(export.stdout.contains(SAID), "{export:?}");
        fs::remove_dir_all(lab.path("in")).unwrap();
        lab.run(&format!("runs resume {run} --out made")).ends_with(2, &["access in", "no such file"]);
    }
}

#[test]
fn an_experiments_runs_of_theirs_are_resumed_with_what_it_says() {
    let server = Server::start([models(), Reply::chat(&answer(), "stop")]);
    let lab = lab(&server.url("/v1"));
    lab.run("experiment create goats --count 1 --provider sim --model m").ends_with(0, &[]);
    lab.run("experiment add goats in/p1.txt").ends_with(0, &[]);
    let outputs = "experiments/goats/outputs";
    let old = persona_run(&lab, ("stopped", false), "experiment generate goats", "experiments/goats/data");
    let run = Journal::create(&lab, outputs, 2).add(&lab, &old);
    let ran = lab.run(&format!("runs resume latest --out {outputs}"));
    ran.ends_with(0, &["provider: sim"]);
    assert!(ran.stdout.contains(&run), "{ran:?}");
    assert_eq!(server.requests().len(), 2);
    lab.run("experiment generate goats").ends_with(0, &["shown again, with 0 calls"]);
    let readme = fs::read_to_string(lab.path("experiments/goats/README.md")).unwrap();
    assert!(readme.contains("| m | 1 | finished |"), "{readme}");
}

#[test]
fn their_sites_are_built_from_what_is_there_and_what_is_left() {
    for (done, line) in [(1, "runs resume latest"), (2, "runs resume latest"), (1, ""), (2, "")] {
        let server = Server::start([Reply::chat(&page("New"), "stop")]);
        let url = server.url("/v1");
        let lab = lab(&url);
        let run = Journal::create(&lab, "antiphon-out", 2).add(&lab, &content_run(&url, done));
        let again = CONTENT.replace("--concurrency", "--max-concurrency");
        let ran = lab.run(if line.is_empty() { &again } else { line });
        ran.ends_with(0, &[&format!("antiphon-out/{run}")]);
        assert!(ran.stdout.starts_with("2 pages") && ran.stdout.ends_with("pages/index.html\n"), "{ran:?}");
        assert_eq!(server.requests().len(), 2 - done, "{line}");
        assert!(fs::read_to_string(lab.path("pages/ada-hacker.html")).unwrap().contains(">old</h1>"));
        has_finished(&lab, &run, 2);
    }
}
