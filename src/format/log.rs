//! Log entries of domains and of the mesh, ref tables, and the names of entries.

use super::error::Result;
use crate::model::log::{Entry, Features, MeshEntry, RefTable};

/// What a program that knows this version's features may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    Write,
    /// Only read: writing needs these features.
    Read {
        missing: Vec<String>,
    },
}

/// Fails with the names of features that even reading needs.
pub fn check_features(_features: &Features) -> Result<Access> {
    todo!()
}

/// Object name of entry `seq` of a log (also of `gc/<epoch>`): 20 digits of 2^64-1-seq, so that the newest sorts first.
pub fn entry_name(_seq: u64) -> String {
    todo!()
}

/// None for names that are none of an entry: a log's folder may hold alien ones.
pub fn parse_entry_name(_name: &str) -> Option<u64> {
    todo!()
}

pub fn encode_entry(_entry: &Entry) -> Result<Vec<u8>> {
    todo!()
}

/// Fails with [`super::error::FormatError::UnknownFeatures`] before it looks at anything that they may have changed.
pub fn decode_entry(_bytes: &[u8]) -> Result<Entry> {
    todo!()
}

/// Hash of the canonical bytes of all fields that this version knows.
pub fn entry_id(_entry: &Entry) -> Result<[u8; 32]> {
    todo!()
}

pub fn encode_mesh_entry(_entry: &MeshEntry) -> Result<Vec<u8>> {
    todo!()
}

pub fn decode_mesh_entry(_bytes: &[u8]) -> Result<MeshEntry> {
    todo!()
}

pub fn mesh_entry_id(_entry: &MeshEntry) -> Result<[u8; 32]> {
    todo!()
}

/// Hash of stored bytes, to tell on read-back whether an entry is the very body that was sent.
pub fn body_hash(_bytes: &[u8]) -> [u8; 32] {
    todo!()
}

/// Is this table small enough to stand in an entry?
pub fn fits_in_entry(_table: &RefTable) -> bool {
    todo!()
}

/// A table as a chunk, for when it is too large for its entry.
pub fn encode_table(_table: &RefTable) -> Result<Vec<u8>> {
    todo!()
}

pub fn decode_table(_bytes: &[u8]) -> Result<RefTable> {
    todo!()
}
