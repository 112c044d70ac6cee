//! Programs that make programs: make, a C compiler, cargo, a Python environment; and running what they made from the
//! mount.

use std::path::Path;
use std::process::Command;

use super::journey::{Journey, Tree, python};

#[test]
fn make_knows_what_is_up_to_date_and_what_it_made_runs() {
    let journey = Journey::new();
    journey.here().shell(
        "mkdir src; printf 'int add(int a, int b) { return a + b; }\\n' > src/add.c
         printf 'int add(int, int);\\n' > src/add.h
         printf '#include <stdio.h>\\n#include \"add.h\"\\nint main(void) { printf(\"%%d\\\\n\", add(2, 3)); return 0; }\\n' > src/main.c
         printf 'sum: main.o libadd.a\\n\\tcc -o $@ $^\\nlibadd.a: add.o\\n\\tar rcs $@ $^\\n%%.o: src/%%.c src/add.h\\n\\tcc -c -o $@ $<\\n' > Makefile
         make -s -j4; [ \"$(./sum)\" = 5 ]",
    );
    journey.travel(|tree| {
        assert_eq!(tree.shell("make -q; make; ./sum"), "make: 'sum' is up to date.\n5\n");
    });
    let change = |tree: Tree<'_>| {
        tree.shell("touch src/add.c");
        let plan = tree.shell("make -n");
        assert!(plan.contains("add.c") && plan.contains("ar rcs") && !plan.contains("main.c"), "{plan}");
        assert_eq!(tree.shell("sed -i 's/a + b/a * b/' src/add.c; make -s; make -q; ./sum"), "6\n");
    };
    journey.travel_back(change, |tree| assert_eq!(tree.shell("make -q; ./sum"), "6\n"));
}

#[test]
fn cargo_builds_once() {
    let journey = Journey::new();
    // The compiler itself: what stands in PATH may be a proxy that wants a home of its own.
    let toolchain = Path::new(env!("CARGO")).parent().expect("a folder").display();
    let cargo =
        |arguments: &str| format!("export RUSTC={toolchain}/rustc; {toolchain}/cargo {arguments} --offline 2>&1");
    journey.here().shell(
        "mkdir -p sum/src; cd sum; printf '[package]\\nname = \"sum\"\\nedition = \"2024\"\\n' > Cargo.toml
         printf 'pub fn add(a: u32, b: u32) -> u32 { a + b }\\n' > src/lib.rs
         printf 'fn main() { println!(\"{}\", sum::add(2, 3)); }\\n' > src/main.rs",
    );
    let built = journey.here().shell(&format!("cd sum; {}", cargo("build")));
    assert!(built.contains("Compiling"), "{built}");
    journey.travel(|tree| {
        assert_eq!(tree.shell("sum/target/debug/sum"), "5\n");
        if std::ptr::eq(tree.machine(), journey.here().machine()) {
            let again = tree.shell(&format!("cd sum; {}", cargo("build")));
            assert!(again.contains("Finished") && !again.contains("Compiling"), "{again}");
        }
    });
    let change = |tree: Tree<'_>| {
        tree.shell("sed -i 's/a + b/a * b/' sum/src/lib.rs");
        assert!(tree.shell(&format!("cd sum; {}", cargo("run"))).ends_with("\n6\n"));
    };
    journey.travel_back(change, |tree| assert_eq!(tree.shell("sum/target/debug/sum"), "6\n"));
}

#[test]
fn a_python_environment_is_made_and_used_inside() {
    let journey = Journey::new();
    let python = python();
    journey.here().python("package.py", &["hello-1.0-py3-none-any.whl"]);
    journey.here().shell(&format!(
        "{} -m venv env; env/bin/pip install --quiet --no-index --disable-pip-version-check ./hello-1.0-py3-none-any.whl
         env/bin/hello",
        python.display()
    ));
    journey.travel(|tree| {
        assert_eq!(tree.shell("env/bin/python -m hello"), "hello from the mount\n");
        // What it compiled is still taken for what it was compiled from.
        tree.shell("env/bin/python -v -m hello > said 2>&1; grep -q 'hello/__pycache__/.* matches' said; rm said");
    });
    journey.travel_back(
        |tree| {
            let said = tree.shell("env/bin/python -m pip check; env/bin/python -m pip uninstall --quiet --yes hello");
            assert_eq!(said, "No broken requirements found.\n");
        },
        |tree| drop(tree.shell("! env/bin/python -m hello 2> said; grep -q 'No module named hello' said; rm said")),
    );
}

#[test]
fn a_running_program_is_not_written_to_and_a_written_one_is_not_run() {
    let journey = Journey::new();
    let tree = journey.here();
    let busy = |result: std::io::Result<()>| {
        assert_eq!(result.expect_err("it is busy").kind(), std::io::ErrorKind::ExecutableFileBusy);
    };
    tree.shell("cp /bin/sleep sleep; cp /bin/true replaced");
    journey.commit();
    for committed in [true, false] {
        let path = tree.path().join("sleep");
        let mut child = Command::new(&path).arg("600").spawn().expect("it runs from the mount");
        busy(std::fs::OpenOptions::new().write(true).open(&path).map(drop));
        // Replacing it is allowed, and the running one goes on.
        tree.shell("cp sleep new; mv new sleep");
        assert!(child.try_wait().unwrap().is_none(), "it runs on, committed: {committed}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let path = tree.path().join("replaced");
    let writer = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    busy(Command::new(&path).status().map(drop));
    drop(writer);
    assert!(Command::new(&path).status().unwrap().success());
}
