//! Commits of a working tree.

use std::sync::Arc;
use std::time::Duration;

use meshfs::model::commit::Stats;
use meshfs::model::id::CommitId;
use meshfs::model::source::read_links;
use meshfs::repo::error::RepoError;
use meshfs::storage::fault::Fault;
use meshfs::telemetry::counters::Verb;
use meshfs::workspace::commit::{CommitOptions, Committed};
use meshfs::workspace::error::WorkspaceError;

use crate::support::*;
use crate::world::*;

#[tokio::test]
async fn what_is_seen_is_what_is_committed() {
    let (world, tree) = one().await;
    tree.write("a/b", "1").await;
    tree.write("empty", "").await;
    tree.symlink("way", "a/b").await.unwrap();
    tree.mkdir("nothing in it").await.unwrap();
    let seen = tree.all().await;
    let ino = tree.attr("a/b").await.ino;
    let id = tree.commit().await;
    assert_eq!(committed(&world, &id).await, seen);
    assert_eq!(tree.all().await, seen);
    assert_eq!(tree.attr("a/b").await.ino, ino);
    assert_eq!(tree.workspace.head(), id);
    assert!(!tree.workspace.is_dirty().unwrap());
    assert!(matches!(tree.try_commit().await.unwrap(), Committed::Nothing));
}

#[tokio::test]
async fn a_record_tells_who_what_and_why() {
    let (_world, tree) = one().await;
    tree.write("x", "1").await;
    let options = CommitOptions {
        message: "First\n\nwith reasons".to_owned(),
        author: Some("eve".to_owned()),
        metadata: [("ticket".to_owned(), "7".to_owned())].into(),
        progress: None,
    };
    let Committed::Landed(commit) = tree.workspace.commit(options).await.unwrap() else { panic!("it lands") };
    assert_eq!((commit.author.as_str(), commit.message.as_str()), ("eve", "First\n\nwith reasons"));
    assert_eq!((commit.metadata["ticket"].as_str(), commit.host.as_str()), ("7", "desk"));
    assert_eq!(commit.stats, Stats { added: 1, ..Stats::default() });
    tree.write("x", "2").await;
    let commit = tree.domain.record(&tree.commit().await).await.unwrap();
    assert_eq!(commit.author, "ann", "whom this process acts for");
}

#[tokio::test]
async fn attributes_and_hard_links_are_committed() {
    let (world, tree) = one().await;
    tree.write("a", "1").await;
    tree.link("a", "b").await.unwrap();
    tree.chmod("a", 0o640).await;
    tree.set_xattr("a", "user.long", &"v".repeat(1000)).await;
    let id = tree.commit().await;
    let other = Tree::new(world.machine(5).await).await;
    let (a, b) = (other.attr("a").await, other.attr("b").await);
    assert_eq!((a.ino, a.nlink, a.mode), (b.ino, 2, 0o640));
    let value = other.at("b", |workspace, attr| workspace.get_xattr(attr.ino, b"user.long")).await.unwrap();
    assert_eq!(value, "v".repeat(1000).into_bytes());
    let root = other.domain.snapshot(&id).await.unwrap().root.clone();
    assert_eq!(read_links(other.domain.objects(), root.links.as_ref()).await.unwrap().len(), 1);
    // A change through one name is one of the other too.
    other.write("b", "2").await;
    let id = other.commit().await;
    assert_eq!(committed(&world, &id).await, all(&[("a", "2"), ("b", "2")]));
}

/// Git takes a file of another number or ctime for changed, and reads it.
/// Proves F10, F11.
#[tokio::test]
async fn number_and_ctime_of_what_is_committed_stay() {
    let (_world, mut tree) = one().await;
    for name in ["written", "mode", "linked", "dated", "dir/inside", "moved"] {
        tree.write(name, name).await;
    }
    tree.commit().await;
    tree.machine.clock.advance(Duration::from_secs(1));
    tree.chmod("mode", 0o600).await;
    tree.link("linked", "dir/link").await.unwrap();
    // As `cp -a` does; a directory too.
    tree.touch("dated", 1_000_000_000).await;
    tree.touch("dir", 1_000_000_000).await;
    tree.rename("moved", "dir/moved").await.unwrap();
    let paths = ["", "written", "mode", "linked", "dir/link", "dated", "dir", "dir/inside", "dir/moved"];
    let local = async |tree: &Tree| {
        let mut local = Vec::new();
        for path in paths {
            let attr = tree.attr(path).await;
            local.push((path, attr.ino, attr.ctime));
        }
        local
    };
    let staged = local(&tree).await;
    tree.commit().await;
    assert_eq!(local(&tree).await, staged, "after the commit");
    tree.reopen().await;
    assert_eq!(local(&tree).await, staged, "after opening again");
    // What is staged anew begins with them, and a change moves the ctime of what it changes only.
    tree.machine.clock.advance(Duration::from_secs(1));
    tree.chmod("dated", 0o600).await;
    assert!(tree.attr("dated").await.ctime > staged[5].2);
    tree.write("dir/another", "1").await;
    tree.commit().await;
    let after = local(&tree).await;
    for unchanged in [1, 2, 3, 4, 7, 8] {
        assert_eq!(after[unchanged], staged[unchanged]);
    }
}

#[tokio::test]
async fn part_of_a_large_file_is_written_over() {
    let (_world, tree) = one().await;
    let text: String = (0..200_000u32).map(|n| format!("{n:07}\n")).collect();
    tree.write("large", &text[..1 << 20]).await;
    tree.commit().await;
    let file = tree.open("large", true, false).await.unwrap();
    file.write(500_000, b"HERE").unwrap();
    file.truncate(900_000).unwrap();
    drop(file);
    tree.commit().await;
    let mut expected = text[..900_000].to_owned();
    expected.replace_range(500_000..500_004, "HERE");
    assert!(tree.read("large").await.unwrap() == expected);
}

#[tokio::test]
async fn disjoint_changes_of_two_machines_are_merged() {
    let (world, a, b) = two().await;
    a.write("d/x", "1").await;
    a.write("d/y", "1").await;
    a.commit().await;
    b.refresh(None, &[]).await;
    a.write("d/x", "a").await;
    b.write("d/y", "b").await;
    b.write("new", "b").await;
    a.commit().await;
    let id = b.commit().await;
    let expected = all(&[("d", "/"), ("d/x", "a"), ("d/y", "b"), ("new", "b")]);
    assert_eq!(committed(&world, &id).await, expected);
    assert_eq!(b.all().await, expected);
    assert!(!b.workspace.is_dirty().unwrap());
    assert_eq!(b.workspace.head(), id);
}

#[tokio::test]
async fn a_file_open_for_writing_stays_staged_until_it_is_closed() {
    let (world, tree) = one().await;
    tree.write("x", "1").await;
    tree.commit().await;
    let file = tree.open("x", true, false).await.unwrap();
    file.write(0, b"22").unwrap();
    let id = tree.commit().await;
    assert_eq!(committed(&world, &id).await, all(&[("x", "22")]));
    assert!(tree.workspace.is_dirty().unwrap());
    assert_eq!(tree.workspace.head(), id);
    drop(file);
    assert!(!tree.workspace.is_dirty().unwrap(), "nothing was written since");
    assert_eq!(tree.status().await, [""; 0]);

    let file = tree.open("x", true, false).await.unwrap();
    file.write(0, b"33").unwrap();
    tree.commit().await;
    file.write(1, b"4").unwrap();
    drop(file);
    assert_eq!(tree.status().await, ["M x"]);
    let id = tree.commit().await;
    assert_eq!(committed(&world, &id).await, all(&[("x", "34")]));
}

/// Somebody writes whenever the file is read: the commit names the file, and loses nothing.
/// Proves C3.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_keeps_changing_fails_the_commit_by_name() {
    let (_world, tree) = one().await;
    tree.write("busy", &"x".repeat(1 << 20)).await;
    tree.write("still", "1").await;
    let before = tree.workspace.head();
    let file = tree.open("busy", true, false).await.unwrap();
    let progress = Arc::new(move |read: u64| {
        if read > 1 {
            file.write(10, b"y").unwrap();
        }
    });
    let options = CommitOptions { message: "Busy".to_owned(), progress: Some(progress), ..CommitOptions::default() };
    let error = tree.workspace.commit(options).await.unwrap_err();
    let WorkspaceError::Changing(files) = error else { panic!("{error}") };
    assert_eq!(files.iter().map(|file| file.path.to_string()).collect::<Vec<_>>(), ["busy"]);
    assert_eq!(tree.workspace.head(), before);
    tree.commit().await;
    assert!(!tree.workspace.is_dirty().unwrap());
}

/// Programs that write one file at the same time, and once more while a commit sends what it read of it: nothing is
/// taken for committed that is not.
/// Proves C3.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_write_beside_a_commit_is_forgotten() {
    const ROUNDS: u64 = 60;
    let (world, tree) = one().await;
    tree.write("busy", "begin").await;
    let file = Arc::new(tree.open("busy", true, false).await.unwrap());
    for round in 0..ROUNDS {
        let writers = [1, 2, 3].map(|writer| {
            let file = file.clone();
            std::thread::spawn(move || {
                // They wait for each other, and the commit for them.
                for _ in 0..4 {
                    file.write(0, &[b'a' + writer; 200_000]).unwrap();
                }
                std::thread::sleep(Duration::from_millis(round % 20));
                file.write(u64::from(writer), format!("{round:05}").as_bytes()).unwrap();
            })
        });
        std::thread::sleep(Duration::from_micros(round * 37 % 500));
        match tree.try_commit().await {
            Ok(_) | Err(WorkspaceError::Changing(_)) => {}
            Err(error) => panic!("{error}"),
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        tree.try_commit().await.unwrap();
        assert_eq!(committed(&world, &tree.workspace.head()).await, tree.all().await, "round {round}");
    }
}

/// The local database cannot take a row: the write fails, and once it can, what is written again is there to stay.
/// "A call that returned is staged."
#[tokio::test]
async fn what_is_written_again_after_an_error_is_staged() {
    let (world, mut tree) = one().await;
    let text = "0123456789".repeat(1000);
    tree.write("x", &text).await;
    tree.commit().await;
    let file = tree.open("x", true, false).await.unwrap();
    file.write(0, b"staged").unwrap();
    let disk = rusqlite::Connection::open(tree.workspace.dir().join("overlay.db")).unwrap();
    let full = |table: &str| {
        let sql = format!("CREATE TRIGGER full BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'full'); END");
        disk.execute_batch(&sql).unwrap();
    };
    full("fresh");
    file.write(2000, b"new").unwrap_err();
    assert_eq!(tree.read("x").await.unwrap(), format!("staged{}", &text[6..]));
    file.write(2000, b"new").unwrap_err();
    disk.execute_batch("DROP TRIGGER full").unwrap();
    file.write(2000, b"new").unwrap();

    full("node");
    file.truncate(3000).unwrap_err();
    file.write(3500, b"behind").unwrap_err();
    disk.execute_batch("DROP TRIGGER full").unwrap();
    file.write(3500, b"behind").unwrap();
    let expected = format!("staged{}new{}{}behind", &text[6..2000], &text[2003..3000], "\0".repeat(500));
    assert_eq!(tree.read("x").await.unwrap(), expected);
    // As after a kill: only what is stored counts.
    std::mem::forget(file);
    tree.reopen().await;
    assert_eq!(tree.read("x").await.unwrap(), expected);
    let id = tree.commit().await;
    assert_eq!(committed(&world, &id).await["x"], expected);
}

#[tokio::test]
async fn staged_changes_outlive_the_process() {
    let (world, mut tree) = one().await;
    tree.write("x", "1").await;
    tree.reopen().await;
    assert_eq!(tree.all().await, all(&[("x", "1")]));
    let id = tree.commit().await;
    tree.reopen().await;
    assert_eq!((tree.workspace.head(), tree.workspace.is_dirty().unwrap()), (id, false));
    assert_eq!(committed(&world, &id).await, all(&[("x", "1")]));
}

/// The store took the entry and did not say so: nobody fights himself over it.
#[tokio::test]
async fn a_commit_of_unknown_outcome_is_taken_up() {
    let (world, tree) = one().await;
    tree.write("x", "1").await;
    tree.commit().await;
    tree.write("x", "2").await;
    let faults = &tree.machine.faults;
    faults.plan(Verb::Create, "/log/", Fault::LostReply, 1);
    faults.plan(Verb::Create, "/log/", Fault::Timeout, usize::MAX);
    faults.plan(Verb::Get, "/log/", Fault::Timeout, usize::MAX);
    let error = tree.try_commit().await.unwrap_err();
    assert!(matches!(error, WorkspaceError::Repo(RepoError::OutcomeUnknown { .. })), "{error}");
    faults.calm();
    tree.try_commit().await.unwrap();
    let head: CommitId = head_of(&tree.domain, "main").await.1;
    assert_eq!(committed(&world, &head).await, all(&[("x", "2")]));
    assert_eq!(tree.domain.record(&head).await.unwrap().generation, 2, "it landed once");
    assert_eq!(tree.all().await, all(&[("x", "2")]));
}
