//! The three-way merge of whole trees: the one table by which commit, refresh and merge decide.
//!
//! Each side's changes against base are passed in step, so that what only one side changed is taken without a look
//! inside, and what none changed is not even seen. A path is a name in full: a renaming is a deletion and an addition,
//! and whoever renames or deletes a directory changed all below it.

use std::collections::BTreeMap;
use std::fmt;

use futures::future::try_join;

use super::edit::DirEdit;
use super::entry::Entry;
use super::path::TreePath;
use super::source::NodeSource;
use super::tree::{LinkGroup, Root};
use crate::model::diff::lockstep::Lockstep;

mod decide;
mod links;
mod table;
mod walk;

use decide::Decisions;

pub use table::disputed;

/// One of the two sides of a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Ours,
    Theirs,
}

impl Side {
    fn of<T>(self, ours: T, theirs: T) -> T {
        match self {
            Side::Ours => ours,
            Side::Theirs => theirs,
        }
    }
}

/// What ours did / what theirs did on a path where both cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConflictKind {
    ModifyModify,
    ModifyDelete,
    DeleteModify,
    AddAdd,
    /// Added in a directory that theirs deleted or renamed.
    AddDelete,
    /// Added in a directory that ours deleted or renamed.
    DeleteAdd,
    FileDirectory,
    DirectoryFile,
    /// Names of one file joined or parted by both sides in different ways.
    Links,
}

impl fmt::Display for ConflictKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConflictKind::ModifyModify => "modify/modify",
            ConflictKind::ModifyDelete => "modify/delete",
            ConflictKind::DeleteModify => "delete/modify",
            ConflictKind::AddAdd => "add/add",
            ConflictKind::AddDelete => "add/delete",
            ConflictKind::DeleteAdd => "delete/add",
            ConflictKind::FileDirectory => "file/directory",
            ConflictKind::DirectoryFile => "directory/file",
            ConflictKind::Links => "links",
        })
    }
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
    /// The side to take where the two disagree; none: report conflicts.
    pub strategy: Option<Side>,
    /// Where the strategy holds: these paths and all below them; empty: everywhere.
    pub strategy_paths: Vec<TreePath>,
    pub resolutions: BTreeMap<TreePath, Resolution>,
}

/// The outcome of a merge.
#[derive(Clone, Debug)]
pub struct Merged {
    /// What makes the merged tree of theirs. Where there are conflicts it leaves theirs.
    pub edit: DirEdit,
    /// The merged hard-link groups; none when they are theirs.
    pub links: Option<Vec<LinkGroup>>,
    /// Paths whose merged entry is neither ours nor theirs; of directories only those whose own mode, owner, times or
    /// extended attributes are so.
    pub blended: Vec<(TreePath, Entry)>,
    /// Paths that theirs has as a whole although ours changed them, because it was decided so.
    pub overruled: Vec<TreePath>,
    /// In tree order.
    pub conflicts: Vec<Conflict>,
    /// Disagreements that a resolution or the strategy decided, and for whom.
    pub decided: Vec<(Conflict, Side)>,
}

/// Merges what `ours` and `theirs` each changed against `base`.
pub async fn merge<S: NodeSource>(
    source: &S,
    base: &Root,
    ours: &Root,
    theirs: &Root,
    options: &MergeOptions,
) -> Result<Merged, S::Error> {
    let mut walk = walk::Walk { source, decisions: Decisions::new(options) };
    let root = TreePath::root();
    let [b, o, t] = [base, ours, theirs].map(|side| &side.entry);
    let meta = walk.decisions.directory_meta(&root, Some(b), o, t);
    let (our_changes, their_changes) =
        try_join(Lockstep::open(source, b.as_dir(), o.as_dir()), Lockstep::open(source, b.as_dir(), t.as_dir()))
            .await?;
    let names = walk.both(&root, our_changes, their_changes).await?;
    let edit = DirEdit { from: Some(t.clone()), meta, names };
    let mut merged = Merged {
        edit,
        links: None,
        blended: Vec::new(),
        overruled: Vec::new(),
        conflicts: Vec::new(),
        decided: Vec::new(),
    };
    links::merge(source, [base, ours, theirs], &mut walk.decisions, &mut merged).await?;
    merged.blended = walk.decisions.blended;
    merged.overruled = walk.decisions.overruled;
    merged.decided = walk.decisions.decided;
    merged.conflicts = walk.decisions.conflicts;
    merged.conflicts.sort_by(|a, b| a.path.tree_order(&b.path));
    Ok(merged)
}
