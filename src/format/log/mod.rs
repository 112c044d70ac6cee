//! Log entries of domains and of the mesh, ref tables, and the names of entries.

mod canonical;
mod domain;
mod mesh;

pub use domain::{decode_entry, decode_table, encode_entry, encode_table, entry_id, fits_in_entry, row_bytes_max};
pub use mesh::{decode_mesh_entry, encode_mesh_entry, mesh_entry_id};

use super::error::{FormatError, Result};
use super::limits::{FEATURES_READ, FEATURES_WRITE};
use crate::model::log::Features;

const NAME_DIGITS: usize = 20;

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
pub fn check_features(features: &Features) -> Result<Access> {
    let missing = |needed: &[String], known: &[&str]| -> Vec<String> {
        needed.iter().filter(|name| !known.contains(&name.as_str())).cloned().collect()
    };
    let names = missing(&features.read, FEATURES_READ);
    if !names.is_empty() {
        return Err(FormatError::UnknownFeatures { names });
    }
    let missing = missing(&features.write, FEATURES_WRITE);
    Ok(if missing.is_empty() { Access::Write } else { Access::Read { missing } })
}

/// Object name of entry `seq` of a log (also of `gc/<epoch>`): 20 digits of 2^64-1-seq, so that the newest sorts first.
pub fn entry_name(seq: u64) -> String {
    format!("{:020}", u64::MAX - seq)
}

/// None for names that are none of an entry: a log's folder may hold alien ones.
pub fn parse_entry_name(name: &str) -> Option<u64> {
    let digits = name.len() == NAME_DIGITS && name.bytes().all(|b| b.is_ascii_digit());
    let complement: u64 = digits.then(|| name.parse().ok()).flatten()?;
    Some(u64::MAX - complement).filter(|seq| *seq > 0)
}

/// Hash of stored bytes, to tell on read-back whether an entry is the very body that was sent.
pub fn body_hash(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}
