use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon::store::Store;
use antiphon_engine::{RunEvent, RunLimits};
use antiphon_llm::{ErrorKind as LlmKind, Price, RetryPolicy, SamplingParams, TruncationCause};
use antiphon_pipeline::{
    Count, Distil, ErrorKind, Generation, GenerationConfig, Outcome, Pipeline, Report, ReportStatus,
};
use antiphon_providers::Compatible;
use antiphon_tests::{Reply, Server};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::sample::{SAID, answer, interviews};

fn pipeline(server: &Server) -> Pipeline {
    let provider = Compatible::new(&server.url("/v1")).unwrap();
    let quick = RetryPolicy::default().base(Duration::ZERO, Duration::ZERO);
    Pipeline::new(Arc::new(provider)).retry(quick).pricing(|_| Some(Price::new(100_000, 10_000, 500_000)))
}

fn config() -> GenerationConfig {
    GenerationConfig::new(interviews(), "m").count(1)
}

fn chat(quote: &str) -> Reply {
    Reply::chat(&answer(1, quote).to_string(), "stop")
}

fn chat_of(text: &str) -> Reply {
    Reply::chat(text, "stop")
}

/// Starts a server that first lists no models, since the pipeline asks for the model's context.
fn server(replies: impl IntoIterator<Item = Reply>) -> Server {
    Server::start([Reply::json(200, &json!({ "data": [] }))].into_iter().chain(replies))
}

#[tokio::test]
async fn a_models_personas_are_verified_and_invented_quotes_are_marked() {
    let made = pipeline(&server([chat(SAID)])).generate(&config()).await.unwrap();
    let persona = &made.personas[0];
    assert_eq!(
        (persona.quotes[0].speaker.as_str(), persona.quotes[0].document.as_str()),
        ("P01", "p01-cafe-owner.txt")
    );
    assert_eq!((made.report.calls, made.report.cost_usd_micros), (1, Some(200)));
    assert_eq!(made.report.served_model.as_deref(), Some("served-1"));
    for invented in ["I simply adore spreadsheets", "spinning plates. What happens when one drops"] {
        let made = pipeline(&server([chat(invented)])).generate(&config()).await.unwrap();
        assert_eq!((made.personas[0].quotes.len(), made.personas[0].unverified.len()), (0, 2), "{invented}");
    }
}

#[tokio::test]
async fn an_invalid_answer_is_retried_once() {
    let server = server([Reply::chat("{\"personas\": []}", "stop"), chat(SAID)]);
    let made = pipeline(&server).generate(&config()).await.unwrap();
    assert_eq!((made.report.calls, made.report.usage.input_tokens), (2, Some(2000)));
    let asked = server.requests().pop().unwrap().body["messages"].to_string();
    assert!(asked.contains("That answer cannot be used"), "{asked}");
}

#[tokio::test]
async fn no_personas_is_never_a_success() {
    for reply in ["{\"personas\": []}", "{}", "I am sorry.", "[]"] {
        let err = pipeline(&server([Reply::chat(reply, "stop")])).generate(&config()).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Provider(LlmKind::SchemaMismatch), "{reply}");
        let report = err.report().unwrap();
        assert_eq!(
            (report.status, report.calls, report.cost_usd_micros),
            (ReportStatus::Failed, 2, Some(400))
        );
    }
}

#[tokio::test]
async fn a_truncated_answer_keeps_its_text_and_its_cost() {
    let err = pipeline(&server([Reply::chat("{\"personas\": [{", "length")]))
        .generate(&config())
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Provider(LlmKind::Truncated { cause: TruncationCause::MaxTokens }));
    assert_eq!(err.provider().unwrap().partial().unwrap().text, "{\"personas\": [{");
    assert_eq!(err.report().unwrap().cost_usd_micros, Some(200));
}

#[tokio::test]
async fn one_config_that_fails_does_not_affect_the_others() {
    let server = Server::start([Reply::chat(&answer(1, SAID).to_string(), "stop")]);
    let missing = GenerationConfig::new("no-such-folder", "m");
    let configs = [config(), missing, config().count(0), config()];
    let outcomes = pipeline(&server).generate_batch(&configs, 2).await;
    let kinds: Vec<_> = outcomes
        .iter()
        .map(|outcome| outcome.as_ref().map(|made| made.personas.len()).map_err(|err| err.kind()))
        .collect();
    assert_eq!(kinds, [Ok(1), Err(ErrorKind::Input), Err(ErrorKind::Config), Ok(1)]);
}

#[tokio::test]
async fn equal_requests_start_fresh_once_for_each_call() {
    let server = server((0..4).map(|_| chat(SAID)));
    let pipeline = pipeline(&server).store(Store::in_memory());
    let fresh = config().fresh(true);
    let id = |outcome: Outcome| outcome.unwrap().report.run_id;
    let first = id(pipeline.generate(&fresh).await);
    let second = id(pipeline.generate(&fresh).await);
    assert_ne!(first, second, "an earlier call does not make a later one stale");
    // Sequentially and concurrently: within one call to `generate_batch` the first run is made for all.
    for at_once in [1, 2] {
        let ids: Vec<_> = pipeline
            .generate_batch(&[fresh.clone(), fresh.clone()], at_once)
            .await
            .into_iter()
            .map(id)
            .collect();
        assert_eq!(ids[0], ids[1]);
        assert_ne!(ids[0], second);
    }
}

#[tokio::test]
async fn a_prompt_larger_than_the_context_is_refused_before_the_call() {
    let models = json!({ "data": [{ "id": "m", "max_model_len": 8192 }] });
    let server = Server::start([Reply::json(200, &models)]);
    let err = pipeline(&server).generate(&config().distil(Distil::Never)).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Provider(LlmKind::ContextTooLong));
    assert!(err.to_string().contains("takes 8192") && err.to_string().contains("larger context"), "{err}");
    assert_eq!((server.requests().len(), err.report().unwrap().calls), (1, 0));
    let huge = config().parameters(SamplingParams::default().max_tokens(u64::MAX));
    assert_eq!(pipeline(&server).generate(&huge).await.unwrap_err().kind(), err.kind());
}

#[tokio::test]
async fn a_run_that_is_cancelled_or_late_still_has_a_report() {
    let late = config().deadline(Duration::from_millis(600));
    let slow_misfit = Reply::raw("").then(Duration::from_millis(700), "").followed_by(chat_of("no"));
    let misfit = server([slow_misfit, chat(SAID)]);
    let err = pipeline(&misfit).generate(&late).await.unwrap_err();
    assert_eq!((err.kind(), err.report().unwrap().calls), (ErrorKind::Deadline, 1));
    assert_eq!(err.report().unwrap().cost_usd_micros, Some(200), "a call in progress is completed");
    let slow_answer = Reply::raw("").then(Duration::from_millis(700), "").followed_by(chat(SAID));
    assert!(pipeline(&server([slow_answer])).generate(&late).await.is_ok(), "its answer counts");

    let slow =
        || server([Reply::raw("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n").and_stall()]);

    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let pipeline = pipeline(&slow()).on_event(move |event| {
        if matches!(event, RunEvent::JobStarted) {
            stop.cancel();
        }
    });
    let err = pipeline.generate(&config().cancel(cancel)).await.unwrap_err();
    assert_eq!((err.kind(), err.report().unwrap().status), (ErrorKind::Cancelled, ReportStatus::Interrupted));
}

#[tokio::test]
async fn cancelling_ends_a_wait_that_the_server_asked_for() {
    let busy = Reply::with_headers(429, "content-type: text/plain\r\nretry-after: 600\r\n", "later");
    let server = server([busy]);
    let cancel = CancellationToken::new();
    let (pipeline, config) = (pipeline(&server), config().cancel(cancel.clone()));
    let generating = tokio::spawn(async move { pipeline.generate(&config).await });
    while server.requests().len() < 2 {
        tokio::task::yield_now().await;
    }
    cancel.cancel();
    let err = generating.await.unwrap().unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Cancelled, "{err}");
}

#[tokio::test]
async fn a_drained_pipeline_starts_no_call() {
    let server = server([chat(SAID)]);
    let drain = CancellationToken::new();
    drain.cancel();
    let err = pipeline(&server).drain(drain).generate(&config()).await.unwrap_err();
    assert_eq!((err.kind(), server.requests().len()), (ErrorKind::Cancelled, 0));
}

#[tokio::test]
async fn progress_and_events_report_every_step() {
    let (steps, words) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
    let (reported, counted) = (steps.clone(), words.clone());
    let pipeline = pipeline(&server([chat(SAID)]))
        .on_progress(move |step, total, message| {
            reported.lock().unwrap().push((step, total, message));
            std::future::ready(())
        })
        .on_event(move |event| {
            if let RunEvent::Text { bytes } = event {
                *counted.lock().unwrap() += bytes;
            }
        });
    pipeline.generate(&config()).await.unwrap();
    let steps: Vec<_> = steps.lock().unwrap().iter().map(|(step, total, _)| (*step, *total)).collect();
    assert_eq!(steps, [(1, 4), (2, 4), (3, 4), (4, 4)]);
    assert_eq!(*words.lock().unwrap(), answer(1, SAID).to_string().len() as u64);
}

/// Creates an answer with these personas, each a name and a goal.
fn drafts(personas: &[(&str, &str)]) -> Reply {
    Reply::chat(&drafts_of(personas).to_string(), "stop")
}

fn drafts_of(personas: &[(&str, &str)]) -> Value {
    let mut answer = answer(personas.len(), SAID);
    for (draft, (name, goal)) in answer["personas"].as_array_mut().unwrap().iter_mut().zip(personas) {
        draft["name"] = json!(name);
        draft["title"] = json!(goal);
        for list in ["goals", "pain_points", "behaviours", "motivations"] {
            for claim in draft[list].as_array_mut().unwrap() {
                claim["claim"] = json!(goal);
            }
        }
    }
    answer
}

const SLEEP: &str = "wants to sleep longer in the morning";
const PRICES: &str = "keeps her prices in a notebook by the till";

#[tokio::test]
async fn a_near_duplicate_persona_is_rejected_and_replaced() {
    let server = server([drafts(&[("Ada", SLEEP), ("Bea", SLEEP)]), drafts(&[("Cy", PRICES)])]);
    let made = pipeline(&server).generate(&config().count(2)).await.unwrap();
    let names: Vec<_> = made.personas.iter().map(|persona| persona.name.as_str()).collect();
    assert_eq!((names, made.report.calls, made.report.cost_usd_micros), (vec!["Ada", "Cy"], 2, Some(400)));
    let refused = &made.report.duplicates;
    assert_eq!((refused.len(), refused[0].name.as_str(), refused[0].like.as_str()), (1, "Bea", "Ada"));
    let asked = server.requests().pop().unwrap().body["messages"].to_string();
    assert!(asked.contains("Bea is too much like Ada: 100 % is the same"), "{asked}");
}

#[tokio::test]
async fn an_invalid_or_missing_persona_costs_itself_alone_and_further_ones_are_left_out() {
    let text = |reply: &[(&str, &str)], spoilt: Option<usize>| {
        let mut answer = drafts_of(reply);
        if let Some(at) = spoilt {
            answer["personas"][at]["title"] = json!("");
        }
        Reply::chat(&answer.to_string(), "stop")
    };
    let goats = "would rather feed goats than people";
    let server = server([
        text(&[("Ada", SLEEP), ("Bad", PRICES)], Some(1)),
        text(&[("Cy", PRICES), ("Di", goats), ("Ed", "sings on Sundays in a choir")], None),
    ]);
    let made = pipeline(&server).generate(&config().count(3)).await.unwrap();
    let names: Vec<_> = made.personas.iter().map(|persona| persona.name.as_str()).collect();
    assert_eq!((names, made.report.calls, made.report.left_out), (vec!["Ada", "Cy", "Di"], 2, 1));
    assert!(made.report.failures.is_empty(), "{:?}", made.report.failures);
    let asked = server.requests().pop().unwrap().body;
    let said = asked["messages"].to_string();
    assert!(
        said.contains("there are 1 valid and distinct ones") && said.contains("/personas/1/title: "),
        "{said}"
    );
    assert!(said.contains("only the 2 elements that are missing") && said.contains("Ada"), "{said}");
}

#[tokio::test]
async fn without_replacements_the_distinct_personas_are_kept_and_the_shortfall_is_reported() {
    let server = server([drafts(&[("Ada", SLEEP), ("Bea", SLEEP)]), drafts(&[("Cy", SLEEP)])]);
    let made = pipeline(&server).generate(&config().count(2)).await.unwrap();
    assert_eq!((made.personas.len(), made.report.calls, made.report.duplicates.len()), (1, 4, 2));
    assert_eq!(
        made.report.failures[0].reason,
        "asked for 2 personas, got 1: the others were near duplicates"
    );
    let enough = pipeline(&self::server([drafts(&[("Ada", SLEEP), ("Bea", SLEEP)])]));
    let made = enough.generate(&config().count(Count::Between(1, 2))).await.unwrap();
    assert_eq!((made.personas.len(), made.report.calls, made.report.failures.len()), (1, 1, 0));
}

#[tokio::test]
async fn a_report_has_the_coverage_and_the_findings_of_the_validation() {
    let made = pipeline(&server([chat(SAID)])).generate(&config()).await.unwrap();
    let coverage = &made.report.coverage;
    let persona = &coverage.personas[0];
    assert_eq!((persona.documents, persona.speakers, coverage.unquoted().count()), (1, 1, 7));
    assert!(persona.supported >= 1 && persona.supported <= persona.claims);
    let rules: Vec<_> = made.report.validation.findings.iter().map(|finding| finding.rule.as_str()).collect();
    assert!(rules.contains(&"minimum_detail") && made.report.validation.score < 100, "{rules:?}");
}

/// Starts a server whose model has a context window of `window` tokens.
fn small_server(window: u64, replies: impl IntoIterator<Item = Reply>) -> Server {
    let models = json!({ "data": [{ "id": "m", "max_model_len": window }] });
    Server::start([Reply::json(200, &models)].into_iter().chain(replies))
}

fn findings(quotes: &[&str]) -> Reply {
    let finding = |quote| json!({ "claim": "Waste less", "document": "d1", "quote": quote });
    let findings: Vec<_> = quotes.iter().map(finding).collect();
    Reply::chat(&json!({ "findings": findings }).to_string(), "stop")
}

#[tokio::test]
async fn documents_larger_than_the_context_are_distilled_and_quotes_verified_in_the_originals() {
    let found = || findings(&[SAID, "I adore spreadsheets"]);
    let server = small_server(8_192, [found(), found(), found(), chat(SAID)]);
    let made = pipeline(&server).generate(&config()).await.unwrap();
    let distilled = made.report.distilled.as_ref().unwrap();
    assert_eq!((distilled.parts, distilled.findings, distilled.used, distilled.unverified), (3, 1, 1, 3));
    assert_eq!((made.report.calls, made.report.cost_usd_micros), (4, Some(800)));
    let quote = &made.personas[0].quotes[0];
    assert_eq!((quote.document.as_str(), quote.speaker.as_str()), ("p01-cafe-owner.txt", "P01"));
    let document = made.documents.iter().find(|document| document.name == quote.document).unwrap();
    assert!(document.text[quote.start..quote.end].starts_with("I hate throwing"));
    let asked = server.requests().pop().unwrap().body["messages"].to_string();
    assert!(asked.contains("in excerpts") && asked.contains("P01: I hate throwing"), "{asked}");
    assert!(!asked.contains("spinning plates") && !asked.contains("I adore spreadsheets"), "{asked}");
}

#[tokio::test]
async fn an_estimate_includes_the_calls_that_distil() {
    let server = small_server(8_192, []);
    let small = pipeline(&server).estimate(&config()).await.unwrap();
    let whole = pipeline(&small_server(128_000, [])).estimate(&config()).await.unwrap();
    assert_eq!((small.calls, whole.calls, server.requests().len()), (4, 1, 1));
    assert!(small.input_tokens > whole.input_tokens && small.output_tokens > whole.output_tokens);
}

#[tokio::test]
async fn a_part_that_fails_is_reported_and_no_findings_at_all_are_an_error() {
    let refused = || Reply::json(400, &json!({ "error": { "message": "no" } }));
    let server = small_server(8_192, [refused(), findings(&[SAID]), findings(&[SAID]), chat(SAID)]);
    let made = pipeline(&server).generate(&config()).await.unwrap();
    assert_eq!((made.personas.len(), made.report.failures.len()), (1, 1));
    assert!(made.report.failures[0].reason.contains("of 3 of the documents was not distilled"));
    let err = pipeline(&small_server(8_192, [refused()])).generate(&config()).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Provider(LlmKind::InvalidRequest));
    let err = pipeline(&small_server(8_192, [findings(&["I adore spreadsheets"])]))
        .generate(&config())
        .await
        .unwrap_err();
    assert!(err.to_string().contains("nothing that a participant said was found in 3 parts"), "{err}");
    assert_eq!(err.report().unwrap().calls, 3, "the calls are paid all the same");
}

/// Generates personas in the store alone, as a process does that ends before it writes any file.
async fn unwritten(pipeline: &Pipeline, config: &GenerationConfig, store: &Store) -> Outcome {
    let mut prepared = pipeline.prepare(config).await.unwrap();
    let (run, _turn) = pipeline.open(&mut prepared, store, "{}").await.unwrap();
    Box::pin(pipeline.run_in(prepared, run, store.clone())).await
}

#[tokio::test]
async fn a_stored_answer_is_returned_without_retrying_parts_that_failed() {
    let refused = Reply::json(400, &json!({ "error": { "message": "no" } }));
    let server = small_server(8_192, [refused, findings(&[SAID]), findings(&[SAID]), chat(SAID)]);
    let store = Store::in_memory();
    let pipeline = pipeline(&server).store(store.clone());
    let first = unwritten(&pipeline, &config(), &store).await.unwrap();
    let again = unwritten(&pipeline, &config(), &store).await.unwrap();
    assert_eq!(server.requests().len(), 5, "the models, three parts and the personas");
    let summary = |made: &Generation| {
        let Report { calls, cost_usd_micros, distilled, failures, .. } = made.report.clone();
        (calls, cost_usd_micros, json!(distilled), json!(failures))
    };
    assert_eq!((summary(&again), again.personas), (summary(&first), first.personas));
}

#[tokio::test]
async fn a_distillation_counts_towards_the_budget_of_its_run() {
    // Each attempt at the first part and at the personas is paid, and fails.
    let no = || Reply::chat("no", "stop");
    let server = small_server(8_192, [no(), no(), findings(&[SAID]), findings(&[SAID]), no()]);
    let store = Store::in_memory();
    let pipeline = pipeline(&server).store(store.clone());
    let limits = RunLimits::default().max_cost(20_000).max_concurrency(1);
    let config = config().limits(limits);
    for _ in 0..100 {
        unwritten(&pipeline, &config, &store).await.unwrap_err();
    }
    let spent = (server.requests().len() as u64 - 1) * 200;
    assert!(spent > 10_000 && spent <= 20_000, "{spent}");
}

#[tokio::test]
async fn concurrent_runs_over_the_same_documents_distil_them_once() {
    let folder = antiphon::fs::temp_dir().unwrap();
    let store = Store::open(folder.path().join("antiphon.db")).await.unwrap();
    let found = || findings(&[SAID]);
    let slow = Reply::raw("").then(Duration::from_millis(1_500), "").followed_by(found());
    let server = small_server(8_192, [slow, found(), found(), chat(SAID), chat(SAID)]);
    let pipeline = pipeline(&server).store(store);
    let configs = [config(), config().count(Count::Between(1, 2))];
    for made in pipeline.generate_batch(&configs, 2).await {
        assert_eq!(made.unwrap().personas.len(), 1);
    }
    assert_eq!(server.requests().len(), 6, "the models, three parts and the personas of two runs");
}
