//! The canonical encoding of nodes and entries: what ids are hashes of, and what thresholds are taken on.

use super::super::error::Result;
use super::super::wire::{put_medium, put_short, to_u32, unstorable, with_header};
use super::{MAGIC, WHAT};
use crate::model::content::{ExternalContent, FileContent};
use crate::model::entry::{Content, Entry, Meta, Xattr, XattrValue};
use crate::model::tree::{Child, Counts, DirContent, NamedEntry, Node};

/// Content kinds. Later ones are regular files too: their canonical bytes begin with the size.
pub(super) mod kind {
    pub const FILE: u8 = 1;
    pub const EXTERNAL: u8 = 2;
    pub const DIR: u8 = 3;
    pub const SYMLINK: u8 = 4;
    pub const FIFO: u8 = 5;
    pub const SOCKET: u8 = 6;
    pub const CHAR_DEVICE: u8 = 7;
    pub const BLOCK_DEVICE: u8 = 8;
}

/// Bit of an entry's flags: an owner follows.
pub(super) const HAS_OWNER: u8 = 1;

/// Tags of an attribute's value.
pub(super) const VALUE_INLINE: u8 = 0;
pub(super) const VALUE_CHUNK: u8 = 1;

/// Length field, kind, flags, mode, mtime, name length, count of attributes.
const ENTRY_FIXED_BYTES: usize = 4 + 1 + 1 + 2 + 8 + 1 + 2;
const COUNTS_BYTES: usize = 24;
const ID_BYTES: usize = 32;

pub(super) fn write_node(node: &Node, out: &mut Vec<u8>) -> Result<()> {
    match node {
        Node::Leaf(entries) => with_header(MAGIC, 0, entries.len(), out, |out| {
            entries.iter().try_for_each(|NamedEntry { name, entry }| write_entry(name, entry, out))
        }),
        Node::Inner { level, children } => with_header(MAGIC, *level, children.len(), out, |out| {
            children.iter().try_for_each(|child| {
                put_short(WHAT, &child.last_name, out)?;
                out.extend_from_slice(&child.id.0);
                write_counts(&child.counts, out);
                Ok(())
            })
        }),
    }
}

pub(super) fn write_entry(name: &[u8], entry: &Entry, out: &mut Vec<u8>) -> Result<()> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.push(kind_of(&entry.content));
    write_meta(name, &entry.meta, out)?;
    write_content(&entry.content, out)?;
    let len = to_u32(WHAT, out.len() - start - 4)?;
    out[start..start + 4].copy_from_slice(&len.to_le_bytes());
    Ok(())
}

fn kind_of(content: &Content) -> u8 {
    match content {
        Content::File(_) => kind::FILE,
        Content::External(_) => kind::EXTERNAL,
        Content::Dir(_) => kind::DIR,
        Content::Symlink(_) => kind::SYMLINK,
        Content::Fifo => kind::FIFO,
        Content::Socket => kind::SOCKET,
        Content::CharDevice { .. } => kind::CHAR_DEVICE,
        Content::BlockDevice { .. } => kind::BLOCK_DEVICE,
        Content::Unknown { kind, .. } => *kind,
    }
}

fn write_meta(name: &[u8], meta: &Meta, out: &mut Vec<u8>) -> Result<()> {
    out.push(if meta.owner.is_some() { HAS_OWNER } else { 0 });
    out.extend_from_slice(&meta.mode.to_le_bytes());
    out.extend_from_slice(&meta.mtime.0.to_le_bytes());
    put_short("a name", name, out)?;
    if let Some(owner) = &meta.owner {
        out.extend_from_slice(&owner.uid.to_le_bytes());
        out.extend_from_slice(&owner.gid.to_le_bytes());
    }
    let count = u16::try_from(meta.xattrs.len()).map_err(|_| unstorable("extended attributes", "they are too many"))?;
    out.extend_from_slice(&count.to_le_bytes());
    for Xattr { name, value } in &meta.xattrs {
        put_short("an extended attribute's name", name, out)?;
        match value {
            XattrValue::Inline(value) => {
                out.push(VALUE_INLINE);
                put_medium("an extended attribute", value, out)?;
            }
            XattrValue::Chunk { len, id, .. } => {
                out.push(VALUE_CHUNK);
                out.extend_from_slice(&len.to_le_bytes());
                out.extend_from_slice(&id.0);
            }
        }
    }
    Ok(())
}

fn write_content(content: &Content, out: &mut Vec<u8>) -> Result<()> {
    match content {
        Content::File(FileContent { size, id, .. }) => {
            out.extend_from_slice(&size.to_le_bytes());
            out.extend_from_slice(&id.0);
        }
        Content::External(external) => write_external(external, out)?,
        Content::Dir(DirContent { id, counts, .. }) => {
            out.extend_from_slice(&id.0);
            write_counts(counts, out);
        }
        Content::Symlink(target) => put_medium("a symlink's target", target, out)?,
        Content::Fifo | Content::Socket => {}
        Content::CharDevice { rdev } | Content::BlockDevice { rdev } => out.extend_from_slice(&rdev.to_le_bytes()),
        Content::Unknown { size, canonical, .. } => {
            out.extend_from_slice(&size.to_le_bytes());
            out.extend_from_slice(canonical);
        }
    }
    Ok(())
}

/// Of which an external content's id is the hash.
pub(in super::super) fn write_external(external: &ExternalContent, out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(&external.size.to_le_bytes());
    put_medium("a URL", external.url.as_bytes(), out)?;
    for text in [&external.etag, &external.version] {
        out.push(u8::from(text.is_some()));
        if let Some(text) = text {
            put_medium("an etag or version", text.as_bytes(), out)?;
        }
    }
    Ok(())
}

fn write_counts(counts: &Counts, out: &mut Vec<u8>) {
    for count in [counts.entries, counts.files, counts.bytes] {
        out.extend_from_slice(&count.to_le_bytes());
    }
}

/// Length of what [`write_entry`] writes.
pub(super) fn entry_len(name: &[u8], entry: &Entry) -> u64 {
    let owner = if entry.meta.owner.is_some() { 8 } else { 0 };
    let xattrs: usize = entry.meta.xattrs.iter().map(xattr_len).sum();
    (ENTRY_FIXED_BYTES + name.len() + owner + xattrs + content_len(&entry.content)) as u64
}

fn xattr_len(xattr: &Xattr) -> usize {
    let value = match &xattr.value {
        XattrValue::Inline(value) => 2 + value.len(),
        XattrValue::Chunk { .. } => 4 + ID_BYTES,
    };
    1 + xattr.name.len() + 1 + value
}

fn content_len(content: &Content) -> usize {
    let text_len = |text: &Option<String>| 1 + text.as_ref().map_or(0, |text| 2 + text.len());
    match content {
        Content::File(_) => 8 + ID_BYTES,
        Content::External(external) => {
            8 + 2 + external.url.len() + text_len(&external.etag) + text_len(&external.version)
        }
        Content::Dir(_) => ID_BYTES + COUNTS_BYTES,
        Content::Symlink(target) => 2 + target.len(),
        Content::Fifo | Content::Socket => 0,
        Content::CharDevice { .. } | Content::BlockDevice { .. } => 8,
        Content::Unknown { canonical, .. } => 8 + canonical.len(),
    }
}

/// Least length of any entry: what a hostile count is held against.
pub(super) const ENTRY_LEN_MIN: usize = ENTRY_FIXED_BYTES;

/// Length of a child in an inner node.
pub(super) fn child_len(child: &Child) -> u64 {
    (1 + child.last_name.len() + ID_BYTES + COUNTS_BYTES) as u64
}

pub(super) const CHILD_LEN_MIN: usize = 1 + ID_BYTES + COUNTS_BYTES;
