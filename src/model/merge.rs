//! The three-way merge of whole trees: the one table by which commit, refresh and merge decide.

use std::collections::BTreeMap;

use super::edit::DirEdit;
use super::entry::Entry;
use super::path::TreePath;
use super::source::NodeSource;
use super::tree::{LinkGroup, Root};

/// One of the two sides of a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Ours,
    Theirs,
}

/// What a side did to a path on which the two disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Deed {
    Add,
    Modify,
    Delete,
    /// Made a directory of something else, or something else of a directory, or added what the other side did with
    /// another kind.
    Replace,
    /// Joined or parted names of one file otherwise than the other side.
    Link,
}

/// What kind a conflict is of: what ours did, what theirs did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConflictKind {
    pub ours: Deed,
    pub theirs: Deed,
}

/// A path on which both sides changed what cannot be had both ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    pub path: TreePath,
    pub kind: ConflictKind,
    pub base: Option<Entry>,
    pub ours: Option<Entry>,
    pub theirs: Option<Entry>,
}

/// A decision about a path that was in conflict. It holds as long as theirs is what it was decided against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    pub theirs: Option<Entry>,
    pub side: Side,
}

#[derive(Clone, Debug, Default)]
pub struct MergeOptions {
    /// The side to take wherever the two disagree; none: report conflicts.
    pub strategy: Option<Side>,
    /// Where the strategy holds: these paths and all below them; empty: everywhere.
    pub strategy_paths: Vec<TreePath>,
    pub resolutions: BTreeMap<TreePath, Resolution>,
}

/// The outcome of a merge.
#[derive(Clone, Debug)]
pub struct Merged {
    /// What makes the merged tree of theirs. Of no use while there are conflicts.
    pub edit: DirEdit,
    /// The merged hard-link groups; none when they are theirs.
    pub links: Option<Vec<LinkGroup>>,
    /// Paths whose merged entry is neither ours nor theirs, directories whose content only is so left out.
    pub blended: Vec<(TreePath, Entry)>,
    /// In tree order.
    pub conflicts: Vec<Conflict>,
}

/// Merges what `ours` and `theirs` each changed against `base`.
pub async fn merge<S: NodeSource>(
    _source: &S,
    _base: &Root,
    _ours: &Root,
    _theirs: &Root,
    _options: &MergeOptions,
) -> Result<Merged, S::Error> {
    todo!()
}
