//! How answers look: lines for people, JSON for programs.

use serde::Serialize;

use super::ui::Ui;
use crate::daemon::failure::{Class, ConflictPath, Failure};
use crate::model::entry::{Kind, Owner};
use crate::model::id::CommitId;
use crate::model::quote::quote;
use crate::model::report::{ChangeReport, CommitReport, text_or_base64};

/// Digits of a commit id where a person reads it beside other things.
const SHORT_ID_DIGITS: usize = 12;

pub fn short(id: &CommitId) -> String {
    let mut text = id.to_string();
    text.truncate(SHORT_ID_DIGITS);
    text
}

/// Changes as status lines.
pub fn changes(ui: &Ui, changes: &[ChangeReport]) -> Result<(), Failure> {
    changes.iter().try_for_each(|change| ui.line(change))
}

/// A commit as `git log` shows one.
pub fn commit(ui: &Ui, commit: &CommitReport) -> Result<(), Failure> {
    ui.line(format_args!("commit {}", commit.id))?;
    if commit.parents.len() > 1 {
        let parents: Vec<String> = commit.parents.iter().map(short).collect();
        ui.line(format_args!("Merge:  {}", parents.join(" ")))?;
    }
    ui.line(format_args!("Author: {}", commit.author))?;
    ui.line(format_args!("Date:   {}", commit.time))?;
    for (key, value) in &commit.metadata {
        ui.line(format_args!("Meta:   {key}={value}"))?;
    }
    ui.line("")?;
    commit
        .message
        .lines()
        .try_for_each(|line| ui.line(if line.is_empty() { String::new() } else { format!("    {line}") }))
}

/// A path in JSON: `path` where it is UTF-8, `path_bytes` where not.
#[derive(Serialize)]
pub struct PathShape {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<String>,
}

impl PathShape {
    pub fn of(bytes: &[u8]) -> PathShape {
        let (path, path_bytes) = text_or_base64(bytes);
        PathShape { path, path_bytes }
    }
}

#[derive(Serialize)]
struct ConflictShape<'a> {
    #[serde(flatten)]
    path: PathShape,
    kind: &'a str,
}

#[derive(Serialize)]
struct ConflictsShape<'a> {
    conflicts: Vec<ConflictShape<'a>>,
}

/// Lists the paths of a conflict, which is what its command answers; other failures pass untouched.
pub fn conflicts_of<T>(ui: &Ui, json: bool, result: Result<T, Failure>) -> Result<T, Failure> {
    if let Err(failure) = &result
        && failure.class == Class::Conflict
    {
        list_conflicts(ui, json, &failure.conflicts)?;
    }
    result
}

fn list_conflicts(ui: &Ui, json: bool, conflicts: &[ConflictPath]) -> Result<(), Failure> {
    if json {
        let shapes = conflicts.iter().map(|ConflictPath { path, kind }| {
            let path = PathShape::of(path.as_bytes());
            ConflictShape { path, kind }
        });
        return ui.json(&ConflictsShape { conflicts: shapes.collect() });
    }
    conflicts.iter().try_for_each(|conflict| ui.line(quote(conflict.path.as_bytes())))
}

/// `-rw-r--r--`
pub fn mode(kind: Kind, mode: u16) -> String {
    let first = match kind {
        Kind::File => '-',
        Kind::Dir => 'd',
        Kind::Symlink => 'l',
        Kind::Fifo => 'p',
        Kind::Socket => 's',
        Kind::CharDevice => 'c',
        Kind::BlockDevice => 'b',
        Kind::Unknown => '?',
    };
    let triple = |shift: u16, special: u16, letter: char| {
        let bits = mode >> shift;
        let execute = match (bits & 1 != 0, mode & special != 0) {
            (true, true) => letter,
            (false, true) => letter.to_ascii_uppercase(),
            (true, false) => 'x',
            (false, false) => '-',
        };
        [if bits & 4 != 0 { 'r' } else { '-' }, if bits & 2 != 0 { 'w' } else { '-' }, execute]
    };
    let triples = [triple(6, 0o4000, 's'), triple(3, 0o2000, 's'), triple(0, 0o1000, 't')];
    std::iter::once(first).chain(triples.into_iter().flatten()).collect()
}

/// `uid:gid`, or a dash for whoever mounts.
pub fn owner(owner: Option<Owner>) -> String {
    owner.map_or_else(|| "-".to_owned(), |owner| format!("{}:{}", owner.uid, owner.gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_look_as_in_ls() {
        assert_eq!(mode(Kind::File, 0o644), "-rw-r--r--");
        assert_eq!(mode(Kind::Dir, 0o1777), "drwxrwxrwt");
        assert_eq!(mode(Kind::File, 0o4755), "-rwsr-xr-x");
        assert_eq!(mode(Kind::File, 0o2644), "-rw-r-Sr--");
    }
}
