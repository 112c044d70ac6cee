//! A mount whose network fails in each way that networks do: what is here goes on, what is not fails in time and says
//! why, nobody hangs, and when the network is back so is everything, without a remount.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::common::machine::Machine;
use super::common::proxy::{Link, Proxy};
use super::common::s3::Server;
use super::support::{ended, eventually, noise};

/// Files that are read only once the network has failed: one for each way, and one for a reader to be killed.
const COLD: usize = 12;
const COLD_BYTES: usize = 6 << 20;

/// A mesh on a server, a machine that reaches it through a proxy and has mounted it, and one that needs no proxy.
struct World {
    _server: Server,
    proxy: Proxy,
    far: Machine,
    near: Machine,
    mesh: PathBuf,
}

impl World {
    fn new() -> World {
        let server = Server::start();
        let proxy = Proxy::start(server.address());
        let store = format!("{}/mesh", server.url("bucket"));
        let near = Machine::with_environment(&store, server.environment());
        let mut through = server.environment();
        through.push(("AWS_ENDPOINT_URL_S3".to_owned(), proxy.endpoint()));
        let far = Machine::with_environment(&store, through);
        near.meshfs(&["init"]);
        near.meshfs(&["domain", "create", "sales"]);
        let files = near.home().join("files");
        fs::create_dir(&files).unwrap();
        fs::write(files.join("warm"), noise(0, 300_000)).unwrap();
        (1..=COLD).for_each(|seed| fs::write(files.join(format!("cold-{seed}")), noise(seed, COLD_BYTES)).unwrap());
        near.meshfs(&["cp", files.to_str().unwrap(), "sales/main/data", "-m", "Data"]);
        let mesh = far.mount(&["--timeout", "3", "--poll", "0.1"]);
        let world = World { _server: server, proxy, far, near, mesh };
        assert_eq!(fs::read_dir(world.at("data")).unwrap().count(), 1 + COLD);
        assert!(fs::read(world.at("data/warm")).unwrap() == noise(0, 300_000));
        world
    }

    fn at(&self, path: &str) -> PathBuf {
        self.mesh.join("sales/main").join(path)
    }

    fn last_error(&self) -> String {
        fs::read_to_string(self.at(".meshfs/last-error")).unwrap()
    }

    /// What needs no store: reading what was read, and all kinds of changes where one has looked before.
    fn work_goes_on(&self, name: &str) {
        assert!(fs::read(self.at("data/warm")).unwrap() == noise(0, 300_000));
        let path = self.at(&format!("data/{name}"));
        fs::write(&path, b"written while the store was away").unwrap();
        fs::File::open(&path).unwrap().sync_all().unwrap();
        let dir = self.at(&format!("data/{name}-dir"));
        fs::create_dir(&dir).unwrap();
        fs::rename(&path, dir.join("moved")).unwrap();
        fs::write(dir.join("deleted"), b"x").unwrap();
        fs::remove_file(dir.join("deleted")).unwrap();
        assert_eq!(fs::read(dir.join("moved")).unwrap(), b"written while the store was away");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
    }

    /// A process that waits for what has to come from the store.
    fn waiting_reader(&self, cold: &str) -> Child {
        let path = self.at(&format!("data/{cold}"));
        let reader = Command::new("cat").arg(&path).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        eventually("the reader waits", || opened(reader.id(), &path));
        reader
    }
}

/// Does this process have the file open?
fn opened(pid: u32, path: &Path) -> bool {
    let Ok(fds) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    fds.flatten().any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target == path))
}

/// Reads in a thread of its own, which has to come back.
fn read_in_time(path: PathBuf) -> io::Result<Vec<u8>> {
    let reader = std::thread::spawn(move || fs::read(path));
    eventually("a read comes to its end", || reader.is_finished());
    reader.join().unwrap()
}

#[test]
fn a_mount_lives_through_every_way_in_which_its_network_fails() {
    let world = World::new();
    let ways = [Link::Refusing, Link::Silent, Link::Trickling(Duration::from_millis(20)), Link::CutAfter(50_000)];
    for (number, way) in ways.into_iter().enumerate() {
        let cold = |of: usize| format!("cold-{}", 1 + 3 * number + of);
        world.proxy.set(way);
        world.work_goes_on(&format!("staged-{number}"));
        let mut killed = world.waiting_reader(&cold(0));
        killed.kill().unwrap();
        let path = world.at(&format!("data/{}", cold(1)));
        let error = read_in_time(path.clone()).map(|bytes| bytes.len()).unwrap_err();
        assert!(matches!(error.raw_os_error(), Some(libc::EIO | libc::ETIMEDOUT)), "{way:?}: {error}");
        let told = world.last_error();
        assert!(told.contains("within 3 s") && told.contains("meshfs doctor"), "{way:?}: {told}");
        if way == Link::Refusing {
            assert!(told.contains("cannot connect") && told.contains(&world.proxy.endpoint()), "{told}");
        }
        assert!(!ended("a killed reader", &mut killed).success());
        world.work_goes_on(&format!("again-{number}"));
        // A commit that begins while the store is away waits for it.
        let mut commit = world.far.command(env!("CARGO_BIN_EXE_meshfs"));
        commit.args(["commit", "sales/main", "-m", "Begun while the store was away"]);
        let mut commit = commit.stdout(Stdio::null()).spawn().unwrap();
        world.proxy.set(Link::Sound);
        // Requests that failed meanwhile are sent again after a pause, which may be longer than this mount waits.
        eventually("the store is used again", || {
            read_in_time(path.clone()).is_ok_and(|read| read == noise(2 + 3 * number, COLD_BYTES))
        });
        assert!(read_in_time(world.at(&format!("data/{}", cold(2)))).is_ok_and(|read| read.len() == COLD_BYTES));
        assert!(ended("a commit", &mut commit).success(), "{way:?}");
        let seen = world.near.meshfs(&["cat", &format!("sales/@main/data/again-{number}-dir/moved")]);
        assert_eq!(seen, "written while the store was away");
    }
}

#[test]
fn a_network_that_is_only_slow_delays_and_fails_nothing() {
    let world = World::new();
    world.proxy.set(Link::Slow(Duration::from_millis(50)));
    assert!(read_in_time(world.at("data/cold-1")).unwrap() == noise(1, COLD_BYTES));
    world.work_goes_on("slow");
    world.far.meshfs(&["commit", "sales/main", "-m", "Slowly"]);
    assert_eq!(fs::read(world.at(".meshfs/status")).unwrap(), b"");
}

#[test]
fn a_mount_can_be_taken_away_while_its_store_is() {
    let world = World::new();
    world.proxy.set(Link::Silent);
    let mut reader = world.waiting_reader("cold-1");
    world.far.meshfs(&["umount", "--lazy", world.mesh.to_str().unwrap()]);
    assert!(!ended("the reader", &mut reader).success());
    eventually("the daemon ends", || world.far.daemons().is_empty());
    assert!(!world.far.is_mounted());
}

/// A command without a mount waits for its store, too, and says so long before it gives up.
#[test]
fn a_command_tells_what_it_waits_for_and_goes_on_when_it_comes() {
    let server = Server::start();
    let proxy = Proxy::start(server.address());
    let mut through = server.environment();
    through.push(("AWS_ENDPOINT_URL_S3".to_owned(), proxy.endpoint()));
    let machine = Machine::with_environment(&format!("{}/mesh", server.url("bucket")), through);
    machine.meshfs(&["init"]);
    proxy.set(Link::Refusing);
    let mut command = machine.command(env!("CARGO_BIN_EXE_meshfs"));
    let mut command = command.args(["domain", "list"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = String::new();
    BufReader::new(command.stderr.take().unwrap()).read_line(&mut told).unwrap();
    assert!(told.contains("trying again for up to") && told.contains(&proxy.endpoint()), "{told}");
    proxy.set(Link::Sound);
    assert!(ended("the command", &mut command).success());
}
