//! The conversation of a prompt in the shape that OpenAI introduced and most vendors adopted:
//!
//! ```json
//! [{"role": "system", "content": "Be brief."},
//!  {"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi."}]
//! ```
//!
//! Formats differ in the place of the system instructions: a turn (chat completions, Ollama, llama.cpp), or a
//! separate field (Anthropic's `system`, Gemini's `systemInstruction`, the `instructions` of OpenAI's
//! Responses).

use std::borrow::Cow;

use antiphon_llm::{Prompt, Schema};
use serde::Serialize;

use super::structured_mode::StructuredMode;

/// A turn of the conversation in the form that most vendors use.
#[derive(Debug, Serialize)]
pub(crate) struct Turn<'p> {
    /// The role, by OpenAI's name for it.
    pub(crate) role: &'static str,
    /// The message as one text. It borrows from the prompt unless documents have to be rendered into it.
    pub(crate) content: Cow<'p, str>,
}

/// Returns the turns of the conversation, after the system instructions where the format has them as a turn.
///
/// `system` is `None` for formats with a separate field. Documents in a message are rendered as delimited
/// blocks of text.
pub(crate) fn turns<'p>(prompt: &'p Prompt, system: Option<&'p str>) -> Vec<Turn<'p>> {
    let system = system.map(|system| Turn { role: "system", content: Cow::Borrowed(system) });
    let others =
        prompt.messages.iter().map(|message| Turn { role: message.role.name(), content: message.rendered() });
    system.into_iter().chain(others).collect()
}

/// Returns the system instructions, with the schema in the prompt where the server does not constrain the answer to it.
///
/// The instructions for the schema follow the caller's own, after an empty line. `None` if there are neither.
pub(crate) fn system_of(prompt: &Prompt, mode: StructuredMode) -> Option<String> {
    let instructions =
        prompt.output.schema().filter(|_| mode != StructuredMode::JsonSchema).map(schema_instructions);
    match (&prompt.system, instructions) {
        (Some(system), Some(instructions)) => Some(format!("{system}\n\n{instructions}")),
        (system, instructions) => system.clone().or(instructions),
    }
}

/// Returns the instructions that replace a constraint by the server. The whole schema is part of them,
/// uncompiled: in a prompt, no keyword is unsupported.
fn schema_instructions(schema: &Schema) -> String {
    format!("Answer with one JSON value and nothing else. It must fit this JSON schema:\n{}", schema.text())
}
