use antiphon_fs::{Encoding, ErrorKind, Reader, read_to_string};
use futures_util::{StreamExt, TryStreamExt};
use proptest::prelude::*;

use crate::file;

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Reads all lines, with the line number in place of a line that is not text.
async fn lines(content: &[u8]) -> Vec<Result<String, Option<u64>>> {
    let (_folder, path) = file("a.txt", content);
    let line = |line: Result<String, antiphon_fs::Error>| {
        line.map_err(|err| match err.kind() {
            ErrorKind::NotText { line } => line,
            _ => None,
        })
    };
    Reader::open(&path).await.unwrap().lines().map(line).collect().await
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn lines_equal_those_of_std(words in prop::collection::vec("[a-zé€\r ]{0,9}\r?\n?", 0..50)) {
        let text = words.concat();
        let expected: Vec<_> = text.lines().map(|line| Ok(line.to_owned())).collect();
        prop_assert_eq!(run(lines(text.as_bytes())), expected);
    }

    #[test]
    fn chunks_equal_those_of_a_slice(content in prop::collection::vec(any::<u8>(), 0..5000), size in 0_usize..700) {
        let (_folder, path) = file("a.bin", &content);
        let chunks = run(async { Reader::open(&path).await?.chunks(size).try_collect::<Vec<_>>().await });
        let expected: Vec<_> = content.chunks(size.max(1)).map(<[u8]>::to_vec).collect();
        prop_assert_eq!(chunks.unwrap(), expected);
    }
}

#[tokio::test]
async fn lines_across_many_blocks_are_complete() {
    let text: String =
        (0..200_000_u32).map(|n| format!("{n} äöü {}\n", "x".repeat(n as usize % 23))).collect();
    let expected: Vec<_> = text.lines().map(|line| Ok(line.to_owned())).collect();
    assert!(text.len() > 4 << 20);
    assert_eq!(lines(text.as_bytes()).await, expected);
}

#[tokio::test]
async fn invalid_line_is_reported_and_the_next_lines_follow() {
    let found = lines(b"\xef\xbb\xbfone\ntwo \xff\nthree\r\nfour").await;
    assert_eq!(found, [Ok("one".to_owned()), Err(Some(2)), Ok("three".to_owned()), Ok("four".to_owned())]);
}

#[tokio::test]
async fn too_long_line_is_skipped_and_the_next_lines_follow() {
    let long = "é".repeat(5 << 19);
    let content = ["short\n", &long, "\nnext\n", &long, "x\r\nlast"].concat();
    let (_folder, path) = file("a.txt", content.as_bytes());
    let lines = Reader::open(&path).await.unwrap().max_line(1 << 20).lines();
    let found: Vec<_> = lines.collect().await;
    let results: Vec<_> = found.iter().map(|line| line.as_ref().map_err(antiphon_fs::Error::kind)).collect();
    let too_long = |line| Err(ErrorKind::LineTooLong { line, limit: 1 << 20 });
    let [short, next, last] = ["short", "next", "last"].map(str::to_owned);
    assert_eq!(results, [Ok(&short), too_long(2), Ok(&next), too_long(4), Ok(&last)]);
    let excerpt = found[1].as_ref().unwrap_err().excerpt().to_vec();
    assert_eq!(
        String::from_utf8(excerpt).unwrap(),
        "é".repeat(2 << 10),
        "the beginning, cut between characters"
    );
    let few: Vec<_> = Reader::open(&path).await.unwrap().max_line(4).lines().collect().await;
    assert_eq!(few.len(), 5);
    assert_eq!(few[0].as_ref().unwrap_err().excerpt(), b"short");
    assert_eq!(few[2].as_ref().unwrap(), "next");
}

#[tokio::test]
async fn too_long_last_line_is_reported_with_a_short_excerpt() {
    let content = [b"short\n".as_slice(), &vec![b'x'; 5 << 20]].concat();
    let (_folder, path) = file("a.txt", &content);
    let mut lines = Reader::open(&path).await.unwrap().max_line(1 << 20).lines();
    assert_eq!(lines.next().await.unwrap().unwrap(), "short");
    let err = lines.next().await.unwrap().unwrap_err();
    assert_eq!(
        (err.kind(), err.excerpt().len()),
        (ErrorKind::LineTooLong { line: 2, limit: 1 << 20 }, 4 << 10)
    );
    assert!(lines.next().await.is_none());
}

#[tokio::test]
async fn excerpt_of_an_invalid_line_is_unchanged() {
    let (_folder, path) = file("a.txt", b"two \xff\r\n");
    let err = Reader::open(&path).await.unwrap().lines().next().await.unwrap().unwrap_err();
    assert_eq!(err.excerpt(), b"two \xff");
}

#[tokio::test]
async fn huge_chunk_size_returns_the_whole_file() {
    let (_folder, path) = file("a.bin", &vec![7; 3 << 20]);
    let chunks = Reader::open(&path).await.unwrap().chunks(usize::MAX).try_collect::<Vec<_>>().await.unwrap();
    assert_eq!(chunks.iter().map(Vec::len).collect::<Vec<_>>(), [3 << 20]);
}

#[tokio::test]
async fn bytes_appended_after_the_end_was_reached_are_not_read() {
    let (_folder, path) = file("a.log", b"whole\nto");
    let mut lines = Reader::open(&path).await.unwrap().lines();
    assert_eq!(lines.next().await.unwrap().unwrap(), "whole");
    std::io::Write::write_all(&mut std::fs::OpenOptions::new().append(true).open(&path).unwrap(), b"rn\n")
        .unwrap();
    assert_eq!(lines.next().await.unwrap().unwrap(), "to");
    assert!(lines.next().await.is_none(), "the second half of a line is not yielded as a line");
}

#[tokio::test]
async fn bytes_respects_the_limit() {
    let (_folder, path) = file("a.bin", b"12345");
    assert_eq!(Reader::open(&path).await.unwrap().max_bytes(5).bytes().await.unwrap(), b"12345");
    let err = Reader::open(&path).await.unwrap().max_bytes(4).bytes().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::TooLarge { limit: 4 });
}

#[tokio::test]
async fn read_to_string_returns_the_encoding() {
    let (_folder, path) = file("a.txt", b"caf\xe9");
    let text = read_to_string(&path).await.unwrap();
    assert_eq!((&*text.text, text.encoding), ("café", Encoding::WINDOWS_1252));
    let (_folder, path) = file("a.bin", b"\x00\x01");
    let err = read_to_string(&path).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::NotText { line: None });
    assert!(err.to_string().ends_with("a.bin: binary data, not text"), "{err}");
    let (_folder, path) = file("b.txt", b"caf\xc3\xa9\nth\xe9");
    let err = read_to_string(&path).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::NotText { line: Some(2) });
}

#[cfg(unix)]
#[tokio::test]
async fn pipes_devices_and_folders_are_rejected() {
    let (folder, _) = file("a.txt", b"");
    let pipe = folder.path().join("pipe");
    crate::pipe(&pipe);
    for path in [pipe.as_path(), folder.path(), "/dev/zero".as_ref()] {
        assert_eq!(Reader::open(path).await.unwrap_err().kind(), ErrorKind::NotAFile, "{}", path.display());
        assert_eq!(read_to_string(path).await.unwrap_err().kind(), ErrorKind::NotAFile);
        let copied = antiphon_fs::copy(path, folder.path().join("copy")).await;
        assert_eq!(copied.unwrap_err().kind(), ErrorKind::NotAFile);
    }
}
