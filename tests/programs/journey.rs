//! What every program's work goes through: it is looked at as written, after a commit, on a mount with what is kept
//! locally, on one with nothing kept, and on a second machine that has only the store.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::common::machine::Machine;
use super::common::s3;
use super::common::scratch::Scratch;

const BRANCH: &str = "work/main";

/// Logs are looked at when a command asks: requests that a test counts are then its program's.
const UNPOLLED: [&str; 2] = ["--poll", "3600"];

/// Two machines and what they share.
pub struct Journey {
    here: Machine,
    there: Machine,
    server: Option<s3::Server>,
    _store: Scratch,
}

/// A machine's mounted working tree.
#[derive(Clone, Copy)]
pub struct Tree<'a>(&'a Machine);

impl Tree<'_> {
    pub fn path(self) -> PathBuf {
        self.0.mesh().join(BRANCH)
    }

    /// Runs a script of bash in the working tree; every command in it must succeed. Gives its stdout.
    pub fn shell(self, script: &str) -> String {
        self.0.run(&self.path(), "bash", &["-euo", "pipefail", "-c", script])
    }

    /// Runs one of the scripts beside this file in the working tree, in the environment that has the libraries.
    pub fn python(self, script: &str, arguments: &[&str]) -> String {
        let script = beside(script);
        let script = script.to_str().expect("a plain path");
        self.0.run(&self.path(), python(), &[&[script], arguments].concat())
    }

    pub fn machine(&self) -> &Machine {
        self.0
    }
}

/// The interpreter that has the libraries.
pub fn python() -> PathBuf {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-env/venv/bin/python3");
    assert!(python.exists(), "{} is missing: run scripts/test-env", python.display());
    python
}

/// A file in this folder.
pub fn beside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs").join(name)
}

/// A folder of sources that every machine with these tests has.
pub fn sources() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src").display().to_string()
}

impl Journey {
    /// On a store in a local folder, mounted here.
    pub fn new() -> Journey {
        let store = Scratch::new();
        let url = store.join("store").display().to_string();
        Journey::begin(Machine::new(&url), Machine::new(&url), None, store)
    }

    /// On the S3 server.
    pub fn over_s3() -> Journey {
        let server = s3::Server::start();
        let url = server.url("work");
        let machine = || Machine::with_environment(&url, server.environment());
        let (here, there) = (machine(), machine());
        Journey::begin(here, there, Some(server), Scratch::new())
    }

    fn begin(here: Machine, there: Machine, server: Option<s3::Server>, store: Scratch) -> Journey {
        here.meshfs(&["init"]);
        here.meshfs(&["domain", "create", "work"]);
        here.mount(&UNPOLLED);
        Journey { here, there, server, _store: store }
    }

    pub fn here(&self) -> Tree<'_> {
        Tree(&self.here)
    }

    pub fn there(&self) -> Tree<'_> {
        Tree(&self.there)
    }

    /// Requests that the store has had.
    pub fn requests(&self) -> u64 {
        self.server.as_ref().expect("a journey over S3").counts().total()
    }

    /// Bytes that the store has given out.
    pub fn bytes_fetched(&self) -> u64 {
        self.server.as_ref().expect("a journey over S3").counts().received_bytes
    }

    pub fn commit(&self) {
        self.here.meshfs(&["commit", BRANCH, "-m", "Programs were here"]);
    }

    /// Mounts anew, with what is kept locally.
    pub fn remount(&self) {
        self.here.unmount();
        self.here.mount(&UNPOLLED);
    }

    /// Mounts anew, with nothing kept but what is staged.
    pub fn remount_cold(&self) {
        self.here.unmount();
        self.here.drop_cache();
        self.here.mount(&UNPOLLED);
    }

    /// Mounts on the machine that has nothing but the store.
    pub fn arrive(&self) {
        self.there.mount(&UNPOLLED);
    }

    /// Has `check` tell whether the work is right, wherever it could have been lost; and compares what stat(2) tells
    /// of every file with what it told before.
    pub fn travel(&self, check: impl Fn(Tree<'_>)) {
        check(self.here());
        let staged = Listing::of(&self.here().path());
        self.commit();
        staged.is_still_in(&self.here().path(), "after the commit");
        check(self.here());
        let committed = Listing::of(&self.here().path());
        self.remount();
        committed.is_still_in(&self.here().path(), "after a remount");
        check(self.here());
        let remounted = Listing::of(&self.here().path());
        self.remount_cold();
        remounted.is_still_in(&self.here().path(), "after a remount with nothing kept");
        check(self.here());
        self.arrive();
        staged.shared().is(&Listing::of(&self.there().path()).shared(), "on a second machine");
        check(self.there());
    }

    /// Goes back with what `change` does on the second machine: `check` is asked here once that is committed there.
    pub fn travel_back(&self, change: impl Fn(Tree<'_>), check: impl Fn(Tree<'_>)) {
        change(self.there());
        self.there.meshfs(&["commit", BRANCH, "-m", "Programs were there"]);
        check(self.there());
        self.here.meshfs(&["refresh", BRANCH]);
        check(self.here());
    }
}

/// What stat(2) tells of a file that lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stat {
    mode: u32,
    /// Of a folder they count what is in it only until that is committed.
    links: Option<u64>,
    bytes: u64,
    modified: (i64, i64),
    /// The number and the time of the last change of any kind: each machine's own.
    local: Option<(u64, (i64, i64))>,
}

/// Everything in a folder, by path.
struct Listing(BTreeMap<PathBuf, Stat>);

impl Listing {
    fn of(folder: &Path) -> Listing {
        let mut found = BTreeMap::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(at) = folders.pop() {
            for item in fs::read_dir(&at).expect("a folder that can be listed") {
                let path = item.expect("an entry").path();
                let about = fs::symlink_metadata(&path).expect("an entry that is there");
                let stat = Stat {
                    mode: about.mode(),
                    links: (!about.is_dir()).then_some(about.nlink()),
                    bytes: about.size(),
                    modified: (about.mtime(), about.mtime_nsec()),
                    local: Some((about.ino(), (about.ctime(), about.ctime_nsec()))),
                };
                found.insert(path.strip_prefix(folder).expect("a path below").to_owned(), stat);
                if about.is_dir() {
                    folders.push(path);
                }
            }
        }
        Listing(found)
    }

    /// Without what is each machine's own.
    fn shared(&self) -> Listing {
        Listing(self.0.iter().map(|(path, stat)| (path.clone(), Stat { local: None, ..stat.clone() })).collect())
    }

    fn is_still_in(&self, folder: &Path, when: &str) {
        self.is(&Listing::of(folder), when);
    }

    fn is(&self, now: &Listing, when: &str) {
        let paths = self.0.keys().chain(now.0.keys());
        let other: BTreeMap<_, _> = paths
            .filter(|path| self.0.get(*path) != now.0.get(*path))
            .map(|path| (path, (self.0.get(path), now.0.get(path))))
            .collect();
        let shown: Vec<_> = other.iter().take(5).collect();
        assert!(other.is_empty(), "{when}, {} of {} files differ: {shown:#?}", other.len(), self.0.len());
    }
}
