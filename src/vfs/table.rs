//! The nodes that the kernel knows: what each number stands for, and how many references it holds.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

use super::branch::Branch;
use super::control::ControlNode;
use super::domain::DomainNode;
use super::error::VfsError;
use super::listing::DirStates;
use super::node::ROOT;
use super::snapshot::{RevisionLink, SnapshotEntry};
use crate::sys::heap;

/// What a number stands for.
#[derive(Clone, Debug)]
pub enum Node {
    /// The root: its entries are domains.
    Mesh,
    /// Its entries are branches.
    Domain(Arc<DomainNode>),
    /// A branch's working tree, at its root.
    Branch(Arc<Branch>),
    /// Something below a branch's root; the number is the workspace's own.
    Work(Arc<Branch>),
    /// A symlink `@revision`.
    Revision(Arc<RevisionLink>),
    /// Something in a snapshot.
    Snapshot(Arc<SnapshotEntry>),
    /// `.meshfs` or something below it.
    Control(Arc<ControlNode>),
}

impl Node {
    /// What is known of the kernel's listings, for directories whose listings it may keep.
    pub fn listings(&self) -> Option<&DirStates> {
        match self {
            Node::Branch(branch) | Node::Work(branch) => Some(branch.listings()),
            Node::Mesh | Node::Domain(_) | Node::Revision(_) | Node::Snapshot(_) | Node::Control(_) => None,
        }
    }
}

#[derive(Debug)]
struct Slot {
    node: Node,
    references: u64,
}

/// Numbers to nodes. The root is always there.
#[derive(Debug, Default)]
pub struct NodeTable {
    slots: RwLock<HashMap<u64, Slot>>,
    /// Times of access that somebody set. They are stored nowhere, and last as long as the kernel knows the node.
    atimes: RwLock<HashMap<u64, i64>>,
}

impl NodeTable {
    pub fn get(&self, ino: u64) -> Result<Node, VfsError> {
        if ino == ROOT {
            return Ok(Node::Mesh);
        }
        self.slots.read().get(&ino).map(|slot| slot.node.clone()).ok_or(VfsError::Stale)
    }

    /// Counts a reference that the kernel is being given.
    pub fn hold(&self, ino: u64, node: Node) {
        let mut slots = self.slots.write();
        let slot = slots.entry(ino).or_insert_with(|| Slot { node: node.clone(), references: 0 });
        // A control file or a branch may have become another object of the same name; the newest is meant.
        slot.node = node;
        slot.references += 1;
    }

    /// Takes `count` references back; the node, when it is in the table.
    pub fn release(&self, ino: u64, count: u64) -> Option<Node> {
        let mut slots = self.slots.write();
        let slot = slots.get_mut(&ino)?;
        slot.references = slot.references.saturating_sub(count);
        let node = slot.node.clone();
        if slot.references == 0 {
            slots.remove(&ino);
            heap::shrink(&mut slots);
            self.atimes.write().remove(&ino);
        }
        Some(node)
    }

    pub fn atime(&self, ino: u64) -> Option<i64> {
        self.atimes.read().get(&ino).copied()
    }

    pub fn set_atime(&self, ino: u64, nanos: i64) {
        self.atimes.write().insert(ino, nanos);
    }

    /// Every number with the references to it.
    pub fn references(&self) -> Vec<(u64, u64)> {
        self.slots.read().iter().map(|(ino, slot)| (*ino, slot.references)).collect()
    }

    pub fn count(&self) -> usize {
        self.slots.read().len()
    }

    /// Nodes, and references to them together.
    pub fn counts(&self) -> (u64, u64) {
        let slots = self.slots.read();
        (slots.len() as u64, slots.values().map(|slot| slot.references).sum())
    }
}
