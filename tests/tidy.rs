//! The architecture as a test: which layer may name which, and the habits of the house that no compiler checks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// A layer, and the layers it may name besides itself. `telemetry` may be named by every layer above `format`.
const LAYERS: &[(&str, &[&str])] = &[
    ("cli", &["daemon", "workspace", "repo", "model", "telemetry"]),
    (
        "daemon",
        &["fuse", "vfs", "workspace", "overlay", "repo", "cache", "storage", "format", "model", "sys", "telemetry"],
    ),
    ("fuse", &["vfs", "sys", "telemetry"]),
    ("vfs", &["workspace", "repo", "model", "sys", "telemetry"]),
    ("workspace", &["overlay", "repo", "model", "sys", "telemetry"]),
    ("overlay", &["format", "model", "sys", "telemetry"]),
    ("repo", &["cache", "storage", "format", "model", "sys", "telemetry"]),
    ("cache", &["model", "sys", "telemetry"]),
    ("storage", &["sys", "telemetry"]),
    ("format", &["model"]),
    ("model", &[]),
    ("sys", &[]),
    ("telemetry", &[]),
];

/// Lines of one file; a larger one holds more than one subject.
const FILE_LINES_MAX: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below `folder`, with its path from the project's root and its text.
fn rust_files_in(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for item in fs::read_dir(&folder).unwrap() {
            let path: PathBuf = item.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn rust_files(folders: &[&str]) -> Vec<(String, String)> {
    folders.iter().flat_map(|folder| rust_files_in(folder)).collect()
}

fn layer_of(file: &str) -> Option<&str> {
    let inside = file.strip_prefix("src/")?;
    inside.split_once('/').map(|(layer, _)| layer)
}

fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(at, line)| (at + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn fail_on(problems: &[String], rule: &str) {
    assert!(problems.is_empty(), "{rule}\n  {}", problems.join("\n  "));
}

#[test]
fn a_layer_names_only_the_layers_below_it() {
    let table: BTreeMap<_, _> = LAYERS.iter().copied().collect();
    let named = Regex::new(r"\bcrate::(?:\{([^}]*)\}|([a-z_]+))").unwrap();
    let mut problems = Vec::new();
    for (file, text) in rust_files(&["src"]) {
        let Some(layer) = layer_of(&file) else { continue };
        let Some(allowed) = table.get(layer) else {
            problems.push(format!("{file}: `{layer}` is not in the table of layers"));
            continue;
        };
        let code: Vec<_> = code_lines(&text).map(|(_, line)| line).collect();
        for found in named.captures_iter(&code.join("\n")) {
            let names = found.get(1).or(found.get(2)).unwrap().as_str();
            for name in names.split(',').map(|part| part.trim().split("::").next().unwrap()) {
                if table.contains_key(name) && name != layer && !allowed.contains(&name) {
                    problems.push(format!("{file}: `{layer}` names `{name}`"));
                }
            }
        }
    }
    fail_on(&problems, "Each layer may name those below it in the table, no others:");
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent: Vec<_> = rust_files(&["src", "tests"])
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//!") && !text.starts_with("#![doc = include_str!("))
        .map(|(file, _)| file)
        .collect();
    fail_on(&silent, "Every file starts with `//!`, or includes its folder's README:");
}

#[test]
fn no_file_outgrows_one_subject() {
    let long: Vec<_> = rust_files(&["src", "tests"])
        .into_iter()
        .map(|(file, text)| (file, text.lines().count()))
        .filter(|(_, lines)| *lines > FILE_LINES_MAX)
        .map(|(file, lines)| format!("{file}: {lines} lines"))
        .collect();
    fail_on(&long, "Split these along their subjects:");
}

#[test]
fn every_test_file_is_part_of_a_test_binary() {
    let mut forgotten = Vec::new();
    for (file, _) in rust_files(&["tests"]) {
        let path = Path::new(&file);
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        if path.components().count() <= 2 || stem == "main" || stem == "mod" {
            continue;
        }
        let folder = root().join(path.parent().unwrap());
        let parents = [folder.join("main.rs"), folder.join("mod.rs"), folder.with_extension("rs")];
        let declares =
            |text: String| text.lines().any(|line| line.trim_start_matches("pub ").trim() == format!("mod {stem};"));
        if !parents.iter().filter_map(|parent| fs::read_to_string(parent).ok()).any(declares) {
            forgotten.push(file);
        }
    }
    fail_on(&forgotten, "No `main.rs` or `mod.rs` beside these names them, so they never run:");
}

#[test]
fn nothing_unfinished_and_no_test_that_does_not_run() {
    // Each in two parts, so that this file does not find itself.
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("#[ig", "nore"),
        concat!("to", "do!("),
        concat!("unimplem", "ented!("),
    ];
    let mut problems = Vec::new();
    for (file, text) in rust_files(&["src", "tests"]) {
        for (number, line) in text.lines().enumerate() {
            for mark in marks.iter().filter(|mark| line.contains(**mark)) {
                problems.push(format!("{file}:{}: {mark}", number + 1));
            }
        }
    }
    fail_on(&problems, "Finish it or take it out:");
}

#[test]
fn one_file_prints_and_one_file_names_errnos() {
    let prints = Regex::new(r"\be?print(ln)?!\(").unwrap();
    let errnos = Regex::new(r"\blibc::E[A-Z0-9]+\b|\bErrno::E[A-Z0-9]+\b").unwrap();
    let mut problems = Vec::new();
    for (file, text) in rust_files(&["src"]) {
        // `sys` reads what the operating system says; deciding what we answer is errno.rs's alone.
        let may_name_errnos = file == "src/vfs/errno.rs" || layer_of(&file) == Some("sys");
        for (number, line) in code_lines(&text) {
            if file != "src/cli/ui.rs" && prints.is_match(line) {
                problems.push(format!("{file}:{number}: prints; only cli/ui.rs does"));
            }
            if !may_name_errnos && errnos.is_match(line) {
                problems.push(format!("{file}:{number}: names an errno; only vfs/errno.rs does"));
            }
        }
    }
    fail_on(&problems, "One place for each decision:");
}

#[test]
fn every_promise_to_programs_has_its_test() {
    const PAGE: &str = "src/vfs/README.md";
    let page = fs::read_to_string(root().join(PAGE)).unwrap();
    let label = Regex::new(r"[A-Z]\d+").unwrap();
    let mut unproved = BTreeSet::new();
    let mut problems = Vec::new();
    for found in Regex::new(r"\*\*([A-Z]\d+)\*\*").unwrap().captures_iter(&page) {
        if !unproved.insert(found[1].to_owned()) {
            problems.push(format!("{PAGE}: two promises are labelled {}", &found[1]));
        }
    }
    let promised = unproved.clone();
    for (file, text) in rust_files(&["tests"]) {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (at, line) in lines.iter().enumerate() {
            let Some(labels) = line.strip_prefix("/// Proves ") else { continue };
            let mut above = lines[at..].iter().take_while(|line| line.starts_with("///") || line.starts_with("#["));
            if !above.any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test")) {
                problems.push(format!("{file}:{}: proves something, and is above no test", at + 1));
            }
            for found in label.find_iter(labels) {
                unproved.remove(found.as_str());
                if !promised.contains(found.as_str()) {
                    problems.push(format!("{file}:{}: {PAGE} promises no {}", at + 1, found.as_str()));
                }
            }
        }
    }
    assert!(!promised.is_empty());
    problems.extend(unproved.iter().map(|label| format!("{PAGE}: no test proves {label}")));
    fail_on(&problems, "Each promise of the semantics page is proved by a test that names it, and no test by others:");
}

#[test]
fn no_page_has_a_merge_left_half_done() {
    let mut pages = vec![root().join("README.md"), root().join("CHANGELOG.md"), root().join("scripts/README.md")];
    pages.push(root().join("src/README.md"));
    pages.extend(LAYERS.iter().map(|(layer, _)| root().join("src").join(layer).join("README.md")));
    let marked = |page: &PathBuf| {
        let text = fs::read_to_string(page).unwrap_or_default();
        text.lines().any(|line| line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> "))
    };
    let found: Vec<_> = pages.iter().filter(|page| marked(page)).map(|page| page.display().to_string()).collect();
    fail_on(&found, "Both sides of a merge stand in:");
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut problems = Vec::new();
    let (mut in_dependencies, mut reason) = (false, false);
    for line in manifest.lines() {
        if line.starts_with('[') {
            in_dependencies = line.ends_with("dependencies]");
            reason = false;
        } else if line.starts_with('#') {
            reason = true;
        } else if in_dependencies && !line.is_empty() && !reason {
            problems.push(line.to_owned());
        }
    }
    fail_on(&problems, "No comment above these in Cargo.toml says why they are there:");
}
