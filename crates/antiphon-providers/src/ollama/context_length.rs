//! The context window that is requested of Ollama: large enough for the prompt, and the same for as many prompts as possible.
//!
//! The server loads a model with one context window, and loads it again for another one, which takes seconds. Therefore the
//! window grows in steps, and never shrinks:
//!
//! | prompt and answer need | `num_ctx` |
//! |---|---|
//! | up to 4,096 tokens, and no prompt needed more | not sent: every server has that |
//! | no more than the window with which the model is loaded | that of the loaded model |
//! | up to 32,768 tokens | the next power of two |
//! | more | the next multiple of 16,384 |
//!
//! The window is never larger than that with which the model was trained (`/api/show`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use antiphon_llm::Prompt;
use tokio::sync::OnceCell;

/// The context window that a server has without a request for another one, at least
/// (<https://docs.ollama.com/context-length>).
const DEFAULT: u64 = 4_096;
/// The window up to which steps double.
const LARGE: u64 = 32_768;
/// The steps beyond it: a window twice as large as necessary would take too much memory.
const STEP: u64 = 16_384;
/// The tokens that are left for an answer without a limit.
const ANSWER: u64 = 2_048;
/// The bytes of a token in texts that tokenise worst: code, names, languages of which a model has seen little.
const FEWEST_BYTES: u64 = 3;
/// The tokens that a chat template adds to a prompt, at most.
const TEMPLATE: u64 = 64;

/// The context windows of a server's models, as far as they are known; clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct ContextLengths(Arc<Mutex<HashMap<String, Arc<ModelContext>>>>);

/// The context window of one model.
#[derive(Debug, Default)]
pub(super) struct ModelContext {
    /// The windows that the server reported; fetched once.
    pub(super) reported: OnceCell<ReportedContext>,
    /// The window of the training if it is smaller than the one that is set; fetched once.
    pub(super) trained: OnceCell<Option<u64>>,
    /// The largest window that was requested; 0 before the first request.
    requested: AtomicU64,
}

/// The context windows that a server reports of a model, in tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ReportedContext {
    /// The window with which the model was trained.
    pub(super) trained: Option<u64>,
    /// The window with which the model is loaded.
    pub(super) loaded: Option<u64>,
}

impl ContextLengths {
    /// Returns what is known of a model.
    pub(super) fn of(&self, model: &str) -> Arc<ModelContext> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(model.to_owned()).or_default().clone()
    }
}

impl ModelContext {
    /// Returns the tokens that a prompt and its answer need, if the server has to be asked for a window that has them.
    pub(super) fn needs(&self, prompt: &Prompt) -> Option<u64> {
        let needed = most_tokens(prompt).saturating_add(prompt.parameters.max_tokens.unwrap_or(ANSWER));
        let is_first = self.requested.load(Ordering::Relaxed) == 0;
        if needed <= DEFAULT && is_first { None } else { Some(needed) }
    }

    /// Returns the window to request for so many tokens.
    pub(super) fn window(&self, needed: u64, reported: ReportedContext) -> u64 {
        let before = self.requested.load(Ordering::Relaxed);
        let least = reported.loaded.filter(|loaded| *loaded >= needed).unwrap_or_else(|| step(needed));
        let window = if before >= needed { before } else { least.max(before) };
        let window = window.min(reported.trained.unwrap_or(u64::MAX));
        self.requested.fetch_max(window, Ordering::Relaxed).max(window)
    }
}

/// Returns the number of tokens that a prompt probably does not exceed, its schema included.
fn most_tokens(prompt: &Prompt) -> u64 {
    prompt.bytes().total().div_ceil(FEWEST_BYTES) + TEMPLATE
}

/// Returns the step at or above a number of tokens.
fn step(needed: u64) -> u64 {
    if needed <= LARGE {
        needed.next_power_of_two().max(DEFAULT)
    } else {
        needed.div_ceil(STEP).saturating_mul(STEP)
    }
}

#[cfg(test)]
mod tests {
    use antiphon_llm::{Message, Prompt};

    use super::{ModelContext, ReportedContext, most_tokens, step};

    #[test]
    fn a_usual_text_has_no_more_tokens_than_estimated() {
        let words = "In this town the market opens before dawn. ".repeat(100);
        assert!(most_tokens(&Prompt::new("m", [Message::user(words)])) >= 1_000);
    }

    #[test]
    fn windows_grow_in_steps_and_never_shrink() {
        assert_eq!(
            [1, 4_097, 8_192, 30_000, 32_769, 70_000].map(step),
            [4_096, 8_192, 8_192, 32_768, 49_152, 81_920]
        );
        let (model, none) = (ModelContext::default(), ReportedContext::default());
        assert_eq!([5_000, 9_000, 5_000].map(|needed| model.window(needed, none)), [8_192, 16_384, 16_384]);
    }

    #[test]
    fn the_window_of_the_loaded_model_is_kept_and_that_of_its_training_is_the_most() {
        let reported = ReportedContext { trained: Some(20_000), loaded: Some(10_000) };
        let model = ModelContext::default();
        assert_eq!(
            [5_000, 11_000, 18_000].map(|needed| model.window(needed, reported)),
            [10_000, 16_384, 20_000]
        );
    }
}
