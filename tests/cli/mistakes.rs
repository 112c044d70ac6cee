//! What a tired person does wrong, and what comes back: what, why, and what next.

use super::transcript::Shell;

#[test]
fn before_there_is_a_mesh() {
    let mut shell = Shell::new();
    shell.call("domain list").call("ls sales").call("mount ./mesh").call("log");
    insta::assert_snapshot!(shell.transcript());
}

#[test]
fn names_that_are_not_there() {
    let mut shell = Shell::with_domain();
    shell
        .call("log slaes")
        .call("log marketing")
        .call("log sales/mian")
        .call("show sales/@v1.0")
        .call("show sales/@main~5")
        .call("show sales/@mian~5")
        .call("show sales/@0a1b2c3d")
        .call("ls sales/main/orders")
        .call("branch delete sales/other")
        .call("tag delete sales/@v9")
        .call("domain create sales")
        .call("branch create sales/main");
    insta::assert_snapshot!(shell.transcript());
}

#[test]
fn arguments_in_the_wrong_order_or_of_the_wrong_kind() {
    let mut shell = Shell::with_domain();
    shell
        .call("tag create sales/main sales/@v1.0")
        .call("tag create sales/v1.0 sales/@main")
        .call("tag create sales/@0a1b2c3d sales/main")
        .call("branch create sales")
        .call("branch create sales/@main")
        .call("branch create sales/a/b")
        .call("branch list sales/main")
        .call("restore sales/main sales/@main")
        .call("discard sales/@main/x")
        .call("log sales/main/orders")
        .call("commit sales/main/orders -m x")
        .call("commit sales/main")
        .call("commit sales/main -m \" \"")
        .call("commit sales/main -m x --meta nonsense")
        .call("refresh sales/main --strategy mine")
        .call("refresh sales/main/x")
        .call("cp sales/main/x")
        .call("cp ./a ./b")
        .call("cp sales/main/x ./b -m message")
        .call("mount s3://bucket/prefix")
        .call("mount ./mesh --cache-size much")
        .call("mount ./mesh --poll 0");
    insta::assert_snapshot!(shell.transcript());
}

#[test]
fn addresses_that_are_none() {
    let mut shell = Shell::with_domain();
    std::fs::create_dir(shell.folder().join("orders")).unwrap();
    shell
        .call("ls orders")
        .call("ls ./orders")
        .call("ls s3://bucket/orders")
        .call("ls ~/orders")
        .call("ls \"sal es\"")
        .call("ls sales/main/../x")
        .call("ls sales/@")
        .call("ls")
        .call("status");
    insta::assert_snapshot!(shell.transcript());
}

#[test]
fn stores_that_are_none() {
    let mut shell = Shell::new();
    shell
        .call("--store ftp://host/x domain list")
        .call("--store s3:// domain list")
        .call("init s3://user@bucket/x")
        .call_with("init other", |command| {
            command.env("MESHFS_STORE", "first");
        });
    insta::assert_snapshot!(shell.transcript());
}

#[test]
fn mountpoints_that_will_not_do() {
    let mut shell = Shell::with_domain();
    let folder = shell.folder().to_owned();
    std::fs::create_dir(folder.join("full")).unwrap();
    std::fs::write(folder.join("full/thesis.txt"), "x").unwrap();
    std::fs::write(folder.join("file"), "x").unwrap();
    shell.call("mount ./full").call("mount ./file").call("mount /proc/mesh");
    insta::assert_snapshot!(shell.transcript());
}

#[test]
fn a_configuration_that_cannot_be_read() {
    let mut shell = Shell::with_domain();
    let folder = shell.folder().join(".config/meshfs");
    std::fs::create_dir_all(&folder).unwrap();
    for text in ["autor = 'me'\n", "cache_size = 'much'\n", "poll = 0\n", "["] {
        std::fs::write(folder.join("config.toml"), text).unwrap();
        shell.call("domain list");
    }
    insta::assert_snapshot!(shell.transcript());
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let shell = Shell::with_domain();
    let script = format!("{} domain show sales --json | true; exit ${{PIPESTATUS[0]}}", env!("CARGO_BIN_EXE_meshfs"));
    let output = shell.machine().command("bash").args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
