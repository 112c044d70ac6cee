//! News of other machines: looking at the logs of domains in use, and taking clean working trees along.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::Vfs;
use super::branch::Branch;
use super::domain::DomainNode;

/// A domain is in use this long after anything touched it.
const IN_USE: Duration = Duration::from_secs(600);

/// Looks at the domains in use, every interval, until the mount is gone.
pub async fn poll_while_alive(vfs: Weak<Vfs>) {
    loop {
        let Some((clock, interval)) = vfs.upgrade().map(|vfs| (vfs.clock(), vfs.options.poll)) else { return };
        clock.sleep(interval).await;
        let Some(vfs) = vfs.upgrade() else { return };
        vfs.poll_once().await;
    }
}

impl Vfs {
    /// Looks at each domain in use once, and takes its clean working trees along.
    pub async fn poll_once(&self) {
        let now = self.clock().elapsed();
        let domains: Vec<Arc<DomainNode>> = self.domains.lock().values().cloned().collect();
        let in_use = domains.iter().filter(|domain| domain.freshness().is_in_use(now, IN_USE));
        futures::future::join_all(in_use.map(|domain| self.poll_domain(domain))).await;
    }

    async fn poll_domain(&self, domain: &DomainNode) {
        if let Err(error) = domain.look(&*self.clock()).await {
            tracing::debug!(domain = domain.name(), %error, "no news");
        }
        // Also without news: a tree that was dirty when its branch moved may be clean now.
        self.follow(domain).await;
    }

    /// [`Vfs::follow`] in the background, for operations: what they hold in the kernel must not be waited for here.
    pub(super) fn follow_soon(&self, domain: Arc<DomainNode>) {
        let me = self.me();
        self.runtime.spawn(async move {
            if let Some(vfs) = me.upgrade() {
                vfs.follow(&domain).await;
            }
        });
    }

    async fn follow(&self, domain: &DomainNode) {
        self.outdate_branches(domain).await;
        for branch in domain.known_branches() {
            self.follow_branch(&branch).await;
        }
    }

    async fn follow_branch(&self, branch: &Branch) {
        let (Some(workspace), Some(head)) = (branch.entered(), branch.head()) else { return };
        if workspace.head() == head {
            return;
        }
        // Tells the kernel itself what is no longer so.
        if let Err(error) = workspace.follow().await {
            tracing::debug!(branch = branch.name(), %error, "does not follow");
        }
    }
}
