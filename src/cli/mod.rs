//! The command line: arguments in, exit code out.

// Doc comments here are help texts, whose brackets are defaults and no links.
#![allow(rustdoc::broken_intra_doc_links, rustdoc::invalid_html_tags)]

mod address;
pub mod args;
pub mod commands;
mod context;
mod copy;
mod refs;
mod render;
mod taking;
mod tree;
mod ui;
mod usage;
mod working;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::daemon::failure::{Class, Failure};
use args::Cli;
use context::Context;
use ui::Ui;

/// Commit, merge, diff and copies go as deep as directories do: [`DEPTH_MAX`](crate::model::path::DEPTH_MAX) levels of
/// some futures each, 20 KiB a level in builds for tests. Address space, not memory, until it is used.
pub const THREAD_STACK_BYTES: usize = 128 << 20;

/// Longest wait for work that nobody waits for when the command is done.
const LEFT_OVER_MAX: Duration = Duration::from_secs(5);

/// Runs the command that the process was called with, on a stack of [`THREAD_STACK_BYTES`].
pub fn main() -> ExitCode {
    // Help and usage errors end the process here, with 0 and 2.
    let cli = Cli::parse();
    let ui = Ui::new();
    match run(cli, &ui) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if failure.class != Class::ReaderGone {
                ui.failure(&failure);
            }
            ExitCode::from(exit_code(failure.class))
        }
    }
}

fn run(cli: Cli, ui: &Ui) -> Result<(), Failure> {
    let context = Context::new(ui, cli.global)?;
    commands::start_log(&cli.command);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(THREAD_STACK_BYTES)
        .build()
        .map_err(|error| Failure::failed("cannot start threads").because(&error))?;
    let result = runtime.block_on(commands::run(&context, cli.command));
    // What a failed command wrote before it failed is still its answer.
    let flushed = ui.flush();
    // Nobody waits for it any more: work that a hung disk holds would hold the process.
    runtime.shutdown_timeout(LEFT_OVER_MAX);
    result.and(flushed)
}

/// The exit codes of the contract.
fn exit_code(class: Class) -> u8 {
    match class {
        Class::ReaderGone => 0,
        Class::Failed => 1,
        Class::Usage => 2,
        Class::Conflict => 3,
        Class::OutcomeUnknown => 4,
    }
}
