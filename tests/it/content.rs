use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use antiphon_engine::Options;
use antiphon_llm::{CircuitBreaker, ErrorKind as LlmKind, Guarded, Provider, RetryPolicy};
use antiphon_pipeline::ErrorKind;
use antiphon_pipeline::content::{Case, ContentEngine, TextRule, Voice};
use antiphon_providers::{Compatible, Offline};
use antiphon_tests::{Reply, Server, refusing_url};
use serde_json::{Value, json};

const NOTES: &str = "Ada weaves engines. Loom: https://github.com/ada/loom, 1,240 stars. Mail: ada@ada.test";

fn answer(title: &str) -> Value {
    json!({
        "brand_name": "Ada", "tagline": null, "hero": { "title": title, "subtitle": "Engines, woven." },
        "repos": [{ "name": "Loom", "description": "A seamless, fine loom", "url": "https://github.com/ada/loom",
                    "stars": 9000, "language": "Rust", "tags": [] }],
        "menu_items": [{ "label": "Elsewhere", "url": "https://elsewhere.test" }],
        "cta": { "text": "Write", "url": "mailto:ada@ada.test" },
    })
}

fn compatible(url: &str) -> Compatible {
    Compatible::new(url).unwrap()
}

fn engine(server: &Server) -> ContentEngine {
    let quick = RetryPolicy::default().base(Duration::ZERO, Duration::ZERO);
    let mut options = Options::default();
    options.retry = quick;
    ContentEngine::new(Arc::new(compatible(&server.url("/v1"))), "m").options(options)
}

fn loud() -> Voice {
    let mut voice = Voice::new("loud", "Loud.");
    let mut rule = TextRule::default();
    (rule.fluff, rule.case) = (true, Some(Case::Upper));
    voice.rules = vec![rule];
    voice
}

#[tokio::test]
async fn an_answer_is_checked_against_the_notes_and_the_voice() {
    let server = Server::start([Reply::chat(&answer("It weaves").to_string(), "stop")]);
    let made = engine(&server).generate(NOTES, &loud()).await.unwrap();
    assert_eq!((made.content.hero.title.as_str(), made.content.brand_name.as_str()), ("IT WEAVES", "Ada"));
    assert_eq!(made.content.repos[0].description, "A FINE LOOM");
    assert_eq!((made.content.repos[0].stars, made.content.menu_items.len()), (None, 0));
    let removed: Vec<&str> = made.removed.iter().map(|removed| removed.at.as_str()).collect();
    assert_eq!(removed, ["repos[0].stars", "menu_items[0]"]);
    let asked = server.requests().pop().unwrap().body["messages"].to_string();
    assert!(asked.contains("Voice: Loud.") && asked.contains("Ada weaves engines."), "{asked}");
}

#[tokio::test]
async fn one_voice_that_fails_does_not_affect_the_others() {
    let good = || Reply::chat(&answer("T").to_string(), "stop");
    let bad = Reply::json(400, &json!({ "error": { "message": "no" } }));
    let server = Server::start([good(), bad, good()]);
    let voices = [Voice::new("a", "A."), Voice::new("b", "B."), Voice::new("c", "C.")];
    let jobs: Vec<(&str, &Voice)> = voices.iter().map(|voice| (NOTES, voice)).collect();
    let (succeeded, failed) = engine(&server).generate_batch(&jobs).await;
    assert_eq!((succeeded.len(), failed.len()), (2, 1));
    assert_eq!(failed[0].1.kind(), ErrorKind::Provider(LlmKind::InvalidRequest));
    let all = engine(&Server::start([good()])).generate_all(NOTES, &voices).await;
    assert_eq!(all.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert!(all.values().all(Result::is_ok));
}

#[tokio::test]
async fn a_file_is_the_fallback_while_the_breaker_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ada.json");
    std::fs::write(&file, answer("From a file").to_string()).unwrap();
    let breaker = CircuitBreaker::simple(1, Duration::from_secs(60));
    let provider: Arc<dyn Provider> = Arc::new(Guarded::new(compatible(&refusing_url("/v1")), breaker));
    let engine = ContentEngine::new(provider, "m");
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let made = engine.generate_with_fallback(NOTES, &loud(), &file).await.unwrap();
        assert_eq!(made.content.hero.title, "FROM A FILE");
        kinds.push(made.instead_of.unwrap().kind());
    }
    assert!(matches!(kinds[..], [LlmKind::Connect, LlmKind::CircuitOpen { .. }]), "{kinds:?}");
    std::fs::write(&file, "{}").unwrap();
    let err = engine.generate_with_fallback(NOTES, &loud(), &file).await.unwrap_err();
    assert!(err.kind() == ErrorKind::Config && err.to_string().contains("ada.json"), "{err}");
    // An invalid request has no fallback.
    let server = Server::start([Reply::json(400, &json!({ "error": { "message": "no" } }))]);
    let wrong = ContentEngine::new(Arc::new(compatible(&server.url("/v1"))), "m");
    assert!(wrong.generate_with_fallback(NOTES, &loud(), &file).await.is_err());
}

#[tokio::test]
async fn notes_are_drafted_without_a_model_and_nothing_is_invented() {
    let engine = ContentEngine::new(Arc::new(Offline::new()), Offline::MODEL);
    let mut drafts = Vec::new();
    for name in ["mira-okafor.md", "northgauge.md", "studio-hallgrim.txt"] {
        let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/portfolio")).join(name);
        let notes = std::fs::read_to_string(path).unwrap();
        let made = engine.generate(&notes, &Voice::new("plain", "")).await.unwrap();
        assert_eq!(made.removed, []);
        drafts.push(made.content);
    }
    insta::assert_json_snapshot!("portfolios", drafts);
}
