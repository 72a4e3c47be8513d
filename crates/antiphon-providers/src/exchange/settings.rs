//! The public settings of every provider with a server, written once so that names, defaults and docs agree.
//!
//! The macro expects a private method `with(self, impl FnOnce(&mut Endpoint)) -> Self` of the provider. Each
//! setting creates a new connection pool, so settings belong before the first call.

/// Implements the settings that every provider with a server has, by its method `with`, which changes the endpoint.
macro_rules! connection_settings {
    ($provider:ident, $default_path:literal, $seconds:literal) => {
        impl $provider {
            /// Sets another address for the same service. An address without a path gets the default one.
            ///
            /// # Errors
            /// `InvalidRequest` for a text that is not an HTTP address, or one with a user, password, query or fragment.
            pub fn base_url(self, url: &str) -> Result<Self, antiphon_llm::Error> {
                let base_url = $crate::exchange::checked_base_url(url, $default_path)?;
                Ok(self.with(|endpoint| endpoint.base_url = base_url))
            }

            #[doc = concat!("Sets the maximum time to the first token and between two of them; default ", $seconds, " s.")]
            #[must_use]
            pub fn token_timeout(self, token_timeout: std::time::Duration) -> Self {
                self.with(|endpoint| endpoint.token_timeout = token_timeout)
            }

            /// Sets the maximum time of a whole call, from the request to the end of its answer.
            ///
            /// Default: three times the token time-out, plus 4 s for each received token; at most `max_tokens` tokens count, or
            /// 2,048 if the prompt sets no limit. An answer that takes longer ends with the error `Timeout`, which has the
            /// partial answer.
            #[must_use]
            pub fn call_timeout(self, call_timeout: std::time::Duration) -> Self {
                self.with(|endpoint| endpoint.call_timeout = Some(call_timeout))
            }

            /// Sets the size of the connection pool: the maximum number of connections in use at a time. A further call waits
            /// until one is free. Default 100.
            #[must_use]
            pub fn max_connections(self, max_connections: usize) -> Self {
                self.with(|endpoint| endpoint.max_connections = max_connections)
            }

            /// Sets the header in which the key is sent, such as `api-key`; `authorization` sends it as a bearer token. Default: the
            /// vendor's.
            #[must_use]
            pub fn key_header(self, name: &str) -> Self {
                let header = Some(name.to_owned()).filter(|name| !name.eq_ignore_ascii_case("authorization"));
                self.with(|endpoint| endpoint.auth.header = header)
            }

            /// Adds a header to each request. Its value belongs to the scope as a digest, and is removed from the texts of the
            /// server.
            #[must_use]
            pub fn header(self, name: &str, value: &str) -> Self {
                self.with(|endpoint| endpoint.additions.headers.push((name.to_owned(), value.to_owned())))
            }

            /// Adds a header to each request whose value is a secret. One of the key's name replaces the key.
            #[must_use]
            pub fn secret_header(self, name: &str, value: antiphon_http::SecretString) -> Self {
                self.with(|endpoint| endpoint.additions.secret_headers.push((name.to_owned(), value)))
            }

            /// Adds a parameter to the query of each request, such as `api-version`.
            #[must_use]
            pub fn query(self, name: &str, value: &str) -> Self {
                self.with(|endpoint| endpoint.additions.query.push((name.to_owned(), value.to_owned())))
            }

            /// Adds fields to the body of each call of a model, merged into it at any depth. A call with a field that this crate
            /// sets itself fails with `InvalidRequest`, and is not sent.
            #[must_use]
            pub fn extra_body(self, fields: serde_json::Map<String, serde_json::Value>) -> Self {
                self.with(|endpoint| endpoint.additions.body.extend(fields))
            }

            /// Applies the connection settings of options, except address and key.
            pub(crate) fn configured(self, options: &$crate::registry::Options) -> Self {
                self.with(|endpoint| endpoint.configure(options))
            }

            /// Sets the provider's name in reports.
            #[must_use]
            pub fn named(self, name: &str) -> Self {
                self.with(|endpoint| name.clone_into(&mut endpoint.vendor))
            }
        }
    };
}

pub(crate) use connection_settings;
