//! The errors of responses that are no answers: those with another status, and bodies of another format.

use antiphon_http::{Error as HttpError, ErrorKind as HttpKind, Response};
use antiphon_llm::{Allowance, Billed, CallContext, Error, ErrorKind, LimitHints};
use serde_json::Value;
use tokio::time::timeout;
use tracing::info;

use super::error_body::{ForeignBody, error_in_text, read_fault};
use super::fault::{Fault, cleaned, kind_of_status};
use super::framing::without_mark;
use super::link::Link;
use crate::limits::MAX_ERROR;

/// The head of a response that is not an answer.
struct ErrorHead {
    /// The HTTP status code.
    status: u16,
    /// The method and the host of the request, for messages.
    place: String,
    /// The content type; empty where there is none.
    content_type: String,
    /// The rate limits and `retry_after` of the headers.
    limits: LimitHints,
    /// The server's id of the request, by which its support finds it.
    request_id: Option<String>,
    /// Whether the server wants the call to be retried, where it says so.
    should_retry: Option<bool>,
    /// Whether the status is 3xx and names another address.
    is_redirect: bool,
}

impl ErrorHead {
    /// Copies the head, since reading the body consumes the response.
    fn of(response: &Response) -> Self {
        let status = response.status();
        Self {
            status,
            place: response.endpoint(),
            content_type: response.header("content-type").unwrap_or_default().to_owned(),
            limits: response.limits(),
            request_id: response.request_id().map(str::to_owned),
            should_retry: response.should_retry(),
            is_redirect: response.header("location").is_some() && (300..400).contains(&status),
        }
    }
}

impl Link {
    /// Reads the error of a response whose status is not that of an answer.
    ///
    /// A body that is not JSON, or has no error in a known shape, becomes the message itself, unless the
    /// server redirects. Of a page, the title does.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub(super) async fn status_error(&self, response: Response, context: &CallContext) -> Error {
        let head = ErrorHead::of(&response);
        // The body of an error is not waited for longer than an answer's first token, nor after the end of the call.
        let reading = response.limited_to(MAX_ERROR).beginning();
        let body = context.guard(timeout(self.endpoint.token_timeout, reading)).await;
        let body = body.ok().and_then(Result::ok).and_then(Result::ok);
        let is_read = |err: &HttpError| matches!(err.kind(), HttpKind::TooLarge { .. });
        let body = body.filter(|(_, err)| err.as_ref().is_none_or(is_read)).map(|(body, _)| body);
        let fault = self.fault_under(&head, without_mark(body.as_deref().unwrap_or_default()));
        let ErrorHead { status, place, limits, request_id, should_retry, .. } = head;
        info!("{place}: {status}");
        // Vendors bill answers, and an error with its own status and a complete body has none.
        let billed = match body {
            Some(_) if status >= 300 => Billed::No,
            _ => fault.billed_before_words(),
        };
        let of_key = self.endpoint.key_variable.as_ref().filter(|_| fault.kind == ErrorKind::Auth);
        let of_key = of_key.map(|name| format!(" (the key is that of {name})")).unwrap_or_default();
        let message = format!("{place}: {status}: {}{of_key}", self.cleaned(&fault.message));
        let err = fault.to_error(message, &self.redactor);
        let request_id =
            request_id.map(|id| self.cleaned(&id)).or_else(|| err.request_id().map(str::to_owned));
        err.with_billed(billed)
            .with_status(Some(status))
            .with_should_retry(should_retry)
            .with_request_id(request_id)
            .with_limits(merged(limits, &fault))
    }

    /// Reads the error in a body; where it has none, the status decides.
    fn fault_under(&self, head: &ErrorHead, body: &str) -> Fault {
        let ErrorHead { status, limits, .. } = head;
        // Without a header that asks for a wait, a rate limit ends when what is used up resets.
        let wait = if *status == 429 { limits.wait_after_refusal() } else { limits.retry_after };
        if *status < 300 {
            return self.foreign(head, body);
        }
        let value = serde_json::from_str::<Value>(body).ok().or_else(|| error_in_text(body));
        let read = |wait| value.as_ref().and_then(|value| (self.endpoint.faults)(*status, value, wait));
        let fault = read(wait);
        // A used-up quota resets later than the server wants to be asked again.
        let mut resets = *limits;
        resets.retry_after = None;
        let reset = resets.wait_after_refusal().max(wait);
        let is_later = fault.as_ref().is_some_and(|fault| fault.kind == ErrorKind::Quota && reset > wait);
        match if is_later { read(reset) } else { fault } {
            // The status prevails over the body.
            Some(fault) if *status == 401 && fault.kind == ErrorKind::InvalidRequest => {
                Fault { kind: ErrorKind::Auth, ..fault }
            }
            Some(fault) => fault,
            None if head.is_redirect => Fault::new(
                ErrorKind::InvalidRequest,
                "the server redirects, and a key must not be sent there; correct the base URL",
            ),
            None => {
                fault_of_text(head, body).unwrap_or_else(|| Fault::new(kind_of_status(*status, wait), body))
            }
        }
    }

    /// Creates the fault of a response that has no answer although its status is a success.
    fn foreign(&self, head: &ErrorHead, body: &str) -> Fault {
        let foreign = ForeignBody { content_type: &head.content_type, body };
        let kind = kind_of_status(head.status, None);
        Fault::new(kind, format!("the server answered with {foreign}; is the base URL right?"))
    }

    /// Creates the error of a body under status 200 that is not an answer, with its beginning. A proxy's login page is the usual
    /// cause.
    pub(super) fn malformed(&self, place: &str, content_type: &str, body: &str) -> Error {
        not_an_answer(place, ForeignBody { content_type, body }, |text| self.cleaned(text))
    }

    /// Returns a server's text in a form that is safe in an error: see [`cleaned`].
    pub(crate) fn cleaned(&self, text: &str) -> String {
        cleaned(text, &self.redactor)
    }
}

/// Creates the error of a body under status 200 that is not an answer. `place` is the method and the host.
pub(super) fn not_an_answer(place: &str, body: ForeignBody<'_>, clean: impl Fn(&str) -> String) -> Error {
    let (_, host) = place.split_once(' ').unwrap_or(("", place));
    let message = format!(
        "{place}: the server at {host} answered 200 with {}; is the base URL right?",
        clean(&body.to_string())
    );
    // With status 200 a model may have run, whatever the body is.
    Error::new(ErrorKind::InvalidResponse, message).with_status(Some(200)).with_billed(Billed::Maybe)
}

/// Reads the error in a page or a text; `None` for an empty body.
fn fault_of_text(head: &ErrorHead, body: &str) -> Option<Fault> {
    let ErrorHead { status, limits, content_type, .. } = head;
    let wait = if *status == 429 { limits.wait_after_refusal() } else { limits.retry_after };
    let foreign = ForeignBody { content_type, body };
    if foreign.is_page() {
        let (kind, hint) = match *status {
            // An API forbids in its own format: the key did not reach it.
            403 => (ErrorKind::Unsupported, ", as a proxy or a firewall does; is the base URL right?"),
            429 | 500.. => (kind_of_status(*status, wait), ""),
            _ => (kind_of_status(*status, wait), "; is the base URL right?"),
        };
        return Some(Fault::new(kind, format!("the server answered with {foreign}{hint}")));
    }
    if body.trim().is_empty() {
        None
    } else {
        read_fault(*status, &Value::String(body.trim().to_owned()), wait)
    }
}

/// Returns the limits of the headers with those that the error itself reports. A used-up quota has no wait: its reset is apart.
fn merged(head: LimitHints, fault: &Fault) -> LimitHints {
    let mut limits = head;
    if let Some(own) = fault.limits.as_deref() {
        let or =
            |of_head: Allowance, own: Allowance| if of_head == Allowance::default() { own } else { of_head };
        limits.requests = or(head.requests, own.requests);
        limits.tokens = or(head.tokens, own.tokens);
        limits.input_tokens = or(head.input_tokens, own.input_tokens);
        limits.output_tokens = or(head.output_tokens, own.output_tokens);
        limits.retry_after = head.retry_after.max(own.retry_after);
    }
    if fault.kind == ErrorKind::Quota {
        limits.retry_after = None;
    }
    limits
}

#[cfg(test)]
mod tests {
    use antiphon_llm::{ErrorKind, LimitHints};

    use super::{ErrorHead, fault_of_text};
    use crate::exchange::Fault;

    /// Reads a page under a status.
    fn page_under(status: u16) -> Fault {
        let head = ErrorHead {
            status,
            place: "POST host".to_owned(),
            content_type: "text/html".to_owned(),
            limits: LimitHints::default(),
            request_id: None,
            should_retry: None,
            is_redirect: false,
        };
        let page = "<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>";
        fault_of_text(&head, page).unwrap()
    }

    #[test]
    fn a_page_that_forbids_is_not_about_the_key() {
        let fault = page_under(403);
        assert_eq!(fault.kind, ErrorKind::Unsupported);
        assert_eq!(
            fault.message,
            "the server answered with an HTML page titled \"Just a moment...\" (text/html), as a proxy or a firewall does; \
             is the base URL right?"
        );
        assert_eq!(page_under(401).kind, ErrorKind::Auth);
        assert_eq!(page_under(503).kind, ErrorKind::Overloaded { retry_after: None });
    }
}
