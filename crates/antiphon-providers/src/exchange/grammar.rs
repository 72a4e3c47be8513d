use antiphon_llm::Dialect;

/// Returns the schema dialect of engines that turn a schema into a grammar
/// (<https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md>); they ignore other keywords silently.
pub(crate) fn grammar_dialect() -> Dialect {
    Dialect::default().unsupported(&[
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
    ])
}
