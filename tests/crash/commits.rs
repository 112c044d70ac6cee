//! Kills at each stage of a commit, and of what else is one entry of the log: before it is sent, after it landed and
//! nobody here heard of it, while the working tree moves to it.

use std::fs;
use std::path::PathBuf;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use meshfs::telemetry::counters::Verb;

use crate::common::machine::Machine;
use crate::common::s3::{Fault, Server};

const BUCKET: &str = "mesh";

/// More than anybody tries: the fault lasts until the server is told to calm down.
const ALWAYS: usize = 1_000_000;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A machine with a mesh on a server of ours.
struct World {
    server: Server,
    machine: Machine,
}

impl World {
    fn new() -> World {
        let server = Server::start();
        let machine = Machine::with_environment(&server.url(BUCKET), server.environment());
        machine.meshfs(&["init"]);
        machine.meshfs(&["domain", "create", "sales"]);
        let world = World { server, machine };
        world.mount();
        fs::create_dir(world.at("dir")).unwrap();
        fs::write(world.at("dir/kept"), "as committed").unwrap();
        fs::write(world.at("dir/changed"), vec![1; 100_000]).unwrap();
        fs::write(world.at(".meshfs/commit"), "first").unwrap();
        world
    }

    fn mount(&self) {
        self.machine.mount(&["--poll", "3600"]);
    }

    fn at(&self, path: &str) -> PathBuf {
        self.machine.mesh().join("sales/main").join(path)
    }

    fn stage(&self) {
        fs::write(self.at("dir/changed"), vec![2; 200_000]).unwrap();
        fs::write(self.at("new"), "new").unwrap();
        fs::rename(self.at("dir/kept"), self.at("moved")).unwrap();
    }

    /// What was staged is there, whole.
    fn check(&self) {
        assert!(fs::read(self.at("dir/changed")).unwrap() == vec![2; 200_000]);
        assert_eq!(fs::read(self.at("new")).unwrap(), b"new");
        assert_eq!(fs::read(self.at("moved")).unwrap(), b"as committed");
        assert!(!self.at("dir/kept").exists());
    }

    fn commit_aside(&self) -> JoinHandle<std::io::Result<()>> {
        let control = self.at(".meshfs/commit");
        thread::spawn(move || fs::write(control, "second"))
    }

    /// Messages of the commits, newest first, as the store has them.
    fn commits(&self) -> Vec<String> {
        let log = self.machine.meshfs(&["log", "sales/@main", "--json"]);
        let log: serde_json::Value = serde_json::from_str(&log).unwrap();
        log.as_array().unwrap().iter().map(|commit| commit["message"].as_str().unwrap().to_owned()).collect()
    }

    fn entries(&self) -> usize {
        let objects = self.server.objects(BUCKET);
        objects.iter().filter(|(key, _)| key.starts_with("domains/") && key.contains("/log/")).count()
    }

    /// After a kill: nothing is lost, and the commit is there once, by itself or by another.
    fn come_back(&self) {
        self.server.calm();
        self.mount();
        self.check();
        fs::write(self.at(".meshfs/commit"), "second").unwrap();
        self.check();
        assert_eq!(fs::read_to_string(self.at(".meshfs/status")).unwrap(), "", "nothing is staged any more");
        assert_eq!(self.commits(), ["second", "first", "Create the domain"], "each once");
        let stored = self.machine.meshfs(&["cat", "sales/@main/new"]);
        assert_eq!(stored, "new");
    }
}

fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Kills the daemon once a request was sent and struck by the first of the faults.
fn killed_at(faults: &[(Option<Verb>, &str, Fault)]) {
    let world = World::new();
    world.stage();
    for (verb, within, fault) in faults {
        world.server.plan(*verb, within, *fault, ALWAYS);
    }
    let commit = world.commit_aside();
    eventually("the fault strikes", || world.server.struck(faults[0].0, faults[0].1) > 0);
    world.machine.kill_daemon();
    assert!(commit.join().unwrap().is_err(), "nobody could answer");
    world.come_back();
}

#[test]
fn killed_before_a_pack_is_sent() {
    killed_at(&[(None, "/packs/", Fault::Broken)]);
}

#[test]
fn killed_before_the_record_is_sent() {
    killed_at(&[(None, "/commits/", Fault::Broken)]);
}

#[test]
fn killed_before_the_entry_is_sent() {
    killed_at(&[(Some(Verb::Create), "/log/", Fault::Broken), (Some(Verb::Get), "/log/", Fault::Broken)]);
}

#[test]
fn killed_after_the_entry_landed_and_before_anybody_heard() {
    killed_at(&[(Some(Verb::Create), "/log/", Fault::LostReply), (Some(Verb::Get), "/log/", Fault::Broken)]);
}

#[test]
fn killed_while_the_tree_moves_to_what_landed() {
    let world = World::new();
    for round in 0..10 {
        let name = format!("round-{round}");
        fs::write(world.at(&name), vec![round; 70_000]).unwrap();
        fs::rename(world.at(&name), world.at("round")).unwrap();
        let (before, commits) = (world.entries(), world.commits());
        let control = world.at(".meshfs/commit");
        let commit = thread::spawn(move || fs::write(control, name));
        eventually("the entry lands", || world.entries() > before);
        // What follows takes a few milliseconds.
        thread::sleep(Duration::from_micros(u64::from(round) * 700));
        world.machine.kill_daemon();
        let _ = commit.join().unwrap();
        world.mount();
        assert!(fs::read(world.at("round")).unwrap() == vec![round; 70_000]);
        fs::write(world.at(".meshfs/commit"), "again").unwrap();
        assert_eq!(fs::read_to_string(world.at(".meshfs/status")).unwrap(), "");
        assert!(fs::read(world.at("round")).unwrap() == vec![round; 70_000]);
        assert_eq!(world.commits().len(), commits.len() + 1, "it landed once");
    }
}

#[test]
fn an_entry_that_was_cut_off_is_settled_before_anything_is_shown() {
    let world = World::new();
    let branch = world.machine.mesh().join("sales/exp");
    fs::create_dir(&branch).unwrap();
    world.server.plan(Some(Verb::Create), "/log/", Fault::Broken, ALWAYS);
    let removal = thread::spawn({
        let branch = branch.clone();
        move || fs::remove_dir(branch)
    });
    eventually("the fault strikes", || world.server.struck(Some(Verb::Create), "/log/") > 0);
    world.machine.kill_daemon();
    assert!(removal.join().unwrap().is_err());
    world.server.calm();
    world.mount();
    // Shown first and taken away later, work would be lost that somebody did there in between.
    assert!(!branch.exists(), "what was cut off is done, now that the store takes it");
    fs::write(world.at("other"), "x").unwrap();
    fs::write(world.at(".meshfs/commit"), "other").unwrap();
    world.machine.kill_daemon();
    world.mount();
    assert!(!branch.exists());
}
