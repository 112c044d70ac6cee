//! The verbs that bring a branch what another commit has: merge, cherry-pick, revert; and reset.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::compare;
use super::control::protocol::{BranchName, Integrate, Reply, Source, Taking};
use super::failure::{ConflictPath, Failure};
use super::verbs::{Host, branch_or_default, in_this_domain, no_branch, open_domain, resolve};
use crate::model::commit::Commit;
use crate::model::id::CommitId;
use crate::model::log::RefIdentity;
use crate::model::merge::{Conflict, MergeOptions};
use crate::model::report::CommitReport;
use crate::repo::domain::Domain;
use crate::repo::integrate::{Integrated, Integration, Rehearsed};
use crate::repo::pick::{Incoming, Pick};
use crate::workspace::place;
use crate::workspace::view::Workspace;

/// Keys of what a commit says about the one it was made of.
const PICKED_KEY: &str = "cherry-picked-from";
const REVERTS_KEY: &str = "reverts";

/// Takes it, previews it, or keeps its conflicts in the branch's working tree.
pub async fn integrate(host: &dyn Host, request: Integrate) -> Result<Reply, Failure> {
    let target = Target::open(host, request.into.clone()).await?;
    let commit = target.commit(&request.source).await?;
    let record = target.domain.record(&commit).await?;
    let pick = pick(&target, &record, request.taking, request.parent)?;
    let options = MergeOptions { strategy: request.strategy, ..MergeOptions::default() };
    let incoming = Incoming { pick, options };
    if request.dry_run {
        return rehearse(&target, &incoming).await;
    }
    let workspace = target.workspace(host).await?;
    if let Some(workspace) = &workspace {
        check_none_under_way(&target, workspace, &incoming.pick)?;
    }
    let words = words(&target, &record, &request);
    let integration = Integration {
        branch: target.branch.clone(),
        incoming: incoming.clone(),
        fast_forward: request.message.is_none(),
        author: words.author,
        message: request.message.unwrap_or(words.message),
        metadata: words.metadata,
    };
    let landed = match target.domain.integrate(&integration).await? {
        Integrated::Conflict(conflicts) => return Err(target.in_conflict(host, &pick, &conflicts).await?),
        Integrated::Landed(commit) => Some(CommitReport::from(&*commit)),
        Integrated::Nothing => None,
    };
    if let Some(workspace) = workspace {
        target.lead(&workspace, Some(&pick)).await;
    }
    Ok(Reply::Committed { domain: target.domain.info().name.clone(), branch: target.name().to_owned(), commit: landed })
}

/// Gives up what is under way in a branch's working tree.
pub async fn give_up(host: &dyn Host, branch: BranchName) -> Result<Reply, Failure> {
    let target = Target::open(host, branch).await?;
    let given_up = match target.workspace(host).await? {
        Some(workspace) => workspace.give_up().await?,
        None => None,
    };
    match given_up {
        Some(_) => Ok(Reply::Done),
        None => Err(Failure::failed(format!("nothing is being merged into {}", target.address()))
            .hint(format!("`meshfs status {}` shows what is staged", target.address()))),
    }
}

/// Points a branch at another commit.
pub async fn reset(host: &dyn Host, source: Source, into: BranchName) -> Result<Reply, Failure> {
    let target = Target::open(host, into).await?;
    let commit = target.commit(&source).await?;
    let old = target.domain.reset_branch(&target.branch, &commit).await?;
    match target.workspace(host).await {
        Ok(Some(workspace)) => target.lead(&workspace, None).await,
        Ok(None) => {}
        Err(failure) => tracing::warn!(branch = target.address(), %failure, "it was reset, its working tree not yet"),
    }
    Ok(Reply::Reset { old, new: commit })
}

/// The branch that something is done to.
struct Target {
    domain: Domain,
    branch: RefIdentity,
}

impl Target {
    async fn open(host: &dyn Host, name: BranchName) -> Result<Target, Failure> {
        let domain = open_domain(host.mesh(), &name.domain).await?;
        domain.poll().await?;
        let name = branch_or_default(&domain, name.branch);
        let branch = domain.state().branch(&name).map(|(identity, _)| identity);
        let branch = branch.ok_or_else(|| no_branch(&domain, &name))?;
        Ok(Target { domain, branch })
    }

    fn name(&self) -> &str {
        &self.branch.name.name
    }

    fn address(&self) -> String {
        format!("{}/{}", self.domain.info().name, self.name())
    }

    /// The commit that a source means: of a branch its head, whatever tag is called the same.
    async fn commit(&self, source: &Source) -> Result<CommitId, Failure> {
        match source {
            Source::Commit(name) => resolve(&self.domain, in_this_domain(&self.domain, name)?).await,
            Source::Branch(name) => {
                let branch = branch_or_default(&self.domain, name.branch.clone());
                if name.domain != self.domain.info().name {
                    let of_other = super::control::protocol::CommitName {
                        domain: name.domain.clone(),
                        revision: Some(branch.clone()),
                    };
                    in_this_domain(&self.domain, &of_other)?;
                }
                let head = self.domain.state().branch(&branch).map(|(_, now)| now.target);
                head.ok_or_else(|| no_branch(&self.domain, &branch))
            }
        }
    }

    /// The branch's working tree, if this machine has one.
    async fn workspace(&self, host: &dyn Host) -> Result<Option<Arc<Workspace>>, Failure> {
        if !place::folder(host.mesh().state_dir(), &self.domain, &self.branch).exists() {
            return Ok(None);
        }
        host.workspace(&self.domain, self.name()).await.map(Some)
    }

    /// Brings the working tree to what landed, which stays landed when that fails: the next look at the log does it.
    async fn lead(&self, workspace: &Workspace, taken: Option<&Pick>) {
        let led = async {
            if let Some(pick) = taken {
                workspace.took(pick).await?;
            }
            workspace.follow().await
        };
        if let Err(error) = led.await {
            tracing::warn!(branch = self.address(), %error, "it landed, and its working tree is not on it yet");
        }
    }

    /// Keeps the conflicts in the working tree, where that has nothing else staged, and says what next.
    async fn in_conflict(&self, host: &dyn Host, pick: &Pick, conflicts: &[Conflict]) -> Result<Failure, Failure> {
        let address = self.address();
        let what =
            format!("{} and {address} changed the same paths differently; nothing was changed by this", told(pick));
        let failure = Failure::conflict(what, paths(conflicts));
        if self.domain.protection(&self.domain.state()).await?.covers(self.name()) {
            return Ok(failure.hint(format!(
                "{address} is protected and takes no settling of its own: merge it into the other branch, settle the \
                 conflicts there, and merge that"
            )));
        }
        let workspace = host.workspace(&self.domain, self.name()).await?;
        workspace.follow().await?;
        Ok(match workspace.meet(*pick, conflicts).await? {
            true => failure.hint(way_out(&address)),
            false => failure.hint(format!(
                "`--strategy ours|theirs` takes one side of each; to settle them one by one, commit or discard what is \
                 staged in {address} first"
            )),
        })
    }
}

/// How conflicts that a working tree keeps are settled.
pub fn way_out(address: &str) -> String {
    format!(
        "settle each in {address}: write it as it should be (mounted, the three sides are under .meshfs/conflicts/), or \
         `meshfs refresh {address} --strategy ours|theirs PATH`; then `meshfs commit {address}`. `meshfs merge --abort \
         {address}` gives it up"
    )
}

/// What comes in, as a person is told it.
pub fn told(pick: &Pick) -> String {
    let verb = match pick {
        Pick::Merge { .. } => "the merge",
        Pick::CherryPick { .. } => "the cherry-pick",
        Pick::Revert { .. } => "the revert",
    };
    format!("{verb} of @{}", pick.commit())
}

/// The paths of conflicts, as a failure lists them.
pub fn paths(conflicts: &[Conflict]) -> Vec<ConflictPath> {
    let path = |conflict: &Conflict| ConflictPath { path: conflict.path.clone(), kind: conflict.kind.to_string() };
    conflicts.iter().map(path).collect()
}

/// What resolves another one would be committed with it.
/// The same may be tried again while nothing is settled, such as with a strategy.
fn check_none_under_way(target: &Target, workspace: &Workspace, wanted: &Pick) -> Result<(), Failure> {
    let Some(pick) = workspace.incoming()? else { return Ok(()) };
    if pick == *wanted && !workspace.is_dirty()? {
        return Ok(());
    }
    let address = target.address();
    Err(Failure::failed(format!("{} is under way in {address}", told(&pick)))
        .hint(format!("`meshfs commit {address}` finishes it, `meshfs merge --abort {address}` gives it up")))
}

/// What is taken of the commit; of one with several parents, against which.
fn pick(target: &Target, record: &Commit, taking: Taking, number: Option<usize>) -> Result<Pick, Failure> {
    let commit = record.id;
    if taking == Taking::Merge {
        return Ok(Pick::Merge { commit });
    }
    let name = format!("{}/@{commit}", target.domain.info().name);
    let parent = match (number, &record.parents[..]) {
        (_, []) => return Err(Failure::failed(format!("{name} is the first commit, and changed nothing"))),
        (None, [parent]) => *parent,
        (None, parents) => {
            return Err(Failure::usage(format!("{name} is a merge of {} commits", parents.len())).hint(
                "--parent 1 means what the merge brought into its branch, --parent 2 what the branch had before",
            ));
        }
        (Some(number), parents) => match number.checked_sub(1).and_then(|at| parents.get(at)) {
            Some(parent) => *parent,
            None => return Err(Failure::usage(format!("{name} has no parent {number}; it has {}", parents.len()))),
        },
    };
    Ok(match taking {
        Taking::Revert => Pick::Revert { commit, parent },
        Taking::Merge | Taking::CherryPick => Pick::CherryPick { commit, parent },
    })
}

/// What a commit says of itself when nobody says it otherwise.
struct Words {
    author: String,
    message: String,
    metadata: BTreeMap<String, String>,
}

fn words(target: &Target, record: &Commit, request: &Integrate) -> Words {
    let note = |key: &str| (key.to_owned(), record.id.to_string());
    let first_line = record.message.lines().next().unwrap_or_default();
    match request.taking {
        Taking::Merge => Words {
            author: request.author.clone(),
            message: format!("Merge {} into {}", request.source, target.name()),
            metadata: BTreeMap::new(),
        },
        // Who takes it is told by the log; the changes are still whoever's they were.
        Taking::CherryPick => Words {
            author: record.author.clone(),
            message: record.message.clone(),
            metadata: record.metadata.clone().into_iter().chain([note(PICKED_KEY)]).collect(),
        },
        Taking::Revert => Words {
            author: request.author.clone(),
            message: format!("Revert \"{first_line}\""),
            metadata: BTreeMap::from([note(REVERTS_KEY)]),
        },
    }
}

/// What would change in the branch.
async fn rehearse(target: &Target, incoming: &Incoming) -> Result<Reply, Failure> {
    match target.domain.rehearse(&target.branch, incoming).await? {
        Rehearsed::Tree { head, root } => {
            let (old, new) = (Some(&head.root.entry), Some(&root.entry));
            Ok(Reply::Changes { changes: compare::trees(&target.domain, old, new).await? })
        }
        Rehearsed::Conflict(conflicts) => {
            let what = format!("{} and {} changed the same paths differently", told(&incoming.pick), target.address());
            Err(Failure::conflict(what, paths(&conflicts))
                .hint("without --dry-run they are kept in the branch's working tree, to be settled one by one"))
        }
    }
}
