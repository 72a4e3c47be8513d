//! A table of error bodies, as servers send them, with the kind that each must have.

mod quotas;
mod shapes;

use std::time::Duration;

use antiphon_llm::ErrorKind;
use serde_json::Value;

use super::read_fault;
use crate::exchange::Fault;

/// A line for each body: its kind, its status, and the body itself.
const BODIES: &str = include_str!("tests/bodies.txt");

/// Reads a body, which need not be JSON.
fn read(status: u16, body: &str) -> Fault {
    let value = serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned()));
    read_fault(status, &value, None).unwrap_or_else(|| unreachable!("no error in {body}"))
}

/// Returns the name of a kind, without its wait.
fn name_of(kind: ErrorKind) -> String {
    format!("{kind:?}").chars().take_while(|c| c.is_alphanumeric()).collect()
}

#[test]
fn each_body_has_its_kind() {
    let lines = BODIES.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (mut wrong, mut count) = (Vec::new(), 0);
    for line in lines {
        let (kind, rest) = line.split_once(' ').unwrap();
        let (status, body) = rest.split_once(' ').unwrap();
        let found = name_of(read(status.parse().unwrap(), body).kind);
        count += 1;
        if found != kind {
            wrong.push(format!("{line}\n  is {found}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {count} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[track_caller]
fn check_wait(status: u16, body: &str, seconds: f64) {
    let fault = read(status, body);
    let expected = Some(Duration::from_secs_f64(seconds));
    let wait = match fault.kind {
        ErrorKind::RateLimited { retry_after } | ErrorKind::Overloaded { retry_after } => retry_after,
        _ => fault.resets_in,
    };
    assert_eq!(wait, expected, "{body}: {:?}", fault.kind);
}
