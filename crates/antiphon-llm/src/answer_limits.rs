use crate::prompt::Prompt;

/// The limits on the size of one answer, in bytes: what its `max_tokens` can mean, and a cap where a prompt sets none.
///
/// A server may ignore `max_tokens`, or be no model at all; without limits, its answer would grow until the memory is used up.
/// The providers of antiphon-providers stop reading at these limits. What has arrived is kept: an answer whose text or reasoning
/// is too long ends as one that was cut, with [`FinishReason::Length`](crate::FinishReason::Length) and the reason in
/// [`Completion::finish_detail`](crate::Completion::finish_detail). Its token counts are unknown, so that its bill is an upper
/// bound.
///
/// | limit | bytes |
/// |---|---|
/// | [`text`](Self::text) | `max_tokens` × [`TOKEN_BYTES`](Self::TOKEN_BYTES), from [`MIN_TEXT`](Self::MIN_TEXT) to [`MAX_TEXT`](Self::MAX_TEXT); the latter without `max_tokens` |
/// | [`reasoning`](Self::reasoning) | the same of `max_tokens` and `reasoning_budget` together, at least [`MIN_REASONING`](Self::MIN_REASONING) |
/// | [`hidden`](Self::hidden) | 8 × `reasoning`: the JSON of reasoning and of the arguments of tools, which is counted and not kept |
/// | [`piece`](Self::piece) | 1 MiB, twice text and reasoning, since JSON escapes them, and the prompt, which some servers repeat; at most [`MAX_PIECE`](Self::MAX_PIECE) |
/// | [`silent`](Self::silent) | [`MAX_SILENT`](Self::MAX_SILENT) and the prompt, from one piece of output to the next; at most [`MAX_RECEIVED`](Self::MAX_RECEIVED) in all |
///
/// ```
/// use antiphon_llm::{AnswerLimits, Message, Prompt, SamplingParams};
/// let prompt = Prompt::new("m", [Message::user("A poem, please.")]);
/// let limits = AnswerLimits::of(&prompt.parameters(SamplingParams::default().max_tokens(4_096)));
/// assert_eq!(limits.text, 4_096 * 128);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AnswerLimits {
    /// The maximum length of the text, or of a refusal.
    pub text: usize,
    /// The maximum length of the reasoning.
    pub reasoning: usize,
    /// The maximum size of hidden output that is counted and not kept, as the JSON in which it is sent.
    pub hidden: usize,
    /// The maximum size of a body that is not streamed, and of one event or line of a stream.
    pub piece: usize,
    /// The maximum number of bytes of a stream, after decompression, in which its output does not grow.
    pub silent: u64,
}

impl AnswerLimits {
    /// The maximum length of a token. The longest tokens of the vocabularies in use are runs of white space or of one sign, of 128
    /// bytes (<https://github.com/openai/tiktoken>, `cl100k_base` and `o200k_base`; those of Llama, Qwen and Gemma are not longer),
    /// so that no answer within its `max_tokens` is cut.
    pub const TOKEN_BYTES: u64 = 128;

    /// The least limit on a text: 16,000 tokens of usual length, for servers that count only a part of the output, such as the
    /// reasoning in front of it.
    pub const MIN_TEXT: u64 = 64 << 10;

    /// The limit on a text without `max_tokens`, and the greatest limit: 131,072 tokens of the maximum length, or four million of
    /// usual length. The longest output of a model in use is 131,072 tokens.
    pub const MAX_TEXT: u64 = 16 << 20;

    /// The least limit on reasoning, 262,144 tokens of usual length: many servers do not count it in `max_tokens`.
    pub const MIN_REASONING: u64 = 1 << 20;

    /// The greatest size of a body that is not streamed, and of one event or line.
    pub const MAX_PIECE: u64 = 16 << 20;

    /// The bytes that a stream may have without output: keep-alives, comments, empty events, and the fields of the first and the last
    /// event. Servers that send a keep-alive of 50 bytes each second reach it after a day.
    pub const MAX_SILENT: u64 = 4 << 20;

    /// The greatest number of bytes of one stream.
    pub const MAX_RECEIVED: u64 = 1 << 30;

    /// The times that a server may repeat the prompt in one answer: some do with the first and the last event, with its schema.
    const PROMPT_REPEATS: u64 = 8;

    /// Returns the limits of the answer to a prompt.
    #[must_use]
    pub fn of(prompt: &Prompt) -> Self {
        let parameters = &prompt.parameters;
        let bytes = |tokens: u64| tokens.saturating_mul(Self::TOKEN_BYTES).min(Self::MAX_TEXT);
        let text = parameters.max_tokens.map_or(Self::MAX_TEXT, bytes).max(Self::MIN_TEXT);
        let with_budget =
            |tokens: u64| bytes(tokens.saturating_add(parameters.reasoning_budget.unwrap_or(0)));
        let reasoning = parameters.max_tokens.map_or(Self::MAX_TEXT, with_budget).max(Self::MIN_REASONING);
        let prompt = prompt.bytes().total().saturating_mul(Self::PROMPT_REPEATS);
        let piece = ((1 << 20) + 2 * (text + reasoning)).saturating_add(prompt).min(Self::MAX_PIECE);
        Self {
            text: size(text),
            reasoning: size(reasoning),
            hidden: size(reasoning.saturating_mul(8)),
            piece: size(piece),
            silent: Self::MAX_SILENT.saturating_add(prompt).min(Self::MAX_RECEIVED),
        }
    }
}

/// Converts a number of bytes.
fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::AnswerLimits;
    use crate::{Message, Prompt, SamplingParams};

    #[track_caller]
    fn check(parameters: SamplingParams, text: usize, reasoning: usize) {
        let prompt = Prompt::new("m", [Message::user("x")]).parameters(parameters);
        let limits = AnswerLimits::of(&prompt);
        assert_eq!((limits.text, limits.reasoning), (text, reasoning));
        assert!(limits.piece >= text && limits.piece <= 32 << 20, "{limits:?}");
    }

    #[test]
    fn a_limit_is_that_of_the_tokens_within_a_floor_and_a_cap() {
        let tokens = |tokens| SamplingParams::default().max_tokens(tokens);
        check(tokens(0), 64 << 10, 1 << 20);
        check(tokens(200), 64 << 10, 1 << 20);
        check(tokens(8_192), 1 << 20, 1 << 20);
        check(tokens(65_536), 8 << 20, 8 << 20);
        check(tokens(u64::MAX), 16 << 20, 16 << 20);
        check(SamplingParams::default(), 16 << 20, 16 << 20);
        let mut budget = tokens(512);
        budget.reasoning_budget = Some(65_024);
        check(budget, 64 << 10, 8 << 20);
        let mut endless = tokens(1);
        endless.reasoning_budget = Some(u64::MAX);
        check(endless, 64 << 10, 16 << 20);
    }

    #[test]
    fn a_stream_without_output_may_have_the_prompt_several_times() {
        let silent =
            |length: usize| AnswerLimits::of(&Prompt::new("m", [Message::user("x".repeat(length))])).silent;
        assert_eq!(silent(1_000), (4 << 20) + 8_000);
        assert_eq!(silent(200 << 20), 1 << 30);
    }
}
