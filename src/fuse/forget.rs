//! Tells the kernel what to forget, from a thread of its own: the kernel takes locks for it that an operation being
//! served may hold.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::mpsc;

use fuser::{INodeNo, Notifier};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::sys;
use crate::vfs::node::{KernelCache, Outdated};

/// An offset below 0 says that only attributes are meant.
const ATTRIBUTES_ONLY: i64 = -1;

/// A length of 0 reaches to the end.
const TO_THE_END: i64 = 0;

struct Batch {
    outdated: Vec<Outdated>,
    done: oneshot::Sender<()>,
}

/// The kernel's caches of one mount.
#[derive(Debug)]
pub struct Forgetter {
    batches: Mutex<mpsc::Sender<Batch>>,
}

impl Forgetter {
    /// Starts the thread; it ends when this is dropped.
    pub fn start(notifier: Notifier) -> io::Result<Forgetter> {
        let (sender, batches) = mpsc::channel::<Batch>();
        sys::task::thread("meshfs-forget", move || {
            for batch in batches {
                for outdated in &batch.outdated {
                    if let Err(error) = tell(&notifier, outdated) {
                        // Ends with the mount; until then the kernel knows at most what it need not forget.
                        tracing::debug!("the kernel does not forget {outdated:?}: {error}");
                    }
                }
                batch.done.send(()).ok();
            }
        })?;
        Ok(Forgetter { batches: Mutex::new(sender) })
    }
}

impl KernelCache for Forgetter {
    fn forget(&self, outdated: Vec<Outdated>, done: oneshot::Sender<()>) {
        // Fails only when the thread is gone; `done` is dropped then, which its receiver sees.
        self.batches.lock().send(Batch { outdated, done }).ok();
    }
}

fn tell(notifier: &Notifier, outdated: &Outdated) -> io::Result<()> {
    match outdated {
        Outdated::Name { parent, name } => notifier.inval_entry(INodeNo(*parent), OsStr::from_bytes(name)),
        Outdated::Attributes { ino } => notifier.inval_inode(INodeNo(*ino), ATTRIBUTES_ONLY, TO_THE_END),
        Outdated::Pages { ino } => notifier.inval_inode(INodeNo(*ino), 0, TO_THE_END),
    }
}
