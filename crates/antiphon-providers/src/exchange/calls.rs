//! Calls of a model over a link: the check of a prompt's parameters, and the body with the fields that the user adds.

use antiphon_http::Response;
use antiphon_llm::{CallContext, Error, ErrorKind, InvalidParam, Prompt, SamplingParams};
use serde_json::Value;

use super::link::Link;
use super::parameters::ParamTable;

impl Link {
    /// Posts the body of a call to a model, with the fields that the user adds to it.
    ///
    /// # Errors
    /// `InvalidRequest` for a field that the body has already; those of [`post`](Self::post).
    ///
    /// # Cancel safety
    /// As [`post`](Self::post).
    pub(crate) async fn call(
        &self,
        path: &str,
        body: &Value,
        context: &CallContext,
    ) -> Result<Response, Error> {
        let additions = &self.endpoint.additions;
        if additions.body.is_empty() {
            return self.post(path, body, context).await;
        }
        let mut body = body.clone();
        additions.merge_into(&mut body)?;
        self.post(path, &body, context).await
    }

    /// Checks the sampling parameters of a prompt against those that the format has, before anything is sent.
    ///
    /// # Errors
    /// `InvalidRequest` for a value out of range, `Unsupported` for a parameter that the format does not have.
    pub(crate) fn check(&self, prompt: &Prompt, table: &ParamTable) -> Result<(), Error> {
        prompt.parameters.check()?;
        let checked = table.check(&self.endpoint.vendor, &prompt.parameters);
        checked.map_err(|err| Error::new(ErrorKind::Unsupported, err.to_string()))
    }

    /// Checks sampling parameters and additions before a run; `requests` builds the bodies of a prompt.
    ///
    /// # Errors
    /// The first parameter that cannot be sent, or `extra_body`.
    pub(crate) fn check_params(
        &self,
        parameters: &SamplingParams,
        table: &ParamTable,
        requests: impl Fn(&Prompt) -> Vec<Value>,
    ) -> Result<(), InvalidParam> {
        table.check(&self.endpoint.vendor, parameters)?;
        self.endpoint.additions.check(parameters, requests)
    }
}
