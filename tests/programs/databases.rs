//! Databases whose writer is killed in the middle: what it committed is there, and nothing is torn.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::journey::{Journey, Tree, beside, python};

/// Transactions that a writer commits before it is killed.
const ROWS_BEFORE_KILL: u32 = 40;

/// Writes until so many rows are said to be committed, then kills the writer; the last row said to be.
fn killed_while_writing(tree: Tree<'_>, kind: &str) -> u32 {
    let mut command = tree.machine().command(python());
    let command = command.arg(beside("databases.py")).args([kind, "write"]).current_dir(tree.path());
    let mut writer = command.stdout(Stdio::piped()).spawn().expect("Python starts");
    let mut lines = BufReader::new(writer.stdout.take().expect("a pipe")).lines();
    let committed = |lines: &mut dyn Iterator<Item = std::io::Result<String>>| {
        lines.next().and_then(Result::ok).and_then(|line| line.parse::<u32>().ok())
    };
    let first = committed(&mut lines).expect("a committed row");
    let mut last = first;
    while last < first + ROWS_BEFORE_KILL {
        last = committed(&mut lines).expect("the writer goes on");
    }
    writer.kill().expect("it runs");
    writer.wait().expect("it ends");
    // What it said before it ended counts too.
    while let Some(row) = committed(&mut lines) {
        last = row;
    }
    last
}

fn survives_its_writer(kind: &str) {
    let journey = Journey::new();
    killed_while_writing(journey.here(), kind);
    // Once more over what the first left behind.
    let rows = killed_while_writing(journey.here(), kind).to_string();
    let checked = |tree: Tree<'_>| drop(tree.python("databases.py", &[kind, "check", &rows]));
    journey.travel(checked);
    journey.travel_back(|tree| _ = killed_while_writing(tree, kind), checked);
}

#[test]
fn sqlite_with_a_rollback_journal() {
    survives_its_writer("delete");
}

#[test]
fn sqlite_with_a_write_ahead_log() {
    survives_its_writer("wal");
}

#[test]
fn duckdb_attached_and_checkpointed() {
    survives_its_writer("duckdb");
}
