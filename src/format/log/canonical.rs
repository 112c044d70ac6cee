//! Canonical bytes of log entries: of all fields that this version knows, whatever the JSON's order and spacing.

use super::super::error::Result;
use super::super::place::codec_byte;
use super::super::wire::{put_long, to_u32, with_header};
use crate::model::log::{
    Change, DomainChange, DomainInfo, DomainOperation, DomainTableRef, Entry, Features, MeshEntry, Operation, RefKind,
    RefName, RefState, TableRef,
};

const WHAT: &str = "a log entry";
const ENTRY_MAGIC: &[u8; 4] = b"mfsE";
const MESH_ENTRY_MAGIC: &[u8; 4] = b"mfsM";

const TABLE_HERE: u8 = 0;
const TABLE_AT: u8 = 1;
const TABLE_PACKED: u8 = 2;

pub(super) fn entry(entry: &Entry) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    with_header(ENTRY_MAGIC, 0, entry.changes.len(), &mut bytes, |out| {
        features(&entry.features, out)?;
        out.extend_from_slice(&entry.seq.to_le_bytes());
        out.extend_from_slice(&entry.nonce.0);
        out.extend_from_slice(&entry.fence.epoch.to_le_bytes());
        out.extend_from_slice(&entry.fence.horizon.to_le_bytes());
        text(&entry.actor, out)?;
        text(&entry.host, out)?;
        out.extend_from_slice(&entry.time.0.to_le_bytes());
        entry.changes.iter().try_for_each(|one| change(one, out))?;
        table(&entry.table, out)
    })?;
    Ok(bytes)
}

pub(super) fn mesh_entry(entry: &MeshEntry) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    with_header(MESH_ENTRY_MAGIC, 0, entry.changes.len(), &mut bytes, |out| {
        features(&entry.features, out)?;
        out.extend_from_slice(&entry.seq.to_le_bytes());
        out.extend_from_slice(&entry.nonce.0);
        out.extend_from_slice(&entry.uid.0);
        let constants = &entry.constants;
        for size in [constants.chunk_min, constants.chunk_target, constants.chunk_max, constants.hole_min] {
            out.extend_from_slice(&size.to_le_bytes());
        }
        out.extend_from_slice(&constants.segment.to_le_bytes());
        text(&entry.actor, out)?;
        text(&entry.host, out)?;
        out.extend_from_slice(&entry.time.0.to_le_bytes());
        entry.changes.iter().try_for_each(|one| domain_change(one, out))?;
        domains(&entry.table, out)
    })?;
    Ok(bytes)
}

fn text(text: &str, out: &mut Vec<u8>) -> Result<()> {
    put_long(WHAT, text.as_bytes(), out)
}

fn count(items: usize, out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(&to_u32(WHAT, items)?.to_le_bytes());
    Ok(())
}

/// A byte that tells whether a value follows, and the value.
fn optional<T>(value: Option<T>, out: &mut Vec<u8>, write: impl FnOnce(T, &mut Vec<u8>) -> Result<()>) -> Result<()> {
    out.push(u8::from(value.is_some()));
    value.map_or(Ok(()), |value| write(value, out))
}

fn features(features: &Features, out: &mut Vec<u8>) -> Result<()> {
    for names in [&features.read, &features.write] {
        count(names.len(), out)?;
        names.iter().try_for_each(|name| text(name, out))?;
    }
    Ok(())
}

fn ref_name(name: &RefName, out: &mut Vec<u8>) -> Result<()> {
    out.push(match name.kind {
        RefKind::Branch => 0,
        RefKind::Tag => 1,
        RefKind::Pin => 2,
    });
    text(&name.name, out)
}

fn ref_state(state: &RefState, out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(&state.created_seq.to_le_bytes());
    out.extend_from_slice(&state.changed_seq.to_le_bytes());
    out.extend_from_slice(&state.target.0);
    Ok(())
}

fn change(change: &Change, out: &mut Vec<u8>) -> Result<()> {
    out.push(match change.operation {
        Operation::Create => 0,
        Operation::Commit => 1,
        Operation::Merge => 2,
        Operation::Revert => 3,
        Operation::CherryPick => 4,
        Operation::Reset => 5,
        Operation::Delete => 6,
    });
    ref_name(&change.name, out)?;
    out.extend_from_slice(&change.created_seq.to_le_bytes());
    optional(change.previous_seq, out, seq)?;
    for target in [change.target, change.previous_target] {
        optional(target, out, |target, out| {
            out.extend_from_slice(&target.0);
            Ok(())
        })?;
    }
    Ok(())
}

fn seq(seq: u64, out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(&seq.to_le_bytes());
    Ok(())
}

fn table(table: &TableRef, out: &mut Vec<u8>) -> Result<()> {
    match table {
        TableRef::Here(table) => {
            out.push(TABLE_HERE);
            count(table.refs.len(), out)?;
            table.refs.iter().try_for_each(|(name, state)| {
                ref_name(name, out)?;
                ref_state(state, out)
            })
        }
        TableRef::At { seq, since } => {
            out.push(TABLE_AT);
            out.extend_from_slice(&seq.to_le_bytes());
            count(since.len(), out)?;
            since.iter().try_for_each(|(name, state)| {
                ref_name(name, out)?;
                optional(state.as_ref(), out, ref_state)
            })
        }
        TableRef::Packed { id, location } => {
            out.push(TABLE_PACKED);
            out.extend_from_slice(&id.0);
            out.extend_from_slice(&location.pack.0);
            out.extend_from_slice(&location.offset.to_le_bytes());
            out.extend_from_slice(&location.len.to_le_bytes());
            out.push(codec_byte(location.codec));
            Ok(())
        }
    }
}

fn domain_change(change: &DomainChange, out: &mut Vec<u8>) -> Result<()> {
    out.push(match change.operation {
        DomainOperation::Create => 0,
        DomainOperation::Update => 1,
        DomainOperation::Delete => 2,
    });
    domain(&change.domain, out)?;
    optional(change.previous_seq, out, seq)
}

fn domain(domain: &DomainInfo, out: &mut Vec<u8>) -> Result<()> {
    text(&domain.name, out)?;
    out.extend_from_slice(&domain.uid.0);
    for value in [&domain.owner, &domain.description, &domain.store] {
        optional(value.as_deref(), out, text)?;
    }
    text(&domain.default_branch, out)?;
    out.extend_from_slice(&domain.created_seq.to_le_bytes());
    Ok(())
}

fn domains(table: &DomainTableRef, out: &mut Vec<u8>) -> Result<()> {
    match table {
        DomainTableRef::Here(table) => {
            out.push(TABLE_HERE);
            count(table.len(), out)?;
            table.values().try_for_each(|one| domain(one, out))
        }
        DomainTableRef::At { seq, since } => {
            out.push(TABLE_AT);
            out.extend_from_slice(&seq.to_le_bytes());
            count(since.len(), out)?;
            since.iter().try_for_each(|(name, one)| {
                text(name, out)?;
                optional(one.as_ref(), out, domain)
            })
        }
    }
}
