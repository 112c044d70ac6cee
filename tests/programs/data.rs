//! Data libraries: pandas, pyarrow, polars, DuckDB and SQLite, by way of `data.py`.

use std::path::{Path, PathBuf};

use super::common::machine::Machine;
use super::common::s3;
use super::common::scratch::Scratch;

fn python() -> PathBuf {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-env/venv/bin/python3");
    assert!(python.exists(), "{} is missing: run scripts/test-env", python.display());
    python
}

fn script() -> String {
    format!("{}/tests/programs/data.py", env!("CARGO_MANIFEST_DIR"))
}

/// Writes with `library` on one machine, commits, and checks on another.
fn written_here_is_read_there(library: &str, here: &Machine, there: &Machine) {
    here.meshfs(&["init"]);
    here.meshfs(&["domain", "create", "sales"]);
    let tree = here.mount(&[]).join("sales/main");
    here.run(&tree, python(), &[&script(), library, "write"]);
    here.run(&tree, python(), &[&script(), library, "check"]);
    here.run(&tree, "sh", &["-c", "echo 'Data of a library' > .meshfs/commit"]);
    here.run(&tree, python(), &[&script(), library, "check"]);

    let tree = there.mount(&[]).join("sales/main");
    there.run(&tree, python(), &[&script(), library, "check"]);
    there.run(&tree, python(), &[&script(), library, "change"]);
    there.meshfs(&["commit", "sales/main", "-m", "Changed there"]);
    there.unmount();
    there.drop_cache();
    let tree = there.mount(&[]).join("sales/main");
    there.run(&tree, python(), &[&script(), library, "check-changed"]);
    here.unmount();
    there.unmount();
}

fn on_a_local_store(library: &str) {
    let store = Scratch::new();
    let url = store.join("store").display().to_string();
    written_here_is_read_there(library, &Machine::new(&url), &Machine::new(&url));
}

#[test]
fn pandas() {
    on_a_local_store("pandas");
}

#[test]
fn pyarrow_datasets() {
    on_a_local_store("pyarrow");
}

#[test]
fn polars() {
    on_a_local_store("polars");
}

#[test]
fn duckdb_files_and_databases() {
    on_a_local_store("duckdb");
}

#[test]
fn sqlite_with_a_journal_and_with_a_log() {
    on_a_local_store("sqlite");
}

#[test]
fn pandas_and_duckdb_over_s3() {
    let server = s3::Server::start();
    for library in ["pandas", "duckdb"] {
        let url = server.url(library);
        let machine = || Machine::with_environment(&url, server.environment());
        written_here_is_read_there(library, &machine(), &machine());
    }
}
