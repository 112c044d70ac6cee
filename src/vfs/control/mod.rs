//! `.meshfs`: the folder of control files at a branch's root, found by lookup and never listed.

mod command;
mod conflicts;
mod story;
mod text;
mod verbs;

use std::sync::Arc;

pub use command::ControlHandle;
pub use story::ControlState;

use super::Vfs;
use super::attr::control_attr;
use super::branch::Branch;
use super::entries::plain;
use super::error::VfsError;
use super::listing::ListEntry;
use super::lookup::lossy;
use super::node::{Caller, FileKind, Lookup, NodeAttr, Opened, Serving, SetAttr};
use super::number::number_of;
use super::table::Node;
use crate::model::path::{CONTROL_DIR, TreePath};
use std::time::Duration;

/// Whose version of a path in conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConflictSide {
    Base,
    /// The working tree's.
    Ours,
    /// The branch's head's.
    Theirs,
}

const SIDES: [(&[u8], ConflictSide); 3] =
    [(b"base", ConflictSide::Base), (b"ours", ConflictSide::Ours), (b"theirs", ConflictSide::Theirs)];

/// What a node below `.meshfs` is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    Dir,
    Commit,
    Status,
    Head,
    Refresh,
    Discard,
    LastError,
    Conflicts,
    /// A folder on the way to the paths in conflict, as one side has them.
    Side(ConflictSide, TreePath),
    /// A symlink to what the working tree has at a path in conflict.
    Ours(TreePath),
}

const FILES: [(&[u8], Control); 6] = [
    (b"commit", Control::Commit),
    (b"discard", Control::Discard),
    (b"head", Control::Head),
    (b"last-error", Control::LastError),
    (b"refresh", Control::Refresh),
    (b"status", Control::Status),
];

const CONFLICTS: &[u8] = b"conflicts";

/// `.meshfs` of a branch, or something in it.
#[derive(Debug)]
pub struct ControlNode {
    branch: Arc<Branch>,
    control: Control,
    ino: u64,
}

impl ControlNode {
    fn new(branch: &Arc<Branch>, control: Control) -> ControlNode {
        let what = format!("{control:?}");
        let ino = number_of("control", &[&branch.ino().to_le_bytes(), what.as_bytes()]);
        ControlNode { branch: branch.clone(), control, ino }
    }

    pub fn ino(&self) -> u64 {
        self.ino
    }

    pub fn branch(&self) -> &Arc<Branch> {
        &self.branch
    }

    pub fn control(&self) -> &Control {
        &self.control
    }

    pub fn kind(&self) -> FileKind {
        match self.control {
            Control::Dir | Control::Conflicts | Control::Side(..) => FileKind::Dir,
            Control::Ours(_) => FileKind::Symlink,
            Control::Commit
            | Control::Status
            | Control::Head
            | Control::Refresh
            | Control::Discard
            | Control::LastError => FileKind::File,
        }
    }

    /// Whether it can be read, and written.
    pub fn access(&self) -> (bool, bool) {
        match self.control {
            Control::Commit => (true, true),
            Control::Refresh | Control::Discard => (false, true),
            Control::Status
            | Control::Head
            | Control::LastError
            | Control::Dir
            | Control::Conflicts
            | Control::Side(..)
            | Control::Ours(_) => (true, false),
        }
    }

    /// Where a symlink leads.
    pub fn target(&self) -> Option<Vec<u8>> {
        match &self.control {
            Control::Ours(path) => Some(conflicts::way_to_ours(path)),
            _ => None,
        }
    }
}

impl Vfs {
    /// `.meshfs` itself.
    pub(super) fn lookup_control(&self, branch: &Arc<Branch>) -> Result<Lookup, VfsError> {
        // Whoever commands has entered.
        branch.workspace()?;
        self.found_control(ControlNode::new(branch, Control::Dir))
    }

    fn found_control(&self, control: ControlNode) -> Result<Lookup, VfsError> {
        let attr = self.control_attr(&control)?;
        let node = Node::Control(Arc::new(control));
        Ok(Lookup::Found(self.found(attr, node, Duration::ZERO, Duration::ZERO)))
    }

    pub(super) fn lookup_in_control(&self, dir: &ControlNode, name: &[u8]) -> Result<Lookup, VfsError> {
        // What is in conflict changes with each command, so nothing here is believed for long.
        let absent = Ok(Lookup::Absent { ttl: Duration::ZERO });
        let found = match dir.control() {
            Control::Dir if name == CONFLICTS => Some(Control::Conflicts),
            Control::Dir => FILES.iter().find(|(file, _)| *file == name).map(|(_, control)| control.clone()),
            Control::Conflicts => {
                SIDES.iter().find(|(side, _)| *side == name).map(|(_, side)| Control::Side(*side, TreePath::root()))
            }
            Control::Side(side, above) => return self.lookup_conflict(dir, *side, above, name),
            Control::Commit
            | Control::Status
            | Control::Head
            | Control::Refresh
            | Control::Discard
            | Control::LastError
            | Control::Ours(_) => return Err(VfsError::NotDirectory),
        };
        match found {
            Some(control) => self.found_control(ControlNode::new(dir.branch(), control)),
            None => absent,
        }
    }

    pub(super) fn control_entries(&self, dir: &ControlNode) -> Result<Vec<ListEntry>, VfsError> {
        let entry = |name: &[u8], control: Control| {
            let node = ControlNode::new(dir.branch(), control);
            plain(name.to_vec(), node.ino(), node.kind())
        };
        let mut entries: Vec<ListEntry> = match dir.control() {
            Control::Dir => FILES
                .iter()
                .map(|(name, control)| entry(name, control.clone()))
                .chain([entry(CONFLICTS, Control::Conflicts)])
                .collect(),
            Control::Conflicts => {
                SIDES.iter().map(|(name, side)| entry(name, Control::Side(*side, TreePath::root()))).collect()
            }
            Control::Side(side, above) => self.conflict_entries(dir, *side, above)?,
            Control::Commit
            | Control::Status
            | Control::Head
            | Control::Refresh
            | Control::Discard
            | Control::LastError
            | Control::Ours(_) => return Err(VfsError::NotDirectory),
        };
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    pub(super) fn control_attr(&self, control: &ControlNode) -> Result<NodeAttr, VfsError> {
        let (root, _) = self.branch_attr(control.branch())?;
        Ok(control_attr(control, &root))
    }

    /// `echo >` truncates first, and that succeeds; nothing else about these files can be set.
    pub(super) fn set_control_attr(
        &self,
        control: &ControlNode,
        changes: &SetAttr,
    ) -> Result<(NodeAttr, Duration), VfsError> {
        let only_truncates = SetAttr { size: None, atime: None, mtime: None, ..*changes } == SetAttr::default();
        if !only_truncates || control.kind() != FileKind::File {
            return Err(VfsError::NotPermitted(format!(
                "the rights of `{}` are those of the branch's root",
                lossy(CONTROL_DIR)
            )));
        }
        Ok((self.control_attr(control)?, Duration::ZERO))
    }

    pub(super) fn open_control(
        &self,
        caller: &Caller,
        control: &Arc<ControlNode>,
        writes: bool,
    ) -> Result<Opened, VfsError> {
        if control.kind() == FileKind::Dir {
            return Err(VfsError::IsDirectory);
        }
        if writes {
            self.check_writable()?;
        }
        let (_, writable) = control.access();
        if writes && !writable {
            return Err(VfsError::NotPermitted("this control file is for reading only".into()));
        }
        let handle = ControlHandle::new(control.clone(), *caller);
        let handle = self.handles.add(super::handle::Handle::Control(handle));
        Ok(Opened { handle, serving: Serving::Direct })
    }
}
