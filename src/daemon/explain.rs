//! Errors of the layers below, as a person is told them.

use super::failure::{Class, Failure};
use crate::fuse::session::MountError;
use crate::model::address::AddressError;
use crate::repo::error::RepoError;
use crate::storage::StoreError;
use crate::vfs::error::VfsError;
use crate::workspace::error::WorkspaceError;

impl From<RepoError> for Failure {
    fn from(error: RepoError) -> Failure {
        match error {
            RepoError::NoMesh { store } => Failure::failed(format!("there is no mesh at {store}"))
                .hint("`meshfs init` makes one there; --store or MESHFS_STORE names another store"),
            RepoError::MeshExists { store, uid } => Failure::failed(format!("there is a mesh at {store} already"))
                .hint(format!("its id is {uid}; `meshfs domain list` shows what is in it")),
            RepoError::NoDomain(name) => Failure::failed(format!("there is no domain `{name}`"))
                .hint(format!("`meshfs domain list` shows them, `meshfs domain create {name}` makes it")),
            RepoError::DomainExists(name) => Failure::failed(format!("there is a domain `{name}` already"))
                .hint(format!("`meshfs domain show {name}` describes it")),
            RepoError::NoBranch { domain, branch } => {
                Failure::failed(format!("domain `{domain}` has no branch `{branch}`")).hint(format!(
                    "`meshfs branch list {domain}` shows them, `meshfs branch create {domain}/{branch}` makes it"
                ))
            }
            RepoError::NoTag { domain, tag } => Failure::failed(format!("domain `{domain}` has no tag `{tag}`"))
                .hint(format!("`meshfs tag list {domain}` shows them")),
            RepoError::NoRevision { domain, revision, reason } => {
                Failure { causes: vec![reason], ..Failure::failed(format!("domain `{domain}` has no `@{revision}`")) }
                    .hint(format!("`meshfs log {domain}`, `meshfs tag list {domain}` and `meshfs branch list {domain}` show what there is"))
            }
            RepoError::OutcomeUnknown { log, seq, reason } => Failure {
                causes: vec![reason],
                ..Failure::unknown(format!("whether entry {seq} of the log of {log} landed is not known yet"))
            }
            .hint("nothing is lost; it is settled when the store answers: try the same command, or `meshfs status`, again"),
            RepoError::Expired { what } => Failure::failed(format!("{what} has expired: nothing leads to it any more"))
                .hint("what is to be kept needs a tag: `meshfs tag create`"),
            RepoError::Moved { what, now } => Failure::failed(format!("{what} changed meanwhile: {now}"))
                .hint("look again, then decide: nothing was changed"),
            RepoError::Name(error) => error.into(),
            RepoError::Store(error) => error.into(),
            error @ RepoError::Conflict { .. } => Failure::conflict(error.to_string(), Vec::new()),
            error => plain(Class::Failed, &error),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        let because = |what: String, reason: String| Failure { causes: vec![reason], ..Failure::failed(what) };
        match error {
            StoreError::Url { url, reason } => Failure { class: Class::Usage, ..because(format!("`{url}` is not a store"), reason) }
                .hint("a store is s3://BUCKET[/PREFIX], gs://BUCKET[/PREFIX], az://CONTAINER[/PREFIX], file:///FOLDER or a path"),
            StoreError::NoBucket { store, hint } => Failure::failed(format!("{store} does not exist")).hint(hint),
            StoreError::NoCredentials { store, reason, hint } => {
                because(format!("{store} cannot be opened with the credentials at hand"), reason).hint(hint)
            }
            StoreError::Denied { store, action, key, reason, hint } => {
                because(format!("{store} denied {action} of `{key}`"), reason).hint(hint)
            }
            StoreError::ReadOnly { store, reason } => because(format!("{store} is read-only"), reason)
                .hint("mount with --read-only, or make it writable"),
            StoreError::Full { store, reason } => {
                because(format!("{store} is full"), reason).hint("free some space and try again")
            }
            StoreError::Unavailable { store, action, key, reason, .. } => {
                because(format!("{store} is not available ({action} of `{key}`)"), reason)
                    .hint("is the network up? `meshfs doctor` checks the store")
            }
            StoreError::Unusable { store, action, key, reason } => {
                because(format!("{store} answered {action} of `{key}` in a way that meshfs cannot use"), reason)
                    .hint("`meshfs doctor` checks the store")
            }
            error @ StoreError::NotFound { .. } => plain(Class::Failed, &error),
        }
    }
}

impl From<AddressError> for Failure {
    fn from(error: AddressError) -> Failure {
        plain(Class::Usage, &error)
    }
}

impl From<WorkspaceError> for Failure {
    fn from(error: WorkspaceError) -> Failure {
        match error {
            WorkspaceError::Repo(error) => error.into(),
            error => plain(Class::Failed, &error),
        }
    }
}

impl From<VfsError> for Failure {
    fn from(error: VfsError) -> Failure {
        plain(Class::Failed, &error)
    }
}

impl From<MountError> for Failure {
    fn from(error: MountError) -> Failure {
        match error {
            MountError::Device(source) => Failure::failed("/dev/fuse cannot be opened")
                .because(&source)
                .hint("`sudo chmod 666 /dev/fuse` lets ordinary users mount; root always can"),
            MountError::NoHelper => Failure::failed("fusermount3 is not installed: ordinary users mount with it")
                .hint("`sudo apt-get install fuse3`, or mount as root"),
            MountError::AllowOther => Failure::failed("this user may not use --allow-other")
                .hint("root can allow it by a line `user_allow_other` in /etc/fuse.conf"),
            MountError::Failed { dir, source } => Failure::failed(format!("cannot mount on {}", dir.display()))
                .because(&source)
                .hint("`meshfs doctor` checks what mounting needs"),
            error => plain(Class::Failed, &error),
        }
    }
}

/// The error's own words, and what lies below it.
fn plain(class: Class, error: &dyn std::error::Error) -> Failure {
    let failure = Failure { class, ..Failure::failed(error.to_string()) };
    match error.source() {
        Some(source) => failure.because(source),
        None => failure,
    }
}
