//! (being written)

use std::sync::Arc;
use std::time::Duration;

use super::Vfs;
use super::error::VfsError;
use super::node::*;
use crate::sys::clock::Clock;

impl Vfs {
    pub fn forget(&self, _ino: u64, _count: u64) {
        todo!()
    }
    pub async fn fetch(&self, _miss: &Miss) -> Result<(), VfsError> {
        todo!()
    }
    pub fn out_of_time(&self, _miss: &Miss) -> VfsError {
        todo!()
    }
    pub fn refusal(&self, _caller: Caller, _operation: &'static str, _error: &VfsError) -> i32 {
        todo!()
    }
    pub fn deadline(&self) -> Duration {
        self.options.deadline
    }
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.options.sys.clock.clone()
    }
    pub fn attach_kernel(&self, _kernel: Arc<dyn KernelCache>) {
        todo!()
    }
    pub fn detach_kernel(&self) {
        todo!()
    }
    pub fn lookup(&self, _caller: &Caller, _parent: u64, _name: &[u8]) -> Result<Lookup, VfsError> {
        todo!()
    }
    pub fn attr(&self, _caller: &Caller, _ino: u64) -> Result<(NodeAttr, Duration), VfsError> {
        todo!()
    }
    pub fn set_attr(
        &self,
        _caller: &Caller,
        _ino: u64,
        _handle: Option<u64>,
        _changes: &SetAttr,
    ) -> Result<(NodeAttr, Duration), VfsError> {
        todo!()
    }
    pub fn readlink(&self, _caller: &Caller, _ino: u64) -> Result<Vec<u8>, VfsError> {
        todo!()
    }
    pub fn make(
        &self,
        _caller: &Caller,
        _parent: u64,
        _name: &[u8],
        _node: NewNode<'_>,
        _mode: u16,
    ) -> Result<NodeEntry, VfsError> {
        todo!()
    }
    pub fn unlink(&self, _caller: &Caller, _parent: u64, _name: &[u8]) -> Result<(), VfsError> {
        todo!()
    }
    pub fn rmdir(&self, _caller: &Caller, _parent: u64, _name: &[u8]) -> Result<(), VfsError> {
        todo!()
    }
    pub fn rename(
        &self,
        _caller: &Caller,
        _from: (u64, &[u8]),
        _to: (u64, &[u8]),
        _flags: u32,
    ) -> Result<(), VfsError> {
        todo!()
    }
    pub fn link(&self, _caller: &Caller, _ino: u64, _parent: u64, _name: &[u8]) -> Result<NodeEntry, VfsError> {
        todo!()
    }
    pub fn open(&self, _caller: &Caller, _ino: u64, _flags: i32) -> Result<Opened, VfsError> {
        todo!()
    }
    pub fn create(
        &self,
        _caller: &Caller,
        _parent: u64,
        _name: &[u8],
        _mode: u16,
        _flags: i32,
    ) -> Result<Created, VfsError> {
        todo!()
    }
    pub fn read(&self, _caller: &Caller, _handle: u64, _offset: u64, _len: u32) -> Result<bytes::Bytes, VfsError> {
        todo!()
    }
    pub fn write(
        &self,
        _caller: &Caller,
        _handle: u64,
        _offset: u64,
        _data: &[u8],
        _drop_privileges: bool,
    ) -> Result<u32, VfsError> {
        todo!()
    }
    pub fn flush(&self, _caller: &Caller, _handle: u64) -> Result<(), VfsError> {
        todo!()
    }
    pub fn release(&self, _caller: &Caller, _handle: u64) -> Result<(), VfsError> {
        todo!()
    }
    pub fn fsync(&self, _caller: &Caller, _handle: u64, _data_only: bool) -> Result<(), VfsError> {
        todo!()
    }
    pub fn open_dir(&self, _caller: &Caller, _ino: u64) -> Result<Opened, VfsError> {
        todo!()
    }
    pub fn read_dir(
        &self,
        _handle: u64,
        _offset: u64,
        _attributes: bool,
        _take: &mut dyn FnMut(&DirItem<'_>) -> bool,
    ) -> Result<(), VfsError> {
        todo!()
    }
    pub fn statfs(&self, _caller: &Caller, _ino: u64) -> Result<StatFs, VfsError> {
        todo!()
    }
    pub fn set_xattr(
        &self,
        _caller: &Caller,
        _ino: u64,
        _name: &[u8],
        _value: &[u8],
        _flags: i32,
    ) -> Result<(), VfsError> {
        todo!()
    }
    pub fn xattr(&self, _caller: &Caller, _ino: u64, _name: &[u8], _room: u32) -> Result<XattrAnswer, VfsError> {
        todo!()
    }
    pub fn xattr_names(&self, _caller: &Caller, _ino: u64, _room: u32) -> Result<XattrAnswer, VfsError> {
        todo!()
    }
    pub fn remove_xattr(&self, _caller: &Caller, _ino: u64, _name: &[u8]) -> Result<(), VfsError> {
        todo!()
    }
    pub fn allocate(
        &self,
        _caller: &Caller,
        _handle: u64,
        _mode: i32,
        _offset: u64,
        _len: u64,
    ) -> Result<(), VfsError> {
        todo!()
    }
    pub fn seek(&self, _caller: &Caller, _handle: u64, _offset: i64, _whence: i32) -> Result<u64, VfsError> {
        todo!()
    }
    pub fn copy_range(&self, _caller: &Caller, _from: (u64, u64), _to: (u64, u64), _len: u64) -> Result<u32, VfsError> {
        todo!()
    }
}
