//! Binary objects that are no part of any id: a header, a body, and the BLAKE3 of both at the end.

use super::error::Result;
use super::limits::COLLECTION_BYTES_MAX;
use super::wire::{HEADER_BYTES, Reader, unstorable, with_header};

const SEAL_BYTES: usize = 32;

pub(super) fn seal(
    what: &'static str,
    magic: &[u8; 4],
    body: impl FnOnce(&mut Vec<u8>) -> Result<()>,
) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    with_header(magic, 0, 0, &mut bytes, body)?;
    if bytes.len() > COLLECTION_BYTES_MAX {
        return Err(unstorable(what, format!("{} bytes are too many", bytes.len())));
    }
    bytes.extend_from_slice(blake3::hash(&bytes).as_bytes());
    Ok(bytes)
}

/// A reader of the body, once its hash is verified.
pub(super) fn open<'a>(what: &'static str, magic: &[u8; 4], bytes: &'a [u8]) -> Result<Reader<'a>> {
    let mut reader = Reader::new(what, bytes);
    let (header, sealed) = reader.header(magic, COLLECTION_BYTES_MAX as u64)?;
    let hash = reader.array::<SEAL_BYTES>()?;
    reader.end()?;
    if header.level != 0 || header.count != 0 || hash != *blake3::hash(sealed).as_bytes() {
        return Err(reader.damaged("its hash is wrong"));
    }
    Ok(Reader::new(what, &sealed[HEADER_BYTES..]))
}
