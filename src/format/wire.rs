//! Little-endian, fixed-width, length-prefixed bytes: writing them, and reading them without trust.

use super::error::{FormatError, Result};
use super::limits::FORMAT_VERSION;

/// Bytes of the header that every binary encoding starts with.
pub(super) const HEADER_BYTES: usize = 16;

/// What stands in front of every binary encoding: what it is, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub level: u8,
    pub count: u32,
    pub body_len: u32,
}

/// Writes one encoding's header over a body that is written meanwhile.
pub(super) fn with_header(
    magic: &[u8; 4],
    level: u8,
    count: usize,
    out: &mut Vec<u8>,
    body: impl FnOnce(&mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_BYTES]);
    body(out)?;
    let what = "an encoding";
    let body_len = to_u32(what, out.len() - start - HEADER_BYTES)?;
    let header = &mut out[start..start + HEADER_BYTES];
    header[..4].copy_from_slice(magic);
    header[4] = FORMAT_VERSION;
    header[5] = level;
    header[8..12].copy_from_slice(&to_u32(what, count)?.to_le_bytes());
    header[12..].copy_from_slice(&body_len.to_le_bytes());
    Ok(())
}

pub(super) fn to_u32(what: &'static str, value: usize) -> Result<u32> {
    u32::try_from(value).map_err(|_| unstorable(what, format!("{value} passes 32 bits")))
}

pub(super) fn unstorable(what: &'static str, why: impl Into<String>) -> FormatError {
    FormatError::Unstorable { what, why: why.into() }
}

/// A byte string behind its length in one byte.
pub(super) fn put_short(what: &'static str, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let len = u8::try_from(bytes.len()).map_err(|_| unstorable(what, format!("{} bytes are too long", bytes.len())))?;
    out.push(len);
    out.extend_from_slice(bytes);
    Ok(())
}

/// A byte string behind its length in two bytes.
pub(super) fn put_medium(what: &'static str, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let len =
        u16::try_from(bytes.len()).map_err(|_| unstorable(what, format!("{} bytes are too long", bytes.len())))?;
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

/// A byte string behind its length in four bytes.
pub(super) fn put_long(what: &'static str, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(&to_u32(what, bytes.len())?.to_le_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

/// Reads untrusted bytes front to back; each step fails rather than pass the end.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    what: &'static str,
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    /// `what` names the thing in errors.
    pub fn new(what: &'static str, bytes: &'a [u8]) -> Reader<'a> {
        Reader { what, left: bytes }
    }

    pub fn damaged(&self, why: impl Into<String>) -> FormatError {
        FormatError::Damaged { what: self.what, why: why.into() }
    }

    pub fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        match self.left.split_at_checked(len) {
            Some((taken, left)) => {
                self.left = left;
                Ok(taken)
            }
            None => Err(self.damaged(format!("ends {} bytes early", len - self.left.len()))),
        }
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    pub fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub fn i64(&mut self) -> Result<i64> {
        self.array().map(i64::from_le_bytes)
    }

    pub fn short(&mut self) -> Result<&'a [u8]> {
        let len = self.u8()?;
        self.take(usize::from(len))
    }

    pub fn medium(&mut self) -> Result<&'a [u8]> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    pub fn long(&mut self) -> Result<&'a [u8]> {
        let len = self.u32()?;
        self.take(len as usize)
    }

    /// A reader of the next `len` bytes alone.
    pub fn part(&mut self, len: usize) -> Result<Reader<'a>> {
        Ok(Reader { what: self.what, left: self.take(len)? })
    }

    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.left)
    }

    /// All bytes must have been read: an encoding has one form.
    pub fn end(&self) -> Result<()> {
        match self.left.len() {
            0 => Ok(()),
            left => Err(self.damaged(format!("{left} bytes too many"))),
        }
    }

    /// How many items `count` claims, given that each takes at least `least` of the bytes left: never more is allocated.
    pub fn capacity(&self, count: u32, least: usize) -> Result<usize> {
        let most = self.left.len() / least.max(1);
        match usize::try_from(count) {
            Ok(count) if count <= most => Ok(count),
            _ => Err(self.damaged(format!("{count} items cannot be in {} bytes", self.left.len()))),
        }
    }

    /// The header of an encoding, and the canonical bytes it begins (header included), which are passed over.
    pub fn header(&mut self, magic: &[u8; 4], body_max: u64) -> Result<(Header, &'a [u8])> {
        let all = self.left;
        if self.array::<4>()? != *magic {
            return Err(self.damaged("it does not begin as one does"));
        }
        let version = self.u8()?;
        if version > FORMAT_VERSION {
            let (what, version, known) = (self.what, u64::from(version), u64::from(FORMAT_VERSION));
            return Err(FormatError::NewerVersion { what, version, known });
        }
        let level = self.u8()?;
        if version == 0 || self.u16()? != 0 {
            return Err(self.damaged("its header is impossible"));
        }
        let header = Header { level, count: self.u32()?, body_len: self.u32()? };
        if u64::from(header.body_len) > body_max {
            return Err(self.damaged(format!("{} bytes pass the limit", header.body_len)));
        }
        self.take(header.body_len as usize)?;
        Ok((header, &all[..HEADER_BYTES + header.body_len as usize]))
    }
}
