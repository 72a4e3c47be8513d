//! Options of reading rows.

use antiphon_fs::{Encoding, Links};

use super::RowFormat;

/// Options of [`Rows::open_with`](super::Rows::open_with): what the caller knows of the input.
///
/// ```
/// use antiphon_data::{Encoding, RowFormat, RowOptions};
/// let options = RowOptions::default().format(RowFormat::Csv).encoding(Encoding::of_label("windows-1251"));
/// assert_eq!(options.format, Some(RowFormat::Csv));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RowOptions {
    /// The format of a file. Default `None`: by the extension, or the first bytes.
    pub format: Option<RowFormat>,
    /// The encoding of files that are not UTF-8 and have no byte order mark. Default `None`: it is detected. Such a file is held in
    /// memory, up to 256 MiB.
    pub encoding: Option<Encoding>,
    /// The symbolic links below a folder that are followed; see [`Loader::links`](crate::Loader::links). Default [`Links::Inside`].
    pub links: Links,
}

impl RowOptions {
    /// Sets the format of a file. Default: by the extension, or the first bytes.
    #[must_use]
    pub fn format(mut self, format: impl Into<Option<RowFormat>>) -> Self {
        self.format = format.into();
        self
    }

    /// Sets the encoding of files that are not UTF-8. Default: it is detected.
    #[must_use]
    pub fn encoding(mut self, encoding: impl Into<Option<Encoding>>) -> Self {
        self.encoding = encoding.into();
        self
    }

    /// Sets the symbolic links below a folder that are followed. Default [`Links::Inside`].
    #[must_use]
    pub fn links(mut self, links: Links) -> Self {
        self.links = links;
        self
    }
}
