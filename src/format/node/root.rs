//! Root objects: a nameless directory entry, and the id of the hard-link table.

use super::super::error::{FormatError, Result};
use super::super::id;
use super::super::limits::{INLINE_BYTES_MAX, NODE_BYTES_MAX};
use super::super::place::{PlaceReader, PlaceWriter};
use super::super::wire::{HEADER_BYTES, Reader, unstorable, with_header};
use super::{Encoded, canonical, parse, places, refuse_unreadable};
use crate::model::entry::Kind;
use crate::model::id::{NodeId, RootId};
use crate::model::tree::{LinkBody, LinkTable, Root};

const MAGIC: &[u8; 4] = b"mfsR";
const WHAT: &str = "a root";

/// The root object as it is stored; `root.id` is not read. The directory's node is inlined by the rule for all
/// directories, else it must be `Stored`; so must be the links' top node.
pub fn encode_root(root: &Root) -> Result<Encoded<RootId>> {
    let mut bytes = write_canonical(root)?;
    let canonical_len = bytes.len();
    let id = RootId(id::derive(id::ROOT, &bytes));
    let mut writer = PlaceWriter::default();
    places::write_entry(&root.entry, &mut writer)?;
    match &root.links {
        None => {}
        Some(LinkTable { body: LinkBody::Stored(location), .. }) => writer.put(location)?,
        Some(LinkTable { id, .. }) => {
            return Err(FormatError::ChildNotStored { what: WHAT, child: id.to_string() });
        }
    }
    writer.finish(&mut bytes)?;
    refuse_unreadable(WHAT, &bytes, decode_root(&bytes, &id))?;
    Ok(Encoded { id, canonical_len, bytes })
}

/// The id that a root of this directory and these links has.
pub fn root_id(root: &Root) -> Result<RootId> {
    Ok(RootId(id::derive(id::ROOT, &write_canonical(root)?)))
}

fn write_canonical(root: &Root) -> Result<Vec<u8>> {
    if root.entry.kind() != Kind::Dir {
        return Err(unstorable(WHAT, "it is no directory"));
    }
    let mut bytes = Vec::new();
    with_header(MAGIC, 0, usize::from(root.links.is_some()), &mut bytes, |out| {
        canonical::write_entry(b"", &root.entry, out)?;
        if let Some(links) = &root.links {
            out.extend_from_slice(&links.id.0);
        }
        Ok(())
    })?;
    Ok(bytes)
}

/// The root of these stored bytes, checked against its id.
pub fn decode_root(stored: &[u8], expected: &RootId) -> Result<Root> {
    let mut reader = Reader::new(WHAT, stored);
    let (header, canonical) = reader.header(MAGIC, NODE_BYTES_MAX)?;
    id::verify(WHAT, expected, &RootId(id::derive(id::ROOT, canonical)))?;
    let mut places = PlaceReader::new(reader)?;
    let mut reader = Reader::new(WHAT, &canonical[HEADER_BYTES..]);
    let (name, entry, _) = parse::entry(&mut reader, &mut places, INLINE_BYTES_MAX)?;
    if header.level != 0 || header.count > 1 || !name.is_empty() || entry.kind() != Kind::Dir {
        return Err(reader.damaged("it is not one nameless directory"));
    }
    let links = match header.count {
        0 => None,
        _ => Some(LinkTable { id: NodeId(reader.array()?), body: LinkBody::Stored(places.location()?) }),
    };
    reader.end()?;
    places.body.end()?;
    Ok(Root { id: *expected, entry, links })
}
