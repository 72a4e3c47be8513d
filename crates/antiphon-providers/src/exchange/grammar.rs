use antiphon_llm::Dialect;

/// What engines that make a grammar of a schema put into it
/// (<https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md>); they say nothing of the rest.
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
