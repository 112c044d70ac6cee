//! Objects `relocations/<pack>`.

use super::error::Result;
use crate::model::gc::Relocations;
use crate::model::id::PackName;

pub fn encode_relocations(_relocations: &Relocations) -> Result<Vec<u8>> {
    todo!()
}

/// The map of these bytes, checked to be that of `pack`.
pub fn decode_relocations(_bytes: &[u8], _pack: &PackName) -> Result<Relocations> {
    todo!()
}
