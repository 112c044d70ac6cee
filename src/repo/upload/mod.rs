//! Sending one commit: chunks and nodes into packs, packs into the store.
//!
//! An upload is one writer's, in path order: contents first, then the nodes of the tree that names them. Nothing it
//! sent counts until a log entry lands that leads to it.

mod content;
mod digest;
mod nodes;
pub mod sent;
pub mod source;
mod writer;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use self::content::StoredPages;
use self::digest::{BaseChunks, Body, CRUMB_BYTES, Known, Prepared, PreparedChunk, prepare};
use self::sent::SentIndex;
use self::writer::PackWriter;
use super::domain::{Domain, Sent};
use super::error::RepoError;
use super::objects::Objects;
use crate::format::chunk::Piece;
use crate::model::content::{Constants, FileContent};
use crate::model::entry::{XATTR_INLINE_BYTES_MAX, XattrValue};
use crate::model::id::{Location, NodeId, PackName};
use crate::sys::{Sys, task};

/// Told how many bytes of sources were dealt with since it was last told.
pub type ProgressHook = Arc<dyn Fn(u64) + Send + Sync>;

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
    pub progress: Option<ProgressHook>,
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
pub struct Upload {
    objects: Objects,
    options: UploadOptions,
    known: Arc<Known>,
    writer: PackWriter,
    pages: StoredPages,
    nodes: HashMap<NodeId, Location>,
    /// Packs of earlier uploads that this one relies on, with their labels.
    used: BTreeMap<PackName, u64>,
    /// The pack that the last chunk found in the sent index lies in: the next crumb in it continues a run.
    run: Option<PackName>,
}

impl Upload {
    /// To be called on the runtime that sends.
    pub fn new(objects: &Objects, options: UploadOptions) -> Upload {
        let random = options.sys.random.clone();
        let runtime = objects.shared().runtime().clone();
        let writer = PackWriter::new(objects.place().clone(), options.epoch, options.sent.clone(), random, runtime);
        Upload {
            objects: objects.clone(),
            known: Arc::new(Known::new(options.sent.clone())),
            writer,
            pages: StoredPages::new(),
            nodes: HashMap::new(),
            used: BTreeMap::new(),
            run: None,
            options,
        }
    }

    /// An upload to a domain, labelled with the newest epoch known now.
    pub fn begin(domain: &Domain, progress: Option<ProgressHook>) -> Upload {
        let sent = SentIndex { db: domain.db().clone(), domain: domain.info().uid };
        let epoch = domain.state().fence.epoch;
        sent.forget_old(epoch);
        let options = UploadOptions {
            epoch,
            sent: Some(sent),
            constants: domain.constants(),
            sys: domain.sys().clone(),
            progress,
        };
        Upload::new(domain.objects(), options)
    }

    /// An upload that sends nothing: what comes of it has the ids it would have, and lies nowhere.
    pub fn dry(domain: &Domain) -> Upload {
        let mut upload = Upload::begin(domain, None);
        upload.known = Arc::new(Known::new(None));
        upload.writer.send_nothing();
        upload
    }

    /// The value of an extended attribute as an entry has it: a long one is sent.
    pub async fn xattr(&mut self, value: Vec<u8>) -> Result<XattrValue, RepoError> {
        if value.len() <= XATTR_INLINE_BYTES_MAX {
            return Ok(XattrValue::Inline(value));
        }
        let known = self.known.clone();
        let pieces = vec![Piece::Chunk(value.into())];
        let mut prepared = task::blocking(move || prepare(pieces, &known, &BaseChunks::new())).await?;
        match prepared.pop() {
            Some(Prepared::Chunk(chunk)) => {
                let (len, id) = (chunk.len, chunk.id);
                Ok(XattrValue::Chunk { len, id, location: self.place_chunk(chunk).await? })
            }
            _ => Err(RepoError::Refused("an attribute's value became no chunk".to_owned())),
        }
    }

    /// The packs whose bytes this upload relies on and no entry has landed yet: its own, and those of earlier uploads
    /// that it used again, each with its label.
    pub fn packs(&self) -> Vec<Sent<PackName>> {
        let own = self.writer.packs().iter().map(|&name| Sent { name, epoch: self.options.epoch });
        own.chain(self.used.iter().map(|(&name, &epoch)| Sent { name, epoch })).collect()
    }

    /// Where a chunk lies from now on.
    async fn place_chunk(&mut self, chunk: PreparedChunk) -> Result<Location, RepoError> {
        let PreparedChunk { len, id, body } = chunk;
        // Its like may have been placed since it was looked up.
        let known = self.known.find(&id);
        let location = match (body, known) {
            (Body::Known(location), _) | (_, Some(location)) => return Ok(location),
            (Body::New(frame), None) => self.writer.add(&frame, id.0).await?,
            (Body::Sent(sent, frame), None) => {
                let pack = sent.location.pack;
                let in_run = self.run.replace(pack) == Some(pack) || len as usize >= CRUMB_BYTES;
                match frame.filter(|_| !in_run) {
                    Some(frame) => self.writer.add(&frame, id.0).await?,
                    None => {
                        // Of two labels the older asks for more checks.
                        let label = self.used.entry(pack).or_insert(sent.epoch);
                        *label = sent.epoch.min(*label);
                        sent.location
                    }
                }
            }
        };
        self.known.add(id, location);
        Ok(location)
    }

    fn progress(&self, bytes: u64) {
        if let Some(progress) = &self.options.progress {
            progress(bytes);
        }
    }
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Upload({} packs, epoch {})", self.writer.packs().len(), self.options.epoch)
    }
}
