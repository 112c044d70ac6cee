//! rename(2): one transaction, whatever is moved or replaced.

use std::sync::Arc;

use super::attr::RenameMode;
use super::error::WorkspaceError;
use super::live::Place;
use super::state::{Inode, Result, State};
use crate::model::entry::Kind;
use crate::model::path::check_name;
use crate::overlay::node::Node;

/// A name in a directory that is about to change.
struct Spot<'a> {
    dir: Arc<Node>,
    name: &'a [u8],
}

fn is_dir(inode: &Inode) -> i32 {
    i32::from(inode.kind() == Kind::Dir)
}

impl State {
    pub fn rename(&mut self, from: (u64, &[u8]), to: (u64, &[u8]), mode: RenameMode) -> Result<()> {
        check_name(from.1)?;
        check_name(to.1)?;
        self.change(|state| {
            let (from_dir, from_row) = state.dir_for_change(from.0)?;
            let (to_dir, to_row) = state.dir_for_change(to.0)?;
            let moved = state.child(&from_dir, from.1)?.ok_or(WorkspaceError::NotFound)?;
            let target = state.child(&to_dir, to.1)?;
            match (&target, mode) {
                (Some(_), RenameMode::NoReplace) => return Err(WorkspaceError::Exists),
                (None, RenameMode::Exchange) => return Err(WorkspaceError::NotFound),
                (Some(target), _) if target.ino() == moved.ino() => return Ok(()),
                _ => {}
            }
            state.refuse_own_subtree(&moved, to.0)?;
            let from = Spot { dir: from_row, name: from.1 };
            let to = Spot { dir: to_row, name: to.1 };
            match (target, mode) {
                (Some(target), RenameMode::Exchange) => state.exchange(&from, &to, &moved, &target),
                (target, _) => state.move_to(&from, &to, &moved, target.as_ref()),
            }
        })
    }

    fn move_to(&mut self, from: &Spot, to: &Spot, moved: &Inode, target: Option<&Inode>) -> Result<()> {
        if let Some(target) = target {
            match (moved.kind() == Kind::Dir, target.kind() == Kind::Dir) {
                (true, false) => return Err(WorkspaceError::NotDirectory),
                (false, true) => return Err(WorkspaceError::IsDirectory),
                (true, true) if !self.is_empty(target)? => return Err(WorkspaceError::NotEmpty),
                _ => {}
            }
            self.drop_name(&to.dir, to.name, target)?;
        }
        let node = self.materialise(moved)?;
        self.remove_name(&from.dir, from.name)?;
        self.put_name(&to.dir, to.name, &node)?;
        let arrives = is_dir(moved);
        self.finish_move(&node, (from, -arrives), (to, arrives - target.map_or(0, is_dir)))
    }

    fn exchange(&mut self, from: &Spot, to: &Spot, moved: &Inode, target: &Inode) -> Result<()> {
        self.refuse_own_subtree(target, from.dir.ino)?;
        let moved = self.materialise(moved)?;
        let target = self.materialise(target)?;
        self.put_name(&to.dir, to.name, &moved)?;
        self.put_name(&from.dir, from.name, &target)?;
        self.update_row(Node { ctime: self.now(), ..(*target).clone() })?;
        let arrives = i32::from(moved.kind == Kind::Dir) - i32::from(target.kind == Kind::Dir);
        self.finish_move(&moved, (from, -arrives), (to, arrives))
    }

    /// With each spot how many subdirectories more its directory has.
    fn finish_move(&mut self, node: &Node, from: (&Spot, i32), to: (&Spot, i32)) -> Result<()> {
        self.update_row(Node { ctime: self.now(), ..node.clone() })?;
        self.touch_dir(from.0.dir.ino, from.1)?;
        self.touch_dir(to.0.dir.ino, to.1)
    }

    /// A directory cannot be moved into itself or below.
    fn refuse_own_subtree(&mut self, moved: &Inode, into: u64) -> Result<()> {
        if moved.kind() != Kind::Dir {
            return Ok(());
        }
        let mut at = into;
        while at != self.root {
            if at == moved.ino() {
                return Err(WorkspaceError::Invalid("a directory cannot be moved into itself"));
            }
            at = self.parent(at)?;
        }
        Ok(())
    }

    /// The directory that holds the directory `ino`.
    pub fn parent(&mut self, ino: u64) -> Result<u64> {
        if ino == self.root {
            return Ok(ino);
        }
        if let Some((parent, _)) = self.overlay.db.name_of(ino)? {
            return Ok(parent);
        }
        match self.live.place(ino) {
            Some(Place::Base { parent, .. }) => Ok(*parent),
            _ => Err(WorkspaceError::Stale),
        }
    }
}
