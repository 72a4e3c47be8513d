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
use serde_json::json;
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

/// A server that lists no models first, as it is asked for its context.
fn server(replies: impl IntoIterator<Item = Reply>) -> Server {
    Server::start([Reply::json(200, &json!({ "data": [] }))].into_iter().chain(replies))
}

#[tokio::test]
async fn a_models_personas_are_checked_and_what_nobody_said_is_marked() {
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
async fn an_answer_that_does_not_fit_is_asked_for_once_more() {
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
async fn a_cut_answer_keeps_its_text_and_its_cost() {
    let err = pipeline(&server([Reply::chat("{\"personas\": [{", "length")]))
        .generate(&config())
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Provider(LlmKind::Truncated { cause: TruncationCause::MaxTokens }));
    assert_eq!(err.provider().unwrap().partial().unwrap().text, "{\"personas\": [{");
    assert_eq!(err.report().unwrap().cost_usd_micros, Some(200));
}

#[tokio::test]
async fn one_config_that_fails_loses_no_other() {
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
    // One after another and at once: within one call the first makes it for all.
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
async fn what_does_not_fit_the_context_is_refused_before_it_is_paid() {
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
async fn cancelling_and_deadlines_end_a_run_with_what_is_known() {
    let late = config().deadline(Duration::from_millis(600));
    let slow_misfit = Reply::raw("").then(Duration::from_millis(700), "").followed_by(chat_of("no"));
    let misfit = server([slow_misfit, chat(SAID)]);
    let err = pipeline(&misfit).generate(&late).await.unwrap_err();
    assert_eq!((err.kind(), err.report().unwrap().calls), (ErrorKind::Deadline, 1));
    assert_eq!(err.report().unwrap().cost_usd_micros, Some(200), "a call in progress comes to its end");
    let slow_answer = Reply::raw("").then(Duration::from_millis(700), "").followed_by(chat(SAID));
    assert!(pipeline(&server([slow_answer])).generate(&late).await.is_ok(), "and its answer counts");

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
async fn a_drained_pipeline_begins_nothing() {
    let server = server([chat(SAID)]);
    let drain = CancellationToken::new();
    drain.cancel();
    let err = pipeline(&server).drain(drain).generate(&config()).await.unwrap_err();
    assert_eq!((err.kind(), server.requests().len()), (ErrorKind::Cancelled, 0));
}

#[tokio::test]
async fn progress_and_events_tell_every_step() {
    let (steps, words) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
    let (told, counted) = (steps.clone(), words.clone());
    let pipeline = pipeline(&server([chat(SAID)]))
        .on_progress(move |step, total, message| {
            told.lock().unwrap().push((step, total, message));
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

/// An answer with these personas: each a name and a goal.
fn drafts(personas: &[(&str, &str)]) -> Reply {
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
    Reply::chat(&answer.to_string(), "stop")
}

const SLEEP: &str = "wants to sleep longer in the morning";
const PRICES: &str = "keeps her prices in a notebook by the till";

#[tokio::test]
async fn a_persona_that_is_like_another_one_is_refused_and_another_asked_for() {
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
async fn where_no_others_come_those_that_differ_are_kept_and_the_rest_is_named_as_missing() {
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
async fn a_report_tells_what_personas_rest_on_and_what_the_rules_say() {
    let made = pipeline(&server([chat(SAID)])).generate(&config()).await.unwrap();
    let coverage = &made.report.coverage;
    let persona = &coverage.personas[0];
    assert_eq!((persona.documents, persona.speakers, coverage.unquoted().count()), (1, 1, 7));
    assert!(persona.supported >= 1 && persona.supported <= persona.claims);
    let rules: Vec<_> = made.report.validation.findings.iter().map(|finding| finding.rule.as_str()).collect();
    assert!(rules.contains(&"minimum_detail") && made.report.validation.score < 100, "{rules:?}");
}

/// A server whose model takes so many tokens.
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
async fn documents_that_do_not_fit_are_distilled_and_quotes_looked_up_in_the_documents_themselves() {
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
async fn an_estimate_knows_what_will_be_distilled() {
    let server = small_server(8_192, []);
    let small = pipeline(&server).estimate(&config()).await.unwrap();
    let whole = pipeline(&small_server(128_000, [])).estimate(&config()).await.unwrap();
    assert_eq!((small.calls, whole.calls, server.requests().len()), (4, 1, 1));
    assert!(small.input_tokens > whole.input_tokens && small.output_tokens > whole.output_tokens);
}

#[tokio::test]
async fn a_part_that_cannot_be_distilled_is_named_and_one_alone_is_an_error() {
    let refused = || Reply::json(400, &json!({ "error": { "message": "no" } }));
    let server = small_server(8_192, [refused(), findings(&[SAID]), findings(&[SAID]), chat(SAID)]);
    let made = pipeline(&server).generate(&config()).await.unwrap();
    assert_eq!((made.personas.len(), made.report.failures.len()), (1, 1));
    assert!(made.report.failures[0].reason.contains("of 3 of the documents was not distilled"));
    let err = pipeline(&small_server(8_192, [refused()])).generate(&config()).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Provider(LlmKind::InvalidRequest));
    let err = pipeline(&small_server(8_192, [findings(&["nobody said so"])]))
        .generate(&config())
        .await
        .unwrap_err();
    assert!(err.to_string().contains("nothing that a participant said was found in 3 parts"), "{err}");
    assert_eq!(err.report().unwrap().calls, 3, "they are paid all the same");
}

/// Opens the run of a configuration and works on it, as a process does that ends before it has written anything.
async fn unwritten(pipeline: &Pipeline, config: &GenerationConfig, store: &Store) -> Outcome {
    let mut prepared = pipeline.prepare(config).await.unwrap();
    let (run, _turn) = pipeline.open(&mut prepared, store, "{}").await.unwrap();
    Box::pin(pipeline.run_in(prepared, run, store.clone())).await
}

#[tokio::test]
async fn an_answer_that_is_stored_is_given_again_without_asking_about_parts_that_failed() {
    let refused = Reply::json(400, &json!({ "error": { "message": "no" } }));
    let server = small_server(8_192, [refused, findings(&[SAID]), findings(&[SAID]), chat(SAID)]);
    let store = Store::in_memory();
    let pipeline = pipeline(&server).store(store.clone());
    let first = unwritten(&pipeline, &config(), &store).await.unwrap();
    let again = unwritten(&pipeline, &config(), &store).await.unwrap();
    assert_eq!(server.requests().len(), 5, "the models, three parts and the personas");
    let told = |made: &Generation| {
        let Report { calls, cost_usd_micros, distilled, failures, .. } = made.report.clone();
        (calls, cost_usd_micros, json!(distilled), json!(failures))
    };
    assert_eq!((told(&again), again.personas), (told(&first), first.personas));
}

#[tokio::test]
async fn a_distillation_counts_what_its_run_has_spent() {
    // Each try at the first part, and at the personas, is paid and comes to nothing.
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
async fn two_runs_at_once_over_the_same_documents_distil_them_once() {
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
