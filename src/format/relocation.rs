//! Objects `relocations/<pack>`: where the frames of a moved pack now lie.

use std::collections::BTreeMap;

use super::error::Result;
use super::id;
use super::place::{PlaceReader, PlaceWriter};
use super::sealed::{open, seal};
use super::wire::{Reader, to_u32};
use crate::model::gc::Relocations;
use crate::model::id::{Nonce, PackName};

const MAGIC: &[u8; 4] = b"mfsX";
const WHAT: &str = "a relocation map";

/// The stored map.
pub fn encode_relocations(relocations: &Relocations) -> Result<Vec<u8>> {
    seal(WHAT, MAGIC, |out| {
        out.extend_from_slice(&relocations.pack.0);
        out.extend_from_slice(&relocations.nonce.0);
        out.extend_from_slice(&to_u32(WHAT, relocations.moved.len())?.to_le_bytes());
        let mut places = PlaceWriter::default();
        for (offset, location) in &relocations.moved {
            out.extend_from_slice(&offset.to_le_bytes());
            places.put(location)?;
        }
        places.finish(out)
    })
}

/// The map of these bytes, checked to be that of `pack`.
pub fn decode_relocations(bytes: &[u8], pack: &PackName) -> Result<Relocations> {
    let mut reader = open(WHAT, MAGIC, bytes)?;
    id::verify(WHAT, pack, &PackName(reader.array()?))?;
    let nonce = Nonce(reader.array()?);
    let count = reader.u32()?;
    let offsets = reader.capacity(count, 8)?;
    let offsets = reader.take(offsets * 8)?;
    let mut offsets = Reader::new(WHAT, offsets);
    let mut places = PlaceReader::new(reader)?;
    let mut moved = BTreeMap::new();
    for _ in 0..count {
        let offset = offsets.u64()?;
        if moved.last_key_value().is_some_and(|(last, _)| *last >= offset) {
            return Err(offsets.damaged("its offsets are not sorted"));
        }
        moved.insert(offset, places.location()?);
    }
    places.body.end()?;
    Ok(Relocations { pack: *pack, nonce, moved })
}
