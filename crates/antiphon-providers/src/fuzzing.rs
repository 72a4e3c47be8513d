//! The decoders of all formats, for the fuzzers; no part of the crate's promises.

use crate::exchange::{Answer, Decode};

/// What a decoder made of some pieces: the text, and whether the answer is whole, or why it failed.
pub type Decoded = (String, Result<bool, String>);

/// Gives pieces to the decoder of a format: `chat`, `responses`, `anthropic`, `gemini`, `ollama` or `llamacpp`.
pub fn decode<'p>(format: &str, pieces: impl IntoIterator<Item = (&'p str, &'p str)>) -> Decoded {
    match format {
        "responses" => run(crate::openai::ResponsesDecoder::default(), pieces),
        "anthropic" => run(crate::anthropic::MessagesDecoder::default(), pieces),
        "gemini" => run(crate::gemini::GenerateDecoder::default(), pieces),
        "ollama" => run(crate::ollama::OllamaDecoder, pieces),
        "llamacpp" => run(crate::llamacpp::NativeDecoder, pieces),
        _ => run(crate::chat::ChatDecoder, pieces),
    }
}

fn run<'p, D: Decode>(mut decoder: D, pieces: impl IntoIterator<Item = (&'p str, &'p str)>) -> Decoded {
    let mut answer = Answer::default();
    for (event, data) in pieces {
        if let Err(fault) = decoder.take(event, data, &mut answer) {
            return (answer.text, Err(fault.message));
        }
        if answer.is_over {
            break;
        }
    }
    match decoder.finish(&mut answer) {
        Ok(()) => (answer.text, Ok(answer.finish.is_some())),
        Err(fault) => (answer.text, Err(fault.message)),
    }
}
