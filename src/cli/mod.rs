//! The command line.

pub mod args;
pub mod commands;

use clap::Parser;

pub fn main() -> std::process::ExitCode {
    let _cli = args::Cli::parse();
    std::process::ExitCode::SUCCESS
}
