//! The parts of a DOCX, unpacked within one limit.

use std::io::{Cursor, Read};

use zip::ZipArchive;

use crate::error::{FailureKind, Malformed};

/// The most bytes of a document's unpacked parts: an archive of a few kilobytes can unpack to gigabytes (a zip bomb).
const MAX_UNPACKED: u64 = 64 << 20;

/// The most files in a document's archive. One of Word has about twenty, and one for each picture.
const MAX_ENTRIES: usize = 16_384;

/// A DOCX of which parts are unpacked.
pub(super) struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// The bytes that may still be unpacked.
    left: u64,
}

impl<'a> Archive<'a> {
    /// Opens a zip archive.
    ///
    /// # Errors
    /// Bytes that are not a zip archive, or one with more than [`MAX_ENTRIES`] files.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Malformed> {
        // Each entry of the directory takes memory, also if it is nowhere in the document. Signature: APPNOTE.TXT, section 4.3.12.
        if memchr::memmem::find_iter(bytes, b"PK\x01\x02").take(MAX_ENTRIES + 1).count() > MAX_ENTRIES {
            let why = format!("the archive has more than {MAX_ENTRIES} files");
            return Err(Malformed::whole(why).of_kind(FailureKind::TooLarge));
        }
        let not_docx = |_| Malformed::whole("not a DOCX file: it is not a zip archive");
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(not_docx)?;
        Ok(Self { zip, left: MAX_UNPACKED })
    }

    /// Unpacks a part; `None` if the archive does not have it.
    ///
    /// # Errors
    /// A part that cannot be unpacked or is not UTF-8, or parts that exceed the limit. The size that the archive states
    /// is checked before anything is unpacked, and the bytes are counted since that size may be wrong.
    pub(super) fn part(&mut self, name: &str) -> Result<Option<String>, Malformed> {
        let Some(index) = self.zip.index_for_name(name) else { return Ok(None) };
        let cannot_read = |err| Malformed::whole(format!("cannot read {name}: {err}"));
        let part = self.zip.by_index(index).map_err(cannot_read)?;
        if part.size() > self.left {
            return Err(too_large());
        }
        let mut xml = Vec::new();
        let read = part.take(self.left + 1).read_to_end(&mut xml);
        read.map_err(|err| Malformed::whole(format!("cannot unpack {name}: {err}")))?;
        self.left = self.left.checked_sub(xml.len() as u64).ok_or_else(too_large)?;
        let not_utf8 = |_| Malformed::whole(format!("{name} is not valid UTF-8"));
        String::from_utf8(xml).map(Some).map_err(not_utf8)
    }
}

/// Returns the failure of parts that exceed the limit.
fn too_large() -> Malformed {
    Malformed::whole(format!("the text unpacks to more than {MAX_UNPACKED} bytes"))
        .of_kind(FailureKind::TooLarge)
}
