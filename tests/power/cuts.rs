//! One run of a machine, cut at every sync and between: after each cut the machine is opened again, and must show what
//! was promised.

use std::io::Write;
use std::path::Path;

use super::common::machine::Machine;
use super::disk::{Cut, Image, MANNERS, Manner, Op, chance};
use super::holdback::{Holdback, Recorder, mark};
use super::model::Model;
use super::recovered::{Recovered, Shown, scratch};
use super::remount::mount_after_another_start;
use super::workload::{Chooser, Mounted, Step};

/// How many cuts a test makes: a few, or what `MESHFS_POWER_CUTS` asks for.
fn cuts_wanted(few: usize) -> usize {
    std::env::var("MESHFS_POWER_CUTS").ok().and_then(|text| text.parse().ok()).unwrap_or(few)
}

/// The seed of the first run; `MESHFS_POWER_SEED` replays one that failed.
fn first_seed() -> u64 {
    std::env::var("MESHFS_POWER_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// A run, with everything it asked of its disk.
pub struct Run {
    seed: u64,
    model: Model,
    steps: Vec<Step>,
    log: Vec<Op>,
    /// Where the steps begin in the log.
    begin: usize,
}

/// A machine whose state and store lie in `root`.
pub fn machine_in(root: &Path) -> Machine {
    let text = |name: &str| root.join(name).to_str().expect("scratch folders have plain names").to_owned();
    Machine::with_environment(&text("store"), vec![("MESHFS_STATE_DIR".to_owned(), text("state"))])
}

/// Does `steps` on a disk at `root`, and `more` that the seed chooses. The folder is empty again afterwards.
pub fn record(root: &Path, seed: u64, steps: &[Step], more: usize) -> Run {
    let disk = Recorder::new(Image::empty());
    let mounted = Holdback::mount(&disk, root);
    let machine = machine_in(root);
    machine.meshfs(&["init"]);
    machine.meshfs(&["domain", "create", "sales"]);
    let reopen = || {
        machine.kill_daemon();
        machine.mount(&[]);
    };
    let tree = Mounted { tree: machine.mount(&[]).join("sales/main"), reopen: &reopen };
    let mut run = Run { seed, model: Model::default(), steps: Vec::new(), log: Vec::new(), begin: 0 };
    // What is committed before it begins shows through what is written later.
    let base =
        [vec![Step::mkdir("d")], committed("a", 50_000), committed("c", 20_000), committed("d/b", 9_000)].concat();
    let base = [base, committed("d/c", 300), vec![Step::Commit]].concat();
    run.model.next();
    let mut chooser = Chooser::new(seed);
    let mut planned = base.iter().chain(steps).cloned();
    for _ in 0..base.len() + steps.len() + more {
        let step = planned.next().unwrap_or_else(|| chooser.next(&run.model));
        tree.perform(&mut run.model, &step);
        run.steps.push(step);
        mark(root, run.steps.len());
        if run.steps.len() == base.len() {
            run.begin = disk.lock().log().len();
        }
    }
    machine.kill_daemon();
    drop(machine);
    mounted.unmount();
    run.log = disk.lock().log().to_vec();
    run
}

fn committed(path: &str, len: usize) -> Vec<Step> {
    vec![Step::create(path), Step::write(path, 0, len)]
}

impl Run {
    /// How many steps had returned.
    fn done(&self, cut: usize) -> usize {
        let marks = self.log[..cut].iter().rev();
        marks.into_iter().find_map(|op| if let Op::Mark(step) = op { Some(*step) } else { None }).unwrap_or(0)
    }

    /// Just before and just after each sync, and at random.
    fn places(&self) -> Vec<usize> {
        let syncs = (self.begin..self.log.len()).filter(|&at| matches!(self.log[at], Op::Sync { .. }));
        let mut places: Vec<usize> = syncs.flat_map(|at| [at, at + 1]).collect();
        let others = (0..places.len() as u64)
            .map(|about| self.begin + (chance(self.seed, &[7, about]) as usize) % (self.log.len() - self.begin + 1));
        places.extend(others.collect::<Vec<_>>());
        places
    }

    pub fn log_len(&self) -> usize {
        self.log.len()
    }

    /// What is on the disk.
    pub fn image(&self, cut: usize, manner: Manner, seed: u64) -> Image {
        Cut { before: &Image::empty(), log: &self.log[..cut], manner, seed }.image()
    }

    pub fn check_shown(&self, cut: usize, manner: Manner, shown: &Shown) -> Result<(), String> {
        self.model.check(self.done(cut), manner, shown)
    }

    /// Opens the machine of `image`, which the power was cut from at `cut`, and looks.
    async fn check(&self, root: &Path, image: &Image, cut: usize, manner: Manner) -> Result<(), String> {
        image.write_to(root);
        let done = self.done(cut);
        self.model.check_committed(done, &Recovered::elsewhere(root).await)?;
        let machine = Recovered::open(root, "after the cut").await;
        let shown = machine.shown().await;
        self.check_shown(cut, manner, &shown)?;
        // And it goes on from there.
        machine.commit().await;
        let shown: Vec<_> = shown.into_iter().map(|(path, thing)| (path, thing.bytes)).collect();
        let committed = Recovered::elsewhere(root).await;
        if !committed
            .iter()
            .map(|(path, thing)| (path, &thing.bytes))
            .eq(shown.iter().map(|(path, bytes)| (path, bytes)))
        {
            return Err("the next commit has something else than was shown".to_owned());
        }
        Ok(())
    }

    async fn cut_and_check(&self, root: &Path, cut: usize, manner: Manner, turn: u64) {
        let told = Told(self.about(cut, manner));
        let image = self.image(cut, manner, chance(self.seed, &[9, turn]));
        if let Err(problem) = self.check(root, &image, cut, manner).await {
            panic!("{problem}");
        }
        drop(told);
        clear(root);
    }

    pub fn about(&self, cut: usize, manner: Manner) -> String {
        let done = self.done(cut);
        let last: Vec<_> = self.steps[..(done + 1).min(self.steps.len())].iter().enumerate().rev().take(12).collect();
        let (seed, log) = (self.seed, self.log.len());
        format!("MESHFS_POWER_SEED={seed}, cut at {cut} of {log} ({manner:?}), after step {done} of {last:#?}")
    }
}

/// What is told of a cut after which something fails.
struct Told(String);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            writeln!(std::io::stderr(), "{}", self.0).expect("stderr can be written to");
        }
    }
}

pub fn clear(root: &Path) {
    for item in std::fs::read_dir(root).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() { std::fs::remove_dir_all(path).unwrap() } else { std::fs::remove_file(path).unwrap() }
    }
}

/// "What `fsync` covered survives a power loss: data, size and name." "What was not synced may be lost by a power loss,
/// and nothing that nobody wrote stands in its place. Names, modes and links are those after some operation, the last
/// that was synced or a later one." "A commit that returned is in the store, in a local one as well."
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_power_cut_at_any_moment_what_was_synced_is_there_and_nothing_is_torn() {
    const CUTS_OF_A_RUN: usize = 40;
    let wanted = cuts_wanted(120);
    for seed in (first_seed()..).take(wanted.div_ceil(CUTS_OF_A_RUN)) {
        let root = scratch();
        let run = record(root.path(), seed, &[], 60);
        let places = run.places();
        for turn in 0..CUTS_OF_A_RUN {
            let cut = places[chance(seed, &[8, turn as u64]) as usize % places.len()];
            run.cut_and_check(root.path(), cut, MANNERS[turn % MANNERS.len()], turn as u64).await;
        }
    }
}

/// What programs do without `fsync`, and what a disk may make of it: ranges written to committed files, files replaced
/// by a rename, what was synced removed, cut off, or copied over. "A range of a committed file shows the commit's bytes or
/// those written, never zeros." "A program that writes `tmp` and renames it to `name` without `fsync` finds the old file
/// or the new one, whole, never an empty one."
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_that_sync_nothing_find_the_old_or_the_new_and_never_zeros() {
    let root = scratch();
    let steps = [
        vec![Step::write("a", 1000, 100), Step::write("a", 1200, 100)],
        vec![Step::create("t"), Step::write("t", 0, 5000), Step::rename("t", "d/b"), Step::sync("d/c")],
        vec![Step::write("d/c", 0, 700), Step::sync("d/c")],
        vec![Step::create("f"), Step::write("f", 0, 4096), Step::sync("f"), Step::rename("f", "d/c")],
        vec![Step::sync("a"), Step::set_len("a", 10), Step::set_len("a", 3000)],
        vec![Step::create("g"), Step::write("g", 0, 700), Step::sync("g"), Step::Empty("g".into())],
        vec![Step::CopyFrom { path: "g".into(), from: "c".into() }, Step::Unlink("d/b".into())],
        // Time goes by, and nothing is synced.
        (0..12).map(|turn| Step::Chmod { path: "c".into(), mode: 0o600 + turn }).collect(),
    ];
    let run = record(root.path(), first_seed(), &steps.concat(), 0);
    let manners = [Manner::SomeFiles, Manner::Ordered, Manner::BytesOnly];
    for turn in 0..cuts_wanted(90) {
        let cut = run.begin + chance(run.seed, &[11, turn as u64]) as usize % (run.log.len() - run.begin + 1);
        run.cut_and_check(root.path(), cut, manners[turn % manners.len()], turn as u64).await;
    }
}

/// What is put right after a power loss is put right again when the power goes meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_while_recovering_from_one_is_like_one_cut() {
    let (seed, root) = (first_seed() + 1000, scratch());
    let run = record(root.path(), seed, &[], 60);
    let wanted = cuts_wanted(24);
    for (turn, manner) in [Manner::SomeFiles, Manner::Ordered].into_iter().enumerate() {
        let cut = run.log.len() - turn * 150;
        let first = run.image(cut, manner, turn as u64);
        let disk = Recorder::new(first.clone());
        let mounted = Holdback::mount(&disk, root.path());
        let machine = machine_in(root.path());
        let tree = mount_after_another_start(&machine, "between");
        std::fs::read_dir(tree.join("sales/main")).unwrap();
        machine.kill_daemon();
        drop(machine);
        mounted.unmount();
        let log = disk.lock().log().to_vec();
        for turn in 0..wanted as u64 / 2 {
            let again = chance(seed, &[10, turn]) as usize % (log.len() + 1);
            let image = Cut { before: &first, log: &log[..again], manner, seed: turn }.image();
            let told = Told(format!("{}, and at {again} of {} while recovering", run.about(cut, manner), log.len()));
            if let Err(problem) = run.check(root.path(), &image, cut, manner).await {
                panic!("{problem}");
            }
            drop(told);
            clear(root.path());
        }
    }
}
