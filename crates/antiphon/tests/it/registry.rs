//! The registry of providers against what documents and the program say of them.

use antiphon::providers::registry::{Kind, RegistryEntry, entries, entry};

use crate::program::Lab;

const GUIDE: &str = include_str!("../../../../docs/guide/providers.md");

/// The rows of the table of providers in the guide: name, help text and key, as plain text.
fn rows() -> Vec<[String; 3]> {
    let table = GUIDE.lines().skip_while(|line| !line.starts_with("| `--provider` |")).skip(2);
    let row = |line: &str| {
        let cells: Vec<String> =
            line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect();
        cells.try_into().unwrap()
    };
    table.take_while(|line| line.starts_with('|')).map(row).collect()
}

/// The names of variables in a cell.
fn variables(cell: &str) -> Vec<&str> {
    let is_variable = |word: &&str| {
        word.contains('_') && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    };
    cell.split([' ', ',']).filter(is_variable).collect()
}

#[test]
fn the_guide_lists_what_the_registry_has() {
    let rows = rows();
    assert!(rows.len() >= entries().len(), "{rows:?}");
    for RegistryEntry { name, help, key_env, .. } in entries() {
        let [_, what, key] = rows.iter().find(|[listed, ..]| listed == name).unwrap();
        assert_eq!(what, help, "{name}");
        assert_eq!(&variables(key), key_env, "{name}");
    }
    // The vendors of a kind that is not compiled in have no entries.
    let is_whole = Kind::find("compatible").unwrap().is_built();
    assert!(!is_whole || rows.iter().all(|[name, ..]| entry(name).is_some()), "{rows:?}");
}

#[test]
fn help_texts_list_what_the_registry_has() {
    let lab = Lab::new();
    let (generate, doctor) = (lab.run("generate --help").stdout, lab.run("doctor --help").stdout);
    for RegistryEntry { name, help, key_env, .. } in entries() {
        assert!(generate.contains(name.as_str()) && doctor.contains(name.as_str()), "{name}");
        assert!(doctor.contains(help.as_str()), "{name}: {doctor}");
        for key in key_env {
            assert!(generate.contains(key.as_str()) && doctor.contains(key.as_str()), "{key}");
        }
    }
}
