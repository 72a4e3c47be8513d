//! Answers of many megabytes: what is sent back of them, and what they may have cost.

use antiphon_llm::{
    Completion, Error, ErrorKind, FinishReason, Prompt, SchemaRetryPolicy, TruncationCause, Usage,
};

use super::{Event, Rig, answer, options};
use crate::fixtures::prompt;
use crate::job::machine::{Action, Ending};

/// Ends the first call of a job with an answer; returns the rig, and what is sent next.
fn sent_after(answer: Completion) -> (Rig, Prompt, u64) {
    let mut rig = Rig::new(options());
    let action = rig.first_call(Ok(answer));
    assert!(matches!(action, Action::Commit(_)), "each answer is settled");
    let reserve = rig.on(Event::Committed);
    let Action::Reserve(bounds) = &reserve else { unreachable!("no second call: {reserve:?}") };
    let reserved = bounds.whole.unwrap_or_default();
    let Action::Call(next, _) = rig.grant(&reserve) else { unreachable!("no second call") };
    (rig, Prompt::clone(&next), reserved)
}

#[track_caller]
fn check_retry(text: String, begins: &str) {
    let most = prompt("row").bytes().total() + SchemaRetryPolicy::MAX_ADDED as u64;
    let (_, next, reserved) = sent_after(answer(&text));
    assert!(next.bytes().total() <= most, "{} bytes", next.bytes().total());
    // The usual price is a microdollar for a token, and a token has at least one byte.
    assert!(reserved >= next.bytes().total() && reserved <= most + 2_000, "{reserved}");
    let said = next.messages[1].rendered();
    assert!(said.starts_with(begins) && said.contains(" bytes are left out here …]"), "{}", &said[..200]);
}

#[test]
fn a_retry_after_a_huge_answer_repeats_its_head_and_tail() {
    check_retry("never JSON, é ".repeat(3 << 20), "never JSON, é ");
    check_retry(format!("{{\"items\": \"{}\"}}", "é".repeat(20 << 20)), "{\"items\": \"é");
    check_retry(format!("{{\"items\": [{}1]}}", "\"é\", ".repeat(1 << 20)), "{\"items\": [\"é\", ");
    let keys: Vec<String> = (0..200_000).map(|key| format!("\"key {key}\": 1")).collect();
    check_retry(format!("{{{}}}", keys.join(", ")), "{\"key 0\"");
}

#[test]
fn kept_elements_and_reasons_are_bounded_in_a_prompt() {
    let items = ["1"; 300_000].join(", ");
    let (_, next, _) = sent_after(answer(&format!("{{\"items\": [{items}, -1]}}")));
    let most = prompt("row").bytes().total() + SchemaRetryPolicy::MAX_ADDED as u64;
    assert!(next.bytes().total() <= most, "{} bytes", next.bytes().total());
}

#[test]
fn the_message_of_a_failure_is_bounded_and_its_answer_is_kept() {
    let text = format!("{{\"items\": [{}]}}", "\"x\", ".repeat(100_000) + "\"x\"");
    let mut rig = Rig::new(options());
    let mut action = rig.first_call(Ok(answer(&text)));
    loop {
        let Action::Commit(settlement) = &action else { unreachable!("each answer is settled: {action:?}") };
        let result = settlement.result.clone();
        match rig.on(Event::Committed) {
            Action::End(Ending::Failed(failed)) => {
                assert!(failed.message.len() < 3_000, "{} bytes", failed.message.len());
                assert!(failed.message.contains("more"), "{}", failed.message);
                return assert_eq!(result.as_deref(), Some(text.as_str()));
            }
            reserve => {
                assert!(rig.machine.take_notice().is_some_and(|notice| notice.len() < 500));
                rig.grant(&reserve);
                action = rig.end_call(Ok(answer(&text)));
            }
        }
    }
}

#[test]
fn an_answer_beyond_max_tokens_may_have_cost_a_token_for_each_byte() {
    let detail = "the server ignored max_tokens (1000): its text has more than 131072 bytes";
    let cut = |bytes: usize| {
        let text = format!("{{\"items\": [\"{}", "x".repeat(bytes));
        let usage = Usage::new(Some(20), None);
        Completion::new(text).usage(usage).finish(FinishReason::Length).finish_detail(detail)
    };
    let possible = |result: Result<Completion, Error>| {
        let mut rig = Rig::new(options());
        let Action::Commit(settlement) = rig.first_call(result) else { unreachable!("settled") };
        (settlement.bill.settled, settlement.bill.possible)
    };
    let most = prompt("row").bytes().max_total() + 64;
    let (cost, whole) = possible(Ok(cut(1_000)));
    assert_eq!((cost, whole), (None, most + 1_000), "a usual answer without its usage");
    let (cost, more) = possible(Ok(cut(131_072)));
    assert!(cost.is_none() && more > 131_072, "{more}");
    let kind = ErrorKind::Truncated { cause: TruncationCause::MaxTokens };
    let failed = cut(131_072);
    let err = Error::new(kind, "cut").with_spent(failed.spent()).with_partial(failed);
    assert_eq!(possible(Err(err)), (None, more));
}
