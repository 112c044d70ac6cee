//! What decoded values take in memory, so that budgets of bytes mean what they say.

use std::mem::size_of;

use crate::model::content::{FileBody, Item, Page, PageRef};
use crate::model::entry::{Content, Entry, Xattr, XattrValue};
use crate::model::path::TreePath;
use crate::model::tree::{Child, LinkBody, LinkChild, LinkGroup, LinkNode, NamedEntry, Node, NodeBody};

/// Allocation overhead of one heap block, roughly.
const ALLOCATION_BYTES: usize = 16;

fn heap(len: usize) -> usize {
    if len == 0 { 0 } else { len + ALLOCATION_BYTES }
}

/// A node and everything inlined in it.
pub fn of_node(node: &Node) -> u64 {
    let bytes = size_of::<Node>()
        + match node {
            Node::Leaf(entries) => heap(entries.len() * size_of::<NamedEntry>()),
            Node::Inner { children, .. } => heap(children.len() * size_of::<Child>()),
        };
    let below: u64 = match node {
        Node::Leaf(entries) => entries.iter().map(|named| heap(named.name.len()) as u64 + of_entry(&named.entry)).sum(),
        Node::Inner { children, .. } => {
            children.iter().map(|child| heap(child.last_name.len()) as u64 + of_body(&child.body)).sum()
        }
    };
    bytes as u64 + below
}

fn of_body(body: &NodeBody) -> u64 {
    match body {
        NodeBody::Stored(_) => 0,
        NodeBody::Here(node) => of_node(node),
    }
}

/// The heap part of an entry.
fn of_entry(entry: &Entry) -> u64 {
    let xattr = |xattr: &Xattr| {
        heap(xattr.name.len())
            + match &xattr.value {
                XattrValue::Inline(value) => heap(value.len()),
                XattrValue::Chunk { .. } => 0,
            }
    };
    let xattrs =
        heap(entry.meta.xattrs.len() * size_of::<Xattr>()) + entry.meta.xattrs.iter().map(xattr).sum::<usize>();
    let content = match &entry.content {
        Content::File(file) => match &file.body {
            FileBody::Items(items) => heap(items.len() * size_of::<Item>()),
            FileBody::Pages(_) => 0,
        },
        Content::External(external) => {
            heap(external.url.len())
                + external.etag.as_ref().map_or(0, |etag| heap(etag.len()))
                + external.version.as_ref().map_or(0, |version| heap(version.len()))
        }
        Content::Dir(dir) => of_body(&dir.body) as usize,
        Content::Symlink(target) => heap(target.len()),
        Content::Unknown { canonical, stored, .. } => heap(canonical.len()) + heap(stored.len()),
        Content::Fifo | Content::Socket | Content::CharDevice { .. } | Content::BlockDevice { .. } => 0,
    };
    (xattrs + content) as u64
}

pub fn of_link_node(node: &LinkNode) -> u64 {
    let path = |path: &TreePath| size_of::<TreePath>() + heap(path.as_bytes().len());
    let group = |group: &LinkGroup| size_of::<LinkGroup>() + heap(group.0.iter().map(path).sum());
    let child = |child: &LinkChild| {
        let below = match &child.body {
            LinkBody::Stored(_) => 0,
            LinkBody::Here(node) => of_link_node(node),
        };
        (size_of::<LinkChild>() + heap(child.last_key.len())) as u64 + below
    };
    size_of::<LinkNode>() as u64
        + match node {
            LinkNode::Leaf(groups) => groups.iter().map(group).sum::<usize>() as u64,
            LinkNode::Inner { children, .. } => children.iter().map(child).sum(),
        }
}

pub fn of_page(page: &Page) -> u64 {
    let bytes = size_of::<Page>()
        + match page {
            Page::Items(items) => heap(items.len() * size_of::<Item>()),
            Page::Pages { pages, .. } => heap(pages.len() * size_of::<PageRef>()),
        };
    bytes as u64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::entry::Meta;
    use crate::model::id::NodeId;
    use crate::model::time::Time;
    use crate::model::tree::{Counts, DirContent};

    fn entry(content: Content) -> Entry {
        Entry { meta: Meta { mode: 0o644, owner: None, mtime: Time(0), xattrs: Vec::new() }, content }
    }

    #[test]
    fn a_node_weighs_its_entries_their_names_and_what_is_inlined() {
        let leaf = |names: &[&str]| {
            Node::Leaf(
                names
                    .iter()
                    .map(|name| NamedEntry { name: name.as_bytes().to_vec(), entry: entry(Content::Fifo) })
                    .collect(),
            )
        };
        let one = of_node(&leaf(&["a"]));
        let two = of_node(&leaf(&["a", "bb"]));
        assert_eq!(two - one, (size_of::<NamedEntry>() + 2 + ALLOCATION_BYTES) as u64);
        let below = Arc::new(leaf(&["a", "bb"]));
        let dir =
            Content::Dir(DirContent { id: NodeId([0; 32]), counts: Counts::default(), body: NodeBody::Here(below) });
        let outer = Node::Leaf(vec![NamedEntry { name: b"a".to_vec(), entry: entry(dir) }]);
        assert_eq!(of_node(&outer), one + two);
    }
}
