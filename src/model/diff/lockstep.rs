//! Two directories' entries passed in step: the names on which they differ, loading only nodes that differ.
//!
//! A node that stands on both sides is left out of both, wherever the cuts around it lie: names are sorted and unique,
//! so what is left on either side still compares name by name.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use futures::future::{try_join, try_join_all};

use crate::model::entry::Entry;
use crate::model::id::NodeId;
use crate::model::source::NodeSource;
use crate::model::tree::{Child, DirContent, Node, Said};

/// Nodes of one side asked for at once: enough to cover a round trip, at most 2 MiB decoded.
const FETCH_AHEAD: usize = 8;

/// One name on which two directories differ in anything that is hashed.
#[derive(Clone, Debug)]
pub struct Pair {
    pub name: Vec<u8>,
    pub old: Option<Entry>,
    pub new: Option<Entry>,
}

/// A part of a directory that is still ahead.
enum Piece {
    /// A node that was not looked into; all its names are greater than `after`.
    Closed { child: Child, level: u8, after: Option<Vec<u8>> },
    /// A leaf's entries from `at` on; never past the last.
    Open { leaf: Arc<Node>, at: usize },
}

/// What comes next on a side.
enum Front<'a> {
    End,
    Entry(&'a [u8], &'a Entry),
    Closed { level: u8, after: Option<&'a [u8]>, last: &'a [u8] },
}

/// The pieces of one directory that are still ahead, in name order.
#[derive(Default)]
struct Ahead {
    pieces: VecDeque<Piece>,
}

impl Ahead {
    fn front(&self) -> Front<'_> {
        match self.pieces.front() {
            None => Front::End,
            Some(Piece::Closed { child, level, after }) => {
                Front::Closed { level: *level, after: after.as_deref(), last: &child.last_name }
            }
            Some(Piece::Open { leaf, at }) => match &**leaf {
                Node::Leaf(entries) => Front::Entry(&entries[*at].name, &entries[*at].entry),
                Node::Inner { .. } => unreachable!("only leaves are opened"),
            },
        }
    }

    /// Passes the entry at the front.
    fn pass(&mut self) {
        if let Some(Piece::Open { leaf, at }) = self.pieces.front_mut() {
            *at += 1;
            if matches!(&**leaf, Node::Leaf(entries) if entries.len() == *at) {
                self.pieces.pop_front();
            }
        }
    }

    /// The least name from which on not even the leaves' ids are known; none when all are.
    fn known_up_to(&self) -> Option<&[u8]> {
        self.pieces.iter().find_map(|piece| match piece {
            Piece::Closed { level: 1.., after, .. } => Some(after.as_deref().unwrap_or_default()),
            _ => None,
        })
    }

    /// The nodes to load when the front one is: those after it on its level that nothing on the other side can equal.
    fn to_load(&self, other_known_up_to: Option<&[u8]>) -> Vec<Said> {
        let mut of_level = None;
        let run = self.pieces.iter().map_while(|piece| match piece {
            Piece::Closed { child, level, after } if *of_level.get_or_insert(*level) == *level => {
                Some((child, *level, after.as_deref()))
            }
            _ => None,
        });
        let known = |child: &Child| other_known_up_to.is_none_or(|name| child.last_name.as_slice() <= name);
        let wanted = run.enumerate().take_while(|(at, (child, ..))| *at == 0 || known(child)).take(FETCH_AHEAD);
        wanted.map(|(_, (child, level, after))| child.said(level, after)).collect()
    }

    /// Puts the loaded nodes in the place of as many pieces at the front. True when that shows more nodes.
    fn open(&mut self, nodes: Vec<Arc<Node>>) -> bool {
        let shows_more = nodes.iter().any(|node| matches!(&**node, Node::Inner { .. }));
        let mut opened = Vec::new();
        for node in nodes {
            match self.pieces.pop_front() {
                Some(Piece::Closed { after, .. }) => push_pieces(&mut opened, node, after),
                _ => unreachable!("a node is loaded for each closed piece"),
            }
        }
        for piece in opened.into_iter().rev() {
            self.pieces.push_front(piece);
        }
        shows_more
    }

    fn closed_ids(&self) -> HashSet<NodeId> {
        let id = |piece: &Piece| match piece {
            Piece::Closed { child, .. } => Some(child.id),
            Piece::Open { .. } => None,
        };
        self.pieces.iter().filter_map(id).collect()
    }

    fn leave_out(&mut self, ids: &HashSet<NodeId>) {
        self.pieces.retain(|piece| !matches!(piece, Piece::Closed { child, .. } if ids.contains(&child.id)));
    }
}

fn push_pieces(pieces: &mut Vec<Piece>, node: Arc<Node>, mut after: Option<Vec<u8>>) {
    match &*node {
        Node::Leaf(entries) if entries.is_empty() => {}
        Node::Leaf(_) => pieces.push(Piece::Open { leaf: node, at: 0 }),
        Node::Inner { level, children } => {
            for child in children {
                let next = Some(child.last_name.clone());
                let after = std::mem::replace(&mut after, next);
                pieces.push(Piece::Closed { child: child.clone(), level: level.saturating_sub(1), after });
            }
        }
    }
}

/// Which sides have to load what is at their front before their first names can be compared.
struct Loads {
    old: bool,
    new: bool,
}

/// Two directories passed in step.
#[derive(Default)]
pub struct Lockstep {
    old: Ahead,
    new: Ahead,
}

impl Lockstep {
    /// Starts before the first name, with the top nodes loaded. None stands for an empty directory.
    pub async fn open<S: NodeSource>(
        source: &S,
        old: Option<&DirContent>,
        new: Option<&DirContent>,
    ) -> Result<Lockstep, S::Error> {
        if old.map(|dir| dir.id) == new.map(|dir| dir.id) {
            return Ok(Lockstep::default());
        }
        let top = async |dir: Option<&DirContent>| match dir {
            Some(dir) => source.said(&dir.said()).await.map(Some),
            None => Ok(None),
        };
        let (old, new) = try_join(top(old), top(new)).await?;
        let ahead = |node: Option<Arc<Node>>| {
            let mut pieces = Vec::new();
            if let Some(node) = node {
                push_pieces(&mut pieces, node, None);
            }
            Ahead { pieces: pieces.into() }
        };
        let mut step = Lockstep { old: ahead(old), new: ahead(new) };
        step.leave_out_equal();
        Ok(step)
    }

    /// The next name on which the directories differ.
    pub async fn next<S: NodeSource>(&mut self, source: &S) -> Result<Option<Pair>, S::Error> {
        loop {
            while let Some(loads) = self.loads() {
                self.load(source, loads).await?;
            }
            let (old, new) = match (self.old.front(), self.new.front()) {
                (Front::Entry(a, old), Front::Entry(b, new)) => match a.cmp(b) {
                    std::cmp::Ordering::Less => (Some((a, old)), None),
                    std::cmp::Ordering::Greater => (None, Some((b, new))),
                    std::cmp::Ordering::Equal => (Some((a, old)), Some((b, new))),
                },
                (Front::Entry(a, old), _) => (Some((a, old)), None),
                (_, Front::Entry(b, new)) => (None, Some((b, new))),
                _ => return Ok(None),
            };
            let name = old.or(new).map(|(name, _)| name.to_vec()).unwrap_or_default();
            let equal = matches!((old, new), (Some((_, old)), Some((_, new))) if old.same(new));
            let entry = |side: Option<(&[u8], &Entry)>| side.filter(|_| !equal).map(|(_, entry)| entry.clone());
            let pair = Pair { name, old: entry(old), new: entry(new) };
            let (pass_old, pass_new) = (old.is_some(), new.is_some());
            if pass_old {
                self.old.pass();
            }
            if pass_new {
                self.new.pass();
            }
            if !equal {
                return Ok(Some(pair));
            }
        }
    }

    /// Up to `max` of the next names; fewer only at the end.
    pub async fn next_batch<S: NodeSource>(&mut self, source: &S, max: usize) -> Result<Vec<Pair>, S::Error> {
        let mut pairs = Vec::new();
        while pairs.len() < max
            && let Some(pair) = self.next(source).await?
        {
            pairs.push(pair);
        }
        Ok(pairs)
    }

    /// What must be loaded before the least name ahead is known on both sides; none when it is.
    fn loads(&self) -> Option<Loads> {
        let only_old = Loads { old: true, new: false };
        let only_new = Loads { old: false, new: true };
        match (self.old.front(), self.new.front()) {
            (
                Front::Closed { level: a, after: a_after, last: a_last },
                Front::Closed { level: b, after: b_after, last: b_last },
            ) => {
                if b_after.is_some_and(|after| a_last <= after) {
                    return Some(only_old);
                }
                if a_after.is_some_and(|after| b_last <= after) {
                    return Some(only_new);
                }
                Some(Loads { old: a >= b, new: b >= a })
            }
            (Front::Closed { after, .. }, Front::Entry(name, _)) => {
                after.is_none_or(|after| after < name).then_some(only_old)
            }
            (Front::Entry(name, _), Front::Closed { after, .. }) => {
                after.is_none_or(|after| after < name).then_some(only_new)
            }
            (Front::Closed { .. }, Front::End) => Some(only_old),
            (Front::End, Front::Closed { .. }) => Some(only_new),
            (Front::Entry(..) | Front::End, Front::Entry(..) | Front::End) => None,
        }
    }

    async fn load<S: NodeSource>(&mut self, source: &S, loads: Loads) -> Result<(), S::Error> {
        let wanted = |load: bool, side: &Ahead, other: &Ahead| {
            if load { side.to_load(other.known_up_to()) } else { Vec::new() }
        };
        let old = wanted(loads.old, &self.old, &self.new);
        let new = wanted(loads.new, &self.new, &self.old);
        let fetch = |nodes: Vec<Said>| try_join_all(nodes.into_iter().map(async |said| source.said(&said).await));
        let (old, new) = try_join(fetch(old), fetch(new)).await?;
        if self.old.open(old) | self.new.open(new) {
            self.leave_out_equal();
        }
        Ok(())
    }

    fn leave_out_equal(&mut self) {
        let mut equal = self.old.closed_ids();
        let new = self.new.closed_ids();
        equal.retain(|id| new.contains(id));
        if !equal.is_empty() {
            self.old.leave_out(&equal);
            self.new.leave_out(&equal);
        }
    }
}
