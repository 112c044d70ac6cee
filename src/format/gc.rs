//! Objects `gc/<epoch>`.

use super::error::Result;
use crate::model::gc::Condemned;

pub fn encode_condemned(_condemned: &Condemned) -> Result<Vec<u8>> {
    todo!()
}

/// The list of these bytes, checked to be that of `epoch`.
pub fn decode_condemned(_bytes: &[u8], _epoch: u64) -> Result<Condemned> {
    todo!()
}
