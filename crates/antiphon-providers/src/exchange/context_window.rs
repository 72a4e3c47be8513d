//! The check of the number of tokens that a server counted of a prompt.
//!
//! A local server may cut a prompt without a word, and answers to what is left. The check is an estimate, since no server
//! publishes its tokeniser in a form that a client could use, and errs on the side of the caller: a count is doubted only if no
//! usual text has so few tokens.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use antiphon_llm::{CallWarning, Prompt};

/// The bytes of a token that no text reaches, repetitions apart, which are not counted.
const IMPOSSIBLE_BYTES: u64 = 12;
/// The size in bytes of a prompt from which its count is checked: no server has so small a context that it cuts a shorter one.
const MIN_BYTES: u64 = 4_000;
/// The length of the blocks by which the common beginning of two prompts is found.
const BLOCK: usize = 1_024;
/// The number of blocks that are remembered; all are forgotten beyond it.
const MAX_BLOCKS: usize = 1 << 17;

/// The texts of a prompt, in the order in which they are sent.
pub(super) fn texts(prompt: &Prompt) -> impl Iterator<Item = std::borrow::Cow<'_, str>> {
    let system = prompt.system.as_deref().map(std::borrow::Cow::Borrowed);
    system.into_iter().chain(prompt.messages.iter().map(antiphon_llm::Message::rendered))
}

/// Counts the bytes of a text that differ from the byte before them: a run of spaces or dashes is a token or two.
pub(super) fn distinct_bytes(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let changes = bytes.iter().zip(bytes.iter().skip(1)).filter(|(before, byte)| before != byte).count();
    (changes as u64).saturating_add(u64::from(!bytes.is_empty()))
}

/// The beginnings of the prompts that a server was sent, shared by all calls on a link.
///
/// Some servers count only those tokens of a prompt that they had not in their cache. A low count is therefore evidence of a cut
/// only for what no earlier prompt began with.
#[derive(Debug, Clone, Default)]
pub(crate) struct SentPrompts(Arc<Mutex<Beginnings>>);

#[derive(Debug, Default)]
struct Beginnings {
    /// The digests of the beginnings, at each end of a block.
    blocks: HashSet<u64>,
    /// The models of which the server has cut a prompt.
    cutting: HashSet<String>,
}

/// The size of one prompt that was sent, by which the server's count is judged.
#[derive(Debug, Clone, Default)]
pub(crate) struct SentPrompt {
    sent: SentPrompts,
    model: String,
    /// The bytes of the whole prompt, repetitions apart.
    bytes: u64,
    /// The part of them that no earlier prompt began with.
    new_bytes: u64,
}

impl SentPrompts {
    /// Records a prompt, and returns its size. One that is shorter than a block is not recorded: its count is not checked, and so
    /// few cached tokens do not make the count of a longer prompt doubtful.
    pub(crate) fn record(&self, prompt: &Prompt) -> SentPrompt {
        if texts(prompt).map(|text| text.len()).sum::<usize>() < BLOCK {
            return SentPrompt::default();
        }
        let mut hasher = DefaultHasher::new();
        prompt.model.hash(&mut hasher);
        let mut blocks = Vec::new();
        for text in texts(prompt) {
            let mut rest = text.as_ref();
            while !rest.is_empty() {
                let (block, after) = rest.split_at(rest.floor_char_boundary(BLOCK.min(rest.len())));
                block.hash(&mut hasher);
                blocks.push((hasher.finish(), distinct_bytes(block)));
                rest = after;
            }
        }
        // All calls on the link share the lock: only the digests are looked up under it.
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.blocks.len() > MAX_BLOCKS {
            state.blocks.clear();
        }
        let (mut bytes, mut new_bytes, mut is_known) = (0, 0, true);
        for (digest, size) in blocks {
            is_known &= !state.blocks.insert(digest);
            bytes += size;
            new_bytes += if is_known { 0 } else { size };
        }
        SentPrompt { sent: self.clone(), model: prompt.model.clone(), bytes, new_bytes }
    }
}

impl SentPrompt {
    /// Returns a warning if the server counted far fewer tokens than were sent.
    pub(crate) fn check(&self, counted: Option<u64>) -> Option<CallWarning> {
        let counted = counted?;
        let is_too_few = |bytes: u64| bytes >= MIN_BYTES && counted.saturating_mul(IMPOSSIBLE_BYTES) < bytes;
        // The lock is that of all calls, of which nearly none is cut.
        if !is_too_few(self.bytes) {
            return None;
        }
        let mut state = self.sent.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_cut = if state.cutting.contains(&self.model) {
            is_too_few(self.bytes)
        } else {
            is_too_few(self.new_bytes)
        };
        if !is_cut {
            return None;
        }
        state.cutting.insert(self.model.clone());
        let about = self.bytes / 4;
        Some(CallWarning::prompt_cut(format!(
            "the server counted {counted} tokens of a prompt of about {about}: it probably cut the prompt, and answered to the \
             rest. Raise the context of the model: num_ctx for Ollama (context in its entry of antiphon.toml), --ctx-size for \
             llama.cpp, --max-model-len for vLLM"
        )))
    }
}

#[cfg(test)]
mod tests {
    use antiphon_llm::{Message, Prompt};

    use super::SentPrompts;

    fn prompt(text: &str) -> Prompt {
        Prompt::new("m", [Message::user(text)])
    }

    #[test]
    fn a_count_far_below_what_was_sent_is_a_cut_and_cached_tokens_are_none() {
        let long = "town of the north ".repeat(1_000);
        let sent = SentPrompts::default();
        let of = |text: &str| sent.record(&prompt(text));
        assert!(of(&long).check(Some(4_500)).is_none());
        assert!(of(&long).check(None).is_none(), "not counted");
        // The second prompt begins as the first, of which the server has the tokens.
        assert!(of(&format!("{long} and one more")).check(Some(5)).is_none());
        let other = format!("other {long}");
        assert!(of(&other).check(Some(300)).is_some());
        // From then on no low count is taken for that of a cache.
        assert!(of(&other).check(Some(300)).is_some());
        assert!(of("short").check(Some(1)).is_none());
    }
}
