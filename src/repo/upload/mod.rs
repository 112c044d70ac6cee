//! Sending one commit: chunks and nodes into packs, packs into the store.
//!
//! An upload is one writer's, in path order: contents first, then the nodes of the tree that names them. Nothing it
//! sent counts until a log entry lands that leads to it.

pub mod sent;
pub mod source;

use std::ops::Range;
use std::sync::Arc;

use self::sent::SentIndex;
use self::source::ReadAt;
use super::domain::Sent;
use super::error::RepoError;
use super::objects::Objects;
use crate::model::content::{Constants, FileContent};
use crate::model::entry::XattrValue;
use crate::model::id::{Location, PackName};
use crate::model::tree::Root;
use crate::sys::Sys;

/// What an upload needs besides the domain's objects.
#[derive(Clone)]
pub struct UploadOptions {
    /// The newest epoch known before the upload began: the label of everything it sends.
    pub epoch: u64,
    /// What this machine sent before and may use again.
    pub sent: Option<SentIndex>,
    /// How the mesh cuts files.
    pub constants: Constants,
    pub sys: Sys,
    /// Told how many bytes of sources were dealt with since it was last told.
    pub progress: Option<Arc<dyn Fn(u64) + Send + Sync>>,
}

/// The version that a staged file was made from, and where it may differ from it.
#[derive(Clone, Copy, Debug)]
pub struct Base<'a> {
    pub content: &'a FileContent,
    /// Sorted, not touching. Bytes outside are the base's (zeros past its end), whatever the source says of them.
    /// None: every byte of the source counts, and the base only saves sending what it has.
    pub dirty: Option<&'a [Range<u64>]>,
}

/// One commit's way into the store. Dropping it gives up what is not finished.
pub struct Upload {}

impl Upload {
    pub fn new(_objects: &Objects, _options: UploadOptions) -> Upload {
        todo!()
    }

    /// Sends the content of a regular file of `size` bytes. A source that ends before them is an error.
    pub async fn file(
        &mut self,
        _source: Arc<dyn ReadAt>,
        _size: u64,
        _base: Option<Base<'_>>,
    ) -> Result<FileContent, RepoError> {
        todo!()
    }

    /// The value of an extended attribute as an entry has it: a long one is sent.
    pub async fn xattr(&mut self, _value: Vec<u8>) -> Result<XattrValue, RepoError> {
        todo!()
    }

    /// Sends every node that is only here and not inlined, children first, then the root object; what was sent before
    /// them in the same pack goes with them. Gives the snapshot with all its nodes stored, and where its root lies.
    /// May be called again for another root, as when the branch moved: nodes sent already are not sent again.
    pub async fn finish_nodes(&mut self, _root: Root) -> Result<(Root, Location), RepoError> {
        todo!()
    }

    /// The packs whose bytes this upload relies on and no entry has landed yet: its own, and those of earlier uploads
    /// that it used again, each with its label.
    pub fn packs(&self) -> Vec<Sent<PackName>> {
        todo!()
    }
}
