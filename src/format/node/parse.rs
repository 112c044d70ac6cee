//! Reading of nodes and entries from bytes that nobody vouches for.

use std::sync::Arc;

use super::super::content;
use super::super::error::Result;
use super::super::id;
use super::super::limits::{
    ETAG_BYTES_MAX, INLINE_BYTES_MAX, LEVEL_MAX, MODE_MAX, NODE_BYTES_MAX, SYMLINK_BYTES_MAX,
    UNKNOWN_CONTENT_BYTES_MAX, URL_BYTES_MAX, XATTR_NAME_BYTES_MAX,
};
use super::super::place::PlaceReader;
use super::super::wire::{HEADER_BYTES, Header, Reader};
use super::canonical::{self, kind};
use super::places::{DIR_INLINED, DIR_STORED, ITEM_CHUNK, ITEM_HOLE, PAGED};
use super::{MAGIC, WHAT, check_counts};
use crate::model::content::{ExternalContent, FileBody, FileContent, ITEMS_IN_ENTRY_MAX, Item};
use crate::model::entry::{Content, Entry, Meta, Owner, XATTR_INLINE_BYTES_MAX, XATTRS_BYTES_MAX, Xattr, XattrValue};
use crate::model::id::{ChunkId, ContentId, NodeId};
use crate::model::path::check_name;
use crate::model::time::Time;
use crate::model::tree::{Child, Counts, DirContent, NamedEntry, Node, NodeBody};

pub(super) fn stored_node(stored: &[u8], expected: &NodeId) -> Result<Node> {
    let mut reader = Reader::new(WHAT, stored);
    let (header, canonical) = reader.header(MAGIC, NODE_BYTES_MAX - HEADER_BYTES as u64)?;
    id::verify(WHAT, expected, &NodeId(id::derive(id::NODE, canonical)))?;
    let mut places = PlaceReader::new(reader)?;
    let (node, size) = match header.level {
        0 => leaf(header, canonical, &mut places, INLINE_BYTES_MAX)?,
        _ => (inner(header, canonical, &mut places)?, canonical.len() as u64),
    };
    if size > NODE_BYTES_MAX {
        return Err(places.damaged(format!("it holds {size} bytes, which pass the limit")));
    }
    places.body.end()?;
    Ok(node)
}

/// A leaf and its size with what it inlines. `room`: how much an inlined child may hold.
fn leaf(header: Header, canonical: &[u8], places: &mut PlaceReader<'_>, room: u64) -> Result<(Node, u64)> {
    let mut reader = Reader::new(WHAT, &canonical[HEADER_BYTES..]);
    let mut entries: Vec<NamedEntry> = Vec::with_capacity(reader.capacity(header.count, canonical::ENTRY_LEN_MIN)?);
    let mut size = canonical.len() as u64;
    let mut counts = Counts::default();
    for _ in 0..header.count {
        let (name, entry, inlined) = self::entry(&mut reader, places, room)?;
        check_name(name).map_err(|error| reader.damaged(error.to_string()))?;
        check_order(&reader, entries.last().map(|last| last.name.as_slice()), name)?;
        size += inlined;
        counts = add(&reader, counts, entry.counts())?;
        entries.push(NamedEntry { name: name.to_vec(), entry });
    }
    reader.end()?;
    Ok((Node::Leaf(entries), size))
}

fn inner(header: Header, canonical: &[u8], places: &mut PlaceReader<'_>) -> Result<Node> {
    let mut reader = Reader::new(WHAT, &canonical[HEADER_BYTES..]);
    if header.level > LEVEL_MAX || header.count == 0 {
        return Err(reader.damaged("its level or count is impossible"));
    }
    let mut children: Vec<Child> = Vec::with_capacity(reader.capacity(header.count, canonical::CHILD_LEN_MIN)?);
    let mut total = Counts::default();
    for _ in 0..header.count {
        let last_name = reader.short()?;
        check_name(last_name).map_err(|error| reader.damaged(error.to_string()))?;
        check_order(&reader, children.last().map(|last| last.last_name.as_slice()), last_name)?;
        let id = NodeId(reader.array()?);
        let counts = counts(&mut reader)?;
        total = add(&reader, total, counts)?;
        let body = NodeBody::Stored(places.location()?);
        children.push(Child { last_name: last_name.to_vec(), id, counts, body });
    }
    reader.end()?;
    Ok(Node::Inner { level: header.level, children })
}

fn check_order(reader: &Reader<'_>, last: Option<&[u8]>, name: &[u8]) -> Result<()> {
    match last {
        Some(last) if last >= name => Err(reader.damaged("its names are not sorted, or one stands twice")),
        _ => Ok(()),
    }
}

fn add(reader: &Reader<'_>, a: Counts, b: Counts) -> Result<Counts> {
    let sum = |a: u64, b: u64| a.checked_add(b).ok_or_else(|| reader.damaged("its counts overflow"));
    Ok(Counts { entries: sum(a.entries, b.entries)?, files: sum(a.files, b.files)?, bytes: sum(a.bytes, b.bytes)? })
}

fn counts(reader: &mut Reader<'_>) -> Result<Counts> {
    Ok(Counts { entries: reader.u64()?, files: reader.u64()?, bytes: reader.u64()? })
}

/// The next entry, its name unchecked, and how many bytes it inlines.
pub(super) fn entry<'a>(
    reader: &mut Reader<'a>,
    places: &mut PlaceReader<'_>,
    room: u64,
) -> Result<(&'a [u8], Entry, u64)> {
    let len = reader.u32()?;
    let mut reader = reader.part(len as usize)?;
    let kind = reader.u8()?;
    let flags = reader.u8()?;
    let mode = reader.u16()?;
    let mtime = Time(reader.i64()?);
    let name = reader.short()?;
    if flags & !canonical::HAS_OWNER != 0 || mode > MODE_MAX {
        return Err(reader.damaged(format!("flags {flags:#x} or mode {mode:#o} are impossible")));
    }
    let owner = match flags & canonical::HAS_OWNER {
        0 => None,
        _ => Some(Owner { uid: reader.u32()?, gid: reader.u32()? }),
    };
    let xattrs = xattrs(&mut reader, places)?;
    let (content, inlined) = content(kind, &mut reader, places, room)?;
    reader.end()?;
    Ok((name, Entry { meta: Meta { mode, owner, mtime, xattrs }, content }, inlined))
}

fn xattrs(reader: &mut Reader<'_>, places: &mut PlaceReader<'_>) -> Result<Vec<Xattr>> {
    let count = u32::from(reader.u16()?);
    let mut xattrs: Vec<Xattr> = Vec::with_capacity(reader.capacity(count, 4)?);
    let mut bytes = 0;
    for _ in 0..count {
        let name = reader.short()?;
        if name.is_empty() || name.len() > XATTR_NAME_BYTES_MAX || name.contains(&0) {
            return Err(reader.damaged("an extended attribute's name is impossible"));
        }
        check_order(reader, xattrs.last().map(|last| last.name.as_slice()), name)?;
        let (value, len) = xattr_value(reader, places)?;
        bytes += name.len() + len;
        xattrs.push(Xattr { name: name.to_vec(), value });
    }
    if bytes > XATTRS_BYTES_MAX {
        return Err(reader.damaged(format!("{bytes} bytes of extended attributes pass the limit")));
    }
    Ok(xattrs)
}

fn xattr_value(reader: &mut Reader<'_>, places: &mut PlaceReader<'_>) -> Result<(XattrValue, usize)> {
    match reader.u8()? {
        canonical::VALUE_INLINE => {
            let value = reader.medium()?;
            match value.len() {
                len if len <= XATTR_INLINE_BYTES_MAX => Ok((XattrValue::Inline(value.to_vec()), len)),
                len => Err(reader.damaged(format!("an attribute of {len} bytes must be a chunk"))),
            }
        }
        canonical::VALUE_CHUNK => {
            let len = reader.u32()?;
            let id = ChunkId(reader.array()?);
            match len as usize {
                bytes if bytes > XATTR_INLINE_BYTES_MAX && bytes <= XATTRS_BYTES_MAX => {
                    Ok((XattrValue::Chunk { len, id, location: places.location()? }, bytes))
                }
                bytes => Err(reader.damaged(format!("an attribute of {bytes} bytes is no chunk"))),
            }
        }
        tag => Err(reader.damaged(format!("value tag {tag} is unknown"))),
    }
}

fn content(kind: u8, reader: &mut Reader<'_>, places: &mut PlaceReader<'_>, room: u64) -> Result<(Content, u64)> {
    let content = match kind {
        0 => return Err(reader.damaged("content kind 0 is none")),
        kind::FILE => Content::File(file(reader, places)?),
        kind::EXTERNAL => Content::External(external(reader)?),
        kind::DIR => {
            let (dir, inlined) = dir(reader, places, room)?;
            return Ok((Content::Dir(dir), inlined));
        }
        kind::SYMLINK => Content::Symlink(symlink(reader)?),
        kind::FIFO => Content::Fifo,
        kind::SOCKET => Content::Socket,
        kind::CHAR_DEVICE => Content::CharDevice { rdev: reader.u64()? },
        kind::BLOCK_DEVICE => Content::BlockDevice { rdev: reader.u64()? },
        _ => unknown(kind, reader, places)?,
    };
    Ok((content, 0))
}

fn symlink(reader: &mut Reader<'_>) -> Result<Vec<u8>> {
    let target = reader.medium()?;
    if target.is_empty() || target.len() > SYMLINK_BYTES_MAX || target.contains(&0) {
        return Err(reader.damaged("a symlink's target is impossible"));
    }
    Ok(target.to_vec())
}

fn unknown(kind: u8, reader: &mut Reader<'_>, places: &mut PlaceReader<'_>) -> Result<Content> {
    let size = reader.u64()?;
    let (canonical, stored) = (reader.rest(), places.body.long()?);
    if canonical.len() > UNKNOWN_CONTENT_BYTES_MAX || stored.len() > UNKNOWN_CONTENT_BYTES_MAX {
        return Err(reader.damaged(format!("a content of kind {kind} is too long")));
    }
    Ok(Content::Unknown { kind, size, canonical: canonical.to_vec(), stored: stored.to_vec() })
}

fn file(reader: &mut Reader<'_>, places: &mut PlaceReader<'_>) -> Result<FileContent> {
    let size = reader.u64()?;
    let id = ContentId(reader.array()?);
    let body = match places.body.u8()? {
        PAGED if size > 0 => FileBody::Pages(places.location()?),
        count if usize::from(count) <= ITEMS_IN_ENTRY_MAX => {
            let items = (0..count).map(|_| item(places)).collect::<Result<Vec<_>>>()?;
            if content::check_items(&items)? != size {
                return Err(reader.damaged("a file's size is not that of its content"));
            }
            id::verify("a file's content", &id, &content::list_id(&items))?;
            FileBody::Items(items)
        }
        count => return Err(reader.damaged(format!("a list of {count} items cannot be in an entry"))),
    };
    Ok(FileContent { size, id, body })
}

fn item(places: &mut PlaceReader<'_>) -> Result<Item> {
    match places.body.u8()? {
        ITEM_CHUNK => {
            let len = places.body.u32()?;
            Ok(Item::Chunk { len, id: ChunkId(places.body.array()?), location: places.location()? })
        }
        ITEM_HOLE => Ok(Item::Hole { len: places.body.u64()? }),
        tag => Err(places.damaged(format!("item tag {tag} is unknown"))),
    }
}

fn external(reader: &mut Reader<'_>) -> Result<ExternalContent> {
    let size = reader.u64()?;
    let url = text(reader, URL_BYTES_MAX)?;
    let mut optional = || match reader.u8()? {
        0 => Ok(None),
        1 => text(reader, ETAG_BYTES_MAX).map(Some),
        tag => Err(reader.damaged(format!("tag {tag} is unknown"))),
    };
    let (etag, version) = (optional()?, optional()?);
    let mut external = ExternalContent { url, size, etag, version, id: ContentId([0; 32]) };
    external.id = content::external_id(&external)?;
    Ok(external)
}

fn text(reader: &mut Reader<'_>, len_max: usize) -> Result<String> {
    let bytes = reader.medium()?;
    match std::str::from_utf8(bytes) {
        Ok(text) if text.len() <= len_max => Ok(text.to_owned()),
        _ => Err(reader.damaged("a text is too long, or not UTF-8")),
    }
}

/// A directory's content, and how many bytes it inlines.
fn dir(reader: &mut Reader<'_>, places: &mut PlaceReader<'_>, room: u64) -> Result<(DirContent, u64)> {
    let id = NodeId(reader.array()?);
    let counts = counts(reader)?;
    match places.body.u8()? {
        DIR_STORED => Ok((DirContent { id, counts, body: NodeBody::Stored(places.location()?) }, 0)),
        DIR_INLINED => {
            let (header, canonical) = places.body.header(MAGIC, room.saturating_sub(HEADER_BYTES as u64))?;
            if header.level != 0 {
                return Err(places.damaged("an inlined directory has more than a leaf"));
            }
            id::verify(WHAT, &id, &NodeId(id::derive(id::NODE, canonical)))?;
            // Each level down has less room than the one above, which bounds how deep this can go.
            let room = room.checked_sub(canonical.len() as u64).ok_or_else(|| places.damaged("it inlines too much"))?;
            let (node, size) = leaf(header, canonical, places, room)?;
            if size > INLINE_BYTES_MAX {
                return Err(places.damaged(format!("an inlined directory holds {size} bytes")));
            }
            check_counts(&counts, &node)?;
            Ok((DirContent { id, counts, body: NodeBody::Here(Arc::new(node)) }, size))
        }
        tag => Err(places.damaged(format!("directory tag {tag} is unknown"))),
    }
}
