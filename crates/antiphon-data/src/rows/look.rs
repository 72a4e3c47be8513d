//! A first look at a file of rows: its beginning, its encoding and its line ends.

use antiphon_fs::{Encoding, FileLines, Reader};
use futures_util::StreamExt;

use crate::decode;
use crate::error::{Error, Malformed};

/// The bytes of a file's beginning by which it is judged.
const BEGINNING: usize = 64 << 10;

/// The lines of a file.
pub(super) enum Lines {
    /// Read from the file, which is UTF-8.
    File(Box<FileLines>),
    /// Decoded in memory.
    Memory(std::vec::IntoIter<String>),
}

impl Lines {
    /// Returns the next line without its end; `None` at the end of the file.
    ///
    /// # Errors
    /// That of a line that is not valid or too long, or of the file.
    pub(super) async fn next(&mut self) -> Option<Result<String, antiphon_fs::Error>> {
        match self {
            Self::File(lines) => lines.next().await,
            Self::Memory(lines) => lines.next().map(Ok),
        }
    }

    /// Returns the lines of a decoded text.
    pub(super) fn of_text(text: &str) -> Self {
        let text = text.strip_suffix('\n').unwrap_or(text);
        Self::Memory(text.split('\n').map(str::to_owned).collect::<Vec<_>>().into_iter())
    }
}

/// The parts of a file that were seen.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// The first bytes.
    pub(super) beginning: Vec<u8>,
    /// Characters that are not ASCII, and bytes that are not UTF-8. A character on the border of two blocks counts as
    /// invalid bytes.
    valid: u64,
    invalid: u64,
    has_line_feeds: bool,
    has_returns: bool,
}

impl Look {
    /// Adds a block of the file.
    fn add(&mut self, block: &[u8]) {
        let missing = BEGINNING.saturating_sub(self.beginning.len()).min(block.len());
        self.beginning.extend_from_slice(&block[..missing]);
        self.has_line_feeds |= block.contains(&b'\n');
        self.has_returns |= block.contains(&b'\r');
        if block.is_ascii() {
            return;
        }
        for chunk in block.utf8_chunks() {
            if !chunk.valid().is_ascii() {
                self.valid += chunk.valid().chars().filter(|c| !c.is_ascii()).count() as u64;
            }
            self.invalid += chunk.invalid().len() as u64;
        }
    }

    /// Looks at the first block of a file, and returns the file rewound to its beginning.
    pub(super) async fn at_beginning(reader: Reader) -> Result<(Reader, Self), Error> {
        let look = |look: &mut Self, block: &[u8]| {
            look.add(block);
            false
        };
        reader.scan(Self::default(), look).await.map_err(Error::from_fs)
    }

    /// Looks at a whole file, and returns it rewound to its beginning.
    pub(super) async fn at_all(reader: Reader) -> Result<(Reader, Self), Error> {
        let look = |look: &mut Self, block: &[u8]| {
            look.add(block);
            true
        };
        reader.scan(Self::default(), look).await.map_err(Error::from_fs)
    }

    /// Returns whether the file begins with a byte order mark of UTF-16.
    pub(super) fn is_utf16(&self) -> bool {
        self.beginning.starts_with(b"\xff\xfe") || self.beginning.starts_with(b"\xfe\xff")
    }

    /// Returns whether the beginning has a NUL, which no text has but in UTF-16.
    pub(super) fn is_binary(&self) -> bool {
        self.beginning.contains(&0) && !self.is_utf16()
    }

    /// Returns whether the file has to be decoded as a whole: since it is not UTF-8, or has no line feeds. A file that has
    /// only some bytes that are not UTF-8 is read line by line: these lines are at fault.
    pub(super) fn needs_decoding(&self) -> bool {
        let is_legacy = self.invalid > 0 && self.valid * 10 < self.invalid;
        self.is_utf16() || is_legacy || (self.has_returns && !self.has_line_feeds)
    }

    /// Returns the decoded beginning, with `\n` as the line end, up to the last whole line if the file is longer.
    pub(super) fn sample(&self, encoding: Option<Encoding>) -> String {
        let text = decode::sample(&self.beginning, encoding);
        match text.rfind('\n') {
            Some(end) if self.beginning.len() >= BEGINNING => text[..end].to_owned(),
            _ => text,
        }
    }
}

/// Reads a whole file and decodes it, and returns its text with the name of the encoding.
///
/// # Errors
/// The reason why it cannot be read, or is not text.
pub(super) async fn decoded(
    reader: Reader,
    encoding: Option<Encoding>,
) -> Result<(String, &'static str), Malformed> {
    let bytes = reader.bytes().await.map_err(|err| Malformed::of_file(&err))?;
    let decoded = decode::decode(&bytes, encoding, None)?;
    Ok((decoded.text.into_owned(), decoded.encoding))
}
