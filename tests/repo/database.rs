//! `repo.db`: shared by processes, refused when a later version made it, labels never raised.

use std::sync::Arc;

use meshfs::model::id::{ChunkId, Codec, Location, PackName, Uid};
use meshfs::repo::db::{NewAttempt, Outcome, RepoDb};
use meshfs::repo::error::RepoError;
use meshfs::sys::mark::ProcessMark;

const DOMAIN: Uid = Uid([1; 16]);

fn open(folder: &tempfile::TempDir) -> Arc<RepoDb> {
    RepoDb::open(folder.path(), ProcessMark::of_this()).unwrap()
}

fn at(pack: u8, offset: u64) -> Location {
    Location { pack: PackName([pack; 16]), offset, len: 100, codec: Codec::Zstd }
}

/// A re-send never makes what was sent look newer than it is: a collection since the first label may have condemned it.
#[test]
fn labels_of_sent_chunks_are_never_raised() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(&folder);
    let (one, two) = (ChunkId([1; 32]), ChunkId([2; 32]));
    db.add_sent(&DOMAIN, 3, &[(one, at(1, 0))]).unwrap();
    db.add_sent(&DOMAIN, 5, &[(one, at(2, 0)), (two, at(2, 100))]).unwrap();
    let found = db.find_sent(&DOMAIN, &[one, two]).unwrap();
    assert_eq!((found[&one].location, found[&one].epoch), (at(1, 0), 3));
    assert_eq!((found[&two].location, found[&two].epoch), (at(2, 100), 5));
    assert!(db.find_sent(&Uid([9; 16]), &[one, two]).unwrap().is_empty());
    db.forget_sent(&DOMAIN, &[PackName([1; 16])]).unwrap();
    assert_eq!(db.find_sent(&DOMAIN, &[one, two]).unwrap().len(), 1);
    db.add_sent(&DOMAIN, 6, &[(one, at(3, 0))]).unwrap();
    assert_eq!(db.find_sent(&DOMAIN, &[one]).unwrap()[&one].epoch, 6);
}

/// Several processes write at the same time, as a daemon and command lines do: none is told that the file is busy.
#[test]
fn processes_share_the_database() {
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let folder = &folder;
            scope.spawn(move || {
                let db = open(folder);
                for number in 0..25 {
                    let (log, body) = (thread.to_string(), [0; 10]);
                    let id =
                        db.add_attempt(NewAttempt { log: &log, seq: number, body: &body, workspaces: &[] }).unwrap();
                    assert_eq!(db.outcome(id).unwrap(), Some(Outcome::Unknown));
                    if number % 5 > 0 {
                        db.set_outcome(id, Outcome::Landed).unwrap();
                    }
                }
            });
        }
    });
    let db = open(&folder);
    for thread in 0..4 {
        let open = db.open_attempts(&thread.to_string()).unwrap();
        assert_eq!(open.iter().map(|attempt| attempt.seq).collect::<Vec<_>>(), [0, 5, 10, 15, 20]);
    }
}

#[test]
fn a_later_versions_file_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&folder));
    let path = folder.path().join("repo.db");
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = RepoDb::open(folder.path(), ProcessMark::of_this()).unwrap_err();
    let RepoError::Db { source, .. } = &error else { panic!("{error}") };
    assert!(source.to_string().contains("later version"), "{error}");
}
