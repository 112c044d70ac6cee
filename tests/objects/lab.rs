//! One store, machines with caches of their own that use it, and bytes to store.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use meshfs::format::split::build_dir;
use meshfs::model::content::{Constants, FileContent};
use meshfs::model::entry::{Content, Entry, Meta};
use meshfs::model::id::{Location, RootId};
use meshfs::model::time::Time;
use meshfs::model::tree::{NamedEntry, Root};
use meshfs::repo::layout::Place;
use meshfs::repo::objects::Objects;
use meshfs::repo::objects::shared::{ReadOptions, Shared};
use meshfs::repo::upload::sent::SentIndex;
use meshfs::repo::upload::source::ReadAt;
use meshfs::repo::upload::{Base, Upload, UploadOptions};
use meshfs::storage::backend::open_bare;
use meshfs::storage::count::CountingStore;
use meshfs::storage::url::StoreUrl;
use meshfs::storage::{Store, StoreSettings};
use meshfs::sys::Sys;
use meshfs::sys::random::{Random, SeededRandom};
use meshfs::telemetry::counters::{Counters, Counts};

use crate::common::scratch::Scratch;

pub const KIB: usize = 1 << 10;
pub const MIB: usize = 1 << 20;

pub struct Lab {
    /// The store as it is, to look at and to damage.
    pub bare: Arc<dyn Store>,
    /// The same, as machines use it.
    pub store: Arc<dyn Store>,
    pub counters: Arc<Counters>,
    scratch: Scratch,
    machines: AtomicU64,
}

impl Lab {
    /// A store across a network, as far as caches know.
    pub fn remote() -> Lab {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("objects-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        Lab::on(&StoreUrl::Memory(name), Scratch::new(), |store| store)
    }

    /// A store in a folder of this machine.
    pub fn local() -> Lab {
        let scratch = Scratch::new();
        let folder = scratch.folder("store");
        Lab::on(&StoreUrl::Local(folder), scratch, |store| store)
    }

    /// A remote store with something between it and its users.
    pub fn behind(wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>) -> Lab {
        let Lab { bare, counters, scratch, machines, .. } = Lab::remote();
        let store = wrap(Arc::new(CountingStore::new(bare.clone(), counters.clone())));
        Lab { bare, store, counters, scratch, machines }
    }

    fn on(url: &StoreUrl, scratch: Scratch, wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>) -> Lab {
        let bare = open_bare(url, &StoreSettings::new()).unwrap();
        let counters = Arc::new(Counters::default());
        let store = wrap(Arc::new(CountingStore::new(bare.clone(), counters.clone())));
        Lab { bare, store, counters, scratch, machines: AtomicU64::new(0) }
    }

    pub fn place(&self) -> Place {
        Place { store: self.store.clone(), prefix: "domains/sales-00".to_owned() }
    }

    pub fn folder(&self, name: &str) -> PathBuf {
        self.scratch.folder(name)
    }

    /// A machine that has read nothing yet.
    pub fn machine(&self) -> Objects {
        let number = self.machines.fetch_add(1, Ordering::Relaxed);
        self.machine_with(self.folder(&format!("cache-{number}")))
    }

    /// A process with this cache folder, and nothing in memory.
    pub fn machine_with(&self, cache: PathBuf) -> Objects {
        let options = ReadOptions { cache_dir: Some(cache), cache_bytes: 10 << 30 };
        Objects::new(self.place(), Shared::open(options).unwrap())
    }

    pub fn upload(&self, objects: &Objects) -> Upload {
        self.upload_as(objects, 0, None)
    }

    pub fn upload_as(&self, objects: &Objects, epoch: u64, sent: Option<SentIndex>) -> Upload {
        let options = UploadOptions { epoch, sent, constants: Constants::default(), sys: Sys::real(), progress: None };
        Upload::new(objects, options)
    }

    /// Stores one file's content, packs finished.
    pub async fn store_file(&self, source: impl ReadAt + 'static, size: u64, base: Option<Base<'_>>) -> FileContent {
        let mut upload = self.upload(&self.machine());
        let content = upload.file(Arc::new(source), size, base).await.unwrap();
        finish(&mut upload, Vec::new()).await;
        content
    }

    pub async fn store_bytes(&self, bytes: &[u8]) -> FileContent {
        self.store_file(bytes.to_vec(), bytes.len() as u64, None).await
    }

    /// Requests and bytes since `before`.
    pub fn since(&self, before: Counts) -> Counts {
        self.counters.read() - before
    }
}

pub fn meta() -> Meta {
    Meta { mode: 0o644, owner: None, mtime: Time(1_700_000_000_000_000_000), xattrs: Vec::new() }
}

pub fn file(name: impl Into<String>, content: FileContent) -> NamedEntry {
    NamedEntry { name: name.into().into_bytes(), entry: Entry { meta: meta(), content: Content::File(content) } }
}

pub fn dir(name: impl Into<String>, entries: Vec<NamedEntry>) -> NamedEntry {
    let content = Content::Dir(build_dir(entries).unwrap());
    NamedEntry { name: name.into().into_bytes(), entry: Entry { meta: meta(), content } }
}

pub fn root(entries: Vec<NamedEntry>) -> Root {
    Root { id: RootId([0; 32]), entry: dir("", entries).entry, links: None }
}

/// Ends an upload with a root of these entries, sorted by name.
pub async fn finish(upload: &mut Upload, entries: Vec<NamedEntry>) -> (Root, Location) {
    upload.finish_nodes(root(entries)).await.unwrap()
}

/// Bytes that do not compress.
pub fn random_bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    SeededRandom::new(seed).fill(&mut bytes);
    bytes
}

/// Lines that compress well and repeat nowhere.
pub fn lines(seed: u64, len: usize) -> Vec<u8> {
    let random = SeededRandom::new(seed);
    let mut text = Vec::with_capacity(len + 64);
    while text.len() < len {
        let number = random.number();
        text.extend_from_slice(format!("{number:020},shipped,{}\n", number % 97).as_bytes());
    }
    text.truncate(len);
    text
}
