//! Attributes: how things of every kind show, and changing them.

use std::time::Duration;

use super::Vfs;
use super::branch::Branch;
use super::control::ControlNode;
use super::error::VfsError;
use super::node::{Caller, FileKind, NewTime, NodeAttr, ROOT, SetAttr};
use super::snapshot::SnapshotEntry;
use super::table::Node;
use crate::model::entry::{Kind, Owner};
use crate::model::time::Time;
use crate::workspace::attr::{Attr, SetAttr as WorkSetAttr, without_privileges};

/// Domains, branches and what revisions mean are other machines' to change: believed this long.
pub const LEVEL_TTL: Duration = Duration::from_secs(1);

/// Inside a working tree every change is made here or told to the kernel.
pub const TREE_TTL: Duration = Duration::from_secs(3600);

/// A commit never changes.
pub const SNAPSHOT_TTL: Duration = Duration::from_secs(24 * 3600);

const SETGID: u16 = 0o2000;

/// A kind as stat(2) shows it: what a later version wrote is a file that cannot be read.
pub(super) fn file_kind(kind: Kind) -> FileKind {
    match kind {
        Kind::File | Kind::Unknown => FileKind::File,
        Kind::Dir => FileKind::Dir,
        Kind::Symlink => FileKind::Symlink,
        Kind::Fifo => FileKind::Fifo,
        Kind::Socket => FileKind::Socket,
        Kind::CharDevice => FileKind::CharDevice,
        Kind::BlockDevice => FileKind::BlockDevice,
    }
}

pub(super) fn inherits_group(dir: &Attr) -> bool {
    dir.mode & SETGID != 0
}

impl Vfs {
    pub fn attr(&self, _caller: &Caller, ino: u64) -> Result<(NodeAttr, Duration), VfsError> {
        let node = self.nodes.get(ino)?;
        match &node {
            Node::Mesh => Ok((self.mesh_attr(), LEVEL_TTL)),
            Node::Domain(domain) => Ok((self.level_attr(domain.ino(), domain.domain().state().time), LEVEL_TTL)),
            Node::Branch(branch) => self.branch_attr(branch),
            Node::Work(branch) => {
                let workspace = branch.workspace()?;
                let attr = workspace.attr(ino).map_err(|error| branch.refused(error))?;
                Ok((self.work_attr(branch, &attr), TREE_TTL))
            }
            Node::Revision(link) => Ok((link.attr, SNAPSHOT_TTL)),
            Node::Snapshot(entry) => Ok((self.snapshot_attr(entry), SNAPSHOT_TTL)),
            Node::Control(control) => Ok((self.control_attr(control)?, Duration::ZERO)),
        }
    }

    /// Of a branch that nobody entered, only what needs no workspace.
    pub(super) fn branch_attr(&self, branch: &Branch) -> Result<(NodeAttr, Duration), VfsError> {
        match branch.entered().map(|workspace| workspace.attr(workspace.root_ino())) {
            Some(Ok(attr)) => Ok((self.work_attr(branch, &attr), TREE_TTL)),
            // The root's own attributes need nothing fetched; were it otherwise, these would do until it is entered.
            Some(Err(_)) | None => Ok((self.level_attr(branch.ino(), branch.domain().state().time), LEVEL_TTL)),
        }
    }

    pub(super) fn mesh_attr(&self) -> NodeAttr {
        self.level_attr(ROOT, Time(self.started))
    }

    /// A directory above the working trees.
    pub(super) fn level_attr(&self, ino: u64, time: Time) -> NodeAttr {
        NodeAttr {
            ino,
            kind: FileKind::Dir,
            mode: 0o755,
            uid: self.options.uid,
            gid: self.options.gid,
            rdev: 0,
            size: 0,
            blocks: 0,
            atime: time.0,
            mtime: time.0,
            ctime: time.0,
            nlink: 1,
        }
    }

    pub(super) fn work_attr(&self, branch: &Branch, attr: &Attr) -> NodeAttr {
        self.shown(attr, branch.outer(attr.ino))
    }

    pub(super) fn snapshot_attr(&self, entry: &SnapshotEntry) -> NodeAttr {
        self.shown(&entry.node.attr, entry.ino())
    }

    fn shown(&self, attr: &Attr, ino: u64) -> NodeAttr {
        let owner = self.shown_owner(attr.owner);
        // A later version's kind of content can be neither read nor written here; no right helps.
        let mode = if attr.kind == Kind::Unknown { 0 } else { attr.mode };
        NodeAttr {
            ino,
            kind: file_kind(attr.kind),
            mode,
            uid: owner.uid,
            gid: owner.gid,
            rdev: attr.rdev,
            size: attr.size,
            blocks: attr.blocks,
            atime: self.nodes.atime(ino).unwrap_or(attr.mtime.0),
            mtime: attr.mtime.0,
            ctime: attr.ctime.0,
            nlink: attr.nlink,
        }
    }

    fn shown_owner(&self, stored: Option<Owner>) -> Owner {
        let mounter = Owner { uid: self.options.uid, gid: self.options.gid };
        stored.filter(|_| self.options.stored_owners).unwrap_or(mounter)
    }

    /// The owner that what `caller` makes in `dir` is stored with.
    pub(super) fn owner_of_new(&self, caller: &Caller, dir: &Attr) -> Option<Owner> {
        let gid = if inherits_group(dir) { self.shown_owner(dir.owner).gid } else { caller.gid };
        self.options.stored_owners.then_some(Owner { uid: caller.uid, gid })
    }

    pub fn set_attr(
        &self,
        caller: &Caller,
        ino: u64,
        _handle: Option<u64>,
        changes: &SetAttr,
    ) -> Result<(NodeAttr, Duration), VfsError> {
        match self.nodes.get(ino)? {
            Node::Branch(branch) | Node::Work(branch) => {
                self.check_writable()?;
                let (workspace, inner) = branch.inner(ino)?;
                let now = workspace.attr(inner).map_err(|error| branch.refused(error))?;
                let change = self.work_changes(caller, &now, changes)?;
                if changes.size.is_some() || changes.uid.is_some() {
                    self.drop_capabilities(&branch, inner)?;
                }
                // Reading is no change: a time of access alone stages nothing.
                let only_access = SetAttr { atime: None, ..*changes } == SetAttr::default() && changes.atime.is_some();
                let changed = if only_access { workspace.attr(inner) } else { workspace.set_attr(inner, change) };
                let attr = changed.map_err(|error| branch.refused(error))?;
                if let Some(atime) = changes.atime {
                    self.nodes.set_atime(ino, self.moment(atime).0);
                }
                Ok((self.work_attr(&branch, &attr), TREE_TTL))
            }
            Node::Control(control) => self.set_control_attr(&control, changes),
            Node::Mesh | Node::Domain(_) | Node::Revision(_) => Err(VfsError::NotPermitted(
                "domains, branches and revisions have no attributes of their own to change".into(),
            )),
            Node::Snapshot(_) => Err(read_only_snapshot()),
        }
    }

    fn work_changes(&self, caller: &Caller, now: &Attr, changes: &SetAttr) -> Result<WorkSetAttr, VfsError> {
        let shown = self.shown_owner(now.owner);
        let wanted = Owner { uid: changes.uid.unwrap_or(shown.uid), gid: changes.gid.unwrap_or(shown.gid) };
        if !self.options.stored_owners && wanted != shown {
            return Err(VfsError::NotPermitted(
                "this mount shows everything as its mounter's: owners are kept where root mounts with --allow-other"
                    .into(),
            ));
        }
        let is_owner_change = changes.uid.is_some() || changes.gid.is_some();
        // chown(2) takes privileges off for whoever calls, truncation for whoever may not keep them.
        let drops = now.kind != Kind::Dir && (is_owner_change || (changes.size.is_some() && caller.uid != 0));
        let mode = changes.mode.or(drops.then_some(without_privileges(now.mode)).filter(|mode| *mode != now.mode));
        Ok(WorkSetAttr {
            mode,
            owner: (wanted != shown).then_some(wanted),
            size: changes.size,
            mtime: changes.mtime.map(|time| self.moment(time)),
        })
    }

    fn moment(&self, time: NewTime) -> Time {
        match time {
            NewTime::Now => Time(self.options.sys.clock.now()),
            NewTime::At(nanos) => Time(nanos),
        }
    }

    /// Refuses changes on a mount that takes none.
    pub(super) fn check_writable(&self) -> Result<(), VfsError> {
        if self.options.read_only {
            return Err(VfsError::ReadOnly(
                "this mount is read-only: mount without --read-only to change things".into(),
            ));
        }
        Ok(())
    }
}

/// Why nothing in a snapshot changes.
pub(super) fn read_only_snapshot() -> VfsError {
    VfsError::ReadOnly("a snapshot never changes: change the branch's working tree, and commit".into())
}

/// A control file or folder's attributes, from those of its branch's root: who may write there may command.
pub(super) fn control_attr(control: &ControlNode, root: &NodeAttr) -> NodeAttr {
    let kind = control.kind();
    let (read, write) = control.access();
    let mut mode = 0;
    for (readers, writers, searchers) in [(0o400, 0o200, 0o100), (0o040, 0o020, 0o010), (0o004, 0o002, 0o001)] {
        let may_read = root.mode & readers != 0 && read;
        let may_write = root.mode & writers != 0 && write;
        let may_search = root.mode & searchers != 0 && kind == FileKind::Dir;
        mode |= [(may_read, readers), (may_write, writers), (may_search, searchers)]
            .iter()
            .filter(|(may, _)| *may)
            .fold(0, |mode, (_, bit)| mode | bit);
    }
    let mode = if kind == FileKind::Symlink { 0o777 } else { mode };
    let size = control.target().map_or(0, |target| target.len() as u64);
    NodeAttr { ino: control.ino(), kind, mode, size, blocks: 0, nlink: 1, rdev: 0, ..*root }
}
