//! How ids are made: BLAKE3 in derive-key mode, one context string for each kind of thing.

use super::error::{FormatError, Result};

pub(super) const NODE: &str = "meshfs 2026-11 tree node v1";
pub(super) const LINK_NODE: &str = "meshfs 2026-11 hard-link node v1";
pub(super) const ROOT: &str = "meshfs 2026-11 root v1";
pub(super) const FILE_CONTENT: &str = "meshfs 2026-11 file content v1";
pub(super) const EXTERNAL_CONTENT: &str = "meshfs 2026-11 external content v1";
pub(super) const COMMIT: &str = "meshfs 2026-11 commit record v1";
pub(super) const ENTRY: &str = "meshfs 2026-11 domain log entry v1";
pub(super) const MESH_ENTRY: &str = "meshfs 2026-11 mesh log entry v1";

pub(super) fn derive(context: &'static str, canonical: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new_derive_key(context).update(canonical).finalize().as_bytes()
}

/// Fails unless both ids are the same.
pub(super) fn verify<Id: PartialEq + std::fmt::Display>(what: &'static str, expected: &Id, found: &Id) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(FormatError::WrongId { what, expected: expected.to_string(), found: found.to_string() })
}
