//! Trees whose nodes are sound each for itself, and not what their parents say of them: no descent believes them, for
//! an edit of such a tree would lose entries.

use std::collections::BTreeMap;
use std::sync::Arc;

use meshfs::format::node::node_id;
use meshfs::model::edit::{DirEdit, Edit};
use meshfs::model::entry::{Content, Entry};
use meshfs::model::source::find;
use meshfs::model::tree::{Child, Counts, DirContent, NamedEntry, Node, NodeBody};
use meshfs::repo::error::RepoError;
use meshfs::repo::tree::apply::apply;
use meshfs::repo::tree::walk::Listing;

use crate::support::{Memory, file, meta, with_mode};

fn leaf(names: &[&str]) -> Node {
    let named = |name: &&str| NamedEntry { name: (*name).into(), entry: file(name) };
    Node::Leaf(names.iter().map(named).collect())
}

/// The node as a child whose parent tells the truth.
fn child(node: Node) -> Child {
    let last_name = node.last_name().unwrap().to_vec();
    Child { last_name, id: node_id(&node).unwrap(), counts: node.counts(), body: NodeBody::Here(Arc::new(node)) }
}

fn inner(level: u8, children: Vec<Child>) -> Node {
    Node::Inner { level, children }
}

fn dir(top: Node) -> DirContent {
    DirContent { id: node_id(&top).unwrap(), counts: top.counts(), body: NodeBody::Here(Arc::new(top)) }
}

/// Goes down to `name` in every way there is; tells which of them believed the tree.
async fn believers(dir: DirContent, name: &str) -> Vec<&'static str> {
    let memory = Memory::default();
    let top = memory.store(&Entry { meta: meta(0o755, 1), content: Content::Dir(dir) });
    let stored = top.as_dir().unwrap();
    let mut believers = Vec::new();
    let mut judge = |who, outcome: Result<(), RepoError>| match outcome {
        Err(RepoError::Damaged { .. }) => {}
        Err(error) => panic!("{who}: {error}"),
        Ok(()) => believers.push(who),
    };
    judge("lookup", find(&memory, stored, name.as_bytes()).await.map(drop));
    let listed = async {
        let mut listing = Listing::open(&memory, stored).await?;
        while !listing.next_batch(&memory, 10).await?.is_empty() {}
        Ok(())
    };
    judge("listing", listed.await);
    let changed = Edit::Put(with_mode(file("changed"), 0o600));
    let names = BTreeMap::from([(name.as_bytes().to_vec(), changed)]);
    let edit = DirEdit { from: Some(top.clone()), meta: top.meta.clone(), names };
    judge("edit", apply(&memory, &edit).await.map(drop));
    believers
}

#[tokio::test]
async fn a_tree_that_tells_the_truth_is_believed() {
    let top = inner(2, vec![child(inner(1, vec![child(leaf(&["a", "m"])), child(leaf(&["n", "z"]))]))]);
    assert_eq!(believers(dir(top), "z").await, ["lookup", "listing", "edit"]);
}

#[tokio::test]
async fn a_node_that_begins_before_its_sibling_ends_is_damage() {
    let top = || inner(1, vec![child(leaf(&["a", "m"])), child(leaf(&["a", "z"]))]);
    assert_eq!(believers(dir(top()), "z").await, [""; 0]);
    // Also across parents: what comes first below the second overlaps with what came last below the first.
    let top = inner(
        2,
        vec![child(inner(1, vec![child(leaf(&["a", "m"]))])), child(inner(1, vec![child(leaf(&["b", "z"]))]))],
    );
    assert_eq!(believers(dir(top), "z").await, [""; 0]);
}

#[tokio::test]
async fn a_node_that_misses_a_level_is_damage() {
    let top = inner(2, vec![child(leaf(&["a", "m"])), child(leaf(&["n", "z"]))]);
    assert_eq!(believers(dir(top), "z").await, [""; 0]);
}

#[tokio::test]
async fn a_node_that_ends_elsewhere_or_counts_otherwise_than_its_parent_says_is_damage() {
    let of = |lie: Child| dir(inner(1, vec![child(leaf(&["a"])), lie]));
    let honest = child(leaf(&["n", "p"]));
    assert_eq!(believers(of(Child { last_name: b"z".to_vec(), ..honest.clone() }), "p").await, [""; 0]);
    let counts = Counts { entries: 3, ..honest.counts };
    assert_eq!(believers(of(Child { counts, ..honest }), "p").await, [""; 0]);
    let top = inner(1, vec![child(leaf(&["a"])), child(leaf(&["p"]))]);
    let lie = DirContent { counts: Counts::default(), ..dir(top) };
    assert_eq!(believers(lie, "p").await, [""; 0]);
}
