use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::completion::Completion;
use crate::error::{Error, ErrorKind, TruncationCause};
use crate::json::{self, Repair, Strictness};
use crate::prompt::Output;
use crate::warning::CallWarningKind;

/// The reason why a model stopped writing. Serialised by its [name](FinishReason::name).
///
/// The vendor's own word is in [`Completion::raw_finish`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum FinishReason {
    /// The model ended its answer.
    #[default]
    Stop,
    /// The answer reached the token limit, or filled the context window: the text is truncated.
    Length,
    /// A content filter of the provider stopped the answer.
    Filtered,
    /// The provider failed in the middle of the answer: the text is truncated.
    Failed,
    /// Another reason, with the provider's name for it, such as the call of a tool. It is no natural end.
    Unknown(String),
}

/// A remark on an answer that was accepted although it did not arrive as a whole answer should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AnswerMark {
    /// JSON that is complete and fits its schema, in an answer without a natural end: a model may write white space up to its
    /// token limit.
    CompleteWithoutEnd,
    /// JSON that was only in the model's reasoning; the text of the answer was empty.
    FromReasoning,
    /// A mark of a later version.
    #[serde(other)]
    Unknown,
}

impl FinishReason {
    /// Returns the reason's name in OpenAI's interface, or the provider's own name of an unknown one.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Filtered => "content_filter",
            Self::Failed => "error",
            Self::Unknown(name) => name,
        }
    }

    /// Returns the reason with a [`name`](Self::name).
    #[must_use]
    pub fn of(name: &str) -> Self {
        match name {
            "stop" => Self::Stop,
            "length" => Self::Length,
            "content_filter" => Self::Filtered,
            "error" => Self::Failed,
            name => Self::Unknown(name.to_owned()),
        }
    }
}

impl Serialize for FinishReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for FinishReason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::of(&String::deserialize(deserializer)?))
    }
}

impl AnswerMark {
    /// Returns a short name for reports, the same as in serialised answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CompleteWithoutEnd => "complete_without_end",
            Self::FromReasoning => "from_reasoning",
            Self::Unknown => "unknown",
        }
    }
}

impl Completion {
    /// Returns the answer if it is complete.
    ///
    /// | finish | text | JSON |
    /// |---|---|---|
    /// | [`Stop`](FinishReason::Stop) | complete | complete |
    /// | [`Length`](FinishReason::Length) | accepted: a caller can continue it | complete if it is whole and fits the schema, else `Truncated` |
    /// | [`Unknown`](FinishReason::Unknown) | `Truncated` | complete if it is whole and fits the schema, else `Truncated` |
    /// | [`Failed`](FinishReason::Failed) | `Truncated` | `Truncated` |
    /// | [`Filtered`](FinishReason::Filtered) | `Filtered` | `Filtered` |
    ///
    /// Whole JSON without a natural end is marked: [`AnswerMark::CompleteWithoutEnd`].
    ///
    /// # Errors
    /// `Truncated` or `Filtered`, with this completion as its partial answer. The message contains the provider's own word for
    /// the end, and its explanation.
    ///
    /// ```
    /// use antiphon_llm::{Completion, FinishReason, Output};
    /// let cut = Completion::new("The three").finish(FinishReason::Failed).raw_finish("cancelled");
    /// let err = cut.into_complete(&Output::Text).unwrap_err();
    /// assert!(err.to_string().contains("cancelled"));
    /// ```
    pub fn into_complete(mut self, output: &Output) -> Result<Self, Error> {
        let (kind, what) = match (&self.finish, output) {
            (FinishReason::Stop, _) | (FinishReason::Length, Output::Text) => return Ok(self),
            (FinishReason::Length | FinishReason::Unknown(_), Output::Json(_))
                if is_whole(&self.text, output) =>
            {
                self.mark(AnswerMark::CompleteWithoutEnd);
                return Ok(self);
            }
            (FinishReason::Length, Output::Json(_)) => {
                let what = match self.finish_detail {
                    Some(_) => "the answer was cut",
                    None => "the answer was cut at the token limit",
                };
                (ErrorKind::Truncated { cause: TruncationCause::MaxTokens }, what)
            }
            (FinishReason::Failed, _) => (
                ErrorKind::Truncated { cause: TruncationCause::Disconnected },
                "the provider failed in the middle of the answer",
            ),
            (FinishReason::Filtered, _) => (ErrorKind::Filtered, "the provider's filter stopped the answer"),
            (FinishReason::Unknown(_), _) => {
                (ErrorKind::Truncated { cause: TruncationCause::Stopped }, "the answer has no natural end")
            }
        };
        let message = format!("{what}{}", self.end_in_words());
        Err(Error::new(kind, message).with_spent(self.spent()).with_partial(self))
    }

    /// Returns the provider's explanation of the end and its word for it, as the end of a message; empty if neither is known.
    ///
    /// ```
    /// use antiphon_llm::Completion;
    /// let answer = Completion::new("").raw_finish("SAFETY").finish_detail("harassment");
    /// assert_eq!(answer.end_in_words(), ": harassment (finish reason SAFETY)");
    /// ```
    #[must_use]
    pub fn end_in_words(&self) -> String {
        let detail = self.finish_detail.as_ref().map(|detail| format!(": {detail}"));
        let unknown = match &self.finish {
            FinishReason::Unknown(word) => Some(word),
            _ => None,
        };
        let word = self.raw_finish.as_ref().or(unknown).map(|word| format!(" (finish reason {word})"));
        [detail, word].into_iter().flatten().collect()
    }

    /// Returns whether a later call with the same prompt may get this answer, as from a cache: it ended naturally, has no mark, is of the
    /// requested model, and answers the whole prompt. With a larger context, a prompt that was cut has another answer.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        self.finish == FinishReason::Stop
            && self.marks.is_empty()
            && !self.head.other_model
            && self.head.warning(CallWarningKind::PromptCut).is_none()
    }

    /// Adds a mark, once.
    pub fn mark(&mut self, mark: AnswerMark) {
        if !self.marks.contains(&mark) {
            self.marks.push(mark);
        }
    }

    /// Sets the provider's own word for the end of the answer.
    #[must_use]
    pub fn raw_finish(mut self, word: impl Into<String>) -> Self {
        self.raw_finish = Some(word.into());
        self
    }

    /// Sets the provider's explanation of the end of the answer.
    #[must_use]
    pub fn finish_detail(mut self, detail: impl Into<String>) -> Self {
        self.finish_detail = Some(detail.into());
        self
    }

    /// Sets the text of the model's reasoning.
    #[must_use]
    pub fn reasoning(mut self, reasoning: impl Into<String>) -> Self {
        self.reasoning = Some(reasoning.into());
        self
    }
}

/// Returns whether a text has the JSON that was requested, complete and valid against the schema.
///
/// Text beside the JSON is refused: it may begin to take the JSON back, and no one knows how it would have ended.
/// A number has no end of its own, so that a scalar counts only where something follows it or quotes enclose it.
fn is_whole(text: &str, output: &Output) -> bool {
    let Some(schema) = output.schema() else { return false };
    if !json::is_alone(text) {
        return false;
    }
    let Ok(found) = json::extract_for(text, Strictness::Lenient, |value| schema.is_valid(value)) else {
        return false;
    };
    let is_enclosed = || {
        let plain = text.trim_start();
        let is_ended = plain.starts_with('"') || plain.ends_with(char::is_whitespace);
        is_ended && json::extract_for(text, Strictness::Strict, |value| schema.is_valid(value)).is_ok()
    };
    let is_container = found.value.is_object() || found.value.is_array();
    schema.is_valid(&found.value)
        && (is_container || found.repairs.contains(&Repair::Wrapper) || is_enclosed())
}

#[cfg(test)]
#[cfg(feature = "schema")]
mod tests {
    use serde_json::json;

    use super::{AnswerMark, FinishReason, Output};
    use crate::{Completion, Error, ErrorKind, Schema, TruncationCause};

    fn json_output() -> Output {
        let schema = json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}});
        Output::Json(Schema::new("n", schema).unwrap())
    }

    fn ended(text: &str, finish: &FinishReason, output: &Output) -> Result<Completion, Error> {
        Completion::new(text).finish(finish.clone()).raw_finish("WORD").into_complete(output)
    }

    #[test]
    fn a_text_is_complete_only_at_a_natural_end() {
        let disconnected = ErrorKind::Truncated { cause: TruncationCause::Disconnected };
        let stopped = ErrorKind::Truncated { cause: TruncationCause::Stopped };
        for (finish, kind) in [
            (FinishReason::Failed, disconnected),
            (FinishReason::Unknown("pause_turn".to_owned()), stopped),
            (FinishReason::Filtered, ErrorKind::Filtered),
        ] {
            let err = ended("The three", &finish, &Output::Text).unwrap_err();
            assert_eq!(err.kind(), kind);
            assert!(err.to_string().contains("WORD"), "{err}");
            assert_eq!(err.partial().unwrap().text, "The three");
        }
        assert!(ended("The three", &FinishReason::Stop, &Output::Text).unwrap().marks.is_empty());
        let unnamed = Completion::new("x").finish(FinishReason::Unknown("zzz".to_owned()));
        assert!(unnamed.into_complete(&Output::Text).unwrap_err().to_string().contains("zzz"));
    }

    #[test]
    fn whole_json_that_fits_is_an_answer_at_the_limit_and_nothing_else_is() {
        let (output, unknown) = (json_output(), FinishReason::Unknown("weird".to_owned()));
        for finish in [FinishReason::Length, unknown.clone()] {
            let answer = ended("{\"n\": 1}\n\n   \n", &finish, &output).unwrap();
            assert_eq!((answer.marks, answer.finish), (vec![AnswerMark::CompleteWithoutEnd], finish.clone()));
            for text in
                ["<think>x</think>\n{\"n\": 1}", "```json\n{\"n\": 1}\n```\n", "\u{feff}```\n{\"n\": 1}\n``"]
            {
                assert!(ended(text, &finish, &output).is_ok(), "{text}");
            }
            for text in [
                "{\"n\": 1",
                "{\"n\": \"one\"}",
                "",
                "no JSON",
                "{\"n\": 1} {\"n\": 2}",
                "Draft: {\"n\": 1}. Hmm, that is wrong, since the",
                "{\"n\": 1}. Hmm",
                "Draft: {\"n\": 1}",
                "```json\n{\"n\": 1}\n```\nWait",
                "{\"n\": 1} // no, since",
                "For example {\"n\": 1}\n",
                "{\"n\": 1} {\"m\"",
                "The schema: ```json\n{\"n\": 1}\n```",
            ] {
                let err = ended(text, &finish, &output).unwrap_err();
                let is_cut = matches!(err.kind(), ErrorKind::Truncated { .. });
                assert!(is_cut && err.to_string().contains("WORD"), "{text}: {err}");
            }
        }
        for finish in [FinishReason::Failed, FinishReason::Filtered] {
            assert!(ended("{\"n\": 1}", &finish, &output).is_err());
        }
        assert!(
            ended("{\"n\": \"one\"}", &FinishReason::Stop, &output).is_ok(),
            "the schema is checked later"
        );
    }

    #[test]
    fn a_scalar_at_the_limit_may_be_cut() {
        let output = |kind: &str| Output::Json(Schema::new("x", json!({ "type": kind })).unwrap());
        let is_whole = |text: &str, kind: &str| ended(text, &FinishReason::Length, &output(kind)).is_ok();
        assert!(is_whole("\"blue\"", "string") && is_whole("42 \n\n", "integer"));
        assert!(is_whole("{\"value\": 42}", "integer"));
        for (text, kind) in [("42", "integer"), ("The answer is 42", "integer"), ("\"blu", "string")] {
            assert!(!is_whole(text, kind), "{text}");
        }
    }

    #[test]
    fn a_mark_of_a_later_version_is_read() {
        let read: Completion =
            serde_json::from_value(json!({"text": "", "marks": ["from_reasoning", "new"]})).unwrap();
        assert_eq!(read.marks, [AnswerMark::FromReasoning, AnswerMark::Unknown]);
        for mark in [AnswerMark::CompleteWithoutEnd, AnswerMark::FromReasoning] {
            assert_eq!(json!(mark), json!(mark.name()));
        }
    }
}
