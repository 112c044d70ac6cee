//! `bisect run`: a command tried on one mounted snapshot after the other.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::failure::Failure;
use crate::model::commit::Commit;
use crate::model::id::CommitId;
use crate::repo::bisect::{Step, Verdict};
use crate::repo::domain::Domain;
use crate::sys::task;

/// By these exit codes a command says that nothing can be said, and that it is no use to go on.
const SKIP_CODE: i32 = 125;
const STOP_CODE: i32 = 128;

/// What was found.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The first bad commit; several, newest first, where those between could not be tried.
    pub first_bad: Vec<Arc<Commit>>,
    pub tried: Vec<(Arc<Commit>, Verdict)>,
}

/// Finds the first commit on which `command` fails, between one where it succeeds and one where it fails. It is run in
/// the folder of each snapshot below `mountpoint`. `tell` hears of each before it is tried, and how many are left.
pub async fn run(
    domain: &Domain,
    mountpoint: &Path,
    (good, bad): (CommitId, CommitId),
    command: &[OsString],
    tell: &(dyn Fn(&Commit, usize) + Sync),
) -> Result<Outcome, Failure> {
    let mut bisection = domain.bisect(&good, &bad).await?;
    let mut tried = Vec::new();
    loop {
        let commit = match bisection.next() {
            None => {
                let name = &domain.info().name;
                return Err(Failure::usage(format!("{name}/@{bad} is in the history of {name}/@{good}"))
                    .hint("what comes first is where the command succeeds, what comes second where it fails"));
            }
            Some(Step::Found(commit)) => return Ok(Outcome { first_bad: vec![commit], tried }),
            Some(Step::OneOf(commits)) => return Ok(Outcome { first_bad: commits, tried }),
            Some(Step::Try(commit)) => commit,
        };
        tell(&commit, bisection.suspects());
        let folder = mountpoint.join(&domain.info().name).join(format!("@{}", commit.id));
        let words = command.to_vec();
        let verdict = task::blocking(move || try_in(&folder, &words)).await?;
        bisection.judge(&commit.id, verdict);
        tried.push((commit, verdict));
    }
}

/// Runs the command in a folder; what it prints goes where our messages go.
fn try_in(folder: &Path, command: &[OsString]) -> Result<Verdict, Failure> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Failure::usage("which command is to be run?").hint("meshfs bisect run FROM TO -- CMD"));
    };
    let cannot = |error: &io::Error| Failure::failed(format!("cannot run {}", program.display())).because(error);
    let stdout = io::stderr().as_fd().try_clone_to_owned().map_err(|error| cannot(&error))?;
    let mut child = Command::new(program);
    child.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(stdout);
    let status = child.status().map_err(|error| cannot(&error))?;
    match status.code() {
        Some(0) => Ok(Verdict::Good),
        Some(SKIP_CODE) => Ok(Verdict::Skipped),
        Some(code) if code < STOP_CODE => Ok(Verdict::Bad),
        Some(code) => Err(Failure::failed(format!("{} ended with exit code {code}", program.display()))
            .hint("0 is good, 1 to 124, 126 and 127 are bad, 125 says nothing; others end the search")),
        None => {
            let signal = status.signal().unwrap_or_default();
            Err(Failure::failed(format!("{} was ended by signal {signal}", program.display())))
        }
    }
}
