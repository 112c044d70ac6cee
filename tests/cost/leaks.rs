//! What the daemon holds for the kernel it gives back: counts are where they were, memory nearly so, and mounts that
//! ended leave nothing behind.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use meshfs::daemon::control::client::Client;
use meshfs::daemon::control::protocol::{Reply, Request};
use meshfs::daemon::instance::Info;
use meshfs::sys::clock::{Clock, SystemClock};
use meshfs::telemetry::usage::Usage;
use parking_lot::Mutex;

use super::common::machine::Machine;
use super::common::scratch::Scratch;
use super::lake::{Lake, Made, small_files};

/// How many files are walked, unless this says otherwise; the full run has a million.
const FILES_VARIABLE: &str = "MESHFS_LEAK_FILES";
const FILES: usize = 20_000;

const FILES_PER_DIRECTORY: usize = 100;

/// Of the files, so many are opened.
const OPENS_MAX: usize = 100_000;

const MORE_MIB_MAX: u64 = 50;

/// How long a test waits for the kernel's forgets to be taken in.
const PATIENCE: Duration = Duration::from_secs(120);

const MOUNTS: usize = 24;

/// Held by a test that has the kernel forget: that is forgotten for all.
static FORGETTING: Mutex<()> = Mutex::new(());

fn usage(machine: &Machine) -> (Usage, u64) {
    let info: Info = serde_json::from_slice(&fs::read(find(&machine.state_dir(), "daemon.json")).unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match runtime.block_on(Client::new(info).perform(Request::Usage)).unwrap() {
        Reply::Usage { held, resident_bytes } => (held, resident_bytes >> 20),
        other => panic!("{other:?}"),
    }
}

fn find(folder: &Path, name: &str) -> PathBuf {
    everything_in(folder).into_iter().find(|path| path.ends_with(name)).expect("it is there")
}

fn everything_in(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for item in fs::read_dir(at).into_iter().flatten().flatten() {
            if item.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(item.path());
            }
            found.insert(item.path());
        }
    }
    found
}

/// Has the kernel forget what nobody uses, and waits until the daemon holds what it held then.
fn forgotten(machine: &Machine, before: Usage) {
    eventually(|| {
        // Again each time: what was in use by somebody who looks at every mount is not by now.
        fs::write("/proc/sys/vm/drop_caches", "2").expect("run as root");
        let (held, _) = usage(machine);
        match held.nodes <= before.nodes && held.handles <= before.handles {
            true => {
                assert_eq!(held, before, "counts that went apart");
                Ok(())
            }
            false => Err(format!("{held:?} is still held, and {before:?} was")),
        }
    });
}

fn eventually(mut look: impl FnMut() -> Result<(), String>) {
    let clock = SystemClock::new();
    let until = clock.elapsed() + PATIENCE;
    while let Err(why) = look() {
        assert!(clock.elapsed() < until, "{why}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until the daemon has about the memory that it had.
fn given_back(machine: &Machine, before_mib: u64) {
    eventually(|| match usage(machine).1 {
        mib if mib < before_mib + MORE_MIB_MAX => Ok(()),
        mib => Err(format!("{mib} MiB in the end, {before_mib} at first")),
    });
}

#[test]
fn what_the_kernel_forgets_the_daemon_gives_back() {
    let _alone = FORGETTING.lock();
    let files = std::env::var(FILES_VARIABLE).map_or(FILES, |files| files.parse().expect("a number of files"));
    let directory = |at: usize| (format!("d{at:05}"), Made::Dir(small_files(FILES_PER_DIRECTORY)));
    let lake = Lake::new().with((0..files / FILES_PER_DIRECTORY).map(directory).collect());
    let machine = lake.mounted();
    let tree = machine.mesh().join("sales/main");
    assert_eq!(fs::read_dir(&tree).unwrap().count(), files / FILES_PER_DIRECTORY);
    fs::read(tree.join("d00000/file-000000.txt")).unwrap();
    fs::write("/proc/sys/vm/drop_caches", "2").expect("run as root");
    std::thread::sleep(Duration::from_millis(200));
    let (before, before_mib) = usage(&machine);

    // Listings with attributes, one lookup each.
    let found = machine.run(&tree, "find", &[".", "-type", "f", "-size", "+0"]);
    assert_eq!(found.lines().count(), files);
    let (walked, _) = usage(&machine);
    // Of a million, a kernel that is short of memory forgets the first before the last are found.
    assert!(walked.nodes as usize > FILES_PER_DIRECTORY && walked.references >= walked.nodes, "{walked:?}");
    assert!(walked.inodes as usize > FILES_PER_DIRECTORY, "{walked:?}");
    forgotten(&machine, before);
    given_back(&machine, before_mib);

    // Lookups by name, and opens: forgets come one by one and in batches.
    let mut text = String::new();
    for path in found.lines().step_by(files.div_ceil(OPENS_MAX)) {
        text.clear();
        fs::File::open(tree.join(path)).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "content", "{path}");
    }
    forgotten(&machine, before);
    given_back(&machine, before_mib);
}

/// Files that the daemon has open; its connections come and go.
fn files_open(machine: &Machine) -> Vec<PathBuf> {
    let descriptors = fs::read_dir(format!("/proc/{}/fd", machine.daemons()[0])).unwrap().flatten();
    let mut open: Vec<_> = descriptors.filter_map(|descriptor| fs::read_link(descriptor.path()).ok()).collect();
    open.retain(|path| path.is_absolute());
    open.sort();
    open
}

/// Every way to get a reference or a handle, and to lose what it is to.
const EVERY_WAY: &str = "set -e
    mkdir -p dir/deep; seq 300 | split -l 1 - dir/part-; cat dir/part-* > all; ls -lR . > /dev/null; stat dir/* > /dev/null
    ln all dir/linked; mv dir/part-aa moved; mv moved dir/part-ab; ln -s all link; cat link > /dev/null; mkfifo fifo
    for open in 1 2 3; do exec {kept}< all; exec {staged}>> all; rm -f all; echo more >&$staged; cp dir/linked all
        echo \"version $open\" > .meshfs/commit; cat <&$kept > /dev/null; exec {kept}<&- {staged}>&-; done
    rm -r dir/deep; mv dir renamed; cat .meshfs/status .meshfs/last-error > /dev/null; echo . > .meshfs/discard
    ls -lR ../@main/ > /dev/null; cat ../@main/all > /dev/null; ! cat nothing 2> /dev/null
    rm -r dir fifo link; echo version > .meshfs/commit; ls -l . ../@main~1/ > /dev/null; rm all; echo version > .meshfs/commit";

#[test]
fn every_reference_and_handle_comes_back() {
    let _alone = FORGETTING.lock();
    let store = Scratch::new();
    let machine = Machine::new(store.join("store").to_str().expect("a plain path"));
    machine.meshfs(&["init"]);
    machine.meshfs(&["domain", "create", "sales"]);
    let tree = machine.mount(&[]).join("sales/main");
    machine.run(&tree, "bash", &["-c", EVERY_WAY]);
    let nothing = Usage { inodes: 1, ..Usage::default() };
    forgotten(&machine, nothing);
    let open = files_open(&machine);
    for _ in 0..3 {
        machine.run(&tree, "bash", &["-c", EVERY_WAY]);
        assert!(usage(&machine).0.nodes > 0);
        forgotten(&machine, nothing);
        assert_eq!(files_open(&machine), open);
    }
}

/// Lines of a table of the kernel's that name something in `folder`.
fn lines_naming(table: &str, folder: &Path) -> Vec<String> {
    let folder = folder.to_str().expect("a plain path");
    let lines = fs::read_to_string(table).unwrap();
    lines.lines().filter(|line| line.contains(folder)).map(str::to_owned).collect()
}

/// Processes that run with, or have open, something in `folder`.
fn processes_using(folder: &Path) -> Vec<PathBuf> {
    let uses = |process: &PathBuf| {
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        let open = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        let mut paths = open.filter_map(|descriptor| fs::read_link(descriptor.path()).ok());
        String::from_utf8_lossy(&line).contains(folder.to_str().expect("a plain path"))
            || paths.any(|path| path.starts_with(folder))
    };
    let all = fs::read_dir("/proc").unwrap().flatten().map(|item| item.path());
    all.filter(|path| path.join("fd").is_dir()).filter(uses).collect()
}

#[test]
fn mounts_that_ended_leave_nothing() {
    let store = Scratch::new();
    let machine = Machine::new(store.join("store").to_str().expect("a plain path"));
    machine.meshfs(&["init"]);
    machine.meshfs(&["domain", "create", "sales"]);
    let folder = machine.mesh().parent().expect("a scratch folder").to_owned();
    let use_mount = |text: &str| {
        let tree = machine.mount(&[]).join("sales/main");
        fs::write(tree.join("file"), text).unwrap();
        fs::write(tree.join("gone"), text).unwrap();
        let held = fs::File::open(tree.join("gone")).unwrap();
        fs::remove_file(tree.join("gone")).unwrap();
        drop(held);
        machine.meshfs(&["commit", "sales/main", "-m", text]);
        fs::write(tree.join("file"), "before").unwrap();
        fs::write(tree.join(".meshfs/discard"), ".").unwrap();
    };
    use_mount("before");
    machine.unmount();
    let before = everything_in(&folder);
    for round in 0..MOUNTS {
        use_mount(&round.to_string());
        match round % 3 {
            0 => machine.unmount(),
            1 => drop(machine.run(&folder, "umount", &[machine.mesh().to_str().expect("a plain path")])),
            _ => {
                machine.run(&folder, "kill", &["-TERM", &machine.daemons()[0].to_string()]);
                eventually(|| if machine.is_mounted() { Err("it is mounted".to_owned()) } else { Ok(()) });
            }
        }
        eventually(|| match machine.daemons() {
            none if none.is_empty() => Ok(()),
            daemons => Err(format!("{daemons:?} go on")),
        });
    }
    assert_eq!(processes_using(&folder), Vec::<PathBuf>::new());
    assert_eq!(lines_naming("/proc/self/mountinfo", &folder), Vec::<String>::new());
    assert_eq!(lines_naming("/proc/net/unix", &folder), Vec::<String>::new());
    // Only copies of what was stored meanwhile may be new.
    let left: Vec<_> = everything_in(&folder)
        .difference(&before)
        .filter(|path| !path.starts_with(machine.cache_dir()))
        .cloned()
        .collect();
    assert_eq!(left, Vec::<PathBuf>::new());
}
