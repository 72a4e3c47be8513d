//! Sampling parameters and additions, as each vendor's format sends them or refuses them.

use std::collections::BTreeMap;

use antiphon_llm::{
    Billed, CallContext, ErrorKind, Message, Output, Prompt, ProviderExt, ReasoningEffort, SamplingParams,
    Schema,
};
use antiphon_providers::SecretString;
use antiphon_providers::registry::{BuildError, Built, Kind, Options};
use antiphon_tests::conformance::{FORMATS, Target};
use antiphon_tests::{Received, Reply, Server};
use serde_json::{Map, Value, json};

/// Returns each parameter alone, with each effort, under a name for snapshots.
fn each() -> Vec<(String, SamplingParams)> {
    let new = SamplingParams::default;
    let mut all = vec![
        ("temperature", new().temperature(0.5)),
        ("max_tokens", new().max_tokens(99)),
        ("seed", new().seed(7)),
        ("top_p", new().top_p(0.9)),
        ("top_k", new().top_k(40)),
        ("min_p", new().min_p(0.05)),
        ("stop", new().stop(["END", "\n\n"])),
        ("presence_penalty", new().presence_penalty(0.5)),
        ("frequency_penalty", new().frequency_penalty(-0.5)),
        ("reasoning_budget", new().reasoning_budget(2_048)),
        ("service_tier auto", new().service_tier("auto")),
        ("service_tier flex", new().service_tier("flex")),
    ];
    let efforts = [
        "reasoning_effort none",
        "reasoning_effort minimal",
        "reasoning_effort low",
        "reasoning_effort medium",
        "reasoning_effort high",
        "reasoning_effort xhigh",
    ];
    all.extend(
        efforts
            .into_iter()
            .zip(ReasoningEffort::ALL)
            .map(|(name, effort)| (name, new().reasoning_effort(effort))),
    );
    all.into_iter().map(|(name, parameters)| (name.to_owned(), parameters)).collect()
}

/// Asks a server that answers with an error, and returns the body that it received, or the refusal of the provider.
async fn sent(format: &str, parameters: &SamplingParams) -> Result<Value, String> {
    let broken = Reply::json(500, &json!({ "error": { "message": "enough", "type": "server_error" } }));
    let template = Reply::json(200, &json!({ "prompt": "<templated>" }));
    let script = if format == "llamacpp-native" { vec![template, broken] } else { vec![broken] };
    let server = Server::start(script);
    let prompt = Prompt::new("the-model", [Message::user("Hello")]).parameters(parameters.clone());
    let provider = Target::new(format, &server.url(""), "the-model").provider();
    let err = provider.complete(&prompt, &CallContext::default()).await.unwrap_err();
    match server.requests().pop() {
        Some(request) => Ok(request.body),
        None => {
            assert_eq!((err.kind(), err.billed()), (ErrorKind::Unsupported, Billed::No), "{format}: {err}");
            Err(err.to_string())
        }
    }
}

/// Returns the fields of a body that another one does not have, at any depth.
fn added(body: &Value, without: &Value) -> Value {
    let (Value::Object(body), Value::Object(without)) = (body, without) else { return body.clone() };
    let fields = body.iter().filter(|(name, value)| without.get(*name) != Some(*value));
    let null = Value::Null;
    let fields = fields.map(|(name, value)| (name.clone(), added(value, without.get(name).unwrap_or(&null))));
    Value::Object(fields.collect())
}

#[tokio::test]
async fn a_prompt_is_sent_as_it_is_whatever_is_a_secret() {
    let prompt = json!({ "prompt": "<user>What do northwind-traders sell?" });
    let answer = Reply::json(
        200,
        &json!({ "content": "northwind-traders sell tea", "stop": true, "stop_type": "eos" }),
    );
    let server = Server::start([Reply::json(200, &prompt), answer]);
    let provider = antiphon_providers::LlamaCpp::new(&server.url("")).unwrap().native();
    let provider = provider.header("x-team", "northwind-traders");
    let asked = Prompt::new("m", [Message::user("What do northwind-traders sell?")]);
    let said = provider.complete(&asked, &CallContext::default()).await.unwrap();
    assert_eq!(server.requests().pop().unwrap().body["prompt"], prompt["prompt"]);
    assert_eq!(said.text, "[key] sell tea");
}

#[tokio::test]
async fn each_parameter_is_sent_under_the_vendors_name_or_refused() {
    for format in FORMATS {
        let bare = sent(format, &SamplingParams::default()).await.unwrap();
        let mut all = Map::new();
        for (name, parameters) in each() {
            let field = match sent(format, &parameters).await {
                Ok(body) => added(&body, &bare),
                Err(refusal) => json!(refusal),
            };
            all.insert(name, field);
        }
        let text = serde_json::to_string_pretty(&all).unwrap();
        insta::assert_snapshot!(format!("sampling-{format}"), text);
    }
}

/// The parameters that each format refuses.
const REFUSED: [(&str, &[&str]); 9] = [
    ("chat", &["top_k", "min_p", "reasoning_budget"]),
    (
        "responses",
        &["seed", "top_k", "min_p", "stop", "presence_penalty", "frequency_penalty", "reasoning_budget"],
    ),
    ("compatible", &["reasoning_budget"]),
    (
        "anthropic",
        &[
            "seed",
            "min_p",
            "presence_penalty",
            "frequency_penalty",
            "service_tier flex",
            "reasoning_effort minimal",
        ],
    ),
    ("gemini", &["min_p", "service_tier auto", "reasoning_effort xhigh"]),
    (
        "ollama",
        &[
            "reasoning_budget",
            "service_tier auto",
            "service_tier flex",
            "reasoning_effort minimal",
            "reasoning_effort xhigh",
        ],
    ),
    (
        "ollama-generate",
        &[
            "reasoning_budget",
            "service_tier auto",
            "service_tier flex",
            "reasoning_effort minimal",
            "reasoning_effort xhigh",
        ],
    ),
    (
        "llamacpp",
        &["service_tier auto", "service_tier flex", "reasoning_effort minimal", "reasoning_effort xhigh"],
    ),
    (
        "llamacpp-native",
        &[
            "reasoning_budget",
            "service_tier auto",
            "service_tier flex",
            "reasoning_effort none",
            "reasoning_effort minimal",
            "reasoning_effort low",
            "reasoning_effort medium",
            "reasoning_effort high",
            "reasoning_effort xhigh",
        ],
    ),
];

#[tokio::test]
async fn a_parameter_that_a_vendor_does_not_have_is_refused_by_name_before_anything_is_sent() {
    for (format, refused) in REFUSED {
        let mut found = Vec::new();
        for (name, parameters) in each() {
            let Err(message) = sent(format, &parameters).await else { continue };
            let parameter = name.split(' ').next().unwrap();
            assert!(message.contains(parameter) && message.contains("the provider "), "{message}");
            found.push(name);
        }
        assert_eq!(found, refused, "{format}");
    }
}

#[tokio::test]
async fn values_that_no_vendor_accepts_are_refused_everywhere() {
    let new = SamplingParams::default;
    for format in FORMATS {
        for bad in [new().top_p(3.0), new().temperature(f64::NAN), new().stop([""]), new().max_tokens(0)] {
            let server = Server::start([Reply::json(500, &json!({}))]);
            let provider = Target::new(format, &server.url(""), "m").provider();
            let prompt = Prompt::new("m", [Message::user("?")]).parameters(bad);
            let err = provider.complete(&prompt, &CallContext::default()).await.unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidRequest, "{format}: {err}");
            assert!(server.requests().is_empty(), "{format}");
        }
    }
}

fn built(kind: &str, url: &str, change: impl FnOnce(&mut Options)) -> Result<Built, BuildError> {
    let mut options = Options::new("lab").base_url(url).key(SecretString::from("sk-planted"));
    change(&mut options);
    Kind::find(kind).unwrap().build(&options)
}

const KINDS: [&str; 6] = ["openai", "anthropic", "gemini", "ollama", "llamacpp", "compatible"];

/// Makes a call with options at a server, which answers with an error, and returns its last request.
async fn asked(kind: &str, path: &str, change: impl FnOnce(&mut Options)) -> Received {
    let server = Server::start([Reply::json(500, &json!({ "error": { "message": "enough" } }))]);
    let provider = built(kind, &server.url(path), change).unwrap().provider;
    let schema = Schema::new("s", json!({ "type": "object" })).unwrap();
    let prompt = Prompt::new("m", [Message::user("?")]).output(Output::Json(schema));
    provider.complete(&prompt, &CallContext::default()).await.unwrap_err();
    server.requests().pop().unwrap()
}

#[tokio::test]
async fn additions_reach_every_kind() {
    for kind in KINDS {
        let request = asked(kind, "/v1", |options| {
            options.headers.insert("x-team".to_owned(), "research".to_owned());
            options.secret_headers.insert("x-proxy-key".to_owned(), SecretString::from("hidden"));
            options.query.insert("api-version".to_owned(), "2024-10-21".to_owned());
            options.extra_body =
                json!({ "keep_alive": "1h", "nested": { "a": [1] } }).as_object().cloned().unwrap();
        })
        .await;
        let has = |line: &str| request.headers.iter().any(|header| header == line);
        assert!(has("x-team: research") && has("x-proxy-key: hidden"), "{kind}: {:?}", request.headers);
        let mark =
            if kind == "gemini" { "alt=sse&api-version=2024-10-21" } else { "?api-version=2024-10-21" };
        assert!(request.line.contains(mark), "{kind}: {}", request.line);
        assert_eq!(request.body["keep_alive"], "1h", "{kind}");
        assert_eq!(request.body["nested"], json!({ "a": [1] }), "{kind}");
    }
}

#[tokio::test]
async fn fields_are_merged_deeply_into_those_of_the_format() {
    let gemini = asked("gemini", "", |options| {
        let extra =
            json!({ "safetySettings": [{ "category": "C" }], "generationConfig": { "candidateCount": 1 } });
        options.extra_body = extra.as_object().cloned().unwrap();
    })
    .await;
    assert_eq!(gemini.body["generationConfig"]["candidateCount"], 1);
    assert_eq!(gemini.body["generationConfig"]["responseMimeType"], "application/json");
    assert_eq!(gemini.body["safetySettings"], json!([{ "category": "C" }]));
    let ollama = asked("ollama", "", |options| {
        options.context = Some(9);
        options.extra_body = json!({ "options": { "mirostat": 2 } }).as_object().cloned().unwrap();
    })
    .await;
    assert_eq!(ollama.body["options"], json!({ "num_ctx": 9, "mirostat": 2 }));
}

#[test]
fn fields_that_are_set_already_are_refused_by_name_when_the_provider_is_built() {
    let check = |kind: &str, extra: Value, path: &str| {
        let extra = extra.as_object().cloned().unwrap();
        let err = built(kind, "http://h", |options| options.extra_body = extra).unwrap_err().to_string();
        assert!(err.starts_with(&format!("extra_body cannot set {path}: ")), "{kind}: {err}");
    };
    for kind in KINDS.into_iter().filter(|kind| *kind != "gemini") {
        check(kind, json!({ "model": "other" }), "model");
        check(kind, json!({ "messages": [] }), "messages");
        check(kind, json!({ "stream": false }), "stream");
    }
    check("gemini", json!({ "contents": [] }), "contents");
    for kind in KINDS {
        for name in
            ["n", "best_of", "max_completion_tokens", "max_output_tokens", "n_predict", "tools", "functions"]
        {
            check(kind, json!({ name: 100_000 }), name);
        }
    }
    check("gemini", json!({ "stream": false }), "stream");
    check(
        "gemini",
        json!({ "generationConfig": { "candidateCount": 2 } }),
        "generationConfig.candidateCount",
    );
    check(
        "gemini",
        json!({ "generation_config": { "max_output_tokens": 2 } }),
        "generation_config.max_output_tokens",
    );
    check("ollama", json!({ "options": { "num_ctx": 512 } }), "options.num_ctx");
    check("ollama", json!({ "options": { "num_predict": 512 } }), "options.num_predict");
    check(
        "gemini",
        json!({ "generationConfig": { "responseMimeType": "x" } }),
        "generationConfig.responseMimeType",
    );
    check("gemini", json!({ "generationConfig": 3 }), "generationConfig");
    check("anthropic", json!({ "max_tokens": 3 }), "max_tokens");
    check("anthropic", json!({ "output_config": { "format": null } }), "output_config.format");
    check("openai", json!({ "max_completion_tokens": 3 }), "max_completion_tokens");
    check("openai", json!({ "response_format": { "type": "text" } }), "response_format.type");
    check("compatible", json!({ "stream_options": null }), "stream_options");
    check("ollama", json!({ "truncate": true }), "truncate");
    let responses = built("openai", "http://h", |options| {
        options.route = Some("responses".to_owned());
        options.extra_body = json!({ "store": true }).as_object().cloned().unwrap();
    });
    assert!(responses.unwrap_err().to_string().starts_with("extra_body cannot set store: "));
    let built = built("compatible", "http://h", |options| {
        options.extra_body = json!({ "temperature": 1 }).as_object().cloned().unwrap();
    });
    let err = built.unwrap().check(&SamplingParams::default().temperature(0.5)).unwrap_err();
    assert_eq!(err.name, "extra_body");
    assert!(err.to_string().starts_with("extra_body cannot set temperature: "), "{err}");
}

#[test]
fn headers_and_parameters_that_are_not_the_users_are_refused_without_their_values() {
    let check = |change: &dyn Fn(&mut Options), expected: &str| {
        for kind in KINDS {
            let err = built(kind, "http://h", |options| change(options)).unwrap_err();
            assert!(err.to_string().starts_with(expected), "{kind}: {err}");
            assert!(!format!("{err} {err:?}").contains("planted"), "{kind}: {err}");
        }
    };
    let header = |name: &'static str| {
        move |options: &mut Options| drop(options.headers.insert(name.to_owned(), "planted".to_owned()))
    };
    check(
        &header("Authorization"),
        "headers cannot set Authorization, which carries a key: use key_env, or headers_env",
    );
    for name in ["x-api-key", "Cookie", "Ocp-Apim-Subscription-Key", "x-functions-key"] {
        check(&header(name), &format!("headers cannot set {name}, which carries a key"));
    }
    check(&header("Content-Type"), "headers cannot set Content-Type: this program sets it itself");
    check(&header("host"), "headers cannot set host");
    check(&header("a b"), "headers has a name that no header can have");
    check(&header(""), "headers has a name");
    let value =
        |options: &mut Options| drop(options.headers.insert("x-a".to_owned(), "planted\nx".to_owned()));
    check(&value, "headers cannot send x-a: its value has a line break");
    let twice = |options: &mut Options| {
        options.headers.insert("x-a".to_owned(), "planted".to_owned());
        options.secret_headers.insert("X-A".to_owned(), SecretString::from("planted"));
    };
    check(&twice, "headers sets x-a twice");
    let secret = |options: &mut Options| {
        options.secret_headers.insert("content-length".to_owned(), SecretString::from("planted"));
    };
    check(&secret, "headers_env cannot set content-length");
    let query = |name: &'static str| {
        move |options: &mut Options| drop(options.query.insert(name.to_owned(), "planted".to_owned()))
    };
    check(&query("key"), "query cannot set key: it would put a key into an address");
    check(&query("alt"), "query cannot set alt: it is set by this program");
    let own = |options: &mut Options| {
        options.key_header = Some("x-lab".to_owned());
        options.headers.insert("X-Lab".to_owned(), "planted".to_owned());
    };
    check(&own, "headers cannot set X-Lab, which carries a key");
}

#[tokio::test]
async fn azure_is_openai_with_a_header_for_the_key_and_a_version_in_the_query() {
    let azure = |options: &mut Options| {
        options.key_header = Some("api-key".to_owned());
        options.query.insert("api-version".to_owned(), "2024-10-21".to_owned());
    };
    let request = asked("openai", "/openai/deployments/my-gpt", azure).await;
    assert!(
        request.line.starts_with("POST /openai/deployments/my-gpt/chat/completions?api-version=2024-10-21"),
        "{}",
        request.line
    );
    assert!(request.headers.iter().any(|line| line == "api-key: sk-planted"), "{:?}", request.headers);
    assert!(!request.headers.iter().any(|line| line.starts_with("authorization:")), "{:?}", request.headers);
    let request = asked("openai", "/openai/v1", |options| {
        azure(options);
        options.route = Some("responses".to_owned());
    })
    .await;
    assert!(request.line.starts_with("POST /openai/v1/responses?api-version="), "{}", request.line);
}

#[tokio::test]
async fn a_secret_header_that_authenticates_replaces_the_key() {
    for kind in KINDS {
        let bearer = |options: &mut Options| {
            let token = SecretString::from("Bearer other-token");
            options.secret_headers.insert("Authorization".to_owned(), token);
        };
        let request = asked(kind, "", bearer).await;
        assert!(request.headers.iter().any(|line| line == "authorization: Bearer other-token"), "{kind}");
        assert!(
            !request.headers.iter().any(|line| line.contains("planted")),
            "{kind}: {:?}",
            request.headers
        );
        let mut options = Options::new("lab").base_url("http://h");
        options.key_env = vec!["LAB_KEY".to_owned()];
        bearer(&mut options);
        assert!(Kind::find(kind).unwrap().build(&options).is_ok(), "{kind} needs no key");
    }
}

#[tokio::test]
async fn a_secret_header_is_in_no_error_and_no_debug_output() {
    for kind in KINDS {
        let echo =
            json!({ "error": { "message": "no: Bearer hidden-token-1 and hidden-token-1", "type": "x" } });
        let server = Server::start([Reply::json(400, &echo)]);
        let built = built(kind, &server.url(""), |options| {
            let token = SecretString::from("Bearer hidden-token-1");
            options.secret_headers.insert("x-proxy".to_owned(), token);
        });
        let provider = built.unwrap().provider;
        let prompt = Prompt::new("m", [Message::user("?")]);
        let err = provider.complete(&prompt, &CallContext::default()).await.unwrap_err();
        let shown = format!("{err} {err:?} {provider:?} {:?}", provider.scope());
        assert!(!shown.contains("hidden-token"), "{kind}: {shown}");
    }
}

#[test]
fn additions_are_a_part_of_the_scope_and_secrets_only_of_the_account() {
    for kind in KINDS {
        let scope = |change: &dyn Fn(&mut Options)| {
            built(kind, "http://h", |options| change(options)).unwrap().provider.scope()
        };
        let text = |text: &str| text.to_owned();
        let variants = [
            scope(&|_| ()),
            scope(&|options| drop(options.headers.insert(text("x-a"), text("1")))),
            scope(&|options| drop(options.headers.insert(text("x-a"), text("2")))),
            scope(&|options| drop(options.query.insert(text("x-a"), text("1")))),
            scope(&|options| drop(options.extra_body.insert(text("x-a"), json!("1")))),
        ];
        let distinct: BTreeMap<_, _> = variants.iter().map(|scope| (scope.variant.clone(), ())).collect();
        assert_eq!(distinct.len(), variants.len(), "{kind}: {variants:?}");
        let secret = |value: &'static str| {
            scope(&move |options: &mut Options| {
                options.secret_headers.insert("x-a".to_owned(), SecretString::from(value));
            })
        };
        assert_eq!(secret("one").variant, variants[0].variant, "{kind}: a new secret is no other run");
        assert_ne!(secret("one").key_digest, secret("two").key_digest, "{kind}");
    }
}
