use std::path::Path;

use crate::shell::{Done, read, root, words};

/// The most lines of a file, without its unit tests.
const MAX_LINES: usize = 500;
/// The most lines of docs/architecture.md, which newcomers read as a whole.
const MAX_ARCHITECTURE: usize = 200;

/// Checks every file that git knows: none is too long, none is outside the module tree, none contains a path of one machine.
pub(crate) fn check() -> Done<Vec<String>> {
    let listed = read(&mut words("git -c safe.directory=* ls-files --cached --others --exclude-standard"))?;
    let mut breaches = Vec::new();
    for name in listed.lines().filter(|name| !name.starts_with("examples/") && *name != "Cargo.lock") {
        let Ok(text) = std::fs::read_to_string(root().join(name)) else { continue };
        breaches.extend(paths_of_machines(name, &text));
        if name.ends_with(".rs") {
            breaches.extend(too_long(name, &text));
            breaches.extend(forgotten(name));
        }
        if name == "docs/architecture.md" && text.lines().count() > MAX_ARCHITECTURE {
            breaches.push(format!("{name} has more than {MAX_ARCHITECTURE} lines"));
        }
    }
    Ok(breaches)
}

fn too_long(name: &str, text: &str) -> Option<String> {
    let code = text.split("\n#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().count();
    (lines > MAX_LINES).then(|| format!("{name} has {lines} lines; the maximum is {MAX_LINES}"))
}

/// Returns the breach of a file that no `mod` declares: it is never compiled, and its tests never run.
fn forgotten(name: &str) -> Option<String> {
    let path = Path::new(name);
    let stem = path.file_stem()?.to_str()?;
    let folder = path.parent()?;
    let is_root = ["main", "lib", "build"].contains(&stem)
        || folder.ends_with("examples")
        || folder.ends_with("benches")
        || folder.ends_with("fuzz_targets");
    if is_root {
        return None;
    }
    let beside = ["lib.rs", "main.rs"].map(|root| folder.join(root));
    let above = folder.with_extension("rs");
    let parents = beside.iter().chain([&above]);
    let named = parents
        .filter_map(|parent| std::fs::read_to_string(root().join(parent)).ok())
        .any(|text| text.lines().any(|line| line.trim_end().ends_with(&format!("mod {stem};"))));
    (!named).then(|| format!("{name} is not declared by any `mod`, so it is never compiled"))
}

fn paths_of_machines(name: &str, text: &str) -> Option<String> {
    let machines = ["root", "work", "home"].map(|folder| format!("/{folder}/"));
    // This file contains them itself.
    let found =
        machines.iter().find(|path| text.contains(path.as_str()) && !name.ends_with("tidy/files.rs"))?;
    Some(format!("{name} contains a path of one machine, below {found}"))
}
