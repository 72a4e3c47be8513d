//! The check of a prompt before anything is sent.
//!
//! `Role`, `Part` and `Output` are non-exhaustive enums of another crate, so that a match on them needs a
//! wildcard. This is the one place that has it, with an error: a new variant is never sent under a wrong name
//! or dropped silently.

use antiphon_llm::{Error, ErrorKind, Output, Part, Prompt, Role};

/// Rejects a prompt with a role, a part or an output form that this crate's formats cannot express, before anything is sent
/// or billed: the one place that has to know what a later version of the prompt may contain.
///
/// # Errors
/// `Unsupported`, with the name of the element that cannot be sent.
pub(super) fn check_sendable(prompt: &Prompt) -> Result<(), Error> {
    for message in &prompt.messages {
        match message.role {
            Role::User | Role::Assistant => {}
            other => return Err(unsupported("a message of the role", other.name())),
        }
        for part in &message.parts {
            match part {
                Part::Text(_) | Part::Document(_) => {}
                other => return Err(unsupported("a part of the kind", other.name())),
            }
        }
    }
    match &prompt.output {
        Output::Text | Output::Json(_) => Ok(()),
        other => Err(unsupported("an output of the form", other.name())),
    }
}

/// Creates the error of an element; nothing was sent, so it is not billed.
fn unsupported(what: &str, name: &str) -> Error {
    let message = format!("cannot send {what} {name:?}: this provider's format has none");
    Error::new(ErrorKind::Unsupported, message)
}

#[cfg(test)]
mod tests {
    use antiphon_llm::{Billed, DocumentPart, ErrorKind, Message, Output, Part, Prompt, Role, Schema};
    use serde_json::json;

    use super::{check_sendable, unsupported};

    #[test]
    fn every_current_element_of_a_prompt_is_sent() {
        let parts =
            [Part::Text("Read:".to_owned()), Part::Document(DocumentPart::new("d1", "a.txt", "words"))];
        let prompt = Prompt::new("m", [Message::of(Role::User, parts), Message::assistant("So it is.")]);
        assert!(check_sendable(&prompt).is_ok());
        let schema = Schema::new("s", json!({ "type": "object" })).unwrap();
        assert!(check_sendable(&prompt.output(Output::Json(schema))).is_ok());
    }

    #[test]
    fn a_rejection_names_the_element_and_costs_nothing() {
        let err = unsupported("a message of the role", "tool");
        assert_eq!((err.kind(), err.billed()), (ErrorKind::Unsupported, Billed::No));
        let expected = "cannot send a message of the role \"tool\": this provider's format has none";
        assert_eq!(err.to_string(), expected);
    }
}
