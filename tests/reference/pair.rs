//! A workspace and the model, and the same operations done to both.

use meshfs::workspace::attr::RenameMode;
use meshfs::workspace::error::WorkspaceError;
use meshfs::workspace::open_file::OpenFile;

use super::commit;
use super::compare::{Numbers, compare};
use super::machine::Machine;
use crate::common::reference::deed::Deed;
use crate::common::reference::model::{Id, Model, Refused};
use crate::common::reference::operation::{Name, OTHERS, Op, bytes};

/// What the other machine committed and this one has not seen yet.
#[derive(Debug)]
struct News {
    time: i64,
    deeds: Vec<Deed>,
}

/// Both sides, and what is open on both.
pub struct Pair {
    pub machine: Machine,
    other: Machine,
    pub model: Model,
    open: Vec<(OpenFile, Id)>,
    numbers: Numbers,
    news: Vec<News>,
}

fn refused(error: &WorkspaceError) -> Refused {
    match error {
        WorkspaceError::NotFound => Refused::NotFound,
        WorkspaceError::Exists => Refused::Exists,
        WorkspaceError::NotDirectory => Refused::NotDirectory,
        WorkspaceError::IsDirectory => Refused::IsDirectory,
        WorkspaceError::NotEmpty => Refused::NotEmpty,
        WorkspaceError::Invalid(_) => Refused::Invalid,
        WorkspaceError::NotPermitted(_) => Refused::NotPermitted,
        WorkspaceError::NoAttribute => Refused::NoAttribute,
        other => panic!("unexpected: {other}"),
    }
}

impl Pair {
    pub fn new(machine: Machine, other: Machine, model: Model) -> Pair {
        let mut pair = Pair { machine, other, model, open: Vec::new(), numbers: Numbers::default(), news: Vec::new() };
        pair.compare();
        pair
    }

    pub fn compare(&mut self) {
        compare(&self.machine, &self.model, &mut self.numbers);
        for (file, id) in &self.open {
            let size = self.model.file(*id).data.len();
            let read = self.machine.run(|_| file.read(0, size + 7)).unwrap();
            assert!(read == self.model.file(*id).data, "an open file has other bytes than the model's {id}");
            let attr = self.machine.run(|_| file.attr()).unwrap();
            assert_eq!(attr.nlink, self.model.file(*id).nlink, "names of an open file");
        }
    }

    pub fn apply(&mut self, op: &Op) {
        self.machine.world.tick();
        self.model.now = self.machine.world.now();
        match op {
            Op::Crash => {
                self.open.clear();
                self.machine.crash();
            }
            Op::Commit => {
                commit::commit(&self.machine);
                self.take_news();
            }
            Op::Refresh => {
                commit::refresh(&self.machine);
                self.take_news();
            }
            Op::Other(kind, name, pick) => self.other_machine(*kind, *name, *pick),
            Op::Open(pick) => {
                if let Some((path, id)) = self.model.pick_file(*pick) {
                    self.open.push((self.machine.open_direct(&path, true), id));
                }
            }
            Op::WriteOpen(handle, offset, len, seed) => {
                if !self.open.is_empty() {
                    let (file, id) = &self.open[usize::from(*handle) % self.open.len()];
                    let bytes = bytes(*len, *seed);
                    self.machine.write_open(file, u64::from(*offset), &bytes).unwrap();
                    self.model.write(*id, *offset as usize, &bytes);
                }
            }
            Op::CloseAll => self.open.clear(),
            _ => {
                let Some(deed) = op.deed(&self.model) else { return };
                let real = self.machine.perform(&deed).map_err(|error| refused(&error));
                let model = deed.apply(&mut self.model);
                assert_eq!(real, model, "{deed:?}: the workspace answers the first, the model the second");
            }
        }
    }

    /// The other machine works in its own directory only, so that nothing is in conflict.
    fn other_machine(&mut self, kind: u8, name: Name, pick: u16) {
        let other = &self.other;
        commit::refresh(other);
        let path = format!("{OTHERS}/{}", char::from(b'a' + name));
        let to = format!("{OTHERS}/{}", char::from(b'a' + (pick % 5) as u8));
        let mut deeds = match kind % 4 {
            0 | 1 => {
                // Replaced content is another inode.
                let unlink = Deed::Unlink(path.clone());
                let [create, write] = Deed::file(&path, bytes(pick % 3000 + 1, kind));
                vec![unlink, create, write]
            }
            2 => vec![Deed::Unlink(path)],
            _ if path != to => vec![Deed::Rename { from: path, to, mode: RenameMode::Replace }],
            _ => vec![],
        };
        deeds.retain(|deed| other.perform(deed).is_ok());
        if deeds.is_empty() {
            return;
        }
        commit::commit(other);
        self.news.push(News { time: self.model.now, deeds });
    }

    /// What the other machine did shows here once this workspace's base has it: a commit of nothing does not look for it.
    fn take_news(&mut self) {
        let (ours, theirs) = (self.machine.workspace().head(), self.other.workspace().head());
        let has_theirs = self.machine.domain.is_ancestor(&theirs, &ours);
        if self.news.is_empty() || !self.machine.block_on(has_theirs).unwrap() {
            return;
        }
        self.numbers.forget_below(OTHERS);
        let now = self.model.now;
        for News { time, deeds } in std::mem::take(&mut self.news) {
            self.model.now = time;
            for deed in deeds {
                deed.apply(&mut self.model).unwrap();
            }
        }
        self.model.now = now;
    }
}
