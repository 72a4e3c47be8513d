use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use antiphon_http::{Client, Downloaded, Error};
use antiphon_runtime::CancellationToken;
use antiphon_stream::StreamExt as _;
use futures_util::StreamExt as _;
use url::Url;

/// Files to be fetched.
#[derive(Clone)]
#[non_exhaustive]
pub struct FetchRequest {
    /// Their addresses.
    pub urls: Vec<String>,
    /// The folder they go to; it is made if it is not there.
    pub out: PathBuf,
    /// How many are fetched at once. Default 10.
    pub concurrency: usize,
}

/// What became of one address.
#[derive(Debug)]
#[non_exhaustive]
pub struct Fetched {
    /// The address without what may be secret: its host, and the last part of its path.
    pub source: String,
    /// The file, or why there is none.
    pub result: Result<Downloaded, Error>,
}

impl fmt::Debug for FetchRequest {
    // Addresses may hold keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources: Vec<_> = self.urls.iter().map(|url| without_secrets(url)).collect();
        f.debug_struct("FetchRequest").field("urls", &sources).field("out", &self.out).finish_non_exhaustive()
    }
}

impl FetchRequest {
    /// Of these addresses into this folder.
    #[must_use]
    pub fn new(urls: impl IntoIterator<Item = impl Into<String>>, out: impl AsRef<Path>) -> Self {
        let urls = urls.into_iter().map(Into::into).collect();
        Self { urls, out: out.as_ref().to_owned(), concurrency: 10 }
    }

    /// Sets how many are fetched at once; 0 counts as 1.
    #[must_use]
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }
}

/// Fetches files, each under a name of its own that comes from its address, and tells of each as it is done. Gives the
/// outcomes in the order of the addresses; one failure ends no other.
///
/// A file that broke off is gone on with by the same call later. `drain` begins no further file; `cancel` stops those
/// under way, too.
///
/// # Errors
/// If the folder cannot be made.
///
/// # Cancel safety
/// Hangs up; what has come is kept for the next time.
pub async fn fetch(
    client: &Client,
    request: &FetchRequest,
    on_done: impl Fn(&Fetched) + Sync,
    (drain, cancel): (CancellationToken, CancellationToken),
) -> Result<Vec<Fetched>, antiphon_fs::Error> {
    antiphon_fs::create_dir(&request.out).await?;
    let files = named(&request.urls);
    let fetch = async |(url, name): (String, String)| {
        // What has not begun when it is stopped ends at once.
        let token = if drain.is_cancelled() { drain.clone() } else { cancel.clone() };
        let result = client.download(&url, request.out.join(name)).cancelled_by(token).run().await;
        let fetched = Fetched { source: without_secrets(&url), result };
        on_done(&fetched);
        fetched
    };
    Ok(futures_util::stream::iter(files).map_async(request.concurrency.max(1), fetch).collect().await)
}

/// An address as it may be shown: its host, and the last part of its path.
#[must_use]
pub fn without_secrets(url: &str) -> String {
    let Ok(url) = Url::parse(url) else { return "an address that is not valid".to_owned() };
    if url.host_str().is_none() {
        return format!("{}:…", url.scheme());
    }
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let segments: Vec<&str> = url.path_segments().into_iter().flatten().collect();
    match segments[..] {
        [] | [""] => format!("{}://{host}/", url.scheme()),
        [only] => format!("{}://{host}/{only}", url.scheme()),
        [.., last] => format!("{}://{host}/…/{last}", url.scheme()),
    }
}

/// The addresses, each with a file name that no other one has, nor its part while it is not whole.
fn named(urls: &[String]) -> Vec<(String, String)> {
    let mut taken = HashSet::new();
    let free = |wanted: String, taken: &mut HashSet<String>| {
        let numbered = |number: usize| match wanted.rsplit_once('.') {
            Some((stem, ending)) if !stem.is_empty() => format!("{stem}-{number}.{ending}"),
            _ => format!("{wanted}-{number}"),
        };
        let mut names = std::iter::once(wanted.clone()).chain((2..).map(numbered));
        let name = names.find(|name| {
            // Some file systems do not tell large letters from small ones.
            let own = ["", ".part", ".part.json"].map(|ending| format!("{name}{ending}").to_lowercase());
            let is_free = own.iter().all(|name| !taken.contains(name));
            if is_free {
                taken.extend(own);
            }
            is_free
        });
        name.unwrap_or_default()
    };
    urls.iter().map(|url| (url.clone(), free(name_of(url), &mut taken))).collect()
}

/// The last part of an address's path, or its host, as a name that every file system takes and that leads nowhere else.
fn name_of(url: &str) -> String {
    /// Bytes, of the 255 that a name may have, so that endings and numbers fit behind.
    const MOST: usize = 200;
    const RESERVED: [&str; 6] = ["con", "prn", "aux", "nul", "com", "lpt"];
    let Ok(url) = Url::parse(url) else { return "file".to_owned() };
    let last = url.path_segments().and_then(|mut segments| segments.rfind(|segment| !segment.is_empty()));
    let name =
        percent_encoding::percent_decode_str(last.or(url.host_str()).unwrap_or("file")).decode_utf8_lossy();
    let safe = |c: char| if c.is_alphanumeric() || "._- ()+,@".contains(c) { c } else { '_' };
    let mut name: String = name.chars().map(safe).collect();
    name.truncate(name.floor_char_boundary(MOST));
    let name = name.trim_matches(['.', ' ']);
    // Devices, on Windows: with and without a number, whatever comes after a dot.
    let stem = name
        .split('.')
        .next()
        .unwrap_or_default()
        .trim_end_matches(|c: char| c.is_ascii_digit())
        .to_lowercase();
    match name {
        "" => "file".to_owned(),
        name if RESERVED.contains(&stem.as_str()) => format!("_{name}"),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{named, without_secrets};

    #[test]
    fn every_address_gets_a_safe_name_of_its_own() {
        let urls = [
            "https://h/a/report.pdf?key=topsecret",
            "https://h/b/Report.pdf",
            "https://h/c/",
            "https://h/",
            "https://h",
            "https://h/..%2f..%2fetc%2fpasswd",
            "https://h/a%20b%00c",
            "nonsense",
            "https://h/nul.txt",
            "https://h/x",
            "https://h/x.part",
        ];
        let names = named(&urls.map(str::to_owned)).into_iter().map(|(_, name)| name);
        let expected = [
            "report.pdf",
            "Report-2.pdf",
            "c",
            "h",
            "h-2",
            "_.._etc_passwd",
            "a b_c",
            "file",
            "_nul.txt",
            "x",
            "x-2.part",
        ];
        assert_eq!(names.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn an_address_is_shown_without_its_secrets() {
        assert_eq!(without_secrets("https://me:topsecret@h:8443/a?key=topsecret#b"), "https://h:8443/a");
        assert_eq!(without_secrets("https://h/bot-topsecret/file.txt"), "https://h/…/file.txt");
        assert_eq!(without_secrets("data:topsecret"), "data:…");
        assert_eq!(without_secrets("top secret"), "an address that is not valid");
    }
}
