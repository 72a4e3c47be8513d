use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Version};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::time::{Instant, sleep};

use crate::answer::{AnswerBody, BrokenOff, Report};
use crate::bucket::{Bucket, Level};
use crate::chat;
use crate::judge::{End, Judge, Verdict};
use crate::scenario::{Fate, Scenario, Tells};
use crate::stats::Stats;

/// What all connections share.
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
    rng: SmallRng,
    begun: Option<Instant>,
    /// Grows with each reset: what began before one is counted no more.
    epoch: u64,
}

/// What becomes of a request.
enum Admitted {
    Yes { id: u64, epoch: u64, fate: Fate, latency: Duration, levels: Levels },
    No { levels: Levels, wait: Duration },
}

#[derive(Clone, Copy)]
struct Levels {
    requests: Option<Level>,
    tokens: Option<Level>,
}

impl State {
    fn new(scenario: &Scenario) -> Self {
        let now = Instant::now().into_std();
        Self {
            stats: Stats::default(),
            judge: Judge::default(),
            requests: scenario.requests.map(|limit| Bucket::new(limit, now)),
            tokens: scenario.tokens.map(|limit| Bucket::new(limit, now)),
            rng: SmallRng::seed_from_u64(scenario.seed),
            begun: None,
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
        let mut stats = self.lock().stats.clone();
        stats.limit_reached = self.scenario.requests.and_then(|limit| {
            #[expect(clippy::cast_precision_loss, reason = "nobody sends 2^52 requests")]
            let beyond_the_burst = stats.answered as f64 - f64::from(limit.burst);
            let possible = limit.per_second * stats.wall.as_secs_f64();
            (possible > 0.0).then(|| beyond_the_burst / possible)
        });
        stats
    }

    pub(crate) fn verdict(&self) -> Verdict {
        let state = self.lock();
        state.judge.verdict(&state.stats)
    }

    pub(crate) fn reset(&self) {
        let mut state = self.lock();
        *state = State { epoch: state.epoch + 1, ..State::new(&self.scenario) };
    }

    pub(crate) fn answered(&self, request: u64, epoch: u64, tokens: u64) {
        self.end(request, epoch, End::Answered, |stats| {
            stats.answered += 1;
            stats.output_tokens += tokens;
        });
    }

    pub(crate) fn cut(&self, request: u64, epoch: u64) {
        self.end(request, epoch, End::Failed, |_| {});
    }

    pub(crate) fn hung_up(&self, request: u64, epoch: u64) {
        self.end(request, epoch, End::Failed, |stats| stats.hung_up += 1);
    }

    fn end(&self, request: u64, epoch: u64, end: End, count: impl FnOnce(&mut Stats)) {
        let mut state = self.lock();
        if state.epoch != epoch {
            return;
        }
        count(&mut state.stats);
        state.stats.in_flight -= 1;
        if let Some(begun) = state.begun {
            state.stats.wall = begun.elapsed();
        }
        state.judge.ended(request, end);
    }

    /// A request that can never succeed.
    fn hopeless(&self, request: u64) {
        let mut state = self.lock();
        state.stats.requests += 1;
        state.stats.errors += 1;
        state.judge.came(request, Instant::now().into_std());
        state.judge.ended(request, End::Hopeless);
    }

    fn admit(&self, request: u64, version: Version, body: usize, cost: f64) -> Admitted {
        let now = Instant::now();
        let mut state = self.lock();
        let State { stats, judge, requests, tokens, rng, begun, epoch } = &mut *state;
        begun.get_or_insert(now);
        let now = now.into_std();
        judge.came(request, now);
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
            let wait = self.scenario.tells.rounded(wait.unwrap_or_default());
            judge.ended(request, End::Refused(wait.map(|wait| now + wait)));
            return Admitted::No { levels, wait: wait.unwrap_or_default() };
        }
        let fate = self.scenario.faults.draw(rng);
        let count = match fate {
            Fate::Answer => None,
            Fate::Error => Some(&mut stats.errors),
            Fate::Reset => Some(&mut stats.resets),
            Fate::Stall => Some(&mut stats.stalls),
            Fate::Half => Some(&mut stats.halves),
            Fate::Garbage => Some(&mut stats.garbage),
        };
        count.into_iter().for_each(|count| *count += 1);
        stats.in_flight += 1;
        stats.most_in_flight = stats.most_in_flight.max(stats.in_flight);
        stats.input_tokens += body as u64 / 4;
        Admitted::Yes {
            id: stats.requests,
            epoch: *epoch,
            fate,
            latency: self.scenario.latency.draw(rng),
            levels,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tells {
    /// The wait as it is told, and as the client is held to it.
    fn rounded(self, wait: Duration) -> Option<Duration> {
        match self {
            Self::Headers | Self::RetryAfter => Some(Duration::from_millis(
                u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(1),
            )),
            Self::RetryAfterSeconds => Some(Duration::from_secs(wait.as_secs() + 1)),
            Self::Nothing => None,
        }
    }
}

/// Answers one request.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, BrokenOff> {
    let path = request.uri().path();
    let json = |status, body: Bytes| {
        let report = Report::none(shared.clone());
        let mut response = Response::new(AnswerBody::plain(body, report));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(response)
    };
    match (request.method(), path) {
        (&Method::POST, path) if path.ends_with("/chat/completions") => {
            let version = request.version();
            let Ok(body) = request.into_body().collect().await else { return Err(BrokenOff) };
            chat(shared, version, body.to_bytes()).await
        }
        (&Method::GET, path) if path.ends_with("/models") => {
            json(StatusCode::OK, Bytes::from_static(chat::MODELS.as_bytes()))
        }
        (_, "/_sim/stats") => json(StatusCode::OK, to_json(&shared.stats())),
        (_, "/_sim/verdict") => json(StatusCode::OK, to_json(&shared.verdict())),
        (&Method::POST, "/_sim/reset") => {
            shared.reset();
            json(StatusCode::OK, Bytes::from_static(b"{}"))
        }
        _ => json(StatusCode::NOT_FOUND, chat::error("there is nothing here", "not_found")),
    }
}

async fn chat(shared: Arc<Shared>, version: Version, body: Bytes) -> Result<Response<AnswerBody>, BrokenOff> {
    let fingerprint = Judge::fingerprint(&body);
    let Some(request) = chat::Request::parse(&body) else {
        shared.hopeless(fingerprint);
        return Ok(plain(
            &shared,
            StatusCode::BAD_REQUEST,
            "this is no chat request",
            "invalid_request_error",
        ));
    };
    let prompt_tokens = body.len() as u64 / 4;
    let scenario = &shared.scenario;
    let most = request.max_tokens().unwrap_or(scenario.answer_tokens);
    #[expect(clippy::cast_precision_loss, reason = "no request has 2^52 tokens")]
    let cost = prompt_tokens as f64 + f64::from(most);
    if scenario.tokens.is_some_and(|limit| cost > f64::from(limit.burst)) {
        shared.hopeless(fingerprint);
        let why = "it has more tokens than are allowed at once";
        return Ok(plain(&shared, StatusCode::BAD_REQUEST, why, "context_length_exceeded"));
    }
    let (id, epoch, fate, latency, levels) = match shared.admit(fingerprint, version, body.len(), cost) {
        Admitted::Yes { id, epoch, fate, latency, levels } => (id, epoch, fate, latency, levels),
        Admitted::No { levels, wait } => {
            let mut refusal =
                plain(&shared, StatusCode::TOO_MANY_REQUESTS, "too many", "rate_limit_exceeded");
            tell(scenario.tells, levels, Some(wait), &mut refusal);
            return Ok(refusal);
        }
    };
    let stream = request.stream;
    let answer = request.answer(id, prompt_tokens, scenario.answer_tokens);
    let mut report = Report::new(shared.clone(), fingerprint, epoch, u64::from(answer.tokens));
    if !latency.is_zero() {
        sleep(latency).await;
    }
    if matches!(fate, Fate::Reset | Fate::Error) {
        report.cut();
    }
    let mut response = match fate {
        Fate::Reset => return Err(BrokenOff),
        Fate::Error => plain(&shared, StatusCode::INTERNAL_SERVER_ERROR, "on purpose", "server_error"),
        _ if stream => Response::new(AnswerBody::words(answer, scenario.tokens_per_second, fate, report)),
        _ => Response::new(AnswerBody::whole(&answer, fate, report)),
    };
    let kind = if stream && fate != Fate::Error { "text/event-stream" } else { "application/json" };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(id) = HeaderValue::try_from(format!("req-{id}")) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), id);
    }
    tell(scenario.tells, levels, None, &mut response);
    Ok(response)
}

fn plain(shared: &Arc<Shared>, status: StatusCode, message: &str, kind: &str) -> Response<AnswerBody> {
    let body = AnswerBody::plain(chat::error(message, kind), Report::none(shared.clone()));
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Adds what is told of the limits.
fn tell(tells: Tells, levels: Levels, wait: Option<Duration>, response: &mut Response<AnswerBody>) {
    let mut set = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    };
    if let (Some(wait), true) = (wait, tells != Tells::Nothing) {
        set("retry-after", seconds(wait));
    }
    if tells != Tells::Headers {
        return;
    }
    if let Some(level) = levels.requests {
        set("x-ratelimit-limit-requests", level.limit.to_string());
        set("x-ratelimit-remaining-requests", level.remaining.to_string());
        set("x-ratelimit-reset-requests", span(level.full_in));
    }
    if let Some(level) = levels.tokens {
        set("x-ratelimit-limit-tokens", level.limit.to_string());
        set("x-ratelimit-remaining-tokens", level.remaining.to_string());
        set("x-ratelimit-reset-tokens", span(level.full_in));
    }
}

/// `2` or `0.037`.
fn seconds(wait: Duration) -> String {
    match wait.subsec_millis() {
        0 => wait.as_secs().to_string(),
        millis => format!("{}.{millis:03}", wait.as_secs()),
    }
}

/// As OpenAI writes spans: `6m0s`, `1.5s`, `20ms`.
fn span(span: Duration) -> String {
    let millis = span.as_micros().div_ceil(1_000);
    if millis < 1_000 {
        return format!("{millis}ms");
    }
    let mut text = String::new();
    let (minutes, millis) = (millis / 60_000, millis % 60_000);
    if minutes > 0 {
        let _ = write!(text, "{minutes}m");
    }
    let _ = match millis % 1_000 {
        0 => write!(text, "{}s", millis / 1_000),
        rest => write!(text, "{}.{rest:03}s", millis / 1_000),
    };
    text
}

fn to_json(value: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::{Duration, seconds, span};

    #[test]
    fn waits_and_spans_are_written_as_vendors_write_them() {
        assert_eq!(
            [0, 37, 2_000, 61_500].map(|millis| seconds(Duration::from_millis(millis))),
            ["0", "0.037", "2", "61.500"]
        );
        assert_eq!(
            [20, 1_500, 60_000, 361_000].map(|millis| span(Duration::from_millis(millis))),
            ["20ms", "1.500s", "1m0s", "6m1s"]
        );
    }
}
