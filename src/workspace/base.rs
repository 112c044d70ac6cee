//! The base snapshot: looking names up and listing directories in what is at hand of its nodes.

use std::collections::HashMap;
use std::sync::Arc;

use super::error::Miss;
use super::state::Result;
use crate::model::entry::Entry;
use crate::model::path::TreePath;
use crate::model::source::read_links;
use crate::model::tree::{Child, DirContent, LinkGroup, NamedEntry, Node, Root, Said, Step};
use crate::repo::error::RepoError;
use crate::repo::objects::Objects;

/// Neighbouring leaves named by one miss of a listing, so that a reader of a large directory waits less often.
const LEAVES_PER_MISS_MAX: usize = 16;

fn node(objects: &Objects, said: &Said) -> Result<Arc<Node>> {
    let node = objects.cached_node(&said.id, &said.body);
    let node = node.ok_or_else(|| Miss::Nodes(vec![(said.id, said.body.clone())]))?;
    said.check(&node).map_err(RepoError::from)?;
    Ok(node)
}

/// The entry `name` of a directory.
pub fn find(objects: &Objects, dir: &DirContent, name: &[u8]) -> Result<Option<Entry>> {
    let mut said = dir.said();
    loop {
        let here = node(objects, &said)?;
        let next = match here.step(name) {
            Step::Found(entry) => return Ok(Some(entry.clone())),
            Step::Absent => None,
            Step::Descend(at) => here.said_of(at, said.after()),
        };
        match next {
            Some(next) => said = next,
            None => return Ok(None),
        }
    }
}

/// At most `max` entries of a directory after the name `after`, in byte order.
pub fn list(objects: &Objects, dir: &DirContent, after: &[u8], max: usize) -> Result<Vec<NamedEntry>> {
    let mut found = Vec::new();
    list_node(objects, &dir.said(), after, max, &mut found)?;
    Ok(found)
}

fn list_node(objects: &Objects, said: &Said, after: &[u8], max: usize, found: &mut Vec<NamedEntry>) -> Result<()> {
    let here = node(objects, said)?;
    match &*here {
        Node::Leaf(entries) => {
            let first = entries.partition_point(|entry| entry.name.as_slice() <= after);
            found.extend(entries[first..].iter().take(max - found.len()).cloned());
        }
        Node::Inner { children, .. } => {
            let first = children.partition_point(|child| child.last_name.as_slice() <= after);
            for (at, child) in children.iter().enumerate().skip(first) {
                if found.len() >= max {
                    break;
                }
                if objects.cached_node(&child.id, &child.body).is_none() {
                    return Err(missing(objects, &children[at..]).into());
                }
                if let Some(below) = here.said_of(at, said.after()) {
                    list_node(objects, &below, after, max, found)?;
                }
            }
        }
    }
    Ok(())
}

/// The first of `children`, which is not at hand, with those of its followers that are not either.
fn missing(objects: &Objects, children: &[Child]) -> Miss {
    let near = children.iter().take(LEAVES_PER_MISS_MAX);
    let absent = near.filter(|child| objects.cached_node(&child.id, &child.body).is_none());
    Miss::Nodes(absent.map(|child| (child.id, child.body.clone())).collect())
}

/// The entry at `path` below a directory's entry; the entry itself for the root path.
pub fn find_path(objects: &Objects, from: &Entry, path: &TreePath) -> Result<Option<Entry>> {
    let mut entry = from.clone();
    for name in path.names() {
        let Some(dir) = entry.as_dir() else { return Ok(None) };
        match find(objects, dir, name)? {
            Some(next) => entry = next,
            None => return Ok(None),
        }
    }
    Ok(Some(entry))
}

/// Which paths of a snapshot are names of one file. Held in memory whole: as large as there are hard links.
#[derive(Debug, Default)]
pub struct LinkIndex {
    groups: Vec<LinkGroup>,
    by_path: HashMap<TreePath, usize>,
}

impl LinkIndex {
    pub async fn load(objects: &Objects, root: &Root) -> std::result::Result<LinkIndex, RepoError> {
        let mut index = LinkIndex::default();
        for group in read_links(objects, root.links.as_ref()).await? {
            index.add(group);
        }
        Ok(index)
    }

    fn add(&mut self, group: LinkGroup) {
        let at = self.groups.len();
        self.by_path.extend(group.0.iter().map(|path| (path.clone(), at)));
        self.groups.push(group);
    }

    /// The names of the file at `path`, when it has several.
    pub fn group(&self, path: &TreePath) -> Option<&LinkGroup> {
        self.by_path.get(path).map(|&at| &self.groups[at])
    }

    pub fn groups(&self) -> &[LinkGroup] {
        &self.groups
    }

    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}
