//! HTTP for calls that may go wrong: time-outs by phase, bodies of bounded size, server-sent events, and errors that say
//! what happened without a word of what was secret.
//!
//! Connections are encrypted by rustls with ring and checked by the platform's verifier, which is built when the first
//! `https` address is asked for. Proxies are taken from `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, never
//! for loopback addresses. Redirects are not followed: a key must not travel to another host.
//!
//! ```
//! use antiphon_http::{Client, ErrorKind, Request};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let client = Client::builder().build();
//! let err = client.send(Request::get("ftp://example.org/")).await.unwrap_err();
//! assert_eq!(err.kind(), ErrorKind::InvalidRequest);
//! # }
//! ```

mod client;
mod error;
mod request;
mod response;
mod shards;
pub mod sse;
mod tls;

pub use client::{Client, ClientBuilder};
pub use error::{Error, ErrorKind, Phase};
pub use request::Request;
pub use response::{Events, Response};
pub use secrecy::SecretString;
