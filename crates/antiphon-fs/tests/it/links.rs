use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use antiphon_fs::{
    ErrorKind, FileLock, Links, ReadBelow, ReadOptions, TempDir, WalkOptions, Writer, canonical,
    create_dir_below, read_many_below, temp_dir, walk, write_below, write_private_below,
};
use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

use crate::pipe;

/// A folder `in` beside files that are not part of it.
fn lab(files: &[&str]) -> TempDir {
    let lab = temp_dir().unwrap();
    for name in ["in/a.txt", "in/sub/b.txt", "in/.env", "in/.store/v1.txt", "out/key.txt", "out/deep/c.txt"]
        .iter()
        .chain(files)
    {
        let path = lab.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, *name).unwrap();
    }
    lab
}

fn link(lab: &TempDir, target: impl AsRef<Path>, name: &str) {
    let path = lab.path().join("in").join(name);
    symlink(lab.path().join(target), path).unwrap();
}

/// Returns the files of `in` that are found, and with `!` what is refused.
async fn found(lab: &TempDir, options: WalkOptions) -> Vec<String> {
    let root = lab.path().join("in");
    let name = |path: &Path| path.strip_prefix(&root).unwrap().display().to_string();
    let batches: Vec<_> = walk(&root, options, CancellationToken::new()).collect().await;
    let found = batches.into_iter().flatten().map(|entry| match entry {
        Ok(entry) => match entry.target.filter(|target| *target != entry.path) {
            Some(target) => format!("{} = {}", name(&entry.path), target.file_name().unwrap().display()),
            None => name(&entry.path),
        },
        Err(err) if err.kind() == ErrorKind::LinkNotFollowed => format!("!{}", name(err.path())),
        Err(err) => format!("?{}", name(err.path())),
    });
    found.collect()
}

#[tokio::test]
async fn links_out_of_the_root_are_named_and_not_followed() {
    let lab = lab(&[]);
    let links = [
        ("out/key.txt", "c1.txt"),
        ("in/.env", "c2.txt"),
        ("in/.store", "c3"),
        ("out", "c4"),
        ("/", "c5"),
        ("", "c6"),
        ("/dev/zero", "c7.txt"),
        ("nowhere", "c8.txt"),
    ];
    links.into_iter().for_each(|(target, name)| link(&lab, target, name));
    let expected =
        ["a.txt", "!c1.txt", "!c2.txt", "!c3", "!c4", "!c5", "!c6", "!c7.txt", "?c8.txt", "sub/b.txt"];
    for ignore_files in [false, true] {
        assert_eq!(found(&lab, WalkOptions::default().ignore_files(ignore_files)).await, expected);
    }
    let hidden = found(&lab, WalkOptions::default().hidden(true)).await;
    assert!(hidden.contains(&"c2.txt = .env".into()) && hidden.contains(&"!c1.txt".into()), "{hidden:?}");
}

#[tokio::test]
async fn links_inside_the_root_lead_to_their_files_once() {
    let lab = lab(&[]);
    for (target, name) in [("in/a.txt", "d.txt"), ("in", "again"), ("in/sub", "sub2"), ("in", "sub/up")] {
        link(&lab, target, name);
    }
    let expected = ["a.txt", "d.txt = a.txt", "sub/b.txt"];
    for ignore_files in [false, true] {
        assert_eq!(found(&lab, WalkOptions::default().ignore_files(ignore_files)).await, expected);
    }
    // A folder that the walk does not enter itself is entered by the first link.
    let options = WalkOptions::default().glob("!/sub");
    assert_eq!(found(&lab, options).await, ["a.txt", "d.txt = a.txt", "sub2/b.txt = b.txt"]);
}

#[tokio::test]
async fn all_links_are_followed_on_demand_but_each_folder_once() {
    let lab = lab(&[]);
    for (target, name) in
        [("out/deep", "x1"), ("out", "x2"), ("out", "x3"), ("/", "x4"), ("out/key.txt", "k.txt")]
    {
        link(&lab, target, name);
    }
    symlink(lab.path().join("out"), lab.path().join("out/round")).unwrap();
    let expected =
        ["a.txt", "k.txt = key.txt", "sub/b.txt", "x1/c.txt = c.txt", "x2/key.txt = key.txt", "!x4"];
    assert_eq!(found(&lab, WalkOptions::default().links(Links::All)).await, expected);
    let deep = canonical(lab.path().join("out/deep")).await.unwrap();
    let listed = found(&lab, WalkOptions::default().links(Links::To([deep].into()))).await;
    assert_eq!(listed, ["a.txt", "!k.txt", "sub/b.txt", "x1/c.txt = c.txt", "!x2", "!x3", "!x4"]);
}

#[tokio::test]
async fn links_that_no_glob_includes_are_no_failures() {
    let lab = lab(&[]);
    for (target, name) in [
        ("out/key.txt", "k.txt"),
        ("out/key.txt", "k.bin"),
        ("out", "more"),
        ("nowhere", "n.bin"),
        ("nowhere", "n.txt"),
    ] {
        link(&lab, target, name);
    }
    for ignore_files in [false, true] {
        let options = || WalkOptions::default().ignore_files(ignore_files);
        // A folder behind a link may have files that the glob includes.
        let expected = ["a.txt", "!k.txt", "!more", "?n.txt", "sub/b.txt"];
        assert_eq!(found(&lab, options().glob("*.txt")).await, expected);
        let others = options().glob("!k.*").glob("!more");
        assert_eq!(found(&lab, others).await, ["a.txt", "?n.bin", "?n.txt", "sub/b.txt"]);
    }
}

#[tokio::test]
async fn ignore_files_are_files_of_the_folder() {
    let lab = lab(&["in/deep/c.txt"]);
    let options = || WalkOptions::default().ignore_files(true);
    let all = ["a.txt", "deep/c.txt", "sub/b.txt"];
    fs::write(lab.path().join("out/rules"), "a.txt\n").unwrap();
    link(&lab, "out/rules", ".gitignore");
    link(&lab, "/dev/zero", "sub/.ignore");
    assert_eq!(
        found(&lab, options()).await,
        ["!.gitignore", "a.txt", "deep/c.txt", "!sub/.ignore", "sub/b.txt"]
    );
    let followed = ["deep/c.txt", "?sub/.ignore", "sub/b.txt"];
    assert_eq!(found(&lab, options().links(Links::All)).await, followed);
    for name in [".gitignore", "sub/.ignore"] {
        fs::remove_file(lab.path().join("in").join(name)).unwrap();
    }
    pipe(&lab.path().join("in/.gitignore"));
    assert_eq!(found(&lab, options()).await, ["?.gitignore", "a.txt", "deep/c.txt", "sub/b.txt"]);
    fs::remove_file(lab.path().join("in/.gitignore")).unwrap();
    fs::write(lab.path().join("in/.gitignore"), "x\n".repeat(1 << 20)).unwrap();
    assert_eq!(found(&lab, options()).await, ["?.gitignore", "a.txt", "deep/c.txt", "sub/b.txt"]);
    fs::remove_file(lab.path().join("in/.gitignore")).unwrap();
    // A link to a file of the root is read.
    fs::write(lab.path().join("in/sub/rules.md"), "/deep\n*.md\n").unwrap();
    link(&lab, "in/sub/rules.md", ".ignore");
    assert_eq!(found(&lab, options()).await, ["a.txt", "sub/b.txt"]);
    fs::remove_file(lab.path().join("in/.ignore")).unwrap();
    fs::remove_file(lab.path().join("in/sub/rules.md")).unwrap();
    // In a folder above the root, a link out of that folder is not read either.
    let other = temp_dir().unwrap();
    fs::write(other.path().join("rules"), "a.txt\n").unwrap();
    symlink(other.path().join("rules"), lab.path().join(".ignore")).unwrap();
    assert_eq!(found(&lab, options()).await, all);
    fs::remove_file(lab.path().join(".ignore")).unwrap();
    fs::write(lab.path().join(".ignore"), "/in/deep\n").unwrap();
    assert_eq!(found(&lab, options()).await, ["a.txt", "sub/b.txt"]);
}

#[tokio::test]
async fn rules_of_ignore_files_have_the_precedence_of_git() {
    let lab = lab(&["in/deep/c.txt", "in/deep/d.md", "in/repo/.git/x", "in/repo/e.md", "in/.hidden.md"]);
    let write = |name: &str, text: &str| fs::write(lab.path().join("in").join(name), text).unwrap();
    let options = || WalkOptions::default().ignore_files(true);
    write(".gitignore", "\u{feff}*.md\n!.hidden.md\n# c.txt\n[\nb.txt\n");
    write("deep/.gitignore", "!d.md\n");
    // They hold in repositories below, too, and no rule includes a hidden file.
    assert_eq!(found(&lab, options()).await, ["a.txt", "deep/c.txt", "deep/d.md"]);
    // Those of `.ignore` have precedence at any depth.
    write(".ignore", "d.md\n!e.md\n!b.txt\n");
    assert_eq!(found(&lab, options()).await, ["a.txt", "deep/c.txt", "repo/e.md", "sub/b.txt"]);
    assert_eq!(found(&lab, options().glob("!c.txt")).await, ["a.txt", "repo/e.md", "sub/b.txt"]);
}

/// Reads a file of `in`.
async fn read(lab: &TempDir, name: &str, links: Links) -> Result<String, ErrorKind> {
    let root = lab.path().join("in");
    let from = ReadBelow { path: root.join(name), root: Some(root.into()), links, hidden: false };
    let file =
        read_many_below([from], ReadOptions::default(), CancellationToken::new()).next().await.unwrap();
    file.bytes.map(|bytes| String::from_utf8(bytes).unwrap()).map_err(|err| err.kind())
}

#[tokio::test]
async fn a_name_that_became_a_link_after_the_walk_is_not_read() {
    let lab = lab(&["in/late.txt", "in/swap/key.txt"]);
    let walked = found(&lab, WalkOptions::default()).await;
    assert!(walked.contains(&"late.txt".into()) && walked.contains(&"swap/key.txt".into()), "{walked:?}");
    fs::remove_file(lab.path().join("in/late.txt")).unwrap();
    fs::remove_dir_all(lab.path().join("in/swap")).unwrap();
    link(&lab, "out/key.txt", "late.txt");
    link(&lab, "out", "swap");
    for name in ["late.txt", "swap/key.txt"] {
        assert_eq!(read(&lab, name, Links::Inside).await, Err(ErrorKind::LinkNotFollowed), "{name}");
        assert_eq!(read(&lab, name, Links::All).await.as_deref(), Ok("out/key.txt"));
        let to = Links::To([canonical(lab.path().join("out")).await.unwrap()].into());
        assert_eq!(read(&lab, name, to).await.as_deref(), Ok("out/key.txt"));
    }
}

#[tokio::test]
async fn files_below_a_root_are_read_by_their_links_too() {
    let lab = lab(&[]);
    link(&lab, "in/sub/b.txt", "b2.txt");
    link(&lab, "in/sub", "sub2");
    link(&lab, "in/.env", "env.txt");
    for name in ["sub/b.txt", "b2.txt", "sub2/b.txt"] {
        assert_eq!(read(&lab, name, Links::Inside).await.as_deref(), Ok("in/sub/b.txt"), "{name}");
    }
    assert_eq!(read(&lab, "env.txt", Links::Inside).await, Err(ErrorKind::LinkNotFollowed));
    assert_eq!(read(&lab, "../out/key.txt", Links::Inside).await, Err(ErrorKind::LinkNotFollowed));
    assert_eq!(read(&lab, "sub", Links::Inside).await, Err(ErrorKind::NotAFile));
    assert_eq!(read(&lab, "none", Links::Inside).await, Err(ErrorKind::NotFound));
    pipe(&lab.path().join("in/pipe.txt"));
    assert_eq!(read(&lab, "pipe.txt", Links::Inside).await, Err(ErrorKind::NotAFile));
    // A root that the caller names may be a link.
    symlink(lab.path().join("in"), lab.path().join("root")).unwrap();
    let root = lab.path().join("root");
    let from = ReadBelow {
        path: root.join("b2.txt"),
        root: Some(root.clone().into()),
        links: Links::Inside,
        hidden: false,
    };
    let mut files = read_many_below([from], ReadOptions::default(), CancellationToken::new());
    assert_eq!(files.next().await.unwrap().bytes.unwrap(), b"in/sub/b.txt");
    // What a walk of hidden files finds can be read.
    let from =
        ReadBelow { path: root.join("env.txt"), root: Some(root.into()), links: Links::Inside, hidden: true };
    let mut files = read_many_below([from], ReadOptions::default(), CancellationToken::new());
    assert_eq!(files.next().await.unwrap().bytes.unwrap(), b"in/.env");
}

#[tokio::test]
async fn no_link_in_an_output_folder_is_written_through() {
    let lab = lab(&[]);
    let (root, key) = (lab.path().join("in"), lab.path().join("out/key.txt"));
    for name in ["page.html", "private", "atomic"] {
        link(&lab, "out/key.txt", name);
    }
    link(&lab, "out", "run");
    link(&lab, "out/new.lock", "lock");
    write_below(&root, "page.html", "new").await.unwrap();
    write_private_below(&root, "private", "new").await.unwrap();
    let mut writer = Writer::atomic(root.join("atomic")).await.unwrap();
    writer.write("new").await.unwrap();
    writer.finish().await.unwrap();
    for name in ["page.html", "private", "atomic"] {
        assert_eq!(fs::read_to_string(root.join(name)).unwrap(), "new", "{name}");
        assert!(!fs::symlink_metadata(root.join(name)).unwrap().is_symlink(), "{name}");
    }
    assert_eq!(fs::read_to_string(&key).unwrap(), "out/key.txt");
    let refused = [
        write_below(&root, "run/key.txt", "new").await,
        write_below(&root, "../out/key.txt", "new").await,
        create_dir_below(&root, "run").await,
        create_dir_below(&root, "run/new").await,
        FileLock::acquire(root.join("lock"), "").await.map(drop),
    ];
    for err in refused {
        assert_eq!(err.unwrap_err().kind(), ErrorKind::LinkNotFollowed);
    }
    assert_eq!(fs::read_dir(lab.path().join("out")).unwrap().count(), 2, "nothing was created behind a link");
    assert_eq!(write_below(&root, "a.txt/b", "").await.unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(write_below(&root, "sub", "").await.unwrap_err().kind(), ErrorKind::NotAFile);
    assert_eq!(write_below(lab.path().join("none"), "a", "").await.unwrap_err().kind(), ErrorKind::NotFound);
    write_below(&root, "x/y/z.md", "new").await.unwrap();
    create_dir_below(&root, "x/y").await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_replaced_keeps_its_permissions_and_a_private_one_has_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let lab = lab(&[]);
    let path = lab.path().join("in/a.txt");
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    write_below(lab.path(), "in/a.txt", "x").await.unwrap();
    assert_eq!(mode(), 0o640);
    write_private_below(lab.path(), "in/a.txt", "x").await.unwrap();
    assert_eq!(mode(), 0o600);
    let names = fs::read_dir(lab.path().join("in")).unwrap().count();
    assert_eq!(names, 4, "no temporary file is left");
}
