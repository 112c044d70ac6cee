//! The `meshfs` command.

fn main() -> std::process::ExitCode {
    meshfs::sys::heap::keep_small();
    meshfs::cli::main()
}
