//! Days of work as transcripts, without a mount: every answer, for people and for programs.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::transcript::Shell;

/// A file with a mode that does not depend on the umask.
fn write(path: impl AsRef<Path>, text: &str) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
}

/// Some orders in a local folder `orders`.
fn local_orders(shell: &Shell) {
    let orders = shell.folder().join("orders");
    write(orders.join("1.csv"), "id,price\n1,10\n");
    write(orders.join("2.csv"), "id,price\n2,20\n");
    symlink("2.csv", orders.join("newest")).unwrap();
}

#[test]
fn a_first_day() {
    let mut shell = Shell::new();
    local_orders(&shell);
    shell
        .call("init")
        .call("domain create sales --owner sales-team --description \"Orders and customers\"")
        .call("domain list")
        .call("domain list --json")
        .call("domain show sales")
        .call("domain show sales --json")
        .call("cp ./orders sales/main/")
        .call("status sales")
        .call("status sales/main --json")
        .call("commit sales/main -m \"Orders of March\" --meta ticket=DATA-7")
        .call("status sales/main")
        .call("commit sales/main -m \"Again\"")
        .call("commit sales/main -m \"Again\" --json")
        .call("ls sales/main")
        .call("ls sales/main/orders")
        .call("cat sales/main/orders/1.csv sales/@main/orders/2.csv")
        .call("du sales/main")
        .call("du sales/@main/orders --json")
        .call("log sales/main")
        .call("log sales --json")
        .call("show sales/@main")
        .call("show sales/@main --json")
        .call("reflog sales/main")
        .call("reflog sales/main --json")
        .call("fsck sales/main --read-data")
        .call("fsck sales/main --json");
    insta::assert_snapshot!(shell.transcript());
}

#[test]
fn what_is_listed_of_files() {
    let mut shell = Shell::with_domain();
    local_orders(&shell);
    fs::set_permissions(shell.folder().join("orders/2.csv"), fs::Permissions::from_mode(0o4711)).unwrap();
    shell
        .call("cp ./orders sales/main/ -m First")
        .call("ls -l sales/@main/orders")
        .call("ls --json sales/@main/orders")
        .call("ls sales/@main/orders/1.csv")
        .call("stat sales/@main/orders/1.csv")
        .call("stat sales/@main/orders/1.csv --json")
        .call("stat sales/@main/orders/newest --json")
        .call("stat sales/@main")
        .call("cat sales/@main/orders")
        .call("ls sales/@main/order");
    insta::assert_snapshot!(shell.transcript());
}

#[test]
fn versions_compared_and_brought_back() {
    let mut shell = Shell::with_domain();
    local_orders(&shell);
    shell.call("cp ./orders sales/main/ -m First").call("tag create sales/@v1.0 sales/main").transcript();
    let folder = shell.folder().to_owned();
    write(folder.join("fixed/1.csv"), "id,price\n1,11\n");
    write(folder.join("fixed/3.csv"), "id,price\n3,30\n");
    shell
        .call("branch create sales/fix --from sales/@v1.0")
        .call("branch list sales")
        .call("branch list sales --json")
        .call("tag list sales")
        .call("tag list sales --json")
        .call("cp ./fixed/1.csv ./fixed/3.csv sales/fix/orders/")
        .call("diff sales/@v1.0 sales/fix")
        .call("diff sales/fix sales/@v1.0")
        .call("diff sales/@fix")
        .call("commit sales/fix -m \"Fix the first order\" --author \"Ada <ada@example.com>\"")
        .call("diff sales/@v1.0 sales/@fix --json")
        .call("diff sales/@v1.0/orders/1.csv sales/@fix/orders/1.csv")
        .call("diff sales/@v1.0/orders sales/@fix/orders")
        .call("diff sales/@v1.0/nothing sales/@fix/nothing")
        .call("restore sales/@v1.0/orders/1.csv sales/fix")
        .call("status sales/fix")
        .call("discard sales/fix/orders/1.csv")
        .call("status sales/fix")
        .call("discard sales/fix/orders/nothing")
        .call("restore sales/@v1.0/ordres sales/fix")
        .call("restore sales/@v1.0/orders sales/fix -m \"Back to v1.0\"")
        .call("diff sales/@v1.0 sales/@fix")
        .call("diff sales/@fix~1 sales/@fix")
        .call("log sales/fix -n 2")
        .call("tag delete sales/@v1.0")
        .call("branch delete sales/main")
        .call("branch delete sales/fix")
        .call("branch list sales")
        .call("reflog sales/fix");
    insta::assert_snapshot!(shell.transcript());
}

#[test]
fn copies_go_every_way() {
    let mut shell = Shell::with_domain();
    local_orders(&shell);
    let folder = shell.folder().to_owned();
    shell
        .call("cp -r ./orders sales/main/")
        .call("cp sales/main/orders sales/main/copy")
        .call("commit sales/main -m Two")
        .call("cp sales/@main/orders sales/main/third -m Three")
        .call("ls sales/main")
        .call("cp sales/main/orders/1.csv sales/main/copy ./out")
        .call("cp sales/@main ./all")
        .call("cp sales/@main/orders/1.csv ./one.csv")
        .call("domain create hr")
        .call("cp sales/@main/orders hr/main/ -m \"From sales\"")
        .call("diff sales/@main/orders hr/@main/orders")
        .call("cp ./orders/1.csv sales/@main/x")
        .call("cp ./missing sales/main/");
    insta::assert_snapshot!(shell.transcript());
    assert_eq!(fs::read_to_string(folder.join("all/third/2.csv")).unwrap(), "id,price\n2,20\n");
    assert_eq!(fs::read_link(folder.join("all/copy/newest")).unwrap(), Path::new("2.csv"));
    assert_eq!(fs::read_to_string(folder.join("one.csv")).unwrap(), "id,price\n1,10\n");
    assert!(!folder.join("out").exists(), "several sources need a folder");
}

#[test]
fn times_and_modes_survive_a_copy_in_and_out() {
    let mut shell = Shell::with_domain();
    local_orders(&shell);
    let folder = shell.folder().to_owned();
    let file = folder.join("orders/1.csv");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o751)).unwrap();
    let then = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 123_456_789);
    fs::File::open(&file).unwrap().set_modified(then).unwrap();
    shell.call("cp ./orders sales/main/ -m In").call("cp sales/@main/orders ./back");
    let back = fs::metadata(folder.join("back/1.csv")).unwrap();
    assert_eq!(back.modified().unwrap(), then);
    assert_eq!(back.permissions().mode() & 0o7777, 0o751);
}

#[test]
fn nothing_staged_is_lost_with_its_branch_or_domain() {
    let mut shell = Shell::with_domain();
    local_orders(&shell);
    shell
        .call("branch create sales/exp")
        .call("cp ./orders sales/exp/")
        .call("branch delete sales/exp")
        .call("domain delete sales")
        .call("discard sales/exp")
        .call("branch delete sales/exp")
        .call("domain delete sales")
        .call("domain list")
        .call("log sales");
    insta::assert_snapshot!(shell.transcript());
}

#[test]
fn names_of_any_bytes() {
    let mut shell = Shell::with_domain();
    let odd = shell.folder().join("odd");
    write(odd.join("new\nline"), "1");
    write(odd.join("tab\tand \"quotes\""), "2");
    write(odd.join(OsStr::from_bytes(b"\xff\xfe")), "3");
    write(odd.join("größe €"), "4");
    write(odd.join("with blank"), "5");
    shell
        .call("cp ./odd sales/main/")
        .call("status sales/main")
        .call("status sales/main --json")
        .call("ls sales/main/odd")
        .call("ls --json sales/main/odd")
        .call("cat \"sales/main/odd/größe €\" \"sales/main/odd/with blank\"");
    insta::assert_snapshot!(shell.transcript());
}

#[test]
fn two_machines_disagree_and_agree_again() {
    let mut here = Shell::with_domain();
    local_orders(&here);
    here.call("cp ./orders sales/main/ -m First");
    let mut there = here.beside();
    local_orders(&there);
    write(here.folder().join("1.csv"), "here");
    write(there.folder().join("1.csv"), "there");
    write(there.folder().join("9.csv"), "there too");
    here.transcript();
    // Both stage on the same head.
    there.call("cp ./1.csv ./9.csv sales/main/orders/");
    here.call("cp ./1.csv sales/main/orders/ -m \"Mine first\"");
    there
        .call("commit sales/main -m \"Mine too\"")
        .call("commit sales/main -m \"Mine too\" --json")
        .call("refresh sales/main")
        .call("status sales/main")
        .call("refresh sales/main --strategy theirs --json orders/1.csv")
        .call("status sales/main")
        .call("commit sales/main -m \"Only the new one\"")
        .call("cat sales/main/orders/1.csv")
        .call("log sales/main -n 1");
    here.call("status sales/main").call("refresh sales/main").call("refresh sales/main").call("ls sales/main/orders");
    insta::assert_snapshot!(format!("{}\n{}", there.transcript(), here.transcript()));
}

#[test]
fn conflicts_are_settled_one_by_one() {
    let mut here = Shell::with_domain();
    local_orders(&here);
    here.call("cp ./orders sales/main/ -m First");
    let mut there = here.beside();
    for (shell, text) in [(&here, "here"), (&there, "there")] {
        write(shell.folder().join("1.csv"), text);
        write(shell.folder().join("2.csv"), text);
    }
    there.call("cp ./1.csv ./2.csv sales/main/orders/").transcript();
    here.call("cp ./1.csv ./2.csv sales/main/orders/ -m \"Mine first\"");
    there
        .call("refresh sales/main --strategy theirs orders/1.csv")
        .call("refresh sales/main --strategy ours orders/2.csv")
        .call("commit sales/main -m Both")
        .call("cat sales/main/orders/1.csv sales/main/orders/2.csv");
    insta::assert_snapshot!(there.transcript());
}

#[test]
fn paths_that_do_not_touch_are_no_conflict() {
    let mut here = Shell::with_domain();
    let mut there = here.beside();
    write(here.folder().join("a"), "a");
    write(there.folder().join("b"), "b");
    there.call("cp ./b sales/main/");
    here.call("cp ./a sales/main/ -m A");
    there.call("commit sales/main -m B").call("ls sales/main").call("log sales/main -n 2");
    insta::assert_snapshot!(there.transcript());
}

#[test]
fn a_doctor_on_a_healthy_machine() {
    let mut shell = Shell::with_domain();
    shell.call("doctor").call("doctor --json");
    let text = shell.transcript();
    assert!(!text.contains("exit code"), "{text}");
    for check in ["fuse device", "state folder", "create-if-absent", "mesh", "attempts"] {
        assert!(text.contains(check), "{check}: {text}");
    }
    let lines = text.lines().filter(|line| line.starts_with("fail ")).count();
    assert_eq!(lines, 0, "{text}");
}

#[test]
fn a_damaged_pack_is_named_by_every_path_in_it() {
    let mut shell = Shell::with_domain();
    let folder = shell.folder().to_owned();
    // Bytes that no codec shrinks, so that the one flipped is one of theirs.
    let digit = |i: u64| char::from(33 + (i.wrapping_mul(i).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as u8);
    let noise: String = (0..200_000).map(digit).collect();
    write(folder.join("noise"), &noise);
    shell.call("cp ./noise sales/main/ -m Noise").transcript();
    let packs = find_packs(&shell.store());
    let largest = packs.iter().max_by_key(|pack| fs::metadata(pack).unwrap().len()).unwrap();
    let mut bytes = fs::read(largest).unwrap();
    bytes[10_000] ^= 1;
    fs::write(largest, bytes).unwrap();
    let text =
        shell.call("fsck sales/main").call("fsck sales/main --read-data").call("cat sales/@main/noise").transcript();
    assert_eq!(text.matches("damaged noise").count(), 1, "only the data is damaged, not the tree:\n{text}");
    assert_eq!(text.matches("[exit code 1]").count(), 2, "{text}");
}

fn find_packs(store: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![store.to_owned()];
    while let Some(folder) = folders.pop() {
        for item in fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.parent().unwrap().ends_with("packs") {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn branches_are_merged_and_taken_back() {
    let mut shell = Shell::with_domain();
    local_orders(&shell);
    let folder = shell.folder().to_owned();
    shell.call("cp ./orders sales/main/ -m First").call("branch create sales/exp").transcript();
    write(folder.join("exp/2.csv"), "id,price\n2,22\n");
    write(folder.join("both/1.csv"), "id,price\n1,11\n");
    shell
        .call("cp ./exp/2.csv sales/exp/orders/ -m \"Fix the second order\"")
        .call("merge sales/exp sales/main --dry-run")
        .call("merge sales/exp sales/main")
        .call("merge sales/exp sales/main")
        .call("merge sales/exp sales/main --json")
        .call("reset sales/@main~1 sales/main")
        .call("reset sales/@main sales/main --json")
        .call("merge sales/exp sales/main -m \"Take the fix\" --json")
        .call("log sales/main -n 1")
        .call("revert sales/main sales/main")
        .call("revert sales/main sales/main --parent 1")
        .call("log sales/main -n 1")
        .call("cherry-pick sales/exp sales/main --json")
        .call("reflog sales/main");
    insta::assert_snapshot!(shell.transcript());
}

#[test]
fn a_merge_in_conflict_is_settled_or_given_up() {
    let mut shell = Shell::with_domain();
    local_orders(&shell);
    let folder = shell.folder().to_owned();
    shell.call("cp ./orders sales/main/ -m First").call("branch create sales/exp").transcript();
    write(folder.join("here/1.csv"), "id,price\n1,11\n");
    write(folder.join("there/1.csv"), "id,price\n1,12\n");
    write(folder.join("settled/1.csv"), "id,price\n1,13\n");
    shell
        .call("cp ./here/1.csv sales/main/orders/ -m Here")
        .call("cp ./there/1.csv sales/exp/orders/ -m There")
        .transcript();
    shell
        .call("merge sales/exp sales/main --dry-run")
        .call("merge sales/exp sales/main")
        .call("merge sales/exp sales/main --json")
        .call("status sales/main")
        .call("status sales/main --json")
        .call("commit sales/main -m Merged")
        .call("merge --abort sales/main")
        .call("merge --abort sales/main")
        .call("merge sales/exp sales/main")
        .call("cp ./settled/1.csv sales/main/orders/")
        .call("status sales/main")
        .call("merge sales/exp sales/main")
        .call("commit sales/main -m Merged")
        .call("log sales/main -n 1 --json")
        .call("cat sales/main/orders/1.csv")
        .call("merge sales/main sales/main")
        .call("merge sales/exp sales/mian")
        .call("merge sales/@v1 sales/main")
        .call("merge sales/exp/orders sales/main")
        .call("merge");
    insta::assert_snapshot!(shell.transcript());
}
