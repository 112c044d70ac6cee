//! Processes: who holds something, told apart from a later process of the same number.

use std::fs;

/// A process of some boot of this machine. Equal marks are the same process, also after numbers are used again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessMark {
    pub pid: u32,
    /// Clock ticks from boot to the process's start.
    pub started_ticks: u64,
    /// Random id that the kernel makes at each boot.
    pub boot: String,
}

impl ProcessMark {
    /// The process that calls this.
    pub fn of_this() -> ProcessMark {
        let pid = std::process::id();
        ProcessMark { pid, started_ticks: started_ticks(pid).unwrap_or(0), boot: boot() }
    }

    /// The process that has this number now.
    pub fn of(pid: u32) -> Option<ProcessMark> {
        Some(ProcessMark { pid, started_ticks: started_ticks(pid)?, boot: boot() })
    }

    /// Does this process still run? A zombie does not: it will do nothing more.
    pub fn is_alive(&self) -> bool {
        self.boot == boot() && started_ticks(self.pid) == Some(self.started_ticks)
    }
}

/// Random id that the kernel makes at each boot: equal ones are the same.
pub fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

/// Field 22 of `/proc/<pid>/stat`; none when there is no such process, or only its remains.
fn started_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; fields are counted after its end.
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
    let state = fields.next()?;
    let started = fields.nth(18)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(started)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_alive_until_it_ends() {
        assert!(ProcessMark::of_this().is_alive());
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let mark = ProcessMark::of(child.id()).unwrap();
        assert!(mark.is_alive());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!mark.is_alive());
    }

    #[test]
    fn another_start_or_another_boot_is_another_process() {
        let this = ProcessMark::of_this();
        assert!(!ProcessMark { started_ticks: this.started_ticks + 1, ..this.clone() }.is_alive());
        assert!(!ProcessMark { boot: "before".to_owned(), ..this }.is_alive());
    }
}
