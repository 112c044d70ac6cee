//! The `meshfs` command.

use meshfs::{cli, sys};

fn main() -> std::process::ExitCode {
    sys::heap::keep_small();
    // Without a thread of its own a command still goes as deep as this one can.
    sys::task::on_a_stack_of(cli::THREAD_STACK_BYTES, cli::main).unwrap_or_else(|_| cli::main())
}
