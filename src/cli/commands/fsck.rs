//! `meshfs fsck`: checks stored bytes against their ids, and brings damaged packs back from another copy.

use std::collections::BTreeSet;
use std::ffi::OsString;

use crate::cli::args::Json;
use crate::cli::context::Context;
use crate::cli::refs;
use crate::cli::render::PathShape;
use crate::daemon::failure::Failure;
use crate::model::id::{CommitId, PackName};
use crate::model::quote::quote;
use crate::repo::domain::Domain;
use crate::repo::fsck::audit::{Audit, Wrong, audit};
use crate::repo::fsck::repair::{Repaired, repair};
use crate::repo::fsck::trace::{Touched, trace};
use crate::repo::fsck::{self};
use serde::Serialize;

/// Re-hash one snapshot, or everything that a domain stores.
///
/// Of a snapshot: every node it reaches, and with --read-data every chunk. With --all: every pack of
/// the domain, whatever leads to it; what is damaged or missing is listed with the paths, commits and
/// branches that it touches. With --repair-from, packs that are damaged or missing are taken from
/// another copy of the store (a mirror, a backup), once they were re-hashed there.
///
/// Exit code 1 when something is damaged or missing, and was not repaired.
///
/// Examples:
///   meshfs fsck sales/@v1.0 --read-data
///   meshfs fsck sales --all --sample 5
///   meshfs fsck sales --all --repair-from s3://backup/mesh
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Fsck {
    /// DOMAIN/@REVISION, or the head of DOMAIN/BRANCH [default: the branch of the current directory]
    #[arg(value_name = "ADDR")]
    pub address: Option<OsString>,
    /// Also download and re-hash the data of every file
    #[arg(long)]
    pub read_data: bool,
    /// Re-hash all packs of the domain, for all its history
    #[arg(long, conflicts_with = "read_data")]
    pub all: bool,
    /// Of the packs only so many in a hundred, chosen by chance
    #[arg(long, value_name = "PERCENT", requires = "all", value_parser = clap::value_parser!(u64).range(1..=100))]
    pub sample: Option<u64>,
    /// Bring back what is damaged from this copy of the store
    #[arg(long, value_name = "STORE", requires = "all")]
    pub repair_from: Option<String>,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Serialize)]
struct DamageShape {
    #[serde(flatten)]
    path: PathShape,
    problem: String,
}

#[derive(Serialize)]
struct FsckShape<'a> {
    commit: CommitId,
    nodes: u64,
    files: u64,
    bytes: u64,
    damaged: &'a [DamageShape],
}

#[derive(Serialize)]
struct AuditShape<'a> {
    domain: &'a str,
    packs: u64,
    frames: u64,
    bytes: u64,
    damaged: Vec<TouchedShape<'a>>,
    /// Damaged, and nothing that a branch or tag leads to.
    unreferenced: Vec<PackName>,
    repaired: Vec<PackName>,
    not_repaired: Vec<NotRepairedShape<'a>>,
}

#[derive(Serialize)]
struct TouchedShape<'a> {
    pack: PackName,
    offset: u64,
    problem: &'a str,
    paths: Vec<PathShape>,
    commits: &'a BTreeSet<CommitId>,
    refs: Vec<&'a str>,
}

#[derive(Serialize)]
struct NotRepairedShape<'a> {
    pack: PackName,
    problem: &'a str,
}

impl Fsck {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let address = context.address_or_branch_here(self.address.as_ref())?;
        if self.all {
            return self.check_domain(context, &context.domain(&address.domain).await?).await;
        }
        refs::whole(&address, "fsck checks whole snapshots")?;
        let (domain, id) = refs::commit_of(context, &address).await?;
        let snapshot = domain.snapshot(&id).await?;
        let total = snapshot.root.entry.as_dir().map_or(0, |dir| dir.counts.entries);
        let bar = context.ui.files_bar("checking", total);
        let report = fsck::check(&snapshot, self.read_data, &|entries| bar.advance(entries)).await;
        drop(bar);
        let damaged: Vec<DamageShape> = report
            .damaged
            .iter()
            .map(|damage| DamageShape {
                path: PathShape::of(damage.path.as_bytes()),
                problem: damage.error.to_string(),
            })
            .collect();
        let (nodes, files, bytes) = (report.nodes, report.files, report.bytes);
        if self.json.json {
            context.ui.json(&FsckShape { commit: id, nodes, files, bytes, damaged: &damaged })?;
        } else {
            for damage in &report.damaged {
                let path = if damage.path.is_root() { "." } else { &quote(damage.path.as_bytes()) };
                context.ui.line(format_args!("damaged {path}: {}", damage.error))?;
            }
            context.ui.note(format_args!("commit {id}: {nodes} nodes, {files} files, {bytes} bytes of data re-hashed"));
        }
        match damaged.len() {
            0 => Ok(()),
            count => Err(Failure::failed(format!("{count} places in {address} are damaged or missing")).hint(
                "`meshfs fsck DOMAIN --all --repair-from STORE` brings them back from another copy; `meshfs log` shows commits to go back to",
            )),
        }
    }

    async fn check_domain(&self, context: &Context<'_>, domain: &Domain) -> Result<(), Failure> {
        domain.poll().await?;
        let spinner = context.ui.spinner(&format!("re-hashing what {} stores", domain.info().name));
        let found = audit(domain, self.sample.unwrap_or(100), &|bytes| spinner.advance(bytes)).await?;
        let touched = trace(domain, &found, &|_| {}).await?;
        let repaired = match &self.repair_from {
            Some(copy) => repair(domain, &found, touched.iter().map(|touched| touched.pack), copy).await?,
            None => Vec::new(),
        };
        drop(spinner);
        if self.json.json {
            context.ui.json(&audit_shape(domain, &found, &touched, &repaired))?;
        } else {
            tell(context, domain, &found, &touched, &repaired)?;
        }
        let wrong: BTreeSet<PackName> =
            found.wrong.keys().copied().chain(touched.iter().map(|touched| touched.pack)).collect();
        let right = repaired.iter().filter(|repaired| repaired.problem.is_none()).count();
        match wrong.len() - right {
            0 => Ok(()),
            count => Err(Failure::failed(format!("{count} packs of {} are damaged or missing", domain.info().name))
                .hint("--repair-from brings them back from another copy of the store, such as a mirror or a backup")),
        }
    }
}

/// Damaged packs that no branch or tag leads to.
fn unreferenced(found: &Audit, touched: &[Touched]) -> Vec<PackName> {
    let needed: BTreeSet<PackName> = touched.iter().map(|touched| touched.pack).collect();
    found.wrong.keys().filter(|pack| !needed.contains(pack)).copied().collect()
}

fn audit_shape<'a>(
    domain: &'a Domain,
    found: &Audit,
    touched: &'a [Touched],
    repaired: &'a [Repaired],
) -> AuditShape<'a> {
    let shape = |touched: &'a Touched| TouchedShape {
        pack: touched.pack,
        offset: touched.offset,
        problem: &touched.problem,
        paths: touched.paths.iter().map(|path| PathShape::of(path.as_bytes())).collect(),
        commits: &touched.commits,
        refs: touched.refs.iter().map(|name| name.name.as_str()).collect(),
    };
    let failed = |repaired: &'a Repaired| {
        let problem = repaired.problem.as_deref()?;
        Some(NotRepairedShape { pack: repaired.pack, problem })
    };
    AuditShape {
        domain: &domain.info().name,
        packs: found.packs,
        frames: found.frames,
        bytes: found.bytes,
        damaged: touched.iter().map(shape).collect(),
        unreferenced: unreferenced(found, touched),
        repaired: repaired.iter().filter(|repaired| repaired.problem.is_none()).map(|it| it.pack).collect(),
        not_repaired: repaired.iter().filter_map(failed).collect(),
    }
}

fn tell(
    context: &Context<'_>,
    domain: &Domain,
    found: &Audit,
    touched: &[Touched],
    repaired: &[Repaired],
) -> Result<(), Failure> {
    for Touched { pack, offset, problem, paths, commits, refs } in touched {
        let refs = refs.iter().map(|name| name.name.as_str()).collect::<Vec<_>>().join(", ");
        let commits = match (commits.first(), commits.len()) {
            (Some(commit), 1) => format!("commit {commit}"),
            (Some(commit), count) => format!("{count} commits, {commit} among them"),
            (None, _) => "no commit".to_owned(),
        };
        for path in paths {
            let path = if path.is_root() { "." } else { &quote(path.as_bytes()) };
            context.ui.line(format_args!(
                "damaged {path} in {commits}, of {refs}: {problem} (pack {pack}, offset {offset})"
            ))?;
        }
    }
    for pack in unreferenced(found, touched) {
        let problem = match &found.wrong[&pack] {
            Wrong::Whole(problem) => problem.clone(),
            Wrong::Frames(frames) => format!("{} frames in it", frames.len()),
        };
        context.ui.line(format_args!("damaged pack {pack}, which no branch or tag leads to: {problem}"))?;
    }
    for Repaired { pack, problem } in repaired {
        match problem {
            None => context.ui.line(format_args!("repaired pack {pack}"))?,
            Some(problem) => context.ui.line(format_args!("not repaired pack {pack}: {problem}"))?,
        }
    }
    let Audit { packs, frames, bytes, .. } = found;
    context.ui.note(format_args!("{}: {packs} packs, {frames} frames, {bytes} bytes re-hashed", domain.info().name));
    Ok(())
}
