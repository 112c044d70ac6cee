//! A mesh: the domains under one store URL, as its log lists them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::{join, join_all};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::attempt::{Attempts, jittered};
use super::catalog::Catalog;
use super::db::RepoDb;
use super::domain::{Domain, Surroundings};
use super::error::RepoError;
use super::follow::Follower;
use super::layout::{MESH_LOG, Place};
use super::log::LogFiles;
use super::objects::shared::{ReadOptions, Shared};
use super::write::{Author, Put, Writer};
use crate::model::content::Constants;
use crate::model::id::Uid;
use crate::model::log::{DomainChange, DomainInfo, DomainOperation};
use crate::storage::backend::open_named;
use crate::storage::probe::probe;
use crate::storage::{Store, StoreError, StoreSettings};
use crate::sys::Sys;
use crate::sys::disk::create_private_dirs;
use crate::sys::mark::ProcessMark;
use crate::telemetry::counters::Counters;

/// Pause after a race lost on the mesh log, where races are rare.
const PAUSE: Duration = Duration::from_millis(50);

/// What opening a mesh needs.
#[derive(Clone, Debug)]
pub struct MeshOptions {
    pub store_url: String,
    /// The opened store, when the caller has one; `store_url` then only names it.
    pub store: Option<Arc<dyn Store>>,
    /// Folder of state; this mesh uses `<state_dir>/<mesh uid>`.
    pub state_dir: PathBuf,
    /// Folder of caches; this mesh uses `<cache_dir>/<mesh uid>`.
    pub cache_dir: PathBuf,
    /// Most bytes that the cache folder of this mesh may hold.
    pub cache_bytes: u64,
    /// Who acts, as log entries name them.
    pub actor: String,
    pub host: String,
    pub sys: Sys,
}

/// A domain to be made.
#[derive(Clone, Debug, Default)]
pub struct NewDomain {
    pub name: String,
    pub owner: Option<String>,
    pub description: Option<String>,
}

/// An open mesh. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Mesh(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store_url: String,
    store: Arc<dyn Store>,
    counters: Arc<Counters>,
    state_dir: PathBuf,
    cache_dir: PathBuf,
    follower: Arc<Follower<Catalog>>,
    writer: Writer<Catalog>,
    around: Surroundings,
    /// Opened domains by their uid: a domain made again under its name is another.
    domains: Mutex<HashMap<Uid, Domain>>,
    /// Held by whoever opens a domain, so that none is opened twice.
    opening: tokio::sync::Mutex<()>,
    /// Held by whoever writes to the mesh log.
    writing: tokio::sync::Mutex<()>,
}

/// A store that may hold a mesh.
struct Opened {
    options: MeshOptions,
    store: Arc<dyn Store>,
    counters: Arc<Counters>,
    files: LogFiles,
}

impl Opened {
    fn open(options: MeshOptions, create_folder: bool) -> Result<Opened, RepoError> {
        let settings = StoreSettings { sys: options.sys.clone(), create_folder, ..StoreSettings::new() };
        let counters = settings.counters.clone();
        let store = match &options.store {
            Some(store) => store.clone(),
            None => crate::storage::open(&options.store_url, &settings)?,
        };
        let files = LogFiles::new(store.clone(), MESH_LOG.to_owned());
        Ok(Opened { options, store, counters, files })
    }

    fn title(&self) -> String {
        format!("the mesh at `{}`", self.options.store_url)
    }

    /// The mesh on a log whose state is known; its first entry may yet have to be put.
    fn on(self, follower: Follower<Catalog>) -> Result<Mesh, RepoError> {
        let catalog = follower.head();
        let uid = catalog.uid.to_string();
        let options = self.options;
        let (state_dir, cache_dir) = (options.state_dir.join(&uid), options.cache_dir.join(&uid));
        for dir in [&state_dir, &cache_dir] {
            create_private_dirs(dir).map_err(|source| RepoError::Local {
                what: format!("cannot make the folder {}", dir.display()),
                source: Arc::new(source),
            })?;
        }
        let db = RepoDb::open(&state_dir, ProcessMark::of_this())?;
        let shared =
            Shared::open(ReadOptions { cache_dir: Some(cache_dir.clone()), cache_bytes: options.cache_bytes })?;
        let author = Author { actor: options.actor, host: options.host };
        let sys = options.sys;
        let follower = Arc::new(follower);
        let attempts =
            Attempts::new(follower.files().clone(), uid, follower.title().to_owned(), db.clone(), sys.clone());
        Ok(Mesh(Arc::new(Inner {
            store_url: options.store_url,
            store: self.store,
            counters: self.counters,
            state_dir,
            cache_dir,
            writer: Writer::new(follower.clone(), attempts, author.clone(), sys.clone()),
            around: Surroundings { constants: catalog.constants, shared, db, author, sys, mesh: follower.clone() },
            follower,
            domains: Mutex::new(HashMap::new()),
            opening: tokio::sync::Mutex::new(()),
            writing: tokio::sync::Mutex::new(()),
        })))
    }
}

impl Mesh {
    /// Makes a mesh at the store after trying out that it can hold one; [`RepoError::MeshExists`] when there is one, also when another made it meanwhile.
    pub async fn init(options: MeshOptions) -> Result<Mesh, RepoError> {
        let opened = Opened::open(options, true)?;
        let title = opened.title();
        if let Some(follower) = Follower::<Catalog>::open(opened.files.clone(), title.clone(), None).await? {
            return Err(exists(&opened.options.store_url, &follower.head()));
        }
        let random = opened.options.sys.random.clone();
        if let Some(reason) = probe(opened.store.as_ref(), random.as_ref()).await.failure() {
            return Err(RepoError::Refused(format!("no mesh can be made at `{}`: {reason}", opened.options.store_url)));
        }
        let uid = Uid(random.name());
        let files = opened.files.clone();
        let mesh = opened.on(Follower::on(files, title, None, Catalog::before_first(uid)))?;
        let nothing = mesh.0.follower.head();
        match mesh.0.writer.put(&nothing, &[], |stamp| nothing.next(None, stamp)).await? {
            Put::Landed(_) => Ok(mesh),
            Put::Taken(theirs) => Err(exists(&mesh.0.store_url, &theirs)),
        }
    }

    /// Opens the mesh at the store: two requests, or one more when it has very many domains. Whether its log moved since
    /// it was listed is looked at when a name is not found, and by polls.
    pub async fn open(options: MeshOptions) -> Result<Mesh, RepoError> {
        let opened = Opened::open(options, false)?;
        match Follower::open_listed(opened.files.clone(), opened.title()).await? {
            Some(follower) => opened.on(follower),
            None => Err(RepoError::NoMesh { store: opened.options.store_url }),
        }
    }

    /// Refuses a mesh whose first entry is gone: whatever deletes objects by age takes the oldest first, and a log with a
    /// hole could be written to again from there.
    pub async fn check_beginning(&self) -> Result<(), RepoError> {
        let files = self.0.follower.files();
        match files.store().size(&files.key(1)).await {
            Ok(_) => Ok(()),
            Err(StoreError::NotFound { .. }) => Err(RepoError::Damaged {
                what: format!("the log of {}", self.0.follower.title()),
                reason: "its first entry is gone: does a lifecycle rule of the store delete objects? \
                         `meshfs doctor` tells"
                    .to_owned(),
            }),
            Err(error) => Err(error.into()),
        }
    }

    pub fn uid(&self) -> Uid {
        self.0.follower.head().uid
    }

    /// How this mesh cuts files into chunks.
    pub fn constants(&self) -> Constants {
        self.0.around.constants
    }

    pub fn store_url(&self) -> &str {
        &self.0.store_url
    }

    pub fn store(&self) -> &Arc<dyn Store> {
        &self.0.store
    }

    /// Requests and bytes of the store that this mesh opened; those of one that was handed in are counted elsewhere.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.0.counters
    }

    /// `<state_dir>/<mesh uid>`.
    pub fn state_dir(&self) -> &Path {
        &self.0.state_dir
    }

    /// `<cache_dir>/<mesh uid>`.
    pub fn cache_dir(&self) -> &Path {
        &self.0.cache_dir
    }

    pub fn sys(&self) -> &Sys {
        &self.0.around.sys
    }

    /// Caches and budgets that all domains share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.0.around.shared
    }

    /// The domains, by name, after a look at the log.
    pub async fn domains(&self) -> Result<Vec<DomainInfo>, RepoError> {
        self.poll().await?;
        Ok(self.known_domains())
    }

    /// The domains as last seen; no request.
    pub fn known_domains(&self) -> Vec<DomainInfo> {
        self.0.follower.head().domains.values().cloned().collect()
    }

    /// Opens a domain, once per process and life of the domain. Looks at the mesh log only when the name is not known.
    pub async fn domain(&self, name: &str) -> Result<Domain, RepoError> {
        if let Some(domain) = self.opened_domain(name) {
            return Ok(domain);
        }
        let info = self.find(name).await?;
        let _one = self.0.opening.lock().await;
        if let Some(domain) = self.0.domains.lock().get(&info.uid) {
            return Ok(domain.clone());
        }
        let place = Place::of_domain(self.store_of(&info)?, &info);
        let domain = Domain::open(info, place, self.0.around.clone()).await?;
        self.keep(domain.clone());
        Ok(domain)
    }

    /// The domain, if it was opened before and is there as far as known; no request.
    pub fn opened_domain(&self, name: &str) -> Option<Domain> {
        let uid = self.0.follower.head().domains.get(name)?.uid;
        self.0.domains.lock().get(&uid).cloned()
    }

    pub async fn create_domain(&self, new: NewDomain) -> Result<Domain, RepoError> {
        self.check_free(&new.name).await?;
        let info = new.info(Uid(self.sys().random.name()))?;
        let place = Place::of_domain(self.0.store.clone(), &info);
        // The whole domain first: the mesh never lists one that cannot be opened.
        let domain = Domain::create(info.clone(), place, self.0.around.clone()).await?;
        let created = self
            .change(|catalog| {
                match catalog.domains.contains_key(&info.name) {
                true => Err(RepoError::DomainExists(info.name.clone())),
                false if !catalog.has_room_for(&info) => Err(RepoError::Refused(
                    "the mesh lists as many domains as it can, with their descriptions: delete those that nobody needs \
                     (`meshfs domain list`), or shorten the description"
                        .to_owned(),
                )),
                false => {
                    let domain = info.clone();
                    Ok(DomainChange { operation: DomainOperation::Create, domain, previous_seq: None })
                }
            }
            })
            .await?;
        let domain = domain.listed_as(DomainInfo { created_seq: created.seq, ..info });
        self.keep(domain.clone());
        Ok(domain)
    }

    /// Takes a domain off the mesh's list; its objects stay.
    pub async fn delete_domain(&self, name: &str) -> Result<(), RepoError> {
        let domain = self.find(name).await?;
        self.change(|catalog| match catalog.domains.get(name) {
            Some(now) if now.uid == domain.uid => Ok(DomainChange {
                operation: DomainOperation::Delete,
                previous_seq: Some(now.created_seq),
                domain: now.clone(),
            }),
            Some(_) => Err(RepoError::Moved {
                what: format!("domain `{name}`"),
                now: "it was deleted and made again, so this is another".to_owned(),
            }),
            None => Err(RepoError::NoDomain(name.to_owned())),
        })
        .await?;
        self.0.domains.lock().remove(&domain.uid);
        Ok(())
    }

    /// Looks whether the mesh log moved: one request when it did not.
    pub async fn poll(&self) -> Result<bool, RepoError> {
        self.0.follower.poll().await
    }

    /// Tells the newest known seq of the mesh log, now and at each move.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.follower.subscribe()
    }

    /// Settles what earlier processes with this state folder left open, in all logs: what may still land later must not
    /// be shown, worked with, and then happen. A log that cannot be settled keeps no other from it.
    pub async fn settle_earlier(&self) -> Result<(), RepoError> {
        let own = async {
            let _writing = self.0.writing.lock().await;
            self.settle_open().await
        };
        let of_domains = join_all(self.known_domains().into_iter().map(async |info| {
            if self.0.around.db.open_attempts(&info.uid.to_string())?.is_empty() {
                return Ok(());
            }
            self.domain(&info.name).await?.settle_earlier().await
        }));
        let (own, of_domains) = join(own, of_domains).await;
        of_domains.into_iter().fold(own, Result::and)
    }

    /// Settles what earlier processes left open on the mesh log; each domain does so for its own when it is written to.
    async fn settle_open(&self) -> Result<(), RepoError> {
        let attempts = self.0.writer.attempts();
        for attempt in attempts.open_ones()? {
            attempts.resume(&attempt).await?;
        }
        Ok(())
    }

    /// Lands the change that `evaluate` makes of the newest state.
    async fn change(
        &self,
        evaluate: impl Fn(&Catalog) -> Result<DomainChange, RepoError>,
    ) -> Result<Arc<Catalog>, RepoError> {
        let _writing = self.0.writing.lock().await;
        self.settle_open().await?;
        loop {
            let catalog = self.0.follower.head();
            let change = evaluate(&catalog)?;
            match self.0.writer.put(&catalog, &[], |stamp| catalog.next(Some(change), stamp)).await? {
                Put::Landed(now) => return Ok(now),
                Put::Taken(_) => self.sys().clock.sleep(jittered(self.sys(), PAUSE)).await,
            }
        }
    }

    async fn find(&self, name: &str) -> Result<DomainInfo, RepoError> {
        let known = || self.0.follower.head().domains.get(name).cloned();
        if let Some(info) = known() {
            return Ok(info);
        }
        self.poll().await?;
        known().ok_or_else(|| RepoError::NoDomain(name.to_owned()))
    }

    /// Refuses the name of a domain that exists, after a second look at the log.
    async fn check_free(&self, name: &str) -> Result<(), RepoError> {
        match self.find(name).await {
            Err(RepoError::NoDomain(_)) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => {
                self.poll().await?;
                match self.0.follower.head().domains.contains_key(name) {
                    true => Err(RepoError::DomainExists(name.to_owned())),
                    false => Ok(()),
                }
            }
        }
    }

    fn keep(&self, domain: Domain) {
        self.0.domains.lock().insert(domain.info().uid, domain);
    }

    fn store_of(&self, info: &DomainInfo) -> Result<Arc<dyn Store>, RepoError> {
        match &info.store {
            None => Ok(self.0.store.clone()),
            Some(url) => {
                let settings = StoreSettings {
                    sys: self.sys().clone(),
                    counters: self.0.counters.clone(),
                    ..StoreSettings::new()
                };
                Ok(open_named(url, &*self.0.store, &settings)?)
            }
        }
    }
}

fn exists(store: &str, catalog: &Catalog) -> RepoError {
    RepoError::MeshExists { store: store.to_owned(), uid: catalog.uid.to_string() }
}
