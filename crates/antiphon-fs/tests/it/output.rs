use std::fs;
use std::path::Path;

use antiphon_fs::{ErrorKind, TempDir, Writer, check_writable, temp_dir};

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn names(folder: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

async fn opened(path: &Path, line: &str) -> Writer {
    let mut writer = Writer::output(path).await.unwrap();
    writer.write_line(line).await.unwrap();
    writer
}

#[tokio::test]
async fn concurrent_writers_of_one_path_get_separate_files() {
    let folder = temp_dir().unwrap();
    let path = folder.path().join("out.jsonl");
    let (one, two, three) = (opened(&path, "1").await, opened(&path, "2").await, opened(&path, "3").await);
    assert!(!one.replaces() && !one.is_direct());
    assert_eq!(one.finish_beside().await.unwrap(), path);
    assert_eq!(two.finish_beside().await.unwrap(), folder.path().join("out-2.jsonl"));
    assert_eq!(three.finish_beside().await.unwrap(), folder.path().join("out-3.jsonl"));
    assert_eq!(text(&path), "1\n");
    assert_eq!(names(&folder), ["out-2.jsonl", "out-3.jsonl", "out.jsonl"]);
}

#[tokio::test]
async fn a_temporary_file_of_a_killed_writer_is_removed_by_the_next_one() {
    let folder = temp_dir().unwrap();
    let path = folder.path().join("out.jsonl");
    let living = opened(&path, "1").await;
    let of_living = names(&folder);
    assert!(of_living.len() == 1 && of_living[0].starts_with(".antiphon-output-"), "{of_living:?}");
    // A process that is killed leaves its file, and the system releases its lock.
    let leftover = folder.path().join(".antiphon-output-killed");
    fs::write(&leftover, "").unwrap();
    fs::write(folder.path().join(".antiphon-mine"), "").unwrap();
    let next = opened(&path, "2").await;
    assert!(!leftover.exists() && names(&folder).contains(&of_living[0]), "{:?}", names(&folder));
    assert_eq!(living.finish_beside().await.unwrap(), path);
    assert_eq!(next.finish_beside().await.unwrap(), folder.path().join("out-2.jsonl"));
    assert_eq!(names(&folder), [".antiphon-mine", "out-2.jsonl", "out.jsonl"]);
}

#[tokio::test]
async fn older_file_is_replaced_unless_it_changed_meanwhile() {
    let folder = temp_dir().unwrap();
    let path = folder.path().join("out");
    fs::write(&path, "old").unwrap();
    let writer = opened(&path, "new").await;
    assert!(writer.replaces());
    assert_eq!(writer.finish_beside().await.unwrap(), path);
    assert_eq!(text(&path), "new\n");
    let writer = opened(&path, "newer").await;
    fs::write(&path, "another's").unwrap();
    assert_eq!(writer.finish_beside().await.unwrap(), folder.path().join("out-2"));
    assert_eq!(text(&path), "another's");
    let writer = opened(&path, "whatever is there").await;
    fs::write(&path, "another's again").unwrap();
    writer.finish().await.unwrap();
    assert_eq!(text(&path), "whatever is there\n");
}

#[cfg(unix)]
#[tokio::test]
async fn link_is_kept_and_its_target_written() {
    use std::os::unix::fs::symlink;
    let (folder, elsewhere) = (temp_dir().unwrap(), temp_dir().unwrap());
    let at = |name: &str| folder.path().join(name);
    fs::write(elsewhere.path().join("kept"), "old").unwrap();
    symlink(elsewhere.path().join("kept"), at("link")).unwrap();
    symlink("dangling", at("first")).unwrap();
    symlink(elsewhere.path().join("made"), at("dangling")).unwrap();
    symlink("round", at("round")).unwrap();
    for (link, target) in [("link", "kept"), ("first", "made")] {
        opened(&at(link), "new").await.finish().await.unwrap();
        assert!(fs::symlink_metadata(at(link)).unwrap().is_symlink());
        assert_eq!(text(&elsewhere.path().join(target)), "new\n");
    }
    assert!(Writer::output(at("round")).await.is_err());
    assert_eq!(names(&folder), ["dangling", "first", "link", "round"]);
    assert_eq!(names(&elsewhere), ["kept", "made"]);
}

#[cfg(unix)]
#[tokio::test]
async fn devices_and_pipes_are_written_to_and_folders_rejected() {
    let folder = temp_dir().unwrap();
    let pipe = folder.path().join("pipe");
    crate::pipe(&pipe);
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::read_to_string(pipe).unwrap()
    });
    let mut writer = opened(&pipe, "1").await;
    assert!(writer.is_direct() && !writer.replaces());
    writer.flush().await.unwrap();
    assert_eq!(writer.finish_beside().await.unwrap(), pipe);
    assert_eq!(reader.join().unwrap(), "1\n");
    opened("/dev/null".as_ref(), "1").await.finish().await.unwrap();
    let err = Writer::output(folder.path()).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::IsAFolder);
    assert!(err.to_string().ends_with(": this is a folder"), "{err}");
}

#[tokio::test]
async fn check_writable_creates_the_folder_and_leaves_no_file() {
    let folder = temp_dir().unwrap();
    check_writable(folder.path().join("a/b")).await.unwrap();
    assert_eq!(fs::read_dir(folder.path().join("a/b")).unwrap().count(), 0);
    fs::write(folder.path().join("file"), "").unwrap();
    assert!(check_writable(folder.path().join("file/b")).await.is_err());
    #[cfg(target_os = "linux")]
    assert!(check_writable("/proc/self").await.is_err(), "no file can be created there");
}
