//! Whole tables of refs: what fits into one, and what becomes of a log whose table is wrong or lost.

use std::collections::BTreeMap;

use meshfs::format::content::chunk_id;
use meshfs::format::limits::TABLE_ROWS_BYTES_MAX;
use meshfs::format::log::{encode_table, row_bytes_max};
use meshfs::format::pack::{FrameKind, PackBuilder, encode_frame};
use meshfs::model::id::{ChunkId, CommitId, Location, PackName};
use meshfs::model::log::{RefName, RefState, RefTable, TableRef};
use meshfs::repo::domain::Domain;
use meshfs::repo::error::RepoError;

use super::world::*;

/// Longest name that a ref may have.
fn long_name(number: usize) -> String {
    format!("{number:0>128}")
}

/// The table with as many refs made by entry `seq` as leave room for just one more.
fn nearly_full(mut table: RefTable, seq: u64, target: CommitId) -> RefTable {
    let row = row_bytes_max(&RefName::branch(&long_name(0)));
    let used: usize = table.refs.keys().map(row_bytes_max).sum();
    for number in 0..(TABLE_ROWS_BYTES_MAX - used) / row - 1 {
        let state = RefState { created_seq: seq, changed_seq: seq, target };
        table.refs.insert(RefName::branch(&long_name(number)), state);
    }
    table
}

/// The last ref that fits is made; one more is refused with what to do, and everything else still goes.
#[tokio::test]
async fn a_full_table_takes_no_more_refs_and_everything_else() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let (main, head) = head_of(&sales, "main").await;
    for _ in 2..63 {
        put_entry(&world, &sales, |_| {}).await;
    }
    let full = nearly_full(sales.state().refs.clone(), 63, head);
    put_entry(&world, &sales, |entry| entry.table = TableRef::Here(full)).await;
    sales.poll().await.unwrap();
    let last = sales.create_branch(&long_name(99_998), &head).await.unwrap();
    assert_eq!(last.created_seq, 64, "which carries the whole table");
    let more = long_name(99_999);
    let (error, committed) = futures::join!(sales.create_tag(&more, &head), commit(&sales, &main, "beside it"));
    committed.unwrap();
    let error = error.unwrap_err();
    assert!(matches!(error, RepoError::Refused(_)) && error.to_string().contains("delete"), "{error}");
    sales.delete_branch(&last, &head).await.unwrap();
    sales.create_branch(&more, &head).await.unwrap();
    let log = entries(&world, &sales).await;
    assert!(matches!(log[63].table, TableRef::Packed { .. }));
    assert!(*world.machine(2).await.sales().await.state() == *sales.state());
}

/// Sends a table in a pack of its own.
async fn send(world: &World, domain: &Domain, table: &RefTable) -> (ChunkId, Location) {
    let bytes = encode_table(table).unwrap();
    let id = chunk_id(&bytes);
    let mut pack = PackBuilder::new(PackName(domain.sys().random.name()));
    let key = domain.place().pack_key(&pack.name());
    let location = pack.add(&encode_frame(FrameKind::Chunk, &bytes).unwrap(), id.0);
    world.base.put(&key, pack.finish().unwrap()).await.unwrap();
    (id, location)
}

/// Who walks the log and who begins at a packed table see the same, also when a writer packed something else.
#[tokio::test]
async fn a_packed_table_is_compared_with_what_the_entries_add_up_to() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let head = head_of(&sales, "main").await.1;
    let mut table = sales.state().refs.clone();
    table.refs.insert(RefName::branch("odd"), RefState { created_seq: 2, changed_seq: 2, target: head });
    let (id, location) = send(&world, &sales, &table).await;
    put_entry(&world, &sales, |entry| entry.table = TableRef::Packed { id, location }).await;
    sales.poll().await.unwrap();
    assert_eq!(sales.state().refs, table);
    assert_eq!(world.machine(2).await.sales().await.state(), sales.state());
}

/// The same for a writer to whom another's entry says so.
#[tokio::test]
async fn a_packed_table_that_took_my_seq_is_compared_too() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let head = head_of(&sales, "main").await.1;
    let mut table = sales.state().refs.clone();
    table.refs.insert(RefName::branch("odd"), RefState { created_seq: 2, changed_seq: 2, target: head });
    let (id, location) = send(&world, &sales, &table).await;
    put_entry(&world, &sales, |entry| entry.table = TableRef::Packed { id, location }).await;
    assert_eq!(sales.create_branch("mine", &head).await.unwrap().created_seq, 3);
    assert!(sales.state().branch("odd").is_some());
    assert_eq!(world.machine(2).await.sales().await.state(), sales.state());
}

/// A table whose pack is lost or damaged costs reads, and no branch: the one before and the entries since say the same.
#[tokio::test]
async fn a_lost_table_is_made_again_from_the_one_before() {
    for damage in [None, Some(b"no pack".as_slice())] {
        let (world, a) = World::in_memory().with_sales().await;
        let sales = a.sales().await;
        let head = head_of(&sales, "main").await.1;
        sales.create_branch("two", &head).await.unwrap();
        let (id, location) = send(&world, &sales, &sales.state().refs).await;
        let pack = sales.place().pack_key(&location.pack);
        match damage {
            None => world.base.delete(&pack).await.unwrap(),
            Some(bytes) => world.base.put(&pack, bytes.into()).await.unwrap(),
        }
        put_entry(&world, &sales, |entry| entry.table = TableRef::Packed { id, location }).await;
        let opened = world.machine(2).await.sales().await;
        assert_eq!(opened.state().seq, 3);
        sales.poll().await.unwrap();
        assert_eq!(sales.state(), opened.state());
        // Also for an entry that builds on the lost one.
        put_entry(&world, &sales, |entry| entry.table = TableRef::At { seq: 3, since: BTreeMap::new() }).await;
        let opened = world.machine(3).await.sales().await;
        sales.poll().await.unwrap();
        assert_eq!((sales.state().seq, sales.state()), (4, opened.state()));
        assert_eq!(sales.create_branch("five", &head).await.unwrap().created_seq, 5);
        assert_eq!(world.machine(4).await.sales().await.state(), sales.state());
    }
}
