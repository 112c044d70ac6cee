//! What programs never sync becomes durable by itself, as on a local disk.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::Vfs;
use super::domain::DomainNode;
use crate::sys::task;

/// How long a write that nobody syncs may be lost to a power loss: ext4's own interval between commits.
const INTERVAL: Duration = Duration::from_secs(5);

/// Flushes what is staged, every interval, until the mount is gone.
pub async fn flush_while_alive(vfs: Weak<Vfs>) {
    loop {
        let Some(clock) = vfs.upgrade().map(|vfs| vfs.clock()) else { return };
        clock.sleep(INTERVAL).await;
        let Some(vfs) = vfs.upgrade() else { return };
        vfs.flush_once().await;
    }
}

impl Vfs {
    /// Makes what is staged in every branch that was entered survive a power loss.
    pub async fn flush_once(&self) {
        let domains: Vec<Arc<DomainNode>> = self.domains.lock().values().cloned().collect();
        for branch in domains.iter().flat_map(|domain| domain.known_branches()) {
            let Some(workspace) = branch.entered().cloned() else { continue };
            if let Err(error) = task::blocking(move || workspace.flush()).await {
                tracing::warn!(branch = branch.name(), %error, "what is staged cannot be brought to disk");
            }
        }
    }
}
