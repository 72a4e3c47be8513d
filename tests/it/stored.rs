//! The library over one journal: a call is paid for once, however many pipelines and processes need its answer.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use antiphon::store::{RunFilter, RunStatus, Store};
use antiphon_engine::{Options, RunLimits};
use antiphon_llm::{Price, RetryPolicy, SamplingParams};
use antiphon_pipeline::content::{ContentEngine, Voice};
use antiphon_pipeline::{ErrorKind, GenerationConfig, PersonaGenerator, Pipeline};
use antiphon_providers::Compatible;
use antiphon_tests::{Reply, Server};
use serde_json::json;

use crate::sample::{SAID, answer, interviews};

fn models() -> Reply {
    Reply::json(200, &json!({ "data": [] }))
}

fn chat() -> Reply {
    Reply::chat(&answer(1, SAID).to_string(), "stop")
}

fn stalls() -> Reply {
    Reply::raw("").and_stall()
}

fn page(title: &str) -> Reply {
    let content = json!({
        "brand_name": "Ada", "tagline": null, "hero": { "title": title, "subtitle": "S" }, "repos": [],
        "menu_items": [], "cta": null,
    });
    Reply::chat(&content.to_string(), "stop")
}

fn chats(server: &Server) -> usize {
    server.requests().iter().filter(|request| request.line.contains("/chat/")).count()
}

fn config() -> GenerationConfig {
    let parameters = SamplingParams::default().max_tokens(900);
    GenerationConfig::new(interviews(), "m").count(1).parameters(parameters)
}

/// Creates a pipeline that opens the journal again, as another process does.
async fn pipeline(server: &Server, journal: &Path) -> Pipeline {
    let quick = RetryPolicy::default().base(Duration::ZERO, Duration::ZERO);
    let provider = Compatible::new(&server.url("/v1")).unwrap();
    Pipeline::new(Arc::new(provider))
        .retry(quick)
        .pricing(|_| Some(Price::new(100_000, 10_000, 500_000)))
        .store(Store::open(journal).await.unwrap())
}

fn journal(folder: &antiphon::fs::TempDir) -> PathBuf {
    folder.path().join("antiphon.db")
}

/// Drops a future when the server has received `calls` chat requests.
async fn dropped_at<F: Future>(calls: usize, server: &Server, future: F) {
    let asked = async {
        while chats(server) < calls {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = future => panic!("it ended before it could be dropped"),
        () = asked => {}
    }
}

#[tokio::test]
async fn a_second_pipeline_over_the_same_journal_makes_no_call() {
    let folder = antiphon::fs::temp_dir().unwrap();
    let server = Server::start([models(), chat()]);
    let first = pipeline(&server, &journal(&folder)).await.generate(&config()).await.unwrap();
    let second = pipeline(&server, &journal(&folder)).await.generate(&config()).await.unwrap();
    assert_eq!((chats(&server), &second.personas), (1, &first.personas));
    assert_eq!((second.report.calls, &second.report.run_id), (1, &first.report.run_id));
    let other = pipeline(&server, &journal(&folder)).await.generate(&config().fresh(true)).await.unwrap();
    assert_eq!(chats(&server), 2, "a fresh run makes the call again");
    assert_ne!(other.report.run_id, first.report.run_id);
    let runs =
        Store::open(journal(&folder)).await.unwrap().runs_page(RunFilter::default(), None, 9).await.unwrap();
    let runs: Vec<_> = runs.iter().map(|run| (run.record().kind.as_str(), run.record().status)).collect();
    assert_eq!(runs, [("personas", RunStatus::Finished); 2]);
}

#[tokio::test]
async fn a_run_that_was_dropped_in_a_call_is_resumed_and_its_call_reported() {
    let folder = antiphon::fs::temp_dir().unwrap();
    let server = Server::start([models(), stalls(), models(), chat()]);
    let broken = pipeline(&server, &journal(&folder)).await;
    dropped_at(1, &server, Box::pin(broken.generate(&config()))).await;
    let before =
        Store::open(journal(&folder)).await.unwrap().read_run("latest").await.unwrap().record().clone();
    assert_ne!(before.status, RunStatus::Finished);
    let made = pipeline(&server, &journal(&folder)).await.generate(&config()).await.unwrap();
    assert_eq!((made.personas.len(), chats(&server)), (1, 2));
    assert_eq!((&made.report.run_id, made.report.calls, made.report.may_cost_more), (&before.id, 1, true));
    let run = Store::open(journal(&folder)).await.unwrap().read_run("latest").await.unwrap();
    let tally = run.tally().await.unwrap();
    assert_eq!((tally.possibly_billed, tally.unbounded, tally.calls, tally.settled), (1, 0, 1, 200));
    assert!(tally.possible > 0, "the most that the possibly billed call may have cost is known");
    let again = pipeline(&server, &journal(&folder)).await.generate(&config()).await.unwrap();
    assert_eq!((chats(&server), again.personas, again.report.may_cost_more), (2, made.personas, true));
}

#[tokio::test]
async fn a_generator_over_the_same_journal_makes_no_call() {
    let folder = antiphon::fs::temp_dir().unwrap();
    let server = Server::start([models(), stalls(), models(), chat()]);
    let generator = async || PersonaGenerator::new(pipeline(&server, &journal(&folder)).await, config());
    let broken = generator().await;
    dropped_at(1, &server, Box::pin(broken.generate(interviews()))).await;
    let first = generator().await.generate(interviews()).await.unwrap();
    assert!(first.report.may_cost_more);
    let outcomes = generator().await.generate_batch([interviews(), interviews()], 2).await;
    for outcome in outcomes {
        assert_eq!(outcome.unwrap().personas, first.personas);
    }
    assert_eq!(chats(&server), 2);
}

#[tokio::test]
async fn equal_configurations_of_a_batch_make_one_call() {
    let folder = antiphon::fs::temp_dir().unwrap();
    let slow = Reply::raw("").then(Duration::from_millis(100), "").followed_by(chat());
    let server = Server::start([models(), slow]);
    for fresh in [false, true] {
        let before = chats(&server);
        let configs = [config().fresh(fresh), config().fresh(fresh), config().fresh(fresh)];
        let outcomes = pipeline(&server, &journal(&folder)).await.generate_batch(&configs, 3).await;
        let made: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
        assert!(made.iter().all(|one| one.personas == made[0].personas), "{made:?}");
        assert_eq!(chats(&server) - before, 1, "fresh: {fresh}");
    }
}

#[tokio::test]
async fn a_budget_in_the_configuration_holds_over_pipelines() {
    let folder = antiphon::fs::temp_dir().unwrap();
    let server = Server::start([models(), models(), Reply::chat("{\"personas\": []}", "stop"), chat()]);
    let limited = |most: u64| config().limits(RunLimits::default().max_cost(most));
    let err = pipeline(&server, &journal(&folder)).await.generate(&limited(1)).await.unwrap_err();
    assert_eq!((err.kind(), chats(&server)), (ErrorKind::Budget, 0), "{err}");
    let made = pipeline(&server, &journal(&folder)).await.generate(&limited(100_000)).await.unwrap();
    assert_eq!((chats(&server), made.report.cost_usd_micros), (2, Some(400)));
    let again = pipeline(&server, &journal(&folder)).await.generate(&limited(0)).await.unwrap();
    assert_eq!((chats(&server), again.personas), (2, made.personas), "a stored answer costs nothing");
}

/// Creates an engine that opens the journal again, and makes one call at a time.
async fn engine(server: &Server, journal: &Path) -> ContentEngine {
    let mut options = Options::default();
    options.limits.max_concurrency = Some(1);
    let provider = Compatible::new(&server.url("/v1")).unwrap();
    ContentEngine::new(Arc::new(provider), "m").options(options).store(Store::open(journal).await.unwrap())
}

#[tokio::test]
async fn a_content_engine_over_the_same_journal_makes_only_the_missing_calls() {
    let folder = antiphon::fs::temp_dir().unwrap();
    let server = Server::start([page("One"), stalls(), page("Two")]);
    let voices = [Voice::new("a", "Blunt."), Voice::new("b", "Warm.")];
    let broken = engine(&server, &journal(&folder)).await;
    dropped_at(2, &server, broken.generate_all("Ada weaves.", &voices)).await;
    for calls in [3, 3] {
        let made = engine(&server, &journal(&folder)).await.generate_all("Ada weaves.", &voices).await;
        let titles: Vec<_> =
            made.values().map(|made| made.as_ref().unwrap().content.hero.title.clone()).collect();
        assert_eq!((titles, chats(&server)), (vec!["One".to_owned(), "Two".to_owned()], calls));
    }
    let run = Store::open(journal(&folder)).await.unwrap().read_run("latest").await.unwrap();
    let tally = run.tally().await.unwrap();
    assert_eq!((tally.accepted, tally.calls, tally.possibly_billed), (2, 2, 1));
    assert_eq!(run.record().status, RunStatus::Finished);
}
