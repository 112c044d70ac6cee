//! Which workspaces move when their branch does.

use std::sync::Arc;

use meshfs::workspace::observer::{BaseObserver, Invalidation};
use meshfs::workspace::refresh::Refreshed;
use parking_lot::Mutex;

use crate::support::*;

#[tokio::test]
async fn a_clean_workspace_follows_and_a_dirty_one_stays() {
    let (_world, a, b) = two().await;
    a.write("x", "1").await;
    a.commit().await;
    assert!(!b.workspace.follow().await.unwrap(), "it has not heard of it");
    b.domain.poll().await.unwrap();
    assert!(b.workspace.follow().await.unwrap());
    assert_eq!(b.all().await, all(&[("x", "1")]));
    assert!(!b.workspace.follow().await.unwrap());

    b.write("y", "2").await;
    a.write("x", "3").await;
    let head = a.commit().await;
    b.domain.poll().await.unwrap();
    assert!(!b.workspace.follow().await.unwrap());
    assert_eq!(b.all().await, all(&[("x", "1"), ("y", "2")]));
    assert!(matches!(b.refresh(None, &[]).await, Refreshed::Moved { to, .. } if to == head));
    assert_eq!(b.all().await, all(&[("x", "3"), ("y", "2")]));
    assert!(matches!(b.refresh(None, &[]).await, Refreshed::Current));
}

#[tokio::test]
async fn a_file_open_for_writing_keeps_the_workspace_where_it_is() {
    let (_world, a, b) = two().await;
    a.write("x", "1").await;
    a.commit().await;
    b.refresh(None, &[]).await;
    let file = b.open("x", true, false).await.unwrap();
    a.write("x", "2").await;
    a.commit().await;
    b.domain.poll().await.unwrap();
    assert!(!b.workspace.follow().await.unwrap());
    drop(file);
    assert!(b.workspace.follow().await.unwrap());
    assert_eq!(b.all().await, all(&[("x", "2")]));
}

#[tokio::test]
async fn an_open_file_keeps_the_version_it_opened() {
    let (_world, a, b) = two().await;
    a.write("x", "1").await;
    a.commit().await;
    b.refresh(None, &[]).await;
    let file = b.open("x", false, false).await.unwrap();
    a.write("x", "2").await;
    a.commit().await;
    b.refresh(None, &[]).await;
    assert_eq!(read_all(&b.workspace, &file).await.unwrap(), "1");
    assert_eq!(b.all().await, all(&[("x", "2")]));
}

struct Seen(Mutex<Vec<Invalidation>>);

impl BaseObserver for Seen {
    fn changed(&self, what: &[Invalidation]) {
        self.0.lock().extend_from_slice(what);
    }
}

#[tokio::test]
async fn what_is_held_and_changed_is_told() {
    let (_world, a, b) = two().await;
    for at in ["d/x", "d/y", "e/z"] {
        a.write(at, "1").await;
    }
    a.commit().await;
    b.refresh(None, &[]).await;
    let (dir, _file) = (b.workspace.lookup_path(&path("d")).unwrap(), b.workspace.lookup_path(&path("d/x")).unwrap());
    let seen = Arc::new(Seen(Mutex::new(Vec::new())));
    b.workspace.observe(seen.clone());
    a.write("d/x", "2").await;
    a.write("e/z", "2").await;
    a.commit().await;
    b.refresh(None, &[]).await;
    let told = seen.0.lock().clone();
    assert!(told.contains(&Invalidation::Entry { parent: dir.ino, name: b"x".to_vec() }), "{told:?}");
    let untouched = Invalidation::Entry { parent: dir.ino, name: b"y".to_vec() };
    assert!(!told.contains(&untouched), "{told:?}");
}
