//! Reading one domain's nodes and contents: from memory, from this machine's blocks of packs, from the store.
//!
//! Whatever is decoded was checked: each frame against its checksum, each node, page and chunk against its id. What
//! cannot be had whole is an error that names it, never other bytes.

pub mod ahead;
pub mod shared;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use self::ahead::ReadAhead;
use self::shared::Shared;
use super::error::RepoError;
use super::layout::Place;
use crate::model::content::{ExternalContent, FileContent, Item};
use crate::model::entry::XattrValue;
use crate::model::id::{ChunkId, Location, NodeId, RootId};
use crate::model::source::NodeSource;
use crate::model::tree::{LinkBody, LinkNode, Node, NodeBody, Root};

/// Reads what one domain stores. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Objects(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    place: Place,
    shared: Arc<Shared>,
}

/// An item of a file, and the file offset where it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlacedItem {
    pub offset: u64,
    pub item: Item,
}

impl Objects {
    /// Reads the packs of `place` through what all domains of the mesh share.
    pub fn new(place: Place, shared: Arc<Shared>) -> Objects {
        Objects(Arc::new(Inner { place, shared }))
    }

    /// The node, when it is in memory or on this machine's disk; never asks the store.
    pub fn cached_node(&self, _id: &NodeId, _body: &NodeBody) -> Option<Arc<Node>> {
        todo!()
    }

    /// The hard-link node, when it is in memory or on this machine's disk; never asks the store.
    pub fn cached_link_node(&self, _id: &NodeId, _body: &LinkBody) -> Option<Arc<LinkNode>> {
        todo!()
    }

    /// [`Objects::read`], when all of it is in memory or on this machine's disk; never asks the store.
    pub fn cached_read(&self, _content: &FileContent, _offset: u64, _len: u64) -> Option<Bytes> {
        todo!()
    }

    /// The bytes of a range of a file: fewer where it passes the end, none when it lies past it.
    pub async fn read(&self, _content: &FileContent, _offset: u64, _len: u64) -> Result<Bytes, RepoError> {
        todo!()
    }

    /// Tells that a handle is about to read this range: fetches in the background what a sequential reader needs next.
    /// To be called before each read of the handle, hit or miss; returns at once.
    pub fn advance(&self, _ahead: &ReadAhead, _content: &FileContent, _offset: u64, _len: u64) {
        todo!()
    }

    /// The items that touch a range of a file, in order.
    pub async fn items(&self, _content: &FileContent, _range: Range<u64>) -> Result<Vec<PlacedItem>, RepoError> {
        todo!()
    }

    /// [`Objects::items`], when the pages are in memory or on this machine's disk; never asks the store.
    pub fn cached_items(&self, _content: &FileContent, _range: Range<u64>) -> Option<Vec<PlacedItem>> {
        todo!()
    }

    /// The first byte of data at or after `offset`, as lseek(2) has it; none when only holes follow, or the end.
    pub async fn next_data(&self, _content: &FileContent, _offset: u64) -> Result<Option<u64>, RepoError> {
        todo!()
    }

    /// The first byte of a hole at or after `offset`, the end of the file counting as one; none at or past the end.
    pub async fn next_hole(&self, _content: &FileContent, _offset: u64) -> Result<Option<u64>, RepoError> {
        todo!()
    }

    /// [`Objects::next_data`] without the store: the outer none says that it is needed.
    pub fn cached_next_data(&self, _content: &FileContent, _offset: u64) -> Option<Option<u64>> {
        todo!()
    }

    /// [`Objects::next_hole`] without the store: the outer none says that it is needed.
    pub fn cached_next_hole(&self, _content: &FileContent, _offset: u64) -> Option<Option<u64>> {
        todo!()
    }

    /// A whole snapshot's root object.
    pub async fn root(&self, _id: &RootId, _location: &Location) -> Result<Root, RepoError> {
        todo!()
    }

    /// One chunk's raw bytes.
    pub async fn chunk(&self, _id: &ChunkId, _location: &Location) -> Result<Bytes, RepoError> {
        todo!()
    }

    /// The value of an extended attribute.
    pub async fn xattr_value(&self, _value: &XattrValue) -> Result<Bytes, RepoError> {
        todo!()
    }

    /// [`Objects::xattr_value`], when it is in memory or on this machine's disk; never asks the store.
    pub fn cached_xattr_value(&self, _value: &XattrValue) -> Option<Bytes> {
        todo!()
    }

    /// A range of a file outside the mesh; an error when the source is no longer the one that was imported.
    pub async fn read_external(&self, _content: &ExternalContent, _offset: u64, _len: u64) -> Result<Bytes, RepoError> {
        todo!()
    }
}

impl NodeSource for Objects {
    type Error = RepoError;

    async fn node(&self, _id: &NodeId, _body: &NodeBody) -> Result<Arc<Node>, RepoError> {
        todo!()
    }

    async fn link_node(&self, _id: &NodeId, _body: &LinkBody) -> Result<Arc<LinkNode>, RepoError> {
        todo!()
    }
}
