//! Edits of directories: what comes out is what building from scratch gives, node for node.

use std::collections::BTreeMap;

use meshfs::model::edit::{DirEdit, Edit};
use meshfs::model::entry::{Content, Entry, Xattr, XattrValue};
use meshfs::model::tree::{Node, NodeBody};
use meshfs::repo::tree::apply::apply;
use meshfs::repo::tree::{find, lookup};
use proptest::prelude::*;

use crate::support::*;

/// Entries of very different weight, so that directories of a few hundred entries have several levels.
fn weighty() -> impl Strategy<Value = Entry> {
    prop_oneof![
        3 => (1usize..2000).prop_map(|len| symlink(&"x".repeat(len))),
        1 => Just(file("short")),
        1 => (1u8..200).prop_map(|count| {
            let mut entry = file("much about it");
            entry.meta.xattrs = (0..count).map(|n| Xattr {
                name: format!("user.{n:03}").into(),
                value: XattrValue::Inline(vec![n; 250]),
            }).collect();
            entry
        }),
    ]
}

/// Long names make long lists of children too.
fn name() -> impl Strategy<Value = Vec<u8>> {
    (0u32..4000, 0usize..230).prop_map(|(n, len)| format!("{n:04}{}", "n".repeat(len * usize::from(n % 3 == 0))).into())
}

/// Names whose hashes end no leaf, so that all cuts are forced by size.
fn endless_name() -> impl Strategy<Value = Vec<u8>> {
    name().prop_map(|name| {
        let ends = |name: &[u8]| blake3::hash(name).as_bytes()[0] < 0x80;
        (0u32..).map(|n| [&name[..], n.to_string().as_bytes()].concat()).find(|name| !ends(name)).unwrap()
    })
}

type Entries = BTreeMap<Vec<u8>, Entry>;

fn directory(entries: &Entries) -> Entry {
    let mut flat = flat(&[]);
    for (name, entry) in entries {
        flat.insert(meshfs::model::path::TreePath::root().join(name), entry.clone());
    }
    build(&flat)
}

/// Changes of a directory: where in the list, and what to put there; none removes it.
type Changes = Vec<(Vec<u8>, Option<Entry>)>;

fn check(entries: Entries, steps: Vec<Changes>, picks: Vec<Vec<prop::sample::Index>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let memory = Memory::default();
    let mut expected = entries;
    let mut now = memory.store(&directory(&expected));
    for (changes, picks) in steps.into_iter().zip(picks) {
        let names: Vec<_> = expected.keys().cloned().collect();
        let mut edit = DirEdit::of(&now);
        for pick in picks.iter().filter(|_| !names.is_empty()) {
            edit.names.insert(pick.get(&names).clone(), Edit::Remove);
        }
        edit.names.extend(changes.into_iter().map(|(name, entry)| (name, entry.map_or(Edit::Remove, Edit::Put))));
        for (name, edit) in &edit.names {
            match edit {
                Edit::Put(entry) => drop(expected.insert(name.clone(), entry.clone())),
                _ => drop(expected.remove(name)),
            }
        }
        let applied = runtime.block_on(apply(&memory, &edit)).unwrap();
        let from_scratch = directory(&expected);
        assert_eq!(applied.as_dir().unwrap().id, from_scratch.as_dir().unwrap().id);
        assert_eq!(applied.as_dir().unwrap().counts, from_scratch.as_dir().unwrap().counts);
        now = memory.store(&applied);
        for name in expected.keys().step_by(23) {
            let found = runtime.block_on(find(&memory, now.as_dir().unwrap(), name)).unwrap();
            assert!(found.unwrap().same(&expected[name]));
        }
    }
}

fn changes(name: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<Changes>> {
    prop::collection::vec(prop::collection::vec((name, prop::option::weighted(0.7, weighty())), 0..6), 1..6)
}

fn picks() -> impl Strategy<Value = Vec<Vec<prop::sample::Index>>> {
    prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..4), 6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn an_edited_directory_has_the_nodes_of_one_built_from_scratch(
        entries in prop::collection::btree_map(name(), weighty(), 0..600), steps in changes(name()), picks in picks(),
    ) {
        check(entries, steps, picks);
    }

    #[test]
    fn also_where_all_cuts_are_forced(
        entries in prop::collection::btree_map(endless_name(), weighty(), 0..600),
        steps in changes(endless_name()),
        picks in picks(),
    ) {
        check(entries, steps, picks);
    }

    #[test]
    fn also_when_most_of_it_goes(
        entries in prop::collection::btree_map(name(), weighty(), 100..400),
        keep in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let names: Vec<_> = entries.keys().cloned().collect();
        let kept: Vec<_> = keep.iter().map(|index| index.get(&names).clone()).collect();
        let removed = names.iter().filter(|name| !kept.contains(name)).map(|name| (name.clone(), None)).collect();
        check(entries, vec![removed], vec![Vec::new()]);
    }
}

/// First names of a directory's leaves.
fn leaf_starts(node: &Node) -> Vec<Vec<u8>> {
    match node {
        Node::Leaf(entries) => entries.first().map(|first| first.name.clone()).into_iter().collect(),
        Node::Inner { children, .. } => children.iter().flat_map(|child| leaf_starts(here(&child.body))).collect(),
    }
}

fn here(body: &NodeBody) -> &Node {
    match body {
        NodeBody::Here(node) => node,
        NodeBody::Stored(_) => panic!("a directory just made is here"),
    }
}

#[test]
fn a_node_that_was_full_is_prolonged_when_what_follows_fits() {
    let ends = |name: &[u8]| blake3::hash(name).as_bytes()[0] < 0x80;
    let names = (0u32..).map(|n| format!("{n:05}").into_bytes()).filter(|name| !ends(name)).take(900);
    // Every third is small enough to fit where the one after it did not.
    let entries: Entries =
        names.enumerate().map(|(n, name)| (name, symlink(&"x".repeat([3000, 1500, 1][n % 3])))).collect();
    let directory = directory(&entries);
    let starts = leaf_starts(here(&directory.as_dir().unwrap().body));
    assert!(starts.len() > 4, "{} leaves", starts.len());
    for start in &starts[1..] {
        let before = [&start[..start.len() - 1], b"+"].concat();
        for change in [(start.clone(), None), (start.clone(), Some(symlink("y"))), (before, Some(symlink("y")))] {
            check(entries.clone(), vec![vec![change]], vec![Vec::new()]);
        }
    }
}

#[tokio::test]
async fn edits_reach_into_directories_and_leave_the_rest_alone() {
    let memory = Memory::default();
    let before = flat(&["a/b/c=1", "a/b/d=2", "a/e=3", "f/g=4"]);
    let top = memory.stored(&before);
    let below = lookup(&memory, &top, &path("a/b")).await.unwrap().unwrap();
    let mut inner = DirEdit::of(&below);
    inner.names.insert(b"c".to_vec(), Edit::Remove);
    inner.names.insert(b"new".to_vec(), Edit::Put(file("5")));
    inner.meta.mode = 0o700;
    let mut outer = DirEdit::of(&lookup(&memory, &top, &path("a")).await.unwrap().unwrap());
    outer.names.insert(b"b".to_vec(), Edit::Dir(inner));
    let mut edit = DirEdit::of(&top);
    edit.names.insert(b"a".to_vec(), Edit::Dir(outer));
    edit.names.insert(b"moved".to_vec(), Edit::Put(lookup(&memory, &top, &path("f")).await.unwrap().unwrap()));
    edit.names.insert(b"f".to_vec(), Edit::Remove);

    let mut after = flat(&["a/b/new=5", "a/b/d=2", "a/e=3", "moved/g=4"]);
    after.insert(path("a/b"), with_mode(dir(), 0o700));
    let applied = apply(&memory, &edit).await.unwrap();
    assert!(applied.same(&build(&after)));
    for at in ["a/b/new", "moved/g", "a/e"] {
        let (told, found) =
            (edit.lookup(&memory, &path(at)).await.unwrap(), lookup(&memory, &applied, &path(at)).await);
        assert!(told.unwrap().same(&found.unwrap().unwrap()), "{at}");
    }
    for at in ["a/b/c", "f", "f/g", "nothing"] {
        assert_eq!(edit.lookup(&memory, &path(at)).await.unwrap(), None, "{at}");
    }
}

#[tokio::test]
async fn a_directory_may_be_made_of_nothing() {
    let memory = Memory::default();
    let names = BTreeMap::from([(b"x".to_vec(), Edit::Put(file("1"))), (b"gone".to_vec(), Edit::Remove)]);
    let applied = apply(&memory, &DirEdit { from: None, meta: dir().meta, names }).await.unwrap();
    assert!(applied.same(&build(&flat(&["x=1"]))));
    let Content::Dir(content) = &applied.content else { panic!("it is a directory") };
    assert_eq!((content.counts.entries, content.counts.files, content.counts.bytes), (1, 1, 1));
}
