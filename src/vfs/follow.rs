//! News of other machines: looking at the logs of domains in use, and taking clean working trees along.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::Vfs;
use super::branch::Branch;
use super::domain::DomainNode;

/// A domain is in use this long after anything touched it.
const IN_USE: Duration = Duration::from_secs(600);

/// Every opened domain is looked at this often: who reads what a collection takes away must hear of its fence in half
/// the readers' grace.
const LOOK_AGE_MAX: Duration = Duration::from_secs(3600);

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
    /// Looks at each domain in use once, at the others once an hour, and takes its clean working trees along.
    pub async fn poll_once(&self) {
        let now = self.clock().elapsed();
        let domains: Vec<Arc<DomainNode>> = self.domains.lock().values().cloned().collect();
        let due = domains.iter().filter(|domain| {
            let freshness = domain.freshness();
            freshness.is_in_use(now, IN_USE) || !freshness.is_fresh(now, LOOK_AGE_MAX)
        });
        futures::future::join_all(due.map(|domain| self.poll_domain(domain))).await;
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
        let Some(workspace) = branch.entered() else { return };
        if !self.options.read_only
            && let Err(error) = workspace.keep_base().await
        {
            tracing::warn!(branch = branch.name(), %error, "the commit that staged changes are on may be collected");
        }
        let Some(head) = branch.head() else { return };
        if workspace.head() == head {
            return;
        }
        // Tells the kernel itself what is no longer so.
        if let Err(error) = workspace.follow().await {
            tracing::debug!(branch = branch.name(), %error, "does not follow");
        }
    }
}
