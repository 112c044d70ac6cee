//! One run of a machine, cut at every sync and between: after each cut the machine is opened again, and must show what
//! was promised.

use std::io::Write;
use std::path::Path;

use super::disk::{Cut, Image, MANNERS, Manner, Op, chance};
use super::common::machine::Machine;
use super::holdback::{Holdback, Recorder, mark};
use super::model::Model;
use super::recovered::{Recovered, Shown, scratch};
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

/// Does `steps` steps on a disk at `root`, which is an empty folder again afterwards.
pub fn record(root: &Path, seed: u64, steps: usize) -> Run {
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
    let base = [
        Step::Mkdir("d".to_owned()),
        Step::Create("a".to_owned()),
        Step::Write { path: "a".to_owned(), offset: 0, len: 50_000 },
        Step::Create("d/b".to_owned()),
        Step::Write { path: "d/b".to_owned(), offset: 0, len: 9_000 },
        Step::Create("d/c".to_owned()),
        Step::Write { path: "d/c".to_owned(), offset: 0, len: 300 },
        Step::Commit,
    ];
    run.model.next();
    let mut chooser = Chooser::new(seed);
    for at in 0..base.len() + steps {
        let step = base.get(at).cloned().unwrap_or_else(|| chooser.next(&run.model));
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

    /// Cuts the power at `cut`, opens the machine again and looks.
    async fn check(&self, root: &Path, cut: usize, manner: Manner, seed: u64) -> Result<(), String> {
        self.image(cut, manner, seed).write_to(root);
        let done = self.done(cut);
        self.model.check_committed(done, &Recovered::elsewhere(root).await)?;
        let machine = Recovered::open(root, "after the cut").await;
        let shown = machine.shown().await;
        self.check_shown(cut, manner, &shown)?;
        // And it goes on from there.
        machine.commit().await;
        let shown: Vec<_> = shown.into_iter().map(|(path, thing)| (path, thing.bytes)).collect();
        let committed = Recovered::elsewhere(root).await;
        if !committed.iter().map(|(path, thing)| (path, &thing.bytes)).eq(shown.iter().map(|(path, bytes)| (path, bytes))) {
            return Err("the next commit has something else than was shown".to_owned());
        }
        Ok(())
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_power_cut_at_any_moment_what_was_synced_is_there_and_nothing_is_torn() {
    const RUNS: usize = 4;
    let wanted = cuts_wanted(200);
    for seed in (first_seed()..).take(RUNS) {
        let root = scratch();
        let run = record(root.path(), seed, 60);
        let places = run.places();
        for turn in 0..wanted.div_ceil(RUNS) {
            let cut = places[chance(seed, &[8, turn as u64]) as usize % places.len()];
            let manner = MANNERS[turn % MANNERS.len()];
            let told = Told(run.about(cut, manner));
            let checked = run.check(root.path(), cut, manner, chance(seed, &[9, turn as u64])).await;
            if let Err(problem) = checked {
                panic!("{problem}");
            }
            drop(told);
            clear(root.path());
        }
    }
}
