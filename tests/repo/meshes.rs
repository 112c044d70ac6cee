//! Meshes and their domains.

use futures::future::join_all;
use meshfs::repo::error::RepoError;
use meshfs::repo::log::LogFiles;
use meshfs::repo::mesh::{Mesh, NewDomain};
use meshfs::storage::fault::Fault;
use meshfs::telemetry::counters::Verb;

use super::world::*;

fn named(name: &str) -> NewDomain {
    NewDomain { name: name.to_owned(), owner: Some("team".to_owned()), description: None }
}

#[tokio::test]
async fn a_mesh_is_made_once() {
    for world in [World::in_memory(), World::on_disk()] {
        let error = world.machine_by(1, Mesh::open).await.err().unwrap();
        assert!(matches!(error, RepoError::NoMesh { .. }), "{error}");
        let a = world.machine_by(1, Mesh::init).await.unwrap();
        let error = world.machine_by(2, Mesh::init).await.err().unwrap();
        assert!(matches!(&error, RepoError::MeshExists { uid, .. } if *uid == a.mesh.uid().to_string()), "{error}");
        let b = world.machine(3).await;
        assert_eq!((b.mesh.uid(), b.mesh.constants()), (a.mesh.uid(), a.mesh.constants()));
    }
}

/// Of machines that make a mesh at the same time one succeeds, and all others learn whose it is.
#[tokio::test]
async fn racing_inits_make_one_mesh() {
    let world = World::in_memory();
    let made = join_all((0..8).map(|seed| world.machine_by(seed, Mesh::init))).await;
    let winners: Vec<_> = made.iter().filter_map(|made| made.as_ref().ok()).collect();
    assert_eq!(winners.len(), 1);
    let uid = winners[0].mesh.uid().to_string();
    for error in made.iter().filter_map(|made| made.as_ref().err()) {
        assert!(matches!(error, RepoError::MeshExists { uid: theirs, .. } if *theirs == uid), "{error}");
    }
}

#[tokio::test]
async fn a_new_domain_has_one_branch_at_an_empty_root_commit() {
    for world in [World::in_memory(), World::on_disk()] {
        let a = world.machine_by(1, Mesh::init).await.unwrap();
        a.mesh.create_domain(named("sales")).await.unwrap();
        let b = world.machine(2).await;
        let sales = b.mesh.domain("sales").await.unwrap();
        assert_eq!((sales.info().default_branch.as_str(), sales.info().owner.as_deref()), ("main", Some("team")));
        let state = sales.state();
        assert_eq!((state.seq, state.refs.refs.len()), (1, 1));
        let snapshot = sales.snapshot(&state.branch("main").unwrap().1.target).await.unwrap();
        assert_eq!((snapshot.commit.parents.len(), snapshot.commit.generation, snapshot.commit.first_seq), (0, 0, 1));
        assert_eq!(snapshot.root.entry.as_dir().unwrap().counts.entries, 0);
    }
}

#[tokio::test]
async fn domains_are_listed_shown_and_deleted_everywhere() {
    let world = World::in_memory();
    let a = world.machine_by(1, Mesh::init).await.unwrap();
    let b = world.machine(2).await;
    let sales = a.mesh.create_domain(named("sales")).await.unwrap();
    a.mesh.create_domain(named("hr")).await.unwrap();
    let names = |domains: Vec<meshfs::model::log::DomainInfo>| domains.into_iter().map(|d| d.name).collect::<Vec<_>>();
    assert_eq!(names(b.mesh.known_domains()), [] as [&str; 0]);
    assert_eq!(b.mesh.domain("sales").await.unwrap().info(), sales.info());
    assert_eq!(names(b.mesh.domains().await.unwrap()), ["hr", "sales"]);
    b.mesh.delete_domain("sales").await.unwrap();
    assert!(b.mesh.opened_domain("sales").is_none());
    assert!(a.mesh.opened_domain("sales").is_some(), "not polled yet");
    assert!(a.mesh.poll().await.unwrap());
    assert!(a.mesh.opened_domain("sales").is_none());
    let error = a.mesh.domain("sales").await.unwrap_err();
    assert!(matches!(error, RepoError::NoDomain(_)), "{error}");
    let error = a.mesh.delete_domain("sales").await.unwrap_err();
    assert!(matches!(error, RepoError::NoDomain(_)), "{error}");
}

/// A domain deleted and made again is another: its own uid, prefix and log. The old one's objects stay.
#[tokio::test]
async fn a_domain_made_again_is_another() {
    let (world, a) = World::in_memory().with_sales().await;
    let old = a.sales().await;
    let head = head_of(&old, "main").await.1;
    old.create_branch("exp", &head).await.unwrap();
    a.mesh.delete_domain(SALES).await.unwrap();
    let new = a.mesh.create_domain(named(SALES)).await.unwrap();
    assert_ne!((old.info().uid, &old.place().prefix), (new.info().uid, &new.place().prefix));
    assert_eq!(new.state().seq, 1);
    assert_eq!(a.sales().await.info(), new.info());
    assert_eq!(entries(&world, &old).await.len(), 2);
    // A machine that knew the old one deletes nothing by its name.
    let b = world.machine(2).await;
    assert_eq!(b.sales().await.info().uid, new.info().uid);
}

#[tokio::test]
async fn domain_names_are_checked_and_taken_once() {
    let (world, a) = World::in_memory().with_sales().await;
    let error = a.mesh.create_domain(named(SALES)).await.unwrap_err();
    assert!(matches!(error, RepoError::DomainExists(_)), "{error}");
    let text = a.mesh.create_domain(named("a/b")).await.unwrap_err().to_string();
    assert!(text.contains("no `/`"), "{text}");
    // Two machines that both believe that the name is free.
    let b = world.machine(2).await;
    let made = futures::join!(a.mesh.create_domain(named("hr")), b.mesh.create_domain(named("hr")));
    let errors: Vec<_> = [made.0.err(), made.1.err()].into_iter().flatten().collect();
    assert_eq!(errors.len(), 1);
    assert!(matches!(errors[0], RepoError::DomainExists(_)), "{}", errors[0]);
}

/// The reply to a domain's entry is lost: it is there once all the same.
#[tokio::test]
async fn a_lost_reply_makes_one_domain() {
    let (world, a) = World::in_memory().with_sales().await;
    a.faults.plan(Verb::Create, "mesh/", Fault::LostReply, 1);
    a.mesh.create_domain(named("hr")).await.unwrap();
    assert_eq!(a.attempts(), []);
    assert_eq!(world.machine(2).await.mesh.known_domains().len(), 2);
}

/// A crash in the middle leaves no domain that is listed and cannot be opened; the name stays free.
#[tokio::test]
async fn a_domain_that_was_half_made_is_not_listed() {
    let (world, a) = World::in_memory().with_sales().await;
    for key in ["/packs/", "/commits/"] {
        a.faults.plan(Verb::Put, key, Fault::Denied, 1);
        a.mesh.create_domain(named("hr")).await.unwrap_err();
    }
    a.faults.plan(Verb::Create, "/log/", Fault::Denied, 1);
    a.mesh.create_domain(named("hr")).await.unwrap_err();
    a.faults.plan(Verb::Create, "mesh/", Fault::Denied, 1);
    a.mesh.create_domain(named("hr")).await.unwrap_err();
    assert_eq!(world.machine(2).await.mesh.domains().await.unwrap().len(), 1);
    let hr = a.mesh.create_domain(named("hr")).await.unwrap();
    assert_eq!(hr.info().created_seq, 3);
}

/// What an earlier process left open on the mesh log is settled before the next entry.
#[tokio::test]
async fn an_open_attempt_on_the_mesh_log_is_finished() {
    let (world, a) = World::in_memory().with_sales().await;
    a.faults.plan(Verb::Create, "mesh/", Fault::Timeout, usize::MAX);
    let error = a.mesh.create_domain(named("hr")).await.err().unwrap();
    assert!(matches!(error, RepoError::OutcomeUnknown { seq: 3, .. }), "{error}");
    a.faults.calm();
    let a = a.restart().await;
    assert_eq!(a.attempts(), [(3, "unknown".to_owned())]);
    a.mesh.create_domain(named("it")).await.unwrap();
    assert_eq!(a.attempts(), []);
    let names: Vec<_> = world.machine(2).await.mesh.known_domains().into_iter().map(|d| d.name).collect();
    assert_eq!(names, ["hr", "it", "sales"]);
}

/// Many domains: the table no longer stands in every entry, and is rebuilt all the same.
#[tokio::test]
async fn a_mesh_of_many_domains_reads_the_same() {
    let world = World::in_memory();
    let a = world.machine_by(1, Mesh::init).await.unwrap();
    for number in 0..80 {
        a.mesh.create_domain(named(&format!("d{number:02}"))).await.unwrap();
        if number % 3 == 2 {
            a.mesh.delete_domain(&format!("d{:02}", number - 1)).await.unwrap();
        }
    }
    let b = world.machine(2).await;
    assert_eq!(b.mesh.known_domains(), a.mesh.known_domains());
    assert_eq!(b.mesh.known_domains().len(), 80 - 26);
}

/// A store that cannot hold a mesh is refused before anything is made on it.
#[tokio::test]
async fn a_store_without_conditional_puts_holds_no_mesh() {
    let world = World::in_memory();
    let (sys, _) = meshfs::sys::Sys::simulated(START_NANOS, 1);
    let faults = meshfs::storage::fault::FaultStore::new(world.base.clone(), sys.clone());
    faults.plan(Verb::Create, "", Fault::Denied, usize::MAX);
    let folder = tempfile::tempdir().unwrap();
    let store = std::sync::Arc::new(faults);
    let text = Mesh::init(options(store, folder.path(), sys)).await.unwrap_err().to_string();
    assert!(text.contains("no mesh can be made"), "{text}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    assert!(world.base.list("", None, 10).await.unwrap().is_empty());
}

/// A rule that deletes old objects takes the first entry first: the mesh is no longer mounted.
#[tokio::test]
async fn a_mesh_that_lost_its_first_entry_is_refused() {
    let (world, a) = World::in_memory().with_sales().await;
    a.mesh.check_beginning().await.unwrap();
    let files = meshfs::repo::log::LogFiles::new(world.base.clone(), "mesh/".to_owned());
    world.base.delete(&files.key(1)).await.unwrap();
    let text = world.machine(2).await.mesh.check_beginning().await.unwrap_err().to_string();
    assert!(text.contains("lifecycle rule"), "{text}");
}

/// Puts an entry after the newest of the mesh log, as a later version would write it.
async fn put_mesh_entry(world: &World, machine: &Machine, make: impl FnOnce(&mut serde_json::Value)) {
    let files = LogFiles::new(world.base.clone(), "mesh/".to_owned());
    machine.mesh.poll().await.unwrap();
    let (seq, body) = files.newest(0).await.unwrap().unwrap();
    let mut entry: serde_json::Value = serde_json::from_slice(&body).unwrap();
    entry["seq"] = (seq + 1).into();
    entry["changes"] = serde_json::json!([]);
    make(&mut entry);
    files.create(seq + 1, entry.to_string().into()).await.unwrap();
    machine.mesh.poll().await.unwrap();
}

/// Each entry of the mesh log is all that a newcomer reads, so what a later version put into it is in the next one too.
#[tokio::test]
async fn unknown_fields_of_the_mesh_log_are_passed_on() {
    let (world, a) = World::in_memory().with_sales().await;
    put_mesh_entry(&world, &a, |entry| entry["melody"] = serde_json::json!({ "key": "a" })).await;
    for (machine, name) in [(&a, "hr"), (&world.machine(2).await, "it")] {
        machine.mesh.create_domain(named(name)).await.unwrap();
        let newest = LogFiles::new(world.base.clone(), "mesh/".to_owned()).newest(0).await.unwrap().unwrap().1;
        let newest: serde_json::Value = serde_json::from_slice(&newest).unwrap();
        assert_eq!(newest["melody"], serde_json::json!({ "key": "a" }));
    }
}

/// What the mesh needs of its writers binds those of each domain.
#[tokio::test]
async fn a_mesh_that_needs_more_of_writers_has_its_domains_left_alone() {
    let (world, a) = World::in_memory().with_sales().await;
    let sales = a.sales().await;
    let head = head_of(&sales, "main").await.1;
    put_mesh_entry(&world, &a, |entry| entry["features"]["write"] = serde_json::json!(["colours"])).await;
    let branch = sales.create_branch("exp", &head).await.unwrap_err();
    let domain = a.mesh.create_domain(named("hr")).await.err().unwrap();
    for error in [branch, domain] {
        let RepoError::Unsupported { purpose: "writing", features, .. } = &error else { panic!("{error}") };
        assert_eq!(features, &["colours"]);
    }
    assert_eq!(entries(&world, &sales).await.len(), 1);
    let packs = world.base.list("domains/hr", None, 10).await.unwrap();
    assert!(packs.is_empty(), "{packs:?}");
}

/// A table of domains that no entry could carry would stop every change of the mesh for good.
#[tokio::test]
async fn a_full_list_of_domains_takes_no_more_and_gives_some_back() {
    let (world, a) = World::in_memory().with_sales().await;
    let long = |name: &str| NewDomain { description: Some("x".repeat(1 << 20)), ..named(name) };
    for number in 0..7 {
        a.mesh.create_domain(long(&format!("d{number}"))).await.unwrap();
    }
    let error = a.mesh.create_domain(long("d7")).await.err().unwrap();
    assert!(matches!(error, RepoError::Refused(_)) && error.to_string().contains("delete"), "{error}");
    a.mesh.delete_domain("d0").await.unwrap();
    a.mesh.create_domain(long("d7")).await.unwrap();
    assert_eq!(world.machine(2).await.mesh.known_domains(), a.mesh.known_domains());
}
