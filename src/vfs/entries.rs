//! The entries of every kind of directory.

use super::Vfs;
use super::attr::{SNAPSHOT_TTL, TREE_TTL};
use super::domain::domain_number;
use super::error::VfsError;
use super::listing::{Hold, ListEntry};
use super::node::{FileKind, NodeEntry, ROOT};
use super::snapshot::SnapshotEntry;
use super::table::Node;
use std::sync::Arc;

impl Vfs {
    /// At most `max` entries of a directory, in byte order, those after `after` only.
    pub(super) fn names_after(
        &self,
        node: &Node,
        ino: u64,
        after: Option<&[u8]>,
        max: usize,
    ) -> Result<Vec<ListEntry>, VfsError> {
        match node {
            Node::Mesh => Ok(after_name(self.domain_entries(), after, max)),
            Node::Domain(domain) => {
                let entry = |(name, ino): (String, u64)| plain(name.into_bytes(), ino, FileKind::Dir);
                Ok(after_name(domain.branch_names().into_iter().map(entry).collect(), after, max))
            }
            Node::Branch(branch) | Node::Work(branch) => {
                let (workspace, parent) = branch.inner(ino)?;
                let listed = workspace.readdir(parent, after, max).map_err(|error| branch.refused(error))?;
                let tell = |listed: crate::workspace::attr::Listed| {
                    let attr = self.work_attr(branch, &listed.attr);
                    let entry = NodeEntry { attr, attr_ttl: TREE_TTL, entry_ttl: TREE_TTL };
                    let hold = Hold::Workspace { parent, listed: listed.clone() };
                    ListEntry {
                        name: listed.name,
                        ino: attr.ino,
                        kind: attr.kind,
                        entry: Some((entry, Node::Work(branch.clone()), hold)),
                    }
                };
                Ok(listed.into_iter().map(tell).collect())
            }
            Node::Snapshot(dir) => {
                let tell = |(name, child): (Vec<u8>, SnapshotEntry)| {
                    let attr = self.snapshot_attr(&child);
                    let entry = NodeEntry { attr, attr_ttl: SNAPSHOT_TTL, entry_ttl: SNAPSHOT_TTL };
                    let hold = (entry, Node::Snapshot(Arc::new(child)), Hold::Table);
                    ListEntry { name, ino: attr.ino, kind: attr.kind, entry: Some(hold) }
                };
                Ok(dir.children(after, max)?.into_iter().map(tell).collect())
            }
            Node::Control(control) => Ok(after_name(self.control_entries(control)?, after, max)),
            Node::Revision(_) => Err(VfsError::NotDirectory),
        }
    }

    fn domain_entries(&self) -> Vec<ListEntry> {
        let known = self.mesh.known_domains();
        let mut entries: Vec<_> = known
            .into_iter()
            .map(|info| plain(info.name.into_bytes(), domain_number(&info.uid), FileKind::Dir))
            .collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries
    }

    /// Counts the reference to an entry that was told with its attributes.
    pub(super) fn hold_listed(&self, entry: ListEntry) {
        let Some((shown, node, hold)) = entry.entry else { return };
        if let (Node::Work(branch), Hold::Workspace { parent, listed }) = (&node, hold)
            && let Some(workspace) = branch.entered()
        {
            workspace.keep(parent, &listed);
        }
        self.nodes.hold(shown.attr.ino, node);
    }

    /// Number of the directory above.
    pub(super) fn parent_of(&self, node: &Node, ino: u64) -> u64 {
        match node {
            Node::Mesh | Node::Domain(_) => ROOT,
            Node::Branch(branch) => branch.parent(),
            Node::Work(branch) => {
                let above = branch.inner(ino).ok().and_then(|(workspace, inner)| workspace.parent(inner).ok());
                above.map_or(ino, |above| branch.outer(above))
            }
            // `..` is found by the kernel itself; what a listing says here is for show.
            Node::Revision(_) | Node::Snapshot(_) | Node::Control(_) => ino,
        }
    }
}

/// An entry whose attributes are looked up when somebody asks.
pub(super) fn plain(name: Vec<u8>, ino: u64, kind: FileKind) -> ListEntry {
    ListEntry { name, ino, kind, entry: None }
}

/// Those of the sorted `entries` that come after `after`.
fn after_name(mut entries: Vec<ListEntry>, after: Option<&[u8]>, max: usize) -> Vec<ListEntry> {
    let first = after.map_or(0, |after| entries.partition_point(|entry| entry.name.as_slice() <= after));
    entries.drain(..first);
    entries.truncate(max);
    entries
}
