//! The whole help, as one text: a change of what people read is seen in review.

use super::transcript::Shell;

const COMMANDS: &[&str] = &[
    "init",
    "doctor",
    "mount",
    "umount",
    "domain",
    "domain create",
    "domain list",
    "domain show",
    "domain delete",
    "branch",
    "branch create",
    "branch list",
    "branch delete",
    "tag",
    "tag create",
    "tag list",
    "tag delete",
    "status",
    "diff",
    "log",
    "show",
    "reflog",
    "blame",
    "bisect",
    "bisect run",
    "commit",
    "discard",
    "refresh",
    "merge",
    "cherry-pick",
    "revert",
    "reset",
    "restore",
    "ls",
    "cat",
    "stat",
    "du",
    "warm",
    "cp",
    "gc",
    "fsck",
];

#[test]
fn the_whole_help() {
    let mut shell = Shell::new();
    shell.call("--help");
    for command in COMMANDS {
        shell.call(&format!("{command} --help"));
    }
    insta::assert_snapshot!(shell.transcript());
}

#[test]
fn every_command_that_is_listed_is_in_the_help_and_no_other() {
    let mut shell = Shell::new();
    let overview = shell.call("--help").transcript();
    let listed: Vec<&str> = overview
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .map_while(|line| line.strip_prefix("  "))
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let known: Vec<&str> = COMMANDS.iter().copied().filter(|name| !name.contains(' ')).collect();
    assert_eq!(listed, [&known[..], &["help"]].concat());
    assert!(shell.call("--version").transcript().contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_mistyped_command_is_recognised() {
    insta::assert_snapshot!(Shell::new().call("comit").call("branch lst").transcript());
}
