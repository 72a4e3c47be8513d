//! The operations as a library has them: data in, data out.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon::data::Strategy;
use antiphon::engine::{Destination, Lines, Order, RunEvent, RunLimits};
use antiphon::llm::SamplingParams;
use antiphon::operations::{
    Anonymise, CurrentStatus, ExperimentStart, Experiments, ExportFormat, Hint, ListFilter, OperationError,
    OperationErrorKind, OutputOptions, Page, PruneFilter, Pruned, RecipeSource, RunKind, RunOutcome,
    RunRequest, RunResult, Watch, Workspace,
};
use antiphon::pipeline::PersonaRecipe;
use antiphon::pipeline::experiment::{AddMode, Definition, PersonaDefaults};
use antiphon::render::Theme;
use antiphon::runtime::{ConfigFile, Environment};
use antiphon::store::Store;
use antiphon_tests::{Reply, Server};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::program::Lab;

/// A workspace in a lab, over a server that says `words` to everything.
struct Place {
    lab: Lab,
    server: Server,
    workspace: Workspace,
}

impl Place {
    fn new(words: &str) -> Self {
        let (lab, server) = (Lab::new(), Server::start([Reply::chat(words, "stop")]));
        let workspace = Workspace::new(Environment::default(), files(&server), lab.path("out"));
        Self { lab, server, workspace }
    }

    /// A request over `count` towns.
    fn towns(&self, count: usize) -> RunRequest {
        let table: String = (0..count).map(|n| format!("Town {n}\n")).collect();
        let name = format!("towns-{count}.csv");
        self.lab.file(&name, format!("name\n{table}"));
        RunRequest::map(self.lab.path(&name), "r.toml", "prompt = \"{{ name }}?\"").provider("sim").model("m")
    }

    async fn run(&self, request: &RunRequest) -> RunOutcome {
        self.workspace.start(request, Watch::default()).await.unwrap()
    }

    fn personas(&self) -> RunRequest {
        RunRequest::personas(self.lab.path("in"), &PersonaRecipe::parse("two", "count = 2").unwrap())
            .unwrap()
            .provider("offline")
    }

    async fn content(&self) -> RunRequest {
        self.lab.file("ada.md", "# Ada\n\nI weave engines of brass. https://github.com/ada/loom\n");
        let themes = Theme::find(&["hacker".to_owned()]).await.unwrap();
        RunRequest::content(vec![self.lab.path("ada.md")], &themes, SamplingParams::default())
            .unwrap()
            .provider("offline")
    }
}

fn page_of(limit: usize, after: Option<String>) -> Page {
    let mut page = Page::after(after);
    page.limit = limit;
    page
}

/// The ids of all runs that a filter selects, a page at a time, and the number of pages.
async fn listed(workspace: &Workspace, filter: &ListFilter, limit: usize) -> (Vec<String>, usize) {
    let (mut ids, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let list = workspace.list(filter, &page_of(limit, after)).await.unwrap();
        assert!(list.runs.len() <= limit);
        ids.extend(list.runs.into_iter().map(|run| run.run_id));
        pages += 1;
        after = list.next;
        if after.is_none() {
            return (ids, pages);
        }
    }
}

#[tokio::test]
async fn runs_are_listed_a_page_at_a_time_and_by_kind_and_status() {
    let place = Place::new("words");
    let mut made = Vec::new();
    for count in 1..=4 {
        made.push(place.run(&place.towns(count)).await.run_id);
    }
    made.push(place.run(&place.personas()).await.run_id);
    let stopped = place.run(&place.towns(5).limits(RunLimits::default().max_cost(0))).await;
    assert_eq!(stopped.stop.as_ref().map(|stop| stop.kind), Some(Some(OperationErrorKind::Budget)));
    made.push(stopped.run_id);
    made.reverse();
    let all = ListFilter::default();
    assert_eq!(listed(&place.workspace, &all, 100).await, (made.clone(), 1));
    let (paged, pages) = listed(&place.workspace, &all, 2).await;
    assert_eq!((&paged, paged.len()), (&made, 6));
    assert!((3..=4).contains(&pages), "{pages}");
    let mut filter = ListFilter::default();
    filter.kind = Some("map".to_owned());
    assert_eq!(listed(&place.workspace, &filter, 3).await.0.len(), 5);
    filter.status = Some(CurrentStatus::Stopped);
    assert_eq!(listed(&place.workspace, &filter, 3).await.0, made[..1]);
    (filter.kind, filter.status) = (Some("personas".to_owned()), Some(CurrentStatus::Finished));
    assert_eq!(listed(&place.workspace, &filter, 3).await.0, made[1..2]);
    let unknown = place.workspace.list(&all, &Page::after(Some("nothing".to_owned()))).await.unwrap_err();
    assert_eq!(unknown.kind(), OperationErrorKind::NotFound);
}

#[tokio::test]
async fn results_come_a_page_at_a_time_in_order() {
    let place = Place::new("words");
    for (count, limit) in [(5, 2), (4, 2), (3, 100)] {
        let run = place.run(&place.towns(count)).await.run_id;
        let (mut indexes, mut after) = (Vec::new(), None);
        loop {
            let list = place.workspace.results(&run, &page_of(limit, after)).await.unwrap();
            assert!(list.rows.len() <= limit);
            for row in list.rows {
                assert_eq!(
                    (&row.row["name"], &row.result),
                    (&json!(format!("Town {}", row.index)), &Some(json!("words")))
                );
                assert_eq!(row.error, None);
                indexes.push(row.index);
            }
            after = list.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(indexes, (0..count as u64).collect::<Vec<_>>());
    }
    for after in ["first", "-1", "", "1.5", "18446744073709551615"] {
        let wrong = place.workspace.results("latest", &page_of(2, Some(after.to_owned()))).await.unwrap_err();
        assert_eq!(wrong.kind(), OperationErrorKind::Request, "{after}");
    }
    let end = place.workspace.results("latest", &page_of(2, Some("99".to_owned()))).await.unwrap();
    assert_eq!((end.rows.len(), end.next), (0, None));
}

#[tokio::test]
async fn runs_in_progress_differ_from_interrupted_ones() {
    let place = Place::new("words");
    let stopped = place.towns(2).limits(RunLimits::default().max_cost(0));
    let mut runs = Vec::new();
    for count in 3..=6 {
        let request = place.towns(count).limits(RunLimits::default().max_cost(0));
        runs.push(place.run(&request).await.run_id);
    }
    let done = place.run(&place.towns(1)).await.run_id;
    place.run(&stopped).await;
    let cancelled = place.workspace.cancel("latest").await.unwrap().run_id;
    let store = Store::open(place.lab.path("out/antiphon.db")).await.unwrap();
    // Workers of stopped runs, which are thereby resumed.
    let workers = [store.join_run(&runs[0]).await.unwrap(), store.join_run(&runs[2]).await.unwrap()];
    let new = || antiphon::store::NewRun::new("open").request("map", "null");
    let open = store.open_run(new()).await.unwrap().record().id.clone();
    let of = async |status| {
        let mut filter = ListFilter::default();
        filter.status = Some(status);
        listed(&place.workspace, &filter, 1).await.0
    };
    assert_eq!(of(CurrentStatus::Running).await, [runs[2].clone(), runs[0].clone()]);
    assert_eq!(of(CurrentStatus::Stopped).await, [runs[3].clone(), runs[1].clone()]);
    assert_eq!(of(CurrentStatus::Interrupted).await, [open]);
    assert_eq!(of(CurrentStatus::Finished).await, [done]);
    assert_eq!(of(CurrentStatus::Cancelled).await, [cancelled]);
    drop(workers);
    assert_eq!(of(CurrentStatus::Stopped).await.len(), 4);
    assert!(of(CurrentStatus::Running).await.is_empty());
}

#[tokio::test]
async fn runs_are_deleted_and_pruned() {
    let place = Place::new("words");
    let mut request = place.towns(2);
    request.output.results = Some(place.lab.path("mine.jsonl"));
    let run = place.run(&request).await;
    let store = Store::open(place.lab.path("out/antiphon.db")).await.unwrap();
    let worker = store.join_run(&run.run_id).await.unwrap();
    let refused = place.workspace.delete(&run.run_id).await.unwrap_err();
    assert_eq!((refused.kind(), run.folder.is_dir()), (OperationErrorKind::Conflict, true));
    assert_eq!(place.workspace.prunable(&PruneFilter::new(Duration::ZERO)).await.unwrap().len(), 1);
    let pruned = place.workspace.prune(&PruneFilter::new(Duration::ZERO)).await.unwrap();
    assert_eq!((pruned.deleted.len(), pruned.kept.len()), (0, 1), "a worker of a finished run");
    drop(worker);
    let deleted = place.workspace.delete(&run.run_id[..30]).await.unwrap();
    let expected = (&run.run_id, Some(&run.folder), &vec![place.lab.path("mine.jsonl")]);
    assert_eq!((&deleted.run_id, deleted.folder.as_ref(), &deleted.kept), expected);
    assert!(!run.folder.exists() && place.lab.path("mine.jsonl").is_file());
    serialises(&deleted, None);
    let mut runs = Vec::new();
    for count in 1..=3 {
        runs.push(place.run(&place.towns(count)).await.run_id);
    }
    let stopped = place.run(&place.towns(4).limits(RunLimits::default().max_cost(0))).await.run_id;
    let week = PruneFilter::new(Duration::from_secs(7 * 24 * 60 * 60));
    assert_eq!(place.workspace.prune(&week).await.unwrap(), Default::default());
    let finished = PruneFilter::new(Duration::ZERO).status(CurrentStatus::Finished).keep(1);
    let ids = |pruned: &Pruned| pruned.deleted.iter().map(|run| run.run_id.clone()).collect::<Vec<_>>();
    let pruned = place.workspace.prune(&finished).await.unwrap();
    assert_eq!(ids(&pruned), [runs[1].clone(), runs[0].clone()]);
    serialises(&pruned, None);
    let left = listed(&place.workspace, &ListFilter::default(), 9).await.0;
    assert_eq!(left, [stopped, runs[2].clone()]);
}

#[tokio::test]
async fn a_failed_row_has_its_error_and_the_run_its_counts() {
    let place = Place::new("no mail");
    let mut request = place.towns(2);
    request.recipe.text = "prompt = \"{{ name }}?\"\nattempts = 1\n[[check]]\nregex = \"@\"\n".to_owned();
    let run = place.run(&request).await.run_id;
    let status = place.workspace.status(&run[..30]).await.unwrap();
    assert_eq!((status.rows, status.accepted, status.failed, status.calls), (2, 0, 2, 2));
    assert_eq!(
        (status.kind.as_str(), status.status, status.cost_usd_micros),
        ("map", CurrentStatus::Finished, Some(3_600))
    );
    assert_eq!((status.recipe.as_deref(), status.model.as_deref()), (Some("r.toml"), Some("m")));
    let results = place.workspace.results(&run, &Page::default()).await.unwrap();
    let (error, message) = results.rows[1].error.clone().unwrap();
    assert_eq!((error.as_str(), &results.rows[1].result), ("schema_mismatch", &None));
    assert!(message.contains("it does not match @"), "{message}");
    let cancelled = place.workspace.cancel(&run).await.unwrap_err();
    assert_eq!(cancelled.kind(), OperationErrorKind::Conflict);
    assert_eq!(place.workspace.status("77").await.unwrap_err().kind(), OperationErrorKind::NotFound);
}

#[tokio::test]
async fn a_map_run_is_compared_exported_and_reported() {
    let place = Place::new("words");
    let (small, large) = (place.run(&place.towns(2)).await.run_id, place.run(&place.towns(5)).await.run_id);
    let diff = place.workspace.diff(&small, &large, 2).await.unwrap();
    assert_eq!((diff.same, diff.changed, diff.only_first, diff.only_second, diff.neither), (2, 0, 0, 3, 0));
    assert_eq!((diff.changes.len(), diff.left_out), (2, 1));
    assert_eq!(diff.changes[0].second.as_deref(), Some("\"words\""));
    let said = Arc::new(Mutex::new(Vec::new()));
    let lines = Lines::new({
        let said = said.clone();
        move |bytes| {
            said.lock().unwrap().extend_from_slice(bytes);
            Ok(())
        }
    });
    place.workspace.export(&large, &Destination::Lines(lines), ExportFormat::Jsonl).await.unwrap();
    let text = String::from_utf8(said.lock().unwrap().clone()).unwrap();
    assert_eq!(text.lines().count(), 5);
    let file = place.lab.path("made/out.csv");
    let to = Destination::File(file.clone());
    let exported = place.workspace.export(&small, &to, ExportFormat::Csv).await.unwrap();
    assert_eq!((exported.results, exported.run_id), (2, small));
    assert_eq!(fs::read_to_string(file).unwrap().lines().count(), 3);
    let report = place.workspace.report(&large, None).await.unwrap();
    assert_eq!(report, Some(place.lab.path("out").join(&large).join("report.html")));
    let to = Destination::File(place.lab.path("page.html"));
    let elsewhere = place.workspace.report(&large, Some(to)).await.unwrap();
    assert_eq!(fs::read(report.unwrap()).unwrap(), fs::read(elsewhere.unwrap()).unwrap());
}

#[tokio::test]
async fn a_run_is_resumed_by_another_workspace_from_the_store_alone() {
    let place = Place::new("words");
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = events.clone();
    let watch = Watch::default().on_event(move |event| seen.lock().unwrap().push(event));
    let request = place.towns(3).limits(RunLimits::default().max_cost(0));
    let stopped = place.workspace.start(&request, watch).await.unwrap();
    let started = events.lock().unwrap().iter().any(
        |event| matches!(event, RunEvent::Started { run_id, resumed: false } if *run_id == stopped.run_id),
    );
    assert!(started, "the id comes before anything is asked");
    fs::remove_file(place.lab.path("towns-3.csv")).unwrap();
    let other = Place {
        workspace: Workspace::new(Environment::default(), files(&place.server), place.lab.path("out")),
        ..place
    };
    let limits = RunLimits::default().max_cost(1_000_000);
    let made = other.workspace.resume("latest", &limits, Watch::default()).await.unwrap();
    assert_eq!((&made.run_id, made.reused), (&stopped.run_id, false));
    assert_eq!(other.server.requests().len(), 3);
    let again = other.workspace.resume("latest", &limits, Watch::default()).await.unwrap();
    assert!(again.reused && again.stop.is_none());
    assert_eq!(other.server.requests().len(), 3);
}

fn files(server: &Server) -> Vec<ConfigFile> {
    let config = format!(
        "[providers.sim]\nkind = \"compatible\"\nbase_url = \"{}\"\n[prices.sim.m]\ninput = 1.0\noutput = 4.0\n",
        server.url("/v1")
    );
    vec![ConfigFile::parse("antiphon.toml", &config).unwrap()]
}

#[tokio::test]
async fn equal_requests_share_a_run_and_a_plan_makes_no_call() {
    let place = Place::new("words");
    let plan = place.workspace.plan(&place.towns(3), &Watch::default()).await.unwrap();
    assert!(plan.max_cost_usd_micros() > Some(0) && place.server.requests().is_empty());
    assert!(!place.lab.path("out").exists(), "who only looks leaves nothing");
    let request = place.towns(3);
    let outcomes = place.workspace.start_all(&[request.clone(), request], 2, &Watch::default()).await;
    let kinds: HashSet<_> = outcomes
        .iter()
        .map(|outcome| outcome.as_ref().map(|made| made.run_id.clone()).map_err(OperationError::kind))
        .collect();
    assert!(kinds.len() == 1 && kinds.iter().all(Result::is_ok), "{kinds:?}");
    assert_eq!(place.server.requests().len(), 3, "equal requests make equal calls once");
}

/// The value's JSON, which begins with this schema if it is a document of its own.
#[track_caller]
fn serialises(value: &impl Serialize, schema: Option<&str>) -> Value {
    let json = serde_json::to_value(value).unwrap();
    if let Some(schema) = schema {
        assert_eq!(json["schema"], schema, "{json}");
        assert_eq!(json.as_object().unwrap().keys().next().map(String::as_str), Some("schema"), "{json}");
    }
    json
}

/// The value comes back from its JSON.
#[track_caller]
fn survives<T: Serialize + DeserializeOwned>(value: &T) {
    let json = serde_json::to_value(value).unwrap();
    let back: T = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(&back).unwrap(), json);
}

/// A request of this type is data: what it does not know is an error, and nothing is needed that has a default.
#[track_caller]
fn is_strict<'a, T: Deserialize<'a> + std::fmt::Debug>(text: &'a str) {
    let unknown = serde_json::from_str::<T>(text).unwrap_err().to_string();
    assert!(unknown.contains("unknown field"), "{unknown}");
}

#[tokio::test]
async fn every_outcome_is_data() {
    let place = Place::new("words");
    let watch = Watch::default();
    for request in [place.towns(2), place.personas(), place.content().await] {
        serialises(&place.workspace.plan(&request, &watch).await.unwrap(), None);
        let outcome = place.run(&request).await;
        let json = serialises(&outcome, Some("antiphon.outcome/1"));
        let kind = match outcome.result {
            RunResult::Map(_) => RunKind::Map,
            RunResult::Personas(_) => RunKind::Personas,
            RunResult::Content(_) => RunKind::Content,
            _ => unreachable!("there are three kinds"),
        };
        assert_eq!((kind, &json["result"]["kind"]), (request.kind, &json!(request.kind)));
        let info = place.workspace.status(&outcome.run_id).await.unwrap();
        let json = serialises(&info, Some("antiphon.run-info/2"));
        assert_eq!(json["kind"], json!(request.kind));
        let stored: RunRequest = serde_json::from_value(info.request).unwrap();
        assert_eq!((stored.kind, stored.recipe), (request.kind, request.recipe));
        serialises(&place.workspace.results(&outcome.run_id, &Page::default()).await.unwrap(), None);
        serialises(&place.workspace.diff("latest", &outcome.run_id, 20).await.unwrap(), None);
    }
    let list = place.workspace.list(&ListFilter::default(), &Page::default()).await.unwrap();
    assert_eq!(serialises(&list, None)["runs"].as_array().map(Vec::len), Some(3));
    let stopped = place.run(&place.towns(3).limits(RunLimits::default().max_cost(0))).await;
    let stop = serialises(&stopped, None)["stop"].clone();
    assert_eq!(
        (&stop["cause"], &stop["kind"], &stop["hints"][0]["advice"]),
        (&json!("budget"), &json!("budget"), &json!("raise_max_cost"))
    );
    let error = place.workspace.status("nothing").await.unwrap_err();
    let json =
        serialises(&error.hint(Hint::DidYouMean { name: "latest".to_owned() }), Some("antiphon.error/1"));
    assert_eq!((&json["kind"], &json["hints"][0]["name"]), (&json!("not_found"), &json!("latest")));
}

#[tokio::test]
async fn experiments_are_data() {
    let place = Place::new("words");
    let experiments = Experiments::new(place.lab.path("experiments"));
    let definition = Definition::new("goats", "");
    survives(&definition);
    experiments.create(definition).await.unwrap();
    let drawn = PersonaDefaults { count: Some(2.into()), ..PersonaDefaults::default() };
    let info = experiments.add("goats", &[place.lab.path("in")], AddMode::Copy).await.unwrap();
    assert_eq!(serialises(&info, None)["data"].as_array().map(Vec::len), Some(2));
    let start = experiments.start("goats", &drawn, SamplingParams::default()).await.unwrap();
    survives(&start.request);
    let start: ExperimentStart = serde_json::from_value(json!(start)).unwrap();
    let files = start.files(&[]).unwrap();
    let workspace = Workspace::new(Environment::default(), files, start.outputs);
    workspace.start(&start.request.provider("offline"), Watch::default()).await.unwrap();
    let history = experiments.history("goats").await.unwrap();
    assert_eq!(serialises(&history[0], None)["personas"], 2);
    serialises(&experiments.outputs("goats", "latest").await.unwrap(), Some("antiphon.personas/1"));
}

#[tokio::test]
async fn every_request_comes_back_from_its_json() {
    let place = Place::new("words");
    let mut output = OutputOptions::default();
    (output.results, output.site) = (Some(PathBuf::from("-")), Some(PathBuf::from("site")));
    (output.order, output.title) = (Order::Completion, Some("Mine".to_owned()));
    output.fallback = Some(RecipeSource { name: "mine.json".to_owned(), text: "{}".to_owned() });
    survives(&output);
    let limits = RunLimits::default().max_cost(5).max_rows(3).attempts(4).max_concurrency(2);
    let mut request = place.personas().limits(limits).output(output).fresh(true);
    request.anonymise = Some(Anonymise::new(Strategy::Hash, vec!["Anna".to_owned()]));
    request.base = Some(PathBuf::from("here"));
    survives(&request);
    survives(&place.towns(1));
    survives(&place.content().await);
    let mut filter = ListFilter::default();
    (filter.kind, filter.status, filter.with_parts) =
        (Some("map".to_owned()), Some(CurrentStatus::Interrupted), true);
    survives(&filter);
    survives(&page_of(3, Some("a".to_owned())));
    for format in [ExportFormat::Jsonl, ExportFormat::Json, ExportFormat::Csv, ExportFormat::Markdown] {
        survives(&format);
    }
    assert_eq!(serde_json::from_str::<Page>("{}").unwrap(), Page::default());
    assert_eq!(serde_json::from_str::<ListFilter>("{}").unwrap(), ListFilter::default());
    let least = r#"{"schema":"antiphon.request/1","kind":"map","inputs":["a.csv"],"recipe":{"name":"r","text":"prompt = \"x\""}}"#;
    assert_eq!(
        serde_json::from_str::<RunRequest>(least).unwrap(),
        RunRequest::map("a.csv", "r", "prompt = \"x\"")
    );
    is_strict::<RunRequest>(&least.replace("\"kind\"", "\"max_cost\":1,\"kind\""));
    is_strict::<ListFilter>("{\"knid\": \"map\"}");
    is_strict::<Page>("{\"most\": 3}");
}
