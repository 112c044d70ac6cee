//! Which commits, refs and paths something damaged touches.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use futures::future::BoxFuture;

use super::super::domain::Domain;
use super::super::error::RepoError;
use super::audit::Audit;
use crate::model::content::{FileBody, Item, Page, PageRef};
use crate::model::entry::{Content, Entry, XattrValue};
use crate::model::id::{CommitId, Location, PackName};
use crate::model::log::RefName;
use crate::model::path::TreePath;
use crate::model::source::NodeSource;
use crate::model::tree::{LinkBody, LinkChild, LinkNode, LinkTable, Node, NodeBody};

/// Something that cannot be had, and what needs it.
#[derive(Debug)]
pub struct Touched {
    pub pack: PackName,
    pub offset: u64,
    pub problem: String,
    /// The root for what belongs to whole snapshots.
    pub paths: BTreeSet<TreePath>,
    pub commits: BTreeSet<CommitId>,
    /// Branches, tags and pins whose history has one of the commits.
    pub refs: BTreeSet<RefName>,
}

/// Where a frame lies.
type Spot = (PackName, u64);

/// Everything wrong that a branch, tag or pin leads to, through all its history.
pub async fn trace(domain: &Domain, audit: &Audit, advance: &(dyn Fn(u64) + Sync)) -> Result<Vec<Touched>, RepoError> {
    let mut trace = Trace { domain, audit, clean: HashSet::new(), found: BTreeMap::new() };
    let mut seen = BTreeSet::new();
    let state = domain.state();
    for (name, now) in &state.refs.refs {
        let mut own = BTreeSet::new();
        let mut open = vec![now.target];
        while let Some(id) = open.pop() {
            if !own.insert(id) {
                continue;
            }
            let record = domain.record(&id).await?;
            open.extend(&record.parents);
            if seen.insert(id) {
                trace.commit(&id).await?;
                advance(1);
            }
        }
        for touched in trace.found.values_mut().filter(|touched| !touched.commits.is_disjoint(&own)) {
            touched.refs.insert(name.clone());
        }
    }
    Ok(trace.found.into_values().collect())
}

struct Trace<'a> {
    domain: &'a Domain,
    audit: &'a Audit,
    /// Nodes and pages below which nothing is wrong.
    clean: HashSet<Spot>,
    found: BTreeMap<Spot, Touched>,
}

/// What of a commit a place belongs to.
struct At<'a> {
    commit: &'a CommitId,
    path: TreePath,
}

impl Trace<'_> {
    async fn commit(&mut self, id: &CommitId) -> Result<(), RepoError> {
        let record = self.domain.record(id).await?;
        let at = At { commit: id, path: TreePath::root() };
        if !self.is_right(&record.root_location, &at) {
            return Ok(());
        }
        match self.domain.objects().root(&record.root, &record.root_location).await {
            Ok(root) => {
                self.entry(at, &root.entry).await?;
                match &root.links {
                    Some(LinkTable { body, id: table }) => {
                        self.links(id, LinkChild { last_key: Vec::new(), id: *table, body: body.clone() }).await
                    }
                    None => Ok(()),
                }
            }
            Err(error) => self.note(&record.root_location, &at, error).map(drop),
        }
    }

    /// Is nothing known against the frame? What is, is noted.
    fn is_right(&mut self, location: &Location, at: &At<'_>) -> bool {
        match self.audit.problem(location) {
            None => true,
            Some(problem) => {
                self.add(location, at, problem);
                false
            }
        }
    }

    /// Something could not be read: damage is noted, and anything else ends the walk. Never clean.
    fn note(&mut self, location: &Location, at: &At<'_>, error: RepoError) -> Result<bool, RepoError> {
        match error {
            RepoError::Damaged { reason, .. } => {
                self.add(location, at, reason);
                Ok(false)
            }
            error => Err(error),
        }
    }

    fn add(&mut self, location: &Location, at: &At<'_>, problem: String) {
        let touched = self.found.entry((location.pack, location.offset)).or_insert_with(|| Touched {
            pack: location.pack,
            offset: location.offset,
            problem,
            paths: BTreeSet::new(),
            commits: BTreeSet::new(),
            refs: BTreeSet::new(),
        });
        touched.paths.insert(at.path.clone());
        touched.commits.insert(*at.commit);
    }

    /// Tells whether nothing is wrong with the entry and below it.
    async fn entry(&mut self, at: At<'_>, entry: &Entry) -> Result<bool, RepoError> {
        let mut right = true;
        for xattr in &entry.meta.xattrs {
            if let XattrValue::Chunk { location, .. } = &xattr.value {
                right &= self.is_right(location, &at);
            }
        }
        right &= match &entry.content {
            Content::Dir(dir) => self.node(at, dir.id, dir.body.clone()).await?,
            Content::File(file) => match &file.body {
                FileBody::Items(items) => self.items(items, &at),
                FileBody::Pages(location) => {
                    self.page(&at, PageRef { len: file.size, id: file.id, location: *location }).await?
                }
            },
            _ => true,
        };
        Ok(right)
    }

    fn items(&mut self, items: &[Item], at: &At<'_>) -> bool {
        let mut right = true;
        for item in items {
            if let Item::Chunk { location, .. } = item {
                right &= self.is_right(location, at);
            }
        }
        right
    }

    fn node<'b>(
        &'b mut self,
        at: At<'b>,
        id: crate::model::id::NodeId,
        body: NodeBody,
    ) -> BoxFuture<'b, Result<bool, RepoError>> {
        Box::pin(async move {
            let spot = match &body {
                NodeBody::Stored(location) => Some(*location),
                NodeBody::Here(_) => None,
            };
            if let Some(location) = spot {
                if self.clean.contains(&(location.pack, location.offset)) {
                    return Ok(true);
                }
                if !self.is_right(&location, &at) {
                    return Ok(false);
                }
            }
            let node = match (self.domain.objects().node(&id, &body).await, spot) {
                (Ok(node), _) => node,
                (Err(error), Some(location)) => return self.note(&location, &at, error),
                (Err(error), None) => return Err(error),
            };
            let mut right = true;
            match &*node {
                Node::Leaf(entries) => {
                    for named in entries {
                        let below = At { commit: at.commit, path: at.path.join(&named.name) };
                        right &= self.entry(below, &named.entry).await?;
                    }
                }
                Node::Inner { children, .. } => {
                    for child in children {
                        let same = At { commit: at.commit, path: at.path.clone() };
                        right &= self.node(same, child.id, child.body.clone()).await?;
                    }
                }
            }
            if let Some(location) = spot.filter(|_| right) {
                self.clean.insert((location.pack, location.offset));
            }
            Ok(right)
        })
    }

    fn page<'b>(&'b mut self, at: &'b At<'_>, page: PageRef) -> BoxFuture<'b, Result<bool, RepoError>> {
        Box::pin(async move {
            let spot = (page.location.pack, page.location.offset);
            if self.clean.contains(&spot) {
                return Ok(true);
            }
            if !self.is_right(&page.location, at) {
                return Ok(false);
            }
            let read = match self.domain.objects().page(&page).await {
                Ok(read) => read,
                Err(error) => return self.note(&page.location, at, error),
            };
            let mut right = true;
            match &*read {
                Page::Items(items) => right &= self.items(items, at),
                Page::Pages { pages, .. } => {
                    for below in pages {
                        right &= self.page(at, *below).await?;
                    }
                }
            }
            if right {
                self.clean.insert(spot);
            }
            Ok(right)
        })
    }

    /// The table of hard links, which belongs to the whole snapshot.
    fn links<'b>(&'b mut self, commit: &'b CommitId, table: LinkChild) -> BoxFuture<'b, Result<(), RepoError>> {
        Box::pin(async move {
            let at = At { commit, path: TreePath::root() };
            if let LinkBody::Stored(location) = &table.body
                && !self.is_right(location, &at)
            {
                return Ok(());
            }
            let node = match (self.domain.objects().link_node(&table.id, &table.body).await, &table.body) {
                (Ok(node), _) => node,
                (Err(error), LinkBody::Stored(location)) => return self.note(location, &at, error).map(drop),
                (Err(error), LinkBody::Here(_)) => return Err(error),
            };
            if let LinkNode::Inner { children, .. } = &*node {
                for child in children {
                    self.links(commit, child.clone()).await?;
                }
            }
            Ok(())
        })
    }
}
