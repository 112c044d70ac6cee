//! Ref tables too large for an entry: they lie in packs of their own, each made for one entry.

use super::domain::Domain;
use super::error::RepoError;
use super::objects::Objects;
use super::refs::Head;
use crate::format::content::chunk_id;
use crate::format::limits::TABLE_ROWS_BYTES_MAX;
use crate::format::log::{decode_table, encode_table, row_bytes_max};
use crate::format::pack::{FrameKind, PackBuilder, encode_frame};
use crate::model::id::{ChunkId, Location, PackName};
use crate::model::log::{Change, Operation, RefTable};

/// The table that lies there.
pub(super) async fn read_table(objects: &Objects, id: &ChunkId, location: &Location) -> Result<RefTable, RepoError> {
    let bytes = objects.chunk(id, location).await?;
    decode_table(&bytes).map_err(|error| RepoError::of_format(format!("the ref table {id}"), error))
}

/// What one entry may add to a table. Every later entry has to write the table it leaves, so a ref that would not fit is
/// refused before it is made; nothing else makes a table longer.
#[derive(Debug, Default)]
pub(super) struct TableRoom {
    /// Bytes that are left; measured when the first ref is to be made.
    left: Option<usize>,
}

impl TableRoom {
    /// May these changes go into the entry after `table`, beside those that were admitted before? Takes their room.
    pub fn admits(&mut self, table: &RefTable, changes: &[Change]) -> bool {
        let made = changes.iter().filter(|change| change.operation == Operation::Create);
        let wanted: usize = made.map(|change| row_bytes_max(&change.name)).sum();
        if wanted == 0 {
            return true;
        }
        let left = self.left.get_or_insert_with(|| {
            let used = table.refs.keys().map(row_bytes_max).sum();
            TABLE_ROWS_BYTES_MAX.saturating_sub(used)
        });
        let fits = wanted <= *left;
        *left = left.saturating_sub(if fits { wanted } else { 0 });
        fits
    }
}

impl Domain {
    pub(super) fn table_is_full(&self) -> RepoError {
        let name = &self.info().name;
        RepoError::Refused(format!(
            "domain `{name}` has as many branches and tags as it can hold: delete those that nobody needs \
             (`meshfs branch list {name}`, `meshfs tag list {name}`), then try again"
        ))
    }

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
