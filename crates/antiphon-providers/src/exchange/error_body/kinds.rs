//! The kind of an error: by labels first, then by phrases, then by the status.
//!
//! One error often has three labels (`type`, `code`, and the status), and servers fill them differently: OpenAI reports a used-up
//! quota as a rate limit with status 429, llama.cpp has the status as its code, and routers pass on the errors of the hosts behind
//! them. So a definite cause decides before the status: quota, context, filter, model, key, overload, rate limit, in this order.

use std::time::Duration;

use antiphon_llm::{ErrorKind, LimitHints};
use serde_json::Value;

use super::quota::{period_of, wait_in};
use super::shape::ErrorBody;
use super::{codes, named};
use crate::exchange::{Fault, is_about, kind_of_status};

/// Reads an error in any of the shapes in use; `None` for a body without an error.
///
/// A wait in the error is used where it is longer than `retry_after`, that of the headers. Under status 200, as inside a
/// stream, the error's own status replaces it.
pub(crate) fn read_fault(status: u16, body: &Value, retry_after: Option<Duration>) -> Option<Fault> {
    Some(fault_of(status, body, ErrorBody::of(status, body)?, retry_after))
}

/// Converts an error to a fault with its kind.
fn fault_of(status: u16, body: &Value, error: ErrorBody, retry_after: Option<Duration>) -> Fault {
    let text = body.to_string();
    let own = error.limits.and_then(|limits| limits.wait_after_refusal());
    let inside = wait_in(&error.message, body, &text).max(own);
    let wait = retry_after.max(inside);
    // Inside a stream the HTTP status is 200, and the error's own number has the information.
    let named = error.status.filter(|_| status == 200);
    let cause = Cause { error: &error, status: named.unwrap_or(status), wait, text: &text };
    let kind = cause.kind();
    let code = error.code.as_deref();
    let period = period_of(&error.message, code, &text, wait).filter(|_| kind == ErrorKind::Quota);
    let message = match period {
        Some(period) => {
            let is_google = text.contains("generativelanguage") || text.contains("RESOURCE_EXHAUSTED");
            // Google suggests a wait of seconds for a quota of a day.
            let resets_in = wait.filter(|_| !is_google);
            format!("{}: {}", period.describe(resets_in, is_google), error.message)
        }
        None => error.message.clone(),
    };
    let is_long = kind == ErrorKind::Quota;
    let is_google_day = period.is_some() && text.contains("RESOURCE_EXHAUSTED");
    Fault {
        limits: limits_with(error.limits, inside.filter(|_| kind_waits(kind)))
            .filter(|_| !is_long)
            .map(Box::new),
        status: named,
        resets_in: wait.filter(|_| is_long && !is_google_day),
        code: error.code.map(String::into_boxed_str),
        request_id: error.request_id.map(String::into_boxed_str),
        ..Fault::new(kind, message)
    }
}

/// Adds a wait to the limits of an error, where the adaptive limiter observes it.
fn limits_with(limits: Option<LimitHints>, wait: Option<Duration>) -> Option<LimitHints> {
    if limits.is_none() && wait.is_none() {
        return None;
    }
    let mut limits = limits.unwrap_or_default();
    limits.retry_after = limits.retry_after.max(wait);
    Some(limits)
}

/// Returns whether a wait in the error's own words is for the next call: not that of a wrong request.
fn kind_waits(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::RateLimited { .. } | ErrorKind::Overloaded { .. } | ErrorKind::Unavailable)
}

/// An error with what decides its kind.
struct Cause<'a> {
    error: &'a ErrorBody,
    /// The status of the response, or inside a stream that of the error; 200 where there is none.
    status: u16,
    /// The wait that the server asks for.
    wait: Option<Duration>,
    /// The whole body.
    text: &'a str,
}

impl Cause<'_> {
    /// Decides the kind; the first rule that applies wins, and the status is the last.
    fn kind(&self) -> ErrorKind {
        // OpenRouter's budget for calls in flight, for accounts with little credit.
        if self.has(&["openrouterinflightbudget"]) {
            return ErrorKind::RateLimited { retry_after: self.wait };
        }
        let kinds =
            [Self::quota, Self::context, Self::content, Self::model, Self::auth, Self::busy, Self::request];
        let found = kinds.into_iter().find_map(|kind| kind(self));
        found.unwrap_or_else(|| kind_of_status(self.status, self.wait))
    }

    /// Returns whether one of the labels is among the known ones.
    fn has(&self, known: &[&str]) -> bool {
        self.error.labels.iter().any(|label| known.contains(&label.as_str()))
    }

    /// Returns whether the message contains one of the phrases.
    fn says(&self, phrases: &[&str]) -> bool {
        is_about(&self.error.message, phrases)
    }

    /// Returns whether the status says nothing about the cause: inside a stream without a number.
    fn is_unknown(&self) -> bool {
        self.status == 200
    }

    /// Returns whether the status is that of a server's fault, or none.
    fn may_be_server(&self) -> bool {
        self.is_unknown() || self.status >= 500
    }

    /// Used-up credit, and quotas of a day or a month.
    fn quota(&self) -> Option<ErrorKind> {
        let is_money = self.status == 402 || self.has(&codes::QUOTA) || self.says(&codes::QUOTA_PHRASES);
        if is_money || self.is_plan_used_up() {
            return Some(ErrorKind::Quota);
        }
        // A single request larger than the limit never succeeds.
        if self.status == 429 && self.says(&["request too large"]) {
            return Some(ErrorKind::ContextTooLong);
        }
        let is_limit = self.status == 429
            || self.has(&codes::RATE)
            || (!matches!(self.status, 404 | 405 | 422)
                && self.says(&["limit", "quota", "exceeded", "too many"]));
        (is_limit
            && period_of(&self.error.message, self.error.code.as_deref(), self.text, self.wait).is_some())
        .then_some(ErrorKind::Quota)
    }

    /// Returns whether OpenAI's sentence for used-up credit is in the message. Gemini has the same one for limits per minute.
    fn is_plan_used_up(&self) -> bool {
        let names_credit = self.says(&["check your plan and billing", "exceeded your current quota"]);
        let is_of_google =
            self.text.contains("RESOURCE_EXHAUSTED") || self.says(&["generativelanguage", "ai.google.dev"]);
        // Google's limit of 0 is that of a model that the plan does not include.
        (names_credit && !is_of_google)
            || (is_of_google && self.says(&["limit: 0,", "limit: 0\n", "limit: 0."]))
    }

    /// A prompt that is too long.
    fn context(&self) -> Option<ErrorKind> {
        let is_rate = self.status == 429 || self.says(&["rate limit"]);
        let is_long = self.has(&codes::CONTEXT) || (!is_rate && self.says(&codes::CONTEXT_PHRASES));
        is_long.then_some(ErrorKind::ContextTooLong)
    }

    /// The content filter.
    fn content(&self) -> Option<ErrorKind> {
        let is_flagged = self.status == 403 && self.error.is_flagged;
        let is_filtered = self.has(&codes::FILTERED) || self.says(&codes::FILTERED_PHRASES);
        (is_flagged || is_filtered).then_some(ErrorKind::Filtered)
    }

    /// A model that does not exist, or that the key may not use.
    fn model(&self) -> Option<ErrorKind> {
        if self.has(&codes::MODEL) {
            return Some(ErrorKind::ModelNotFound);
        }
        if self.has(&codes::PARAMETER) && !self.may_be_server() {
            return None;
        }
        let is_about_model = self.says(&["model", "deployment"]);
        let has_no_route = || self.says(&["no endpoints found for"]);
        let is_labelled = || self.has(&["notfounderror", "notfound"]);
        let is_missing = match self.status {
            404 | 410 => is_about_model || has_no_route(),
            200 | 400 | 401 | 403 | 422 => {
                self.says(&codes::MODEL_DEFINITELY)
                    || (is_about_model && self.says(&codes::MODEL_PHRASES))
                    || named::says_missing(&self.error.message, is_labelled())
                    || has_no_route()
            }
            // A fault of the server may be named after anything.
            500 => {
                self.says(&codes::MODEL_DEFINITELY)
                    || (is_labelled() && named::says_missing(&self.error.message, true))
            }
            _ => false,
        };
        is_missing.then_some(ErrorKind::ModelNotFound)
    }

    /// A key that is missing or wrong, or lacks the permission.
    fn auth(&self) -> Option<ErrorKind> {
        // A label under a server's fault may be that of its storage or of a service behind it.
        let is_key = match self.status {
            404 | 408 | 409 | 425 | 429 | 501.. => false,
            500 => self.says(&codes::AUTH_PHRASES) || self.says(&["authenticationerror"]),
            _ => self.has(&codes::AUTH) || self.says(&codes::AUTH_PHRASES),
        };
        is_key.then_some(ErrorKind::Auth)
    }

    /// A server that is full, or a rate limit.
    fn busy(&self) -> Option<ErrorKind> {
        let is_possible = self.may_be_server() || matches!(self.status, 400 | 403 | 424 | 429 | 498);
        if !is_possible || matches!(self.status, 501 | 505) {
            return None;
        }
        let is_rate = self.has(&codes::RATE) || self.says(&codes::RATE_PHRASES);
        let may_be_full = self.status != 400 && self.status != 403;
        // A model that cannot be loaded is none that is being loaded.
        let is_broken = self.says(&["error loading model", "failed to load"]);
        let says_full = may_be_full && !is_rate && !is_broken && self.says(&codes::OVERLOADED_PHRASES);
        if self.is_full() || says_full {
            return Some(ErrorKind::Overloaded { retry_after: self.wait });
        }
        // A server that is overloaded calls that a rate limit, too, and its status is right.
        (is_rate && self.status != 503 && self.status != 529)
            .then_some(ErrorKind::RateLimited { retry_after: self.wait })
    }

    /// Returns whether a label says that the server is full. Under status 429, one that only says that it is unavailable does not.
    fn is_full(&self) -> bool {
        let mut labels = self.error.labels.iter().filter(|label| codes::OVERLOADED.contains(&label.as_str()));
        labels.any(|label| self.status != 429 || !label.contains("unavailable"))
    }

    /// Other requests that cannot succeed, and faults where the status does not name them.
    fn request(&self) -> Option<ErrorKind> {
        // LM Studio's answer to an unknown path, with status 200.
        if self.says(&["unexpected endpoint or method", "invalid url ("]) {
            return Some(ErrorKind::Unsupported);
        }
        // Groq's: the model ran, and its answer was no JSON.
        if self.has(&["jsonvalidatefailed"]) {
            return Some(ErrorKind::InvalidResponse);
        }
        if matches!(self.status, 200 | 400) && self.has(&codes::UNSUPPORTED) {
            return Some(ErrorKind::Unsupported);
        }
        if matches!(self.status, 200 | 424 | 499) && self.has(&codes::FAULT) {
            return Some(ErrorKind::Unavailable);
        }
        if !self.is_unknown() {
            return None;
        }
        if self.has(&codes::INVALID) {
            return Some(ErrorKind::InvalidRequest);
        }
        self.has(&["notfounderror", "notfound"]).then_some(ErrorKind::Unsupported)
    }
}
