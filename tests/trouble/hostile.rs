//! A store that somebody hostile wrote to: real tools walk the mount, and every command goes over what was forged. What
//! cannot be is an error of its own entry; nobody dies, nothing is written outside of where it should be, and memory
//! stays bounded.

use std::fs;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use meshfs::format::pack::FrameKind;
use meshfs::model::id::Codec;

use super::common::machine::Machine;
use super::common::scratch::Scratch;
use super::forge::{Dir, Forge, Named, Pack};
use super::raw::{self, RawEntry};
use super::support::ended;

/// Most memory that any process may take, the daemon included: builds for tests are not small, and a store of a few
/// hundred KiB must not cost more.
const MEMORY_BYTES_MAX: u64 = 768 << 20;

struct World {
    machine: Machine,
    store: Scratch,
    forge: Forge,
}

impl World {
    /// A mesh with one honest file on main.
    fn new() -> World {
        let store = Scratch::new();
        let folder = store.join("store");
        let machine = Machine::new(&folder.display().to_string());
        machine.meshfs(&["init"]);
        machine.meshfs(&["domain", "create", "sales"]);
        let honest = machine.home().join("honest");
        fs::write(&honest, "honest").unwrap();
        machine.meshfs(&["cp", honest.to_str().unwrap(), "sales/main/", "-m", "Honest"]);
        let domain = fs::read_dir(folder.join("domains")).unwrap().next().unwrap().unwrap().path();
        World { machine, store, forge: Forge(domain) }
    }

    /// Mounts, and has the working tree on the newest commit.
    fn mount(&self) -> PathBuf {
        let mesh = self.machine.mount(&["--poll", "0.1", "--timeout", "20"]);
        self.meshfs(&["refresh", "sales/main"]);
        mesh.join("sales/main")
    }

    /// Runs a program to its end, which has to come and not by a signal.
    fn run(&self, folder: &Path, program: &str, arguments: &[&str]) -> Output {
        let what = format!("{program} {}", arguments.join(" "));
        let out = self.store.join("out");
        let file = |name: &str| fs::File::create(self.store.join(name)).unwrap();
        let mut command = self.machine.command(program);
        command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(file("out")).stderr(file("err"));
        let status = ended(&what, &mut command.spawn().unwrap());
        let stderr = fs::read(self.store.join("err")).unwrap();
        let said = String::from_utf8_lossy(&stderr);
        assert!(status.code().is_some(), "{what}: {status}: {said}");
        assert!(!said.contains("panicked"), "{what}: {said}");
        Output { status, stdout: fs::read(out).unwrap(), stderr }
    }

    fn meshfs(&self, arguments: &[&str]) -> Output {
        self.run(self.store.path(), env!("CARGO_BIN_EXE_meshfs"), arguments)
    }

    /// The tools of every day over a folder of the mount.
    fn walk(&self, folder: &Path) {
        for line in ["find . -ls", "ls -lR .", "du -s .", "tar -cf /dev/null ."] {
            self.run(folder, "bash", &["-c", line]);
        }
        let copy = self.store.join("copy-by-cp");
        self.run(folder, "cp", &["-r", ".", copy.to_str().unwrap()]);
        fs::remove_dir_all(copy).ok();
    }

    /// Every command that looks at a commit, over the forged one.
    fn command_over(&self, address: &str) {
        let copy = self.store.join("copy");
        for arguments in [
            &["ls", "-l", address][..],
            &["du", address],
            &["log", "sales/main", "-n", "2"],
            &["show", "sales/@main"],
            &["diff", "sales/@main~1", "sales/@main"],
            &["diff", "sales/@main", "sales/@main~1"],
            &["fsck", "sales/@main"],
            &["cp", address, copy.to_str().unwrap()],
        ] {
            self.meshfs(arguments);
        }
        self.run(self.store.path(), "rm", &["-rf", copy.to_str().unwrap()]);
    }

    /// The daemon is the one that was started, serves, said nothing of a panic, and took no more memory than it may.
    fn is_well(&self, daemon: u32) {
        assert_eq!(self.machine.daemons(), [daemon]);
        fs::write(self.machine.mesh().join("sales/main/staged"), "staged").unwrap();
        assert_eq!(fs::read(self.machine.mesh().join("sales/@main~1/honest")).unwrap(), b"honest");
        let logs = fs::read_dir(self.machine.state_dir().join("meshfs/logs")).unwrap();
        for log in logs.map(|log| fs::read_to_string(log.unwrap().path()).unwrap()) {
            assert!(!log.contains("panicked") && !log.contains("overflowed"), "{log}");
        }
        let status = fs::read_to_string(format!("/proc/{daemon}/status")).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(peak << 10 < MEMORY_BYTES_MAX, "the daemon took {peak} KiB");
        assert!(children_peak() < MEMORY_BYTES_MAX, "a command took {} bytes", children_peak());
    }

    /// Walks what lies on main through a mount and by commands; gives what `look` made of the working tree.
    fn all_over<T>(&self, look: impl FnOnce(&Path) -> T) -> T {
        let tree = self.mount();
        let daemon = self.machine.daemons()[0];
        let seen = look(&tree);
        self.walk(&tree);
        self.walk(&self.machine.mesh().join("sales/@main/"));
        self.command_over("sales/@main");
        self.is_well(daemon);
        seen
    }
}

/// The most memory that a child of this process, or one of its own, ever had.
fn children_peak() -> u64 {
    // SAFETY: a structure of numbers, which the call fills in.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &mut usage);
        usage
    };
    (usage.ru_maxrss as u64) << 10
}

/// The errno of a failure; none of a success.
fn errno<T>(result: std::io::Result<T>) -> Option<i32> {
    result.err().map(|error| error.raw_os_error().expect("an error of the kernel's"))
}

fn fifo(name: &[u8]) -> Named {
    Named::of(&RawEntry::fifo(name), Vec::new(), [1, 0, 0])
}

fn small_file(pack: &mut Pack, name: &[u8], bytes: &[u8]) -> Named {
    let (id, place) = pack.chunk(bytes);
    let item = [&[0][..], &(bytes.len() as u32).to_le_bytes(), &id].concat();
    let list = raw::encoding(b"mfsP", 0, 1, &item);
    let places = [&[1][..], &item, &place].concat();
    Named::file(name, bytes.len() as u64, raw::derive(raw::FILE_CONTENT, &list), places)
}

#[test]
fn names_that_cannot_be_are_an_error_of_their_own_directory() {
    let world = World::new();
    let mut pack = Pack::new();
    let names: [&[u8]; 9] =
        [b"..", b".", b"", b"a/b", b"../../escaped", b"/etc/escaped", b"nul\0nul", b".meshfs", b"a/../../b"];
    let mut bad: Vec<Dir> = names.iter().map(|name| pack.leaf(&[fifo(name)])).collect();
    bad.push(pack.leaf(&[fifo(b"twice"), fifo(b"twice")]));
    bad.push(pack.leaf(&[fifo(b"z"), fifo(b"a")]));
    let mut entries: Vec<Named> =
        bad.iter().enumerate().map(|(number, dir)| dir.named(format!("bad-{number:02}").as_bytes())).collect();
    entries.push(small_file(&mut pack, b"good", b"good"));
    let top = pack.leaf(&entries);
    world.forge.land(pack, &top);
    world.all_over(|tree| {
        assert_eq!(fs::read(tree.join("good")).unwrap(), b"good");
        for number in 0..bad.len() {
            let dir = tree.join(format!("bad-{number:02}"));
            assert_eq!(errno(fs::read_dir(&dir).and_then(|mut items| items.next().transpose())), Some(libc::EIO));
            assert_eq!(errno(fs::symlink_metadata(dir.join("x"))), Some(libc::EIO), "{number}");
        }
    });
    for escaped in ["escaped", "b"] {
        assert!(!world.store.join(escaped).exists() && !world.machine.home().join(escaped).exists());
    }
    let fsck = world.meshfs(&["fsck", "sales/@main"]);
    assert_eq!(String::from_utf8_lossy(&fsck.stdout).lines().count(), bad.len(), "each is named");
}

#[test]
fn directories_that_lead_to_themselves_or_to_their_parents_are_damage() {
    let world = World::new();
    let mut pack = Pack::new();
    let elsewhere = pack.leaf(&[fifo(b"x")]);
    // The place of the node that is being written; its length does not hang on what the place says.
    let lying = |pack: &Pack, len: usize| {
        let place = pack.place(&pack.next_place(len));
        Dir { places: [&[0][..], &place].concat(), ..elsewhere.clone() }.named(b"around")
    };
    let canonical = |named: &Named| raw::leaf(std::slice::from_ref(&named.canonical));
    let guess = lying(&pack, 0);
    let len = pack.stored(&canonical(&guess), &guess.places).len();
    let named = lying(&pack, len);
    let around = pack.leaf(&[named]);
    // The same for a node in the middle of a long directory.
    let child = |id: [u8; 32]| [&[1, b'm'][..], &id, &raw::counts(1, 0, 0)].concat();
    let inner = raw::encoding(b"mfsN", 1, 1, &child(elsewhere.id));
    let len = pack.stored(&inner, &raw::place()).len();
    let place = pack.place(&pack.next_place(len));
    let inner = pack.node(&inner, &place, [1, 0, 0]);
    let top = pack.leaf(&[around.named(b"circle"), inner.named(b"inner")]);
    world.forge.land(pack, &top);
    world.all_over(|tree| {
        for dir in ["circle/around", "inner"] {
            assert_eq!(errno(fs::symlink_metadata(tree.join(dir).join("m"))), Some(libc::EIO), "{dir}");
        }
    });
}

/// A file of 2^62 bytes: pages of pages, each level the same page many times over.
fn laughing_file(pack: &mut Pack, name: &[u8]) -> Named {
    let (id, place) = pack.chunk(b"ha");
    let segment = 64u64 << 20;
    let chunk = [&[0][..], &2u32.to_le_bytes(), &id].concat();
    let hole = [&[1][..], &(segment - 2).to_le_bytes()].concat();
    let list = raw::encoding(b"mfsP", 0, 2, &[chunk, hole].concat());
    let (mut page, mut len) = (pack.page(&list, &place), segment);
    for (level, children) in [(1, 1024u64), (2, 1024), (3, 1024), (4, 64)] {
        let body = [&len.to_le_bytes()[..], &page.0].concat().repeat(children as usize);
        let places = page.1.repeat(children as usize);
        page = pack.page(&raw::encoding(b"mfsP", level, children as u32, &body), &places);
        len *= children;
    }
    Named::file(name, len, page.0, [&[255][..], &page.1].concat())
}

#[test]
fn sizes_that_lie_are_errors_and_cost_no_memory() {
    let world = World::new();
    let mut pack = Pack::new();
    // A chunk that is shorter than the list says.
    let (id, place) = pack.chunk(b"short");
    let item = [&[0][..], &1000u32.to_le_bytes(), &id].concat();
    let list_id = raw::derive(raw::FILE_CONTENT, &raw::encoding(b"mfsP", 0, 1, &item));
    let short = Named::file(b"chunk", 1000, list_id, [&[1][..], &item, &place].concat());
    // Frames that unpack to more than any frame may, with a length of their own and without one.
    let bomb = |pack: &mut Pack, name: &[u8], packed: &[u8]| {
        let raw_bytes = vec![0; 1000];
        let id = *blake3::hash(&raw_bytes).as_bytes();
        let at = pack.frame(FrameKind::Chunk, b'c', Codec::Zstd, packed, id);
        let item = [&[0][..], &1000u32.to_le_bytes(), &id].concat();
        let list_id = raw::derive(raw::FILE_CONTENT, &raw::encoding(b"mfsP", 0, 1, &item));
        Named::file(name, 1000, list_id, [&[1][..], &item, &pack.place(&at)].concat())
    };
    let zeros = vec![0; 256 << 20];
    let honest_bomb = zstd::bulk::compress(&zeros, 3).unwrap();
    let silent_bomb = zstd::stream::encode_all(&zeros[..], 3).unwrap();
    let bombs = [bomb(&mut pack, b"bomb-1", &honest_bomb), bomb(&mut pack, b"bomb-2", &silent_bomb)];
    let laughing = laughing_file(&mut pack, b"laughing");
    let sizes = pack.leaf(&[bombs[0].clone(), bombs[1].clone(), short, laughing]);
    // Counts that say what is not so, of a directory that is sound itself.
    let sound = pack.leaf(&[fifo(b"a")]);
    let lie = Dir { counts: [u64::MAX >> 1, 7, 1 << 40], ..sound };
    let lying = pack.leaf(&[lie.named(b"below")]);
    let tops = [("lying", &lying), ("sizes", &sizes)].map(|(name, dir)| dir.named(name.as_bytes()));
    let top = pack.leaf(&tops);
    world.forge.land(pack, &top);
    let tree = world.mount();
    let daemon = world.machine.daemons()[0];
    for name in ["chunk", "bomb-1", "bomb-2"] {
        assert_eq!(errno(fs::read(tree.join("sizes").join(name))), Some(libc::EIO), "{name}");
    }
    let laughing = fs::File::open(tree.join("sizes/laughing")).unwrap();
    assert_eq!(laughing.metadata().unwrap().len(), 1 << 62);
    let mut read = [9; 4];
    laughing.read_exact_at(&mut read, (1 << 61) + (64 << 20)).unwrap();
    assert_eq!(&read, b"ha\0\0");
    assert_eq!(errno(fs::symlink_metadata(tree.join("lying/below/a"))), Some(libc::EIO));
    // Copying it all would take for ever, as with any file full of holes: what looks only at the tree does not.
    for line in ["find . -ls", "ls -lR .", "du -s --apparent-size ."] {
        world.run(&tree, "bash", &["-c", line]);
    }
    for arguments in [&["ls", "-l", "sales/@main/sizes"][..], &["du", "sales/@main"], &["fsck", "sales/@main"]] {
        world.meshfs(arguments);
    }
    assert_eq!(world.meshfs(&["diff", "sales/@main~1", "sales/@main"]).status.code(), Some(1), "the lying counts");
    for name in ["chunk", "bomb-1"] {
        let read = world.meshfs(&["cat", &format!("sales/@main/sizes/{name}")]);
        assert_eq!((read.status.code(), read.stdout.len()), (Some(1), 0), "{name}");
    }
    world.is_well(daemon);
}

/// Not even the kernel knows files of 2^64 bytes.
#[test]
fn files_larger_than_files_can_be_are_errors() {
    let most = u64::MAX.to_le_bytes();
    let external = RawEntry::new(b"huge", 2, [&most[..], &[8, 0], b"s3://b/k", &[0, 0]].concat());
    let unknown = RawEntry::new(b"huge", 99, most.to_vec());
    for (entry, places) in [(external, Vec::new()), (unknown, vec![0; 4])] {
        let world = World::new();
        let mut pack = Pack::new();
        let top = pack.leaf(&[Named::of(&entry, places, [1, 1, u64::MAX])]);
        world.forge.land(pack, &top);
        let tree = world.mount();
        let daemon = world.machine.daemons()[0];
        world.run(&tree, "bash", &["-c", "find . -ls; ls -lR .; cat huge; head -c 9 huge; cp huge /dev/null"]);
        for arguments in
            [&["ls", "-l", "sales/@main"][..], &["du", "sales/@main"], &["diff", "sales/@main~1", "sales/@main"]]
        {
            world.meshfs(arguments);
        }
        assert_ne!(world.meshfs(&["cat", "sales/@main/huge"]).status.code(), Some(0));
        world.is_well(daemon);
    }
}

#[test]
fn directories_nested_without_end_are_followed_to_a_bound() {
    const LEVELS: usize = 10_000;
    let world = World::new();
    let mut pack = Pack::new();
    let mut dir = pack.leaf(&[fifo(b"bottom")]);
    for _ in 0..LEVELS {
        dir = pack.leaf(&[dir.named(b"d")]);
    }
    world.forge.land(pack, &dir);
    let tree = world.mount();
    let daemon = world.machine.daemons()[0];
    // As deep as one path leads, and then as deep as anybody goes.
    assert!(fs::symlink_metadata(tree.join(["d"; 1500].join("/"))).unwrap().is_dir());
    let found = world.run(&tree, "bash", &["-c", "find . | wc -l"]);
    assert_eq!(
        String::from_utf8_lossy(&found.stdout).trim(),
        "2051",
        "to the bound, and the names of what lies beyond it"
    );
    world.command_over("sales/@main");
    world.is_well(daemon);
    let fsck = world.meshfs(&["fsck", "sales/@main"]);
    assert!(String::from_utf8_lossy(&fsck.stdout).contains("2,048 levels"));
    // A commit beside it, and a merge with it, pass it by.
    fs::write(world.machine.mesh().join("sales/main/beside"), "beside").unwrap();
    world.machine.meshfs(&["commit", "sales/main", "-m", "Beside"]);
    assert_eq!(world.machine.meshfs(&["cat", "sales/@main/beside"]), "beside");
}

#[test]
fn what_is_nested_too_deep_here_is_refused_by_a_commit_until_it_is_moved_up() {
    let world = World::new();
    let tree = world.mount();
    let daemon = world.machine.daemons()[0];
    let make = "import os\nfor _ in range(2100): os.mkdir('d'); os.chdir('d')\nopen('f', 'w').write('deep')";
    assert!(world.run(&tree, "python3", &["-c", make]).status.success());
    for arguments in [&["status", "sales/main"][..], &["commit", "sales/main", "-m", "Too deep"]] {
        let refused = world.meshfs(arguments);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1));
        assert!(said.contains("d/d/d/d/...") && said.contains("2,048 levels"), "{said}");
    }
    fs::rename(tree.join(["d"; 150].join("/")), tree.join("up")).unwrap();
    world.machine.meshfs(&["commit", "sales/main", "-m", "Deep"]);
    assert_eq!(world.machine.meshfs(&["status", "sales/main"]), "");
    let copy = world.store.join("copy");
    for arguments in [
        &["fsck", "sales/@main", "--read-data"][..],
        &["diff", "sales/@main~1", "sales/@main"],
        &["cp", "sales/@main", copy.to_str().unwrap()],
    ] {
        assert!(world.meshfs(arguments).status.success(), "{arguments:?}");
    }
    world.run(world.store.path(), "rm", &["-rf", "copy"]);
    world.is_well(daemon);
}

/// Directories that hold the same directory twice, and so on down: a few KiB that unpack to 2^40 files.
#[test]
fn a_tree_that_unpacks_to_more_than_anybody_can_list_costs_only_what_is_looked_at() {
    let world = World::new();
    let mut pack = Pack::new();
    let mut dir = pack.leaf(&[fifo(b"x")]);
    for _ in 0..40 {
        dir = pack.leaf(&[dir.named(b"a"), dir.named(b"b")]);
    }
    world.forge.land(pack, &dir);
    let tree = world.mount();
    let daemon = world.machine.daemons()[0];
    assert_eq!(fs::read_dir(tree.join(["a"; 39].join("/"))).unwrap().count(), 2);
    assert!(world.run(&tree, "bash", &["-c", "find . | head -n 3000 | wc -l"]).status.success());
    let du = world.meshfs(&["du", "sales/@main"]);
    assert!(du.status.success() && String::from_utf8_lossy(&du.stderr).contains("entries"));
    let fsck = world.meshfs(&["fsck", "sales/@main"]);
    assert!(fsck.status.success() && String::from_utf8_lossy(&fsck.stderr).contains("41 nodes"), "each node once");
    world.is_well(daemon);
}

#[test]
fn log_entries_and_records_of_any_bytes_are_refused_by_name() {
    let garbage: [&[u8]; 4] = [b"", b"{}", b"{\"format\":99}", &[0xff; 70_000]];
    for bytes in garbage {
        let world = World::new();
        let tree = world.mount();
        let daemon = world.machine.daemons()[0];
        assert_eq!(fs::read(tree.join("honest")).unwrap(), b"honest");
        world.forge.put_next_entry(bytes);
        for arguments in [&["log", "sales/main"][..], &["ls", "sales/@main"], &["commit", "sales/main", "-m", "x"]] {
            world.meshfs(arguments);
        }
        fs::write(tree.join("staged"), "staged").unwrap();
        assert_eq!(fs::read(tree.join("honest")).unwrap(), b"honest");
        let committed = world.meshfs(&["commit", "sales/main", "-m", "x"]);
        assert!(matches!(committed.status.code(), Some(1 | 4)), "{committed:?}");
        assert_eq!(world.machine.daemons(), [daemon]);
        world.machine.unmount();
    }
}

/// One version has a symlink where the next has a directory or a file: copied over each other, the second must not be
/// written through the first.
#[test]
fn copies_out_of_a_mesh_never_leave_their_destination() {
    let world = World::new();
    let outside = world.store.folder("outside");
    fs::write(outside.join("file"), "untouched").unwrap();
    let machine = &world.machine;
    let tree = world.mount();
    fs::create_dir(tree.join("data")).unwrap();
    symlink(&outside, tree.join("data/dir")).unwrap();
    symlink(outside.join("file"), tree.join("data/file")).unwrap();
    machine.meshfs(&["commit", "sales/main", "-m", "Links"]);
    fs::remove_file(tree.join("data/dir")).unwrap();
    fs::remove_file(tree.join("data/file")).unwrap();
    fs::create_dir(tree.join("data/dir")).unwrap();
    fs::write(tree.join("data/dir/planted"), "planted").unwrap();
    fs::write(tree.join("data/file"), "planted").unwrap();
    machine.meshfs(&["commit", "sales/main", "-m", "What the links hid"]);
    let copy = world.store.join("copy");
    let copy_text = copy.to_str().unwrap();
    machine.meshfs(&["cp", "sales/@main~1/data", copy_text]);
    for source in ["sales/@main/data/.", "sales/@main/data"] {
        world.meshfs(&["cp", source, copy_text]);
        let into = copy.join("data");
        fs::create_dir_all(&into).unwrap();
    }
    // Directly over the links, as a second copy under the same name does.
    let again = world.store.folder("again");
    machine.meshfs(&["cp", "sales/@main~1/data", again.to_str().unwrap()]);
    let second = world.meshfs(&["cp", "sales/@main/data", again.to_str().unwrap()]);
    assert_eq!(second.status.code(), Some(1), "a directory does not replace a link");
    assert_eq!(fs::read(outside.join("file")).unwrap(), b"untouched");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    // A path of the mesh does not lead out of it either.
    for address in ["sales/@main/../../etc", "sales/@main/data/../../../etc", "sales/@main/..", "sales/main/../etc"] {
        assert_eq!(world.meshfs(&["cp", address, copy_text]).status.code(), Some(2), "{address}");
    }
}

/// A program that would run as root wherever root copies it.
#[test]
fn copies_out_of_a_mesh_are_as_cp_makes_them_no_setuid() {
    let world = World::new();
    let mut pack = Pack::new();
    let (id, place) = pack.chunk(b"#!/bin/sh\n");
    let item = [&[0][..], &10u32.to_le_bytes(), &id].concat();
    let list_id = raw::derive(raw::FILE_CONTENT, &raw::encoding(b"mfsP", 0, 1, &item));
    let mut entry = RawEntry::new(b"program", 1, [&10u64.to_le_bytes()[..], &list_id].concat());
    entry.mode = 0o6755;
    let named = Named::of(&entry, [&[1][..], &item, &place].concat(), [1, 1, 10]);
    let top = pack.leaf(&[named]);
    world.forge.land(pack, &top);
    let copy = world.store.join("copy");
    world.machine.meshfs(&["cp", "sales/@main", copy.to_str().unwrap()]);
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(copy.join("program")).unwrap());
    assert_eq!(mode & 0o7777, 0o755);
}
