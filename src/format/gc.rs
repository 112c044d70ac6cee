//! Objects `gc/<epoch>`: what the collection of an epoch may delete.

use std::collections::BTreeSet;

use super::error::Result;
use super::id;
use super::sealed::{open, seal};
use super::wire::{Reader, to_u32};
use crate::model::gc::Condemned;
use crate::model::id::{CommitId, Nonce, PackName};
use crate::model::time::Time;

const MAGIC: &[u8; 4] = b"mfsG";
const WHAT: &str = "a list of condemned packs";

/// The stored list.
pub fn encode_condemned(condemned: &Condemned) -> Result<Vec<u8>> {
    seal(WHAT, MAGIC, |out| {
        out.extend_from_slice(&condemned.epoch.to_le_bytes());
        out.extend_from_slice(&condemned.nonce.0);
        out.extend_from_slice(&condemned.horizon.to_le_bytes());
        out.extend_from_slice(&condemned.time.0.to_le_bytes());
        write_set(condemned.packs.iter().map(|pack| pack.0), out)?;
        write_set(condemned.records.iter().map(|record| record.0), out)?;
        write_set(condemned.made.iter().map(|pack| pack.0), out)
    })
}

fn write_set<const N: usize>(ids: impl ExactSizeIterator<Item = [u8; N]>, out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(&to_u32(WHAT, ids.len())?.to_le_bytes());
    ids.for_each(|id| out.extend_from_slice(&id));
    Ok(())
}

/// The list of these bytes, checked to be that of `epoch`.
pub fn decode_condemned(bytes: &[u8], epoch: u64) -> Result<Condemned> {
    let mut reader = open(WHAT, MAGIC, bytes)?;
    id::verify(WHAT, &epoch, &reader.u64()?)?;
    let condemned = Condemned {
        epoch,
        nonce: Nonce(reader.array()?),
        horizon: reader.u64()?,
        time: Time(reader.i64()?),
        packs: read_set(&mut reader, PackName)?,
        records: read_set(&mut reader, CommitId)?,
        made: read_set(&mut reader, PackName)?,
    };
    reader.end()?;
    Ok(condemned)
}

fn read_set<Id: Ord, const N: usize>(reader: &mut Reader<'_>, id: impl Fn([u8; N]) -> Id) -> Result<BTreeSet<Id>> {
    let count = reader.u32()?;
    let count = reader.capacity(count, N)?;
    let mut ids = BTreeSet::new();
    for _ in 0..count {
        let id = id(reader.array()?);
        if ids.last().is_some_and(|last| *last >= id) {
            return Err(reader.damaged("a list in it is not sorted"));
        }
        ids.insert(id);
    }
    Ok(ids)
}
