//! Commits, branches and tags as arguments and as lists.

use std::ffi::{OsStr, OsString};

use serde::Serialize;

use super::args::Json;
use super::context::Context;
use crate::daemon::control::protocol::CommitName;
use crate::daemon::failure::Failure;
use crate::daemon::verbs;
use crate::model::address::{Address, View};
use crate::model::id::CommitId;
use crate::model::log::RefKind;
use crate::repo::domain::Domain;

/// The commit that an address without a path names: a revision, or the head of a branch.
pub fn commit_name(context: &Context<'_>, text: &OsStr) -> Result<CommitName, Failure> {
    let address = context.address(text)?;
    whole(&address, "a branch or tag names a whole commit")?;
    Ok(name_of(&address))
}

/// The commit that an address is in.
pub fn name_of(address: &Address) -> CommitName {
    let revision = match &address.view {
        View::Default => None,
        View::Branch(branch) => Some(branch.clone()),
        View::Revision(revision) => Some(revision.to_string()),
    };
    CommitName { domain: address.domain.clone(), revision }
}

/// The commit that an address is in, and its domain.
pub async fn commit_of(context: &Context<'_>, address: &Address) -> Result<(Domain, CommitId), Failure> {
    let name = name_of(address);
    let domain = context.domain(&name.domain).await?;
    if let View::Branch(branch) = &address.view {
        return Ok((domain.clone(), head_of(&domain, branch)?));
    }
    let id = verbs::resolve(&domain, name.revision.as_deref()).await?;
    Ok((domain, id))
}

/// The head of a branch: `D/B` never means a tag of that name. The domain was opened by this command, so what is known
/// of it is new enough.
pub fn head_of(domain: &Domain, branch: &str) -> Result<CommitId, Failure> {
    let state = domain.state();
    let (_, head) = state.branch(branch).ok_or_else(|| verbs::no_branch(domain, branch))?;
    Ok(head.target)
}

/// Refuses an address with a path where only whole commits make sense.
pub fn whole(address: &Address, why: &str) -> Result<(), Failure> {
    if address.path.is_root() {
        return Ok(());
    }
    let whole = Address { path: Default::default(), ..address.clone() };
    Err(Failure::usage(format!("{why}, and {address} is a path in one")).hint(format!("leave out the path: {whole}")))
}

#[derive(Serialize)]
struct RefShape<'a> {
    name: &'a str,
    commit: CommitId,
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<bool>,
}

/// Branches or tags of a domain, by default of the current folder's.
pub async fn list(context: &Context<'_>, domain: Option<&OsString>, kind: RefKind, json: Json) -> Result<(), Failure> {
    let address = context.address_or_branch_here(domain)?;
    if domain.is_some() && address.view != View::Default {
        return Err(
            Failure::usage(format!("{address} is not a domain")).hint(format!("its domain is {}", address.domain))
        );
    }
    let domain = context.domain(&address.domain).await?;
    let state = domain.state();
    let is_default = |name: &str| (kind == RefKind::Branch).then(|| name == domain.info().default_branch);
    let refs: Vec<RefShape> = state
        .of_kind(kind)
        .map(|(name, now)| RefShape { name, commit: now.target, default: is_default(name) })
        .collect();
    if json.json {
        return context.ui.json(&refs);
    }
    let width = refs.iter().map(|one| one.name.len()).max().unwrap_or(0);
    refs.iter().try_for_each(|one| context.ui.line(format_args!("{:width$}  {}", one.name, one.commit)))
}
