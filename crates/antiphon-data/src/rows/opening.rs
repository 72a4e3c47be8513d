//! The opening of rows: the format is found, the file is judged by its beginning, and its digest is computed.

use std::path::Path;

use antiphon_fs::{ReadBelow, Reader};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::bad::row_of_element;
use super::look::{self, Lines, Look};
use super::{Documents, Records, Row, RowFormat, RowOptions, Rows, Source, refuse, unreadable};
use crate::document::hex;
use crate::error::{Error, ErrorKind, FailureKind, Malformed};
use crate::listing::Listing;
use crate::loader::{Loader, name_of};
use crate::options::ParseOptions;

/// The name of the encoding that needs no notice.
const UTF_8: &str = "UTF-8";

/// Rows that are about to be opened.
pub(super) struct Opening<'p> {
    pub(super) path: &'p Path,
    pub(super) options: RowOptions,
}

impl Opening<'_> {
    /// Opens a file or a folder.
    pub(super) async fn open(&self) -> Result<Rows, Error> {
        if is_folder(self.path).await? {
            return self.of_folder(None).await;
        }
        self.of_file(Reader::open(self.path).await.map_err(Error::from_fs)?).await
    }

    /// Opens a file or a folder, and returns the digest of its content.
    pub(super) async fn open_digested(&self) -> Result<(Rows, String), Error> {
        let mut hash = Sha256::new();
        let rows = if is_folder(self.path).await? {
            self.of_folder(Some(&mut hash)).await?
        } else {
            let reader = Reader::open(self.path).await.map_err(Error::from_fs)?;
            let (reader, digested) = add_digest(reader, hash).await?;
            hash = digested;
            self.of_file(reader).await?
        };
        Ok((rows, hex(&hash.finalize())))
    }

    /// Starts reading a file: the format is the given one, that of the extension, or that of the first bytes.
    async fn of_file(&self, reader: Reader) -> Result<Rows, Error> {
        let name = self.path.display().to_string();
        let (reader, look) = Look::at_beginning(reader).await?;
        let failed = |why: Malformed| unreadable(&name, why);
        refuse::check_bytes(&look.beginning, &name).map_err(failed)?;
        if look.is_binary() && self.options.encoding.is_none() {
            return Err(failed(Malformed::whole("binary data, not text").of_kind(FailureKind::NotText)));
        }
        let sample = look.sample(self.options.encoding);
        let format = self.options.format.or_else(|| RowFormat::from_name(&name));
        let format = match format.unwrap_or_else(|| RowFormat::from_beginning(sample.as_bytes())) {
            RowFormat::Folder => {
                return Err(Error::new(ErrorKind::NothingReadable, format!("{name} is not a folder")));
            }
            RowFormat::Csv if format.is_none() => {
                refuse::check_table(&sample, &name).map_err(failed)?;
                RowFormat::Csv
            }
            format => format,
        };
        let (reader, is_decoded) = match format {
            _ if self.options.encoding.is_some() || look.is_utf16() => (reader, true),
            RowFormat::Csv => {
                let (reader, look) = Look::at_all(reader).await?;
                (reader, look.needs_decoding())
            }
            _ => (reader, false),
        };
        let (lines, encoding) = match format {
            RowFormat::Json if is_decoded => {
                let (text, encoding) = look::decoded(reader, self.options.encoding).await.map_err(failed)?;
                let values = values(text.as_bytes(), &name).map_err(failed)?;
                return Ok(Rows { name, format, encoding, source: Source::Values(values.into_iter()) });
            }
            RowFormat::Json => {
                let bytes = reader.bytes().await.map_err(Error::from_fs)?;
                let values = values(&bytes, &name).map_err(failed)?;
                let source = Source::Values(values.into_iter());
                return Ok(Rows { name, format, encoding: UTF_8, source });
            }
            _ if is_decoded => {
                let (text, encoding) = look::decoded(reader, self.options.encoding).await.map_err(failed)?;
                (Lines::of_text(&text), encoding)
            }
            _ => (Lines::File(Box::new(reader.lines())), UTF_8),
        };
        let source = match format {
            RowFormat::Csv => Source::Csv(Box::new(Records::begin(lines, &sample, &name).await?)),
            _ => Source::Lines(lines, 0),
        };
        Ok(Rows { name, format, encoding, source })
    }

    /// Lists a folder, and adds its documents to the hash, if there is one. The order is that of the paths, so that the
    /// digest does not depend on the file system.
    async fn of_folder(&self, hash: Option<&mut Sha256>) -> Result<Rows, Error> {
        let (name, loader) = (
            self.path.display().to_string(),
            Loader::new()
                .options(ParseOptions::new().encoding(self.options.encoding))
                .links(self.options.links.clone()),
        );
        let Listing { mut files, failures, skipped, .. } = loader.list(self.path).await?;
        if files.is_empty() && failures.is_empty() {
            let others = skipped.len();
            let why = match others {
                0 => "the folder is empty".to_owned(),
                1 => "its only file is of an unsupported type".to_owned(),
                others => format!("none of its {others} files has a supported type"),
            };
            let message = format!("no document in {name}: {why}");
            return Err(Error::new(ErrorKind::Empty, message));
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        if let Some(hash) = hash {
            add_files(hash, self.path, &files).await?;
        }
        let documents = Documents { root: self.path.into(), loader, files: files.into_iter(), failures };
        let source = Source::Documents(documents);
        Ok(Rows { name, format: RowFormat::Folder, encoding: UTF_8, source })
    }
}

/// Returns whether a path is a folder.
///
/// # Errors
/// `NotFound` or `Io`.
async fn is_folder(path: &Path) -> Result<bool, Error> {
    Ok(antiphon_fs::metadata(path).await.map_err(Error::from_fs)?.is_dir)
}

/// Adds the whole file to the hash, and returns the file rewound to its beginning.
async fn add_digest(reader: Reader, hash: Sha256) -> Result<(Reader, Sha256), Error> {
    let add = |hash: &mut Sha256, block: &[u8]| {
        hash.update(block);
        true
    };
    reader.scan(hash, add).await.map_err(Error::from_fs)
}

/// Adds the name and the content of each file to the hash, with a zero byte between them, which no name has.
async fn add_files(hash: &mut Sha256, root: &Path, files: &[ReadBelow]) -> Result<(), Error> {
    for file in files {
        hash.update(name_of(root, &file.path));
        hash.update([0]);
        match Reader::open_below(file.clone()).await {
            Ok(reader) => (_, *hash) = add_digest(reader, std::mem::take(hash)).await?,
            // The file is a failed row, as it will be when it is read.
            Err(err) if is_of_file(err.kind()) => hash.update([1]),
            Err(err) => return Err(Error::from_fs(err)),
        }
    }
    Ok(())
}

/// Returns whether an error concerns one file of a folder, and not the folder or the machine.
fn is_of_file(kind: antiphon_fs::ErrorKind) -> bool {
    use antiphon_fs::ErrorKind::{LinkNotFollowed, NotAFile, NotFound, PermissionDenied};
    matches!(kind, LinkNotFollowed | NotAFile | NotFound | PermissionDenied)
}

/// Reads the rows of a JSON array, or of a single object, which counts as one.
///
/// # Errors
/// The failure of a text that is neither. A bad element of an array is a failure of its own.
fn values(bytes: &[u8], name: &str) -> Result<Vec<Row>, Malformed> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let invalid = |err: &dyn std::fmt::Display| Malformed::whole(format!("not valid JSON: {err}"));
    let text = std::str::from_utf8(bytes).map_err(|err| invalid(&err))?;
    let whole: &RawValue = serde_json::from_str(text).map_err(|err| invalid(&err))?;
    match whole.get().as_bytes().first() {
        Some(b'{') => Ok(vec![row_of_element(whole.get(), name, 1)]),
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(|err| invalid(&err))?;
            let (mut at, mut line) = (0, 1_u32);
            let row = |element: &RawValue| {
                // Raw values borrow from the text, so their address is their offset in it.
                let start = element.get().as_ptr().addr().wrapping_sub(text.as_ptr().addr());
                let ends = text.get(at..start).map_or(0, |between| between.matches('\n').count());
                line = line.saturating_add(u32::try_from(ends).unwrap_or(u32::MAX));
                at = start;
                row_of_element(element.get(), name, line)
            };
            Ok(elements.into_iter().map(row).collect())
        }
        _ => Err(Malformed::whole("expected a list of objects")),
    }
}
