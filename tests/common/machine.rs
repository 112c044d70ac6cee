//! A machine as a user has one: its own home, state and cache folders, the built command, and at most one mount.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::scratch::Scratch;

/// What a machine has of its own; whatever it mounted is unmounted when it is dropped.
#[derive(Debug)]
pub struct Machine {
    scratch: Scratch,
    store: String,
    environment: Vec<(String, String)>,
}

impl Machine {
    /// A machine that works on this store.
    pub fn new(store: &str) -> Machine {
        Machine::with_environment(store, Vec::new())
    }

    /// The same with credentials in its environment.
    pub fn with_environment(store: &str, environment: Vec<(String, String)>) -> Machine {
        Machine { scratch: Scratch::new(), store: store.to_owned(), environment }
    }

    pub fn home(&self) -> PathBuf {
        self.scratch.folder("home")
    }

    pub fn state_dir(&self) -> PathBuf {
        self.home().join("state")
    }

    pub fn cache_dir(&self) -> PathBuf {
        self.home().join("cache")
    }

    /// Where this machine mounts.
    pub fn mesh(&self) -> PathBuf {
        self.scratch.join("mesh")
    }

    /// A program with this machine's environment and nothing of the caller's but PATH.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home())
            .env("XDG_STATE_HOME", self.state_dir())
            .env("XDG_CACHE_HOME", self.cache_dir())
            .env("MESHFS_AUTHOR", "A Tester")
            .env("MESHFS_STORE", &self.store)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.scratch.path());
        command
    }

    /// The built command with these arguments, run to its end.
    pub fn try_meshfs(&self, arguments: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_meshfs")).args(arguments).output().expect("the built command starts")
    }

    /// What the command printed to stdout; it must succeed.
    pub fn meshfs(&self, arguments: &[&str]) -> String {
        succeeded(&format!("meshfs {}", arguments.join(" ")), &self.try_meshfs(arguments))
    }

    /// Any program run to its end in a folder; it must succeed. Gives its stdout.
    pub fn run(&self, folder: &Path, program: impl AsRef<OsStr>, arguments: &[&str]) -> String {
        let what = format!("{} {}", program.as_ref().display(), arguments.join(" "));
        let output = self.command(program).args(arguments).current_dir(folder).output();
        succeeded(&what, &output.unwrap_or_else(|error| panic!("{what}: {error}")))
    }

    /// Mounts with more options; gives the mountpoint.
    pub fn mount(&self, options: &[&str]) -> PathBuf {
        let mesh = self.mesh();
        let mountpoint = mesh.to_str().expect("scratch folders have plain names");
        self.meshfs(&[&["mount", mountpoint], options].concat());
        mesh
    }

    pub fn is_mounted(&self) -> bool {
        let mesh = self.mesh();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mountinfo can be read");
        mounts.lines().any(|line| line.split(' ').nth(4).is_some_and(|point| Path::new(point) == mesh))
    }

    pub fn unmount(&self) {
        self.meshfs(&["umount", self.mesh().to_str().expect("scratch folders have plain names")]);
    }

    /// The daemons that serve this machine's mountpoint, by its name in their command line.
    pub fn daemons(&self) -> Vec<u32> {
        let mesh = self.mesh();
        let names_it = |pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|&b| b == 0).any(|word| Path::new(OsStr::new(&*String::from_utf8_lossy(word))) == mesh)
        };
        let processes = std::fs::read_dir("/proc").expect("/proc is there").flatten();
        processes.filter_map(|item| item.file_name().to_str()?.parse().ok()).filter(names_it).collect()
    }

    /// Kills the daemon as a crash would; the dead mount stays behind.
    pub fn kill_daemon(&self) {
        let daemons = self.daemons();
        assert!(!daemons.is_empty(), "no daemon serves {}", self.mesh().display());
        for pid in daemons {
            self.run(Path::new("/"), "kill", &["-KILL", &pid.to_string()]);
            // Its last thread lets go of the mount.
            while threads(pid) > 1 || (threads(pid) == 1 && !is_zombie(pid)) {
                std::thread::yield_now();
            }
        }
    }

    /// Kills the daemon and its guard, so that nobody takes the dead mount away.
    pub fn kill_daemon_and_guard(&self) {
        for guard in self.daemons().into_iter().flat_map(guards_of) {
            self.run(Path::new("/"), "kill", &["-KILL", &guard.to_string()]);
        }
        self.kill_daemon();
    }

    /// Forgets every local copy of stored data.
    pub fn drop_cache(&self) {
        assert!(!self.is_mounted(), "unmount first");
        let _ = std::fs::remove_dir_all(self.cache_dir());
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if self.is_mounted() {
            let mesh = self.mesh();
            let unmounted = self.try_meshfs(&["umount", mesh.to_str().expect("scratch folders have plain names")]);
            if !unmounted.status.success() {
                let _ = Command::new("umount").arg("-l").arg(&mesh).output();
            }
        }
        for pid in self.daemons() {
            let _ = Command::new("kill").arg("-KILL").arg(pid.to_string()).output();
        }
    }
}

fn threads(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}

/// The processes that watch over a daemon, by its number in their command line.
pub fn guards_of(daemon: u32) -> Vec<u32> {
    let wanted = format!("guard\0--of\0{daemon}\0");
    let is_guard = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.ends_with(wanted.as_bytes())
    };
    let processes = std::fs::read_dir("/proc").expect("/proc is there").flatten();
    processes.filter_map(|item| item.file_name().to_str()?.parse().ok()).filter(is_guard).collect()
}

fn is_zombie(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
}

fn succeeded(what: &str, output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{what}: {}\n{}{}", output.status, text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}
