//! Programs that publish a whole file under its name at once: by renaming, by linking, by exchanging.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, WriteMultipart};

use super::journey::{Journey, Tree};

/// Writers that race to make the same object.
const WRITERS: usize = 16;

/// Objects that they race for, one after the other.
const RACES: usize = 20;

fn store(tree: Tree<'_>) -> LocalFileSystem {
    fs::create_dir_all(tree.path().join("objects")).expect("a folder");
    LocalFileSystem::new_with_prefix(tree.path().join("objects")).expect("a store in a folder").with_fsync(true)
}

fn race_key(race: usize) -> Key {
    Key::from(format!("races/{race}"))
}

/// A store of objects in the working tree: each is written whole by its first writer, or replaced whole.
#[test]
fn object_store_creates_by_linking_and_replaces_by_renaming() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let journey = Journey::new();
    let objects = Arc::new(store(journey.here()));
    runtime.block_on(async {
        for race in 0..RACES {
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let objects = objects.clone();
                    let body = vec![writer as u8; 1000 + writer];
                    tokio::spawn(
                        async move { objects.put_opts(&race_key(race), body.into(), PutMode::Create.into()).await },
                    )
                })
                .collect();
            let mut won = 0;
            for writer in writers {
                match writer.await.unwrap() {
                    Ok(_) => won += 1,
                    Err(Error::AlreadyExists { .. }) => {}
                    Err(error) => panic!("race {race}: {error}"),
                }
            }
            assert_eq!(won, 1, "race {race}");
        }
        for round in 0..50_u8 {
            objects.put(&Key::from("replaced"), vec![round; 100_000].into()).await.unwrap();
        }
        let upload = objects.put_multipart(&Key::from("parts")).await.unwrap();
        let mut parts = WriteMultipart::new_with_chunk_size(upload, 1 << 20);
        (0..5_u8).for_each(|part| parts.write(&vec![part; 700_000]));
        parts.finish().await.unwrap();
        objects.copy(&Key::from("parts"), &Key::from("copy")).await.unwrap();
        let again = objects.copy_if_not_exists(&Key::from("parts"), &Key::from("copy")).await;
        assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{again:?}");
        objects.rename(&Key::from("copy"), &Key::from("moved")).await.unwrap();
    });
    drop(objects);
    journey.travel(|tree| runtime.block_on(check_objects(&store(tree))));
}

async fn check_objects(objects: &LocalFileSystem) {
    for race in 0..RACES {
        let body = objects.get(&race_key(race)).await.unwrap().bytes().await.unwrap();
        assert_eq!(body, vec![body[0]; 1000 + usize::from(body[0])], "race {race}: one writer's, whole");
    }
    assert_eq!(objects.get(&Key::from("replaced")).await.unwrap().bytes().await.unwrap(), vec![49; 100_000]);
    assert_eq!(
        objects.get_range(&Key::from("moved"), 1_399_999..1_400_001).await.unwrap(),
        Bytes::from_static(&[1, 2])
    );
    let mut keys: Vec<_> = objects.list(None).map_ok(|object| object.location.to_string()).try_collect().await.unwrap();
    keys.retain(|key| !key.starts_with("races/"));
    keys.sort();
    assert_eq!(keys, ["moved", "parts", "replaced"], "no half-written file is left");
}

/// As editors save: a new file takes the name of the old, which stays as it was for who has it open.
#[test]
fn editors_save_by_renaming() {
    let journey = Journey::new();
    journey.here().shell("printf 'one\\nline\\n' > note; chmod 640 note; ln note other-name; rm other-name");
    journey.commit();
    let mut reader = File::open(journey.here().path().join("note")).unwrap();
    let before = reader.metadata().unwrap().ino();
    journey.here().shell(
        "before=$(stat -c %i note); vim.tiny -N -u NONE -es -c 'set backupskip= backup backupcopy=no' -c '%s/one/vi/' -c wq note
         [ \"$(head -1 note)\" = vi ]; [ \"$(head -1 note~)\" = one ]; [ $(stat -c %i note) != $before ]; [ $(stat -c %a note) = 640 ]
         before=$(stat -c %i note); vim.tiny -N -u NONE -es -c 'set backupskip= backupcopy=yes' -c '%s/vi/copied/' -c wq note
         [ \"$(head -1 note)\" = copied ]; [ $(stat -c %i note) = $before ]
         sed -i 's/copied/sed/' note; perl -pi.orig -e 's/sed/perl/' note; [ \"$(head -1 note)\" = perl ]; [ \"$(head -1 note.orig)\" = sed ]
         # Emacs: the old file becomes the backup, the new one is written under the name.
         mv note note.~1~; printf 'emacs\\nline\\n' > note; chmod 640 note
         # Many others: written beside, synced, renamed over.
         for i in $(seq 50); do printf \"$i\\nline\\n\" > .note.tmp; sync .note.tmp; mv .note.tmp note; [ \"$(head -1 note)\" = $i ]; done",
    );
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "one\nline\n", "who had it open reads what it opened");
    let about = reader.metadata().unwrap();
    assert_eq!((about.ino(), about.len()), (before, 9));
    drop(reader);
    journey.travel(|tree| {
        assert_eq!(tree.shell("head -qn1 note note~ note.orig note.~1~; ls -A | wc -l"), "50\none\nsed\nperl\n4\n");
    });
    journey.travel_back(
        |tree| drop(tree.shell("vim.tiny -N -u NONE -es -c 'set backupskip=' -c '%s/50/there/' -c wq note")),
        |tree| assert_eq!(tree.shell("cat note"), "there\nline\n"),
    );
}

/// A rename over a file that is open leaves its reader the old one, also where both are committed.
/// Proves F5.
#[test]
fn a_file_renamed_over_lives_on_without_a_name() {
    let journey = Journey::new();
    journey.here().shell("echo old > current; echo new > next; mkdir dir; echo inside > dir/file");
    journey.commit();
    journey.remount_cold();
    let folder = journey.here().path();
    let mut reader = File::open(folder.join("current")).unwrap();
    fs::rename(folder.join("next"), folder.join("current")).unwrap();
    assert_eq!(reader.metadata().unwrap().nlink(), 0);
    journey.commit();
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "old\n");
    drop(reader);
    journey.travel(|tree| assert_eq!(tree.shell("cat current; ls"), "new\ncurrent\ndir\n"));
}
