use antiphon_llm::{Error, ErrorKind, Output, Part, Prompt, Role};

/// Refuses a prompt with a role, a part or a form of answer that this crate's formats cannot express, before anything is
/// sent or billed: the one place that meets what a later version of the prompt may have.
///
/// # Errors
/// `Unsupported`, with the name of what cannot be sent.
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
        other => Err(unsupported("a request for an answer of the form", other.name())),
    }
}

fn unsupported(what: &str, name: &str) -> Error {
    let message = format!("{what} {name:?} cannot be sent: this provider's format has none");
    Error::new(ErrorKind::Unsupported, message)
}

#[cfg(test)]
mod tests {
    use antiphon_llm::{Billed, DocumentPart, ErrorKind, Message, Output, Part, Prompt, Role, Schema};
    use serde_json::json;

    use super::{check_sendable, unsupported};

    #[test]
    fn all_that_a_prompt_can_have_today_is_sent() {
        let parts =
            [Part::Text("Read:".to_owned()), Part::Document(DocumentPart::new("d1", "a.txt", "words"))];
        let prompt = Prompt::new("m", [Message::of(Role::User, parts), Message::assistant("So it is.")]);
        assert!(check_sendable(&prompt).is_ok());
        let schema = Schema::new("s", json!({ "type": "object" })).unwrap();
        assert!(check_sendable(&prompt.output(Output::Json(schema))).is_ok());
    }

    #[test]
    fn a_refusal_names_what_cannot_be_sent_and_costs_nothing() {
        let err = unsupported("a message of the role", "tool");
        assert_eq!((err.kind(), err.billed()), (ErrorKind::Unsupported, Billed::No));
        let expected = "a message of the role \"tool\" cannot be sent: this provider's format has none";
        assert_eq!(err.to_string(), expected);
    }
}
