//! Where the bytes of a staged file come from: the file itself, and where it was not written, the version before.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;

use crate::model::content::FileContent;
use crate::repo::error::RepoError;
use crate::repo::objects::Objects;
use crate::sys::{sparse, task};

/// A staged file, read at any offset from any thread.
pub trait ReadAt: Send + Sync {
    /// Reads some bytes; 0 at the end only.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// The first offset at or after `offset` that may hold anything but zeros; none when only zeros follow.
    fn next_data(&self, offset: u64) -> io::Result<Option<u64>> {
        Ok(Some(offset))
    }
}

impl ReadAt for File {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, bytes, offset)
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<u64>> {
        sparse::next_data(self, offset)
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let len = rest.len().min(bytes.len());
        bytes[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }
}

/// Bytes read at once: enough for several chunks, little enough to have several under way.
const READ_BYTES: u64 = 1 << 20;

/// Zeros passed on at once: as many as make a bounded number of holes.
const ZEROS_BYTES: u64 = 64 << 30;

/// Some bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stretch {
    Bytes(Bytes),
    Zeros(u64),
}

impl Stretch {
    pub fn len(&self) -> u64 {
        match self {
            Stretch::Bytes(bytes) => bytes.len() as u64,
            Stretch::Zeros(len) => *len,
        }
    }
}

/// The first bytes of `range` of a source; blocks. A source that ends before the range is an error: it is being
/// truncated by somebody.
pub(super) fn read_stretch(source: &dyn ReadAt, range: Range<u64>) -> io::Result<Stretch> {
    let data = source.next_data(range.start)?.unwrap_or(range.end).min(range.end);
    if data > range.start {
        let zeros = (data - range.start).min(ZEROS_BYTES);
        // A file also says that no data follows when it ends here: its last byte tells which.
        return match source.read_at(&mut [0], range.start + zeros - 1)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(Stretch::Zeros(zeros)),
        };
    }
    let mut bytes = vec![0; (range.end - range.start).min(READ_BYTES) as usize];
    let mut filled = 0;
    while filled < bytes.len() {
        match source.read_at(&mut bytes[filled..], range.start + filled as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Stretch::Bytes(bytes.into()))
}

pub(super) fn unreadable(error: io::Error) -> RepoError {
    RepoError::Local { what: "reading a staged file".to_owned(), source: Arc::new(error) }
}

/// A new version of a file: written ranges of a source over an old content, or a source alone.
#[derive(Clone)]
pub(super) struct NewVersion<'a> {
    pub source: Arc<dyn ReadAt>,
    pub size: u64,
    pub objects: &'a Objects,
    /// The old content, and the sorted ranges where the source counts.
    pub over: Option<(&'a FileContent, &'a [Range<u64>])>,
}

impl NewVersion<'_> {
    /// The first bytes of a range that is not empty.
    pub async fn read(&self, range: Range<u64>) -> Result<Stretch, RepoError> {
        let Some((base, dirty)) = self.over else { return self.read_source(range).await };
        let after = dirty.partition_point(|written| written.end <= range.start);
        let next = dirty.get(after).map_or(range.clone(), |written| written.clone());
        if dirty.len() > after && next.start <= range.start {
            return self.read_source(range.start..range.end.min(next.end)).await;
        }
        let end = if dirty.len() > after { range.end.min(next.start) } else { range.end };
        if range.start >= base.size {
            return Ok(Stretch::Zeros((end - range.start).min(ZEROS_BYTES)));
        }
        let len = (end.min(base.size) - range.start).min(READ_BYTES);
        Ok(Stretch::Bytes(self.objects.read(base, range.start, len).await?))
    }

    async fn read_source(&self, range: Range<u64>) -> Result<Stretch, RepoError> {
        let source = self.source.clone();
        task::blocking(move || read_stretch(&*source, range)).await.map_err(unreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_of_a_file_are_passed_over_and_its_early_end_is_noticed() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(10 << 20).unwrap();
        FileExt::write_all_at(&file, &[7; 100], 5 << 20).unwrap();
        assert_eq!(read_stretch(&file, 0..10 << 20).unwrap(), Stretch::Zeros(5 << 20));
        let Stretch::Bytes(bytes) = read_stretch(&file, 5 << 20..(5 << 20) + 100).unwrap() else { panic!() };
        assert_eq!(bytes, vec![7; 100]);
        for range in [(10 << 20)..(10 << 20) + 1, (9 << 20)..11 << 20] {
            assert_eq!(read_stretch(&file, range).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
