//! Names: what the random runs meet too rarely to rely on.

use std::collections::BTreeSet;

use meshfs::workspace::attr::{NewNode, RenameMode, SetAttr, XattrMode};
use meshfs::workspace::error::WorkspaceError;

use super::commit::{commit, refresh};
use super::machine::{Machine, World};

fn name(number: usize) -> String {
    format!("{number:05}-{}", "n".repeat(150))
}

/// A machine that committed a directory `d` of so many empty files.
fn with_directory(len: usize) -> Machine {
    let machine = World::new().first_machine();
    machine.mkdir("d").unwrap();
    for number in 0..len {
        machine.create(&format!("d/{}", name(number)), NewNode::File, 0o644).unwrap();
    }
    commit(&machine);
    machine
}

/// Proves N9.
#[test]
fn deleting_while_listing_skips_nothing() {
    let machine = with_directory(1500);
    // Every third is staged again, so that both sides of the listing have some.
    for number in (0..1500).step_by(3) {
        machine.put(&format!("d/{}", name(number)), b"x").unwrap();
    }
    let mut seen: Vec<Vec<u8>> = Vec::new();
    loop {
        let after = seen.last().cloned().unwrap_or_default();
        let listed = machine.on("d", |workspace, dir| workspace.readdir(dir, Some(&after), 100)).unwrap();
        if listed.is_empty() {
            break;
        }
        for listed in listed {
            machine.at("d/x", |workspace, dir, _| workspace.unlink(dir, &listed.name)).unwrap();
            seen.push(listed.name);
        }
    }
    assert_eq!(seen.len(), 1500);
    assert!(machine.names("d", 10).unwrap().is_empty());
    machine.rmdir("d").unwrap();
    commit(&machine);
    assert!(machine.names("", 10).unwrap().is_empty());
}

/// Proves F13.
#[test]
fn a_directory_counts_its_subdirectories_until_it_is_committed() {
    let mut machine = World::new().first_machine();
    let links = |path: &str| machine.attr(path).unwrap().nlink;
    for dir in ["a", "a/1", "a/2", "b"] {
        machine.mkdir(dir).unwrap();
    }
    machine.create("a/file", NewNode::File, 0o644).unwrap();
    assert_eq!((links("a"), links("a/1"), links("b")), (4, 2, 2));
    machine.rename("a/1", "b/1", RenameMode::Replace).unwrap();
    assert_eq!((links("a"), links("b")), (3, 3));
    machine.rename("a/2", "b/1", RenameMode::Replace).unwrap();
    assert_eq!((links("a"), links("b")), (2, 3));
    machine.rename("a/file", "b/1", RenameMode::Exchange).unwrap();
    assert_eq!((links("a"), links("b")), (3, 2));
    machine.rename("a/file", "a/moved", RenameMode::Replace).unwrap();
    assert_eq!(links("a"), 3);
    machine.rmdir("a/moved").unwrap();
    assert_eq!(links("a"), 2);
    machine.restart();
    machine.mkdir("a/again").unwrap();
    assert_eq!(machine.attr("a").unwrap().nlink, 3);
    // From here on the base may show through, and counting would need a walk of it.
    commit(&machine);
    let links = |path: &str| machine.attr(path).unwrap().nlink;
    assert_eq!((links(""), links("a"), links("a/again")), (1, 1, 1));
    machine.mkdir("a/more").unwrap();
    machine.rmdir("a/again").unwrap();
    assert_eq!((links("a"), links("a/more")), (1, 2));
}

/// Proves F13.
#[test]
fn a_directory_that_others_made_too_is_not_counted() {
    let machine = World::new().first_machine();
    commit(&machine);
    let other = machine.world.machine(2);
    for dir in ["both", "both/here", "alone", "alone/1"] {
        machine.mkdir(dir).unwrap();
    }
    for dir in ["both", "both/there"] {
        other.mkdir(dir).unwrap();
    }
    commit(&other);
    refresh(&machine);
    assert_eq!(machine.names("both", 10).unwrap(), ["here", "there"]);
    let links = |path: &str| machine.attr(path).unwrap().nlink;
    assert_eq!((links("both"), links("both/here"), links("alone")), (1, 2, 3));
}

#[test]
fn the_beginning_of_a_large_directory_needs_only_its_first_nodes() {
    let machine = with_directory(4000);
    let cold = machine.world.machine(2);
    let before = cold.reach.counters.read().received_bytes;
    let listed = cold.on("d", |workspace, dir| workspace.readdir(dir, None, 20)).unwrap();
    assert_eq!(listed.len(), 20);
    let first = cold.reach.counters.read().received_bytes - before;
    assert_eq!(cold.names("d", 1000).unwrap().len(), 4000);
    let all = cold.reach.counters.read().received_bytes - before;
    assert!(first <= all, "{first} bytes for the first names, {all} for all");
}

#[test]
fn moving_a_committed_directory_touches_only_its_name() {
    let machine = with_directory(300);
    let inside = machine.attr(&format!("d/{}", name(7))).unwrap().ino;
    machine.rename("d", "e", RenameMode::Replace).unwrap();
    let tree = machine.workspace().staged().unwrap();
    let dir = machine.attr("e").unwrap().ino;
    assert_eq!(tree.names(tree.root()).unwrap().len(), 2, "the new name, and the old one's whiteout");
    assert!(tree.names(dir).unwrap().is_empty());
    assert_eq!(machine.attr(&format!("e/{}", name(7))).unwrap().ino, inside);
    commit(&machine);
    assert_eq!(machine.attr(&format!("e/{}", name(7))).unwrap().ino, inside, "a commit changes no number");
    assert_eq!(machine.attr("e").unwrap().ino, dir);
}

#[test]
fn what_is_made_where_a_moved_directory_was_has_numbers_of_its_own() {
    let machine = World::new().first_machine();
    machine.mkdir("d").unwrap();
    machine.put("d/f", b"same").unwrap();
    commit(&machine);
    machine.rename("d", "e", RenameMode::Replace).unwrap();
    commit(&machine);
    let other = machine.world.machine(2);
    other.mkdir("d").unwrap();
    other.put("d/f", b"same").unwrap();
    commit(&other);
    super::commit::refresh(&machine);
    let inos: BTreeSet<u64> = ["d", "d/f", "e", "e/f"].iter().map(|path| machine.attr(path).unwrap().ino).collect();
    assert_eq!(inos.len(), 4);
}

#[test]
fn what_was_changed_and_changed_back_is_not_dirty() {
    let machine = World::new().first_machine();
    machine.mkdir("d").unwrap();
    machine.put("d/f", b"x").unwrap();
    assert!(machine.workspace().is_dirty().unwrap());
    commit(&machine);
    let clean = || !machine.workspace().is_dirty().unwrap();
    assert!(clean());
    machine.put("d/new", b"").unwrap();
    assert!(!clean());
    machine.unlink("d/new").unwrap();
    assert!(clean());
    let chmod = |mode| {
        let change = SetAttr { mode: Some(mode), ..SetAttr::default() };
        machine.on("d/f", |workspace, ino| workspace.set_attr(ino, change)).unwrap();
    };
    chmod(0o600);
    assert!(!clean());
    chmod(0o644);
    assert!(clean());
    machine.rename("d", "e", RenameMode::Replace).unwrap();
    assert!(!clean());
    machine.rename("e", "d", RenameMode::Replace).unwrap();
    assert!(clean());
    let set =
        |workspace: &meshfs::workspace::view::Workspace, ino| workspace.set_xattr(ino, b"user.a", b"", XattrMode::Any);
    machine.on("d/f", set).unwrap();
    assert!(!clean());
    machine.on("d/f", |workspace, ino| workspace.remove_xattr(ino, b"user.a")).unwrap();
    assert!(clean());
    let open = machine.open_file("d/f", true);
    assert!(!clean(), "a file open for writing makes a workspace dirty");
    drop(open);
    assert!(clean());
    machine.unlink("d/f").unwrap();
    assert!(!clean());
}

#[test]
fn attributes_keep_their_bounds_and_flags() {
    let machine = World::new().first_machine();
    machine.put("f", b"x").unwrap();
    let set = |name: &[u8], len: usize, mode| {
        machine.on("f", |workspace, ino| workspace.set_xattr(ino, name, &vec![1; len], mode))
    };
    assert!(matches!(set(b"user.a", 1, XattrMode::Replace), Err(WorkspaceError::NoAttribute)));
    set(b"user.a", 300, XattrMode::Create).unwrap();
    assert!(matches!(set(b"user.a", 1, XattrMode::Create), Err(WorkspaceError::Exists)));
    assert!(matches!(set(b"user.b", 65_536, XattrMode::Any), Err(WorkspaceError::NoSpace(_))));
    set(b"user.b", 65_536 - 12 - 300, XattrMode::Any).unwrap();
    assert!(matches!(set(b"user.c", 0, XattrMode::Any), Err(WorkspaceError::NoSpace(_))));
    commit(&machine);
    let cold = machine.world.machine(2);
    let value = cold.on("f", |workspace, ino| workspace.get_xattr(ino, b"user.b")).unwrap();
    assert_eq!(value.len(), 65_536 - 12 - 300);
    assert!(matches!(
        cold.on("f", |workspace, ino| workspace.get_xattr(ino, b"user.c")),
        Err(WorkspaceError::NoAttribute)
    ));
}

#[test]
fn a_removed_directory_takes_no_names() {
    let machine = World::new().first_machine();
    machine.mkdir("d").unwrap();
    let held = machine.at("d", |workspace, dir, name| workspace.lookup(dir, name)).unwrap();
    machine.rmdir("d").unwrap();
    let workspace = machine.workspace();
    let made = workspace.create(held.ino, b"x", NewNode::File, 0o644, None);
    assert!(matches!(made, Err(WorkspaceError::NotFound)));
    assert!(workspace.readdir(held.ino, None, 10).unwrap().is_empty());
    assert_eq!(workspace.attr(held.ino).unwrap().nlink, 0);
    workspace.forget(held.ino, 1);
    assert!(matches!(workspace.attr(held.ino), Err(WorkspaceError::Stale)));
}

#[test]
fn names_that_no_tree_can_have_are_refused() {
    let machine = World::new().first_machine();
    let root = machine.workspace().root_ino();
    for name in [&b""[..], b".", b"..", b".meshfs", b"a/b", b"a\0", &[b'n'; 256]] {
        let made = machine.workspace().create(root, name, NewNode::File, 0o644, None);
        assert!(matches!(made, Err(WorkspaceError::Name(_))), "{name:?}");
    }
    machine.workspace().create(root, &[0xff; 255], NewNode::File, 0o644, None).unwrap();
}

#[test]
fn a_folder_of_another_branch_is_not_taken_for_this_one() {
    let machine = World::new().first_machine();
    machine.put("f", b"x").unwrap();
    machine.create_branch("other");
    let dir = machine.workspace_dir();
    let sys = meshfs::sys::Sys::real();
    let opened = machine.block_on(meshfs::workspace::view::Workspace::open(&machine.domain, "other", &dir, sys));
    assert!(opened.unwrap_err().to_string().contains("holds staged changes of branch main"));
}

#[test]
fn the_bottom_of_many_directories_is_reached_and_written_to() {
    const DEPTH: usize = 100;
    let machine = World::new().first_machine();
    let workspace = machine.workspace();
    let mut dirs = vec![workspace.root_ino()];
    for _ in 0..DEPTH {
        let made = workspace.create(dirs[dirs.len() - 1], b"d", NewNode::Dir, 0o755, None).unwrap();
        dirs.push(made.ino);
    }
    commit(&machine);
    let other = machine.world.machine(2);
    let mut seen = vec![other.workspace().root_ino()];
    for _ in 0..DEPTH {
        let dir = seen[seen.len() - 1];
        seen.push(other.run(|workspace| workspace.lookup(dir, b"d")).unwrap().ino);
    }
    let bottom = seen[DEPTH];
    assert_eq!(other.run(|workspace| workspace.attr(bottom)).unwrap().mode, 0o755);
    let file = other.run(|workspace| workspace.create(bottom, b"f", NewNode::File, 0o644, None)).unwrap();
    assert_eq!(other.workspace().path(file.ino).unwrap().unwrap().names().count(), DEPTH + 1);
}

/// Proves F4.
#[test]
fn a_file_has_at_most_65_000_names() {
    let mut machine = World::new().first_machine();
    machine.create("file", NewNode::File, 0o644).unwrap();
    // Made one by one they would take minutes.
    let rows = rusqlite::Connection::open(machine.workspace_dir().join("overlay.db")).unwrap();
    assert_eq!(rows.execute("UPDATE node SET nlink = 64999 WHERE kind = 1", []).unwrap(), 1);
    drop(rows);
    machine.restart();
    machine.link("file", "last").unwrap();
    assert_eq!(machine.attr("file").unwrap().nlink, 65_000);
    assert!(matches!(machine.link("file", "one-more"), Err(WorkspaceError::TooManyLinks)));
    machine.unlink("last").unwrap();
    machine.link("file", "one-more").unwrap();
}
