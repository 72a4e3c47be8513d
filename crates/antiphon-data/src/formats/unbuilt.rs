//! Stand-ins for the readers that a build leaves out: each rejects its format with the name of the feature.

use crate::error::Malformed;

/// Returns the failure of a file whose format has a reader only with a feature of this crate.
pub(crate) fn not_built(format: &str, feature: &str) -> Malformed {
    Malformed::whole(format!(
        "this build cannot read {format}. Enable the feature {feature} of antiphon-data"
    ))
    .of_kind(crate::error::FailureKind::UnsupportedFormat)
}

/// Declares a module with the `read` of a format that is not built.
macro_rules! stand_in {
    ($module:ident, $feature:literal, $format:literal) => {
        #[cfg(not(feature = $feature))]
        pub(super) mod $module {
            use crate::builder::Body;
            use crate::error::Malformed;

            /// Rejects the file.
            pub(in crate::formats) fn read(_: &str, _: &str) -> Result<Body, Malformed> {
                Err(super::not_built($format, $feature))
            }
        }
    };
}

stand_in!(csv, "csv", "CSV");
stand_in!(html, "html", "HTML");
stand_in!(yaml, "yaml", "YAML");

/// Rejects the file.
#[cfg(not(feature = "docx"))]
pub(crate) fn docx(_: &[u8], _: &str) -> Result<crate::builder::Body, Malformed> {
    Err(not_built("DOCX", "docx"))
}

#[cfg(test)]
mod tests {
    use crate::{Document, Format};

    #[test]
    fn a_file_of_a_format_that_is_not_built_fails_with_the_name_of_the_feature() {
        let formats = [
            ("a.csv", cfg!(feature = "csv"), "CSV. Enable the feature csv"),
            ("a.docx", cfg!(feature = "docx"), "DOCX. Enable the feature docx"),
            ("a.htm", cfg!(feature = "html"), "HTML. Enable the feature html"),
            ("a.yml", cfg!(feature = "yaml"), "YAML. Enable the feature yaml"),
        ];
        for (name, _, rest) in formats.iter().filter(|(_, is_built, _)| !is_built) {
            let failure = Document::parse(name, b"text: I bake bread\n").unwrap_err();
            let expected = format!("{name}: this build cannot read {rest} of antiphon-data");
            assert_eq!(failure.to_string(), expected);
        }
        let listed = ["csv", "docx", "html", "yaml"].map(|ending| Format::endings().contains(ending));
        assert_eq!(
            listed,
            [cfg!(feature = "csv"), cfg!(feature = "docx"), cfg!(feature = "html"), cfg!(feature = "yaml")]
        );
        assert!(Document::parse("a.jsonl", b"{\"who\": \"P1\", \"text\": \"I bake\"}").is_ok());
    }
}
