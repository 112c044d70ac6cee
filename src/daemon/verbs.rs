//! What changes refs and workspaces: one function for each verb, performed by whichever process holds the state folder.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::closest::closest;
use super::compare::{self, Side};
use super::control::protocol::{BranchName, CommitName, Reply, Request, Version, VersionTree};
use super::failure::Failure;
use super::{integrate, staging};
use crate::model::address::{Revision, check_label, looks_like_commit_id};
use crate::model::id::CommitId;
use crate::model::log::{RefIdentity, RefKind};
use crate::model::path::TreePath;
use crate::repo::domain::Domain;
use crate::repo::error::RepoError;
use crate::repo::gc::CollectOptions;
use crate::repo::mesh::{Mesh, NewDomain};
use crate::workspace::place;
use crate::workspace::view::Workspace;

/// The process that a verb runs in.
pub trait Host: Send + Sync {
    fn mesh(&self) -> &Mesh;

    /// The workspace of a branch, opened when it is not yet.
    fn workspace<'a>(&'a self, domain: &'a Domain, branch: &'a str) -> BoxFuture<'a, Result<Arc<Workspace>, Failure>>;
}

/// Performs what concerns the mesh; [`Request::Usage`] and [`Request::Unmount`] concern a daemon.
pub async fn perform(host: &dyn Host, request: Request) -> Result<Reply, Failure> {
    match request {
        Request::Usage | Request::Unmount { .. } => Err(Failure::failed("no daemon has this mesh mounted")),
        Request::CreateDomain { name, owner, description } => {
            check_label(&name)?;
            host.mesh().create_domain(NewDomain { name, owner, description }).await?;
            Ok(Reply::Done)
        }
        Request::DeleteDomain { name } => delete_domain(host, &name).await,
        Request::CreateBranch { domain, name, from } => create_branch(host, &domain, &name, from).await,
        Request::DeleteBranch { domain, name } => delete_branch(host, &domain, &name).await,
        Request::CreateTag { domain, name, target } => create_tag(host, &domain, &name, target).await,
        Request::DeleteTag { domain, name } => delete_tag(host, &domain, &name).await,
        Request::Status { branch } => staging::status(host, branch).await,
        Request::Compare { from, to } => compare(host, from, to).await,
        Request::Commit { branch, message, metadata, author } => {
            staging::commit(host, branch, message, metadata, author).await
        }
        Request::Integrate(request) => integrate::integrate(host, request).await,
        Request::GiveUp { branch } => integrate::give_up(host, branch).await,
        Request::Reset { source, into } => integrate::reset(host, source, into).await,
        Request::Refresh { branch, strategy, paths } => staging::refresh(host, branch, strategy, &paths).await,
        Request::Discard { branch, path } => staging::discard(host, branch, &path).await,
        Request::Collect { domain, dry_run } => collect(host, &domain, dry_run).await,
        Request::Restore { source, source_path, into, into_path } => {
            staging::restore(host, &source, &source_path, into, &into_path).await
        }
    }
}

/// The domain `name`; an unknown one comes with the name that was probably meant.
pub async fn open_domain(mesh: &Mesh, name: &str) -> Result<Domain, Failure> {
    check_label(name)?;
    mesh.domain(name).await.map_err(|error| match &error {
        RepoError::NoDomain(_) => {
            let known = mesh.known_domains();
            let meant = closest(name, known.iter().map(|domain| domain.name.as_str()));
            let failure = Failure::from(error);
            match meant {
                Some(meant) => failure.hint(format!("did you mean `{meant}`? `meshfs domain list` shows all")),
                None => failure,
            }
        }
        _ => error.into(),
    })
}

/// The name of a branch: the given one, or the default one of its domain.
pub fn branch_or_default(domain: &Domain, branch: Option<String>) -> String {
    branch.unwrap_or_else(|| domain.info().default_branch.clone())
}

/// The commit that a name means now.
pub async fn resolve(domain: &Domain, revision: Option<&str>) -> Result<CommitId, Failure> {
    let revision: Revision = match revision {
        Some(revision) => revision.parse()?,
        None => Revision::of_label(&domain.info().default_branch),
    };
    domain.resolve(&revision).await.map_err(|error| in_domain(domain, error))
}

/// Adds what was probably meant to an error about a branch, tag or revision that is not there.
pub fn in_domain(domain: &Domain, error: RepoError) -> Failure {
    let written = match &error {
        RepoError::NoBranch { branch, .. } => branch.clone(),
        RepoError::NoTag { tag, .. } => tag.clone(),
        // Of `main~5` the name may be right and the number not.
        RepoError::NoRevision { revision, .. } => revision.split(['~', '@']).next().unwrap_or_default().to_owned(),
        _ => return error.into(),
    };
    let state = domain.state();
    let kinds: &[RefKind] = match &error {
        RepoError::NoBranch { .. } => &[RefKind::Branch],
        RepoError::NoTag { .. } => &[RefKind::Tag],
        _ => &[RefKind::Branch, RefKind::Tag],
    };
    let names = state.refs.refs.keys().filter(|name| kinds.contains(&name.kind)).map(|name| name.name.as_str());
    let meant = closest(&written, names).filter(|meant| *meant != written);
    let failure = Failure::from(error);
    match meant {
        Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
        None => failure,
    }
}

/// There is no branch of this name, but maybe one like it.
pub fn no_branch(domain: &Domain, name: &str) -> Failure {
    in_domain(domain, RepoError::NoBranch { domain: domain.info().name.clone(), branch: name.to_owned() })
}

async fn delete_domain(host: &dyn Host, name: &str) -> Result<Reply, Failure> {
    let domain = open_domain(host.mesh(), name).await?;
    let state = domain.state();
    for (branch, _) in state.of_kind(RefKind::Branch) {
        if let Some((identity, _)) = state.branch(branch) {
            check_nothing_staged(host, &domain, &identity).await?;
        }
    }
    host.mesh().delete_domain(name).await?;
    Ok(Reply::Done)
}

async fn create_branch(host: &dyn Host, domain: &str, name: &str, from: Option<CommitName>) -> Result<Reply, Failure> {
    check_label(name)?;
    let domain = open_domain(host.mesh(), domain).await?;
    let target = match from {
        Some(from) => resolve(&domain, in_this_domain(&domain, &from)?).await?,
        None => resolve(&domain, None).await?,
    };
    domain.create_branch(name, &target).await?;
    Ok(Reply::Done)
}

async fn delete_branch(host: &dyn Host, domain: &str, name: &str) -> Result<Reply, Failure> {
    let domain = open_domain(host.mesh(), domain).await?;
    domain.poll().await?;
    let state = domain.state();
    let (identity, now) = state.branch(name).ok_or_else(|| no_branch(&domain, name))?;
    let address = format!("{}/{name}", domain.info().name);
    if name == domain.info().default_branch {
        return Err(Failure::failed(format!("{address} is the default branch of its domain and stays")));
    }
    check_nothing_staged(host, &domain, &identity).await?;
    domain.delete_branch(&identity, &now.target).await?;
    Ok(Reply::Done)
}

async fn delete_tag(host: &dyn Host, domain: &str, name: &str) -> Result<Reply, Failure> {
    let domain = open_domain(host.mesh(), domain).await?;
    domain.poll().await?;
    let absent = || RepoError::NoTag { domain: domain.info().name.clone(), tag: name.to_owned() };
    // What is deleted is what the name meant when it was asked for, not what another gives the name meanwhile.
    let tag = domain.state().tag(name).ok_or_else(absent);
    let (tag, now) = tag.map_err(|error| in_domain(&domain, error))?;
    domain.delete_tag(&tag, &now.target).await.map_err(|error| in_domain(&domain, error))?;
    Ok(Reply::Done)
}

/// One run of the collector on a domain.
async fn collect(host: &dyn Host, domain: &str, dry_run: bool) -> Result<Reply, Failure> {
    let domain = open_domain(host.mesh(), domain).await?;
    let report = domain.collect(&CollectOptions { dry_run, progress: &|_| {} }).await?;
    Ok(Reply::Collected { report })
}

/// What is staged on a branch would be out of reach once the branch is gone.
async fn check_nothing_staged(host: &dyn Host, domain: &Domain, branch: &RefIdentity) -> Result<(), Failure> {
    if !place::folder(host.mesh().state_dir(), domain, branch).exists() {
        return Ok(());
    }
    let name = &branch.name.name;
    if !host.workspace(domain, name).await?.is_dirty()? {
        return Ok(());
    }
    let address = format!("{}/{name}", domain.info().name);
    Err(Failure::failed(format!("{address} has uncommitted changes, or files open for writing, here"))
        .hint(format!("`meshfs status {address}` shows them; commit them, or `meshfs discard {address}`")))
}

async fn create_tag(host: &dyn Host, domain: &str, name: &str, target: CommitName) -> Result<Reply, Failure> {
    check_label(name)?;
    if looks_like_commit_id(name) {
        return Err(Failure::usage(format!("`{name}` cannot be a tag: it would be taken for a commit id"))
            .hint("put a letter after f in front, such as v"));
    }
    let domain = open_domain(host.mesh(), domain).await?;
    let target = resolve(&domain, in_this_domain(&domain, &target)?).await?;
    domain.create_tag(name, &target).await?;
    Ok(Reply::Done)
}

/// Refs of one domain cannot point into another.
pub fn in_this_domain<'a>(domain: &Domain, name: &'a CommitName) -> Result<Option<&'a str>, Failure> {
    if name.domain == domain.info().name {
        return Ok(name.revision.as_deref());
    }
    Err(Failure::usage(format!("domain `{}` cannot name a commit of domain `{}`", domain.info().name, name.domain))
        .hint("`meshfs cp` copies files from one domain to another"))
}

/// The workspace that `name` means, and the domain it is in.
pub async fn open_workspace(host: &dyn Host, name: BranchName) -> Result<(Domain, Arc<Workspace>), Failure> {
    let domain = open_domain(host.mesh(), &name.domain).await?;
    let branch = branch_or_default(&domain, name.branch);
    let workspace = host.workspace(&domain, &branch).await?;
    Ok((domain, workspace))
}

/// What differs between two versions.
pub async fn compare(host: &dyn Host, from: Version, to: Version) -> Result<Reply, Failure> {
    let (from, to) = (side(host, from).await?, side(host, to).await?);
    Ok(Reply::Changes { changes: compare::sides(&from, &to).await? })
}

/// What differs between two snapshots: needs no state folder.
pub async fn compare_snapshots(
    mesh: &Mesh,
    from: (&CommitName, &TreePath),
    to: (&CommitName, &TreePath),
) -> Result<Reply, Failure> {
    let (from, to) = (snapshot_side(mesh, from.0, from.1).await?, snapshot_side(mesh, to.0, to.1).await?);
    Ok(Reply::Changes { changes: compare::sides(&from, &to).await? })
}

async fn side(host: &dyn Host, version: Version) -> Result<Side, Failure> {
    match version.tree {
        VersionTree::Snapshot(name) => snapshot_side(host.mesh(), &name, &version.path).await,
        VersionTree::Working(name) => {
            let (domain, workspace) = open_workspace(host, name).await?;
            Ok(Side { domain, root: workspace.tree().await?, path: version.path })
        }
    }
}

async fn snapshot_side(mesh: &Mesh, name: &CommitName, path: &TreePath) -> Result<Side, Failure> {
    let domain = open_domain(mesh, &name.domain).await?;
    let commit = resolve(&domain, name.revision.as_deref()).await?;
    let root = domain.snapshot(&commit).await?.root.entry.clone();
    Ok(Side { domain, root, path: path.clone() })
}
