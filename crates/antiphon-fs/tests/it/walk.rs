use antiphon_fs::{ErrorKind, WalkOptions, temp_dir, walk};
use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

async fn names(options: WalkOptions) -> Vec<String> {
    let folder = temp_dir().unwrap();
    for name in ["a.md", "b.txt", "sub/c.md", "sub/deep/d.md", "draft-e.md"] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }
    let batches: Vec<_> = walk(folder.path(), options, CancellationToken::new()).collect().await;
    let name = |path: std::path::PathBuf| path.strip_prefix(folder.path()).unwrap().display().to_string();
    batches.into_iter().flatten().map(|entry| name(entry.unwrap().path)).collect()
}

#[tokio::test]
async fn globs_select_files_at_any_depth() {
    let options = WalkOptions::default;
    assert_eq!(names(options().glob("*.txt")).await, ["b.txt"]);
    assert_eq!(names(options().glob("*.md").glob("!draft-*")).await, ["a.md", "sub/c.md", "sub/deep/d.md"]);
    assert_eq!(names(options().glob("/sub/*.md")).await, ["sub/c.md"]);
    assert_eq!(names(options().glob("!sub")).await, ["a.md", "b.txt", "draft-e.md"]);
    assert_eq!(names(options().max_depth(1).batch(1)).await, ["a.md", "b.txt", "draft-e.md"]);
}

#[tokio::test]
async fn globs_filter_after_ignore_files_and_never_exclude_the_root() {
    let folder = temp_dir().unwrap();
    let root = folder.path().join("drafts");
    std::fs::create_dir(&root).unwrap();
    for name in [".gitignore", ".hidden.md", "kept.md", "left-out.md", "other.txt"] {
        std::fs::write(root.join(name), "left-out.md").unwrap();
    }
    let count = async |options: WalkOptions, root: &std::path::Path| {
        let batches: Vec<_> = walk(root, options, CancellationToken::new()).collect().await;
        batches.into_iter().flatten().map(Result::unwrap).count()
    };
    let options = WalkOptions::default;
    assert_eq!(count(options().glob("*.md"), &root).await, 2);
    assert_eq!(count(options().glob("*.md").ignore_files(true), &root).await, 1);
    assert_eq!(count(options().glob("*.md").hidden(true), &root).await, 3);
    for ignore_files in [false, true] {
        assert_eq!(
            count(options().glob("!drafts").hidden(true).ignore_files(ignore_files), &root).await,
            5 - usize::from(ignore_files)
        );
        assert_eq!(
            count(options().glob("*.txt").ignore_files(ignore_files), &root.join("kept.md")).await,
            1,
            "the root is always included"
        );
    }
}

#[tokio::test]
async fn cancelled_walk_stops_even_if_no_file_matches() {
    let folder = temp_dir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "x").unwrap();
    for ignore_files in [false, true] {
        let cancel = CancellationToken::new();
        cancel.cancel();
        let options = WalkOptions::default().glob("*.none").ignore_files(ignore_files);
        let last = walk(folder.path(), options, cancel).next().await.unwrap().pop().unwrap();
        assert_eq!(last.unwrap_err().kind(), ErrorKind::Cancelled);
    }
}

#[tokio::test]
async fn invalid_glob_is_in_the_error() {
    let folder = temp_dir().unwrap();
    let mut walk =
        walk(folder.path(), WalkOptions::default().glob("a[").hidden(true), CancellationToken::new());
    let err = walk.next().await.unwrap().pop().unwrap().unwrap_err();
    assert_eq!(
        (err.kind(), err.to_string().as_str()),
        (ErrorKind::InvalidGlob, "cannot walk: invalid glob pattern `a[`")
    );
    assert!(walk.next().await.is_none());
}
