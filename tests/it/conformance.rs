//! Every provider against the simulator, with scripted faults.

use std::time::{Duration, Instant};

use antiphon_llm::{
    Billed, CallContext, Completion, Error, ErrorKind, LimiterRegistry, Message, Provider, ProviderExt,
    Stack, TimeoutPhase, TruncationCause,
};
use antiphon_sim::{Faults, Latency, Limit, Scenario, Server};
use antiphon_tests::conformance::{FORMATS, Target, all, fits, schema};
use futures_util::StreamExt;

/// Starts a simulator, and returns a target of each format.
async fn at_each(scenario: Scenario) -> (Server, Vec<Target>) {
    let server = Server::start(scenario, 0).await.unwrap();
    let aim = |format: &&str| {
        let mut target = Target::new(format, &server.url(), "sim-1");
        target.patience = Duration::from_millis(500);
        target
    };
    let targets = FORMATS.iter().map(aim).collect();
    (server, targets)
}

async fn ask(target: &Target) -> Result<Completion, Error> {
    target.provider().complete(&target.prompt(), &CallContext::default()).await
}

/// Sends a prompt in each format to a server with faults, and checks the kind of each error.
async fn check(faults: Faults, expected: impl Fn(&str) -> Option<ErrorKind>) -> Vec<(String, Error)> {
    check_in(Scenario::default().faults(faults), expected).await
}

async fn check_in(scenario: Scenario, expected: impl Fn(&str) -> Option<ErrorKind>) -> Vec<(String, Error)> {
    let (_server, targets) = at_each(scenario).await;
    let mut errors = Vec::new();
    for target in targets {
        let Some(expected) = expected(&target.format) else { continue };
        let err = ask(&target).await.expect_err(&target.format);
        assert_eq!(err.kind(), expected, "{}: {err}", target.format);
        errors.push((target.format, err));
    }
    errors
}

#[tokio::test]
async fn every_format_passes_the_conformance_suite() {
    let (server, targets) = at_each(Scenario::default().answer_tokens(64)).await;
    for target in &targets {
        let failed = all(target).await;
        assert!(failed.is_empty(), "{}: {failed:?}", target.format);
    }
    let stats = server.stats();
    assert_eq!((stats.errors, stats.hung_up, server.verdict().hopeless), (0, 0, 0));
}

#[tokio::test]
async fn tokens_are_counted_as_the_server_counts_them() {
    let (server, targets) = at_each(Scenario::default()).await;
    for target in &targets {
        server.reset();
        let usage = ask(target).await.expect(&target.format).usage;
        let stats = server.stats();
        let counted = (Some(stats.billed_input_tokens), Some(stats.billed_output_tokens));
        assert_eq!((usage.input, usage.output), counted, "{}", target.format);
    }
}

#[tokio::test]
async fn answers_that_arrive_a_few_bytes_at_a_time_are_complete() {
    let (_server, targets) =
        at_each(Scenario::default().answer_tokens(5).faults(Faults::default().slow(1.0))).await;
    for target in &targets {
        let done = ask(target).await.expect(&target.format);
        assert_eq!(done.text, "The quick brown fox jumps ", "{}", target.format);
        let prompt = target.prompt();
        let json = target.provider().complete_json(&prompt, &schema(), &CallContext::default()).await;
        assert!(fits(&json.expect(&target.format).value));
    }
}

#[tokio::test]
async fn each_error_has_its_kind() {
    check(Faults::default().error(1.0), |_| Some(ErrorKind::Unavailable)).await;
    check(Faults::default().reset(1.0), |_| Some(ErrorKind::Unavailable)).await;
    check(Faults::default().overloaded(1.0), |format| {
        // Gemini and the local engines have no header for it.
        let has_header = matches!(format, "chat" | "responses" | "compatible" | "anthropic" | "llamacpp");
        Some(ErrorKind::Overloaded { retry_after: has_header.then_some(Duration::from_secs(1)) })
    })
    .await;
    // A prompt that is larger than the whole token bucket.
    let tiny = Scenario::default().tokens(Limit::per_second(1.0, 10));
    check_in(tiny, |_| Some(ErrorKind::ContextTooLong)).await;
    let asleep = Scenario::default().latency(Latency::Fixed(Duration::from_secs(60)));
    check_in(asleep, |_| Some(ErrorKind::Timeout { phase: TimeoutPhase::FirstToken })).await;
    check(Faults::default().wrong_type(1.0), |_| Some(ErrorKind::InvalidResponse)).await;
    let errors = check(Faults::default().money(1.0), |_| Some(ErrorKind::Quota)).await;
    assert!(errors.iter().all(|(_, err)| err.billed() == Billed::No));
}

#[tokio::test]
async fn an_absent_server_is_a_connect_error_and_an_empty_prompt_an_invalid_request() {
    let server = Server::start(Scenario::default(), 0).await.unwrap();
    for format in FORMATS {
        let target = Target::new(format, &server.url(), "sim-1");
        let mut prompt = target.prompt();
        prompt.messages.clear();
        prompt.system = None;
        let answer = target.provider().complete(&prompt, &CallContext::default()).await;
        // These formats send a conversation without messages as one text.
        if !matches!(format, "ollama" | "ollama-generate" | "llamacpp-native") {
            assert_eq!(answer.unwrap_err().kind(), ErrorKind::InvalidRequest, "{format}");
        }
        let absent = Target::new(format, &antiphon_tests::refusing_url(""), "sim-1");
        let err = ask(&absent).await.unwrap_err();
        assert_eq!((err.kind(), err.billed()), (ErrorKind::Connect, Billed::No), "{format}");
    }
}

#[tokio::test]
async fn incomplete_answers_keep_their_partial_text() {
    let cut = ErrorKind::Truncated { cause: TruncationCause::Disconnected };
    let stalled = ErrorKind::Timeout { phase: TimeoutPhase::NextToken };
    for (faults, expected) in [
        (Faults::default().half(1.0), cut),
        (Faults::default().garbage(1.0), ErrorKind::InvalidResponse),
        (Faults::default().stall(1.0), stalled),
        (Faults::default().empty(1.0), stalled),
        // An error inside a stream that has begun truncates the answer.
        (Faults::default().breaks(1.0), cut),
    ] {
        for (format, err) in check(faults, |_| Some(expected)).await {
            let text = err.partial().map(|partial| partial.text.as_str()).unwrap_or_default();
            assert!(text.starts_with("The quick brown"), "{format}: {text:?}");
            assert_ne!(err.billed(), Billed::No, "{format}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_trickles_ends_with_its_call() {
    let scenario = Scenario::default().faults(Faults::default().trickle(1.0));
    let (_server, targets) = at_each(scenario.trickle_every(Duration::from_millis(150))).await;
    for mut target in targets {
        target.call = Some(Duration::from_millis(700));
        let err = ask(&target).await.expect_err(&target.format);
        assert_eq!(err.kind(), ErrorKind::Timeout { phase: TimeoutPhase::Call }, "{}: {err}", target.format);
        let text = err.partial().map(|partial| partial.text.as_str()).unwrap_or_default();
        assert!(text.starts_with("The quick brown fox jumps over lazy dogs. The"), "{text:?}");
        assert_eq!(err.billed(), Billed::Maybe, "{}", target.format);
    }
}

#[tokio::test]
async fn refusals_and_filters_have_their_own_kinds() {
    check(Faults::default().refusal(1.0), |format| match format {
        "chat" | "responses" | "compatible" | "llamacpp" | "anthropic" => Some(ErrorKind::ModelRefusal),
        "gemini" => Some(ErrorKind::Filtered),
        // Local engines do not report refusals.
        _ => None,
    })
    .await;
    check(Faults::default().filter(1.0), |format| match format {
        "chat" | "responses" | "compatible" | "llamacpp" | "gemini" => Some(ErrorKind::Filtered),
        "anthropic" => Some(ErrorKind::ModelRefusal),
        _ => None,
    })
    .await;
}

#[tokio::test]
async fn a_wrong_key_and_an_unknown_model_have_different_kinds() {
    let (server, targets) = at_each(Scenario::default().key("right").models(["sim-1"])).await;
    for mut target in targets {
        assert_eq!(ask(&target).await.unwrap_err().kind(), ErrorKind::Auth, "{}", target.format);
        target.key = "right".to_owned();
        ask(&target).await.expect(&target.format);
        target.model = "sim-2".to_owned();
        let kind = ask(&target).await.map(|done| done.text).map_err(|err| err.kind());
        assert_eq!(kind, Err(ErrorKind::ModelNotFound), "{}", target.format);
    }
    assert_eq!(server.stats().answered, FORMATS.len() as u64);
}

#[tokio::test]
async fn reported_limits_are_observed() {
    for format in FORMATS {
        // So slow that the token bucket does not refill during the test.
        let limited = |per_second| Scenario::default().requests(Limit::per_second(per_second, 2));
        let server = Server::start(limited(0.1), 0).await.unwrap();
        let target = Target::new(format, &server.url(), "sim-1");
        let first = ask(&target).await.unwrap();
        let has_headers = !matches!(format, "gemini" | "ollama" | "ollama-generate" | "llamacpp-native");
        if has_headers {
            assert_eq!(first.head.limits.requests.remaining, Some(1), "{format}");
        }
        ask(&target).await.unwrap();
        let err = ask(&target).await.expect_err(format);
        let ErrorKind::RateLimited { retry_after } = err.kind() else { panic!("{format}: {err}") };
        assert_eq!(
            retry_after.is_some(),
            !format.starts_with("ollama") && !format.ends_with("native"),
            "{format}"
        );
        assert_eq!(err.billed(), Billed::No);
        // With an adaptive limiter, the same calls are all answered.
        let server = Server::start(limited(20.0), 0).await.unwrap();
        let target = Target::new(format, &server.url(), "sim-1");
        let provider = Stack::new(target.provider()).limiters(LimiterRegistry::default()).build();
        for number in 0..6 {
            let prompt = target.prompt().message(Message::user(format!("{number}")));
            provider.complete(&prompt, &CallContext::default()).await.expect(format);
        }
        let (stats, verdict) = (server.stats(), server.verdict());
        assert_eq!(stats.answered, 6, "{format}");
        assert!(verdict.clean, "{format}: {verdict:?}, {stats:?}");
        // Anthropic reports times in whole seconds, which is too coarse for this limit.
        if has_headers && format != "anthropic" {
            assert_eq!(stats.throttled, 0, "{format}: the reported limit is observed");
        }
    }
}

#[tokio::test]
async fn a_dropped_answer_hangs_up_at_once() {
    let (server, targets) = at_each(Scenario::default().answer_tokens(400).tokens_per_second(100.0)).await;
    let mut waits = Vec::new();
    for (done, target) in targets.iter().enumerate() {
        let mut answer = target.provider().stream(&target.prompt(), &CallContext::default()).await.unwrap();
        answer.next().await.unwrap().unwrap();
        drop(answer);
        let dropped = Instant::now();
        while server.stats().hung_up <= done as u64 {
            assert!(dropped.elapsed() < Duration::from_secs(5), "{}: the server still writes", target.format);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        waits.push(dropped.elapsed());
    }
    // Other load on this machine may delay some; at least half are fast.
    waits.sort();
    assert!(waits[waits.len() / 2] < Duration::from_millis(200), "{waits:?}");
    let stats = server.stats();
    assert!(stats.billed_output_tokens < 400, "tokens that were not written are not billed: {stats:?}");
}

#[tokio::test]
async fn vectors_are_in_the_order_of_their_texts() {
    use antiphon_llm::Embedder;
    use antiphon_providers::{Compatible, Gemini, LlamaCpp, Ollama, OpenAi, SecretString};

    let server = Server::start(Scenario::default(), 0).await.unwrap();
    let (v1, key) = (format!("{}/v1", server.url()), || SecretString::from("k"));
    let embedders: [Box<dyn Embedder>; 5] = [
        Box::new(OpenAi::new(key()).base_url(&v1).unwrap()),
        Box::new(Gemini::new(key()).base_url(&format!("{}/v1beta", server.url())).unwrap()),
        Box::new(Ollama::new(&server.url()).unwrap()),
        Box::new(LlamaCpp::new(&server.url()).unwrap()),
        Box::new(Compatible::new(&v1).unwrap()),
    ];
    let texts: Vec<String> = (0..250).map(|number| format!("text {number}")).collect();
    let mut seen = Vec::new();
    for embedder in &embedders {
        let all = embedder.embed("e", &texts, &CallContext::default()).await.unwrap();
        let last = embedder.embed("e", &texts[249..], &CallContext::default()).await.unwrap();
        assert_eq!((all.vectors.len(), &all.vectors[249]), (250, &last.vectors[0]), "{embedder:?}");
        seen.push(all.vectors);
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn local_engines_report_slots_and_context() {
    use antiphon_providers::{LlamaCpp, Ollama};

    let server = Server::start(Scenario::default(), 0).await.unwrap();
    let context = CallContext::default();
    let llama = LlamaCpp::new(&server.url()).unwrap();
    let props = llama.props().await.unwrap();
    assert_eq!(
        (props.slots, props.context_window, props.model.as_deref()),
        (4, Some(131_072), Some("sim-1"))
    );
    assert_eq!(llama.slots().await.unwrap().len(), 1);
    assert_eq!(llama.capabilities("sim-1", &context).await.parallel, Some(4));
    assert_eq!(llama.health(&context).await.unwrap().parallel, Some(4));
    let ollama = Ollama::new(&server.url()).unwrap();
    assert_eq!(ollama.loaded().await.unwrap()[0].context_window, Some(131_072));
    // The window follows the prompts, up to that of the model's training.
    assert_eq!(ollama.capabilities("sim-1", &context).await.context_window, Some(262_144));
    let roomy = ollama.clone().context(1_000_000);
    assert_eq!(roomy.capabilities("sim-1", &context).await.context_window, Some(262_144));
    let mut steps = Vec::new();
    ollama.pull("small", |progress| steps.push(progress.status)).await.unwrap();
    assert_eq!(steps.last().map(String::as_str), Some("success"));
    let err = ollama.pull("no-such-model", |_| ()).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::ModelNotFound, "{err}");
}
