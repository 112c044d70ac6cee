//! The hard-link table: groups of paths as a split sequence.
//!
//! A group of many paths would not fit in a node, so the items of the sequence are parts of groups: each lists the
//! group's first path and then some more. Parts of a group are adjacent, and `model::source::read_links` joins them; an
//! item's key is its first path, NUL, its second path, which sorts as the pair of both does.

use std::collections::HashSet;
use std::sync::Arc;

use super::error::{FormatError, Result};
use super::id;
use super::limits::{LEVEL_MAX, LINK_PART_BYTES_TARGET, LINK_PATH_BYTES_MAX, NODE_BYTES_MAX};
use super::node::{Encoded, refuse_unreadable};
use super::place::{PlaceReader, PlaceWriter};
use super::split::cut_all;
use super::wire::{HEADER_BYTES, Header, Reader, put_medium, to_u32, unstorable, with_header};
use crate::model::id::NodeId;
use crate::model::path::TreePath;
use crate::model::tree::{LinkBody, LinkChild, LinkGroup, LinkNode, LinkTable};

const MAGIC: &[u8; 4] = b"mfsL";
const WHAT: &str = "a hard-link node";

/// The node as it is stored; every child must be `Stored`.
pub fn encode_link_node(node: &LinkNode) -> Result<Encoded<NodeId>> {
    let mut bytes = write_canonical(node)?;
    let canonical_len = bytes.len();
    let id = NodeId(id::derive(id::LINK_NODE, &bytes));
    let mut places = PlaceWriter::default();
    if let LinkNode::Inner { children, .. } = node {
        for child in children {
            match &child.body {
                LinkBody::Stored(location) => places.put(location)?,
                LinkBody::Here(_) => {
                    return Err(FormatError::ChildNotStored { what: WHAT, child: child.id.to_string() });
                }
            }
        }
    }
    places.finish(&mut bytes)?;
    refuse_unreadable(WHAT, &bytes, decode_link_node(&bytes, &id))?;
    Ok(Encoded { id, canonical_len, bytes })
}

/// The id alone; children need not be stored yet.
pub fn link_node_id(node: &LinkNode) -> Result<NodeId> {
    Ok(NodeId(id::derive(id::LINK_NODE, &write_canonical(node)?)))
}

fn write_canonical(node: &LinkNode) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match node {
        LinkNode::Leaf(parts) => with_header(MAGIC, 0, parts.len(), &mut bytes, |out| {
            parts.iter().try_for_each(|LinkGroup(paths)| {
                out.extend_from_slice(&to_u32(WHAT, paths.len())?.to_le_bytes());
                paths.iter().try_for_each(|path| put_medium("a path", path.as_bytes(), out))
            })
        })?,
        LinkNode::Inner { level, children } => with_header(MAGIC, *level, children.len(), &mut bytes, |out| {
            children.iter().try_for_each(|child| {
                put_medium("a path", &child.last_key, out)?;
                out.extend_from_slice(&child.id.0);
                Ok(())
            })
        })?,
    }
    Ok(bytes)
}

/// The node of these stored bytes, checked against its id.
pub fn decode_link_node(stored: &[u8], expected: &NodeId) -> Result<LinkNode> {
    let mut reader = Reader::new(WHAT, stored);
    let (header, canonical) = reader.header(MAGIC, NODE_BYTES_MAX - HEADER_BYTES as u64)?;
    id::verify(WHAT, expected, &NodeId(id::derive(id::LINK_NODE, canonical)))?;
    let mut places = PlaceReader::new(reader)?;
    let mut reader = Reader::new(WHAT, &canonical[HEADER_BYTES..]);
    if header.level > LEVEL_MAX || header.count == 0 {
        return Err(reader.damaged("its level or count is impossible"));
    }
    let node = match header.level {
        0 => LinkNode::Leaf(parts(header, &mut reader)?),
        level => LinkNode::Inner { level, children: children(header, &mut reader, &mut places)? },
    };
    reader.end()?;
    places.body.end()?;
    Ok(node)
}

fn parts(header: Header, reader: &mut Reader<'_>) -> Result<Vec<LinkGroup>> {
    let mut parts: Vec<LinkGroup> = Vec::with_capacity(reader.capacity(header.count, 4 + 2 * 3)?);
    for _ in 0..header.count {
        let count = reader.u32()?;
        let mut paths: Vec<TreePath> = Vec::with_capacity(reader.capacity(count, 3)?);
        for _ in 0..count {
            let path = path(reader)?;
            if paths.last().is_some_and(|last| *last >= path) {
                return Err(reader.damaged("its paths are not sorted, or one stands twice"));
            }
            paths.push(path);
        }
        if paths.len() < 2 {
            return Err(reader.damaged("a group has less than two paths"));
        }
        if parts.last().is_some_and(|LinkGroup(last)| !follows(last, &paths)) {
            return Err(reader.damaged("its groups are not sorted"));
        }
        parts.push(LinkGroup(paths));
    }
    Ok(parts)
}

/// May the part `next` stand after `last`: a later group, or more of the same?
fn follows(last: &[TreePath], next: &[TreePath]) -> bool {
    last[0] < next[0] || (last[0] == next[0] && last[last.len() - 1] < next[1])
}

fn path(reader: &mut Reader<'_>) -> Result<TreePath> {
    let bytes = reader.medium()?;
    match TreePath::parse(bytes) {
        Ok(path) if path.as_bytes() == bytes && !bytes.is_empty() && bytes.len() <= LINK_PATH_BYTES_MAX => Ok(path),
        _ => Err(reader.damaged("a path is impossible")),
    }
}

fn children(header: Header, reader: &mut Reader<'_>, places: &mut PlaceReader<'_>) -> Result<Vec<LinkChild>> {
    let mut children: Vec<LinkChild> = Vec::with_capacity(reader.capacity(header.count, 2 + 32)?);
    for _ in 0..header.count {
        let last_key = reader.medium()?.to_vec();
        if children.last().is_some_and(|last| last.last_key >= last_key) {
            return Err(reader.damaged("its keys are not sorted, or one stands twice"));
        }
        let id = NodeId(reader.array()?);
        children.push(LinkChild { last_key, id, body: LinkBody::Stored(places.location()?) });
    }
    Ok(children)
}

/// The table of these groups, given in any order; nodes are `Here`. None when there is no group.
pub fn build_links(groups: Vec<LinkGroup>) -> Result<Option<LinkTable>> {
    let parts = sorted(groups)?.into_iter().flat_map(parts_of).collect();
    let leaves = cut_all(0, parts, |part: &LinkGroup| (key(part), part_size(part)));
    let mut children = leaves.into_iter().map(|parts| child_of(LinkNode::Leaf(parts))).collect::<Result<Vec<_>>>()?;
    for level in 1..=LEVEL_MAX {
        if children.len() <= 1 {
            break;
        }
        children = cut_all(level, children, |child| (child.last_key.clone(), child_size(child)))
            .into_iter()
            .map(|children| child_of(LinkNode::Inner { level, children }))
            .collect::<Result<_>>()?;
    }
    Ok(children.pop().map(|top| LinkTable { id: top.id, body: top.body }))
}

/// Groups with sorted paths, sorted by the first; fails when a path is in two groups, or a group is none.
fn sorted(mut groups: Vec<LinkGroup>) -> Result<Vec<LinkGroup>> {
    for LinkGroup(paths) in &mut groups {
        paths.sort();
        paths.dedup();
    }
    let mut seen = HashSet::new();
    for LinkGroup(paths) in &groups {
        if paths.len() < 2 {
            return Err(unstorable("a hard-link group", "it has less than two paths"));
        }
        for path in paths {
            if path.is_root() || path.as_bytes().len() > LINK_PATH_BYTES_MAX {
                return Err(unstorable("a hard-link group", "one of its paths is too long, or is the root"));
            }
            if !seen.insert(path) {
                return Err(unstorable("a hard-link group", format!("`{path}` is in another one too")));
            }
        }
    }
    groups.sort();
    Ok(groups)
}

fn parts_of(LinkGroup(paths): LinkGroup) -> Vec<LinkGroup> {
    let mut paths = paths.into_iter();
    let Some(first) = paths.next() else { return Vec::new() };
    let mut parts = Vec::new();
    let mut part = LinkGroup(vec![first.clone()]);
    for path in paths {
        let full = part_size(&part) + path_size(&path) > LINK_PART_BYTES_TARGET;
        if full && part.0.len() >= 2 {
            parts.push(std::mem::replace(&mut part, LinkGroup(vec![first.clone()])));
        }
        part.0.push(path);
    }
    parts.push(part);
    parts
}

/// Canonical bytes of a part.
fn part_size(LinkGroup(paths): &LinkGroup) -> u64 {
    4 + paths.iter().map(path_size).sum::<u64>()
}

fn path_size(path: &TreePath) -> u64 {
    2 + path.as_bytes().len() as u64
}

fn child_size(child: &LinkChild) -> u64 {
    2 + child.last_key.len() as u64 + 32
}

fn key(LinkGroup(paths): &LinkGroup) -> Vec<u8> {
    [paths[0].as_bytes(), b"\0", paths[1].as_bytes()].concat()
}

fn child_of(node: LinkNode) -> Result<LinkChild> {
    let last_key = match &node {
        LinkNode::Leaf(parts) => parts.last().map(key),
        LinkNode::Inner { children, .. } => children.last().map(|child| child.last_key.clone()),
    };
    let last_key = last_key.ok_or_else(|| unstorable(WHAT, "it is empty"))?;
    Ok(LinkChild { last_key, id: link_node_id(&node)?, body: LinkBody::Here(Arc::new(node)) })
}
