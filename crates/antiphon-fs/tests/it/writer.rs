use antiphon_fs::{ErrorKind, Writer, temp_dir};

const BIG: usize = 3 << 20;

#[tokio::test]
async fn created_appended_and_atomic_files_are_complete() {
    let folder = temp_dir().unwrap();
    let path = folder.path().join("out.txt");
    let mut writer = Writer::create(&path).await.unwrap();
    writer.write_line("first").await.unwrap();
    writer.flush().await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "first\n", "the file is visible while it grows");
    writer.write(b"bytes, too\n").await.unwrap();
    writer.finish().await.unwrap();
    let mut writer = Writer::append(&path).await.unwrap();
    writer.write_line("last").await.unwrap();
    writer.finish().await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "first\nbytes, too\nlast\n");
    let mut writer = Writer::atomic(&path).await.unwrap();
    let piece = vec![b'x'; 1000];
    for _ in 0..BIG / 1000 {
        writer.write(&piece).await.unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&path).unwrap().lines().count(),
        3,
        "the older file is kept until `finish`"
    );
    writer.finish().await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().len(), BIG as u64 / 1000 * 1000);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn dropped_atomic_writer_leaves_only_the_older_file() {
    let folder = temp_dir().unwrap();
    let path = folder.path().join("out.txt");
    std::fs::write(&path, "old").unwrap();
    let mut writer = Writer::atomic(&path).await.unwrap();
    writer.write(vec![b'x'; BIG]).await.unwrap();
    writer.flush().await.unwrap();
    drop(writer);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn full_disk_is_reported_once_and_then_the_writer_is_broken() {
    let mut writer = Writer::create("/dev/full").await.unwrap();
    writer.write(vec![b'x'; BIG]).await.unwrap();
    let err = writer.flush().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::StorageFull);
    assert_eq!(err.to_string(), "cannot write /dev/full: no space left on the disk");
    assert_eq!(writer.write(b"more").await.unwrap_err().kind(), ErrorKind::Broken);
    assert_eq!(writer.finish().await.unwrap_err().kind(), ErrorKind::Broken);
}

#[tokio::test]
async fn dropped_call_neither_loses_nor_duplicates_bytes() {
    let folder = temp_dir().unwrap();
    let path = folder.path().join("out.txt");
    let mut writer = Writer::create(&path).await.unwrap();
    let mut added = 0;
    for n in 0..2000 {
        let piece = vec![b'a'; 1 + n % 3000];
        // Polled once: a call that has to wait is dropped.
        let poll = futures_util::FutureExt::now_or_never(writer.write(&piece));
        added += poll.map_or(0, |done| {
            done.unwrap();
            piece.len()
        });
    }
    writer.finish().await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().len(), added as u64);
}

#[tokio::test]
async fn missing_folder_is_an_error() {
    let folder = temp_dir().unwrap();
    for writer in [
        Writer::create(folder.path().join("no/out")).await,
        Writer::atomic(folder.path().join("no/out")).await,
    ] {
        assert_eq!(writer.unwrap_err().kind(), ErrorKind::NotFound);
    }
}
