use std::collections::VecDeque;
use std::time::Duration;

use antiphon_llm::{
    Billed, CallContext, CancellationToken, Completion, Error, ErrorKind, FinishReason, Head, Output,
    Redactor, TimeoutPhase,
};
use futures_util::{FutureExt, StreamExt, stream};
use tokio::time::{Instant, sleep, timeout};

use super::{Facts, Reader, SentPrompt, SentSchema, TimeLimits};
use crate::chat::ChatDecoder;
use crate::exchange::framing::{Framing, Piece, Pieces};
use crate::exchange::{Answer, Decode, Fault};

mod shapes;

const WORD: &str = r#"{"choices":[{"delta":{"content":"word "}}]}"#;
const EMPTY: &str = r#"{"choices":[{"delta":{}}]}"#;

fn facts() -> Facts {
    let token_timeout = Duration::from_secs(60);
    Facts {
        place: "POST h".to_owned(),
        content_type: "text/event-stream".to_owned(),
        faults: crate::chat::fault,
        redactor: Redactor::default(),
        output: Output::Text,
        model: "m".to_owned(),
        head: Head::default(),
        answer_limits: antiphon_llm::AnswerLimits::of(&antiphon_llm::Prompt::new("m", [])),
        limits: TimeLimits { token_timeout, call_timeout: None, max_tokens: Some(1_000) },
        schema: SentSchema::default(),
        sent_prompt: SentPrompt::default(),
        began: Instant::now(),
        sent: Instant::now(),
        first_byte: Duration::ZERO,
        http_version: "HTTP/1.1",
        hurry: CancellationToken::new(),
        cancel: CancellationToken::new(),
    }
}

/// Reads an answer of `first`, then of `again` every `seconds` for ever; returns its end and the seconds until then.
async fn asked(
    facts: Facts,
    first: &[&'static str],
    (again, seconds): (&'static str, u64),
) -> (Result<Completion, Error>, u64) {
    let piece = |data: &str| Piece { event: String::new(), data: data.to_owned() };
    let first = stream::iter(first.iter().map(|data| piece(data)).collect::<Vec<_>>());
    let rest = stream::repeat(again).then(move |data| async move {
        sleep(Duration::from_secs(seconds)).await;
        piece(data)
    });
    let began = Instant::now();
    let reader = Reader::new(Pieces::Timed(first.chain(rest).boxed()), ChatDecoder, facts);
    let ended = async { reader.begin().await?.complete(&CallContext::default()).await };
    let ended = timeout(Duration::from_secs(1_000_000), ended).await.expect("it ends");
    (ended, began.elapsed().as_secs())
}

#[track_caller]
fn check((ended, seconds): (Result<Completion, Error>, u64), phase: TimeoutPhase, after: u64, text: &str) {
    let err = ended.unwrap_err();
    assert_eq!((err.kind(), seconds), (ErrorKind::Timeout { phase }, after), "{err}");
    let partial = err.partial().map(|partial| partial.text.as_str());
    assert_eq!((partial, err.billed()), (Some(text), Billed::Maybe));
}

#[tokio::test(start_paused = true)]
async fn events_without_output_do_not_extend_the_limit() {
    let role = r#"{"choices":[{"delta":{"role":"assistant","content":"","reasoning_content":null}}]}"#;
    let usage = r#"{"choices":[],"usage":{"completion_tokens":0}}"#;
    for empty in [EMPTY, role, usage] {
        check(asked(facts(), &[], (empty, 7)).await, TimeoutPhase::FirstToken, 60, "");
        check(asked(facts(), &[WORD], (empty, 7)).await, TimeoutPhase::NextToken, 60, "word ");
    }
    // The head of the answer used up a part of the time limit.
    let late = Facts { sent: Instant::now() - Duration::from_secs(20), ..facts() };
    check(asked(late, &[], (EMPTY, 7)).await, TimeoutPhase::FirstToken, 40, "");
}

#[tokio::test(start_paused = true)]
async fn occasional_tokens_end_with_the_partial_answer() {
    check(asked(facts(), &[WORD], (WORD, 50)).await, TimeoutPhase::Call, 196, "word word word word ");
    let mut bound = facts();
    bound.limits.call_timeout = Some(Duration::from_secs(130));
    check(asked(bound, &[WORD], (WORD, 50)).await, TimeoutPhase::Call, 130, "word word word ");
}

#[tokio::test(start_paused = true)]
async fn hidden_output_keeps_a_call_alive() {
    for output in [
        r#"{"choices":[{"delta":{"reasoning_content":"hm, one two three four five six seven eight"}}]}"#,
        r#"{"choices":[{"delta":{"reasoning":"hm, one two three four five six seven eight nine"}}]}"#,
        r#"{"choices":[{"delta":{"refusal":"I cannot help with that, for I was told not to do so"}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":12345}"}}]}}]}"#,
    ] {
        let mut bound = facts();
        bound.limits.call_timeout = Some(Duration::from_secs(3_000));
        check(asked(bound, &[], (output, 30)).await, TimeoutPhase::Call, 3_000, "");
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_token_a_second_is_not_cut_off() {
    let piece = |data: &str| Piece { event: String::new(), data: data.to_owned() };
    let end = piece(r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#);
    let words = stream::repeat(WORD).take(999).then(move |word| async move {
        sleep(Duration::from_secs(2)).await;
        piece(word)
    });
    let words = words.chain(stream::iter([end])).boxed();
    let answer = Reader::new(Pieces::Timed(words), ChatDecoder, facts()).begin().await.unwrap();
    assert_eq!(answer.complete(&CallContext::default()).await.unwrap().text.len(), 999 * WORD_LEN);
}

const WORD_LEN: usize = "word ".len();

#[tokio::test(start_paused = true)]
async fn a_flood_of_empty_events_times_out() {
    let piece = || Piece { event: String::new(), data: EMPTY.to_owned() };
    // Never pending, while the clock moves.
    let flood = stream::repeat_with(piece).then(|piece| async {
        tokio::time::advance(Duration::from_secs(1)).await;
        piece
    });
    let began = Reader::new(Pieces::Timed(flood.boxed()), ChatDecoder, facts()).begin().await;
    assert_eq!(began.unwrap_err().kind(), ErrorKind::Timeout { phase: TimeoutPhase::FirstToken });
}

#[tokio::test(start_paused = true)]
async fn a_stalled_answer_is_cancelled_soon_after_an_interruption() {
    let (facts, hurry) = (facts(), CancellationToken::new());
    let facts = Facts { hurry: hurry.clone(), ..facts };
    let interrupted = async {
        sleep(Duration::from_secs(25)).await;
        hurry.cancel();
    };
    let ((ended, seconds), ()) = tokio::join!(asked(facts, &[WORD], (EMPTY, 7)), interrupted);
    let err = ended.unwrap_err();
    assert_eq!((err.kind(), err.billed(), seconds), (ErrorKind::Cancelled, Billed::Maybe, 35));
    assert_eq!(err.partial().unwrap().text, "word ");
}

#[tokio::test(start_paused = true)]
async fn a_slow_caller_does_not_time_out_the_server() {
    let piece = |data: &str| Piece { event: String::new(), data: data.to_owned() };
    let words = stream::iter([piece(WORD), piece(WORD)]).chain(stream::pending());
    let mut answer = Reader::new(Pieces::Timed(words.boxed()), ChatDecoder, facts()).begin().await.unwrap();
    answer.next().await.unwrap().unwrap();
    sleep(Duration::from_secs(10_000)).await;
    answer.next().await.unwrap().unwrap();
    assert!(answer.next().now_or_never().is_none(), "the stream still waits");
}

/// A decoder that has its text only at the end of the body.
struct AtTheEnd;

impl Decode for AtTheEnd {
    const FRAMING: Framing = Framing::Events;

    fn take(&mut self, _: &str, _: &str, _: &mut Answer) -> Result<(), Fault> {
        Ok(())
    }

    fn finish(&mut self, answer: &mut Answer) -> Result<(), Fault> {
        answer.text.push_str("late");
        answer.finish = Some(FinishReason::Stop);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn text_that_only_the_end_brings_has_the_time_of_its_arrival() {
    let reader = Reader::new(Pieces::Ready(VecDeque::new()), AtTheEnd, facts());
    sleep(Duration::from_secs(3)).await;
    let answer = reader.begin().await.unwrap().complete(&CallContext::default()).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.timing.first_token), ("late", Some(Duration::from_secs(3))));
}
