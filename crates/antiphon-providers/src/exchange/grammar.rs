//! The schema dialect of llama.cpp and of engines that are built on it, such as Ollama.
//!
//! Such an engine compiles the schema into a grammar (GBNF), and masks at each step the tokens that would leave
//! it. The constraint is therefore exact for what the grammar expresses, and absent for the rest.

use antiphon_llm::Dialect;

/// The keywords that llama.cpp's conversion of a schema into a grammar ignores silently
/// (<https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md>).
///
/// A keyword that is ignored silently is worse than one that is rejected: the caller would take the answer as
/// checked.
const UNSUPPORTED: &[&str] = &[
    "contains",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "if",
    "maxContains",
    "maxProperties",
    "minContains",
    "minProperties",
    "multipleOf",
    "not",
    "patternProperties",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
];

/// Returns the schema dialect of engines that turn a schema into a grammar.
///
/// All keywords are sent but those that are ignored. These are added to the descriptions as text, and the answer
/// is checked against them after it has arrived.
pub(crate) fn grammar_dialect() -> Dialect {
    Dialect::default().unsupported(UNSUPPORTED)
}
