//! How commits and changes are told to people and programs: one shape for the command line and the control files.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::commit::{Commit, Stats};
use super::diff::Change;
use super::entry::Kind;
use super::id::CommitId;
use super::path::TreePath;
use super::quote::quote;
use super::time::Time;

/// `1 file`, `2 files`.
pub fn counted(count: u64, noun: &str, plural: &str) -> String {
    format!("{count} {}", if count == 1 { noun } else { plural })
}

/// A commit as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommitReport {
    pub id: CommitId,
    pub parents: Vec<CommitId>,
    pub author: String,
    pub time: Time,
    pub message: String,
    pub metadata: BTreeMap<String, String>,
    pub stats: Stats,
}

impl From<&Commit> for CommitReport {
    fn from(commit: &Commit) -> CommitReport {
        CommitReport {
            id: commit.id,
            parents: commit.parents.clone(),
            author: commit.author.clone(),
            time: commit.time,
            message: commit.message.clone(),
            metadata: commit.metadata.clone(),
            stats: commit.stats,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    Added,
    Modified,
    Deleted,
    Renamed,
}

/// A change as a status line and as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Shape", try_from = "Shape")]
pub struct ChangeReport {
    pub change: ChangeKind,
    pub path: TreePath,
    /// Of a renaming: the old path.
    pub from: Option<TreePath>,
    pub kind: Kind,
    /// Bytes; of what was deleted, for a deletion.
    pub size: u64,
}

impl From<&Change> for ChangeReport {
    fn from(change: &Change) -> ChangeReport {
        let (kind, from) = match change {
            Change::Added { .. } => (ChangeKind::Added, None),
            Change::Deleted { .. } => (ChangeKind::Deleted, None),
            Change::Modified { .. } => (ChangeKind::Modified, None),
            Change::Renamed { from, .. } => (ChangeKind::Renamed, Some(from.clone())),
        };
        let entry = change.entry();
        ChangeReport { change: kind, path: change.path().clone(), from, kind: entry.kind(), size: entry.size() }
    }
}

impl std::fmt::Display for ChangeReport {
    /// `A path`, `M path`, `D path`, `R old<TAB>new`; an added or deleted directory ends in `/`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plain = |path: &TreePath| if path.is_root() { b".".to_vec() } else { path.as_bytes().to_vec() };
        let slash = |path: &TreePath| match self.kind {
            Kind::Dir => [&plain(path)[..], b"/"].concat(),
            _ => plain(path),
        };
        match (self.change, &self.from) {
            (ChangeKind::Added, _) => write!(f, "A {}", quote(&slash(&self.path))),
            (ChangeKind::Deleted, _) => write!(f, "D {}", quote(&slash(&self.path))),
            (ChangeKind::Modified, _) => write!(f, "M {}", quote(&plain(&self.path))),
            (ChangeKind::Renamed, from) => {
                let from = from.as_ref().map_or(&b""[..], TreePath::as_bytes);
                write!(f, "R {}\t{}", quote(from), quote(self.path.as_bytes()))
            }
        }
    }
}

const KINDS: [Kind; 8] = [
    Kind::File,
    Kind::Dir,
    Kind::Symlink,
    Kind::Fifo,
    Kind::Socket,
    Kind::CharDevice,
    Kind::BlockDevice,
    Kind::Unknown,
];

/// What a kind is called.
pub fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Dir => "dir",
        Kind::Symlink => "symlink",
        Kind::Fifo => "fifo",
        Kind::Socket => "socket",
        Kind::CharDevice => "char",
        Kind::BlockDevice => "block",
        Kind::Unknown => "unknown",
    }
}

/// A path in JSON: `path` where it is UTF-8, `path_bytes` in base64 where it is not.
#[derive(Serialize, Deserialize)]
struct Shape {
    change: ChangeKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
    from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from_bytes: Option<String>,
    kind: String,
    size: u64,
}

/// The text of some bytes, or their base64.
pub fn text_or_base64(bytes: &[u8]) -> (Option<String>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(STANDARD.encode(bytes))),
    }
}

/// What [`text_or_base64`] gave, undone; none when both are absent.
fn path_of(text: Option<String>, base64: Option<String>) -> Result<Option<TreePath>, String> {
    let bytes = match (text, base64) {
        (Some(text), _) => text.into_bytes(),
        (None, Some(base64)) => STANDARD.decode(base64).map_err(|error| error.to_string())?,
        (None, None) => return Ok(None),
    };
    TreePath::parse(&bytes).map(Some).map_err(|error| error.to_string())
}

impl From<ChangeReport> for Shape {
    fn from(report: ChangeReport) -> Shape {
        let (path, path_bytes) = text_or_base64(report.path.as_bytes());
        let (from, from_bytes) = report.from.map_or((None, None), |from| text_or_base64(from.as_bytes()));
        let kind = kind_name(report.kind).to_owned();
        Shape { change: report.change, path, path_bytes, from, from_bytes, kind, size: report.size }
    }
}

impl TryFrom<Shape> for ChangeReport {
    type Error = String;

    fn try_from(shape: Shape) -> Result<ChangeReport, String> {
        let kind = KINDS.iter().find(|kind| kind_name(**kind) == shape.kind);
        Ok(ChangeReport {
            change: shape.change,
            path: path_of(shape.path, shape.path_bytes)?.ok_or("a change without a path")?,
            from: path_of(shape.from, shape.from_bytes)?,
            kind: *kind.ok_or_else(|| format!("`{}` is not a kind", shape.kind))?,
            size: shape.size,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(change: ChangeKind, path: &[u8], from: Option<&[u8]>, kind: Kind) -> ChangeReport {
        let path_of = |bytes: &[u8]| TreePath::parse(bytes).unwrap();
        ChangeReport { change, path: path_of(path), from: from.map(path_of), kind, size: 7 }
    }

    #[test]
    fn lines_are_those_of_status() {
        let lines: Vec<String> = [
            change(ChangeKind::Added, b"orders", None, Kind::Dir),
            change(ChangeKind::Added, b"orders/a\nb", None, Kind::File),
            change(ChangeKind::Modified, b"x y", None, Kind::File),
            change(ChangeKind::Deleted, b"old", None, Kind::Dir),
            change(ChangeKind::Renamed, b"new", Some(b"o\tld"), Kind::Dir),
        ]
        .iter()
        .map(ToString::to_string)
        .collect();
        assert_eq!(lines, ["A orders/", "A \"orders/a\\nb\"", "M x y", "D old/", "R \"o\\tld\"\tnew"]);
    }

    #[test]
    fn json_has_bytes_where_text_will_not_do() {
        let json = |report: ChangeReport| {
            let json = serde_json::to_string(&report).unwrap();
            assert_eq!(serde_json::from_str::<ChangeReport>(&json).unwrap(), report);
            json
        };
        assert_eq!(
            json(change(ChangeKind::Added, b"a", None, Kind::File)),
            r#"{"change":"added","path":"a","from":null,"kind":"file","size":7}"#
        );
        assert_eq!(
            json(change(ChangeKind::Renamed, b"\xff", Some(b"b"), Kind::File)),
            r#"{"change":"renamed","path_bytes":"/w==","from":"b","kind":"file","size":7}"#
        );
    }
}
