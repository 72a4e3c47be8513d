//! The decoders of all formats, for the fuzzers; not part of the crate's stable interface.

use crate::exchange::{Answer, Decode};

/// The result of a decoder: the text, and whether the answer is complete or the reason why decoding failed.
pub type Decoded = (String, Result<bool, String>);

/// Feeds pieces to the decoder of a format: `chat`, `responses`, `anthropic`, `gemini`, `ollama` or `llamacpp`.
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

/// Feeds pieces to a decoder until the answer ends or a piece is an error.
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
