//! Places: where children lie. Never hashed; pack names stand once in a table in front.

use std::collections::HashMap;

use super::error::{FormatError, Result};
use super::wire::{Reader, unstorable};
use crate::model::id::{Codec, Location, PackName};

pub(super) fn codec_byte(codec: Codec) -> u8 {
    match codec {
        Codec::Raw => 0,
        Codec::Zstd => 1,
    }
}

pub(super) fn codec_of(byte: u8) -> Option<Codec> {
    match byte {
        0 => Some(Codec::Raw),
        1 => Some(Codec::Zstd),
        _ => None,
    }
}

/// Collects places behind a canonical encoding.
#[derive(Debug, Default)]
pub(super) struct PlaceWriter {
    packs: Vec<PackName>,
    index: HashMap<PackName, u16>,
    pub body: Vec<u8>,
}

impl PlaceWriter {
    pub fn put(&mut self, location: &Location) -> Result<()> {
        if location.pack == PackName::NONE {
            return Err(FormatError::ChildNotStored { what: "a node", child: "something in no pack".to_owned() });
        }
        let at = match self.index.get(&location.pack) {
            Some(at) => *at,
            None => {
                let at = u16::try_from(self.packs.len()).map_err(|_| unstorable("a node", "too many packs"))?;
                self.packs.push(location.pack);
                self.index.insert(location.pack, at);
                at
            }
        };
        self.body.extend_from_slice(&at.to_le_bytes());
        self.body.extend_from_slice(&[codec_byte(location.codec), 0]);
        self.body.extend_from_slice(&location.len.to_le_bytes());
        self.body.extend_from_slice(&location.offset.to_le_bytes());
        Ok(())
    }

    /// Appends the table and the places to the canonical bytes in `out`.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<()> {
        let count = u16::try_from(self.packs.len()).map_err(|_| unstorable("a node", "too many packs"))?;
        out.extend_from_slice(&count.to_le_bytes());
        self.packs.iter().for_each(|pack| out.extend_from_slice(&pack.0));
        out.extend_from_slice(&self.body);
        Ok(())
    }
}

/// Reads the places behind a canonical encoding.
#[derive(Debug)]
pub(super) struct PlaceReader<'a> {
    packs: Vec<PackName>,
    pub body: Reader<'a>,
}

impl<'a> PlaceReader<'a> {
    pub fn new(mut reader: Reader<'a>) -> Result<PlaceReader<'a>> {
        let count = u32::from(reader.u16()?);
        let mut packs = Vec::with_capacity(reader.capacity(count, 16)?);
        for _ in 0..count {
            packs.push(PackName(reader.array()?));
        }
        Ok(PlaceReader { packs, body: reader })
    }

    pub fn damaged(&self, why: impl Into<String>) -> FormatError {
        self.body.damaged(why)
    }

    pub fn location(&mut self) -> Result<Location> {
        let at = self.body.u16()?;
        let (codec, zero) = (self.body.u8()?, self.body.u8()?);
        let (len, offset) = (self.body.u32()?, self.body.u64()?);
        let pack = *self.packs.get(usize::from(at)).ok_or_else(|| self.damaged("a place names no pack"))?;
        let codec = codec_of(codec).ok_or_else(|| self.damaged(format!("codec {codec} is unknown")))?;
        if zero != 0 || offset.checked_add(u64::from(len)).is_none() {
            return Err(self.damaged("a place is impossible"));
        }
        Ok(Location { pack, offset, len, codec })
    }
}
