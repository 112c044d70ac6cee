//! Processes that work together: locks, shared memory, notifications, many in one folder.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::FromRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::journey::Journey;

/// Proves F15.
#[test]
fn locks_exclude_and_go_with_their_process() {
    let journey = Journey::new();
    journey.here().python("together.py", &["flock"]);
    journey.here().python("together.py", &["fcntl_ranges"]);
    journey.here().python("together.py", &["counted"]);
    // The same on files that are committed and were never open here.
    journey.commit();
    journey.remount_cold();
    journey.here().python("together.py", &["flock"]);
    journey.here().python("together.py", &["fcntl_ranges"]);
    journey.here().shell("exec 9> lock; flock 9; ! flock -n lock true; flock -u 9; flock -n lock true");
}

/// Proves F2.
#[test]
fn memory_that_two_processes_map_is_one() {
    let journey = Journey::new();
    journey.here().python("together.py", &["shared_memory"]);
    journey.travel(|tree| drop(tree.python("together.py", &["check_shared_memory"])));
    // Over a committed file, whose pages come from the store.
    journey.travel_back(
        |tree| drop(tree.python("together.py", &["shared_memory"])),
        |tree| drop(tree.python("together.py", &["check_shared_memory"])),
    );
}

#[test]
fn sixty_four_processes_in_one_folder() {
    let journey = Journey::new();
    journey.here().python("together.py", &["crowd"]);
    journey.travel(|tree| drop(tree.python("together.py", &["check_crowd"])));
}

/// A watch on one folder.
struct Watch(File);

impl Watch {
    fn on(folder: &Path) -> Watch {
        // SAFETY: no arguments but flags.
        let fd = unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) };
        assert!(fd >= 0);
        // SAFETY: just made, and nobody else's.
        let file = unsafe { File::from_raw_fd(fd) };
        let path = CString::new(folder.as_os_str().as_bytes()).expect("a path");
        // SAFETY: `path` is a C string that outlives the call.
        let watch = unsafe { libc::inotify_add_watch(fd, path.as_ptr(), libc::IN_ALL_EVENTS) };
        assert!(watch >= 0);
        Watch(file)
    }

    /// What happened since the last call, as pairs of kind and name.
    fn happened(&mut self) -> BTreeSet<(u32, String)> {
        const HEADER: usize = std::mem::size_of::<libc::inotify_event>();
        let mut bytes = vec![0; 1 << 16];
        let mut happened = BTreeSet::new();
        while let Ok(len) = self.0.read(&mut bytes) {
            let mut at = 0;
            while at < len {
                // SAFETY: the kernel writes whole events, each a header and then `len` bytes of name.
                let event = unsafe { bytes[at..].as_ptr().cast::<libc::inotify_event>().read_unaligned() };
                let name = &bytes[at + HEADER..at + HEADER + event.len as usize];
                let name = String::from_utf8_lossy(name).trim_end_matches('\0').to_owned();
                happened.insert((event.mask & libc::IN_ALL_EVENTS, name));
                at += HEADER + event.len as usize;
            }
        }
        happened
    }
}

/// Proves F17.
#[test]
fn changes_made_here_are_notified() {
    let journey = Journey::new();
    journey.here().shell("mkdir watched; echo old > watched/committed");
    journey.commit();
    journey.remount_cold();
    let mut watch = Watch::on(&journey.here().path().join("watched"));
    let mut expect = |script: &str, events: &[(u32, &str)]| {
        journey.here().shell(&format!("cd watched; {script}"));
        let happened = watch.happened();
        for (kind, name) in events {
            assert!(
                happened.contains(&(*kind, (*name).to_owned())),
                "{script}: {kind:#x} {name} is not in {happened:x?}"
            );
        }
    };
    expect("echo new > file", &[(libc::IN_CREATE, "file"), (libc::IN_MODIFY, "file"), (libc::IN_CLOSE_WRITE, "file")]);
    expect("echo more >> committed", &[(libc::IN_MODIFY, "committed"), (libc::IN_CLOSE_WRITE, "committed")]);
    expect(
        "cat committed",
        &[(libc::IN_OPEN, "committed"), (libc::IN_ACCESS, "committed"), (libc::IN_CLOSE_NOWRITE, "committed")],
    );
    expect("mv file moved", &[(libc::IN_MOVED_FROM, "file"), (libc::IN_MOVED_TO, "moved")]);
    expect("chmod 600 moved", &[(libc::IN_ATTRIB, "moved")]);
    expect("ln moved linked", &[(libc::IN_CREATE, "linked")]);
    expect("rm moved", &[(libc::IN_DELETE, "moved")]);
    expect("mkdir dir; rmdir dir", &[(libc::IN_CREATE, "dir"), (libc::IN_DELETE, "dir")]);
    // A commit changes nothing that anybody sees.
    journey.commit();
    assert_eq!(watch.happened(), BTreeSet::new());
}
