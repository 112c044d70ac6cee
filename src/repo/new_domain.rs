//! Making a domain: an empty root, its commit, and entry 1 of its log.

use std::sync::Arc;

use super::domain::{Domain, Surroundings};
use super::error::RepoError;
use super::follow::{Follower, LogHead};
use super::layout::Place;
use super::log::LogFiles;
use super::mesh::NewDomain;
use super::objects::Objects;
use super::refs::{Head, creation};
use super::upload::{Upload, UploadOptions};
use super::write::{Put, store_time};
use crate::format::node::{node_id, root_id};
use crate::format::record::{commit_id, encode_commit};
use crate::model::address::check_label;
use crate::model::commit::{Commit, PathFilter, Stats};
use crate::model::entry::{Content, Entry, Meta};
use crate::model::id::{CommitId, Location, Nonce, RootId, Uid};
use crate::model::log::{DomainInfo, Features, RefName};
use crate::model::time::Time;
use crate::model::tree::{Counts, DirContent, Node, NodeBody, Root};

/// Every domain's first branch.
const DEFAULT_BRANCH: &str = "main";

/// Mode of a new domain's root directory.
const ROOT_MODE: u16 = 0o755;

impl NewDomain {
    /// The domain as the mesh log will list it, its entry's seq aside.
    pub(super) fn info(self, uid: Uid) -> Result<DomainInfo, RepoError> {
        check_label(&self.name)?;
        Ok(DomainInfo {
            name: self.name,
            uid,
            owner: self.owner,
            description: self.description,
            default_branch: DEFAULT_BRANCH.to_owned(),
            store: None,
            created_seq: 0,
            extra: serde_json::Map::new(),
        })
    }
}

impl Domain {
    /// Makes a domain that no mesh lists yet: what a crash leaves of it is garbage that nobody sees.
    pub(super) async fn create(info: DomainInfo, place: Place, around: Surroundings) -> Result<Domain, RepoError> {
        around.check_writable()?;
        let time = store_time(place.store.as_ref(), &around.sys)?;
        let objects = Objects::new(place.clone(), around.shared.clone());
        let options = UploadOptions {
            epoch: 0,
            sent: None,
            constants: around.constants,
            sys: around.sys.clone(),
            progress: None,
        };
        let (root, location) = Upload::new(&objects, options).finish_nodes(empty_root(time)?).await?;
        let first = first_commit(&around, time, root.id, location)?;
        let bytes = encode_commit(&first).map_err(|error| RepoError::of_format("a first commit", error))?;
        place.store.put(&place.record_key(&first.id), bytes.into()).await?;
        let files = LogFiles::new(place.store.clone(), place.log_prefix());
        let title = format!("domain `{}`", info.name);
        let follower = Follower::on(files, title, Some(objects), Head::before_first(Features::default()));
        let domain = Domain::on(info, place, around, Arc::new(follower));
        let nothing = domain.0.follower.head();
        let changes = vec![creation(RefName::branch(DEFAULT_BRANCH), first.id)];
        match domain.0.writer.put(&nothing, &[], |stamp| nothing.next(changes, None, stamp)).await? {
            Put::Landed(_) => {
                domain.remember_record(Arc::new(first));
                Ok(domain)
            }
            // The prefix holds 128 random bits made for this very log.
            Put::Taken(theirs) => Err(RepoError::Damaged {
                what: format!("the log of the new domain `{}`", domain.info().name),
                reason: format!("somebody else's entry {} is in it", theirs.seq()),
            }),
        }
    }
}

/// A directory without entries.
fn empty_root(time: Time) -> Result<Root, RepoError> {
    let format = |error| RepoError::of_format("an empty directory", error);
    let node = Node::empty();
    let dir = DirContent {
        id: node_id(&node).map_err(format)?,
        counts: Counts::default(),
        body: NodeBody::Here(Arc::new(node)),
    };
    let meta = Meta { mode: ROOT_MODE, owner: None, mtime: time, xattrs: Vec::new() };
    let mut root = Root { id: RootId([0; 32]), entry: Entry { meta, content: Content::Dir(dir) }, links: None };
    root.id = root_id(&root).map_err(format)?;
    Ok(root)
}

fn first_commit(around: &Surroundings, time: Time, root: RootId, root_location: Location) -> Result<Commit, RepoError> {
    let mut commit = Commit {
        id: CommitId([0; 32]),
        root,
        parents: Vec::new(),
        generation: 0,
        author: around.author.actor.clone(),
        host: around.author.host.clone(),
        time,
        message: "Create the domain".to_owned(),
        metadata: std::collections::BTreeMap::new(),
        stats: Stats::default(),
        nonce: Nonce(around.sys.random.name()),
        root_location,
        first_seq: 1,
        changed_paths: PathFilter::default(),
        extra: serde_json::Map::new(),
    };
    commit.id = commit_id(&commit).map_err(|error| RepoError::of_format("a first commit", error))?;
    Ok(commit)
}
