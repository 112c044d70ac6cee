//! Commands against a mounted mesh: which daemon they find, and how one begins and ends.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::transcript::Shell;

fn mounted() -> Shell {
    let shell = Shell::with_domain();
    shell.machine().mount(&["--poll", "0.1"]);
    shell
}

fn write(path: impl AsRef<Path>, text: &str) {
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
}

#[test]
fn a_doctor_tells_what_a_daemon_holds() {
    let mut shell = mounted();
    let _held = fs::File::open(shell.machine().mesh().join("sales/main")).unwrap();
    let text = shell.call("doctor").transcript();
    let line =
        text.lines().find(|line| line.contains("[MACHINE]/mesh shows [STORE]")).unwrap_or_else(|| panic!("{text}"));
    let told =
        regex::Regex::new(r"\(pid \[PID\]\): [1-9]\d* open, [1-9]\d* known to the kernel, [1-9]\d* MiB$").unwrap();
    assert!(told.is_match(line), "{line}");
}

#[test]
fn inside_a_mount_no_address_is_needed() {
    let mut shell = mounted();
    let tree = shell.machine().mesh().join("sales/main");
    fs::create_dir(tree.join("orders")).unwrap();
    write(tree.join("orders/1.csv"), "1");
    shell.change_folder(tree.clone());
    shell
        .call("status")
        .call("status ./orders --json")
        .call("commit -m First")
        .call("status")
        .call("log --json")
        .call("branch list")
        .call("branch create ../exp")
        .call("tag create sales/@v1 .")
        .call("ls")
        .call("ls ./orders")
        .call("cat ./orders/1.csv")
        .call("du")
        .call("refresh")
        .call("reflog")
        .call("fsck");
    shell.change_folder(tree.join("orders"));
    shell
        .call("ls")
        .call("cat ./1.csv")
        .call("cp sales/@v1/orders/1.csv ./2.csv")
        .call("status")
        .call("discard ./2.csv");
    shell.call("status").call("restore sales/@v1/orders").call("diff");
    shell.change_folder(tree.join(".meshfs"));
    shell.call("status").call("log -n 1");
    shell.change_folder(shell.machine().mesh().join("sales/@v1"));
    shell.call("ls").call("show").call("commit -m x");
    shell.change_folder(shell.machine().mesh());
    shell.call("ls").call("domain list");
    insta::assert_snapshot!(shell.transcript());
}

#[test]
fn a_commit_of_the_command_line_is_told_by_the_control_file() {
    let mut shell = mounted();
    let tree = shell.machine().mesh().join("sales/main");
    write(tree.join("x"), "x");
    let answer = shell.call("commit sales/main -m \"From outside\" --json").transcript();
    assert!(answer.contains("From outside"), "{answer}");
    let told = fs::read_to_string(tree.join(".meshfs/commit")).unwrap();
    assert!(told.contains(r#""message":"From outside""#), "{told}");
}

#[test]
fn the_mount_decides_the_store() {
    let mut shell = mounted();
    let tree = shell.machine().mesh().join("sales/main");
    let elsewhere = shell.folder().join("elsewhere");
    shell.change_folder(tree.clone());
    let unset = |command: &mut Command| {
        command.env_remove("MESHFS_STORE");
    };
    shell
        .call_with("log --json -n 1", unset)
        .call_with("domain list", unset)
        .call(&format!("--store {} log", elsewhere.display()))
        .call(&format!("--store {} ls ./", elsewhere.display()))
        .call(&format!("--store {} domain list", elsewhere.display()));
    insta::assert_snapshot!(shell.transcript());
}

#[test]
fn the_state_folder_of_a_mount_is_found_wherever_it_lies() {
    let mut shell = Shell::with_domain();
    let state = shell.folder().join("another-state");
    shell.machine().mount(&["--state-dir", state.to_str().unwrap()]);
    let tree = shell.machine().mesh().join("sales/main");
    write(tree.join("x"), "x");
    let outside = shell.call("status sales/main").transcript();
    assert_eq!(outside, "$ meshfs status sales/main\n\n", "another state folder has other changes");
    shell.change_folder(tree);
    let inside = shell.call("status").transcript();
    assert_eq!(inside, "$ meshfs status\nA x\n\n");
    shell.change_folder(shell.folder().to_owned().parent().unwrap().parent().unwrap().to_owned());
    let named = shell.call(&format!("--state-dir {} status sales/main", state.display())).transcript();
    assert!(named.contains("A x"), "{named}");
}

#[test]
fn what_is_staged_through_the_mount_is_there_without_it() {
    let mut shell = mounted();
    let tree = shell.machine().mesh().join("sales/main");
    write(tree.join("x"), "staged");
    shell.call("cat sales/main/x").call("cp sales/main/x sales/main/y");
    shell.machine().unmount();
    shell.call("status sales/main").call("cat sales/main/y").call("commit sales/main -m Both");
    shell.machine().mount(&[]);
    shell.call("status sales/main").call("ls sales/main");
    insta::assert_snapshot!(shell.transcript());
    assert_eq!(fs::read_to_string(tree.join("y")).unwrap(), "staged");
}

/// Bytes, files and entries below a folder, itself counted as one entry unless it is the tree's root.
fn walked(folder: &Path, is_root: bool) -> (u64, u64, u64) {
    let (mut bytes, mut files, mut entries) = (0, 0, u64::from(!is_root));
    for item in fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        let (more_bytes, more_files, more_entries) = match path.is_dir() {
            true => walked(&path, false),
            false => (fs::metadata(&path).unwrap().len(), 1, 1),
        };
        bytes += more_bytes;
        files += more_files;
        entries += more_entries;
    }
    (bytes, files, entries)
}

#[test]
fn usage_counts_what_is_staged_as_a_walk_would() {
    let mut shell = mounted();
    let tree = shell.machine().mesh().join("sales/main");
    for folder in ["a", "b/c", "b/c/deep", "f/i", "gone/x"] {
        fs::create_dir_all(tree.join(folder)).unwrap();
        for name in ["1", "2", "3"] {
            write(tree.join(folder).join(name), &name.repeat(10));
        }
    }
    shell.call("commit sales/main -m First").transcript();
    fs::remove_file(tree.join("a/1")).unwrap();
    write(tree.join("a/2"), &"longer".repeat(100));
    write(tree.join("a/3"), "");
    fs::rename(tree.join("b/c"), tree.join("d")).unwrap();
    fs::rename(tree.join("d/deep/1"), tree.join("a/moved")).unwrap();
    fs::remove_dir_all(tree.join("gone")).unwrap();
    fs::rename(tree.join("f"), tree.join("g")).unwrap();
    fs::rename(tree.join("g/i"), tree.join("h")).unwrap();
    write(tree.join("h/1"), "shorter");
    fs::remove_file(tree.join("h/2")).unwrap();
    fs::create_dir_all(tree.join("e/f")).unwrap();
    write(tree.join("e/f/new"), "new");
    for below in ["", "a", "b", "d", "d/deep", "d/deep/2", "e", "e/f", "g", "h"] {
        let line = format!("du sales/main/{below} --json");
        let answer = shell.call(&line).transcript();
        let json = answer.split_once('\n').unwrap().1;
        let usage: serde_json::Value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {answer}"));
        let told = ["bytes", "files", "entries"].map(|key| usage[key].as_u64().unwrap());
        let path = tree.join(below);
        let (bytes, files, entries) = match path.is_dir() {
            true => walked(&path, below.is_empty()),
            false => (fs::metadata(&path).unwrap().len(), 1, 1),
        };
        assert_eq!(told, [bytes, files, entries], "{line}");
    }
    for gone in ["gone", "gone/x", "b/c", "b/c/deep", "f", "f/i/3", "g/i", "a/1"] {
        let answer = shell.call(&format!("du sales/main/{gone}")).transcript();
        assert!(answer.contains("there is no sales/main/"), "{answer}");
    }
}

#[test]
fn a_second_daemon_is_refused_and_told_of_the_first() {
    let mut shell = mounted();
    let other = shell.folder().join("other");
    shell.call(&format!("mount {}", other.display()));
    shell.call(&format!("mount {}", shell.machine().mesh().display()));
    insta::assert_snapshot!(shell.transcript());
    assert!(!other.exists(), "a folder made for nothing is taken back");
    let process = shell.machine().daemons();
    assert_eq!(process.len(), 1, "found by the mountpoint in its command line");
}

#[test]
fn unmounting_waits_for_nobody_but_says_who_is_there() {
    let mut shell = mounted();
    let mesh = shell.machine().mesh();
    let file = mesh.join("sales/main/held");
    write(&file, "x");
    let mut holder = Command::new("sleep").arg("600").stdin(fs::File::open(&file).unwrap()).spawn().unwrap();
    let refused = shell.call(&format!("umount {}", mesh.display())).transcript();
    assert!(refused.contains("is in use") && refused.contains("sleep (pid [PID])"), "{refused}");
    assert!(shell.machine().is_mounted());
    let lazy = shell.call(&format!("umount --lazy {}", mesh.display())).transcript();
    assert!(!lazy.contains("exit code"), "{lazy}");
    assert!(!shell.machine().is_mounted());
    holder.kill().unwrap();
    holder.wait().unwrap();
    let again = shell.call(&format!("umount {}", mesh.display())).transcript();
    assert!(again.contains("no mesh is mounted at"), "{again}");
}

#[test]
fn a_killed_daemon_leaves_a_mount_that_the_next_one_clears() {
    let mut shell = mounted();
    let mesh = shell.machine().mesh();
    write(mesh.join("sales/main/kept"), "kept");
    shell.machine().kill_daemon_and_guard();
    assert!(fs::read_dir(&mesh).is_err(), "dead");
    shell.call("status sales/main");
    shell.call(&format!("mount {}", mesh.display())).call("status sales/main");
    insta::assert_snapshot!(shell.transcript());
    assert_eq!(fs::read_to_string(mesh.join("sales/main/kept")).unwrap(), "kept");
    shell.machine().kill_daemon_and_guard();
    let cleared = shell.call(&format!("umount {}", mesh.display())).transcript();
    assert!(!cleared.contains("exit code"), "{cleared}");
    assert!(!shell.machine().is_mounted());
}

#[test]
fn a_terminated_daemon_unmounts() {
    for signal in ["TERM", "INT", "HUP"] {
        let shell = mounted();
        let process = shell.machine().daemons()[0];
        Command::new("kill").args([&format!("-{signal}"), &process.to_string()]).status().unwrap();
        while Path::new(&format!("/proc/{process}")).exists() {
            std::thread::yield_now();
        }
        assert!(!shell.machine().is_mounted(), "{signal}");
    }
}

#[test]
fn a_daemon_outlives_who_started_it_and_leaves_no_child_of_its_own() {
    let shell = Shell::with_domain();
    let mesh = shell.machine().mesh();
    let script = format!("setsid {} mount {} </dev/null", env!("CARGO_BIN_EXE_meshfs"), mesh.display());
    let output = shell.machine().command("sh").args(["-c", &script]).stdout(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    // Its pipes are closed, or output() would still wait.
    assert!(shell.machine().is_mounted());
    let process = shell.machine().daemons()[0];
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let session: u32 = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(3).unwrap().parse().unwrap();
    assert_eq!(session, process, "in a session of its own");
    assert_eq!(fs::read_link(format!("/proc/{process}/cwd")).unwrap(), Path::new("/"), "keeps no folder busy");
}

#[test]
fn a_read_only_mount_refuses_every_change() {
    let mut shell = Shell::with_domain();
    shell.machine().mount(&["--read-only"]);
    let tree = shell.machine().mesh().join("sales/main");
    assert!(fs::write(tree.join("x"), "x").is_err());
    write(shell.folder().join("x"), "x");
    let text = shell.call("cp ./x sales/main/").transcript();
    assert!(text.contains("[exit code 1]") && text.contains("Read-only"), "{text}");
}

/// Proves A1.
#[test]
fn only_their_owner_sees_state_and_cache() {
    let shell = mounted();
    for folder in [shell.machine().state_dir().join("meshfs"), shell.machine().cache_dir().join("meshfs")] {
        let mode = fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", folder.display());
    }
}

#[test]
fn a_merge_is_settled_in_the_mount_with_ordinary_tools() {
    let mut shell = mounted();
    let mesh = shell.machine().mesh();
    let (main, exp) = (mesh.join("sales/main"), mesh.join("sales/exp"));
    write(main.join("a"), "base");
    write(main.join("b"), "base");
    fs::write(main.join(".meshfs/commit"), "First").unwrap();
    fs::create_dir(&exp).unwrap();
    for (tree, text) in [(&main, "ours"), (&exp, "theirs")] {
        write(tree.join("a"), text);
        fs::write(tree.join(".meshfs/commit"), text).unwrap();
    }
    write(exp.join("b"), "only theirs");
    fs::write(exp.join(".meshfs/commit"), "More").unwrap();
    shell.change_folder(main.clone());
    let answer = shell.call("merge sales/exp").transcript();
    assert!(answer.contains("\na\n") && answer.contains("[exit code 3]"), "{answer}");
    let side = |side: &str| fs::read_to_string(main.join(".meshfs/conflicts").join(side).join("a")).unwrap();
    assert_eq!((side("base"), side("ours"), side("theirs")), ("base".into(), "ours".into(), "theirs".into()));
    assert_eq!(fs::read_to_string(main.join("a")).unwrap(), "ours");
    let refused = fs::write(main.join(".meshfs/commit"), "Too early").unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EBUSY));
    assert!(fs::read_to_string(main.join(".meshfs/last-error")).unwrap().contains("being merged"));
    fs::copy(main.join(".meshfs/conflicts/theirs/a"), main.join("a")).unwrap();
    fs::write(main.join(".meshfs/commit"), "Theirs after all").unwrap();
    assert_eq!(fs::read_to_string(main.join("a")).unwrap(), "theirs");
    assert_eq!(fs::read_to_string(main.join("b")).unwrap(), "only theirs", "the mount shows what came in");
    assert_eq!(fs::read_to_string(main.join(".meshfs/status")).unwrap(), "");
    assert!(!main.join(".meshfs/conflicts/theirs/a").exists());
    let log = shell.call("log -n 1 --json").transcript();
    assert_eq!(log.matches("[ID]").count(), 3, "itself and two parents: {log}");
    // Moved back and forward, with the kernel told each time.
    shell.call("reset sales/@main~1").transcript();
    assert_eq!(fs::read_to_string(main.join("b")).unwrap(), "base");
    let answer = shell.call("merge sales/exp --strategy theirs").transcript();
    assert!(answer.contains("[ID]"), "{answer}");
    assert_eq!(fs::read_to_string(main.join("b")).unwrap(), "only theirs");
}

/// Proves A1.
#[test]
fn folders_that_others_may_enter_show_them_nothing_of_it() {
    let shell = Shell::with_domain();
    let (state, cache) = (shell.folder().join("given-state"), shell.folder().join("given-cache"));
    for folder in [&state, &cache] {
        fs::create_dir(folder).unwrap();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let (state_dir, cache_dir) = (state.to_str().unwrap(), cache.to_str().unwrap());
    shell.machine().mount(&["--state-dir", state_dir, "--cache-dir", cache_dir]);
    write(shell.machine().mesh().join("sales/main/x"), "x");
    let mut sockets = 0;
    for folder in [&state, &cache] {
        for item in fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
            let socket = path.join("control.sock");
            if socket.exists() {
                assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
                sockets += 1;
            }
        }
    }
    assert_eq!(sockets, 1);
}

#[test]
fn a_command_is_tried_on_one_snapshot_after_the_other() {
    let mut shell = mounted();
    let tree = shell.machine().mesh().join("sales/main");
    for n in 0..8 {
        write(tree.join("n"), &n.to_string());
        fs::write(tree.join(".meshfs/commit"), format!("Number {n}")).unwrap();
    }
    shell
        .call("bisect run sales/@main~7 sales/@main -- sh -c \"echo seen; test $(cat n) -lt 5\"")
        .call("bisect run sales/@main~7 sales/@main --json -- sh -c \"test $(cat n) -lt 5\"")
        .call("bisect run sales/@main sales/@main~7 -- true")
        .call("bisect run sales/@main~7 sales/@main -- sh -c \"exit 200\"")
        .call("bisect run sales/@main~7 sales/@main -- no-such-program")
        .call("bisect run sales/@main~7 sales/@main")
        .call("log sales/main -n 1 -- ./n")
        .call("log sales/main -n 2 --json -- n")
        .call("blame sales/main")
        .call("blame sales/main --json")
        .call("blame sales/main/m");
    shell.machine().unmount();
    shell.call("bisect run sales/@main~7 sales/@main -- true");
    insta::assert_snapshot!(shell.transcript());
}
