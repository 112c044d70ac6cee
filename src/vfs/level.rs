//! The levels above working trees: domains and branches, and what may be made and removed there.

use std::sync::Arc;
use std::time::Duration;

use super::Vfs;
use super::attr::LEVEL_TTL;
use super::branch::Branch;
use super::domain::DomainNode;
use super::error::VfsError;
use super::freshness::Freshness;
use super::job::Job;
use super::lookup::lossy;
use super::miss::Miss;
use super::node::{NodeEntry, Outdated};
use super::table::Node;
use crate::model::address::{Revision, check_label};
use crate::repo::error::RepoError;
use crate::sys::clock::within;

impl Vfs {
    /// Is what was looked at no older than its background polling allows?
    pub(super) fn is_fresh(&self, freshness: &Freshness) -> bool {
        // Twice the interval: a poll under way must not make everybody look by himself.
        freshness.is_fresh(self.clock().elapsed(), self.options.poll * 2)
    }

    /// Marks the domain as in use; a miss when what is known of it is too old to answer from.
    pub(super) fn see_news_of(&self, domain: &Arc<DomainNode>) -> Result<(), VfsError> {
        domain.freshness().used(self.clock().elapsed());
        // While the store is away, what is known is shown; the background goes on looking.
        if self.is_fresh(domain.freshness()) || domain.freshness().is_away() {
            return Ok(());
        }
        Err(VfsError::from(Miss::Refs(domain.clone())))
    }

    /// A miss when the list of domains is too old to say that one is not there.
    pub(super) fn see_news_of_domains(&self) -> Result<(), VfsError> {
        if self.is_fresh(&self.domains_seen) {
            return Ok(());
        }
        if self.domains_seen.is_away() {
            self.refresh_domains_soon();
            return Ok(());
        }
        Err(VfsError::from(Miss::Domains))
    }

    /// The domain of this name, opened; none when there is none.
    pub(super) fn domain_node(&self, name: &str) -> Result<Option<Arc<DomainNode>>, VfsError> {
        let Some(info) = self.mesh.known_domains().into_iter().find(|info| info.name == name) else {
            self.see_news_of_domains()?;
            return Ok(None);
        };
        if !self.is_fresh(&self.domains_seen) {
            // The domain is most likely still there: look whether it is, without making anybody wait.
            self.refresh_domains_soon();
        }
        let opened = self.mesh.opened_domain(name).filter(|domain| domain.info().uid == info.uid);
        let Some(domain) = opened else {
            return Err(VfsError::from(Miss::Domain(name.to_owned())));
        };
        let mut domains = self.domains.lock();
        let node = domains.entry(info.uid).or_insert_with(|| Arc::new(DomainNode::new(domain)));
        node.freshness().used(self.clock().elapsed());
        Ok(Some(node.clone()))
    }

    /// The domain that a branch is in.
    pub(super) fn domain_of(&self, branch: &Branch) -> Result<Arc<DomainNode>, VfsError> {
        self.domains.lock().get(&branch.domain().info().uid).cloned().ok_or(VfsError::Stale)
    }

    pub(super) async fn open_domain(&self, name: &str) -> Result<Arc<DomainNode>, VfsError> {
        let domain = self.mesh.domain(name).await?;
        let mut domains = self.domains.lock();
        Ok(domains.entry(domain.info().uid).or_insert_with(|| Arc::new(DomainNode::new(domain))).clone())
    }

    /// A look at the mesh's log; goes on with what is known when none is to be had within `wait`.
    pub(super) async fn refresh_domains(&self, wait: Duration) {
        let clock = self.clock();
        let look = async {
            let _turn = self.domains_turn.lock().await;
            if self.is_fresh(&self.domains_seen) {
                return Ok(());
            }
            self.mesh.poll().await?;
            self.domains_seen.looked(clock.elapsed());
            Ok::<(), RepoError>(())
        };
        match within(&*clock, wait, look).await {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                self.domains_seen.failed();
                tracing::debug!(%error, "no news of domains");
            }
            None => {
                self.domains_seen.failed();
                tracing::debug!("no news of domains within {} s", wait.as_secs());
            }
        }
    }

    fn refresh_domains_soon(&self) {
        if self.domains_turn.try_lock().is_err() {
            // Somebody is looking already.
            return;
        }
        let me = self.me();
        self.runtime.spawn(async move {
            if let Some(vfs) = me.upgrade() {
                vfs.refresh_domains(vfs.options.deadline).await;
            }
        });
    }

    /// mkdir of a branch: from the head of the default branch.
    pub(super) fn make_branch(&self, domain: &Arc<DomainNode>, name: &[u8]) -> Result<NodeEntry, VfsError> {
        self.check_writable()?;
        if name.starts_with(b"@") {
            return Err(VfsError::NotPermitted(format!(
                "`{}` would be a revision, which is not made by mkdir: `meshfs tag create` makes tags",
                lossy(name)
            )));
        }
        let label = lossy(name);
        check_label(&label).map_err(|error| VfsError::Invalid(error.to_string()))?;
        match domain.outcome(&making(name)) {
            Some(outcome) => outcome?,
            None if domain.branch(&label).is_some() => return Err(VfsError::Exists),
            None => return Err(self.begin_branch(domain, &label)),
        }
        let branch = domain.branch(&label).ok_or(VfsError::NotFound)?;
        let (attr, attr_ttl) = self.branch_attr(&branch)?;
        Ok(self.found(attr, Node::Branch(branch), attr_ttl, LEVEL_TTL))
    }

    fn begin_branch(&self, domain: &Arc<DomainNode>, label: &str) -> VfsError {
        let job = domain.job(&making(label.as_bytes()), || {
            let job = Arc::new(Job::new("making the branch"));
            let (done, domain, label) = (job.clone(), domain.clone(), label.to_owned());
            self.runtime.spawn(async move { done.finish(create_branch(&domain, &label).await) });
            job
        });
        VfsError::from(Miss::Job(job))
    }

    /// rmdir of a branch: only one that has no commit of its own and nothing staged.
    pub(super) fn remove_branch(&self, domain: &Arc<DomainNode>, name: &[u8]) -> Result<(), VfsError> {
        self.check_writable()?;
        if let Some(outcome) = domain.outcome(&removing(name)) {
            return outcome;
        }
        let branch = super::lookup::label(name).and_then(|label| domain.branch(label)).ok_or(VfsError::NotFound)?;
        if branch.has_folder(self) {
            let dirty = branch.workspace()?.is_dirty().map_err(|error| branch.refused(error))?;
            if dirty {
                return Err(VfsError::NotPermitted(format!(
                    "branch `{}` has uncommitted changes or files open for writing: `.meshfs/status` lists them; commit or discard them first",
                    branch.name()
                )));
            }
        }
        let job = domain.job(&removing(name), || {
            let job = Arc::new(Job::new("removing the branch"));
            let (done, domain) = (job.clone(), domain.clone());
            self.runtime.spawn(async move { done.finish(delete_branch(&domain, &branch).await) });
            job
        });
        Err(VfsError::from(Miss::Job(job)))
    }

    /// Tells the kernel which branches of a domain are others than it was told.
    pub(super) async fn outdate_branches(&self, domain: &DomainNode) {
        let names = domain.outdated_names().into_iter();
        let outdated: Vec<_> =
            names.map(|name| Outdated::Name { parent: domain.ino(), name: name.into_bytes() }).collect();
        self.kernel_forgets(outdated).await;
    }
}

async fn create_branch(domain: &DomainNode, label: &str) -> Result<(), VfsError> {
    let default = Revision::of_label(&domain.domain().info().default_branch);
    let target = domain.domain().resolve(&default).await?;
    domain.domain().create_branch(label, &target).await?;
    Ok(())
}

async fn delete_branch(domain: &DomainNode, branch: &Branch) -> Result<(), VfsError> {
    domain.domain().remove_unused_branch(branch.identity()).await?;
    domain.forget_branch(branch.identity());
    Ok(())
}

/// Name of the work that makes a branch.
fn making(name: &[u8]) -> Vec<u8> {
    [b"+", name].concat()
}

/// Name of the work that removes a branch.
fn removing(name: &[u8]) -> Vec<u8> {
    [b"-", name].concat()
}
