//! Committing a workspace and moving it to the newest head, in the shortest way: what the verbs do, without their
//! merging.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use meshfs::format::record::{commit_id, encode_commit};
use meshfs::model::commit::{Commit, PathFilter};
use meshfs::model::content::{FileBody, FileContent};
use meshfs::model::edit::{DirEdit, Edit};
use meshfs::model::entry::{Content, Entry, Kind, Meta, Xattr};
use meshfs::model::id::Nonce;
use meshfs::model::log::Operation;
use meshfs::overlay::dirent::Dirent;
use meshfs::overlay::node::Node;
use meshfs::overlay::xattr::StagedValue;
use meshfs::repo::domain::{Proposal, Proposed, Sent};
use meshfs::repo::tree;
use meshfs::repo::upload::{Base, Upload};
use meshfs::workspace::rebase::Settlements;
use meshfs::workspace::staged::StagedTree;

use super::machine::Machine;

/// Commits everything staged. The head must be the workspace's base.
pub fn commit(machine: &Machine) {
    machine.block_on(commit_with(machine, async || {}));
}

/// Commits, and has `meanwhile` act between the look at the names and the landing.
pub async fn commit_with(machine: &Machine, meanwhile: impl AsyncFnOnce()) {
    let workspace = machine.workspace();
    let tree = workspace.staged().unwrap();
    let mut upload = Upload::begin(&machine.domain, None);
    let mut builder = Builder { machine, tree: &tree, upload: &mut upload };
    let root = tree.node(tree.root()).unwrap();
    let edit = builder.dir(&root).await;
    let links = tree.link_groups().unwrap();
    let base = tree.base().clone();
    let entry = tree::apply::apply(machine.domain.objects(), &edit).await.unwrap();
    let links = match links {
        Some(groups) => tree::links(groups).unwrap(),
        None => base.root.links.clone(),
    };
    let root = tree::root(entry, links).unwrap();
    let (root, location) = upload.finish_nodes(root).await.unwrap();
    meanwhile().await;
    let state = machine.domain.state();
    let (branch, head) = state.branch(&machine.branch).unwrap();
    assert_eq!(head.target, base.commit.id, "the head moved");
    let mut record = Commit {
        root: root.id,
        root_location: location,
        parents: vec![base.commit.id],
        generation: base.commit.generation + 1,
        message: "test".to_owned(),
        time: machine.domain.store_time().unwrap(),
        nonce: Nonce(machine.domain.sys().random.name()),
        first_seq: state.seq + 1,
        changed_paths: PathFilter::default(),
        ..Commit::clone(&base.commit)
    };
    record.id = commit_id(&record).unwrap();
    let key = machine.domain.place().record_key(&record.id);
    machine.domain.store().put(&key, encode_commit(&record).unwrap().into()).await.unwrap();
    let proposal = Proposal {
        changes: vec![state.change(Operation::Commit, &branch, Some(record.id)).unwrap()],
        packs: upload.packs(),
        records: vec![Sent { name: record.id, epoch: state.fence.epoch }],
        ..Proposal::default()
    };
    let proposed = machine.domain.propose(&state, proposal).await.unwrap();
    assert!(matches!(proposed, Proposed::Landed { .. }));
    let snapshot = machine.domain.snapshot(&record.id).await.unwrap();
    workspace.commit_landed(snapshot, &tree, &Settlements::new()).await.unwrap();
}

/// Moves the workspace to the newest head; staged changes stay, and touch nothing that moved.
pub fn refresh(machine: &Machine) {
    machine.block_on(async {
        machine.domain.poll().await.unwrap();
        let (_, head) = machine.domain.state().branch(&machine.branch).unwrap();
        let snapshot = machine.domain.snapshot(&head.target).await.unwrap();
        machine.workspace().rebase(snapshot, &Settlements::new()).await.unwrap();
    });
}

struct Builder<'a> {
    machine: &'a Machine,
    tree: &'a StagedTree,
    upload: &'a mut Upload,
}

impl Builder<'_> {
    fn dir<'a>(&'a mut self, node: &'a Node) -> BoxFuture<'a, DirEdit> {
        Box::pin(async move {
            let mut names = BTreeMap::new();
            for named in self.tree.names(node.ino).unwrap() {
                let edit = match named.dirent {
                    Dirent::Whiteout => Edit::Remove,
                    Dirent::Ino(ino) => {
                        let child = self.tree.node(ino).unwrap();
                        if child.kind == Kind::Dir {
                            Edit::Dir(self.dir(&child).await)
                        } else {
                            Edit::Put(self.entry(&child).await)
                        }
                    }
                };
                names.insert(named.name, edit);
            }
            let from = node.origin.as_ref().map(|origin| (*origin.entry).clone());
            let xattrs = self.own_xattrs(node);
            DirEdit { from, meta: self.meta(node, xattrs).await, names }
        })
    }

    fn own_xattrs(&self, node: &Node) -> Option<Vec<(Vec<u8>, StagedValue)>> {
        node.own_xattrs.then(|| self.tree.xattrs(node.ino).unwrap())
    }

    async fn meta(&mut self, node: &Node, own: Option<Vec<(Vec<u8>, StagedValue)>>) -> Meta {
        let mut xattrs = match (&own, &node.origin) {
            (None, Some(origin)) => origin.entry.meta.xattrs.clone(),
            _ => Vec::new(),
        };
        for (name, value) in own.into_iter().flatten() {
            let value = match value {
                StagedValue::Bytes(bytes) => self.upload.xattr(bytes).await.unwrap(),
                StagedValue::Base(value) => value,
            };
            xattrs.push(Xattr { name, value });
        }
        Meta { mode: node.mode, owner: node.owner, mtime: node.mtime, xattrs }
    }

    async fn entry(&mut self, node: &Node) -> Entry {
        if let Some(staged) = self.machine.workspace().staged_file(self.tree, node.ino).unwrap() {
            let dirty = staged.dirty();
            let under = staged.under.as_ref().map(|under| under.entry.clone());
            let base = match under.as_ref().map(|entry| &entry.content) {
                Some(Content::File(content)) => Some(Base { content, dirty: Some(&dirty) }),
                _ => None,
            };
            let content = self.upload.file(staged.file.clone(), staged.identity.size, base).await.unwrap();
            assert!(self.machine.workspace().is_unchanged(&staged).unwrap());
            let own = staged.node.own_xattrs.then(|| staged.xattrs.clone());
            let meta = Meta { mtime: staged.identity.mtime, ..self.meta(&staged.node, own).await };
            return Entry { meta, content: Content::File(content) };
        }
        let own = self.own_xattrs(node);
        let meta = self.meta(node, own).await;
        let content = match (&node.origin, node.kind) {
            (Some(origin), _) => origin.entry.content.clone(),
            (None, Kind::File) => Content::File(self.empty().await),
            (None, Kind::Symlink) => Content::Symlink(node.target.clone().unwrap()),
            (None, Kind::Fifo) => Content::Fifo,
            (None, Kind::Socket) => Content::Socket,
            (None, kind) => panic!("{kind:?} is not made in these tests"),
        };
        Entry { meta, content }
    }

    async fn empty(&mut self) -> FileContent {
        let none: Arc<Vec<u8>> = Arc::default();
        let content = self.upload.file(none, 0, None).await.unwrap();
        assert_eq!(content.body, FileBody::Items(Vec::new()));
        content
    }
}
