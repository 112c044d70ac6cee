//! What goes over the control socket: one JSON object a line, a question and its answer in turn.
//!
//! A request is performed by [`crate::daemon::verbs`] in whichever process holds the state folder, so the types here
//! are also how a command without a daemon says what it wants.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::daemon::failure::Failure;
use crate::daemon::wire;
use crate::model::gc::CollectionReport;
use crate::model::id::CommitId;
use crate::model::merge::Side;
use crate::model::path::TreePath;
use crate::model::report::{ChangeReport, CommitReport};
use crate::repo::pick::Pick;
use crate::telemetry::usage::Usage;

/// Both ends must speak the same version: they are one program, restarted at different times.
pub const VERSION: u32 = 2;

/// Longest line, in bytes: a status of a few hundred thousand changed paths.
pub const LINE_BYTES_MAX: usize = 256 << 20;

/// A branch, the default one of its domain when none is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchName {
    pub domain: String,
    pub branch: Option<String>,
}

/// A commit: a revision of a domain; the head of its default branch when none is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitName {
    pub domain: String,
    /// As written after `@`.
    pub revision: Option<String>,
}

/// A path in a snapshot, or in a working tree as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    pub tree: VersionTree,
    #[serde(with = "wire::path")]
    pub path: TreePath,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VersionTree {
    Snapshot(CommitName),
    Working(BranchName),
}

/// A commit that something is taken from: `D/B` is the head of a branch, and never a tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    Commit(CommitName),
    Branch(BranchName),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Commit(CommitName { revision: Some(revision), .. }) => write!(f, "@{revision}"),
            Source::Branch(BranchName { branch: Some(branch), .. }) => f.write_str(branch),
            Source::Commit(CommitName { domain, revision: None })
            | Source::Branch(BranchName { domain, branch: None }) => f.write_str(domain),
        }
    }
}

/// What is taken of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Taking {
    Merge,
    CherryPick,
    Revert,
}

/// A merge, a cherry-pick, a revert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Integrate {
    pub taking: Taking,
    pub source: Source,
    /// Of a commit with several: the parent against which it is taken, from 1 on.
    pub parent: Option<usize>,
    pub into: BranchName,
    /// None: what the commit says by itself; a merge then moves the branch where that is enough.
    pub message: Option<String>,
    pub author: String,
    pub strategy: Option<Side>,
    /// Only tell what would change.
    pub dry_run: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub enum Request {
    /// What does the daemon hold?
    Usage,
    /// Unmount and end.
    Unmount {
        /// Also when files are in use.
        lazy: bool,
    },
    CreateDomain {
        name: String,
        owner: Option<String>,
        description: Option<String>,
    },
    DeleteDomain {
        name: String,
    },
    CreateBranch {
        domain: String,
        name: String,
        /// The head of the default branch when none.
        from: Option<CommitName>,
    },
    DeleteBranch {
        domain: String,
        name: String,
    },
    CreateTag {
        domain: String,
        name: String,
        target: CommitName,
    },
    DeleteTag {
        domain: String,
        name: String,
    },
    /// What is staged.
    Status {
        branch: BranchName,
    },
    /// What differs from one version to another, when a working tree is among them.
    Compare {
        from: Version,
        to: Version,
    },
    Commit {
        branch: BranchName,
        message: String,
        metadata: BTreeMap<String, String>,
        author: String,
    },
    Integrate(Integrate),
    /// Gives up what met conflicts and is kept in a working tree.
    GiveUp {
        branch: BranchName,
    },
    Reset {
        source: Source,
        into: BranchName,
    },
    Refresh {
        branch: BranchName,
        strategy: Option<Side>,
        #[serde(with = "wire::paths")]
        paths: Vec<TreePath>,
    },
    Discard {
        branch: BranchName,
        #[serde(with = "wire::path")]
        path: TreePath,
    },
    /// One run of the collector on a domain.
    Collect {
        domain: String,
        dry_run: bool,
    },
    Restore {
        source: CommitName,
        #[serde(with = "wire::path")]
        source_path: TreePath,
        into: BranchName,
        #[serde(with = "wire::path")]
        into_path: TreePath,
    },
}

impl Request {
    /// Does this change nothing, however it ends?
    pub fn only_asks(&self) -> bool {
        matches!(
            self,
            Request::Usage
                | Request::Status { .. }
                | Request::Compare { .. }
                | Request::Integrate(Integrate { dry_run: true, .. })
        )
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Reply {
    Done,
    /// Of Unmount: who answers.
    Daemon {
        pid: u32,
    },
    Usage {
        held: Usage,
        resident_bytes: u64,
    },
    Status(StatusReport),
    Changes {
        changes: Vec<ChangeReport>,
    },
    /// None: there was nothing to commit.
    Committed {
        domain: String,
        branch: String,
        commit: Option<CommitReport>,
    },
    Collected {
        report: CollectionReport,
    },
    Refreshed {
        base: CommitId,
        moved: bool,
    },
    /// Where the branch pointed, and points.
    Reset {
        old: CommitId,
        new: CommitId,
    },
}

/// A workspace: the branch, the commit it is on, what is staged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusReport {
    pub domain: String,
    pub branch: String,
    pub base: CommitId,
    pub changes: Vec<ChangeReport>,
    /// What the next commit takes in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incoming: Option<IncomingReport>,
}

/// A merge, cherry-pick or revert that met conflicts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IncomingReport {
    #[serde(flatten)]
    pub pick: Pick,
    /// Conflicts that nobody has settled.
    pub open: usize,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Question {
    pub version: u32,
    pub request: Request,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Answer {
    pub version: u32,
    pub result: Result<Reply, Failure>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_any_bytes_cross_the_socket() {
        let path = TreePath::parse(b"a\xff/\n").unwrap();
        let branch = BranchName { domain: "sales".to_owned(), branch: None };
        let request = Request::Refresh { branch, strategy: Some(Side::Ours), paths: vec![path] };
        let line = serde_json::to_string(&request).unwrap();
        assert!(!line.contains('\n'));
        assert_eq!(serde_json::from_str::<Request>(&line).unwrap(), request);
    }

    #[test]
    fn a_failure_crosses_the_socket_whole() {
        let answer = Answer { version: VERSION, result: Err(Failure::usage("what").hint("next")) };
        let line = serde_json::to_string(&answer).unwrap();
        assert_eq!(serde_json::from_str::<Answer>(&line).unwrap().result, answer.result);
    }
}
