//! Commit records, log entries, ref tables, and what else is JSON or a map by itself.

use std::collections::{BTreeMap, BTreeSet};

use meshfs::format::error::FormatError;
use meshfs::format::gc::{decode_condemned, encode_condemned};
use meshfs::format::log::{
    Access, check_features, decode_entry, decode_mesh_entry, decode_table, encode_entry, encode_mesh_entry,
    encode_table, entry_id, entry_name, fits_in_entry, mesh_entry_id, parse_entry_name,
};
use meshfs::format::record::{commit_id, decode_commit, encode_commit};
use meshfs::format::relocation::{decode_relocations, encode_relocations};
use meshfs::format::{chunk::check_constants, filter};
use meshfs::model::commit::{Commit, PathFilter, Stats};
use meshfs::model::content::Constants;
use meshfs::model::gc::{Condemned, Relocations};
use meshfs::model::id::{ChunkId, CommitId, Nonce, PackName, RootId, Uid};
use meshfs::model::log::{
    Change, DomainChange, DomainInfo, DomainOperation, DomainTableRef, Entry, Features, Fence, MeshEntry, Operation,
    RefKind, RefName, RefState, RefTable, TableRef,
};
use meshfs::model::path::TreePath;
use meshfs::model::time::Time;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::made::location;

pub fn commit() -> Commit {
    let mut commit = Commit {
        id: CommitId([0; 32]),
        root: RootId([1; 32]),
        parents: vec![CommitId([2; 32]), CommitId([3; 32])],
        generation: 7,
        author: "Ada <ada@example.org>".to_owned(),
        host: "ada-laptop".to_owned(),
        time: Time(1_700_000_000_123_456_789),
        message: "Fix the orders of March\n\nThey were counted twice: \"é\".".to_owned(),
        metadata: BTreeMap::from([("ticket".to_owned(), "42".to_owned())]),
        stats: Stats { added: 1, modified: 2, deleted: 3, renamed: 4 },
        nonce: Nonce([4; 16]),
        root_location: location(5, 1234),
        first_seq: 9,
        changed_paths: filter::build(&[TreePath::parse(b"orders/1.parquet").unwrap()]),
        extra: serde_json::Map::new(),
    };
    commit.id = commit_id(&commit).unwrap();
    commit
}

fn branch(name: &str) -> RefName {
    RefName { kind: RefKind::Branch, name: name.to_owned() }
}

fn state(created_seq: u64, changed_seq: u64) -> RefState {
    RefState { created_seq, changed_seq, target: CommitId([changed_seq as u8; 32]) }
}

pub fn entry() -> Entry {
    let table = RefTable {
        refs: BTreeMap::from([
            (branch("main"), state(1, 64)),
            (RefName { kind: RefKind::Tag, name: "v1.0".to_owned() }, state(5, 5)),
        ]),
    };
    Entry {
        seq: 64,
        nonce: Nonce([6; 16]),
        fence: Fence { epoch: 2, horizon: 30 },
        actor: "ada".to_owned(),
        host: "ada-laptop".to_owned(),
        time: Time(1_700_000_001_000_000_000),
        changes: vec![Change {
            operation: Operation::Commit,
            name: branch("main"),
            created_seq: 1,
            previous_seq: Some(60),
            target: Some(CommitId([64; 32])),
            previous_target: Some(CommitId([60; 32])),
        }],
        table: TableRef::Here(table),
        features: Features { read: Vec::new(), write: Vec::new() },
        extra: serde_json::Map::new(),
    }
}

pub fn entry_at() -> Entry {
    let since = BTreeMap::from([(branch("exp"), None), (branch("main"), Some(state(1, 64)))]);
    Entry { seq: 65, table: TableRef::At { seq: 64, since }, ..entry() }
}

pub fn entry_packed() -> Entry {
    Entry { table: TableRef::Packed { id: ChunkId([8; 32]), location: location(8, 0) }, ..entry() }
}

fn domain(name: &str, created_seq: u64) -> DomainInfo {
    DomainInfo {
        name: name.to_owned(),
        uid: Uid([created_seq as u8; 16]),
        owner: Some("sales team".to_owned()),
        description: None,
        default_branch: "main".to_owned(),
        store: None,
        created_seq,
        extra: serde_json::Map::new(),
    }
}

pub fn mesh_entry() -> MeshEntry {
    MeshEntry {
        seq: 2,
        nonce: Nonce([7; 16]),
        uid: Uid([9; 16]),
        constants: Constants::default(),
        actor: "ada".to_owned(),
        host: "ada-laptop".to_owned(),
        time: Time(1_700_000_002_000_000_000),
        changes: vec![DomainChange {
            operation: DomainOperation::Create,
            domain: domain("sales", 2),
            previous_seq: None,
        }],
        table: DomainTableRef::Here(BTreeMap::from([("sales".to_owned(), domain("sales", 2))])),
        features: Features::default(),
        extra: serde_json::Map::new(),
    }
}

pub fn mesh_entry_at() -> MeshEntry {
    let since = BTreeMap::from([("hr".to_owned(), None), ("sales".to_owned(), Some(domain("sales", 2)))]);
    MeshEntry { seq: 70, table: DomainTableRef::At { seq: 64, since }, ..mesh_entry() }
}

pub fn relocations() -> Relocations {
    let moved = BTreeMap::from([(0, location(2, 16)), (500, location(3, 0)), (900, location(2, 400))]);
    Relocations { pack: PackName([1; 16]), nonce: Nonce([2; 16]), moved }
}

pub fn condemned() -> Condemned {
    Condemned {
        epoch: 3,
        nonce: Nonce([1; 16]),
        horizon: 40,
        time: Time(1_700_000_003_000_000_000),
        packs: BTreeSet::from([PackName([1; 16]), PackName([2; 16])]),
        records: BTreeSet::from([CommitId([3; 32])]),
        made: BTreeSet::from([PackName([4; 16])]),
    }
}

/// The same object as another program might write it: other spacing, other order, one more field.
fn rewritten(bytes: &[u8]) -> Vec<u8> {
    let value: Value = serde_json::from_slice(bytes).unwrap();
    let Value::Object(fields) = value else { panic!("an object") };
    let mut turned: serde_json::Map<String, Value> = fields.into_iter().rev().collect();
    turned.insert("from-the-future".to_owned(), json!({"a": [1, 2]}));
    serde_json::to_vec_pretty(&Value::Object(turned)).unwrap()
}

fn with(bytes: &[u8], field: &str, value: Value) -> Vec<u8> {
    let mut object: Value = serde_json::from_slice(bytes).unwrap();
    object[field] = value;
    serde_json::to_vec(&object).unwrap()
}

#[test]
fn a_record_reads_back_and_keeps_what_it_does_not_know() {
    let commit = commit();
    let bytes = encode_commit(&commit).unwrap();
    assert_eq!(decode_commit(&bytes, &commit.id).unwrap(), commit);
    let later = decode_commit(&rewritten(&bytes), &commit.id).unwrap();
    assert_eq!(later.extra["from-the-future"], json!({"a": [1, 2]}));
    let again = encode_commit(&later).unwrap();
    assert_eq!(decode_commit(&again, &commit.id).unwrap(), later);
}

#[test]
fn every_hashed_field_of_a_record_is_in_its_id_and_no_hint_is() {
    let id = |change: &dyn Fn(&mut Commit)| {
        let mut commit = commit();
        change(&mut commit);
        commit_id(&commit).unwrap()
    };
    let changes: [&dyn Fn(&mut Commit); 12] = [
        &|c| c.root = RootId([9; 32]),
        &|c| c.parents.swap(0, 1),
        &|c| c.parents.truncate(1),
        &|c| c.generation += 1,
        &|c| c.author.push('x'),
        &|c| c.host.push('x'),
        &|c| c.time = Time(1),
        &|c| c.message.push('x'),
        &|c| drop(c.metadata.insert("a".to_owned(), "b".to_owned())),
        &|c| c.stats.renamed += 1,
        &|c| c.nonce = Nonce([9; 16]),
        // The same bytes, cut elsewhere.
        &|c| (c.author, c.host) = ("Ada <ada@example.org>a".to_owned(), "da-laptop".to_owned()),
    ];
    let mut ids = BTreeSet::from([commit().id]);
    changes.iter().for_each(|change| assert!(ids.insert(id(change))));
    let hints: [&dyn Fn(&mut Commit); 4] = [
        &|c| c.root_location = location(1, 1),
        &|c| c.first_seq += 1,
        &|c| c.changed_paths = PathFilter::default(),
        &|c| drop(c.extra.insert("x".to_owned(), json!(1))),
    ];
    hints.iter().for_each(|change| assert_eq!(id(change), commit().id));
}

#[test]
fn a_record_under_another_id_is_refused() {
    let bytes = encode_commit(&commit()).unwrap();
    assert!(matches!(decode_commit(&bytes, &CommitId([1; 32])), Err(FormatError::WrongId { .. })));
    assert!(encode_commit(&Commit { id: CommitId([1; 32]), ..commit() }).is_err());
    let tampered = with(&bytes, "message", json!("another"));
    assert!(matches!(decode_commit(&tampered, &commit().id), Err(FormatError::WrongId { .. })));
}

#[test]
fn an_unknown_form_of_filter_may_contain_anything() {
    let bytes = encode_commit(&commit()).unwrap();
    for filter in [
        json!({"hashes": 0, "bits": "AAAA"}),
        json!({"hashes": 3, "bits": "?"}),
        json!({"hashes": 200, "bits": "AAAA"}),
    ] {
        let commit = decode_commit(&with(&bytes, "changed_paths", filter), &commit().id).unwrap();
        assert_eq!(commit.changed_paths, PathFilter::default());
        assert!(filter::may_contain(&commit.changed_paths, &TreePath::parse(b"any").unwrap()));
    }
}

#[test]
fn entries_read_back_and_keep_what_they_do_not_know() {
    for entry in [entry(), entry_at(), entry_packed()] {
        let bytes = encode_entry(&entry).unwrap();
        assert_eq!(decode_entry(&bytes).unwrap(), entry);
        let later = decode_entry(&rewritten(&bytes)).unwrap();
        assert_eq!(entry_id(&later).unwrap(), entry_id(&entry).unwrap(), "an id is of the fields, not of the JSON");
        assert_eq!(decode_entry(&encode_entry(&later).unwrap()).unwrap(), later);
        assert!(later.extra.contains_key("from-the-future"));
    }
    for entry in [mesh_entry(), mesh_entry_at()] {
        let bytes = encode_mesh_entry(&entry).unwrap();
        assert_eq!(decode_mesh_entry(&bytes).unwrap(), entry);
        let later = decode_mesh_entry(&rewritten(&bytes)).unwrap();
        assert_eq!(mesh_entry_id(&later).unwrap(), mesh_entry_id(&entry).unwrap());
        assert!(later.extra.contains_key("from-the-future"));
    }
    // Tables are copied from entry to entry by every writer: a domain keeps what an older one does not know.
    let mut entry = mesh_entry();
    let domain = DomainInfo { extra: [("quota".to_owned(), json!(5))].into_iter().collect(), ..domain("sales", 2) };
    entry.table = DomainTableRef::Here(BTreeMap::from([("sales".to_owned(), domain)]));
    assert_eq!(decode_mesh_entry(&encode_mesh_entry(&entry).unwrap()).unwrap(), entry);
}

#[test]
fn every_field_of_an_entry_is_in_its_id() {
    let changes: [&dyn Fn(&mut Entry); 12] = [
        &|e| e.seq += 1,
        &|e| e.nonce = Nonce([1; 16]),
        &|e| e.fence.epoch += 1,
        &|e| e.fence.horizon += 1,
        &|e| e.actor.push('x'),
        &|e| e.host.push('x'),
        &|e| e.time = Time(0),
        &|e| e.changes.clear(),
        &|e| e.changes[0].previous_seq = None,
        &|e| e.changes[0].target = None,
        &|e| e.table = entry_packed().table,
        &|e| e.features.write.push("x".to_owned()),
    ];
    let mut ids = BTreeSet::from([entry_id(&entry()).unwrap(), entry_id(&entry_at()).unwrap()]);
    for change in changes {
        let mut entry = entry();
        change(&mut entry);
        assert!(ids.insert(entry_id(&entry).unwrap()));
    }
    let mut other = mesh_entry();
    other.constants.chunk_target *= 2;
    assert_ne!(mesh_entry_id(&other).unwrap(), mesh_entry_id(&mesh_entry()).unwrap());
}

#[test]
fn newer_meshes_are_refused_by_what_they_need() {
    let newer = |field: &str, value: Value| decode_entry(&with(&encode_entry(&entry()).unwrap(), field, value));
    assert!(matches!(newer("format", json!(2)), Err(FormatError::NewerVersion { version: 2, .. })));
    // What a feature changed may not even parse: its name comes first.
    let features = json!({"read": ["split-tables"], "write": []});
    let both = with(&encode_entry(&entry()).unwrap(), "features", features);
    let error = decode_entry(&with(&both, "table", json!("elsewhere"))).unwrap_err();
    assert_eq!(error, FormatError::UnknownFeatures { names: vec!["split-tables".to_owned()] });
    assert!(error.to_string().contains("split-tables"));
    let writes = newer("features", json!({"read": [], "write": ["sealed-branches"]})).unwrap();
    let missing = vec!["sealed-branches".to_owned()];
    assert_eq!(check_features(&writes.features), Ok(Access::Read { missing }));
    assert_eq!(check_features(&entry().features), Ok(Access::Write));
    let mesh = encode_mesh_entry(&mesh_entry()).unwrap();
    assert!(decode_mesh_entry(&with(&mesh, "features", json!({"read": ["x"], "write": []}))).is_err());
    assert!(matches!(decode_mesh_entry(&with(&mesh, "format", json!(9))), Err(FormatError::NewerVersion { .. })));
    assert!(matches!(
        decode_commit(&with(&encode_commit(&commit()).unwrap(), "format", json!(2)), &commit().id),
        Err(FormatError::NewerVersion { .. })
    ));
}

#[test]
fn impossible_entries_are_neither_written_nor_read() {
    let changes: [&dyn Fn(&mut Entry); 6] = [
        &|e| e.seq = 0,
        &|e| e.changes[0].name.name = "a/b".to_owned(),
        &|e| e.changes[0].created_seq = 99,
        &|e| e.changes[0].previous_seq = Some(64),
        &|e| e.table = TableRef::At { seq: 64, since: BTreeMap::new() },
        &|e| e.table = TableRef::Here(RefTable { refs: BTreeMap::from([(branch("x"), state(1, 65))]) }),
    ];
    for change in changes {
        let mut entry = entry();
        change(&mut entry);
        assert!(encode_entry(&entry).is_err());
    }
    let row = json!({"kind": "branch", "name": "x", "created_seq": 1, "changed_seq": 1, "target": "00".repeat(32)});
    let twice = with(&encode_entry(&entry()).unwrap(), "table", json!({"here": [row, row]}));
    assert!(decode_entry(&twice).is_err());
    let constants = json!({"chunk_min": 1 << 16, "chunk_target": 1 << 15, "chunk_max": 1 << 19, "hole_min": 1 << 16, "segment": 1 << 26});
    assert!(decode_mesh_entry(&with(&encode_mesh_entry(&mesh_entry()).unwrap(), "constants", constants)).is_err());
    assert!(check_constants(&Constants::default()).is_ok());
}

#[test]
fn large_tables_leave_the_entry() {
    let table = |refs: u64| RefTable { refs: (0..refs).map(|n| (branch(&format!("b{n}")), state(1, 2))).collect() };
    assert!(fits_in_entry(&table(50)) && !fits_in_entry(&table(500)));
    let large = table(5000);
    assert_eq!(decode_table(&encode_table(&large).unwrap()).unwrap(), large);
}

proptest! {
    #[test]
    fn names_of_entries_sort_newest_first(a in 1u64.., b in 1u64..) {
        prop_assert_eq!(parse_entry_name(&entry_name(a)), Some(a));
        prop_assert_eq!(a.cmp(&b), entry_name(b).cmp(&entry_name(a)));
        prop_assert_eq!(entry_name(a).len(), 20);
    }

    #[test]
    fn alien_names_are_no_entries(name in "[0-9a-z#._-]{0,30}") {
        prop_assert_eq!(parse_entry_name(&name).map(entry_name), parse_entry_name(&name).map(|_| name));
    }

    #[test]
    fn a_filter_never_forgets_a_path_or_its_ancestors(
        paths in prop::collection::vec("[a-d]{1,2}(/[a-z]{1,5}){0,4}", 0..400),
    ) {
        let paths: Vec<_> = paths.iter().map(|path| TreePath::parse(path.as_bytes()).unwrap()).collect();
        let filter = filter::build(&paths);
        prop_assert!(filter.bits.len() <= 2048);
        for path in &paths {
            let mut path = Some(path.clone());
            while let Some(at) = path {
                prop_assert!(filter::may_contain(&filter, &at));
                path = at.split_last().map(|(parent, _)| parent);
            }
        }
    }
}

#[test]
fn a_filter_is_rarely_wrong_until_it_is_too_full() {
    let path = |n: usize| TreePath::parse(format!("{n:05}").as_bytes()).unwrap();
    for (paths, wrong_max) in [(0, 0), (10, 300), (1000, 300), (1600, 400), (4000, 5000)] {
        let filter = filter::build(&(0..paths).map(path).collect::<Vec<_>>());
        let wrong = (10_000..20_000).filter(|n| filter::may_contain(&filter, &path(*n))).count();
        assert!(wrong <= wrong_max, "{wrong} of 10,000 with {paths} paths");
    }
    let full = filter::build(&(0..20_000).map(path).collect::<Vec<_>>());
    assert_eq!(full, PathFilter::default());
    assert!(filter::may_contain(&full, &path(99_999)));
}

#[test]
fn what_collections_write_reads_back() {
    let map = relocations();
    let bytes = encode_relocations(&map).unwrap();
    assert_eq!(decode_relocations(&bytes, &map.pack).unwrap(), map);
    assert!(matches!(decode_relocations(&bytes, &PackName([7; 16])), Err(FormatError::WrongId { .. })));
    let list = condemned();
    let bytes = encode_condemned(&list).unwrap();
    assert_eq!(decode_condemned(&bytes, 3).unwrap(), list);
    assert!(matches!(decode_condemned(&bytes, 4), Err(FormatError::WrongId { .. })));
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        assert!(decode_condemned(&bytes, 3).is_err(), "byte {at}");
    }
}
