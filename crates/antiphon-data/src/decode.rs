use std::borrow::Cow;

use antiphon_fs::NotText;

use crate::error::Malformed;

pub(crate) struct Decoded<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) encoding: &'static str,
}

/// Decodes bytes to text and normalises line ends to `\n`.
pub(crate) fn decode(bytes: &[u8]) -> Result<Decoded<'_>, Malformed> {
    let decoded = antiphon_fs::decode(bytes).map_err(|NotText { line, .. }| match line {
        Some(line) => {
            let line = u32::try_from(line).unwrap_or(u32::MAX);
            Malformed::at(line, "this line has a byte that is not valid UTF-8")
        }
        None => Malformed::whole("binary data, not text"),
    })?;
    let text = match decoded.text {
        text if text.contains('\r') => Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")),
        text => text,
    };
    Ok(Decoded { text, encoding: decoded.encoding.name() })
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn line_ends_are_normalised_and_the_encoding_is_reported() {
        let decoded = decode(b"caf\xe9\r\nau lait\rnoir").ok();
        let found = decoded.as_ref().map(|found| (&*found.text, found.encoding));
        assert_eq!(found, Some(("café\nau lait\nnoir", "windows-1252")));
    }
}
