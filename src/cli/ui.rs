//! What people and programs see: data on stdout, everything else on stderr. Nothing else prints.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;
use serde::Serialize;

use crate::daemon::failure::{Class, Failure};

/// Between two drawings of a bar whose work makes no steps that could be counted.
const TICK: Duration = Duration::from_millis(120);

#[derive(Debug)]
pub struct Ui {
    out: Mutex<BufWriter<Stdout>>,
}

impl Ui {
    pub fn new() -> Ui {
        Ui { out: Mutex::new(BufWriter::new(io::stdout())) }
    }

    /// One line of data.
    pub fn line(&self, text: impl Display) -> Result<(), Failure> {
        writeln!(self.out.lock(), "{text}").map_err(|error| cannot_write(&error))
    }

    /// Data as it is.
    pub fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.out.lock().write_all(bytes).map_err(|error| cannot_write(&error))
    }

    /// Data as JSON.
    pub fn json(&self, value: &impl Serialize) -> Result<(), Failure> {
        let mut out = self.out.lock();
        serde_json::to_writer_pretty(&mut *out, value).map_err(|error| cannot_write(&error.into()))?;
        writeln!(out).map_err(|error| cannot_write(&error))
    }

    /// Data as JSON on one line, for a program that reads line by line.
    pub fn json_line(&self, value: &impl Serialize) -> Result<(), Failure> {
        let mut out = self.out.lock();
        serde_json::to_writer(&mut *out, value).map_err(|error| cannot_write(&error.into()))?;
        writeln!(out).and_then(|()| out.flush()).map_err(|error| cannot_write(&error))
    }

    /// To be called before the end: the last data may still be here.
    pub fn flush(&self) -> Result<(), Failure> {
        self.out.lock().flush().map_err(|error| cannot_write(&error))
    }

    /// Something that a person may want to know.
    pub fn note(&self, text: impl Display) {
        say(&format!("{text}\n"));
    }

    /// What went wrong, why, and what next.
    pub fn failure(&self, failure: &Failure) {
        let mut text = format!("error: {}\n", failure.what);
        for cause in &failure.causes {
            text.push_str(&format!("caused by: {}\n", cause.replace('\n', "\n    ")));
        }
        if let Some(hint) = &failure.hint {
            text.push_str(&format!("hint: {hint}\n"));
        }
        say(&text);
    }

    /// A bar on stderr while work of unknown length goes on; nothing when stderr is no terminal.
    pub fn spinner(&self, what: &str) -> Progress {
        let bar = ProgressBar::new_spinner().with_style(style("{spinner} {msg} ({elapsed})"));
        Progress::start(bar, what)
    }

    /// A bar on stderr that counts `total` bytes.
    pub fn bytes_bar(&self, what: &str, total: u64) -> Progress {
        let template = "{msg} [{bar:30}] {bytes}/{total_bytes} ({bytes_per_sec}, {eta} left)";
        Progress::start(ProgressBar::new(total).with_style(style(template)), what)
    }

    /// A bar on stderr that counts `total` files.
    pub fn files_bar(&self, what: &str, total: u64) -> Progress {
        let template = "{msg} [{bar:30}] {human_pos}/{human_len} ({per_sec}, {eta} left)";
        Progress::start(ProgressBar::new(total).with_style(style(template)), what)
    }
}

impl Default for Ui {
    fn default() -> Ui {
        Ui::new()
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// A bar; gone without a trace when dropped.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    fn start(bar: ProgressBar, what: &str) -> Progress {
        // Hidden, it costs nothing: scripts and logs are not to be filled with bars.
        if !io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(TICK);
        Progress { bar }
    }

    pub fn advance(&self, by: u64) {
        self.bar.inc(by);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A person who closed stderr wants to hear nothing.
fn say(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

fn cannot_write(error: &io::Error) -> Failure {
    let failure = Failure::failed("cannot write to stdout").because(error);
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure { class: Class::ReaderGone, ..failure },
        _ => failure,
    }
}
