//! Open files: reading, writing, space, and what closing does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::Vfs;
use super::attr::read_only_snapshot;
use super::branch::Branch;
use super::error::VfsError;
use super::handle::{Handle, SnapshotFile, WorkFile};
use super::node::{Caller, Created, DirServing, NewNode, Opened, OpenedDir, Outdated, Serving};
use super::table::Node;
use crate::model::entry::Kind;
use crate::repo::objects::ahead::ReadAhead;
use crate::workspace::attr::{AllocateMode, SeekFor, Serving as WorkServing, SetAttr, without_privileges};
use crate::workspace::direct::{CAPABILITY, Kernel};

/// Most bytes that one answer to copy_file_range(2) counts: a multiple of the page size below 2^31, as read(2) has it.
const COPY_BYTES_MAX: u64 = 0x7fff_f000;

/// Does open(2) with these flags write?
fn writes(flags: i32) -> bool {
    matches!(flags & libc::O_ACCMODE, libc::O_WRONLY | libc::O_RDWR)
}

/// May what is being made become a copy of a committed file? Whoever copies (`cp`, `install`, `rsync`'s kind) makes a new
/// file and only writes to it. Served by us, it shares the data; the kernel's own writes could only copy it.
fn may_become_a_copy(flags: i32) -> bool {
    flags & libc::O_EXCL != 0 && flags & libc::O_ACCMODE == libc::O_WRONLY
}

/// The one place that decides how the kernel serves an inode of a working tree, by what the workspace says of it.
fn serving(state: &WorkServing) -> Serving {
    match state {
        WorkServing::KeptPages => Serving::Kept,
        WorkServing::Passthrough(backing) => Serving::Passthrough(backing.clone()),
    }
}

impl Vfs {
    pub fn open(&self, caller: &Caller, ino: u64, flags: i32) -> Result<Opened, VfsError> {
        match self.nodes.get(ino)? {
            Node::Work(branch) => self.open_work(caller, &branch, ino, flags),
            Node::Snapshot(entry) => {
                if writes(flags) {
                    return Err(read_only_snapshot());
                }
                if entry.is_dir() {
                    return Err(VfsError::IsDirectory);
                }
                if entry.node.attr.kind == Kind::Unknown {
                    return Err(unknown_kind());
                }
                let handle = SnapshotFile { entry, ahead: Arc::new(ReadAhead::new()) };
                let handle = self.handles.add(Handle::Snapshot(handle));
                Ok(Opened { handle, serving: Serving::Kept })
            }
            Node::Control(control) => self.open_control(caller, &control, writes(flags)),
            Node::Mesh | Node::Domain(_) | Node::Branch(_) => Err(VfsError::IsDirectory),
            Node::Revision(_) => Err(VfsError::Invalid("a symlink is not opened itself".into())),
        }
    }

    fn open_work(&self, caller: &Caller, branch: &Arc<Branch>, ino: u64, flags: i32) -> Result<Opened, VfsError> {
        let write = writes(flags);
        if write {
            self.check_writable()?;
        }
        branch.freshness().used(self.clock().elapsed());
        let truncate = write && flags & libc::O_TRUNC != 0;
        let backer = self.backer.read().clone().filter(|_| !may_become_a_copy(flags));
        let kernel = backer.as_deref().map(|backer| Kernel { backer, keeps_privileges: caller.uid == 0 });
        let opened = branch.workspace()?.open_file_for(kernel, ino, write, truncate);
        let file = opened.map_err(|error| branch.refused(error))?;
        let serving = serving(file.serving());
        let handle = WorkFile { branch: branch.clone(), file, capabilities_dropped: AtomicBool::new(false) };
        let handle = self.handles.add(Handle::Work(handle));
        Ok(Opened { handle, serving })
    }

    /// Makes a file and opens it; one that is there already is opened, unless O_EXCL forbids.
    pub fn create(
        &self,
        caller: &Caller,
        parent: u64,
        name: &[u8],
        mode: u16,
        flags: i32,
    ) -> Result<Created, VfsError> {
        let entry = match self.make(caller, parent, name, NewNode::File, mode) {
            Err(VfsError::Exists) if flags & libc::O_EXCL == 0 => match self.lookup(caller, parent, name)? {
                super::node::Lookup::Found(entry) => entry,
                super::node::Lookup::Absent { .. } => return Err(VfsError::NotFound),
            },
            made => made?,
        };
        match self.open(caller, entry.attr.ino, flags) {
            Ok(opened) => Ok(Created { entry, opened }),
            Err(error) => {
                // The kernel learns of no entry, so it will never give this reference back.
                self.forget(entry.attr.ino, 1);
                Err(error)
            }
        }
    }

    pub fn read(&self, _caller: &Caller, handle: u64, offset: u64, len: u32) -> Result<Bytes, VfsError> {
        let handle = self.handles.get(handle)?;
        match &*handle {
            Handle::Work(work) => work.file.read(offset, len as usize).map_err(|error| work.branch.refused(error)),
            Handle::Snapshot(SnapshotFile { entry, ahead }) => {
                let view = entry.tree.view();
                view.read(&entry.node, offset, len as usize, Some(ahead)).map_err(|error| entry.refused(error))
            }
            Handle::Control(control) => self.read_control(control, offset, len),
            Handle::Dir(_) => Err(VfsError::IsDirectory),
        }
    }

    /// Writes at `offset`. `drop_privileges`: the caller may not keep setuid and setgid on what it writes to.
    pub fn write(
        &self,
        caller: &Caller,
        handle: u64,
        offset: u64,
        data: &[u8],
        drop_privileges: bool,
    ) -> Result<u32, VfsError> {
        let handle = self.handles.get(handle)?;
        match &*handle {
            Handle::Work(work) => {
                self.drop_privileges(work, drop_privileges)?;
                let written = work.file.write(offset, data).map_err(|error| work.branch.refused(error))?;
                Ok(u32::try_from(written).unwrap_or(u32::MAX))
            }
            Handle::Control(control) => self.write_control(caller, control, data),
            Handle::Snapshot(_) | Handle::Dir(_) => Err(VfsError::BadHandle),
        }
    }

    fn drop_privileges(&self, work: &WorkFile, also_mode: bool) -> Result<(), VfsError> {
        let refused = |error| work.branch.refused(error);
        if !work.capabilities_dropped.load(Ordering::Relaxed) {
            self.drop_capabilities(&work.branch, work.file.ino())?;
            work.capabilities_dropped.store(true, Ordering::Relaxed);
        }
        if also_mode {
            let mode = work.file.attr().map_err(refused)?.mode;
            let without = without_privileges(mode);
            if without != mode {
                let change = SetAttr { mode: Some(without), ..SetAttr::default() };
                work.branch.workspace()?.set_attr(work.file.ino(), change).map_err(refused)?;
            }
        }
        Ok(())
    }

    /// Takes capabilities off a file that is about to change.
    pub(super) fn drop_capabilities(&self, branch: &Arc<Branch>, inner: u64) -> Result<(), VfsError> {
        match branch.workspace()?.remove_xattr(inner, CAPABILITY).map_err(|error| branch.refused(error)) {
            Ok(()) | Err(VfsError::NoAttribute) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub fn release(&self, _caller: &Caller, handle: u64) -> Result<(), VfsError> {
        let handle = self.handles.remove(handle).ok_or(VfsError::BadHandle)?;
        if let Handle::Work(work) = &*handle
            && work.file.look().map_err(|error| work.branch.refused(error))?
        {
            // Nobody waits: what was written by write(2) the kernel knows, and of mappings it is told late in any case.
            self.ask_kernel(vec![Outdated::Attributes { ino: work.file.ino() }]);
        }
        Ok(())
    }

    pub fn fsync(&self, _caller: &Caller, handle: u64, data_only: bool) -> Result<(), VfsError> {
        let handle = self.handles.get(handle)?;
        match &*handle {
            Handle::Work(work) => work.file.sync(data_only).map_err(|error| work.branch.refused(error)),
            Handle::Dir(dir) => match &dir.node {
                Node::Branch(branch) | Node::Work(branch) => {
                    let (workspace, inner) = branch.inner(dir.ino)?;
                    workspace.sync_dir(inner).map_err(|error| branch.refused(error))
                }
                // What is there lies in the store.
                Node::Mesh | Node::Domain(_) | Node::Revision(_) | Node::Snapshot(_) | Node::Control(_) => Ok(()),
            },
            Handle::Snapshot(_) | Handle::Control(_) => Ok(()),
        }
    }

    pub fn open_dir(&self, _caller: &Caller, ino: u64) -> Result<OpenedDir, VfsError> {
        let node = self.nodes.get(ino)?;
        let serving = match &node {
            Node::Mesh => self.see_news_of_domains().map(|()| DirServing::Direct)?,
            Node::Domain(domain) => self.see_news_of(domain).map(|()| DirServing::Direct)?,
            Node::Branch(branch) | Node::Work(branch) => {
                branch.freshness().used(self.clock().elapsed());
                branch.workspace()?;
                if branch.listings().is_whole(ino) { DirServing::Kept } else { DirServing::Fresh }
            }
            Node::Snapshot(entry) if entry.is_dir() => DirServing::Fresh,
            Node::Control(control) if control.kind() == super::node::FileKind::Dir => DirServing::Direct,
            Node::Snapshot(_) | Node::Control(_) | Node::Revision(_) => return Err(VfsError::NotDirectory),
        };
        let handle = self.handles.add(Handle::Dir(self.tellers.open(node, ino)));
        Ok(OpenedDir { handle, serving })
    }

    pub fn allocate(&self, _caller: &Caller, handle: u64, mode: i32, offset: u64, len: u64) -> Result<(), VfsError> {
        const KEEP_SIZE: i32 = libc::FALLOC_FL_KEEP_SIZE;
        const PUNCH: i32 = libc::FALLOC_FL_PUNCH_HOLE | KEEP_SIZE;
        const ZERO: i32 = libc::FALLOC_FL_ZERO_RANGE;
        const ZERO_KEEP: i32 = ZERO | KEEP_SIZE;
        let mode = match mode {
            0 => AllocateMode::Grow,
            KEEP_SIZE => AllocateMode::KeepSize,
            PUNCH => AllocateMode::PunchHole,
            ZERO => AllocateMode::ZeroRange,
            ZERO_KEEP => AllocateMode::ZeroRangeKeepSize,
            _ => {
                return Err(VfsError::NotSupported("fallocate: ranges are not collapsed, inserted or unshared".into()));
            }
        };
        let handle = self.handles.get(handle)?;
        let work = writable(&handle)?;
        self.drop_privileges(work, false)?;
        work.file.allocate(mode, offset, len).map_err(|error| work.branch.refused(error))
    }

    /// The next data or hole at or after `offset`.
    pub fn seek(&self, _caller: &Caller, handle: u64, offset: i64, whence: i32) -> Result<u64, VfsError> {
        let what = match whence {
            libc::SEEK_DATA => SeekFor::Data,
            libc::SEEK_HOLE => SeekFor::Hole,
            _ => return Err(VfsError::Invalid("lseek: the kernel itself knows every place but data and holes".into())),
        };
        let offset = u64::try_from(offset).map_err(|_| VfsError::NoData)?;
        let handle = self.handles.get(handle)?;
        match &*handle {
            Handle::Work(work) => work.file.seek(what, offset).map_err(|error| work.branch.refused(error)),
            Handle::Snapshot(SnapshotFile { entry, .. }) => {
                entry.tree.view().seek(&entry.node, what, offset).map_err(|error| entry.refused(error))
            }
            Handle::Control(_) | Handle::Dir(_) => Err(VfsError::BadHandle),
        }
    }

    /// Copies within a domain without moving data, as far as can be; tells how many bytes.
    pub fn copy_range(&self, _caller: &Caller, from: (u64, u64), to: (u64, u64), len: u64) -> Result<u32, VfsError> {
        let (source, target) = (self.handles.get(from.0)?, self.handles.get(to.0)?);
        let target = writable(&target)?;
        // On this answer the kernel copies by reading and writing.
        let elsewhere = || VfsError::CrossDevice("only files of one domain share data".into());
        let Handle::Work(source) = &*source else { return Err(elsewhere()) };
        if source.branch.domain().info().uid != target.branch.domain().info().uid {
            return Err(elsewhere());
        }
        self.drop_privileges(target, false)?;
        let copied = target.file.copy_from(&source.file, from.1, to.1, len.min(COPY_BYTES_MAX));
        // What is missing may be the source's, which knows how to fetch for both: they are of one domain.
        let copied = copied.map_err(|error| source.branch.refused(error))?;
        Ok(u32::try_from(copied).unwrap_or(u32::MAX))
    }
}

fn writable(handle: &Handle) -> Result<&WorkFile, VfsError> {
    match handle {
        Handle::Work(work) if work.file.writable() => Ok(work),
        _ => Err(VfsError::BadHandle),
    }
}

fn unknown_kind() -> VfsError {
    VfsError::Unreadable("a later version of meshfs wrote this: use that version to read it".into())
}
