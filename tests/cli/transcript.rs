//! Commands and what they answered, as text that is the same in every run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::LazyLock;

use regex::Regex;

use super::common::machine::Machine;
use super::common::scratch::Scratch;

/// A machine with a store of its own, and the transcript of what was called on it.
pub struct Shell {
    machine: Machine,
    store: Rc<Scratch>,
    folder: PathBuf,
    text: String,
}

impl Shell {
    /// A machine whose store has nothing in it yet.
    pub fn new() -> Shell {
        Shell::on(Rc::new(Scratch::new()))
    }

    fn on(store: Rc<Scratch>) -> Shell {
        let machine = Machine::new(store.join("store").to_str().expect("plain names"));
        let folder = machine.home();
        Shell { machine, store, folder, text: String::new() }
    }

    /// Another machine on the same store.
    pub fn beside(&self) -> Shell {
        Shell::on(self.store.clone())
    }

    /// A machine with a mesh and the domain `sales`.
    pub fn with_domain() -> Shell {
        let shell = Shell::new();
        shell.machine.meshfs(&["init"]);
        shell.machine.meshfs(&["domain", "create", "sales"]);
        shell
    }

    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    pub fn store(&self) -> PathBuf {
        self.store.join("store")
    }

    /// The folder that commands are called in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn change_folder(&mut self, folder: PathBuf) {
        self.folder = folder;
    }

    /// Calls `meshfs` with the words of `line` (quotes keep blanks), and notes what it answered.
    pub fn call(&mut self, line: &str) -> &mut Shell {
        self.call_with(line, |_| {})
    }

    /// The same with changes to the environment.
    pub fn call_with(&mut self, line: &str, change: impl FnOnce(&mut Command)) -> &mut Shell {
        let mut command = self.machine.command(env!("CARGO_BIN_EXE_meshfs"));
        command.args(words(line)).current_dir(&self.folder).stdin(Stdio::null());
        change(&mut command);
        let output = command.output().expect("the built command starts");
        self.text.push_str(&format!("$ meshfs {line}\n"));
        self.text.push_str(&String::from_utf8_lossy(&output.stdout));
        for line in String::from_utf8_lossy(&output.stderr).lines() {
            self.text.push_str(&format!("2> {line}\n"));
        }
        match output.status.code() {
            Some(0) => {}
            code => self.text.push_str(&format!("[exit code {}]\n", code.map_or("none".to_owned(), |c| c.to_string()))),
        }
        self.text.push('\n');
        self
    }

    /// What was called and answered since the last time, without what differs between runs.
    pub fn transcript(&mut self) -> String {
        let text = std::mem::take(&mut self.text);
        let scratch = self.machine.mesh().parent().expect("in a scratch folder").display().to_string();
        let text = text.replace(&self.store.path().display().to_string(), "[STORE]").replace(&scratch, "[MACHINE]");
        redacted(&text)
    }
}

/// Ids, times, and names of this machine.
fn redacted(text: &str) -> String {
    static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        [
            (r"\b[0-9a-f]{64}\b", "[ID]"),
            (r"\b[0-9a-f]{32}\b", "[UID]"),
            (r"\b[0-9a-f]{12}\b", "[SHORT]"),
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[TIME]"),
            (r#""host": "[^"]*""#, r#""host": "[HOST]""#),
            (r"pid \d+", "pid [PID]"),
            (r"\d+ (GiB|MiB) left", "[SPACE] left"),
        ]
        .map(|(pattern, name)| (Regex::new(pattern).expect("a rule"), name))
        .into()
    });
    RULES.iter().fold(text.to_owned(), |text, (rule, name)| rule.replace_all(&text, *name).into_owned())
}

/// Words of a line; double quotes keep blanks together.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('"').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}
