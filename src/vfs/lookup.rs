//! Finding names, and forgetting what was found.

use std::sync::Arc;
use std::time::Duration;

use super::Vfs;
use super::attr::{LEVEL_TTL, SNAPSHOT_TTL, TREE_TTL};
use super::branch::Branch;
use super::domain::DomainNode;
use super::error::VfsError;
use super::miss::Miss;
use super::node::{Caller, FileKind, Lookup, NodeAttr, NodeEntry};
use super::snapshot::{RevisionLink, SnapshotEntry, revision_number};
use super::table::Node;
use crate::model::address::{Revision, check_label};
use crate::model::id::CommitId;
use crate::model::path::{CONTROL_DIR, NAME_BYTES_MAX};

impl Vfs {
    /// Finds `name` in the directory `parent`; what is found counts as one reference.
    pub fn lookup(&self, _caller: &Caller, parent: u64, name: &[u8]) -> Result<Lookup, VfsError> {
        if name.len() > NAME_BYTES_MAX {
            return Err(VfsError::NameTooLong);
        }
        match self.nodes.get(parent)? {
            Node::Mesh => self.lookup_domain(name),
            Node::Domain(domain) => match name.strip_prefix(b"@") {
                Some(revision) => self.lookup_revision(&domain, name, revision),
                None => self.lookup_branch(&domain, name),
            },
            Node::Branch(branch) if name == CONTROL_DIR => self.lookup_control(&branch),
            Node::Branch(branch) | Node::Work(branch) => self.lookup_work(&branch, parent, name),
            Node::Snapshot(dir) => match dir.child(name) {
                Ok(child) => Ok(Lookup::Found(self.found_snapshot(child))),
                Err(VfsError::NotFound) => Ok(Lookup::Absent { ttl: SNAPSHOT_TTL }),
                Err(error) => Err(error),
            },
            Node::Control(control) => self.lookup_in_control(&control, name),
            Node::Revision(_) => Err(VfsError::NotDirectory),
        }
    }

    /// Takes back `count` references to `ino`.
    pub fn forget(&self, ino: u64, count: u64) {
        if let Some(Node::Work(branch)) = self.nodes.release(ino, count)
            && let Some(workspace) = branch.entered()
        {
            workspace.forget(ino, count);
        }
    }

    /// Gives the kernel a reference to something found.
    pub(super) fn found(&self, attr: NodeAttr, node: Node, attr_ttl: Duration, entry_ttl: Duration) -> NodeEntry {
        self.nodes.hold(attr.ino, node);
        NodeEntry { attr, attr_ttl, entry_ttl }
    }

    fn lookup_domain(&self, name: &[u8]) -> Result<Lookup, VfsError> {
        let absent = Ok(Lookup::Absent { ttl: LEVEL_TTL });
        let Some(name) = label(name) else { return absent };
        match self.domain_node(name)? {
            Some(domain) => {
                let attr = self.level_attr(domain.ino(), domain.domain().state().time);
                Ok(Lookup::Found(self.found(attr, Node::Domain(domain), LEVEL_TTL, LEVEL_TTL)))
            }
            None => absent,
        }
    }

    fn lookup_branch(&self, domain: &Arc<DomainNode>, name: &[u8]) -> Result<Lookup, VfsError> {
        let absent = Ok(Lookup::Absent { ttl: LEVEL_TTL });
        let Some(name) = label(name) else { return absent };
        self.see_news_of(domain)?;
        match domain.branch(name) {
            Some(branch) => {
                let (attr, attr_ttl) = self.branch_attr(&branch)?;
                Ok(Lookup::Found(self.found(attr, Node::Branch(branch), attr_ttl, LEVEL_TTL)))
            }
            None => absent,
        }
    }

    fn lookup_revision(&self, domain: &Arc<DomainNode>, name: &[u8], text: &[u8]) -> Result<Lookup, VfsError> {
        let revision = std::str::from_utf8(text).ok().and_then(|text| text.parse::<Revision>().ok());
        let revision = revision.ok_or_else(|| {
            VfsError::Unknown(format!(
                "`{}` is not a revision: @TAG, @BRANCH, @COMMIT, then ~N or @{{TIME}}",
                lossy(name)
            ))
        })?;
        if let Some(id) = revision.whole_commit() {
            return self.lookup_commit(domain, &id);
        }
        self.see_news_of(domain)?;
        match domain.meaning(&revision) {
            None => Err(VfsError::from(Miss::Revision(domain.clone(), revision))),
            Some(Err(reason)) => Err(VfsError::Unknown(reason)),
            Some(Ok(id)) => {
                let target = format!("@{id}").into_bytes();
                let ino = revision_number(domain.domain(), name, &id);
                let level = self.level_attr(ino, domain.domain().state().time);
                let attr = NodeAttr { kind: FileKind::Symlink, mode: 0o777, size: target.len() as u64, ..level };
                let link = Node::Revision(Arc::new(RevisionLink { attr, target }));
                Ok(Lookup::Found(self.found(attr, link, SNAPSHOT_TTL, LEVEL_TTL)))
            }
        }
    }

    fn lookup_commit(&self, domain: &Arc<DomainNode>, id: &CommitId) -> Result<Lookup, VfsError> {
        domain.freshness().used(self.clock().elapsed());
        let Some(tree) = domain.snapshot(id) else {
            return Err(VfsError::from(Miss::Snapshot(domain.clone(), *id)));
        };
        let root = tree.root()?;
        // The name is believed for a short while only: what a commit leads to may expire.
        let attr = self.snapshot_attr(&root);
        Ok(Lookup::Found(self.found(attr, Node::Snapshot(Arc::new(root)), SNAPSHOT_TTL, LEVEL_TTL)))
    }

    pub(super) fn found_snapshot(&self, entry: SnapshotEntry) -> NodeEntry {
        let attr = self.snapshot_attr(&entry);
        self.found(attr, Node::Snapshot(Arc::new(entry)), SNAPSHOT_TTL, SNAPSHOT_TTL)
    }

    fn lookup_work(&self, branch: &Arc<Branch>, parent: u64, name: &[u8]) -> Result<Lookup, VfsError> {
        branch.freshness().used(self.clock().elapsed());
        if name == CONTROL_DIR {
            return Ok(Lookup::Absent { ttl: TREE_TTL });
        }
        let (workspace, parent) = branch.inner(parent)?;
        match workspace.lookup(parent, name).map_err(|error| branch.refused(error)) {
            Ok(attr) => {
                let attr = self.work_attr(branch, &attr);
                Ok(Lookup::Found(self.found(attr, Node::Work(branch.clone()), TREE_TTL, TREE_TTL)))
            }
            Err(VfsError::NotFound) => Ok(Lookup::Absent { ttl: TREE_TTL }),
            Err(error) => Err(error),
        }
    }

    pub fn readlink(&self, _caller: &Caller, ino: u64) -> Result<Vec<u8>, VfsError> {
        match self.nodes.get(ino)? {
            Node::Work(branch) => branch.workspace()?.readlink(ino).map_err(|error| branch.refused(error)),
            Node::Revision(link) => Ok(link.target.clone()),
            Node::Snapshot(entry) => entry.tree.view().readlink(&entry.node).map_err(|error| entry.refused(error)),
            Node::Control(control) => control.target().ok_or_else(not_a_symlink),
            Node::Mesh | Node::Domain(_) | Node::Branch(_) => Err(not_a_symlink()),
        }
    }
}

fn not_a_symlink() -> VfsError {
    VfsError::Invalid("not a symlink".into())
}

/// A name that a domain or a branch can have.
pub(super) fn label(name: &[u8]) -> Option<&str> {
    std::str::from_utf8(name).ok().filter(|name| check_label(name).is_ok())
}

pub(super) fn lossy(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}
