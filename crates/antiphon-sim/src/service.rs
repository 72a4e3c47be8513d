//! The HTTP service: from a request to its response.
//!
//! A request is one of three kinds, tried in this order:
//!
//! 1. A prompt: a `POST` to a path of one of the formats (`wire`). It is checked, admitted, delayed and answered.
//! 2. A request to the simulator itself, below `/_sim/`.
//! 3. A request that real servers answer beside prompts, such as a model list (`wire::auxiliary`).
//!
//! Only prompts are counted, limited, delayed and given faults. The state that requests share is in `shared`; nothing
//! here holds its lock.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::time::{Instant, sleep};

use crate::answer::{AnswerBody, ConnectionBroken, Report};
use crate::faults::Fate;
use crate::limit::LimitSignal;
use crate::limit_headers::{Levels, add_limit_headers};
use crate::scenario::Scenario;
use crate::shared::{Admission, Admitted, Arrival, Shared};
use crate::verdict::{End, Judge};
use crate::wire::{Answer, ErrorCase, Finish, Headers, ParsedRequest, Wire, auxiliary, wire_of};

/// A response, or the error that makes hyper reset the connection.
type Served = Result<Response<AnswerBody>, ConnectionBroken>;

/// The wait that an overloaded server reports.
const OVERLOADED_FOR: Duration = Duration::from_secs(1);

/// The body of the response to an unknown path, with status 404, in OpenAI's format.
const NOTHING_HERE: &str =
    r#"{"error":{"message":"there is nothing here","type":"not_found","param":null,"code":"not_found"}}"#;

/// A request with a prompt that passed all checks.
struct Checked {
    asked: ParsedRequest,
    prompt_tokens: u64,
    /// The charge to the rate limit of tokens.
    cost: f64,
}

/// A request that can never succeed: the error to report, and its message.
struct Hopeless(ErrorCase, &'static str);

/// Serves one request.
///
/// An error resets the connection, or the stream in HTTP/2: the fault `reset`, or a request whose body cannot be read.
///
/// # Cancel safety
/// hyper drops the future when the client closes the connection. A prompt that was admitted is then counted as hung up.
pub(crate) async fn serve(shared: Arc<Shared>, request: Request<Incoming>) -> Served {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    if let Some(wire) = wire_of(&head.method, path) {
        return serve_prompt(&shared, wire, &head, &read(body).await?).await;
    }
    let json = |body| Ok(plain(&shared, StatusCode::OK, body));
    match (&head.method, path) {
        (_, "/_sim/stats") => json(to_json(&shared.stats())),
        (_, "/_sim/verdict") => json(to_json(&shared.verdict())),
        (&Method::POST, "/_sim/reset") => {
            shared.reset();
            json(Bytes::from_static(b"{}"))
        }
        _ => Ok(serve_auxiliary(&shared, &head, &read(body).await?)),
    }
}

/// Reads the whole body of a request.
async fn read(body: Incoming) -> Result<Bytes, ConnectionBroken> {
    body.collect().await.map(|body| body.to_bytes()).map_err(|_| ConnectionBroken)
}

/// Responds to a request that is neither a prompt nor one to the simulator itself. Needs the key, except for health
/// checks.
fn serve_auxiliary(shared: &Arc<Shared>, head: &Parts, body: &[u8]) -> Response<AnswerBody> {
    let (path, headers, scenario) = (head.uri.path(), &head.headers, shared.scenario());
    let is_public = matches!(path, "/health" | "/v1/health" | "/api/version");
    let wire = wire_of(&Method::POST, prompt_path(path, headers));
    if let Some(wire) = wire.filter(|wire| !is_public && !scenario.is_authorised(*wire, headers)) {
        return error_response(shared, wire, ErrorCase::WrongKey, "the key is wrong");
    }
    match auxiliary(&head.method, path, headers, body, &scenario.listed()) {
        Some((kind, body)) => {
            let mut response = plain(shared, StatusCode::OK, body.into());
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            response
        }
        None => plain(shared, StatusCode::NOT_FOUND, Bytes::from_static(NOTHING_HERE.as_bytes())),
    }
}

/// Returns the path of prompts of the vendor that has this path, so that errors have its format.
///
/// `/v1/` belongs to two vendors: the header `anthropic-version` decides.
fn prompt_path(path: &str, headers: &HeaderMap) -> &'static str {
    match path {
        path if path.starts_with("/v1beta/") => "/v1beta/models/sim-1:generateContent",
        path if path.starts_with("/api/") => "/api/chat",
        _ if headers.contains_key("anthropic-version") => "/v1/messages",
        _ => "/v1/chat/completions",
    }
}

impl Scenario {
    /// Returns the models to list.
    fn listed(&self) -> Vec<&str> {
        match &self.models[..] {
            [] => vec!["sim-1"],
            models => models.iter().map(String::as_str).collect(),
        }
    }

    /// Returns whether a model exists. A request without a model is accepted.
    fn has_model(&self, model: Option<&str>) -> bool {
        self.models.is_empty() || model.is_none_or(|model| self.models.iter().any(|known| known == model))
    }

    /// Returns whether a request has the required key, if there is one.
    fn is_authorised(&self, wire: &dyn Wire, headers: &HeaderMap) -> bool {
        self.key.as_ref().is_none_or(|key| key_of(wire, headers) == Some(key.as_bytes()))
    }
}

/// Returns the key of a request, from its vendor's header.
fn key_of<'h>(wire: &dyn Wire, headers: &'h HeaderMap) -> Option<&'h [u8]> {
    match wire.key_header() {
        Some(name) => Some(headers.get(name)?.as_bytes()),
        None => headers.get("authorization")?.as_bytes().strip_prefix(b"Bearer "),
    }
}

/// Checks, admits and answers a prompt.
async fn serve_prompt(shared: &Arc<Shared>, wire: &'static dyn Wire, head: &Parts, body: &[u8]) -> Served {
    let fingerprint = Judge::fingerprint(head.uri.path(), key_of(wire, &head.headers), body);
    let Checked { asked, prompt_tokens, cost } = match check(shared, wire, head, body) {
        Ok(checked) => checked,
        Err(Hopeless(case, message)) => {
            let end = if case == ErrorCase::TooLong { End::TooLarge } else { End::Hopeless };
            shared.hopeless(fingerprint, head.version, end);
            return Ok(error_response(shared, wire, case, message));
        }
    };
    let arrival = Arrival { fingerprint, version: head.version, prompt_tokens, cost };
    match shared.admit(&arrival, wire) {
        Admitted::Yes(admission) => {
            let report = Report::new(shared.clone(), &admission);
            respond(shared, wire, asked, admission, report).await
        }
        Admitted::No { levels, wait } => Ok(throttled(shared, wire, levels, wait)),
    }
}

/// Checks the key, the format, the model and the size of a prompt, in this order.
fn check(shared: &Shared, wire: &dyn Wire, head: &Parts, body: &[u8]) -> Result<Checked, Hopeless> {
    let scenario = shared.scenario();
    if !scenario.is_authorised(wire, &head.headers) {
        return Err(Hopeless(ErrorCase::WrongKey, "the key is wrong"));
    }
    let Some(asked) = wire.parse(head.uri.path(), body) else {
        return Err(Hopeless(ErrorCase::Invalid, "this is no request of this format"));
    };
    if !scenario.has_model(asked.model.as_deref()) {
        return Err(Hopeless(ErrorCase::NoSuchModel, "there is no model of that name"));
    }
    let prompt_tokens = tokens_of(body);
    let cost = cost(prompt_tokens, asked.max_tokens.unwrap_or(scenario.answer_tokens));
    if !shared.can_ever_admit(cost) {
        return Err(Hopeless(ErrorCase::TooLong, "it has more tokens than are allowed at once"));
    }
    Ok(Checked { asked, prompt_tokens, cost })
}

/// Returns the tokens of a prompt: a quarter of the bytes of its request, the usual estimate for English text.
fn tokens_of(body: &[u8]) -> u64 {
    u64::try_from(body.len()).unwrap_or(u64::MAX) / 4
}

/// Returns the charge of a request to the rate limit of tokens: its prompt and the longest answer that it allows, as
/// vendors charge it before they know the length of the answer.
fn cost(prompt_tokens: u64, max_tokens: u32) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "no request has 2^52 tokens")]
    let prompt_tokens = prompt_tokens as f64;
    prompt_tokens + f64::from(max_tokens)
}

/// Returns the response to a request that a rate limit refuses, with the wait if the scenario reports it.
fn throttled(shared: &Arc<Shared>, wire: &dyn Wire, levels: Levels, wait: Duration) -> Response<AnswerBody> {
    let signal = shared.scenario().limit_signal;
    let reported = (signal != LimitSignal::None).then_some(wait.as_secs_f64());
    let mut refusal = error_response(shared, wire, ErrorCase::Limited(reported), "too many");
    add_limit_headers(signal, wire.headers(), levels, Some(wait), &mut refusal);
    refusal
}

/// Answers an admitted prompt after its latency, with its fault.
///
/// # Cancel safety
/// Dropping the future drops the report, which counts the request as hung up.
async fn respond(
    shared: &Arc<Shared>,
    wire: &'static dyn Wire,
    asked: ParsedRequest,
    admission: Admission,
    mut report: Report,
) -> Served {
    let Admission { id, fate, latency, levels, .. } = admission;
    if !latency.is_zero() {
        sleep(latency).await;
    }
    if fate == Fate::Reset {
        report.cut();
        return Err(ConnectionBroken);
    }
    let scenario = shared.scenario();
    let mut response = match error_case(fate, asked.stream) {
        Some(case) => failed(shared, wire, case, report),
        None => answered(scenario, wire, asked, &admission, report),
    };
    // An overloaded server reports a wait.
    let wait = (fate == Fate::Overloaded).then_some(OVERLOADED_FOR);
    name(wire, &mut response, id);
    add_limit_headers(scenario.limit_signal, wire.headers(), levels, wait, &mut response);
    Ok(response)
}

/// Returns the error that a fault has in place of an answer; `None` for an answer, even a damaged one.
fn error_case(fate: Fate, is_stream: bool) -> Option<ErrorCase> {
    match fate {
        Fate::Error => Some(ErrorCase::Broken),
        // A whole answer has no middle.
        Fate::Breaks if !is_stream => Some(ErrorCase::Broken),
        Fate::Overloaded => Some(ErrorCase::Overloaded),
        Fate::Money => Some(ErrorCase::NoMoney),
        _ => None,
    }
}

/// Reports a request that fails on purpose, and returns its error.
fn failed(
    shared: &Arc<Shared>,
    wire: &dyn Wire,
    case: ErrorCase,
    mut report: Report,
) -> Response<AnswerBody> {
    match case {
        ErrorCase::NoMoney => report.out_of_money(),
        ErrorCase::Overloaded => {
            let is_silent = shared.scenario().limit_signal == LimitSignal::None;
            let is_reported = !is_silent && wire.headers() != Headers::Plain;
            report.refused(is_reported.then(|| Instant::now() + OVERLOADED_FOR));
        }
        _ => report.cut(),
    }
    error_response(shared, wire, case, "on purpose")
}

/// Returns an answer, streamed or whole, with the damage of its fate. Its body ends the report.
fn answered(
    scenario: &Scenario,
    wire: &'static dyn Wire,
    asked: ParsedRequest,
    admission: &Admission,
    report: Report,
) -> Response<AnswerBody> {
    let fate = admission.fate;
    let is_stream = asked.stream && fate != Fate::WrongType;
    let answer = answer(wire, asked, admission, scenario.answer_tokens);
    let mut response = Response::new(match fate {
        Fate::Slow => AnswerBody::drops(&answer, is_stream, report),
        _ if is_stream => AnswerBody::words(answer, scenario.tokens_per_second, fate, report),
        _ => AnswerBody::whole(&answer, fate, report),
    });
    let kind = match fate {
        Fate::WrongType => "text/html",
        _ if is_stream => wire.stream_type(),
        _ => "application/json",
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Returns the answer to a prompt: a value of its schema, or the default words, as far as the fate lets the model
/// answer.
fn answer(wire: &'static dyn Wire, mut asked: ParsedRequest, admission: &Admission, tokens: u32) -> Answer {
    let schema = asked.schema.take();
    let answer = Answer::new(wire, asked, admission.id, admission.prompt_tokens);
    let answer = match schema {
        Some(schema) => answer.with_schema(&schema, &mut SmallRng::seed_from_u64(admission.words)),
        None => answer.with_words(tokens),
    };
    match admission.fate {
        Fate::Refusal => answer.with_finish(Finish::Refused),
        Fate::Filter => answer.with_finish(Finish::Filtered),
        _ => answer,
    }
}

/// Returns a JSON response that is not an answer to a prompt, and ends no request.
fn plain(shared: &Arc<Shared>, status: StatusCode, body: Bytes) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::plain(body, Report::none(shared.clone())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Returns an error in the vendor's format, with a request id.
fn error_response(
    shared: &Arc<Shared>,
    wire: &dyn Wire,
    case: ErrorCase,
    message: &str,
) -> Response<AnswerBody> {
    let (status, body) = wire.error(case, message);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = plain(shared, status, body.into());
    name(wire, &mut response, shared.request_count());
    response
}

/// Sets the vendor's header with the request id.
fn name(wire: &dyn Wire, response: &mut Response<AnswerBody>, id: u64) {
    let name = match wire.headers() {
        Headers::OpenAi => "x-request-id",
        Headers::Anthropic => "request-id",
        Headers::Plain => return,
    };
    if let Ok(id) = HeaderValue::try_from(format!("req-{id}")) {
        response.headers_mut().insert(HeaderName::from_static(name), id);
    }
}

/// Serialises a report of the simulator.
fn to_json(value: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}
