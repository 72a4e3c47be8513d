//! Documents from the web as inputs of runs: an address is fetched to a file, and the run reads the file.
//!
//! A run must be able to resume without its input's server, so runs never read addresses themselves. Addresses may come
//! from users of a server, therefore the checks against SSRF are here and in the HTTP client, and not in a front end.

use std::path::{Path, PathBuf};

use antiphon_data::Format;
use antiphon_http::{
    Client, ErrorKind, NetworkPolicy, Response, RetryPolicy, safe_file_name, without_secrets,
};
use jiff::Timestamp;
use serde_json::json;
use url::Url;

use super::error::{OperationError, OperationErrorKind};

/// The maximum size of a fetched document: 32 MiB.
const MOST_BYTES: usize = 32 << 20;
/// The maximum number of redirects.
const MOST_REDIRECTS: u32 = 5;

/// Returns whether an input is an HTTP or HTTPS address, and not a path. Only the scheme is looked at, in any case of
/// letters.
///
/// Runs read files only: use this to find inputs for [`fetch_document`].
///
/// ```
/// use std::path::Path;
///
/// use antiphon::operations::is_address;
///
/// assert!(is_address(Path::new("https://example.org/talk.html")));
/// assert!(!is_address(Path::new("notes/talk.html")));
/// ```
#[must_use]
pub fn is_address(input: &Path) -> bool {
    let text = input.to_string_lossy();
    ["https:", "http:"].iter().any(|scheme| text.to_ascii_lowercase().starts_with(scheme))
}

/// Fetches a document into a separate hidden folder below `out`, with a note of its source, and returns the document's path.
///
/// Under [`NetworkPolicy::Public`], only HTTPS and public addresses are allowed, also behind host names and redirects, as a
/// defence against server-side request forgery (SSRF). At most 32 MiB and 5 redirects. For the address of a file's page on
/// GitHub, the file itself is fetched.
///
/// ```text
/// <out>/.sources/<digest of the address>/
///   talk.html      the document, with an extension that matches its content
///   .source.json   the note: address without secrets, time, size and content type
/// ```
///
/// The same address has the same folder, so fetching it again replaces the document. For many files use
/// [`fetch`](super::fetch), which needs an HTTP client and resumes partial downloads.
///
/// # Errors
/// `Request` for an address that is not valid or not allowed, `Failed` for a document that cannot be fetched or written.
///
/// # Cancel safety
/// A dropped call closes the connection. The file is written atomically: a dropped call leaves no partial file.
pub async fn fetch_document(
    address: &str,
    out: &Path,
    network_policy: NetworkPolicy,
) -> Result<PathBuf, OperationError> {
    let url = raw(checked_url(address, network_policy)?);
    let failed = |err: antiphon_http::Error| not_fetched(address, &err);
    let client = client(network_policy);
    let response = client.get(url.as_str()).await.and_then(Response::error_for_status).map_err(failed)?;
    let kind = response.header("content-type").unwrap_or_default().to_owned();
    let refused = |why: String| {
        OperationError::new(
            OperationErrorKind::Failed,
            format!("cannot fetch {}: {why}", without_secrets(address)),
        )
    };
    // Before the body is read: an answer that is dropped here ends the connection.
    if response
        .content_length()
        .is_some_and(|length| usize::try_from(length).map_or(true, |length| length > MOST_BYTES))
    {
        return Err(refused(format!("the answer is larger than {MOST_BYTES} bytes")));
    }
    if !can_be_document(&safe_file_name(url.as_str()), &kind) {
        return Err(refused(format!("{kind} is not a type of document that can be read")));
    }
    let bytes = response.bytes().await.map_err(failed)?;
    let name = name_with_extension(&safe_file_name(url.as_str()), &kind);
    let digest = blake3::hash(address.as_bytes()).to_hex();
    let folder = Path::new(".sources").join(&digest[..16]);
    antiphon_fs::create_dir(out).await?;
    let note = json!({
        "schema": "antiphon.source/1", "address": without_secrets(address), "fetched_at": Timestamp::now().to_string(),
        "bytes": bytes.len(), "content_type": kind,
    });
    let path = folder.join(name);
    antiphon_fs::write_below(out, &path, bytes).await?;
    // Hidden, so that it is not read as a document.
    antiphon_fs::write_below(out, folder.join(".source.json"), format!("{note:#}\n")).await?;
    Ok(out.join(path))
}

/// Parses an address, which the policy must allow. Hosts are checked later, by the client, for each address that a name
/// resolves to.
fn checked_url(address: &str, network_policy: NetworkPolicy) -> Result<Url, OperationError> {
    let wrong = |why: &str| {
        OperationError::new(
            OperationErrorKind::Request,
            format!("cannot fetch {}: {why}", without_secrets(address)),
        )
    };
    let url = Url::parse(address).map_err(|err| wrong(&format!("the address is not valid: {err}")))?;
    if network_policy == NetworkPolicy::Public && url.scheme() != "https" {
        return Err(wrong("documents are fetched by https only"));
    }
    Ok(url)
}

/// Creates the client for documents, whose limits also hold for addresses that come from users.
fn client(network_policy: NetworkPolicy) -> Client {
    Client::builder()
        .network_policy(network_policy)
        .max_redirects(MOST_REDIRECTS)
        .max_body(MOST_BYTES)
        .retry(RetryPolicy::default())
        .build()
}

/// Creates the error of a document that cannot be fetched. An address that the client refuses is a wrong request.
fn not_fetched(address: &str, err: &antiphon_http::Error) -> OperationError {
    let kind = match err.kind() {
        ErrorKind::InvalidRequest => OperationErrorKind::Request,
        _ => OperationErrorKind::Failed,
    };
    OperationError::new(kind, format!("cannot fetch {}: {err}", without_secrets(address)))
}

/// Returns the address of a file's content if `url` is the address of its page on GitHub, else `url`.
fn raw(url: Url) -> Url {
    let parts: Vec<&str> = url.path_segments().into_iter().flatten().collect();
    let raw = match (url.host_str(), &parts[..]) {
        (Some("github.com"), [owner, name, "blob", rest @ ..]) if !rest.is_empty() => {
            Some(format!("https://raw.githubusercontent.com/{owner}/{name}/{}", rest.join("/")))
        }
        (Some("gist.github.com"), [owner, gist]) => {
            Some(format!("https://gist.githubusercontent.com/{owner}/{gist}/raw"))
        }
        _ => None,
    };
    raw.and_then(|raw| Url::parse(&raw).ok()).unwrap_or(url)
}

/// Returns whether an answer of a type may be a document: its type is text, that of a document, or none in particular; servers send
/// others for the names of documents.
fn can_be_document(name: &str, kind: &str) -> bool {
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (family, _) = essence.split_once('/').unwrap_or((&*essence, ""));
    match family {
        "" | "text" | "binary" => true,
        "application" => {
            Format::ending_of(kind).is_some()
                || Format::from_name(name).is_some()
                || essence == "application/octet-stream"
        }
        _ => Format::ending_of(kind).is_some(),
    }
}

/// Returns a name with an extension that matches the content. A type that cannot be read keeps its name: reading it then
/// fails with the reason.
fn name_with_extension(name: &str, kind: &str) -> String {
    match (Format::from_name(name), Format::ending_of(kind)) {
        (None, Some(ending)) => format!("{name}.{ending}"),
        (Some(_), _) | (None, None) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use url::Url;

    use super::{can_be_document, is_address, name_with_extension, raw};

    #[test]
    fn an_address_is_not_a_path() {
        for address in ["https://h/a.txt", "HTTP://h", "https:/h/a"] {
            assert!(is_address(Path::new(address)), "{address}");
        }
        assert!(!is_address(Path::new("https-notes/a.txt")) && !is_address(Path::new("./https:x")));
    }

    #[test]
    fn the_page_of_a_file_leads_to_the_file() {
        let raw = |address: &str| raw(Url::parse(address).unwrap()).to_string();
        assert_eq!(
            raw("https://github.com/o/n/blob/main/a/b.md"),
            "https://raw.githubusercontent.com/o/n/main/a/b.md"
        );
        assert_eq!(raw("https://gist.github.com/o/1f"), "https://gist.githubusercontent.com/o/1f/raw");
        for other in ["https://github.com/o/n", "https://h/o/n/blob/x"] {
            assert_eq!(raw(other), other);
        }
    }

    #[test]
    fn only_types_of_documents_are_read() {
        for (name, kind) in [
            ("talk", ""),
            ("talk", "Text/HTML; charset=utf-8"),
            ("a.vtt", "application/x-subrip"),
            ("a", "application/octet-stream"),
            ("a", "application/json"),
        ] {
            assert!(can_be_document(name, kind), "{name} {kind}");
        }
        for (name, kind) in [
            ("a.txt", "image/png"),
            ("a.md", "video/mp4"),
            ("talk", "application/pdf"),
            ("a", "application/zip"),
            ("a", "multipart/mixed"),
        ] {
            assert!(!can_be_document(name, kind), "{name} {kind}");
        }
    }

    #[test]
    fn a_file_gets_the_extension_of_its_content() {
        assert_eq!(name_with_extension("talk", "text/html; charset=utf-8"), "talk.html");
        assert_eq!(name_with_extension("talk.txt", "text/html"), "talk.txt");
        assert_eq!(name_with_extension("raw", "text/plain"), "raw.txt");
        assert_eq!(name_with_extension("talk", "application/pdf"), "talk");
    }
}
