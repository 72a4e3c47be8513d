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

use crate::answer::{AnswerBody, BrokenOff, Report};
use crate::bucket::Bucket;
use crate::judge::{End, Judge, Verdict};
use crate::scenario::{Fate, Faults, Limit, Scenario, Tells};
use crate::stats::Stats;
use crate::tell::{Levels, tell};
use crate::wire::{Answer, Asked, Finish, Headers, Mishap, Wire, side, wire_of};

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
    faults: Faults,
    rng: SmallRng,
    begun: Option<Instant>,
    /// Grows with each reset: what began before one is counted no more.
    epoch: u64,
}

/// What becomes of a request.
enum Admitted {
    Yes(Place),
    No { levels: Levels, wait: Duration },
}

/// A request that is answered, well or badly.
struct Place {
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
        let state = self.lock();
        let mut stats = state.stats.clone();
        if let Some(begun) = state.begun.map(Instant::into_std) {
            let reached = |bucket: &Bucket| bucket.reached(begun, begun + stats.wall);
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

    pub(crate) fn verdict(&self) -> Verdict {
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

    /// Nothing was done for it: it may be sent again after that time, if one was told.
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
        if let Some(begun) = state.begun {
            state.stats.wall = begun.elapsed();
        }
        state.judge.ended(request, end);
    }

    /// A request that can never succeed.
    fn hopeless(&self, request: u64, version: Version) {
        let now = Instant::now();
        let mut state = self.lock();
        let begun = *state.begun.get_or_insert(now);
        state.stats.wall = now - begun;
        state.stats.requests += 1;
        state.stats.errors += 1;
        state.stats.http2 += u64::from(version == Version::HTTP_2);
        state.judge.came(request, now.into_std());
        state.judge.ended(request, End::Hopeless);
    }

    fn admit(&self, request: u64, wire: &dyn Wire, (version, body): (Version, usize), cost: f64) -> Admitted {
        let now = Instant::now();
        let mut state = self.lock();
        let State { stats, judge, requests, tokens, faults, rng, begun, epoch } = &mut *state;
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
            // Nobody is held to a wait that was not told.
            let told = wait.filter(|_| wire.tells_waits());
            judge.ended(request, End::Refused(told.map(|wait| now + wait)));
            return Admitted::No { levels, wait: wait.unwrap_or_default() };
        }
        let fate = match faults.draw(rng) {
            // It has no way to say so.
            Fate::Filter if !wire.filters() => Fate::Answer,
            fate => fate,
        };
        let count = match fate {
            Fate::Answer | Fate::Slow | Fate::Trickle => None,
            Fate::WrongType => Some(&mut stats.garbage),
            Fate::Error => Some(&mut stats.errors),
            Fate::Overloaded => Some(&mut stats.overloaded),
            Fate::Money => Some(&mut stats.out_of_money),
            Fate::Refusal | Fate::Filter => Some(&mut stats.declined),
            Fate::Breaks => Some(&mut stats.halves),
            Fate::Reset => Some(&mut stats.resets),
            Fate::Stall | Fate::Empty => Some(&mut stats.stalls),
            Fate::Half => Some(&mut stats.halves),
            Fate::Garbage => Some(&mut stats.garbage),
        };
        // The same seed gives the same words.
        let words = rng.random();
        count.into_iter().for_each(|count| *count += 1);
        stats.in_flight += 1;
        stats.most_in_flight = stats.most_in_flight.max(stats.in_flight);
        stats.input_tokens += body as u64 / 4;
        Admitted::Yes(Place {
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

fn bill(stats: &mut Stats, billed: Option<(u64, u64)>) {
    if let Some((input, output)) = billed {
        stats.billed_input_tokens += input;
        stats.billed_output_tokens += output;
    }
}

/// Answers one request.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, BrokenOff> {
    let json = |status, body: Bytes| Ok(plain(&shared, status, body));
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    if let Some(wire) = wire_of(&head.method, path) {
        let Ok(body) = body.collect().await else { return Err(BrokenOff) };
        return prompted(&shared, wire, &head, body.to_bytes()).await;
    }
    match (&head.method, path) {
        (_, "/_sim/stats") => json(StatusCode::OK, to_json(&shared.stats())),
        (_, "/_sim/verdict") => json(StatusCode::OK, to_json(&shared.verdict())),
        (&Method::POST, "/_sim/reset") => {
            shared.reset();
            json(StatusCode::OK, Bytes::from_static(b"{}"))
        }
        (method, path) => {
            let Ok(body) = body.collect().await else { return Err(BrokenOff) };
            let is_public = matches!(path, "/health" | "/v1/health" | "/api/version");
            let wire = wire_of(&Method::POST, prompts_beside(path, &head.headers));
            if let Some(wire) =
                wire.filter(|wire| !is_public && !shared.scenario.lets_in(*wire, &head.headers))
            {
                return Ok(mishappened(&shared, wire, Mishap::WrongKey, "the key is wrong"));
            }
            match side(method, path, &head.headers, (&body.to_bytes(), shared.scenario.listed())) {
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

/// Where prompts go of the vendor that has this path, so that an error is told in its format.
fn prompts_beside(path: &str, headers: &hyper::HeaderMap) -> &'static str {
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
    /// The models that are listed.
    fn listed(&self) -> Vec<&str> {
        match &self.models[..] {
            [] => vec!["sim-1"],
            models => models.iter().map(String::as_str).collect(),
        }
    }

    /// Whether a request brings the key that is asked for.
    fn lets_in(&self, wire: &dyn Wire, headers: &hyper::HeaderMap) -> bool {
        self.key.as_ref().is_none_or(|key| key_of(wire, headers) == Some(key.as_bytes()))
    }
}

/// The key that a request brings, in the way of its vendor.
fn key_of<'h>(wire: &dyn Wire, headers: &'h hyper::HeaderMap) -> Option<&'h [u8]> {
    match wire.key_header() {
        Some(name) => Some(headers.get(name)?.as_bytes()),
        None => headers.get("authorization")?.as_bytes().strip_prefix(b"Bearer "),
    }
}

/// Answers a request for an answer.
async fn prompted(
    shared: &Arc<Shared>,
    wire: &'static dyn Wire,
    head: &Parts,
    body: Bytes,
) -> Result<Response<AnswerBody>, BrokenOff> {
    let fingerprint = Judge::fingerprint(head.uri.path(), key_of(wire, &head.headers), &body);
    let scenario = &shared.scenario;
    let hopeless = |mishap, message| {
        shared.hopeless(fingerprint, head.version);
        Ok(mishappened(shared, wire, mishap, message))
    };
    if !scenario.lets_in(wire, &head.headers) {
        return hopeless(Mishap::WrongKey, "the key is wrong");
    }
    let Some(asked) = wire.asked(head.uri.path(), &body) else {
        return hopeless(Mishap::Invalid, "this is no request of this format");
    };
    let known = asked
        .model
        .as_ref()
        .is_none_or(|model| scenario.models.is_empty() || scenario.models.contains(model));
    if !known {
        return hopeless(Mishap::NoSuchModel, "there is no model of that name");
    }
    let prompt_tokens = body.len() as u64 / 4;
    let most = asked.max_tokens.unwrap_or(scenario.answer_tokens);
    #[expect(clippy::cast_precision_loss, reason = "no request has 2^52 tokens")]
    let cost = prompt_tokens as f64 + f64::from(most);
    if shared.lock().tokens.as_ref().is_some_and(|bucket| !bucket.can_hold(cost)) {
        return hopeless(Mishap::TooLong, "it has more tokens than are allowed at once");
    }
    match shared.admit(fingerprint, wire, (head.version, body.len()), cost) {
        Admitted::Yes(place) => {
            let report = Report::new(shared.clone(), fingerprint, place.epoch, prompt_tokens);
            answered(shared, wire, asked, place, report).await
        }
        Admitted::No { levels, wait } => {
            let told = (scenario.tells != Tells::Nothing).then_some(wait.as_secs_f64());
            let mut refusal = mishappened(shared, wire, Mishap::Limited(told), "too many");
            tell(scenario.tells, wire.headers(), levels, Some(wait), &mut refusal);
            Ok(refusal)
        }
    }
}

async fn answered(
    shared: &Arc<Shared>,
    wire: &'static dyn Wire,
    asked: Asked,
    place: Place,
    mut report: Report,
) -> Result<Response<AnswerBody>, BrokenOff> {
    let scenario = &shared.scenario;
    let Place { id, fate, latency, levels, .. } = place;
    if !latency.is_zero() {
        sleep(latency).await;
    }
    let mishap = match fate {
        Fate::Error => Some(Mishap::Broken),
        // There is no middle that it could break into.
        Fate::Breaks if !asked.stream => Some(Mishap::Broken),
        Fate::Overloaded => Some(Mishap::Overloaded),
        Fate::Money => Some(Mishap::NoMoney),
        _ => None,
    };
    // A server that is too busy says when it may be less so.
    let wait = (fate == Fate::Overloaded).then_some(OVERLOADED_FOR);
    match fate {
        Fate::Money => report.out_of_money(),
        Fate::Overloaded => {
            let is_told = scenario.tells != Tells::Nothing && wire.headers() != Headers::Plain;
            report.refused(wait.filter(|_| is_told).map(|wait| Instant::now() + wait));
        }
        _ if mishap.is_some() || fate == Fate::Reset => report.cut(),
        _ => {}
    }
    if fate == Fate::Reset {
        return Err(BrokenOff);
    }
    let stream = asked.stream && fate != Fate::WrongType;
    let mut response = match mishap {
        Some(mishap) => mishappened(shared, wire, mishap, "on purpose"),
        None => {
            let answer = answer(wire, asked, &place, scenario.answer_tokens);
            Response::new(match fate {
                Fate::Slow => AnswerBody::drops(&answer, stream, report),
                _ if stream => AnswerBody::words(answer, scenario.tokens_per_second, fate, report),
                _ => AnswerBody::whole(&answer, fate, report),
            })
        }
    };
    let kind = match fate {
        Fate::WrongType => "text/html",
        _ if stream && mishap.is_none() => wire.stream_type(),
        _ => "application/json",
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    name(wire, &mut response, id);
    tell(scenario.tells, wire.headers(), levels, wait, &mut response);
    Ok(response)
}

/// The wait that a server tells that has too much to do.
const OVERLOADED_FOR: Duration = Duration::from_secs(1);

fn answer(wire: &'static dyn Wire, mut asked: Asked, place: &Place, tokens: u32) -> Answer {
    let schema = asked.schema.take();
    let answer = Answer::new(wire, asked, place.id, place.prompt_tokens);
    let answer = match schema {
        Some(schema) => answer.of_schema(&schema, &mut SmallRng::seed_from_u64(place.words)),
        None => answer.of_usual_words(tokens),
    };
    match place.fate {
        Fate::Refusal => answer.ending(Finish::Refused),
        Fate::Filter => answer.ending(Finish::Filtered),
        _ => answer,
    }
}

fn plain(shared: &Arc<Shared>, status: StatusCode, body: Bytes) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::plain(body, Report::none(shared.clone())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn mishappened(shared: &Arc<Shared>, wire: &dyn Wire, mishap: Mishap, message: &str) -> Response<AnswerBody> {
    let (status, body) = wire.error(mishap, message);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = plain(shared, status, body.into());
    name(wire, &mut response, shared.lock().stats.requests);
    response
}

/// Gives a response the name by which its vendor's support would find it.
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
