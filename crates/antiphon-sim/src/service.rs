use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode, Version};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep};

use crate::answer::{AnswerBody, ConnectionBroken, Report};
use crate::bucket::Bucket;
use crate::limit_headers::{Levels, add_limit_headers};
use crate::scenario::{Fate, Faults, Limit, LimitSignal, Scenario};
use crate::stats::{Stats, count_of};
use crate::verdict::{ClientVerdict, End, Judge};
use crate::wire::{Answer, ErrorCase, Finish, Headers, ParsedRequest, Wire, auxiliary, wire_of};

/// The state that all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    scenario: Scenario,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    stats: Stats,
    judge: Judge,
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    faults: Faults,
    rng: SmallRng,
    started_at: Option<Instant>,
    /// Incremented by each reset; requests of an earlier epoch are not counted.
    epoch: u64,
}

/// The result of admission control for a request.
enum Admitted {
    Yes(Admission),
    No { levels: Levels, wait: Duration },
}

/// A request before admission: its fingerprint, HTTP version, bytes and cost in tokens.
struct Arrival {
    fingerprint: u64,
    version: Version,
    body: usize,
    cost: f64,
}

/// An admitted request, with its fate.
struct Admission {
    id: u64,
    epoch: u64,
    fate: Fate,
    latency: Duration,
    levels: Levels,
    /// The seed of its words.
    words: u64,
    prompt_tokens: u64,
}

impl State {
    fn new(scenario: &Scenario) -> Self {
        let now = Instant::now().into_std();
        Self {
            stats: Stats::default(),
            judge: Judge::default(),
            requests: scenario.requests.map(|limit| Bucket::new(limit, now)),
            tokens: scenario.tokens.map(|limit| Bucket::new(limit, now)),
            faults: scenario.faults,
            rng: SmallRng::seed_from_u64(scenario.seed),
            started_at: None,
            epoch: 0,
        }
    }
}

impl Shared {
    pub(crate) fn new(scenario: Scenario) -> Self {
        Self { state: Mutex::new(State::new(&scenario)), scenario }
    }

    pub(crate) fn connected(&self) {
        self.lock().stats.connections += 1;
    }

    pub(crate) fn stats(&self) -> Stats {
        let state = self.lock();
        let mut stats = state.stats.clone();
        if let Some(started_at) = state.started_at.map(Instant::into_std) {
            let reached = |bucket: &Bucket| bucket.reached(started_at, started_at + stats.wall);
            let buckets = [&state.requests, &state.tokens].into_iter().flatten();
            stats.limit_reached = buckets.filter_map(reached).reduce(f64::max);
        }
        stats
    }

    pub(crate) fn change(&self, requests: Option<Limit>, tokens: Option<Limit>) {
        let now = Instant::now().into_std();
        let state = &mut *self.lock();
        for (bucket, limit) in [(&mut state.requests, requests), (&mut state.tokens, tokens)] {
            match (bucket, limit) {
                (Some(bucket), Some(limit)) => bucket.change(limit, now),
                (bucket, limit) => *bucket = limit.map(|limit| Bucket::new(limit, now)),
            }
        }
    }

    pub(crate) fn change_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    pub(crate) fn verdict(&self) -> ClientVerdict {
        let state = self.lock();
        state.judge.verdict(&state.stats)
    }

    pub(crate) fn reset(&self) {
        let mut state = self.lock();
        *state = State { epoch: state.epoch + 1, ..State::new(&self.scenario) };
    }

    pub(crate) fn trickle_every(&self) -> Duration {
        self.scenario.trickle_every
    }

    pub(crate) fn answered(&self, request: u64, epoch: u64, input: u64, tokens: u64) {
        self.end(request, epoch, End::Answered, |stats| {
            stats.answered += 1;
            stats.output_tokens += tokens;
            stats.billed_input_tokens += input;
            stats.billed_output_tokens += tokens;
        });
    }

    /// Ends a refused request, which may be retried after `until`, if that was reported.
    pub(crate) fn refused(&self, request: u64, epoch: u64, until: Option<Instant>) {
        self.end(request, epoch, End::Refused(until.map(Instant::into_std)), |_| {});
    }

    pub(crate) fn out_of_money(&self, request: u64, epoch: u64) {
        self.end(request, epoch, End::OutOfMoney(Instant::now().into_std()), |_| {});
    }

    pub(crate) fn cut(&self, request: u64, epoch: u64, billed: Option<(u64, u64)>) {
        self.end(request, epoch, End::Failed, |stats| bill(stats, billed));
    }

    pub(crate) fn hung_up(&self, request: u64, epoch: u64, billed: Option<(u64, u64)>) {
        self.end(request, epoch, End::Failed, |stats| {
            stats.hung_up += 1;
            bill(stats, billed);
        });
    }

    fn end(&self, request: u64, epoch: u64, end: End, count: impl FnOnce(&mut Stats)) {
        let mut state = self.lock();
        if state.epoch != epoch {
            return;
        }
        count(&mut state.stats);
        state.stats.in_flight -= 1;
        if let Some(started_at) = state.started_at {
            state.stats.wall = started_at.elapsed();
        }
        state.judge.ended(request, end);
    }

    /// Counts a request that can never succeed.
    fn hopeless(&self, request: u64, version: Version) {
        let now = Instant::now();
        let mut state = self.lock();
        let started_at = *state.started_at.get_or_insert(now);
        state.stats.wall = now - started_at;
        state.stats.requests += 1;
        state.stats.errors += 1;
        state.stats.http2 += u64::from(version == Version::HTTP_2);
        state.judge.arrived(request, now.into_std());
        state.judge.ended(request, End::Hopeless);
    }

    fn admit(&self, arrival: Arrival, wire: &dyn Wire) -> Admitted {
        let Arrival { fingerprint: request, version, body, cost } = arrival;
        let now = Instant::now();
        let mut state = self.lock();
        let State { stats, judge, requests, tokens, faults, rng, started_at, epoch } = &mut *state;
        started_at.get_or_insert(now);
        let now = now.into_std();
        judge.arrived(request, now);
        stats.requests += 1;
        stats.http2 += u64::from(version == Version::HTTP_2);
        let fits = requests.as_mut().is_none_or(|bucket| bucket.holds(1.0, now))
            & tokens.as_mut().is_none_or(|bucket| bucket.holds(cost, now));
        if fits {
            requests.iter_mut().for_each(|bucket| bucket.take(1.0));
            tokens.iter_mut().for_each(|bucket| bucket.take(cost));
        }
        let levels = Levels {
            requests: requests.as_ref().map(|bucket| bucket.level(1.0)),
            tokens: tokens.as_ref().map(|bucket| bucket.level(cost)),
        };
        if !fits {
            stats.throttled += 1;
            let wait = [levels.requests, levels.tokens].into_iter().flatten().map(|level| level.wait).max();
            let wait = self.scenario.limit_signal.rounded(wait.unwrap_or_default());
            // A client is not judged by a wait that was not reported.
            let reported = wait.filter(|_| wire.has_retry_after());
            judge.ended(request, End::Refused(reported.map(|wait| now + wait)));
            return Admitted::No { levels, wait: wait.unwrap_or_default() };
        }
        let fate = match faults.draw(rng) {
            // The format cannot report a filter.
            Fate::Filter if !wire.filters() => Fate::Answer,
            fate => fate,
        };
        if let Some(count) = count_of(stats, fate) {
            *count += 1;
        }
        // The same seed produces the same words.
        let words = rng.random();
        stats.in_flight += 1;
        stats.most_in_flight = stats.most_in_flight.max(stats.in_flight);
        stats.input_tokens += body as u64 / 4;
        Admitted::Yes(Admission {
            id: stats.requests,
            epoch: *epoch,
            fate,
            latency: self.scenario.latency.draw(rng),
            levels,
            words,
            prompt_tokens: body as u64 / 4,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bill(stats: &mut Stats, billed: Option<(u64, u64)>) {
    if let Some((input, output)) = billed {
        stats.billed_input_tokens += input;
        stats.billed_output_tokens += output;
    }
}

/// Serves one request.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, ConnectionBroken> {
    let json = |status, body: Bytes| Ok(plain(&shared, status, body));
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    if let Some(wire) = wire_of(&head.method, path) {
        let Ok(body) = body.collect().await else { return Err(ConnectionBroken) };
        return serve_prompt(&shared, wire, &head, body.to_bytes()).await;
    }
    match (&head.method, path) {
        (_, "/_sim/stats") => json(StatusCode::OK, to_json(&shared.stats())),
        (_, "/_sim/verdict") => json(StatusCode::OK, to_json(&shared.verdict())),
        (&Method::POST, "/_sim/reset") => {
            shared.reset();
            json(StatusCode::OK, Bytes::from_static(b"{}"))
        }
        (method, path) => {
            let Ok(body) = body.collect().await else { return Err(ConnectionBroken) };
            let is_public = matches!(path, "/health" | "/v1/health" | "/api/version");
            let wire = wire_of(&Method::POST, prompt_path(path, &head.headers));
            if let Some(wire) =
                wire.filter(|wire| !is_public && !shared.scenario.is_authorised(*wire, &head.headers))
            {
                return Ok(error_response(&shared, wire, ErrorCase::WrongKey, "the key is wrong"));
            }
            match auxiliary(method, path, &head.headers, &body.to_bytes(), &shared.scenario.listed()) {
                Some((kind, body)) => {
                    let mut response = plain(&shared, StatusCode::OK, body.into());
                    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
                    Ok(response)
                }
                None => json(StatusCode::NOT_FOUND, Bytes::from_static(NOTHING_HERE.as_bytes())),
            }
        }
    }
}

/// Returns the path of prompts of the vendor that has this path, so that errors have its format.
fn prompt_path(path: &str, headers: &hyper::HeaderMap) -> &'static str {
    match path {
        path if path.starts_with("/v1beta/") => "/v1beta/models/sim-1:generateContent",
        path if path.starts_with("/api/") => "/api/chat",
        _ if headers.contains_key("anthropic-version") => "/v1/messages",
        _ => "/v1/chat/completions",
    }
}

const NOTHING_HERE: &str =
    r#"{"error":{"message":"there is nothing here","type":"not_found","param":null,"code":"not_found"}}"#;

impl Scenario {
    /// Returns the models to list.
    fn listed(&self) -> Vec<&str> {
        match &self.models[..] {
            [] => vec!["sim-1"],
            models => models.iter().map(String::as_str).collect(),
        }
    }

    /// Returns whether a request has the required key, if there is one.
    fn is_authorised(&self, wire: &dyn Wire, headers: &hyper::HeaderMap) -> bool {
        self.key.as_ref().is_none_or(|key| key_of(wire, headers) == Some(key.as_bytes()))
    }
}

/// Returns the key of a request, from its vendor's header.
fn key_of<'h>(wire: &dyn Wire, headers: &'h hyper::HeaderMap) -> Option<&'h [u8]> {
    match wire.key_header() {
        Some(name) => Some(headers.get(name)?.as_bytes()),
        None => headers.get("authorization")?.as_bytes().strip_prefix(b"Bearer "),
    }
}

/// Checks, admits and answers a prompt.
async fn serve_prompt(
    shared: &Arc<Shared>,
    wire: &'static dyn Wire,
    head: &Parts,
    body: Bytes,
) -> Result<Response<AnswerBody>, ConnectionBroken> {
    let fingerprint = Judge::fingerprint(head.uri.path(), key_of(wire, &head.headers), &body);
    let scenario = &shared.scenario;
    let hopeless = |case, message| {
        shared.hopeless(fingerprint, head.version);
        Ok(error_response(shared, wire, case, message))
    };
    if !scenario.is_authorised(wire, &head.headers) {
        return hopeless(ErrorCase::WrongKey, "the key is wrong");
    }
    let Some(asked) = wire.parse(head.uri.path(), &body) else {
        return hopeless(ErrorCase::Invalid, "this is no request of this format");
    };
    let known = asked
        .model
        .as_ref()
        .is_none_or(|model| scenario.models.is_empty() || scenario.models.contains(model));
    if !known {
        return hopeless(ErrorCase::NoSuchModel, "there is no model of that name");
    }
    let prompt_tokens = body.len() as u64 / 4;
    let most = asked.max_tokens.unwrap_or(scenario.answer_tokens);
    #[expect(clippy::cast_precision_loss, reason = "no request has 2^52 tokens")]
    let cost = prompt_tokens as f64 + f64::from(most);
    if shared.lock().tokens.as_ref().is_some_and(|bucket| !bucket.can_hold(cost)) {
        return hopeless(ErrorCase::TooLong, "it has more tokens than are allowed at once");
    }
    match shared.admit(Arrival { fingerprint, version: head.version, body: body.len(), cost }, wire) {
        Admitted::Yes(admission) => {
            let report = Report::new(shared.clone(), fingerprint, admission.epoch, prompt_tokens);
            respond(shared, wire, asked, admission, report).await
        }
        Admitted::No { levels, wait } => {
            let reported = (scenario.limit_signal != LimitSignal::None).then_some(wait.as_secs_f64());
            let mut refusal = error_response(shared, wire, ErrorCase::Limited(reported), "too many");
            add_limit_headers(scenario.limit_signal, wire.headers(), levels, Some(wait), &mut refusal);
            Ok(refusal)
        }
    }
}

/// Answers an admitted prompt after its latency, with its fault.
async fn respond(
    shared: &Arc<Shared>,
    wire: &'static dyn Wire,
    asked: ParsedRequest,
    admission: Admission,
    mut report: Report,
) -> Result<Response<AnswerBody>, ConnectionBroken> {
    let scenario = &shared.scenario;
    let Admission { id, fate, latency, levels, .. } = admission;
    if !latency.is_zero() {
        sleep(latency).await;
    }
    let case = match fate {
        Fate::Error => Some(ErrorCase::Broken),
        // A whole answer has no middle.
        Fate::Breaks if !asked.stream => Some(ErrorCase::Broken),
        Fate::Overloaded => Some(ErrorCase::Overloaded),
        Fate::Money => Some(ErrorCase::NoMoney),
        _ => None,
    };
    // An overloaded server reports a wait.
    let wait = (fate == Fate::Overloaded).then_some(OVERLOADED_FOR);
    match fate {
        Fate::Money => report.out_of_money(),
        Fate::Overloaded => {
            let is_reported = scenario.limit_signal != LimitSignal::None && wire.headers() != Headers::Plain;
            report.refused(wait.filter(|_| is_reported).map(|wait| Instant::now() + wait));
        }
        _ if case.is_some() || fate == Fate::Reset => report.cut(),
        _ => {}
    }
    if fate == Fate::Reset {
        return Err(ConnectionBroken);
    }
    let stream = asked.stream && fate != Fate::WrongType;
    let mut response = match case {
        Some(case) => error_response(shared, wire, case, "on purpose"),
        None => {
            let answer = answer(wire, asked, &admission, scenario.answer_tokens);
            Response::new(match fate {
                Fate::Slow => AnswerBody::drops(&answer, stream, report),
                _ if stream => AnswerBody::words(answer, scenario.tokens_per_second, fate, report),
                _ => AnswerBody::whole(&answer, fate, report),
            })
        }
    };
    let kind = match fate {
        Fate::WrongType => "text/html",
        _ if stream && case.is_none() => wire.stream_type(),
        _ => "application/json",
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    name(wire, &mut response, id);
    add_limit_headers(scenario.limit_signal, wire.headers(), levels, wait, &mut response);
    Ok(response)
}

/// The wait that an overloaded server reports.
const OVERLOADED_FOR: Duration = Duration::from_secs(1);

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

fn plain(shared: &Arc<Shared>, status: StatusCode, body: Bytes) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::plain(body, Report::none(shared.clone())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn error_response(
    shared: &Arc<Shared>,
    wire: &dyn Wire,
    case: ErrorCase,
    message: &str,
) -> Response<AnswerBody> {
    let (status, body) = wire.error(case, message);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = plain(shared, status, body.into());
    name(wire, &mut response, shared.lock().stats.requests);
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

fn to_json(value: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}
