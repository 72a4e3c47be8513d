//! Rendering on tokio's blocking pool.

use crate::error::RenderError;

/// Renders on tokio's blocking pool: a large page takes longer than a poll should. A panic continues in the caller.
///
/// # Errors
/// The error of `render`; `Internal` if the runtime shuts down before it begins.
///
/// # Cancel safety
/// The rendering runs to its end on its blocking thread, and the result is dropped.
pub(crate) async fn blocking<T: Send + 'static>(
    render: impl FnOnce() -> Result<T, RenderError> + Send + 'static,
) -> Result<T, RenderError> {
    match tokio::task::spawn_blocking(render).await {
        Ok(rendered) => rendered,
        Err(join) if join.is_panic() => std::panic::resume_unwind(join.into_panic()),
        Err(_) => Err(RenderError::interrupted()),
    }
}
