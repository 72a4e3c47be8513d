use antiphon::blocking;
use antiphon_llm::{CallContext, LimiterRegistry, Message, Prompt, Provider, ProviderExt, Stack};
use antiphon_providers::{OpenAi, SecretString};
use antiphon_resilience::{BreakerPolicy, CircuitBreaker};
use async_openai::types::chat::{
    ChatCompletionRequestUserMessage, ChatCompletionStreamOptions, CreateChatCompletionRequestArgs,
};
use futures::{StreamExt, stream};
use genai::adapter::AdapterKind;
use genai::chat::{ChatMessage, ChatOptions, ChatRequest, ChatStreamEvent};
use genai::resolver::{AuthData, Endpoint};
use genai::{ModelIden, ServiceTarget};
use rig_core::completion::CompletionRequest;
use rig_core::providers::openai::OpenAIConfig;
use rig_core::streaming::{Item, StreamEvent};
use serde::Deserialize;
use serde_json::json;
use tokio::runtime::Builder;

use super::http::{cpu, reqwest_client};
use crate::harness::{Measured, Row, wall};
use crate::server::Process;

const ANSWERS: u64 = 3_000;
const STREAMS: u64 = 300;
const WORDS: u32 = 200;
const AT_ONCE: usize = 64;
const ROUNDS: usize = 11;
const QUESTION: &str = "Name a bakery.";

/// Measures the full stack of layers of the program against other clients of the same server, all with streaming.
pub(super) fn rows() -> Result<Vec<Measured>, String> {
    let row = |row, baseline, ops, target| Row { suite: "llm", row, baseline, ops, target };
    // The other clients need a default crypto provider of the process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut rows = Vec::new();
    // On one thread: the hand-overs between two depend on the reader's speed.
    let alone = Builder::new_current_thread().enable_all().build().map_err(|err| err.to_string())?;
    for (name, words, count, per, target) in [
        ("3,000 short answers, full stack, CPU", 4, ANSWERS, ANSWERS, 1.25),
        ("300 answers x 200 words, full stack, CPU", WORDS, STREAMS, STREAMS * u64::from(WORDS), 1.2),
    ] {
        let server = Process::start(0, words, 100)?;
        let base = server.url.trim_end_matches("/chat/completions").to_owned();
        let (ours, bare) = (full_stack(&base)?, reqwest_client(false));
        rows.push(row(name, "reqwest + serde, typed", per, target).measure_rounds(
            ROUNDS,
            || cpu(&alone, our_answers(&ours, count)),
            || cpu(&alone, typed_answers(&bare, &server.url, count)),
        ));
        let ours_again = || cpu(&alone, our_answers(&ours, count));
        let openai = async_openai::Client::with_config(
            async_openai::config::OpenAIConfig::new().with_api_key("k").with_api_base(&base),
        );
        rows.push(
            row(name, "async-openai", per, 1.0)
                .measure_rounds(ROUNDS, ours_again, || cpu(&alone, async_openai_answers(&openai, count))),
        );
        let genai = genai::Client::builder().build().map_err(|err| err.to_string())?;
        rows.push(
            row(name, "genai", per, 1.0)
                .measure_rounds(ROUNDS, ours_again, || cpu(&alone, genai_answers(&genai, &base, count))),
        );
        let rig = OpenAIConfig::new("k").with_base_url(&base).client();
        let rig = rig.chat("sim-1");
        rows.push(
            row(name, "rig-core", per, 1.0)
                .measure_rounds(ROUNDS, ours_again, || cpu(&alone, rig_answers(&rig, count))),
        );
    }
    let slow = Process::start(200, 16, 100)?;
    let base = slow.url.trim_end_matches("/chat/completions").to_owned();
    // The ideal is one latency for all answers: a ratio of one over their number. The target is a quarter more.
    for (name, count, target) in [
        ("3 answers of 200 ms at once, wall", 3, 0.42),
        ("10 answers of 200 ms at once, wall", 10, 0.125),
        ("20 answers of 200 ms at once, wall", 20, 0.0625),
        ("100 answers of 200 ms at once, wall", 100, 0.0125),
    ] {
        let provider = full_stack(&base)?;
        rows.push(row(name, "antiphon::blocking in a row", count, target).measure_rounds(
            1,
            || wall(|| blocking::run(at_once(&*provider, count)).expect("no runtime is at work")),
            || wall(|| one_after_another(&*provider, count)),
        ));
    }
    Ok(rows)
}

fn full_stack(base: &str) -> Result<std::sync::Arc<dyn Provider>, String> {
    let provider = OpenAi::new(SecretString::from("k")).base_url(base).map_err(|err| err.to_string())?;
    let breaker = CircuitBreaker::new(BreakerPolicy::default());
    Ok(Stack::new(provider).limiters(LimiterRegistry::default()).breaker(breaker).build())
}

fn prompt(number: u64) -> Prompt {
    Prompt::new("sim-1", [Message::user(format!("{QUESTION} {number}"))])
}

async fn our_answers(provider: &std::sync::Arc<dyn Provider>, count: u64) {
    let context = CallContext::default();
    let answers = stream::iter(0..count).map(async |number| {
        provider.complete(&prompt(number), &context).await.expect("an answer").text.len()
    });
    assert!(answers.buffer_unordered(AT_ONCE).fold(0, async |sum, len| sum + len).await > 0);
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Delta,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    #[serde(default)]
    content: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    completion_tokens: u64,
}

/// Makes calls without a client library: the bytes are split at blank lines, and each event is deserialised into a type.
async fn typed_answers(client: &reqwest::Client, url: &str, count: u64) {
    let answers = stream::iter(0..count).map(async |number| {
        let body = json!({
            "model": "sim-1",
            "messages": [{ "role": "user", "content": format!("{QUESTION} {number}") }],
            "stream": true,
            "stream_options": { "include_usage": true },
        });
        let answer = client.post(url).bearer_auth("k").json(&body).send().await.expect("an answer");
        let (mut pieces, mut buffer, mut text) = (answer.bytes_stream(), Vec::new(), String::new());
        let (mut tokens, mut reason) = (0, None);
        while let Some(piece) = pieces.next().await {
            buffer.extend_from_slice(&piece.expect("a piece"));
            let mut from = 0;
            while let Some(at) = buffer[from..].windows(2).position(|two| two == b"\n\n") {
                let data = &buffer[from + b"data: ".len()..from + at];
                from += at + 2;
                if data == b"[DONE]" {
                    continue;
                }
                let chunk: Chunk = serde_json::from_slice(data).expect("a chunk");
                tokens = chunk.usage.map_or(tokens, |usage| usage.completion_tokens);
                for choice in chunk.choices {
                    text.push_str(choice.delta.content.as_deref().unwrap_or_default());
                    reason = choice.finish_reason.or(reason);
                }
            }
            buffer.drain(..from);
        }
        assert!(tokens > 0 && reason.is_some());
        text.len()
    });
    assert!(answers.buffer_unordered(AT_ONCE).fold(0, async |sum, len| sum + len).await > 0);
}

async fn async_openai_answers(client: &async_openai::Client<async_openai::config::OpenAIConfig>, count: u64) {
    let answers = stream::iter(0..count).map(async |number| {
        let question = ChatCompletionRequestUserMessage::from(format!("{QUESTION} {number}"));
        let options = ChatCompletionStreamOptions { include_usage: Some(true), include_obfuscation: None };
        let request = CreateChatCompletionRequestArgs::default()
            .model("sim-1")
            .messages([question.into()])
            .stream_options(options)
            .build()
            .expect("a request");
        let mut stream = client.chat().create_stream(request).await.expect("an answer");
        let mut text = String::new();
        while let Some(chunk) = stream.next().await {
            for choice in &chunk.expect("a chunk").choices {
                text.push_str(choice.delta.content.as_deref().unwrap_or_default());
            }
        }
        text.len()
    });
    assert!(answers.buffer_unordered(AT_ONCE).fold(0, async |sum, len| sum + len).await > 0);
}

async fn genai_answers(client: &genai::Client, base: &str, count: u64) {
    let options = ChatOptions::default().with_capture_usage(true);
    let answers = stream::iter(0..count).map(async |number| {
        let target = ServiceTarget {
            endpoint: Endpoint::from_owned(format!("{base}/")),
            auth: AuthData::from_single("k"),
            model: ModelIden::new(AdapterKind::OpenAI, "sim-1"),
        };
        let request = ChatRequest::new(vec![ChatMessage::user(format!("{QUESTION} {number}"))]);
        let answer = client.exec_chat_stream(target, request, Some(&options)).await.expect("an answer");
        let (mut stream, mut text) = (answer.stream, String::new());
        while let Some(event) = stream.next().await {
            if let ChatStreamEvent::Chunk(chunk) = event.expect("an event") {
                text.push_str(&chunk.content);
            }
        }
        text.len()
    });
    assert!(answers.buffer_unordered(AT_ONCE).fold(0, async |sum, len| sum + len).await > 0);
}

async fn rig_answers(model: &rig_core::Model<rig_core::providers::openai::wire::Chat>, count: u64) {
    let answers = stream::iter(0..count).map(async |number| {
        let request = CompletionRequest::new(format!("{QUESTION} {number}"));
        let (mut stream, mut text) = (model.stream(request).expect("a stream"), String::new());
        while let Some(item) = stream.next().await {
            if let Item::Event(StreamEvent::Text { text: words, .. }) = item.expect("an item") {
                text.push_str(&words);
            }
        }
        text.len()
    });
    assert!(answers.buffer_unordered(AT_ONCE).fold(0, async |sum, len| sum + len).await > 0);
}

async fn at_once(provider: &dyn Provider, count: u64) {
    let context = CallContext::default();
    let prompts: Vec<Prompt> = (0..count).map(prompt).collect();
    let answers = futures::future::join_all(prompts.iter().map(|prompt| provider.complete(prompt, &context)));
    assert!(answers.await.iter().all(Result::is_ok));
}

fn one_after_another(provider: &dyn Provider, count: u64) {
    for number in 0..count {
        let answer = blocking::run(provider.complete(&prompt(number), &CallContext::default()));
        assert!(answer.expect("no runtime is at work").is_ok());
    }
}
