//! Spans of file operations, with the attribute names of OpenTelemetry's semantic conventions
//! (<https://opentelemetry.io/docs/specs/semconv/registry/attributes/file/>).

use std::path::Path;

use tracing::Span;
use tracing::field::Empty;

use crate::error::Error;

/// Creates the span of a file operation at level debug, as a child of the current span.
///
/// An exporter names it after the operation: `read`, `write`, `copy`. Its fields are the path, the length in bytes once it
/// is known, and the kind of an error.
pub(crate) fn file_span(operation: &'static str, path: &Path) -> Span {
    tracing::debug_span!(
        "file",
        otel.name = operation,
        operation,
        file.path = %path.display(),
        file.size = Empty,
        error.type = Empty,
    )
}

/// Records the number of bytes that were read or written, as a signed number, as OpenTelemetry's integers are.
pub(crate) fn record_size(span: &Span, bytes: u64) {
    if let Ok(bytes) = i64::try_from(bytes) {
        span.record("file.size", bytes);
    }
}

/// Records the kind of an error, such as `not_found`.
pub(crate) fn record_error(span: &Span, err: &Error) {
    span.record("error.type", err.kind().name());
}
