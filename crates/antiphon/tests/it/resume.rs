//! Runs that stopped are resumed from the store, even if the files that they started with are gone.

use std::fs;
use std::time::Duration;

use antiphon::store::{RunStatus, Store};
use antiphon_sim::{Latency, Scenario, Server as Simulator};
use antiphon_tests::{Received, Reply, Server};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::program::{Lab, Ran, SAID, answer, json_file};

/// More rows than are read ahead of the calls, so that not all are stored while the first are asked about.
const MANY: usize = 40_000;

/// A project in the folder `a` of a lab: rows, interviews, notes, recipes, a theme, and a provider `sim` with prices.
fn project(url: &str, rows: usize) -> Lab {
    let lab = Lab::new();
    let table: String = (0..rows).map(|n| format!("Town {n},{n}\n")).collect();
    lab.file("a/towns.csv", format!("name,number\n{table}"));
    lab.file("a/r.toml", "prompt = \"What is {{ name }} known for?\"\n[parameters]\nmax_tokens = 64\n");
    lab.file("a/talks/p1.txt", format!("Interviewer: Tell me more.\nP1: {SAID}. I hate the paperwork.\n"));
    lab.file("a/people.toml", "count = 1\ndetail = \"brief\"\ninstructions = \"Look at working hours.\"\n");
    lab.file("a/ada.md", "# Ada\n\nI weave engines of brass and cards. https://github.com/ada/loom\n");
    for theme in ["mine", "other"] {
        lab.file(
            &format!("a/{theme}/theme.toml"),
            format!("title = \"{theme}\"\ndescription = \"d\"\n[voice]\ntone = \"As {theme} speaks.\"\n"),
        );
        lab.file(&format!("a/{theme}/style.css"), "body { color: #111; background: #fff }\n");
    }
    lab.file(
        "a/antiphon.toml",
        format!("[providers.sim]\nkind = \"compatible\"\nbase_url = \"{url}\"\n[prices.sim.m]\ninput = 1.0\noutput = 4.0\n"),
    );
    lab
}

/// A simulator with its runtime.
struct Simulated {
    server: Simulator,
    _runtime: Runtime,
}

impl Simulated {
    fn new(scenario: Scenario) -> Self {
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(Simulator::start(scenario, 0)).unwrap();
        Self { server, _runtime: runtime }
    }

    fn project(&self, rows: usize) -> Lab {
        project(&format!("{}/v1", self.server.url()), rows)
    }
}

const MAP: &str = "map towns.csv -r r.toml --provider sim --model m --progress none";

fn page(title: &str) -> Reply {
    let content = json!({
        "brand_name": "Ada", "tagline": null, "hero": { "title": title, "subtitle": "S" }, "repos": [],
        "menu_items": [], "cta": null,
    });
    Reply::chat(&content.to_string(), "stop")
}

fn models() -> Reply {
    Reply::json(200, &json!({ "data": [] }))
}

fn chats(server: &Server) -> Vec<Received> {
    server.requests().into_iter().filter(|seen| seen.line.contains("/chat/")).collect()
}

/// The newest run as `runs show --json` has it.
fn shown(lab: &Lab, folder: &str) -> Value {
    serde_json::from_str(&lab.run_in(folder, "runs show latest --json").stdout).unwrap()
}

/// Moves the whole folder, and removes files from it.
fn moved_without(lab: &Lab, files: &[&str]) {
    fs::rename(lab.path("a"), lab.path("b")).unwrap();
    for file in files {
        let path = lab.path("b").join(file);
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }
}

fn is_sealed(lab: &Lab, folder: &str) -> bool {
    let journal = lab.path(folder).join("antiphon-out/antiphon.db");
    Runtime::new().unwrap().block_on(async {
        let store = Store::open(journal).await.unwrap();
        store.read_run("latest").await.unwrap().record().total.is_some()
    })
}

#[track_caller]
fn keeps_on(ran: &Ran, id: &Value) {
    ran.ends_with(0, &[]);
    assert!(ran.stdout.contains(id.as_str().unwrap()), "{ran:?}");
}

#[test]
fn a_map_run_that_met_its_budget_needs_neither_its_recipe_nor_its_rows_nor_its_place() {
    let simulated = Simulated::new(Scenario::default().answer_tokens(40));
    for format in ["", "--format csv"] {
        let lab = simulated.project(60);
        lab.run_in("a", &format!("{MAP} --max-cost 0.005 {format}")).ends_with(6, &["is used up"]);
        let stopped = shown(&lab, "a");
        let done = stopped["accepted"].as_u64().unwrap();
        assert!((1..60).contains(&done), "{stopped}");
        moved_without(&lab, &["r.toml", "towns.csv"]);
        let before = simulated.server.stats().requests;
        let ran = lab.run_in("b", "runs resume latest --max-cost 1");
        keeps_on(&ran, &stopped["run_id"]);
        assert!(ran.stderr.contains(&format!("at {done} rows")), "{ran:?}");
        assert_eq!(simulated.server.stats().requests - before, 60 - done, "what is done is not asked again");
        let results = fs::read_to_string(lab.path("b").join(ran.stdout.lines().last().unwrap())).unwrap();
        assert_eq!(results.lines().count(), 60);
        assert!(!lab.path("a").exists(), "nothing is written to where it was");
    }
}

#[test]
fn results_go_where_the_folder_has_moved_to() {
    let simulated = Simulated::new(Scenario::default().answer_tokens(40));
    let lab = simulated.project(60);
    lab.run_in("a", &format!("{MAP} --max-cost 0.005 --results made/results.jsonl")).ends_with(6, &[]);
    moved_without(&lab, &[]);
    fs::create_dir(lab.path("elsewhere")).unwrap();
    let ran = lab.run_in("b", "runs resume latest --max-cost 0.006");
    ran.ends_with(6, &[]);
    assert!(ran.stdout.ends_with("\nmade/results.jsonl\n"), "{ran:?}");
    lab.file("elsewhere/antiphon.toml", fs::read(lab.path("b/antiphon.toml")).unwrap());
    lab.run_in("elsewhere", "runs resume latest --max-cost 1 --out ../b/antiphon-out").ends_with(0, &[]);
    let results = fs::read_to_string(lab.path("b/made/results.jsonl")).unwrap();
    assert_eq!((results.lines().count(), lab.path("a").exists()), (60, false));
}

/// A map run that is killed when a part of its rows is stored.
fn killed_while_reading(simulated: &Simulated) -> Lab {
    let lab = simulated.project(MANY);
    let answered = simulated.server.stats().answered;
    let line = format!("{MAP} --max-concurrency 4 --yes");
    lab.kill_in("a", &line, || simulated.server.stats().answered >= answered + 8);
    assert!(!is_sealed(&lab, "a"), "all rows were read before it was killed");
    lab
}

#[test]
fn a_map_run_that_was_killed_while_it_read_finds_its_rows_where_both_have_moved() {
    let simulated = Simulated::new(Scenario::default().latency(Latency::Fixed(Duration::from_millis(5))));
    let lab = killed_while_reading(&simulated);
    let id = shown(&lab, "a")["run_id"].clone();
    moved_without(&lab, &["r.toml"]);
    let before = simulated.server.stats().requests;
    let ran = lab.run_in("b", "runs resume latest --max-cost 0.01");
    ran.ends_with(6, &["resumed run", id.as_str().unwrap()]);
    assert!(simulated.server.stats().requests > before);
    let resumed = shown(&lab, "b");
    assert_eq!(resumed["run_id"], id);
    assert!(resumed["accepted"].as_u64() > Some(8), "{resumed}");
}

#[test]
fn a_map_run_that_lacks_rows_is_refused_where_its_input_is_gone_or_another() {
    let simulated = Simulated::new(Scenario::default().latency(Latency::Fixed(Duration::from_millis(5))));
    let lab = killed_while_reading(&simulated);
    let (input, before) = (lab.path("a/towns.csv"), simulated.server.stats().requests);
    let rows = fs::read_to_string(&input).unwrap();
    fs::remove_file(&input).unwrap();
    lab.run_in("a", "runs resume latest").ends_with(2, &["towns.csv", "no such file"]);
    fs::write(&input, rows.replace("Town 3,", "Village 3,")).unwrap();
    lab.run_in("a", "runs resume latest")
        .ends_with(2, &["cannot resume run", ": input row 4 changed", "use --fresh"]);
    assert_eq!(simulated.server.stats().requests, before, "nothing was asked");
    fs::write(&input, rows).unwrap();
    lab.run_in("a", "runs resume latest --max-cost 0.01").ends_with(6, &["resumed run"]);
}

#[test]
fn a_run_whose_provider_is_another_is_refused_by_what_differs() {
    let simulated = Simulated::new(Scenario::default().answer_tokens(40));
    let lab = simulated.project(60);
    lab.run_in("a", &format!("{MAP} --max-cost 0.005")).ends_with(6, &[]);
    let before = simulated.server.stats().requests;
    let config = lab.path("a/antiphon.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("127.0.0.1", "localhost")).unwrap();
    let ran = lab.run_in("a", "runs resume latest --max-cost 1");
    ran.ends_with(2, &["cannot resume run", ": base URL was http://127.0.0.1:", " and is http://localhost:"]);
    assert_eq!(simulated.server.stats().requests, before);
    fs::write(&config, text).unwrap();
    lab.run_in("a", "runs resume latest --max-cost 1").ends_with(0, &["resumed run"]);
}

#[test]
fn rows_from_stdin_are_resumed_from_the_store() {
    let simulated = Simulated::new(Scenario::default().answer_tokens(40));
    let lab = simulated.project(60);
    let line = MAP.replace("towns.csv", "-") + " --max-cost 0.005";
    let rows = fs::File::open(lab.path("a/towns.csv")).unwrap();
    let output = lab.command(&line).current_dir(lab.path("a")).stdin(rows).output().unwrap();
    Ran::new(output).ends_with(6, &[]);
    moved_without(&lab, &["r.toml", "towns.csv"]);
    lab.run_in("b", "runs resume latest --max-cost 1").ends_with(0, &["resumed run"]);
    assert_eq!(shown(&lab, "b")["accepted"], 60);
}

#[test]
fn a_persona_run_that_was_killed_needs_neither_its_recipe_nor_its_interviews_nor_its_place() {
    let stalls = Reply::raw("").and_stall();
    let server = Server::start([models(), stalls, models(), Reply::chat(&answer(), "stop")]);
    let lab = project(&server.url("/v1"), 1);
    let line = "generate talks --recipe people.toml --provider sim --model m";
    lab.kill_in("a", line, || chats(&server).len() == 1);
    let id = shown(&lab, "a")["run_id"].clone();
    moved_without(&lab, &["people.toml", "talks"]);
    let ran = lab.run_in("b", "runs resume latest");
    keeps_on(&ran, &id);
    assert!(ran.stdout.contains("The early closer") && ran.stdout.contains("possibly billed"), "{ran:?}");
    let asked = chats(&server);
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].body["messages"], asked[1].body["messages"], "it asks what it asked");
    assert!(asked[1].body.to_string().contains("Look at working hours."));
    let report = json_file(&lab.path("b/antiphon-out").join(id.as_str().unwrap()).join("run.json"));
    assert_eq!((&report["status"], &report["preset"]), (&json!("finished"), &json!("people")));
}

#[test]
fn a_persona_run_that_met_its_budget_is_resumed_with_a_higher_one_from_another_place() {
    let server = Server::start([models(), models(), Reply::chat(&answer(), "stop")]);
    let lab = project(&server.url("/v1"), 1);
    let line = "generate talks --recipe people.toml --provider sim --model m --max-cost 0.000001";
    lab.run_in("a", line).ends_with(6, &["the budget of $0.000001 is too small"]);
    assert_eq!((chats(&server).len(), &shown(&lab, "a")["status"]), (0, &json!("stopped")));
    moved_without(&lab, &["people.toml", "talks"]);
    lab.run_in("b", "runs resume latest").ends_with(6, &["the budget of $0.000001 is too small"]);
    lab.run_in("b", "runs resume latest --max-cost 50").ends_with(0, &[]);
    assert_eq!((chats(&server).len(), &shown(&lab, "b")["status"]), (1, &json!("finished")));
}

#[test]
fn a_content_run_that_met_its_deadline_needs_neither_its_theme_nor_its_notes_nor_its_place() {
    let slow = Reply::raw("").then(Duration::from_millis(1_200), "").followed_by(page("One"));
    let server = Server::start([slow, page("Two")]);
    let lab = project(&server.url("/v1"), 1);
    let line =
        "content ada.md --theme ./mine/,./other/ --site site --provider sim --model m --max-concurrency 1";
    lab.run_in("a", &format!("{line} --deadline 1")).ends_with(4, &["the deadline has passed"]);
    let id = shown(&lab, "a")["run_id"].clone();
    assert_eq!(chats(&server).len(), 1);
    moved_without(&lab, &["mine", "other", "ada.md"]);
    let ran = lab.run_in("b", &format!("runs resume {} --deadline 60", id.as_str().unwrap()));
    ran.ends_with(0, &[]);
    assert!(ran.stdout.starts_with("2 pages"), "{ran:?}");
    let asked = chats(&server);
    assert_eq!(asked.len(), 2, "the page that is there is not asked for again");
    assert!(asked[1].body.to_string().contains("As other speaks."), "{:?}", asked[1].body);
    let site = fs::read_dir(lab.path("b/site")).unwrap();
    let mut names: Vec<_> = site.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["ada-mine.html", "ada-other.html", "index.html"]);
}

#[test]
fn a_run_is_data_in_the_store() {
    let simulated = Simulated::new(Scenario::default().answer_tokens(40));
    let lab = simulated.project(60);
    lab.run_in("a", &format!("{MAP} --max-cost 0.005 --deadline 30 --priority low --attempts 3"))
        .ends_with(6, &[]);
    let shown = shown(&lab, "a");
    let request = &shown["request"];
    assert_eq!(request["schema"], "antiphon.request/1");
    assert!(request["recipe"]["text"].as_str().unwrap().contains("known for?"), "{request}");
    assert_eq!(
        request["limits"],
        json!({ "max_cost_usd_micros": 5_000, "attempts": 3, "deadline_seconds": 30.0, "priority": "low" })
    );
    let journal = lab.path("a/antiphon-out/antiphon.db");
    Runtime::new().unwrap().block_on(async {
        let run = Store::open(journal).await.unwrap().read_run("latest").await.unwrap();
        assert_eq!((run.record().status, run.record().total), (RunStatus::Stopped, Some(60)));
    });
}
