//! The `meshfs` command.

fn main() -> std::process::ExitCode {
    meshfs::cli::main()
}
