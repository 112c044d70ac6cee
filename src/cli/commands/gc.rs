//! `meshfs gc`: deletes what nothing leads to any more.

use crate::cli::args::Json;
use crate::cli::context::Context;
use crate::daemon::control::protocol::{Reply, Request};
use crate::daemon::failure::Failure;
use crate::model::gc::{CollectionReport, Freed};

/// Delete what no branch, tag or recent log entry leads to, in two runs at least a day apart.
///
/// A run condemns what is unreachable and older than 7 days; the first run more than 24 hours later
/// deletes it, so that whoever reads it has time to leave. Of packs that are mostly dead, the live
/// part is copied; ids stay as they are. Any number of machines may write, read and
/// collect meanwhile. A daily run keeps a mesh clean.
///
/// All history of branches and tags is kept, and deleted branches for 30 days, unless the file
/// .mesh/domain.toml on the domain's default branch says otherwise:
///
///   [retention]
///   days = 365                 # history of each branch and tag: a number, or "forever"
///   unreferenced_days = 30     # deleted branches, and what resets left behind
///   [retention.branches]
///   main = "forever"
///   "ci-*" = 7
///
/// Examples:
///   meshfs gc --dry-run
///   meshfs gc sales
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Gc {
    /// The domains to collect in [default: all]
    #[arg(value_name = "DOMAIN")]
    pub domains: Vec<String>,
    /// Tell what would be deleted and condemned, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub json: Json,
}

impl Gc {
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let domains = match self.domains.is_empty() {
            false => self.domains,
            true => context.mesh().await?.domains().await?.into_iter().map(|domain| domain.name).collect(),
        };
        let mut reports = Vec::new();
        for domain in domains {
            let spinner = context.ui.spinner(&format!("collecting in {domain}"));
            let reply = context.perform(Request::Collect { domain, dry_run: self.dry_run }).await?;
            drop(spinner);
            let Reply::Collected { report } = reply else {
                return Err(Failure::failed(format!("the daemon answered something else: {reply:?}")));
            };
            if !self.json.json {
                show(context, &report)?;
            }
            reports.push(report);
        }
        if self.json.json { context.ui.json(&reports) } else { Ok(()) }
    }
}

fn show(context: &Context<'_>, report: &CollectionReport) -> Result<(), Failure> {
    let CollectionReport { domain, dry_run, deleted, pending, condemned, moved, delete_after, kept, .. } = report;
    let (deletes, condemns) = if *dry_run { ("would delete", "would condemn") } else { ("deleted", "condemned") };
    context.ui.line(format_args!("{domain}: {deletes} {}", amount(deleted)))?;
    if let (Some(time), true) = (delete_after, *pending != Freed::default()) {
        context.ui.line(format_args!("{domain}: {} wait for their readers until {time}", amount(pending)))?;
    }
    context.ui.line(format_args!("{domain}: {condemns} {}", amount(condemned)))?;
    if *moved != Freed::default() {
        let moves = if *dry_run { "would repack" } else { "repacked" };
        context.ui.line(format_args!("{domain}: {moves} {} packs, which frees {} bytes", moved.packs, moved.bytes))?;
    }
    if let (Some(time), true) = (delete_after, *condemned != Freed::default() || *moved != Freed::default()) {
        context.ui.note(format_args!("the first `meshfs gc` after {time} deletes what was condemned"));
    }
    context.ui.line(format_args!("{domain}: keeps {} packs, {} bytes", kept.packs, kept.bytes))
}

fn amount(freed: &Freed) -> String {
    let Freed { packs, records, bytes } = freed;
    match records {
        0 => format!("{packs} packs, {bytes} bytes"),
        _ => format!("{packs} packs, {bytes} bytes, {records} records"),
    }
}
