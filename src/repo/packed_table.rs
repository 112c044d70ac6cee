//! Ref tables too large for an entry: they lie in packs of their own, each made for one entry.

use super::domain::Domain;
use super::error::RepoError;
use super::objects::Objects;
use super::refs::Head;
use crate::format::content::chunk_id;
use crate::format::log::{decode_table, encode_table};
use crate::format::pack::{FrameKind, PackBuilder, encode_frame};
use crate::model::id::{ChunkId, Location, PackName};
use crate::model::log::{Change, RefTable};

/// The table that lies there.
pub(super) async fn read_table(objects: &Objects, id: &ChunkId, location: &Location) -> Result<RefTable, RepoError> {
    let bytes = objects.chunk(id, location).await?;
    decode_table(&bytes).map_err(|error| RepoError::of_format(format!("the ref table {id}"), error))
}

impl Domain {
    /// Sends the table that the entry making `changes` after `head` carries, if it is too large for the entry. A put
    /// that moves along the log needs another one, or none.
    pub(super) async fn send_table(
        &self,
        head: &Head,
        changes: &[Change],
    ) -> Result<Option<(ChunkId, Location)>, RepoError> {
        let Some(table) = head.table_to_pack(changes) else { return Ok(None) };
        let format = |error| RepoError::of_format("a table of this many branches and tags", error);
        let bytes = encode_table(&table).map_err(format)?;
        let id = chunk_id(&bytes);
        let mut pack = PackBuilder::new(PackName(self.sys().random.name()));
        let key = self.place().pack_key(&pack.name());
        let location = pack.add(&encode_frame(FrameKind::Chunk, &bytes).map_err(format)?, id.0);
        self.store().put(&key, pack.finish().map_err(format)?).await?;
        Ok(Some((id, location)))
    }
}
