//! What stands behind a node's canonical bytes: where each child lies, lists of short contents, and inlined nodes.

use super::super::error::{FormatError, Result};
use super::super::limits::UNKNOWN_CONTENT_BYTES_MAX;
use super::super::place::PlaceWriter;
use super::super::wire::{put_long, unstorable};
use super::{WHAT, canonical, is_inlined};
use crate::model::content::{FileBody, ITEMS_IN_ENTRY_MAX, Item};
use crate::model::entry::{Content, Entry, XattrValue};
use crate::model::tree::{DirContent, Node, NodeBody};

/// In place of a count of items: the content is in pages.
pub(super) const PAGED: u8 = 255;

/// Tags of an item, in lists and pages alike.
pub(in super::super) const ITEM_CHUNK: u8 = 0;
pub(in super::super) const ITEM_HOLE: u8 = 1;

/// Tags of a directory.
pub(super) const DIR_STORED: u8 = 0;
pub(super) const DIR_INLINED: u8 = 1;

pub(super) fn write_node(node: &Node, out: &mut PlaceWriter) -> Result<()> {
    match node {
        Node::Leaf(entries) => entries.iter().try_for_each(|named| write_entry(&named.entry, out)),
        Node::Inner { children, .. } => children.iter().try_for_each(|child| match &child.body {
            NodeBody::Stored(location) => out.put(location),
            NodeBody::Here(_) => Err(FormatError::ChildNotStored { what: WHAT, child: child.id.to_string() }),
        }),
    }
}

pub(super) fn write_entry(entry: &Entry, out: &mut PlaceWriter) -> Result<()> {
    for xattr in &entry.meta.xattrs {
        if let XattrValue::Chunk { location, .. } = &xattr.value {
            out.put(location)?;
        }
    }
    match &entry.content {
        Content::File(file) => write_file(&file.body, out),
        Content::Dir(dir) => write_dir(dir, out),
        Content::Unknown { stored, .. } if stored.len() > UNKNOWN_CONTENT_BYTES_MAX => {
            Err(unstorable("a content of unknown kind", "its places are too long"))
        }
        Content::Unknown { stored, .. } => put_long("a content of unknown kind", stored, &mut out.body),
        _ => Ok(()),
    }
}

fn write_file(body: &FileBody, out: &mut PlaceWriter) -> Result<()> {
    match body {
        FileBody::Pages(location) => {
            out.body.push(PAGED);
            out.put(location)
        }
        FileBody::Items(items) if items.len() > ITEMS_IN_ENTRY_MAX => {
            Err(unstorable("a file's content", "its list is too long for the entry"))
        }
        FileBody::Items(items) => {
            out.body.push(items.len() as u8);
            items.iter().try_for_each(|item| match item {
                Item::Chunk { len, id, location } => {
                    out.body.push(ITEM_CHUNK);
                    out.body.extend_from_slice(&len.to_le_bytes());
                    out.body.extend_from_slice(&id.0);
                    out.put(location)
                }
                Item::Hole { len } => {
                    out.body.push(ITEM_HOLE);
                    out.body.extend_from_slice(&len.to_le_bytes());
                    Ok(())
                }
            })
        }
    }
}

fn write_dir(dir: &DirContent, out: &mut PlaceWriter) -> Result<()> {
    match &dir.body {
        NodeBody::Stored(location) => {
            out.body.push(DIR_STORED);
            out.put(location)
        }
        NodeBody::Here(node) if is_inlined(dir) => {
            out.body.push(DIR_INLINED);
            canonical::write_node(node, &mut out.body)?;
            write_node(node, out)
        }
        NodeBody::Here(_) => Err(FormatError::ChildNotStored { what: WHAT, child: dir.id.to_string() }),
    }
}
