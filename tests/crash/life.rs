//! A machine whose daemon is killed again and again in the middle of random operations, and what must be there then.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use meshfs::model::entry::Kind;
use meshfs::sys::random::{Random, SeededRandom};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::seen::{Leeway, Numbers, Torn, Tree, differences, mtime, read_tree};
use super::system;
use crate::common::machine::Machine;
use crate::common::reference::base::base;
use crate::common::reference::deed::Deed;
use crate::common::reference::model::{File as ModelFile, Id, Model, ROOT};
use crate::common::reference::operation::{OTHERS, Op, bytes, op};
use crate::common::scratch::Scratch;

/// Operations of one life before the killer is let loose, at most.
const CALM_OPS_MAX: u64 = 150;

/// Longest time from there to the kill.
const DELAY_MAX_MICROS: u64 = 100_000;

/// Branches that are made and taken back beside the one that is worked on.
const BRANCHES: u64 = 3;

/// No clock of these days shows it: stands for the times that the operation under way gives.
const UNSEEN: i64 = i64::MIN / 2;

/// What an operation that was cut off may have come to.
struct CutOff {
    what: String,
    outcomes: Vec<(Model, Leeway)>,
    /// A file that another machine committed, which the first outcome has not taken over.
    theirs: Option<Deed>,
}

/// Whether the daemon lived through an operation.
enum Lived {
    Yes,
    No(CutOff),
}

pub struct Tester {
    machine: Machine,
    other: Machine,
    outside: Scratch,
    model: Model,
    open: Vec<(File, Id)>,
    branches: [Option<bool>; BRANCHES as usize],
    numbers: Numbers,
    random: SeededRandom,
    ops: TestRunner,
    killed: Arc<AtomicBool>,
    /// What was done so far.
    story: Vec<String>,
}

fn is_root() -> bool {
    meshfs::sys::process::effective_uid() == 0
}

impl Tester {
    /// Two machines on a new mesh, one of them mounted on a commit of the base.
    pub fn new(seed: u64) -> Tester {
        let outside = Scratch::new();
        let store = outside.join("store").display().to_string();
        let (machine, other) = (Machine::new(&store), Machine::new(&store));
        machine.meshfs(&["init"]);
        machine.meshfs(&["domain", "create", "sales"]);
        let mut bytes = [0; 32];
        SeededRandom::new(seed).fill(&mut bytes);
        let ops = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
        let mut tester = Tester {
            machine,
            other,
            outside,
            model: Model::new(UNSEEN),
            open: Vec::new(),
            branches: [Some(false); BRANCHES as usize],
            numbers: Numbers::default(),
            random: SeededRandom::new(seed),
            ops,
            killed: Arc::default(),
            story: Vec::new(),
        };
        tester.mount();
        for deed in base() {
            system::perform(&tester.tree(), &deed).unwrap();
            deed.apply(&mut tester.model).unwrap();
        }
        tester.control("commit").unwrap();
        let root = std::fs::metadata(tester.tree()).unwrap();
        tester.model.file_mut(ROOT).mode = (std::os::unix::fs::MetadataExt::mode(&root) & 0o7777) as u16;
        tester.settle().unwrap();
        tester.check(None);
        tester
    }

    fn tree(&self) -> PathBuf {
        self.machine.mesh().join("sales/main")
    }

    /// No polling: what other machines made comes when it is asked for.
    fn mount(&mut self) {
        let options = ["--poll", "3600", "--allow-other"];
        self.machine.mount(if is_root() { &options } else { &options[..2] });
        // A branch that nobody has entered yet shows no times of its own.
        std::fs::read_dir(self.tree()).expect("it is mounted").for_each(drop);
        self.killed = Arc::default();
    }

    /// Lives until killed, comes back, and compares.
    pub fn live_and_die(&mut self) {
        let calm = self.random.below(CALM_OPS_MAX);
        let cut_off = (0..calm).find_map(|_| self.step()).or_else(|| {
            self.let_the_killer_loose();
            loop {
                if let Some(cut_off) = self.step() {
                    break Some(cut_off);
                }
            }
        });
        self.open.clear();
        self.mount();
        self.check(cut_off);
        if self.random.below(3) == 0 {
            self.check_a_commit();
        }
        self.story.push("... killed, mounted again".to_owned());
    }

    /// One random operation; what it was, if it was the last.
    fn step(&mut self) -> Option<CutOff> {
        self.model.now = UNSEEN;
        let op = op().new_tree(&mut self.ops).expect("it refuses nothing").current();
        self.story.push(format!("{op:?}"));
        let lived = match &op {
            Op::Commit => self.command("commit"),
            Op::Refresh => self.command("refresh"),
            Op::Other(kind, name, pick) => self.other_machine(&format!("{OTHERS}/{name}"), &bytes(pick % 3000, *kind)),
            Op::Open(pick) => self.keep_open(*pick),
            Op::WriteOpen(handle, offset, len, seed) => self.write_open(*handle, *offset as usize, &bytes(*len, *seed)),
            Op::CloseAll => {
                self.open.clear();
                Lived::Yes
            }
            // Kills come by themselves here.
            Op::Crash => self.make_or_take_a_branch(),
            op => match op.deed(&self.model).and_then(|deed| self.offered(deed)) {
                Some(deed) => self.perform(&deed),
                None => Lived::Yes,
            },
        };
        match lived {
            Lived::Yes => None,
            Lived::No(cut_off) => Some(cut_off),
        }
    }

    /// Kills the daemon a while from now, in the middle of whatever goes on.
    fn let_the_killer_loose(&self) {
        let pids = self.machine.daemons();
        assert_eq!(pids.len(), 1, "one daemon");
        // As many short delays as long ones: the stages of an operation differ in length by as much.
        let delay = DELAY_MAX_MICROS >> self.random.below(10);
        let delay = Duration::from_micros(self.random.below(delay));
        let killed = self.killed.clone();
        std::thread::spawn(move || {
            let began = Instant::now();
            while began.elapsed() < delay {
                std::hint::spin_loop();
            }
            killed.store(true, Ordering::SeqCst);
            // SAFETY: a system call; the process is our own machine's daemon.
            assert_eq!(unsafe { libc::kill(pids[0] as i32, libc::SIGKILL) }, 0);
        });
    }

    /// What systems in general and this mount offer of a deed, which is all of most.
    fn offered(&self, deed: Deed) -> Option<Deed> {
        let kind = |path: &str| self.model.find(path).map(|id| self.model.file(id).kind);
        match deed {
            // No set-id bits: what writes and new entries make of them is for other tests.
            Deed::Chmod(path, _) if kind(&path) == Ok(Kind::Symlink) => None,
            Deed::Chmod(path, mode) => Some(Deed::Chmod(path, mode & 0o1777)),
            Deed::Chown(..) if !is_root() => None,
            // Only files and directories may have attributes of users.
            Deed::SetXattr { ref path, .. } | Deed::RemoveXattr { ref path, .. }
                if !matches!(kind(path), Ok(Kind::File | Kind::Dir)) =>
            {
                None
            }
            deed => Some(deed),
        }
    }

    fn perform(&mut self, deed: &Deed) -> Lived {
        let real = system::perform(&self.tree(), deed);
        let before = self.model.clone();
        let model = deed.apply(&mut self.model);
        match (real, model) {
            (Ok(()), Ok(())) => self.done(deed.target()),
            (Err(error), Err(_)) if !self.died(&error) => Lived::Yes,
            (Err(error), _) if self.died(&error) => self.cut_off(format!("{deed:?}"), before, deed.target()),
            (real, model) => self.fail(&format!("{deed:?}: the mount answers {real:?}, the model {model:?}")),
        }
    }

    /// Is this an error of a daemon that was killed?
    fn died(&self, error: &io::Error) -> bool {
        let killed = self.killed.load(Ordering::SeqCst);
        let gone = matches!(error.raw_os_error(), Some(libc::ENOTCONN | libc::ECONNABORTED));
        assert!(killed || !gone, "the daemon is gone, and nobody killed it: {error}");
        // Which other errors there are for it is the kernel's business.
        killed && (gone || std::fs::metadata(self.tree()).is_err())
    }

    /// An operation that returned: its times are seen, or the daemon died before they were.
    fn done(&mut self, target: Option<&str>) -> Lived {
        match self.settle() {
            Ok(()) => Lived::Yes,
            Err(error) if self.died(&error) => {
                let leeway = Leeway { unseen_mtime: Some(UNSEEN), ..Leeway::default() };
                Lived::No(CutOff {
                    what: format!("after {target:?}"),
                    outcomes: vec![(self.model.clone(), leeway)],
                    theirs: None,
                })
            }
            Err(error) => self.fail(&format!("looking at times: {error}")),
        }
    }

    /// An operation that did not return: nothing of it is there, or all; of bytes, any part.
    fn cut_off(&self, what: String, before: Model, target: Option<&str>) -> Lived {
        let torn = target.and_then(|path| before.find(path).ok()).map(|id| (id, before.file(id).clone()));
        self.cut_off_with(what, before, torn)
    }

    fn cut_off_with(&self, what: String, before: Model, torn: Option<(Id, ModelFile)>) -> Lived {
        let torn = torn.map(|(id, before)| Torn { id, before });
        let after = Leeway { unseen_mtime: Some(UNSEEN), torn, ..Leeway::default() };
        let outcomes = vec![(before, Leeway::default()), (self.model.clone(), after)];
        Lived::No(CutOff { what, outcomes, theirs: None })
    }

    /// Notes the times that the operation gave.
    fn settle(&mut self) -> io::Result<()> {
        let tree = self.tree();
        for path in self.model.paths().into_iter().chain([String::new()]) {
            let id = self.model.find(&path).expect("just listed");
            if self.model.file(id).mtime == UNSEEN {
                self.model.file_mut(id).mtime = mtime(&std::fs::symlink_metadata(tree.join(&path))?);
            }
        }
        Ok(())
    }

    fn control(&self, name: &str) -> io::Result<()> {
        std::fs::write(self.tree().join(".meshfs").join(name), "crash test")
    }

    fn command(&mut self, name: &str) -> Lived {
        match self.control(name) {
            Ok(()) => Lived::Yes,
            Err(error) if self.died(&error) => self.cut_off(name.to_owned(), self.model.clone(), None),
            Err(error) => {
                let told = std::fs::read_to_string(self.tree().join(".meshfs/last-error"));
                self.fail(&format!("{name}: {error}, {told:?}"))
            }
        }
    }

    fn keep_open(&mut self, pick: u16) -> Lived {
        let Some((path, id)) = self.model.pick_file(pick) else { return Lived::Yes };
        match OpenOptions::new().read(true).write(true).open(self.tree().join(&path)) {
            Ok(file) => {
                self.open.push((file, id));
                Lived::Yes
            }
            Err(error) if self.died(&error) => self.cut_off("open".to_owned(), self.model.clone(), None),
            Err(error) => self.fail(&format!("opening {path}: {error}")),
        }
    }

    fn write_open(&mut self, handle: u8, offset: usize, bytes: &[u8]) -> Lived {
        let count = self.open.len();
        let Some((file, id)) = self.open.get(usize::from(handle) % count.max(1)) else { return Lived::Yes };
        let (before, id) = (self.model.clone(), *id);
        let written = file.write_all_at(bytes, offset as u64);
        self.model.write(id, offset, bytes);
        match written {
            Ok(()) => self.done(None),
            Err(error) if self.died(&error) => {
                let torn = (id, before.file(id).clone());
                self.cut_off_with("write through a handle".to_owned(), before, Some(torn))
            }
            Err(error) => self.fail(&format!("writing through a handle: {error}")),
        }
    }

    /// Another machine commits a file of its own, and this one takes it over.
    fn other_machine(&mut self, path: &str, bytes: &[u8]) -> Lived {
        let source = self.outside.join("theirs");
        std::fs::write(&source, bytes).expect("a scratch file");
        let source = source.to_str().expect("scratch folders have plain names");
        self.other.meshfs(&["cp", source, &format!("sales/main/{path}"), "-m", "theirs"]);
        self.take_over(Deed::Write { path: path.to_owned(), offset: 0, bytes: bytes.to_vec() })
    }

    fn take_over(&mut self, theirs: Deed) -> Lived {
        let Deed::Write { path, bytes, .. } = &theirs else { panic!("others write files") };
        let before = self.model.clone();
        self.model.now = UNSEEN;
        // Replaced content is another inode.
        let _ = self.model.unlink(path);
        for deed in Deed::file(path, bytes.clone()) {
            deed.apply(&mut self.model).expect("their folder is there");
        }
        match self.control("refresh") {
            Ok(()) => self.done(None),
            Err(error) if self.died(&error) => match self.cut_off("taking over".to_owned(), before, None) {
                Lived::No(cut_off) => Lived::No(CutOff { theirs: Some(theirs), ..cut_off }),
                Lived::Yes => Lived::Yes,
            },
            Err(error) => self.fail(&format!("taking over: {error}")),
        }
    }

    fn make_or_take_a_branch(&mut self) -> Lived {
        let number = self.random.below(BRANCHES) as usize;
        let path = self.machine.mesh().join(format!("sales/branch-{number}"));
        let is_there = self.branches[number].unwrap_or_else(|| path.exists());
        let done = if is_there { std::fs::remove_dir(&path) } else { std::fs::create_dir(&path) };
        self.branches[number] = done.is_ok().then_some(!is_there);
        match done {
            Ok(()) => Lived::Yes,
            Err(error) if self.died(&error) => self.cut_off("a branch".to_owned(), self.model.clone(), None),
            Err(error) => self.fail(&format!("branch {number}, there: {is_there}: {error}")),
        }
    }

    /// Compares everything, and goes on from what there is.
    fn check(&mut self, cut_off: Option<CutOff>) {
        let tree = match read_tree(&self.tree()) {
            Ok(tree) => tree,
            Err(error) => self.fail(&format!("reading all: {error}")),
        };
        let nothing = || vec![(self.model.clone(), Leeway::default())];
        let cut_off = cut_off.unwrap_or_else(|| CutOff { what: "nothing".into(), outcomes: nothing(), theirs: None });
        let mut told = format!("cut off was: {}\n", cut_off.what);
        let fits = |(model, leeway): &(Model, Leeway)| {
            let found = differences(&tree, model, leeway);
            told += &format!("against one outcome:\n  {}\n", found.join("\n  "));
            found.is_empty()
        };
        let Some(which) = cut_off.outcomes.iter().position(fits) else { self.fail(&told) };
        let (model, leeway) = cut_off.outcomes[which].clone();
        self.model = model;
        self.adopt(&tree, &leeway);
        self.numbers.check(&tree, &self.model);
        for (number, expected) in self.branches.iter_mut().enumerate() {
            let is_there = self.machine.mesh().join(format!("sales/branch-{number}")).exists();
            assert!(expected.is_none_or(|expected| expected == is_there), "branch {number}, there: {is_there}");
            *expected = Some(is_there);
        }
        if let (0, Some(theirs)) = (which, cut_off.theirs) {
            assert!(matches!(self.take_over(theirs), Lived::Yes), "nobody kills it here");
            self.check(None);
        }
    }

    /// What nobody saw before is from now on as it was found.
    fn adopt(&mut self, tree: &Tree, leeway: &Leeway) {
        for (path, seen) in tree {
            let id = self.model.find(path).expect("it fits");
            let torn = leeway.torn.as_ref().is_some_and(|torn| torn.id == id);
            let file = self.model.file_mut(id);
            if file.mtime == UNSEEN || torn {
                file.mtime = seen.mtime;
            }
            if torn {
                file.data.clone_from(&seen.content);
            }
        }
    }

    /// What is committed is what was there, and nothing stays staged.
    fn check_a_commit(&mut self) {
        if let Lived::No(_) = self.command("commit") {
            self.fail("nobody kills it here");
        }
        let staged = std::fs::read_to_string(self.tree().join(".meshfs/status")).expect("the status");
        let head = std::fs::read_to_string(self.tree().join(".meshfs/head")).expect("the head");
        let snapshot = self.machine.mesh().join(format!("sales/@{}", head.trim()));
        let tree = read_tree(&snapshot).expect("the snapshot");
        let found = differences(&tree, &self.model, &Leeway { any_dir_mtime: true, ..Leeway::default() });
        if !found.is_empty() || !staged.is_empty() {
            self.fail(&format!("the commit is not what was there:\n  {}\nstaged still: {staged}", found.join("\n  ")));
        }
        self.check(None);
    }

    /// Nothing that a person would have to look into is in the daemon's log but the kills themselves.
    pub fn check_log(&self) {
        let logs = self.machine.state_dir().join("meshfs/logs");
        for item in std::fs::read_dir(logs).expect("a daemon logs") {
            let text = std::fs::read_to_string(item.expect("a log").path()).expect("a log is text");
            let bad: Vec<&str> =
                text.lines().filter(|line| line.contains(" WARN ") || line.contains(" ERROR ")).collect();
            let bad: Vec<&str> = bad.into_iter().filter(|line| !line.contains("the daemon died: unmounted")).collect();
            assert!(bad.is_empty(), "{}", bad.join("\n"));
        }
    }

    fn fail(&self, what: &str) -> ! {
        /// Enough to see what the files concerned went through.
        const LINES_TOLD: usize = 400;
        let story = &self.story[self.story.len().saturating_sub(LINES_TOLD)..];
        panic!("{what}\nwhat was done:\n  {}", story.join("\n  "));
    }
}
