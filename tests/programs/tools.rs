//! Tools of every day: git, tar, cp, rsync, make, a compiler, executing what lies on the mount.

use std::path::Path;

use super::common::machine::Machine;
use super::common::scratch::Scratch;

struct Mounted {
    machine: Machine,
    _store: Scratch,
}

impl Mounted {
    fn new() -> Mounted {
        let store = Scratch::new();
        let machine = Machine::new(&store.join("store").display().to_string());
        machine.meshfs(&["init"]);
        machine.meshfs(&["domain", "create", "tools"]);
        machine.mount(&[]);
        Mounted { machine, _store: store }
    }

    /// Runs a shell script in the working tree; it must succeed.
    fn shell(&self, script: &str) -> String {
        self.machine.run(&self.machine.mesh().join("tools/main"), "bash", &["-euc", script])
    }

    /// Commits, and forgets everything that is kept locally.
    fn commit_and_forget(&self) {
        self.machine.meshfs(&["commit", "tools/main", "-m", "Tools were here"]);
        self.machine.unmount();
        self.machine.drop_cache();
        self.machine.mount(&[]);
    }
}

/// A folder of sources that every machine with this test has.
fn sources() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src").display().to_string()
}

#[test]
fn git_keeps_a_repository_across_a_commit_and_a_remount() {
    let mounted = Mounted::new();
    mounted.shell(&format!(
        "git init -q repo; cp -r {} repo/src; cd repo
         git -c user.name=t -c user.email=t@example.com -c gc.auto=0 add -A
         git -c user.name=t -c user.email=t@example.com commit -qm first
         git gc -q; git fsck --strict; git checkout -qb other",
        sources()
    ));
    mounted.commit_and_forget();
    let status = mounted.shell(
        "cd repo; git fsck --strict; git status --porcelain; git clone -q . ../clone; cd ../clone; git status --porcelain",
    );
    assert_eq!(status, "", "nothing differs after a remount");
}

#[test]
fn archives_and_copies_keep_modes_times_links_and_holes() {
    let mounted = Mounted::new();
    mounted.shell(&format!(
        "mkdir tree; cp -a {} tree/src; cd tree
         ln -s src/lib.rs link; ln src/lib.rs src/second-name; truncate -s 1M src/hole; chmod 640 src/lib.rs
         touch -d '2001-02-03 04:05:06.789' src/lib.rs; mkdir empty; printf x > 'a b'
         touch -d '1969-12-31 23:59:58.25 UTC' src/main.rs; [ $(stat -c %.9Y src/main.rs) = -1.750000000 ]
         tar --format=posix -cf ../tree.tar .; mkdir ../copy ../unpacked; cp -a . ../copy; tar -xf ../tree.tar -C ../unpacked",
        sources()
    ));
    mounted.commit_and_forget();
    mounted.shell(
        "for other in copy unpacked; do
           diff -r --no-dereference tree $other
           list='%P %y %m %s %T@ %n %l\\n'
           diff <(cd tree; find . -type f -printf \"$list\" | sort) <(cd $other; find . -type f -printf \"$list\" | sort)
           diff <(cd tree; find . ! -type f -printf '%P %y %m %l\\n' | sort) <(cd $other; find . ! -type f -printf '%P %y %m %l\\n' | sort)
         done
         [ copy/src/lib.rs -ef copy/src/second-name ]",
    );
}

#[test]
fn make_compiles_and_runs_here_and_rebuilds_nothing_after_a_remount() {
    let mounted = Mounted::new();
    mounted.shell(
        "printf '#include <stdio.h>\\nint main(void) { puts(\"built here\"); return 0; }\\n' > hello.c
         printf 'hello: hello.c\\n\\tcc -o $@ $<\\n' > Makefile
         make -s; [ \"$(./hello)\" = 'built here' ]",
    );
    mounted.commit_and_forget();
    let output = mounted.shell("make; ./hello; touch hello.c; make -q || echo 'out of date'");
    assert!(
        output.contains("is up to date") && output.contains("built here") && output.contains("out of date"),
        "{output}"
    );
}

#[test]
fn editors_save_by_renaming_and_locks_exclude() {
    let mounted = Mounted::new();
    mounted.shell(
        "echo one > note; for i in $(seq 50); do echo $i > .note.tmp; mv .note.tmp note; done; [ \"$(cat note)\" = 50 ]
         sed -i 's/50/fifty/' note; grep -q fifty note
         ! truncate -s 1P huge 2> said; grep -q 'File too large' said
         ! echo nowhere > .meshfs/discard; grep -q nowhere .meshfs/last-error
         exec 9> lock; flock 9; ! flock -n lock true
         seq 4 | xargs -P 4 -I{} sh -c 'for i in $(seq 100); do echo {}-$i >> log.{}; done'; [ $(cat log.* | wc -l) = 400 ]",
    );
    mounted.commit_and_forget();
    mounted.shell("[ \"$(cat note)\" = fifty ]; [ $(cat log.* | wc -l) = 400 ]");
}
