use crate::error::RenderError;

/// Renders on tokio's blocking pool: a large page takes longer than a poll should.
pub(crate) async fn blocking<T: Send + 'static>(
    render: impl FnOnce() -> Result<T, RenderError> + Send + 'static,
) -> Result<T, RenderError> {
    match tokio::task::spawn_blocking(render).await {
        Ok(rendered) => rendered,
        Err(join) if join.is_panic() => std::panic::resume_unwind(join.into_panic()),
        Err(_) => Err(RenderError::interrupted()),
    }
}
