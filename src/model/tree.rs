//! Trees: directories as prolly-split sequences of entries, each node named by its id.

use std::sync::Arc;

use super::entry::Entry;
use super::id::{Location, NodeId, RootId};
use super::path::TOO_DEEP;

/// Sums over everything below a node, so that `du` and progress need no walk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counts {
    /// Entries of every kind at any depth.
    pub entries: u64,
    /// Regular files at any depth.
    pub files: u64,
    /// Bytes of these files.
    pub bytes: u64,
}

impl std::ops::Add for Counts {
    type Output = Counts;
    /// Saturates: a sum that passes 2^64 can only come from a writer that lied, and must not end the reader.
    fn add(self, other: Counts) -> Counts {
        Counts {
            entries: self.entries.saturating_add(other.entries),
            files: self.files.saturating_add(other.files),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Counts>>(iter: I) -> Counts {
        iter.fold(Counts::default(), std::ops::Add::add)
    }
}

/// Where a node is to be had.
#[derive(Clone, Debug)]
pub enum NodeBody {
    /// In a pack.
    Stored(Location),
    /// Here: inlined in its parent, or made in this process and not yet stored.
    Here(Arc<Node>),
}

/// Content of a directory.
#[derive(Clone, Debug)]
pub struct DirContent {
    pub id: NodeId,
    /// Below the directory, itself not counted.
    pub counts: Counts,
    pub body: NodeBody,
}

impl PartialEq for DirContent {
    /// Equal trees: locations are hints and do not count.
    fn eq(&self, other: &DirContent) -> bool {
        self.id == other.id
    }
}

impl Eq for DirContent {}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedEntry {
    pub name: Vec<u8>,
    pub entry: Entry,
}

/// A child of an inner node.
#[derive(Clone, Debug)]
pub struct Child {
    /// The greatest name below this child.
    pub last_name: Vec<u8>,
    pub id: NodeId,
    pub counts: Counts,
    pub body: NodeBody,
}

/// One node of a directory.
#[derive(Clone, Debug)]
pub enum Node {
    /// Entries sorted by name (byte order), no name twice.
    Leaf(Vec<NamedEntry>),
    /// Children in name order; `level` is 1 above leaves.
    Inner { level: u8, children: Vec<Child> },
}

impl Node {
    pub fn empty() -> Node {
        Node::Leaf(Vec::new())
    }

    /// 0 for a leaf.
    pub fn level(&self) -> u8 {
        match self {
            Node::Leaf(_) => 0,
            Node::Inner { level, .. } => *level,
        }
    }

    /// Sums over everything below.
    pub fn counts(&self) -> Counts {
        match self {
            Node::Leaf(entries) => entries.iter().map(|e| e.entry.counts()).sum(),
            Node::Inner { children, .. } => children.iter().map(|child| child.counts).sum(),
        }
    }

    /// The least name of the node itself: of an inner one the greatest below its first child.
    fn first_name(&self) -> Option<&[u8]> {
        match self {
            Node::Leaf(entries) => entries.first().map(|e| e.name.as_slice()),
            Node::Inner { children, .. } => children.first().map(|child| child.last_name.as_slice()),
        }
    }

    /// The greatest name below; none when empty.
    pub fn last_name(&self) -> Option<&[u8]> {
        match self {
            Node::Leaf(entries) => entries.last().map(|e| e.name.as_slice()),
            Node::Inner { children, .. } => children.last().map(|child| child.last_name.as_slice()),
        }
    }
}

/// Where a name would be below a node.
#[derive(Debug)]
pub enum Step<'a> {
    Found(&'a Entry),
    Absent,
    /// Look on in the child at this place (see [`Node::said_of`]).
    Descend(usize),
}

impl Node {
    /// One step of looking `name` up.
    pub fn step(&self, name: &[u8]) -> Step<'_> {
        match self {
            Node::Leaf(entries) => match entries.binary_search_by(|e| e.name.as_slice().cmp(name)) {
                Ok(at) => Step::Found(&entries[at].entry),
                Err(_) => Step::Absent,
            },
            Node::Inner { children, .. } => {
                let at = children.partition_point(|child| child.last_name.as_slice() < name);
                if at < children.len() { Step::Descend(at) } else { Step::Absent }
            }
        }
    }

    /// What this node says of its child at `at`. `after`: a name that all of its own come after.
    pub fn said_of(&self, at: usize, after: Option<&[u8]>) -> Option<Said> {
        let Node::Inner { level, children } = self else { return None };
        let before = at.checked_sub(1).and_then(|before| children.get(before));
        let after = before.map(|child| child.last_name.as_slice()).or(after);
        children.get(at).map(|child| child.said(level.saturating_sub(1), after))
    }
}

impl DirContent {
    /// What the directory's entry says of its top node.
    pub fn said(&self) -> Said {
        Said { id: self.id, body: self.body.clone(), counts: self.counts, within: None }
    }
}

impl Child {
    /// What is said of the child by being there: on `level`, with all its names after `after`.
    pub fn said(&self, level: u8, after: Option<&[u8]>) -> Said {
        let within = Within { level, after: after.map(<[u8]>::to_vec), last_name: self.last_name.clone() };
        Said { id: self.id, body: self.body.clone(), counts: self.counts, within: Some(within) }
    }
}

/// What whoever refers to a node says of it. The id alone does not show that they err, and a lookup, a listing and an
/// edit that believed different ones would see different directories.
#[derive(Clone, Debug)]
pub struct Said {
    pub id: NodeId,
    pub body: NodeBody,
    counts: Counts,
    /// None for a directory's top node.
    within: Option<Within>,
}

/// A child's place in its directory.
#[derive(Clone, Debug)]
struct Within {
    level: u8,
    /// All its names come after this one.
    after: Option<Vec<u8>>,
    last_name: Vec<u8>,
}

/// A node that is not what is said of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tree node {id}: {why}")]
pub struct Misfit {
    pub id: NodeId,
    pub why: &'static str,
}

impl Misfit {
    /// A directory that lies too deep to be followed.
    pub fn too_deep(dir: &DirContent) -> Misfit {
        Misfit { id: dir.id, why: TOO_DEEP }
    }
}

impl Said {
    /// A name that all of the node's come after.
    pub fn after(&self) -> Option<&[u8]> {
        self.within.as_ref()?.after.as_deref()
    }

    /// Fails unless `node` is what is said of it.
    pub fn check(&self, node: &Node) -> Result<(), Misfit> {
        let misfit = |why| Err(Misfit { id: self.id, why });
        if let Some(within) = &self.within {
            if node.level() != within.level {
                return misfit("it is not of the level below its parent's");
            }
            if node.last_name() != Some(&within.last_name) {
                return misfit("its last name is not the one that its parent says");
            }
            if within.after.as_deref().is_some_and(|after| node.first_name().is_none_or(|first| first <= after)) {
                return misfit("its names begin before those of the node before it end");
            }
        }
        if node.counts() != self.counts {
            return misfit("its counts are not those that its parent says");
        }
        Ok(())
    }
}

/// A set of names of one file: sorted paths, at least two.
///
/// A large group stands in the table as several adjacent ones with the same first path (see `format::link`);
/// [`super::source::read_links`] joins them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkGroup(pub Vec<super::path::TreePath>);

/// One node of the hard-link table, a split sequence of groups sorted by their first path.
#[derive(Clone, Debug)]
pub enum LinkNode {
    Leaf(Vec<LinkGroup>),
    Inner { level: u8, children: Vec<LinkChild> },
}

#[derive(Clone, Debug)]
pub struct LinkChild {
    /// Key of the last group below this child: its first path, NUL, its second path.
    pub last_key: Vec<u8>,
    pub id: NodeId,
    pub body: LinkBody,
}

#[derive(Clone, Debug)]
pub enum LinkBody {
    Stored(Location),
    Here(Arc<LinkNode>),
}

/// The top node of a snapshot's hard-link table.
#[derive(Clone, Debug)]
pub struct LinkTable {
    pub id: NodeId,
    pub body: LinkBody,
}

/// A snapshot of a whole domain: its root directory, and which of its names are one file.
#[derive(Clone, Debug)]
pub struct Root {
    pub id: RootId,
    /// A directory's entry without a name.
    pub entry: Entry,
    /// None when no file has two names.
    pub links: Option<LinkTable>,
}
