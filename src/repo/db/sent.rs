//! The sent index: chunks this machine stored in a domain, and the epoch each was sent under.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, params};

use super::RepoDb;
use crate::model::id::{ChunkId, Codec, Location, PackName, Uid};
use crate::repo::error::RepoError;

/// At most this many chunks are remembered, over all domains; the oldest go first. About 200 MB of index, and 128 GiB
/// of content at the target chunk size.
const ROWS_MAX: u64 = 1 << 20;

/// Where a chunk was sent, and the newest epoch known before that upload began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentChunk {
    pub location: Location,
    pub epoch: u64,
}

impl RepoDb {
    /// Those of `chunks` that were sent to `domain` before.
    pub fn find_sent(&self, domain: &Uid, chunks: &[ChunkId]) -> Result<HashMap<ChunkId, SentChunk>, RepoError> {
        let domain = domain.to_string();
        self.read(|db| {
            let mut find =
                db.prepare_cached("SELECT pack, offset, len, codec, epoch FROM sent WHERE domain = ? AND chunk = ?")?;
            let mut found = HashMap::new();
            for chunk in chunks {
                let sent = find
                    .query_row(params![domain, chunk.0], |row| {
                        let codec = if row.get::<_, u8>(3)? == 0 { Codec::Raw } else { Codec::Zstd };
                        let location =
                            Location { pack: PackName(row.get(0)?), offset: row.get(1)?, len: row.get(2)?, codec };
                        Ok(SentChunk { location, epoch: row.get(4)? })
                    })
                    .optional()?;
                found.extend(sent.map(|sent| (*chunk, sent)));
            }
            Ok(found)
        })
    }

    /// Remembers chunks of finished packs, sent in an upload begun under `epoch`. A chunk known already keeps what is
    /// known, label and all, unless it was forgotten first.
    pub fn add_sent(&self, domain: &Uid, epoch: u64, chunks: &[(ChunkId, Location)]) -> Result<(), RepoError> {
        let domain = domain.to_string();
        self.transaction(|db| {
            let age: u64 = db.query_row("SELECT coalesce(max(age), 0) + 1 FROM sent", [], |row| row.get(0))?;
            let mut add = db.prepare_cached(
                "INSERT OR IGNORE INTO sent (domain, chunk, pack, offset, len, codec, epoch, age)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            )?;
            for (chunk, at) in chunks {
                let codec = u8::from(at.codec == Codec::Zstd);
                add.execute(params![domain, chunk.0, at.pack.0, at.offset, at.len, codec, epoch, age])?;
            }
            let rows: u64 = db.query_row("SELECT count(*) FROM sent", [], |row| row.get(0))?;
            if rows > ROWS_MAX {
                // An eighth at once, so that this is seldom.
                db.execute(
                    "DELETE FROM sent WHERE (domain, chunk) IN (SELECT domain, chunk FROM sent ORDER BY age LIMIT ?)",
                    [rows - ROWS_MAX + ROWS_MAX / 8],
                )?;
            }
            Ok(())
        })
    }

    /// Forgets what lies in packs that were condemned or are gone.
    pub fn forget_sent(&self, domain: &Uid, packs: &[PackName]) -> Result<(), RepoError> {
        let domain = domain.to_string();
        self.transaction(|db| {
            let mut forget = db.prepare_cached("DELETE FROM sent WHERE domain = ? AND pack = ?")?;
            packs.iter().try_for_each(|pack| forget.execute(params![domain, pack.0]).map(drop))
        })
    }

    /// Forgets what was sent to the domain under an epoch before `epoch`.
    pub fn forget_sent_before(&self, domain: &Uid, epoch: u64) -> Result<(), RepoError> {
        self.transaction(|db| {
            db.prepare_cached("DELETE FROM sent WHERE domain = ? AND epoch < ?")?
                .execute(params![domain.to_string(), epoch])
                .map(drop)
        })
    }
}
