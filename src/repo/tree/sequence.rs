//! One directory's entries edited: nodes are cut anew from the first touched one until the cuts fall where they fell
//! before, level by level. The result is the very nodes that the whole sequence would be cut into.

use std::collections::BTreeMap;

use super::old::{Old, Spot};
use super::refused;
use crate::format::node::{child_size, entry_size};
use crate::format::split::{Splitter, build_dir, build_level, child_of, dir_of_leaf, ends_by_hash};
use crate::model::entry::Entry;
use crate::model::source::NodeSource;
use crate::model::tree::{Child, DirContent, NamedEntry, Node, NodeBody};
use crate::repo::error::RepoError;

/// New items by key; none removes the item of that key.
type Changes<I> = BTreeMap<Vec<u8>, Option<I>>;

/// An item of a node: an entry of a leaf, a child of an inner node.
trait Item: Clone + Send + Sync {
    fn key(&self) -> &[u8];
    fn size(&self) -> u64;
    fn of(node: &Node) -> &[Self];
    fn node(level: u8, items: Vec<Self>) -> Node;
}

impl Item for NamedEntry {
    fn key(&self) -> &[u8] {
        &self.name
    }

    fn size(&self) -> u64 {
        entry_size(self)
    }

    fn of(node: &Node) -> &[NamedEntry] {
        match node {
            Node::Leaf(entries) => entries,
            Node::Inner { .. } => &[],
        }
    }

    fn node(_level: u8, items: Vec<NamedEntry>) -> Node {
        Node::Leaf(items)
    }
}

impl Item for Child {
    fn key(&self) -> &[u8] {
        &self.last_name
    }

    fn size(&self) -> u64 {
        child_size(self)
    }

    fn of(node: &Node) -> &[Child] {
        match node {
            Node::Inner { children, .. } => children,
            Node::Leaf(_) => &[],
        }
    }

    fn node(level: u8, items: Vec<Child>) -> Node {
        Node::Inner { level, children: items }
    }
}

/// The directory `old` with these entries put and removed.
pub(super) async fn edit<S: NodeSource<Error = RepoError>>(
    source: &S,
    old: Option<&DirContent>,
    changes: BTreeMap<Vec<u8>, Option<Entry>>,
) -> Result<DirContent, RepoError> {
    let named = |(name, entry): (Vec<u8>, Option<Entry>)| (name.clone(), entry.map(|entry| NamedEntry { name, entry }));
    let changes: Changes<NamedEntry> = changes.into_iter().map(named).collect();
    let Some(dir) = old else {
        return build_dir(changes.into_values().flatten().collect()).map_err(refused);
    };
    if changes.is_empty() {
        return Ok(dir.clone());
    }
    let mut old = Old::open(source, dir).await?;
    let mut recut = Level::cut(&mut old, 0, changes).await?;
    for level in 1..=old.height() {
        let above = recut.changes_above();
        if above.is_empty() {
            return Ok(dir.clone());
        }
        recut = Level::cut(&mut old, level, above).await?;
    }
    whole(source, old.height(), recut.nodes()).await
}

/// Some old nodes of a level, and what their items were cut into, by last name.
#[derive(Default)]
struct Recut {
    taken: BTreeMap<Vec<u8>, Child>,
    made: BTreeMap<Vec<u8>, Child>,
}

impl Recut {
    /// What changes for the level above.
    fn changes_above(mut self) -> Changes<Child> {
        let mut above = Changes::new();
        for (name, old) in self.taken {
            match self.made.remove(&name) {
                Some(new) if new.id == old.id => {}
                new => {
                    above.insert(name, new);
                }
            }
        }
        above.extend(self.made.into_iter().map(|(name, new)| (name, Some(new))));
        above
    }

    /// The nodes made, those that came out as they were in the place where they lie.
    fn nodes(mut self) -> Vec<Child> {
        let known = |new: Child| match self.taken.remove(&new.last_name) {
            Some(old) if old.id == new.id => old,
            _ => new,
        };
        self.made.into_values().map(known).collect()
    }
}

/// The directory whose nodes on `level` are all of these.
async fn whole<S: NodeSource<Error = RepoError>>(
    source: &S,
    mut level: u8,
    mut nodes: Vec<Child>,
) -> Result<DirContent, RepoError> {
    while nodes.len() > 1 {
        level += 1;
        nodes =
            build_level(level, nodes).and_then(|nodes| nodes.into_iter().map(child_of).collect()).map_err(refused)?;
    }
    let Some(mut top) = nodes.pop() else { return build_dir(Vec::new()).map_err(refused) };
    // Levels over a single node are not built; fewer entries may have left some.
    while level > 0 {
        let node = source.said(&top.said(level, None)).await?;
        match &*node {
            Node::Inner { children, .. } if children.len() == 1 => top = children[0].clone(),
            _ => break,
        }
        level -= 1;
    }
    match (level, &top.body) {
        (0, &NodeBody::Stored(location)) => {
            let leaf = source.said(&top.said(level, None)).await?;
            dir_of_leaf(Node::clone(&leaf), Some(location)).map_err(refused)
        }
        _ => Ok(DirContent { id: top.id, counts: top.counts, body: top.body }),
    }
}

/// One level being cut anew.
struct Level<'o, 'a, I, S> {
    old: &'o mut Old<'a, S>,
    level: u8,
    changes: std::iter::Peekable<std::collections::btree_map::IntoIter<Vec<u8>, Option<I>>>,
    splitter: Splitter,
    /// Items of the node under way.
    under_way: Vec<I>,
    recut: Recut,
}

impl<'o, 'a, I: Item, S: NodeSource<Error = RepoError>> Level<'o, 'a, I, S> {
    /// Applies changes to one level.
    async fn cut(old: &'o mut Old<'a, S>, level: u8, changes: Changes<I>) -> Result<Recut, RepoError> {
        old.expect(level, changes.keys().map(Vec::as_slice)).await?;
        let mut this = Level {
            old,
            level,
            changes: changes.into_iter().peekable(),
            splitter: Splitter::new(level),
            under_way: Vec::new(),
            recut: Recut::default(),
        };
        while let Some((name, _)) = this.changes.peek() {
            let name = name.clone();
            this.run(&name).await?;
        }
        Ok(this.recut)
    }

    /// Cuts anew from the node that holds `name` until an old cut is met behind which nothing changes.
    async fn run(&mut self, name: &[u8]) -> Result<(), RepoError> {
        let mut spot = self.start(name).await?;
        self.splitter = Splitter::new(self.level);
        loop {
            let node = self.old.node(&spot).await?;
            let child = self.old.child(&spot).clone();
            let next = self.old.next(&spot).await?;
            self.recut.taken.insert(child.last_name.clone(), child.clone());
            for item in I::of(&node) {
                self.insert_before(item.key())?;
                match self.changes.next_if(|(name, _)| name.as_slice() == item.key()) {
                    Some((_, Some(new))) => self.push(new)?,
                    Some((_, None)) => {}
                    None => self.push(item.clone())?,
                }
            }
            let Some(next) = next else {
                while let Some((_, change)) = self.changes.next() {
                    if let Some(item) = change {
                        self.push(item)?;
                    }
                }
                return self.finish_node();
            };
            if !self.changes_in(&next).await? && self.cuts_before(&next).await? {
                return self.finish_node();
            }
            spot = next;
        }
    }

    /// Where to start: the node that holds `name`, or the one before it, where that ended only because what came next
    /// did not fit.
    async fn start(&mut self, name: &[u8]) -> Result<Spot, RepoError> {
        let spot = self.old.find(self.level, name).await?;
        let node = self.old.node(&spot).await?;
        if I::of(&node).first().is_some_and(|first| first.key() < name) {
            return Ok(spot);
        }
        if let Some(previous) = self.old.previous(&spot).await?
            && !ends_by_hash(&*self.old.node(&previous).await?)
        {
            return Ok(previous);
        }
        Ok(spot)
    }

    /// Puts new items whose keys come before `key`.
    fn insert_before(&mut self, key: &[u8]) -> Result<(), RepoError> {
        while let Some((_, change)) = self.changes.next_if(|(name, _)| name.as_slice() < key) {
            if let Some(item) = change {
                self.push(item)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, item: I) -> Result<(), RepoError> {
        let cut = self.splitter.push(item.key(), item.size());
        if cut.before {
            self.finish_node()?;
        }
        self.under_way.push(item);
        if cut.after {
            self.finish_node()?;
        }
        Ok(())
    }

    fn finish_node(&mut self) -> Result<(), RepoError> {
        let items = std::mem::take(&mut self.under_way);
        if !items.is_empty() {
            let child = child_of(I::node(self.level, items)).map_err(refused)?;
            self.recut.made.insert(child.last_name.clone(), child);
        }
        Ok(())
    }

    /// Does the next change fall into this old node?
    async fn changes_in(&mut self, spot: &Spot) -> Result<bool, RepoError> {
        let Some((name, _)) = self.changes.peek() else { return Ok(false) };
        Ok(name.as_slice() <= self.old.child(spot).last_name.as_slice() || self.old.next(spot).await?.is_none())
    }

    /// Does a node end right before this unchanged old one?
    async fn cuts_before(&mut self, spot: &Spot) -> Result<bool, RepoError> {
        if self.under_way.is_empty() {
            return Ok(true);
        }
        let node = self.old.node(spot).await?;
        let first = I::of(&node).first();
        Ok(first.is_some_and(|first| self.splitter.clone().push(first.key(), first.size()).before))
    }
}
