//! The check of a prompt against the context window of an engine, before it is sent.
//!
//! The number of tokens is an estimate, since no server publishes its tokeniser in a form that a client could use: a prompt is
//! refused only if no usual text of its length has so few tokens.

use antiphon_llm::{Error, ErrorKind, Prompt};

use super::context_window::{distinct_bytes, texts};

/// The bytes of a token in texts that tokenise best, as plain English does.
const MOST_BYTES: u64 = 5;

/// Returns the number of tokens that a prompt has at least.
pub(crate) fn least_tokens(prompt: &Prompt) -> u64 {
    texts(prompt).map(|text| distinct_bytes(text.as_ref())).sum::<u64>() / MOST_BYTES
}

/// Refuses a prompt of at least `least` tokens, as [`least_tokens`] counts them, that does not fit into a context window of so many.
/// `fix` says what to do, as a sentence.
///
/// # Errors
/// `ContextTooLong`, with both numbers; nothing was sent.
pub(crate) fn check_fits(model: &str, least: u64, window: u64, fix: &str) -> Result<(), Error> {
    if least < window {
        return Ok(());
    }
    let message = format!(
        "the prompt has at least {least} tokens, and the context of {model} is {window}: it was not sent. {fix}"
    );
    Err(Error::new(ErrorKind::ContextTooLong, message))
}

#[cfg(test)]
mod tests {
    use antiphon_llm::{ErrorKind, Message, Prompt};

    use super::{check_fits, least_tokens};

    fn prompt(text: &str) -> Prompt {
        Prompt::new("m", [Message::user(text)])
    }

    #[test]
    fn a_prompt_is_refused_only_if_no_usual_text_of_its_length_fits() {
        let words = prompt(&"In this town the market opens before dawn. ".repeat(100));
        assert!(least_tokens(&words) <= 1_000);
        assert!(least_tokens(&prompt(&" ".repeat(10_000))) < 10, "a run of spaces is few tokens");
        assert_eq!(least_tokens(&Prompt::new("m", [])), 0);
        let least = least_tokens(&words);
        let err = check_fits("m", least, 512, "Raise it").unwrap_err();
        assert_eq!(err.kind(), ErrorKind::ContextTooLong);
        assert!(check_fits("m", least, 1_000, "Raise it").is_ok());
    }
}
