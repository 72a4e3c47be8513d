//! The lists of models of a server, page by page.

use antiphon_llm::{CallContext, Error, ErrorKind, Health, Model};
use serde_json::Value;
use tokio::time::Instant;

use super::link::Link;
use crate::limits::MAX_PAGES;

/// A page of a list of models.
pub(crate) struct Page {
    /// The models of this page, in the server's order.
    pub(crate) models: Vec<Model>,
    /// The query parameter of the next page, if there is one.
    /// Its value is percent-encoded by [`Link::models`].
    pub(crate) next: Option<(&'static str, String)>,
}

impl Link {
    /// Fetches a list of models, page by page; `page` reads one. For a list with pages, `path` must already have a query.
    ///
    /// The list ends with a page that names no next one, or names itself again; with more than [`MAX_PAGES`] pages, it is an error:
    /// a server with a faulty cursor causes no endless loop. The HTTP version is that of the last page.
    ///
    /// # Errors
    /// Those of [`get`](Self::get); `InvalidResponse` where `page` returns `None`.
    ///
    /// # Cancel safety
    /// Dropping the future loses the pages that have arrived.
    pub(crate) async fn models(
        &self,
        path: &str,
        context: &CallContext,
        page: impl Fn(&Value) -> Option<Page>,
    ) -> Result<(Vec<Model>, &'static str), Error> {
        let (mut models, mut next) = (Vec::new(), String::new());
        for _ in 0..MAX_PAGES {
            let (answer, version) = self.get(&format!("{path}{next}"), context).await?;
            let Some(page) = page(&answer) else { return Err(self.not_a_list(path)) };
            models.extend(page.models);
            let following = page.next.map(|(name, value)| format!("&{name}={}", encoded(&value)));
            match following.filter(|following| *following != next) {
                Some(following) => next = following,
                None => return Ok((models, version)),
            }
        }
        let base_url = &self.endpoint.base_url;
        let message = format!("{base_url}{path}: the list of models has more than {MAX_PAGES} pages");
        Err(Error::new(ErrorKind::InvalidResponse, message))
    }

    /// Creates the error of an answer that is not a list of models: another program may answer at the address.
    fn not_a_list(&self, path: &str) -> Error {
        let base_url = &self.endpoint.base_url;
        let message = format!("{base_url}{path}: the answer is not a list of models; check the base URL");
        Error::new(ErrorKind::InvalidResponse, message)
    }

    /// Derives the health of a server from its list of models, where it has no better endpoint.
    ///
    /// The latency is that of the whole list, with all its pages.
    ///
    /// # Errors
    /// The error of the list.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub(crate) async fn health_by(
        list: impl Future<Output = Result<(Vec<Model>, &'static str), Error>> + Send,
    ) -> Result<Health, Error> {
        let began = Instant::now();
        let (models, version) = list.await?;
        Ok(Health::new(began.elapsed()).http_version(version).models(models.len()))
    }
}

/// Returns a value percent-encoded for a query.
/// Spaces become `+`, as in a form (WHATWG URL, section 5).
fn encoded(value: &str) -> String {
    url::form_urlencoded::byte_serialize(value.as_bytes()).collect()
}
