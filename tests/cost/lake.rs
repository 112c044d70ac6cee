//! A domain `sales` on an S3 server, filled straight through the library, for a cold machine to work on.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use meshfs::format::log::encode_entry;
use meshfs::model::content::FileContent;
use meshfs::model::edit::{DirEdit, Edit};
use meshfs::model::entry::{Content, Entry, Meta};
use meshfs::model::id::Nonce;
use meshfs::model::log::{Features, Operation};
use meshfs::model::merge::MergeOptions;
use meshfs::model::time::Time;
use meshfs::repo::commit::{CommitOutcome, CommitRequest, land};
use meshfs::repo::domain::Domain;
use meshfs::repo::follow::LogHead;
use meshfs::repo::log::LogFiles;
use meshfs::repo::mesh::{Mesh, MeshOptions, NewDomain};
use meshfs::repo::refs::{Head, creation};
use meshfs::repo::upload::Upload;
use meshfs::repo::upload::source::ReadAt;
use meshfs::repo::write::{Author, Stamp};
use meshfs::sys::Sys;
use meshfs::telemetry::counters::Counts;

use super::common::machine::Machine;
use super::common::s3::Server;
use super::common::scratch::Scratch;

const BUCKET: &str = "lake";

/// A name, and what it stands for.
pub enum Made {
    Dir(Vec<(String, Made)>),
    File(Vec<u8>),
    /// A file of this many bytes, no two chunks alike.
    Large(u64),
}

pub struct Lake {
    pub server: Server,
    runtime: tokio::runtime::Runtime,
    domain: Domain,
    _scratch: Scratch,
}

impl Lake {
    /// A mesh with an empty domain.
    pub fn new() -> Lake {
        let (server, scratch) = (Server::start(), Scratch::new());
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let options = MeshOptions {
            store_url: server.url(BUCKET),
            store: Some(server.store(BUCKET)),
            state_dir: scratch.folder("state"),
            cache_dir: scratch.folder("cache"),
            cache_bytes: 1 << 30,
            actor: "generator".to_owned(),
            host: "desk".to_owned(),
            sys: Sys::real(),
        };
        let domain = runtime.block_on(async {
            let mesh = Mesh::init(options).await.unwrap();
            mesh.create_domain(NewDomain { name: "sales".to_owned(), ..NewDomain::default() }).await.unwrap()
        });
        Lake { server, runtime, domain, _scratch: scratch }
    }

    /// One commit that makes `tree` the content of `main`.
    pub fn with(self, tree: Vec<(String, Made)>) -> Lake {
        self.runtime.block_on(async {
            let mut upload = Upload::begin(&self.domain, None);
            let (branch, state) = self.domain.state().branch("main").unwrap();
            let base = self.domain.snapshot(&state.target).await.unwrap();
            let mut edit = new_dir(&mut upload, tree).await;
            edit.from = Some(base.root.entry.clone());
            let request = CommitRequest {
                branch,
                base: state.target,
                edit,
                links: None,
                author: "generator".to_owned(),
                sources: Vec::new(),
                message: "All at once".to_owned(),
                metadata: BTreeMap::new(),
                incoming: None,
                options: MergeOptions::default(),
                workspace: None,
            };
            let outcome = land(&self.domain, &mut upload, &request).await.unwrap();
            assert!(matches!(outcome, CommitOutcome::Landed(_)), "{outcome:?}");
        });
        self
    }

    /// Lengthens the domain's log to `entries` by moving a branch about.
    pub fn with_log_of(self, entries: u64) -> Lake {
        self.runtime.block_on(async {
            let store = self.server.store(BUCKET);
            let files = LogFiles::new(store, self.domain.place().log_prefix());
            let mut head = Head::before_first(Features::default());
            for seq in 1..=self.domain.state().seq {
                let body = files.read(seq).await.unwrap().unwrap();
                head = head.then(&meshfs::format::log::decode_entry(&body).unwrap()).unwrap();
            }
            let target = head.state.branch("main").unwrap().1.target;
            while head.state.seq < entries {
                let change = match head.state.branch("moving") {
                    None => creation(meshfs::model::log::RefName::branch("moving"), target),
                    Some((identity, _)) => head.state.change(Operation::Reset, &identity, Some(target)).unwrap(),
                };
                let author = Author { actor: "generator".to_owned(), host: "desk".to_owned() };
                let time = Time(head.state.time.0 + 1);
                let stamp = Stamp { nonce: Nonce(self.domain.sys().random.name()), author, time };
                let entry = head.next(vec![change], None, stamp);
                files.create(entry.seq, encode_entry(&entry).unwrap().into()).await.unwrap();
                head = head.then(&entry).unwrap();
            }
        });
        self
    }

    /// A machine that has nothing yet.
    pub fn machine(&self) -> Machine {
        self.machine_with(&[])
    }

    /// The same with more in its environment.
    pub fn machine_with(&self, more: &[(&str, &str)]) -> Machine {
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let environment = self.server.environment().into_iter().chain(more).collect();
        Machine::with_environment(&self.server.url(BUCKET), environment)
    }

    /// A machine that has mounted, looked the directory's path up, and holds nothing of its content. Logs are not
    /// polled, so that only what is measured is counted.
    pub fn mounted(&self) -> Machine {
        let machine = self.machine();
        machine.mount(&["--poll", "3600"]);
        machine
    }

    /// What `work` costs at the server.
    pub fn cost<T>(&self, work: impl FnOnce() -> T) -> Counts {
        let before = self.server.counts();
        work();
        self.server.counts() - before
    }
}

/// 1,000 directories of 100 files.
pub fn many_directories() -> Vec<(String, Made)> {
    (0..1000).map(|dir| (format!("d{dir:04}"), Made::Dir(small_files(100)))).collect()
}

/// One directory of `count` files that differ in name only.
pub fn small_files(count: usize) -> Vec<(String, Made)> {
    (0..count).map(|file| (format!("file-{file:06}.txt"), Made::File(b"content".to_vec()))).collect()
}

/// Bytes that neither compress nor repeat.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

async fn new_dir(upload: &mut Upload, tree: Vec<(String, Made)>) -> DirEdit {
    let mut known: BTreeMap<Vec<u8>, FileContent> = BTreeMap::new();
    let mut names = BTreeMap::new();
    for (name, made) in tree {
        let edit = match made {
            Made::Dir(below) => Edit::Dir(Box::pin(new_dir(upload, below)).await),
            Made::File(bytes) => {
                if !known.contains_key(&bytes) {
                    let content = upload.file(Arc::new(Bytes(bytes.clone())), bytes.len() as u64, None).await.unwrap();
                    known.insert(bytes.clone(), content);
                }
                Edit::Put(Entry { meta: meta(0o644), content: Content::File(known[&bytes].clone()) })
            }
            Made::Large(size) => {
                let content = upload.file(Arc::new(Counted), size, None).await.unwrap();
                Edit::Put(Entry { meta: meta(0o644), content: Content::File(content) })
            }
        };
        names.insert(name.into_bytes(), edit);
    }
    DirEdit { from: None, meta: meta(0o755), names }
}

fn meta(mode: u16) -> Meta {
    Meta { mode, owner: None, mtime: Time::from_parts(1_700_000_000, 5), xattrs: Vec::new() }
}

struct Bytes(Vec<u8>);

impl ReadAt for Bytes {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = &self.0[(offset as usize).min(self.0.len())..];
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }
}

/// A file of which each 8 bytes say where they stand, scattered over all values.
struct Counted;

/// The 8 bytes at `offset`, a multiple of 8, of a [`Made::Large`] file.
pub fn word_at(offset: u64) -> [u8; 8] {
    (offset / 8 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()
}

impl ReadAt for Counted {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        for (at, byte) in buffer.iter_mut().enumerate() {
            let at = offset + at as u64;
            *byte = word_at(at / 8 * 8)[(at % 8) as usize];
        }
        Ok(buffer.len())
    }
}
