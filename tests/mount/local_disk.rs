//! This machine's disk: full, with the cache on it; and a cache that others delete from or write into.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::machine::Machine;
use crate::common::reference::base::noise;
use crate::common::s3::Server;
use crate::trouble::SmallDisk;

const MIB: usize = 1 << 20;

/// A machine on a server of ours, whose state and cache lie on a small disk.
struct Desk {
    server: Server,
    disk: Option<SmallDisk>,
    machine: Machine,
}

impl Desk {
    fn new(disk_size: &str) -> Desk {
        let server = Server::start();
        let machine = Machine::with_environment(&server.url("mesh"), server.environment());
        let disk = Some(SmallDisk::on(&machine.home(), disk_size));
        machine.meshfs(&["init"]);
        machine.meshfs(&["domain", "create", "sales"]);
        machine.mount(&[]);
        Desk { server, disk, machine }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.machine.mesh().join("sales/main").join(path)
    }

    fn command(&self, name: &str, text: &str) -> std::io::Result<()> {
        fs::write(self.at(".meshfs").join(name), text)
    }

    /// Everything that is kept in memory, here and in the kernel, is forgotten.
    fn mount_again(&self) {
        self.machine.unmount();
        self.machine.mount(&[]);
    }

    fn cached_blocks(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.machine.cache_dir()];
        while let Some(folder) = folders.pop() {
            for item in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = item.path();
                if path.is_dir() { folders.push(path) } else { found.push(path) }
            }
        }
        found.retain(|path| path.components().any(|part| part.as_os_str() == "packs"));
        found.sort();
        found
    }

    fn cached_bytes(&self) -> u64 {
        self.cached_blocks().iter().filter_map(|path| fs::metadata(path).ok()).map(|about| about.len()).sum()
    }

    /// Why the last call here failed.
    fn told(&self) -> String {
        fs::read_to_string(self.at(".meshfs/last-error")).unwrap_or_default()
    }

    fn log(&self) -> String {
        let logs = fs::read_dir(self.machine.state_dir().join("meshfs/logs")).unwrap();
        logs.map(|item| fs::read_to_string(item.unwrap().path()).unwrap()).collect()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // Before the disk below it goes.
        let _ = self.machine.try_meshfs(&["umount", self.machine.mesh().to_str().expect("a plain name")]);
        drop(self.disk.take());
    }
}

/// Writes until the disk is full; gives each file with the bytes that the writes said to have written.
fn fill(desk: &Desk, seed: u64) -> Vec<(String, Vec<u8>)> {
    let mut written = Vec::new();
    for number in 0..200 {
        let name = format!("fill-{seed}-{number}");
        let bytes = noise(MIB, seed + number);
        let Ok(mut file) = File::create(desk.at(&name)) else { return written };
        let mut done = 0;
        let outcome = loop {
            match file.write(&bytes[done..(done + 200_000).min(MIB)]) {
                Ok(more) => done += more,
                Err(error) => break Err(error),
            }
            if done == MIB {
                break Ok(());
            }
        };
        written.push((name, bytes[..done].to_vec()));
        if let Err(error) = outcome {
            assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
            return written;
        }
    }
    panic!("the disk is never full");
}

fn check(desk: &Desk, written: &[(String, Vec<u8>)]) {
    for (name, bytes) in written {
        let read = fs::read(desk.at(name)).unwrap_or_else(|error| panic!("{name}: {error}\n{}", desk.told()));
        assert!(read == *bytes, "{name} is not what its writer was told");
    }
}

#[test]
fn on_a_full_disk_the_cache_goes_first_and_no_file_is_torn() {
    let desk = Desk::new("64m");
    let committed = noise(20 * MIB, 3);
    fs::write(desk.at("committed"), &committed).unwrap();
    desk.command("commit", "data").unwrap();
    desk.mount_again();
    assert!(fs::read(desk.at("committed")).unwrap() == committed);
    assert!(desk.cached_bytes() > 15 << 20, "reading keeps copies: {}", desk.cached_bytes());

    let written = fill(&desk, 100);
    let bytes: usize = written.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(bytes > 40 * MIB, "{bytes} were staged; {} are copies", desk.cached_bytes());
    assert!(desk.cached_bytes() < 2 << 20, "{}", desk.cached_bytes());
    check(&desk, &written);
    assert!(fs::read(desk.at("committed")).unwrap() == committed, "what cannot be kept is read all the same");

    // Deleting makes room, for others to write and to commit.
    let (gone, kept) = written.split_at(8);
    for (name, _) in gone {
        fs::remove_file(desk.at(name)).unwrap();
    }
    fs::write(desk.at("after"), noise(MIB, 5)).unwrap();
    desk.command("commit", "what is left").unwrap();
    assert_eq!(fs::read_to_string(desk.at(".meshfs/status")).unwrap(), "");
    desk.mount_again();
    check(&desk, kept);
    assert!(fs::read(desk.at("committed")).unwrap() == committed);

    // The commit made room; dropping what is staged does, too.
    let written = fill(&desk, 400);
    assert!(written.len() > 40, "{}", written.len());
    desk.command("discard", ".").unwrap();
    assert_eq!(fs::read_to_string(desk.at(".meshfs/status")).unwrap(), "");
    let written = fill(&desk, 700);
    assert!(written.len() > 40, "{}", written.len());
}

#[test]
fn what_is_staged_on_a_full_disk_can_be_committed() {
    let desk = Desk::new("32m");
    let written = fill(&desk, 100);
    let committed = desk.command("commit", "all there was room for");
    committed.unwrap_or_else(|error| panic!("{error}\n{}", desk.told()));
    assert_eq!(fs::read_to_string(desk.at(".meshfs/status")).unwrap(), "");
    desk.mount_again();
    check(&desk, &written);
}

/// Does something to every block that is kept, while mounted with nothing in memory; all is read right, and again.
fn with_cache_changed(how: &str, is_logged: bool, change: impl Fn(&Path)) {
    // Of its own, so that no other disk's filling up makes the cache give way.
    let desk = Desk::new("400m");
    let files: Vec<(String, Vec<u8>)> =
        (0..30).map(|number| (format!("file-{number}"), noise(1 + 100_000 * number as usize, number))).collect();
    for (name, bytes) in &files {
        fs::write(desk.at(name), bytes).unwrap();
    }
    desk.command("commit", "data").unwrap();
    desk.mount_again();
    check(&desk, &files);
    desk.mount_again();
    let blocks = desk.cached_blocks();
    assert!(blocks.len() > 60, "{} blocks are kept", blocks.len());
    for block in &blocks {
        change(block);
    }
    let before = desk.server.counts().received_bytes;
    check(&desk, &files);
    assert!(desk.server.counts().received_bytes - before > 20 << 20, "{how}: it was fetched again");
    // What was there and is gone unseen is nothing to tell of.
    assert!(!is_logged || desk.log().contains("fetching it again"), "{how}: the log tells\n{}", desk.log());
    desk.mount_again();
    check(&desk, &files);
}

#[test]
fn bytes_changed_in_the_cache_are_never_shown() {
    with_cache_changed("flipped", true, |block| {
        let file = OpenOptions::new().read(true).write(true).open(block).unwrap();
        let mut bytes = Vec::new();
        (&file).read_to_end(&mut bytes).unwrap();
        for at in (0..bytes.len()).step_by(5000) {
            file.write_all_at(&[!bytes[at]], at as u64).unwrap();
        }
    });
}

#[test]
fn a_cache_cut_short_emptied_or_deleted_is_fetched_again() {
    with_cache_changed("cut", true, |block| {
        let len = fs::metadata(block).unwrap().len();
        OpenOptions::new().write(true).open(block).unwrap().set_len(len / 2).unwrap();
    });
    with_cache_changed("deleted", false, |block| {
        let packs = block.ancestors().find(|path| path.ends_with("packs")).unwrap();
        let _ = fs::remove_dir_all(packs);
    });
}

#[test]
fn what_is_no_file_in_the_cache_is_passed_by() {
    with_cache_changed("folders", false, |block| {
        fs::remove_file(block).unwrap();
        fs::create_dir(block).unwrap();
    });
    // Neither waits for a writer that never comes, nor reads for ever.
    with_cache_changed("pipes and links", true, |block| {
        fs::remove_file(block).unwrap();
        if block.as_os_str().len() % 2 == 0 {
            assert!(Command::new("mkfifo").arg(block).status().unwrap().success());
        } else {
            symlink("/dev/zero", block).unwrap();
        }
    });
}
