use crate::prompt::{Output, Part, Prompt};

/// The size in bytes of a prompt as it is sent to a model. Estimates of tokens and cost are based on it.
///
/// Text and schema are counted separately. The text is sent once. The schema is sent at least once, as structured output or as
/// text; if the provider's [`Dialect`](crate::Dialect) does not accept a keyword, the keyword is also written into a
/// description. [`total`](Self::total) therefore counts the schema once, for an estimate, and [`max_total`](Self::max_total)
/// counts it twice, for an upper bound.
///
/// The few tokens that a provider adds around each message are not included, since no provider publishes their number.
///
/// ```
/// use antiphon_llm::{Message, Output, Prompt, Schema};
/// use serde_json::json;
/// let prompt = Prompt::new("m", [Message::user("Name a city.")]).system("Be brief.");
/// assert_eq!(prompt.bytes().text, 12 + 9);
/// let prompt = prompt.output(Output::Json(Schema::new("city", json!({"type": "object"}))?));
/// assert_eq!((prompt.bytes().schema, prompt.bytes().total()), (17, 12 + 9 + 17));
/// # Ok::<(), antiphon_llm::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PromptBytes {
    /// Bytes of the system instructions and of all messages. Documents are counted with the block in which they are rendered.
    pub text: u64,
    /// Bytes of the schema that the answer has to fit, as compact JSON; 0 where there is none.
    pub schema: u64,
}

/// The average number of bytes per token of English text.
const TOKEN_BYTES: u64 = 4;

impl PromptBytes {
    /// Returns the bytes of text and schema, with the schema counted once.
    #[must_use]
    pub fn total(self) -> u64 {
        self.text.saturating_add(self.schema)
    }

    /// Returns the bytes of text and schema, with the schema counted twice, for an upper bound on the cost of a call: a token
    /// has at least one byte.
    #[must_use]
    pub fn max_total(self) -> u64 {
        self.total().saturating_add(self.schema)
    }
}

impl Prompt {
    /// Returns the bytes of everything that is sent: instructions, messages, documents and schema.
    #[must_use]
    pub fn bytes(&self) -> PromptBytes {
        let parts = self.messages.iter().flat_map(|message| &message.parts);
        let parts: usize = parts.map(bytes_of_part).sum();
        let system = self.system.as_deref().map_or(0, str::len);
        PromptBytes { text: (parts + system) as u64, schema: bytes_of_schema(&self.output) as u64 }
    }

    /// Returns a rough count of the prompt's tokens: one for four bytes of [`bytes`](Self::bytes), the schema counted once.
    #[must_use]
    pub fn estimated_tokens(&self) -> u64 {
        self.bytes().total().div_ceil(TOKEN_BYTES)
    }
}

// Matched without `_`: a new kind of part or output must not be counted as 0 bytes.
fn bytes_of_part(part: &Part) -> usize {
    match part {
        Part::Text(text) => text.len(),
        Part::Document(document) => document.rendered_len(),
    }
}

fn bytes_of_schema(output: &Output) -> usize {
    match output {
        Output::Text => 0,
        Output::Json(schema) => schema.text().len(),
    }
}

#[cfg(test)]
#[cfg(feature = "schema")]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{Output, Part, Prompt, PromptBytes};
    use crate::{DocumentPart, Message, Role, Schema};

    #[track_caller]
    fn check(prompt: &Prompt, text: u64, schema: u64, tokens: u64) {
        assert_eq!(prompt.bytes(), PromptBytes { text, schema });
        assert_eq!(prompt.estimated_tokens(), tokens);
    }

    #[test]
    fn everything_that_is_sent_is_counted() {
        let prompt = Prompt::new("m", []);
        check(&prompt, 0, 0, 0);
        let prompt = prompt.message(Message::user("abc")).message(Message::assistant("de"));
        check(&prompt, 5, 0, 2);
        let prompt = prompt.system("0123456");
        check(&prompt, 12, 0, 3);
        let schema = Schema::new("s", json!({"type": "object"})).unwrap();
        let prompt = prompt.output(Output::Json(schema));
        check(&prompt, 12, 17, 8);
        assert_eq!((prompt.bytes().total(), prompt.bytes().max_total()), (29, 46));
        let document = Part::Document(DocumentPart::new("d1", "a.txt", "words"));
        let prompt = prompt.message(Message::of(Role::User, [document]));
        check(
            &prompt,
            12 + "\n<document id=\"d1\" name=\"a.txt\">\nwords\n</document>\n".len() as u64,
            17,
            20,
        );
    }

    proptest! {
        #[test]
        fn a_part_is_counted_as_it_is_rendered(
            text in "[a-zé<>/\n]{0,20}",
            name in "[a-zé\"<\n]{0,9}",
            said in "(</document|[a-z ]){0,9}",
        ) {
            let parts = [Part::Text(text), Part::Document(DocumentPart::new("d1", name, said))];
            let message = Message::of(Role::User, parts);
            let rendered = message.rendered().len() as u64;
            prop_assert_eq!(Prompt::new("m", [message]).bytes().text, rendered);
        }
    }
}
