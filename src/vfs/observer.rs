//! What changed in a working tree by itself, passed on to the kernel.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::oneshot;

use super::Vfs;
use super::branch::Branch;
use super::node::Outdated;
use crate::workspace::observer::{BaseObserver, Invalidation};

/// Longest that a change waits for the kernel to forget: operations that hold its locks end within their deadlines.
const FORGETTING_MAX: Duration = Duration::from_secs(60);

/// Listens to the workspace of one branch.
#[derive(Debug)]
pub struct Observer {
    vfs: Weak<Vfs>,
    branch: Weak<Branch>,
}

impl Observer {
    pub fn new(vfs: Weak<Vfs>, branch: &Arc<Branch>) -> Observer {
        Observer { vfs, branch: Arc::downgrade(branch) }
    }
}

impl BaseObserver for Observer {
    fn changed(&self, what: &[Invalidation]) {
        let (Some(vfs), Some(branch)) = (self.vfs.upgrade(), self.branch.upgrade()) else { return };
        let outdated = outdated(&branch, what);
        if let Some(done) = vfs.ask_kernel(outdated) {
            wait(&vfs, done);
        }
    }
}

/// The same in the kernel's numbers. A directory's listing goes whole: the kernel may hold it without the names in it.
fn outdated(branch: &Branch, what: &[Invalidation]) -> Vec<Outdated> {
    let mut listings = HashSet::new();
    let mut outdated: Vec<Outdated> = what
        .iter()
        .map(|invalidation| match invalidation {
            Invalidation::Entry { parent, name } => {
                let parent = branch.outer(*parent);
                branch.listings().changed(parent);
                listings.insert(parent);
                Outdated::Name { parent, name: name.clone() }
            }
            Invalidation::Attributes { ino } => Outdated::Attributes { ino: branch.outer(*ino) },
            Invalidation::Data { ino } => Outdated::Pages { ino: branch.outer(*ino) },
        })
        .collect();
    outdated.extend(listings.into_iter().map(|ino| Outdated::Pages { ino }));
    outdated
}

/// Blocks, also where tasks run: then others take over the thread's tasks.
fn wait(vfs: &Vfs, done: oneshot::Receiver<()>) {
    let clock = vfs.clock();
    let runtime = vfs.runtime().clone();
    let wait = move || {
        runtime.block_on(async {
            if crate::sys::clock::within(&*clock, FORGETTING_MAX, done).await.is_none() {
                tracing::warn!("the kernel did not forget within {} s what changed", FORGETTING_MAX.as_secs());
            }
        });
    };
    match Handle::try_current().map(|current| current.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(wait),
        // A runtime of one thread cannot wait in itself; the kernel is told all the same, only later.
        Ok(_) => {}
        Err(_) => wait(),
    }
}

impl Vfs {
    /// Asks the kernel to forget; tells when it has. None when no kernel is there or nothing is to be forgotten.
    pub(super) fn ask_kernel(&self, outdated: Vec<Outdated>) -> Option<oneshot::Receiver<()>> {
        let kernel = self.kernel.read().clone().filter(|_| !outdated.is_empty())?;
        let (done, forgotten) = oneshot::channel();
        kernel.forget(outdated, done);
        Some(forgotten)
    }

    /// Returns when the kernel has forgotten `outdated`.
    pub(super) async fn kernel_forgets(&self, outdated: Vec<Outdated>) {
        if let Some(forgotten) = self.ask_kernel(outdated) {
            // An error says that the mount is gone, and with it what there was to forget.
            forgotten.await.ok();
        }
    }
}
