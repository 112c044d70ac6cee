//! The attempt rule: stored before sent, one body, never failed before it is settled.

use std::sync::Arc;

use meshfs::format::log::{decode_entry, encode_entry};
use meshfs::model::id::Nonce;
use meshfs::model::log::RefName;
use meshfs::repo::db::{NewAttempt, RepoDb};
use meshfs::repo::domain::{Proposal, Proposed};
use meshfs::repo::error::RepoError;
use meshfs::repo::log::LogFiles;
use meshfs::repo::mesh::{Mesh, NewDomain};
use meshfs::repo::refs::creation;
use meshfs::storage::fault::{Fault, FaultStore};
use meshfs::sys::Sys;
use meshfs::sys::mark::ProcessMark;
use meshfs::telemetry::counters::Verb;
use parking_lot::Mutex;

use super::watched::Watched;
use super::world::*;

/// A reply is lost after the entry landed: the writer finds its own entry and does not fight itself (M1).
#[tokio::test]
async fn a_lost_reply_is_success_and_lands_once() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let main = head_of(&sales, "main").await.1;
    a.faults.plan(Verb::Create, "/log/", Fault::LostReply, 1);
    let exp = sales.create_branch("exp", &main).await.unwrap();
    let changes = changes(&world, &sales).await;
    assert_eq!(changes.len(), 2);
    assert_eq!(sales.state().of(&exp).unwrap().target, main);
    assert_eq!(a.attempts(), []);
}

/// A store says "exists" though nothing was written, as S3's 409 looks: the same body goes again.
#[tokio::test]
async fn a_conflict_that_is_none_is_sent_again() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let main = head_of(&sales, "main").await.1;
    a.faults.plan(Verb::Create, "/log/", Fault::FalseConflict, 3);
    let exp = sales.create_branch("exp", &main).await.unwrap();
    assert_eq!(exp.created_seq, 2);
    assert_eq!(entries(&world, &sales).await.len(), 2);
}

/// A put is held up, its sender sends again: both are one body, so the second copy is its own entry (M2).
#[tokio::test]
async fn every_send_of_an_attempt_is_the_same_body() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let main = head_of(&sales, "main").await.1;
    // The first copy is held up, every further one is lost: it must be the held one that lands.
    a.faults.plan(Verb::Create, "/log/", Fault::Delayed, 2);
    a.faults.plan(Verb::Create, "/log/", Fault::Timeout, usize::MAX);
    let error = sales.create_branch("exp", &main).await.unwrap_err();
    assert!(matches!(error, RepoError::OutcomeUnknown { seq: 2, .. }), "{error}");
    assert_eq!(a.faults.release().await, 1, "the two copies are one entry");
    a.faults.calm();
    let error = sales.create_branch("exp", &main).await.unwrap_err();
    assert!(matches!(error, RepoError::RefExists { .. }), "{error}");
    assert_eq!(changes(&world, &sales).await.len(), 2);
    assert_eq!(a.attempts(), []);
}

/// An entry that is absent after a crash may still land: the attempt is unknown, never failed (W5).
#[tokio::test]
async fn an_absent_entry_is_not_a_failed_one() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let (main, head) = head_of(&sales, "main").await;
    let (id, proposal) = commit_on(&sales, &sales.state(), &main, "one").await;
    a.faults.plan(Verb::Create, "/log/", Fault::Delayed, 1);
    a.faults.plan(Verb::Create, "/log/", Fault::Timeout, usize::MAX);
    let proposal = Proposal { workspace: Some("w".to_owned()), ..proposal };
    let error = sales.propose(&sales.state(), proposal.clone()).await.unwrap_err();
    assert!(matches!(error, RepoError::OutcomeUnknown { .. }), "{error}");
    assert_eq!(sales.state().of(&main).unwrap().target, head);
    drop(sales);

    let a = a.restart().await;
    let sales = a.sales().await;
    let error = sales.settled("w").await.unwrap_err();
    assert!(matches!(error, RepoError::OutcomeUnknown { .. }), "still nothing is known: {error}");
    let error = sales.propose(&sales.state(), proposal).await.unwrap_err();
    assert!(matches!(error, RepoError::OutcomeUnknown { .. }), "no second commit meanwhile: {error}");

    assert_eq!(a.faults.release().await, 1);
    let settled = sales.settled("w").await.unwrap();
    assert_eq!(settled.iter().map(|s| (s.seq, s.landed)).collect::<Vec<_>>(), [(2, true)]);
    assert_eq!(settled[0].changes[0].target, Some(id));
    assert_eq!(entries(&world, &sales).await.len(), 2);
}

/// The same, but another's entry takes the seq first: the attempt is lost, and its late copy comes to nothing.
#[tokio::test]
async fn an_attempt_whose_seq_is_anothers_is_lost_for_good() {
    let (world, a) = World::in_memory().with_sales().await;
    let b = world.machine(2).await;
    let (sales, theirs) = (a.sales().await, b.sales().await);
    let (main, head) = head_of(&sales, "main").await;
    let (_, proposal) = commit_on(&sales, &sales.state(), &main, "one").await;
    a.faults.plan(Verb::Create, "/log/", Fault::Delayed, 1);
    a.faults.plan(Verb::Create, "/log/", Fault::Timeout, usize::MAX);
    let proposal = Proposal { workspace: Some("w".to_owned()), ..proposal };
    sales.propose(&sales.state(), proposal).await.unwrap_err();
    theirs.create_branch("exp", &head).await.unwrap();
    a.faults.calm();
    let settled = sales.settled("w").await.unwrap();
    assert_eq!(settled.iter().map(|s| (s.seq, s.landed)).collect::<Vec<_>>(), [(2, false)]);
    assert_eq!(a.faults.release().await, 0);
    assert_eq!(head_of(&theirs, "main").await.1, head);
}

/// Without the attempt on disk first, a crash would start over beside a copy that is still under way (M9).
#[tokio::test]
async fn an_attempt_is_on_disk_before_it_is_sent() {
    let world = World::in_memory();
    let folder = tempfile::tempdir().unwrap();
    let store = Watched::new(world.base.clone());
    let (sys, _) = Sys::simulated(START_NANOS, 1);
    let mesh = Mesh::init(options(store.clone(), folder.path(), sys)).await.unwrap();
    let (path, seen) = (mesh.state_dir().join("repo.db"), Arc::new(Mutex::new(Vec::new())));
    let sees = seen.clone();
    store.before_create(move |_, body| {
        let db = rusqlite::Connection::open(&path).unwrap();
        let sql = "SELECT count(*) FROM attempts WHERE body = ? AND outcome = 'unknown'";
        sees.lock().push(db.query_row(sql, [&body[..]], |row| row.get::<_, i64>(0)).unwrap());
        Box::pin(std::future::ready(()))
    });
    let sales = mesh.create_domain(NewDomain { name: SALES.to_owned(), ..NewDomain::default() }).await.unwrap();
    let (main, head) = head_of(&sales, "main").await;
    sales.create_branch("exp", &head).await.unwrap();
    commit(&sales, &main, "one").await.unwrap();
    mesh.delete_domain(SALES).await.unwrap();
    assert_eq!(*seen.lock(), [1; 5]);
}

/// A crash after the attempt was stored and before it was sent: the next process finishes it.
#[tokio::test]
async fn what_was_stored_and_never_sent_is_sent_by_the_next_process() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let head = head_of(&sales, "main").await.1;
    let dead = ProcessMark { started_ticks: 0, ..ProcessMark::of_this() };
    let body = entry_that_makes(&world, &a, "exp").await;
    let db = RepoDb::open(a.mesh.state_dir(), dead).unwrap();
    let log = sales.info().uid.to_string();
    db.add_attempt(NewAttempt { log: &log, seq: 2, body: &body, workspaces: &[] }).unwrap();
    sales.create_branch("other", &head).await.unwrap();
    let names: Vec<_> = changes(&world, &sales).await.into_iter().map(|change| change.name.name).collect();
    assert_eq!(names, ["main", "exp", "other"]);
    assert_eq!(a.attempts(), []);
}

/// An attempt of a process that still runs is that process's to settle.
#[tokio::test]
async fn attempts_of_living_processes_are_left_alone() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let head = head_of(&sales, "main").await.1;
    let parent = ProcessMark::of(std::os::unix::process::parent_id()).unwrap();
    let body = entry_that_makes(&world, &a, "exp").await;
    let db = RepoDb::open(a.mesh.state_dir(), parent).unwrap();
    let log = sales.info().uid.to_string();
    let workspaces = ["w".to_owned()];
    db.add_attempt(NewAttempt { log: &log, seq: 2, body: &body, workspaces: &workspaces }).unwrap();
    sales.create_branch("other", &head).await.unwrap();
    assert_eq!(a.attempts(), [(2, "unknown".to_owned())]);
    let error = sales.settled("w").await.unwrap_err();
    assert!(matches!(&error, RepoError::OutcomeUnknown { reason, .. } if reason.contains("process")), "{error}");
}

/// The body of entry 2 that makes a branch, as an earlier process would have stored it.
async fn entry_that_makes(world: &World, machine: &Machine, branch: &str) -> Vec<u8> {
    let sales = machine.sales().await;
    let head = head_of(&sales, "main").await.1;
    let mut entry = entries(world, &sales).await.pop().unwrap();
    entry.seq = 2;
    entry.nonce = Nonce(machine.mesh.sys().random.name());
    let mut change = creation(RefName::branch(branch), head);
    change.created_seq = 2;
    entry.changes = vec![change];
    set_table(&mut entry, &sales.state());
    encode_entry(&entry).unwrap()
}

/// Giving up fills the seq, so that the copy under way can never land.
#[tokio::test]
async fn giving_up_fills_the_seq() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let (main, head) = head_of(&sales, "main").await;
    let (_, proposal) = commit_on(&sales, &sales.state(), &main, "one").await;
    a.faults.plan(Verb::Create, "/log/", Fault::Delayed, 1);
    a.faults.plan(Verb::Create, "/log/", Fault::Timeout, usize::MAX);
    let proposal = Proposal { workspace: Some("w".to_owned()), ..proposal };
    sales.propose(&sales.state(), proposal).await.unwrap_err();
    a.faults.calm();
    let settled = sales.give_up("w").await.unwrap();
    assert_eq!(settled.iter().map(|s| (s.seq, s.landed)).collect::<Vec<_>>(), [(2, false)]);
    assert_eq!(a.faults.release().await, 0);
    let log = entries(&world, &sales).await;
    assert_eq!((log.len(), log[1].changes.len()), (2, 0));
    assert_eq!(head_of(&sales, "main").await.1, head);
    // The log goes on behind it.
    commit(&sales, &main, "two").await.unwrap();
    assert_eq!(entries(&world, &sales).await.len(), 3);
}

/// Giving up too late tells the truth: it landed.
#[tokio::test]
async fn giving_up_what_landed_says_so() {
    let (_world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let (main, _) = head_of(&sales, "main").await;
    let (id, proposal) = commit_on(&sales, &sales.state(), &main, "one").await;
    a.faults.plan(Verb::Create, "/log/", Fault::Delayed, 1);
    a.faults.plan(Verb::Create, "/log/", Fault::Timeout, usize::MAX);
    let proposal = Proposal { workspace: Some("w".to_owned()), ..proposal };
    sales.propose(&sales.state(), proposal).await.unwrap_err();
    a.faults.calm();
    assert_eq!(a.faults.release().await, 1);
    let settled = sales.give_up("w").await.unwrap();
    assert!(settled[0].landed);
    assert_eq!(head_of(&sales, "main").await.1, id);
}

/// A workspace that was not told that its commit landed must take that up before it commits again.
#[tokio::test]
async fn a_landed_commit_is_told_until_it_is_taken_up() {
    let (_world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let (main, _) = head_of(&sales, "main").await;
    let (id, proposal) = commit_on(&sales, &sales.state(), &main, "one").await;
    let proposal = Proposal { workspace: Some("w".to_owned()), ..proposal };
    let landed = sales.propose(&sales.state(), proposal).await.unwrap();
    assert!(matches!(landed, Proposed::Landed { seq: 2, .. }));
    drop(sales);

    let a = a.restart().await;
    let sales = a.sales().await;
    let (_, next) = commit_on(&sales, &sales.state(), &main, "two").await;
    let next = Proposal { workspace: Some("w".to_owned()), ..next };
    let error = sales.propose(&sales.state(), next.clone()).await.unwrap_err();
    assert!(matches!(error, RepoError::EarlierLanded { seq: 2 }), "{error}");
    for _ in 0..2 {
        assert_eq!(sales.settled("w").await.unwrap()[0].changes[0].target, Some(id));
    }
    sales.take_up("w").unwrap();
    assert_eq!(sales.settled("w").await.unwrap(), []);
    assert!(matches!(sales.propose(&sales.state(), next).await.unwrap(), Proposed::Landed { seq: 3, .. }));
}

/// Two daemons on copies of one state folder have the same nonces: the whole body tells them apart.
#[tokio::test]
async fn another_body_with_the_same_nonce_is_anothers() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let head = head_of(&sales, "main").await.1;
    let mine = entry_that_makes(&world, &a, "mine").await;
    let nonce = decode_entry(&mine).unwrap().nonce;
    put_entry(&world, &sales, |entry| entry.nonce = nonce).await;
    let dead = ProcessMark { started_ticks: 0, ..ProcessMark::of_this() };
    let db = RepoDb::open(a.mesh.state_dir(), dead).unwrap();
    let log = sales.info().uid.to_string();
    let workspaces = ["w".to_owned()];
    db.add_attempt(NewAttempt { log: &log, seq: 2, body: &mine, workspaces: &workspaces }).unwrap();
    assert!(!sales.settled("w").await.unwrap()[0].landed);
    sales.create_branch("mine", &head).await.unwrap();
}

/// A store that refuses the very first send did not write: that is a failure at once, not an unknown outcome.
#[tokio::test]
async fn a_refused_send_is_a_failure_at_once() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let head = head_of(&sales, "main").await.1;
    a.faults.plan(Verb::Create, "/log/", Fault::Denied, 1);
    let error = sales.create_branch("exp", &head).await.unwrap_err();
    assert!(matches!(error, RepoError::Store(_)), "{error}");
    assert_eq!(a.attempts(), []);
    assert_eq!(entries(&world, &sales).await.len(), 1);
}

/// The caller goes away while its entry is under way: the entry is settled all the same.
#[tokio::test]
async fn a_caller_that_gives_up_leaves_nothing_open() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let (_, head) = head_of(&sales, "main").await;
    a.faults.plan(Verb::Create, "/log/", Fault::Busy, 5);
    {
        let create = sales.create_branch("exp", &head);
        let mut create = std::pin::pin!(create);
        // Far enough for the entry to be stored and sent once.
        for _ in 0..3 {
            assert!(futures::poll!(create.as_mut()).is_pending());
            tokio::task::yield_now().await;
        }
    }
    let next = sales.create_branch("next", &head).await.unwrap();
    assert_eq!(next.created_seq as usize, entries(&world, &sales).await.len());
    assert_eq!(a.attempts(), []);
}

/// On a store that names a file before it syncs it, what was read back counts only when it is sure to stay: my own entry
/// whose reply was lost, another's that took my seq, and the entry that mine follows.
#[tokio::test]
async fn what_was_read_back_is_made_durable_before_it_counts() {
    let (world, a) = World::on_disk().with_sales().await;
    let theirs = a.sales().await;
    let head = head_of(&theirs, "main").await.1;
    let folder = tempfile::tempdir().unwrap();
    let (sys, _) = Sys::simulated(START_NANOS, 3);
    let faults = FaultStore::new(world.base.clone(), sys.clone());
    let store = Watched::new(Arc::new(faults.clone()));
    let mesh = Mesh::open(options(store.clone(), folder.path(), sys)).await.unwrap();
    let ours = mesh.domain(SALES).await.unwrap();
    let key = |seq| LogFiles::new(world.base.clone(), ours.place().log_prefix()).key(seq);

    faults.plan(Verb::Create, "/log/", Fault::LostReply, 1);
    ours.create_branch("two", &head).await.unwrap();
    assert_eq!(store.settled(), [key(1), key(2)], "the entry before, and my own");
    ours.create_branch("three", &head).await.unwrap();
    assert_eq!(store.settled(), [] as [String; 0], "entry 2 is known to stay");
    theirs.poll().await.unwrap();
    theirs.create_branch("four", &head).await.unwrap();
    ours.create_branch("five", &head).await.unwrap();
    assert_eq!(store.settled(), [key(4)], "the entry that took my seq, and that mine follows then");
    theirs.poll().await.unwrap();
    theirs.create_branch("six", &head).await.unwrap();
    ours.poll().await.unwrap();
    assert_eq!(store.settled(), [] as [String; 0], "reading alone costs no sync");
    ours.create_branch("seven", &head).await.unwrap();
    assert_eq!(store.settled(), [key(6)]);
}

/// Lets no outcome be stored in the machine's database, as a full disk does; gives what ends that.
fn let_no_outcome_be_stored(machine: &Machine) -> impl FnOnce() {
    let db = rusqlite::Connection::open(machine.repo_db()).unwrap();
    db.execute_batch("CREATE TRIGGER full BEFORE UPDATE ON attempts BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        .unwrap();
    move || db.execute_batch("DROP TRIGGER full").unwrap()
}

/// What landed is told as landed, and a lost race is run again, also when neither can be stored any more.
#[tokio::test]
async fn what_landed_is_no_failure_for_want_of_a_disk() {
    let (world, a) = World::in_memory().with_sales().await;
    let b = world.machine(2).await;
    let (sales, theirs) = (a.sales().await, b.sales().await);
    let head = head_of(&sales, "main").await.1;
    theirs.create_branch("theirs", &head).await.unwrap();
    let mend = let_no_outcome_be_stored(&a);
    assert_eq!(sales.create_branch("ours", &head).await.unwrap().created_seq, 3);
    assert_eq!(a.attempts(), [2, 3].map(|seq| (seq, "unknown".to_owned())));
    let error = sales.create_branch("next", &head).await.unwrap_err();
    assert!(matches!(error, RepoError::Db { .. }), "nothing more is sent before these are settled: {error}");
    mend();
    assert_eq!(sales.create_branch("next", &head).await.unwrap().created_seq, 4);
    assert_eq!(a.attempts(), []);
    assert_eq!(entries(&world, &sales).await.len(), 4);
}

/// A refused send that stays open in the database will go again: it has not failed.
#[tokio::test]
async fn a_refused_send_that_stays_open_is_no_failure() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let head = head_of(&sales, "main").await.1;
    let mend = let_no_outcome_be_stored(&a);
    a.faults.plan(Verb::Create, "/log/", Fault::Denied, 1);
    let error = sales.create_branch("exp", &head).await.unwrap_err();
    assert!(matches!(error, RepoError::OutcomeUnknown { seq: 2, .. }), "{error}");
    mend();
    sales.create_branch("next", &head).await.unwrap();
    let names: Vec<_> = changes(&world, &sales).await.into_iter().map(|change| change.name.name).collect();
    assert_eq!(names, ["main", "exp", "next"]);
}

/// A disk may refuse after the entry got its name: unless the seq was seen empty, the outcome is unknown.
#[tokio::test]
async fn a_refusal_that_cannot_be_looked_at_is_no_failure() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let head = head_of(&sales, "main").await.1;
    a.faults.plan(Verb::Create, "/log/", Fault::Denied, 1);
    a.faults.plan(Verb::Get, "/log/", Fault::Denied, 1);
    let error = sales.create_branch("exp", &head).await.unwrap_err();
    assert!(matches!(error, RepoError::OutcomeUnknown { seq: 2, .. }), "{error}");
    assert_eq!(a.attempts(), [(2, "unknown".to_owned())]);
    sales.create_branch("next", &head).await.unwrap();
    let names: Vec<_> = changes(&world, &sales).await.into_iter().map(|change| change.name.name).collect();
    assert_eq!(names, ["main", "exp", "next"]);
    assert_eq!(a.attempts(), []);
}
