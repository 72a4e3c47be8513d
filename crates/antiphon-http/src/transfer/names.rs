//! File names from addresses, and addresses that can be shown.
//!
//! An address is input from outside: its last segment may be empty, a device name or a path into another folder, and
//! two addresses may have the same one.

use std::collections::HashSet;

use url::{Position, Url};

/// The maximum length of a name in bytes; file systems allow 255, and endings and numbers need room.
const MAX_BYTES: usize = 200;
/// The names of devices on Windows, which are reserved with a number and with any ending, too.
const RESERVED: [&str; 6] = ["con", "prn", "aux", "nul", "com", "lpt"];

/// Returns an address in a form that is safe to log: its host and the last segment of its path, without user, password, query
/// and fragment.
///
/// ```
/// let shown = antiphon_http::without_secrets("https://me:secret@example.org/a/report.pdf?key=secret");
/// assert_eq!(shown, "https://example.org/…/report.pdf");
/// ```
#[must_use]
pub fn without_secrets(url: &str) -> String {
    let Ok(url) = Url::parse(url) else { return "an address that is not valid".to_owned() };
    if url.host_str().is_none() {
        return format!("{}:…", url.scheme());
    }
    let host = &url[Position::BeforeHost..Position::AfterPort];
    let segments: Vec<&str> = url.path_segments().into_iter().flatten().collect();
    match segments[..] {
        [] | [""] => format!("{}://{host}/", url.scheme()),
        [only] => format!("{}://{host}/{only}", url.scheme()),
        [.., last] => format!("{}://{host}/…/{last}", url.scheme()),
    }
}

/// Returns a file name for an address: the last segment of its path, or its host if the path is empty.
///
/// The name is valid on every file system, has at most 200 bytes and cannot lead into another folder. An address that is not
/// valid gives `file`.
///
/// ```
/// assert_eq!(antiphon_http::safe_file_name("https://example.org/a/report.pdf?page=2"), "report.pdf");
/// assert_eq!(antiphon_http::safe_file_name("https://example.org/..%2fpasswd"), "_passwd");
/// ```
#[must_use]
pub fn safe_file_name(url: &str) -> String {
    let Ok(url) = Url::parse(url) else { return "file".to_owned() };
    let last = url.path_segments().and_then(|mut segments| segments.rfind(|segment| !segment.is_empty()));
    let name =
        percent_encoding::percent_decode_str(last.or(url.host_str()).unwrap_or("file")).decode_utf8_lossy();
    let safe = |c: char| if c.is_alphanumeric() || "._- ()+,@".contains(c) { c } else { '_' };
    let mut name: String = name.chars().map(safe).collect();
    name.truncate(name.floor_char_boundary(MAX_BYTES));
    let name = name.trim_matches(['.', ' ']);
    let stem = name.split('.').next().unwrap_or_default();
    let stem = stem.trim_end_matches(|c: char| c.is_ascii_digit()).to_lowercase();
    match name {
        "" => "file".to_owned(),
        name if RESERVED.contains(&stem.as_str()) => format!("_{name}"),
        name => name.to_owned(),
    }
}

/// The names of the files in one folder: unique, and distinct from the `.part` and `.part.json` files of the others.
#[derive(Default)]
pub(super) struct Names {
    taken: HashSet<String>,
}

impl Names {
    /// Returns a name for the file of `url`, with a number if the name is taken.
    pub(super) fn next(&mut self, url: &str) -> String {
        let wanted = safe_file_name(url);
        let numbered = |number: usize| match wanted.rsplit_once('.') {
            Some((stem, ending)) if !stem.is_empty() => format!("{stem}-{number}.{ending}"),
            _ => format!("{wanted}-{number}"),
        };
        let mut names = std::iter::once(wanted.clone()).chain((2..).map(numbered));
        names.find(|name| self.take(name)).unwrap_or_default()
    }

    /// Takes a name, with those of its partial file and metadata. Returns `false` if any of them is taken.
    fn take(&mut self, name: &str) -> bool {
        // Some file systems ignore case.
        let own = ["", ".part", ".part.json"].map(|ending| format!("{name}{ending}").to_lowercase());
        let is_free = own.iter().all(|name| !self.taken.contains(name));
        if is_free {
            self.taken.extend(own);
        }
        is_free
    }
}

#[cfg(test)]
mod tests {
    use super::{Names, without_secrets};

    #[test]
    fn every_address_gets_a_unique_safe_name() {
        let mut names = Names::default();
        for (url, expected) in [
            ("https://h/a/report.pdf?key=topsecret", "report.pdf"),
            ("https://h/b/Report.pdf", "Report-2.pdf"),
            ("https://h/c/", "c"),
            ("https://h/", "h"),
            ("https://h", "h-2"),
            ("https://h/..%2f..%2fetc%2fpasswd", "_.._etc_passwd"),
            ("https://h/a%20b%00c", "a b_c"),
            ("nonsense", "file"),
            ("https://h/nul.txt", "_nul.txt"),
            ("https://h/x", "x"),
            ("https://h/x.part", "x-2.part"),
        ] {
            assert_eq!(names.next(url), expected, "{url}");
        }
    }

    #[test]
    fn an_address_is_shown_without_its_secrets() {
        for (url, expected) in [
            ("https://me:topsecret@h:8443/a?key=topsecret#b", "https://h:8443/a"),
            ("https://h/bot-topsecret/file.txt", "https://h/…/file.txt"),
            ("data:topsecret", "data:…"),
            ("top secret", "an address that is not valid"),
        ] {
            assert_eq!(without_secrets(url), expected);
        }
    }
}
