use antiphon_llm::Dialect;

/// The keywords that llama.cpp's conversion of a schema into a grammar ignores silently
/// (<https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md>).
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
pub(crate) fn grammar_dialect() -> Dialect {
    Dialect::default().unsupported(UNSUPPORTED)
}
