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
    /// Whether files that are there are fetched again and replaced. Default: they are left alone.
    pub fresh: bool,
}

/// What became of one address.
#[derive(Debug)]
#[non_exhaustive]
pub struct Fetched {
    /// Which address it is, from 1.
    pub number: usize,
    /// The address without what may be secret: its host, and the last part of its path.
    pub source: String,
    /// The file, or why there is none.
    pub result: Result<FetchedFile, FetchError>,
}

/// A file that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FetchedFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// What was fetched of it, and with which digest; `None` if it was there before and was left alone.
    pub download: Option<Downloaded>,
}

/// Why there is no file.
#[derive(Debug)]
#[non_exhaustive]
pub enum FetchError {
    /// It could not be fetched.
    Http(Error),
    /// It could not be looked for.
    File(antiphon_fs::Error),
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(err) => err.fmt(f),
            Self::File(err) => err.fmt(f),
        }
    }
}

impl std::error::Error for FetchError {}

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
        Self { urls, out: out.as_ref().to_owned(), concurrency: 10, fresh: false }
    }

    /// Sets how many are fetched at once; 0 counts as 1.
    #[must_use]
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Sets whether files that are there are fetched again and replaced.
    #[must_use]
    pub fn fresh(mut self, fresh: bool) -> Self {
        self.fresh = fresh;
        self
    }
}

/// Fetches files, each under a name of its own that comes from its address, and tells of each as it is done. Gives the
/// outcomes in the order of the addresses; one failure ends no other.
///
/// A file that broke off is gone on with by the same call later, and one that is there is left alone.
///
/// # Errors
/// If the folder cannot be made.
///
/// # Cancel safety
/// Hangs up; what has come is kept for the next time. `cancel` does the same.
pub async fn fetch(
    client: &Client,
    request: &FetchRequest,
    on_done: impl Fn(&Fetched) + Sync,
    cancel: CancellationToken,
) -> Result<Vec<Fetched>, antiphon_fs::Error> {
    antiphon_fs::create_dir(&request.out).await?;
    let fetch = async |(number, (url, name)): (usize, (String, String))| {
        let result = file(client, request, (&url, &name), cancel.clone()).await;
        let fetched = Fetched { number, source: without_secrets(&url), result };
        on_done(&fetched);
        fetched
    };
    let files = futures_util::stream::iter((1..).zip(named(&request.urls)));
    Ok(files.map_async(request.concurrency.max(1), fetch).collect().await)
}

async fn file(
    client: &Client,
    request: &FetchRequest,
    (url, name): (&str, &str),
    cancel: CancellationToken,
) -> Result<FetchedFile, FetchError> {
    let path = request.out.join(name);
    if !request.fresh && antiphon_fs::exists(&path).await.map_err(FetchError::File)? {
        let found = antiphon_fs::metadata(&path).await.map_err(FetchError::File)?;
        if found.is_file {
            return Ok(FetchedFile { path, bytes: found.len, download: None });
        }
    }
    let download = client.download(url, path).cancelled_by(cancel).run().await.map_err(FetchError::Http)?;
    Ok(FetchedFile { path: download.path.clone(), bytes: download.bytes, download: Some(download) })
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
pub(super) fn name_of(url: &str) -> String {
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
