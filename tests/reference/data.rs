//! Data of files: what is fetched, what is copied, what survives.

use std::os::unix::fs::MetadataExt;

use meshfs::workspace::attr::{SeekFor, SetAttr};
use meshfs::workspace::error::WorkspaceError;

use super::commit::commit;
use super::machine::{Machine, World};
use crate::common::reference::base::noise;

const LARGE_BYTES: usize = 8 << 20;

/// A machine that committed a large file, the file's bytes, and a machine that has seen nothing of it.
fn with_large_file() -> (Machine, Vec<u8>, Machine) {
    let world = World::new();
    let machine = world.first_machine();
    let bytes = noise(LARGE_BYTES, 5);
    machine.put("large", &bytes).unwrap();
    commit(&machine);
    let cold = world.machine(2);
    (machine, bytes, cold)
}

fn received(machine: &Machine) -> u64 {
    machine.reach.counters.read().received_bytes
}

/// Proves F8.
#[test]
fn a_small_write_into_a_large_file_fetches_only_what_it_touches() {
    let (_, mut bytes, cold) = with_large_file();
    cold.attr("large").unwrap();
    let before = received(&cold);
    cold.write("large", 5_000_000, b"changed").unwrap();
    assert_eq!(received(&cold), before, "a write needs none of the bytes around it");
    let file = cold.open_file("large", false);
    assert_eq!(cold.read_open(&file, 5_000_000, 7), b"changed");
    assert_eq!(received(&cold), before, "what was written here is read here");
    bytes[5_000_000..5_000_007].copy_from_slice(b"changed");
    assert!(cold.read_open(&file, 4_999_000, 3000) == bytes[4_999_000..5_002_000]);
    drop(file);
    assert!(cold.read("large").unwrap() == bytes);
}

/// Proves F8.
#[test]
fn a_copy_inside_the_domain_copies_no_data() {
    let (_, bytes, cold) = with_large_file();
    cold.put("copy", b"").unwrap();
    let before = received(&cold);
    let (from, to) = (cold.open_file("large", false), cold.open_file("copy", true));
    assert_eq!(cold.run(|_| to.copy_from(&from, 0, 0, u64::MAX >> 2)).unwrap(), LARGE_BYTES as u64);
    assert_eq!(received(&cold), before);
    drop((from, to));
    let staged = std::fs::read_dir(cold.workspace_dir().join("files")).unwrap().next().unwrap().unwrap();
    assert_eq!(staged.metadata().unwrap().blocks(), 0, "the staged copy is all hole");
    assert!(cold.read("copy").unwrap() == bytes);
    commit(&cold);
    assert!(cold.read("copy").unwrap() == bytes);
}

#[test]
fn a_file_cut_off_and_grown_again_has_zeros_where_the_base_had_bytes() {
    let (machine, bytes, _) = with_large_file();
    let resize = |size| {
        let change = SetAttr { size: Some(size), ..SetAttr::default() };
        machine.on("large", |workspace, ino| workspace.set_attr(ino, change)).unwrap();
    };
    resize(1000);
    resize(3000);
    let mut expected = bytes[..1000].to_vec();
    expected.resize(3000, 0);
    assert!(machine.read("large").unwrap() == expected);
    commit(&machine);
    assert!(machine.read("large").unwrap() == expected);
}

#[test]
fn a_truncation_that_a_crash_cut_short_shows_nothing_of_the_base_beyond() {
    let (mut machine, bytes, _) = with_large_file();
    machine.write("large", 10, b"x").unwrap();
    // The file is cut off first, the row follows; the process dies in between.
    let staged = std::fs::read_dir(machine.workspace_dir().join("files")).unwrap().next().unwrap().unwrap();
    std::fs::OpenOptions::new().write(true).open(staged.path()).unwrap().set_len(2000).unwrap();
    machine.crash();
    let change = SetAttr { size: Some(4000), ..SetAttr::default() };
    machine.on("large", |workspace, ino| workspace.set_attr(ino, change)).unwrap();
    machine.crash();
    let mut expected = bytes[..2000].to_vec();
    expected[10] = b'x';
    expected.resize(4000, 0);
    assert!(machine.read("large").unwrap() == expected);
}

/// Proves F5.
#[test]
fn a_file_whose_last_name_went_lives_as_long_as_it_is_open() {
    let (mut machine, bytes, _) = with_large_file();
    machine.put("new", b"new bytes").unwrap();
    let (new, large) = (machine.open_file("new", true), machine.open_file("large", true));
    machine.unlink("new").unwrap();
    machine.unlink("large").unwrap();
    assert_eq!(machine.run(|_| new.attr()).unwrap().nlink, 0);
    assert_eq!(machine.run(|_| large.attr()).unwrap().nlink, 0);
    new.write(0, b"NEW").unwrap();
    machine.run(|_| large.write(3, b"...")).unwrap();
    assert_eq!(machine.read_open(&new, 0, 20), b"NEW bytes");
    assert_eq!(machine.read_open(&large, 0, 6), [&bytes[..3], b"..."].concat());
    assert_eq!(machine.staged_files(), 2);
    drop((new, large));
    assert_eq!(machine.staged_files(), 0);
    machine.put("again", b"x").unwrap();
    let again = machine.open_file("again", true);
    machine.unlink("again").unwrap();
    drop(again);
    machine.crash();
    assert_eq!(machine.staged_files(), 0);
    assert!(machine.names("", 10).unwrap().is_empty());
}

#[test]
fn an_open_file_that_nobody_can_name_any_more_is_gone_after_a_crash() {
    let world = World::new();
    let mut machine = world.first_machine();
    machine.put("f", b"x").unwrap();
    let file = machine.open_file("f", true);
    machine.unlink("f").unwrap();
    assert_eq!(machine.staged_files(), 1);
    // The process dies with the file open.
    std::mem::forget(file);
    let dir = machine.workspace_dir();
    std::fs::write(dir.join("files/stray"), b"left by nobody").unwrap();
    machine.crash_in_use();
    assert_eq!(machine.staged_files(), 0);
}

#[test]
fn data_and_holes_are_told_apart_in_the_base_and_in_what_is_staged() {
    let machine = World::new().first_machine();
    let mut bytes = noise(1_000_000, 9);
    bytes[200_000..600_000].fill(0);
    machine.put("f", &bytes).unwrap();
    commit(&machine);
    let file = machine.open_file("f", true);
    let seek = |what, offset| machine.run(|_| file.seek(what, offset));
    // Holes are cut where the zeros are.
    assert_eq!(seek(SeekFor::Hole, 0).unwrap(), 200_000);
    assert_eq!(seek(SeekFor::Data, 300_000).unwrap(), 600_000);
    assert_eq!(seek(SeekFor::Hole, 700_000).unwrap(), 1_000_000);
    assert!(matches!(seek(SeekFor::Data, 1_000_000), Err(WorkspaceError::BeyondEnd)));
    machine.run(|_| file.write(409_600, &[1; 4096])).unwrap();
    assert_eq!(seek(SeekFor::Data, 300_000).unwrap(), 409_600);
    assert_eq!(seek(SeekFor::Hole, 409_600).unwrap(), 409_600 + 4096);
    assert_eq!(seek(SeekFor::Data, 409_600 + 4096).unwrap(), 600_000);
    machine.run(|_| file.truncate(2_000_000)).unwrap();
    assert_eq!(seek(SeekFor::Hole, 700_000).unwrap(), 1_000_000);
    assert!(matches!(seek(SeekFor::Data, 1_000_000), Err(WorkspaceError::BeyondEnd)));
}

#[test]
fn writing_everything_makes_a_file_whole() {
    let (machine, bytes, _) = with_large_file();
    let file = machine.open_file("large", true);
    for (at, part) in bytes.chunks(1 << 20).enumerate() {
        let upper: Vec<u8> = part.iter().map(|byte| byte ^ 1).collect();
        machine.run(|_| file.write((at << 20) as u64, &upper)).unwrap();
    }
    assert!(machine.read_open(&file, 0, LARGE_BYTES) == bytes.iter().map(|byte| byte ^ 1).collect::<Vec<_>>());
}

#[test]
fn reading_only_handles_do_not_write_and_offsets_have_an_end() {
    let machine = World::new().first_machine();
    machine.put("f", b"x").unwrap();
    let (read, write) = (machine.open_file("f", false), machine.open_file("f", true));
    assert!(matches!(read.write(0, b"y"), Err(WorkspaceError::Invalid(_))));
    assert!(matches!(write.write(i64::MAX as u64, b"y"), Err(WorkspaceError::TooLarge)));
    assert!(matches!(write.truncate(u64::MAX), Err(WorkspaceError::TooLarge)));
    assert_eq!(machine.read("f").unwrap(), b"x");
    let dir = machine.run(|workspace| workspace.open_file(workspace.root_ino(), false, false));
    assert!(matches!(dir, Err(WorkspaceError::IsDirectory)));
}
