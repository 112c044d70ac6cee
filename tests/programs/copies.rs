//! Programs that copy trees: rsync, tar, cp. Each has its own way to tell whether a copy is true.

use super::journey::{Journey, sources};

/// What a copy may get wrong: modes, times, links of both kinds, holes, odd names, an empty folder.
fn make_tree(journey: &Journey) {
    journey.here().shell(&format!(
        "mkdir tree; cp -a {} tree/src; cd tree
         ln -s src/lib.rs link; ln src/lib.rs src/second-name; ln -s nowhere broken; mkfifo fifo
         printf begin > src/hole; truncate -s 4M src/hole; printf end >> src/hole; chmod 640 src/lib.rs
         touch -d '2001-02-03 04:05:06.789' src/lib.rs; mkdir -m 700 empty; printf x > 'a b'; printf x > $'a\\nb'
         touch -d '1969-12-31 23:59:58.25 UTC' src/main.rs; [ $(stat -c %.9Y src/main.rs) = -1.750000000 ]
         setfattr -n user.origin -v somewhere src/main.rs; chmod 4755 src/main.rs
         touch -d '2010-01-01 00:00:00.123456789' empty .",
        sources()
    ));
}

/// Everything that `find` tells of two trees is the same but inode numbers and ctimes; times of these types of files.
const SAME: &str = "same() {
   diff -r --no-dereference --exclude=fifo $1 $2
   told='%P %y %m %s %n %l\\n'; dated='%P %T@\\n'
   diff <(cd $1; find . ! -type d -printf \"$told\" | sort) <(cd $2; find . ! -type d -printf \"$told\" | sort)
   diff <(cd $1; find . -type $3 -printf \"$dated\" | sort) <(cd $2; find . -type $3 -printf \"$dated\" | sort)
   [ $2/src/lib.rs -ef $2/src/second-name ]
   [ \"$(getfattr -n user.origin --only-values $2/src/main.rs)\" = somewhere ]
 }";

#[test]
fn cp_and_tar() {
    let journey = Journey::new();
    make_tree(&journey);
    journey.here().shell(
        "tar --format=posix --xattrs -cf tree.tar -C tree .
         mkdir unpacked; tar --xattrs --xattrs-include='user.*' -xpf tree.tar -C unpacked; cp -a tree copied",
    );
    journey.travel(|tree| {
        tree.shell(&format!(
            "{SAME}; same tree unpacked d,f,l,p; same tree copied d,f,l,p; tar --compare -f tree.tar -C tree"
        ));
    });
}

#[test]
fn rsync() {
    let journey = Journey::new();
    make_tree(&journey);
    journey.here().shell("rsync -aHX tree/ synced/");
    journey.travel(|tree| {
        tree.shell(&format!("{SAME}; same tree synced f"));
        assert_eq!(tree.shell("rsync -aHXi tree/ synced/"), "", "by size and time nothing is to be sent");
        assert_eq!(tree.shell("rsync -aHXic tree/ synced/"), "", "by checksum neither");
    });
    let change = |tree: super::journey::Tree<'_>| {
        let said =
            tree.shell("echo more >> tree/src/lib.rs; rm tree/link; rsync -aHXi --inplace --delete tree/ synced/");
        assert!(said.contains("*deleting   link") && said.contains("src/lib.rs"), "{said}");
        assert_eq!(said.lines().filter(|line| line.starts_with(">f")).count(), 1, "{said}");
    };
    journey.travel_back(change, |tree| {
        assert_eq!(tree.shell("rsync -aHXi --delete tree/ synced/"), "");
    });
}

/// Proves F8, X2.
#[test]
fn reflinks_are_refused_or_become_copies_that_move_no_data() {
    let journey = Journey::new();
    journey.here().shell("head -c 4M /dev/urandom > file; chmod 640 file");
    journey.commit();
    let said = journey.here().shell("cp --reflink=always file always 2>&1 && exit 1; echo $?; ls -s always || true");
    assert!(said.contains("failed to clone 'always' from 'file': Operation not supported"), "{said}");
    journey.here().shell(
        "rm -f always; cp --reflink=auto file auto; cp --reflink=never file never; cp --sparse=always file sparse",
    );
    journey.travel(|tree| {
        tree.shell("for copy in auto never sparse; do cmp file $copy; [ $(stat -c %a $copy) = 640 ]; done");
    });
}
