//! Data libraries: pandas, pyarrow, polars, DuckDB and SQLite, by way of `data.py`.

use super::journey::{Journey, Tree};

fn written_here_is_read_and_changed_there(journey: &Journey, library: &str) {
    let deed = |deed: &'static str| move |tree: Tree<'_>| drop(tree.python("data.py", &[library, deed]));
    deed("write")(journey.here());
    journey.travel(deed("check"));
    journey.travel_back(deed("change"), deed("check-changed"));
}

#[test]
fn pandas() {
    written_here_is_read_and_changed_there(&Journey::new(), "pandas");
}

#[test]
fn pyarrow_datasets() {
    written_here_is_read_and_changed_there(&Journey::new(), "pyarrow");
}

#[test]
fn polars() {
    written_here_is_read_and_changed_there(&Journey::new(), "polars");
}

#[test]
fn duckdb_files_and_databases() {
    written_here_is_read_and_changed_there(&Journey::new(), "duckdb");
}

#[test]
fn sqlite_with_a_journal_and_with_a_log() {
    written_here_is_read_and_changed_there(&Journey::new(), "sqlite");
}

#[test]
fn pandas_over_s3() {
    written_here_is_read_and_changed_there(&Journey::over_s3(), "pandas");
}

#[test]
fn duckdb_over_s3() {
    written_here_is_read_and_changed_there(&Journey::over_s3(), "duckdb");
}
