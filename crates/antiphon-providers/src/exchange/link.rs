use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use antiphon_http::{Client, Request, Response};
use antiphon_llm::{
    Billed, CallContext, CancellationToken, Error, ErrorKind, Head, Health, LimitHints, Model, Prompt, Scope,
    Streaming, TimeoutPhase,
};
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::answer::Decode;
use super::endpoint::Endpoint;
use super::fault::{Fault, cleaned, kind_of_status, of_http};
use super::framing::{Framing, Pieces};
use super::reader::{Facts, Reader, stalled};
use super::watchdog::{HURRIED_TIMEOUT, TimeLimits};

/// The time limit for the head of a list: no model has to run for it.
const LIST_TIMEOUT: Duration = Duration::from_secs(5);

/// A server, and the connection pool to it.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) endpoint: Endpoint,
    client: Client,
    /// The scope, computed once because every call needs it.
    scope: Scope,
}

/// The facts of a request that the reader of its answer needs.
pub(crate) struct CallRequest<'p> {
    pub(crate) prompt: &'p Prompt,
    /// The places of the schema that the server does not enforce.
    pub(crate) weakened: Vec<String>,
    pub(crate) began: Instant,
    pub(crate) context: &'p CallContext,
}

/// A page of a list of models.
pub(crate) struct Page {
    pub(crate) models: Vec<Model>,
    /// The query parameter of the next page, if there is one.
    pub(crate) next: Option<(&'static str, String)>,
}

impl Link {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        // The reader's own watchdog, which distinguishes tokens from comments, has to fire first.
        let later = endpoint.token_timeout.saturating_add(Duration::from_secs(5));
        let first_byte = endpoint.token_timeout.min(endpoint.call_timeout.unwrap_or(Duration::MAX));
        let client = Client::builder().first_byte_timeout(first_byte).idle_timeout(later);
        let client = client.max_connections(endpoint.max_connections).build();
        let scope = endpoint.scope();
        Self { endpoint, client, scope }
    }

    /// Returns a link to the server with a changed endpoint, and with a new connection pool.
    pub(crate) fn with(&self, change: impl FnOnce(&mut Endpoint)) -> Self {
        let mut endpoint = self.endpoint.clone();
        change(&mut endpoint);
        Self::new(endpoint)
    }

    pub(crate) fn scope(&self) -> Scope {
        self.scope.clone()
    }

    /// Posts JSON to a path below the base URL and returns a response with status 200. While the machine has no file
    /// descriptor left, it retries for up to the token time-out.
    pub(crate) async fn post(&self, path: &str, body: &(impl Serialize + Sync)) -> Result<Response, Error> {
        let url = format!("{}{path}", self.endpoint.base_url);
        let first = self.send(Request::post(&url).json(body)).await;
        match first {
            Err(err) if err.kind() == ErrorKind::Exhausted => {
                let again = || self.send(Request::post(&url).json(body));
                Box::pin(retry_exhausted(again, err, self.endpoint.token_timeout)).await
            }
            first => first,
        }
    }

    pub(crate) async fn send(&self, request: Request) -> Result<Response, Error> {
        let sent = self.client.send(self.endpoint.prepare(request)).await.map_err(|err| of_http(&err))?;
        match sent.status() {
            200 => Ok(sent),
            // Boxed, so that the futures of successful calls stay small.
            _ => Err(Box::pin(self.status_error(sent)).await),
        }
    }

    /// Runs the work before an answer's head, until [`HURRIED_TIMEOUT`] after the caller is in a hurry.
    pub(crate) async fn until_hurried<T>(
        &self,
        context: &CallContext,
        work: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            done = work => done,
            () = hurried(&context.hurry) => Err(stalled(&self.endpoint.base_url)),
        }
    }

    /// Fetches JSON from a path below the base URL; returns the HTTP version, too.
    pub(crate) async fn get(&self, path: &str) -> Result<(Value, &'static str), Error> {
        let url = format!("{}{path}", self.endpoint.base_url);
        let response = self.send(Request::get(&url).first_byte_timeout(LIST_TIMEOUT)).await?;
        let version = response.version();
        Ok((self.json(response).await?, version))
    }

    /// Fetches a list of models, page by page; `page` reads one. For a list with pages, `path` must already have a query.
    pub(crate) async fn models(
        &self,
        path: &str,
        page: impl Fn(&Value) -> Option<Page>,
    ) -> Result<(Vec<Model>, &'static str), Error> {
        let (mut models, mut next) = (Vec::new(), String::new());
        loop {
            let (answer, version) = self.get(&format!("{path}{next}")).await?;
            let Some(page) = page(&answer) else { return Err(self.not_a_list(path)) };
            models.extend(page.models);
            let following = page.next.map(|(name, value)| format!("&{name}={}", encoded(&value)));
            match following.filter(|following| *following != next) {
                Some(following) => next = following,
                None => return Ok((models, version)),
            }
        }
    }

    /// Creates the error of an answer that is not a list of models: another program may answer at the address.
    fn not_a_list(&self, path: &str) -> Error {
        let base_url = &self.endpoint.base_url;
        let message = format!("{base_url}{path}: the answer is not a list of models; check the base URL");
        Error::new(ErrorKind::InvalidResponse, message)
    }

    /// Derives the health of a server from its list of models, where it has no better endpoint.
    pub(crate) async fn health_by(
        list: impl Future<Output = Result<(Vec<Model>, &'static str), Error>> + Send,
    ) -> Result<Health, Error> {
        let began = Instant::now();
        let (models, version) = list.await?;
        Ok(Health::new(began.elapsed()).http_version(version).models(models.len()))
    }

    /// Reads a body as JSON; an error in it, as some servers send under status 200, is returned as such.
    pub(crate) async fn json(&self, response: Response) -> Result<Value, Error> {
        let (place, kind) = (response.endpoint(), response.header("content-type").unwrap_or("").to_owned());
        let body = response.text().await.map_err(|err| of_http(&err))?;
        let Ok(value) = serde_json::from_str::<Value>(&body) else {
            return Err(self.malformed(&place, &kind, &body));
        };
        match (self.endpoint.faults)(200, &value, None) {
            Some(fault) => Err(Error::new(fault.kind, format!("{place}: {}", self.cleaned(&fault.message)))),
            None => Ok(value),
        }
    }

    /// Returns the streaming answer to a prompt, once its first tokens have been received.
    pub(crate) async fn streaming<D: Decode>(
        &self,
        response: Response,
        decode: D,
        asked: CallRequest<'_>,
    ) -> Result<Streaming, Error> {
        let facts = self.facts(&response, asked);
        let kind = response.header("content-type").unwrap_or_default().to_owned();
        if !D::FRAMING.is_of(&kind) {
            return Box::pin(self.read_whole(response, &kind, decode, facts)).await;
        }
        let pieces = match D::FRAMING {
            Framing::Events => Pieces::Events(response.events()),
            Framing::Lines => Pieces::Lines(response.lines()),
        };
        Reader::new(pieces, decode, facts).begin().await
    }

    /// Collects the facts of a call that the reader of its answer needs, from the request and the response's head.
    fn facts(&self, response: &Response, asked: CallRequest<'_>) -> Facts {
        let first_byte = asked.began.elapsed();
        let request_id = response.request_id().map(str::to_owned);
        Facts {
            place: response.endpoint(),
            key: self.endpoint.auth.key.clone(),
            output: asked.prompt.output.clone(),
            model: asked.prompt.model.clone(),
            head: Head::new(request_id, None).limits(response.limits()).weakened(asked.weakened),
            limits: self.time_limits(asked.prompt),
            hurry: asked.context.hurry.clone(),
            began: asked.began,
            sent: Instant::now() - response.since_sent(),
            first_byte,
            http_version: response.version(),
        }
    }

    /// Returns the time limits of a call with this prompt.
    fn time_limits(&self, prompt: &Prompt) -> TimeLimits {
        TimeLimits {
            token_timeout: self.endpoint.token_timeout,
            call_timeout: self.endpoint.call_timeout,
            max_tokens: prompt.parameters.max_tokens,
        }
    }

    /// Reads the answer of a server that does not stream or does not declare the content type, or an error under status 200.
    async fn read_whole<D: Decode>(
        &self,
        response: Response,
        kind: &str,
        decode: D,
        facts: Facts,
    ) -> Result<Streaming, Error> {
        let body = before_deadline(&facts, response.text()).await?.map_err(|err| of_http(&err))?;
        let Ok(value) = serde_json::from_str::<Value>(&body) else {
            if !D::FRAMING.begins(&body) {
                return Err(self.malformed(&facts.place, kind, &body));
            }
            return Reader::new(Pieces::of_body(D::FRAMING, &body), decode, facts).begin().await;
        };
        let mut reader = Reader::new(Pieces::Ready(VecDeque::new()), decode, facts);
        self.decode_whole(&mut reader, &value, &body)?;
        reader.begin().await
    }

    /// Decodes an answer that is one JSON value; `value` is `body` parsed.
    fn decode_whole<D: Decode>(
        &self,
        reader: &mut Reader<D>,
        value: &Value,
        body: &str,
    ) -> Result<(), Error> {
        if let Some(fault) = (self.endpoint.faults)(200, value, None) {
            return Err(reader.of_fault(&fault));
        }
        if value.is_object() {
            reader.take("", body).map_err(|fault| reader.of_fault(&fault))?;
            if reader.has_something() {
                return Ok(());
            }
        }
        Err(self.malformed(&reader.facts.place, "other JSON", body))
    }

    /// Returns a server's text in a form that is safe in an error: see [`cleaned`].
    pub(crate) fn cleaned(&self, text: &str) -> String {
        cleaned(text, self.endpoint.auth.key.as_ref())
    }

    fn malformed(&self, place: &str, kind: &str, body: &str) -> Error {
        let kind = if kind.is_empty() { "of an unnamed type" } else { kind };
        let said = self.cleaned(body);
        let message =
            format!("{place}: the answer is {kind} and not what was requested; check the base URL ({said})");
        // With status 200 a model may have run, whatever the body is.
        Error::new(ErrorKind::InvalidResponse, message).with_billed(Billed::Maybe)
    }

    /// Reads the error of a response whose status is not 200.
    async fn status_error(&self, response: Response) -> Error {
        let head = ErrorHead::of(&response);
        // The body of an error is not waited for longer than an answer's first token.
        let body = timeout(self.endpoint.token_timeout, response.text()).await;
        let body = body.ok().and_then(Result::ok);
        let fault = self.fault_under(&head, body.as_deref().unwrap_or_default());
        let ErrorHead { status, place, limits, request_id, .. } = head;
        info!("{place}: {status}");
        // Vendors bill answers, and an error with its own status and a complete body has none.
        let billed = if body.is_some() { Billed::No } else { fault.billed_before_words() };
        Error::new(fault.kind, format!("{place}: {status}: {}", self.cleaned(&fault.message)))
            .with_billed(billed)
            .with_request_id(request_id)
            .with_limits(fault.limits.map_or(limits, |limits| *limits))
    }

    /// Reads the error in a body; where it has none, the status decides.
    fn fault_under(&self, head: &ErrorHead, body: &str) -> Fault {
        let ErrorHead { status, limits, .. } = head;
        let value = serde_json::from_str::<Value>(body).ok();
        match value.and_then(|value| (self.endpoint.faults)(*status, &value, limits.retry_after)) {
            // The status prevails over the body.
            Some(fault) if *status == 401 && fault.kind == ErrorKind::InvalidRequest => {
                Fault { kind: ErrorKind::Auth, ..fault }
            }
            Some(fault) => fault,
            None if head.is_redirect => Fault::new(
                ErrorKind::InvalidRequest,
                "the server redirects, and a key must not be sent there; correct the base URL",
            ),
            None => Fault::new(kind_of_status(*status, limits.retry_after), body),
        }
    }
}

/// The head of a response whose status is not 200.
struct ErrorHead {
    status: u16,
    /// The method and the host of the request, for messages.
    place: String,
    limits: LimitHints,
    request_id: Option<String>,
    is_redirect: bool,
}

impl ErrorHead {
    fn of(response: &Response) -> Self {
        let status = response.status();
        Self {
            status,
            place: response.endpoint(),
            limits: response.limits(),
            request_id: response.request_id().map(str::to_owned),
            is_redirect: response.header("location").is_some() && (300..400).contains(&status),
        }
    }
}

/// Waits for a body that is read as a whole, within the time limit of its call: a body that trickles in would otherwise never
/// time out.
async fn before_deadline<T>(facts: &Facts, work: impl Future<Output = T>) -> Result<T, Error> {
    let longest = facts.limits.longest();
    tokio::select! {
        biased;
        done = work => Ok(done),
        () = sleep(longest.saturating_sub(facts.sent.elapsed())) => {
            let message = format!("{}: the answer did not end within {} s", facts.place, longest.as_secs_f32());
            Err(Error::new(ErrorKind::Timeout { phase: TimeoutPhase::Call }, message).with_billed(Billed::Maybe))
        }
        () = hurried(&facts.hurry) => Err(stalled(&facts.place)),
    }
}

/// Retries a request that could not be sent for lack of a file descriptor, with exponential backoff from 50 ms to 1 s: other
/// calls end and release theirs. Such a retry is not counted as an attempt, since nothing has left the machine.
async fn retry_exhausted<T, Fut>(
    send: impl Fn() -> Fut,
    mut err: Error,
    timeout: Duration,
) -> Result<T, Error>
where
    Fut: Future<Output = Result<T, Error>>,
{
    const SHORTEST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(1);
    warn_of_exhaustion(&err);
    let (began, mut pause) = (Instant::now(), SHORTEST);
    while began.elapsed() < timeout {
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST);
        match send().await {
            Err(again) if again.kind() == ErrorKind::Exhausted => err = again,
            done => return done,
        }
    }
    Err(err)
}

/// Warns that this machine has no file descriptor left, at most every 15 seconds however many calls wait for one.
fn warn_of_exhaustion(err: &Error) {
    const PAUSE: Duration = Duration::from_secs(15);
    static LAST: Mutex<Option<Instant>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if last.is_none_or(|last| last.elapsed() >= PAUSE) {
        *last = Some(Instant::now());
        warn!("{err}; waiting until one is free");
    }
}

/// Waits until the caller is in a hurry and [`HURRIED_TIMEOUT`] has passed since.
async fn hurried(hurry: &CancellationToken) {
    hurry.cancelled().await;
    sleep(HURRIED_TIMEOUT).await;
}

/// Returns a value percent-encoded for a query.
fn encoded(value: &str) -> String {
    url::form_urlencoded::byte_serialize(value.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use antiphon_llm::{Error, ErrorKind};
    use tokio::time::Instant;

    use super::retry_exhausted;

    fn exhausted() -> Error {
        Error::new(ErrorKind::Exhausted, "too many open files")
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_without_a_descriptor_waits_for_one() {
        let (began, calls) = (Instant::now(), Cell::new(0));
        let send = async || {
            calls.set(calls.get() + 1);
            if calls.get() < 3 { Err(exhausted()) } else { Ok(calls.get()) }
        };
        let sent = retry_exhausted(&send, exhausted(), Duration::from_secs(60)).await;
        assert_eq!((sent.unwrap(), began.elapsed()), (3, Duration::from_millis(50 + 100 + 200)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_for_a_descriptor_ends_at_the_time_out() {
        let began = Instant::now();
        let never = async || Err::<(), _>(exhausted());
        let err = retry_exhausted(never, exhausted(), Duration::from_secs(60)).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Exhausted);
        assert_eq!(began.elapsed().as_secs(), 60);
    }
}
