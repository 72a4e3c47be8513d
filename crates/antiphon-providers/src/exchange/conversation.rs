use std::borrow::Cow;

use antiphon_llm::{Prompt, Schema};
use serde::Serialize;

use super::structured_mode::StructuredMode;

/// A turn of the conversation in the form that most vendors use.
#[derive(Debug, Serialize)]
pub(crate) struct Turn<'p> {
    /// The role, by OpenAI's name for it.
    pub(crate) role: &'static str,
    pub(crate) content: Cow<'p, str>,
}

/// Returns the turns of the conversation, after the system instructions where the format has them as a turn.
pub(crate) fn turns<'p>(prompt: &'p Prompt, system: Option<&'p str>) -> Vec<Turn<'p>> {
    let system = system.map(|system| Turn { role: "system", content: Cow::Borrowed(system) });
    let others =
        prompt.messages.iter().map(|message| Turn { role: message.role.name(), content: message.rendered() });
    system.into_iter().chain(others).collect()
}

/// Returns the system instructions, with the schema in the prompt where the server does not constrain the answer to it.
pub(crate) fn system_of(prompt: &Prompt, mode: StructuredMode) -> Option<String> {
    let instructions =
        prompt.output.schema().filter(|_| mode != StructuredMode::JsonSchema).map(schema_instructions);
    match (&prompt.system, instructions) {
        (Some(system), Some(instructions)) => Some(format!("{system}\n\n{instructions}")),
        (system, instructions) => system.clone().or(instructions),
    }
}

fn schema_instructions(schema: &Schema) -> String {
    format!("Answer with one JSON value and nothing else. It must fit this JSON schema:\n{}", schema.text())
}
