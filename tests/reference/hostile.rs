//! A base whose nodes are not what their parents say of them: the view shows damage, not a directory with gaps.

use std::sync::Arc;

use meshfs::format::node::node_id;
use meshfs::model::entry::{Content, Entry};
use meshfs::model::path::TreePath;
use meshfs::model::tree::{Child, DirContent, NamedEntry, Node, NodeBody, Root};
use meshfs::repo::domain::Snapshot;
use meshfs::repo::error::RepoError;
use meshfs::repo::tree;
use meshfs::workspace::error::WorkspaceError;
use meshfs::workspace::snapshot::SnapshotView;

use super::machine::World;

fn child(names: &[&str], like: &Entry) -> Child {
    let named =
        |name: &&str| NamedEntry { name: (*name).into(), entry: Entry { content: Content::Fifo, ..like.clone() } };
    let leaf = Node::Leaf(names.iter().map(named).collect());
    let last_name = leaf.last_name().unwrap().to_vec();
    Child { last_name, id: node_id(&leaf).unwrap(), counts: leaf.counts(), body: NodeBody::Here(Arc::new(leaf)) }
}

#[test]
fn lookups_and_listings_of_a_view_do_not_believe_a_tree_whose_leaves_overlap() {
    let machine = World::new().first_machine();
    let base = machine.workspace().base();
    let like = &base.root.entry;
    let view = |second: &[&str]| {
        let top = Node::Inner { level: 1, children: vec![child(&["a", "m"], like), child(second, like)] };
        let dir = DirContent { id: node_id(&top).unwrap(), counts: top.counts(), body: NodeBody::Here(Arc::new(top)) };
        let root: Root = tree::root(Entry { content: Content::Dir(dir), ..like.clone() }, None).unwrap();
        let snapshot = Snapshot { root: Arc::new(root), ..Snapshot::clone(&base) };
        machine.block_on(SnapshotView::open(Arc::new(snapshot))).unwrap()
    };
    let z = TreePath::parse(b"z").unwrap();
    let honest = view(&["n", "z"]);
    honest.lookup(&z).unwrap();
    assert_eq!(honest.readdir(&TreePath::root(), None, 10).unwrap().len(), 4);
    let lying = view(&["a", "z"]);
    let damaged = |error| matches!(error, WorkspaceError::Repo(RepoError::Damaged { .. }));
    assert!(damaged(lying.lookup(&z).unwrap_err()));
    assert!(damaged(lying.readdir(&TreePath::root(), None, 10).unwrap_err()));
    lying.lookup(&TreePath::parse(b"a").unwrap()).unwrap();
}
