//! Processes, users and this machine's name, as the operating system knows them.

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// The user this process acts as.
pub fn effective_uid() -> u32 {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() }
}

/// The group this process acts as.
pub fn effective_gid() -> u32 {
    // SAFETY: getegid has no preconditions and cannot fail.
    unsafe { libc::getegid() }
}

/// The login name of `uid`, when the machine knows one.
pub fn user_name(uid: u32) -> Option<String> {
    /// More than any passwd line of a sane machine.
    const BUFFER_BYTES: usize = 16 << 10;
    let mut buffer = vec![0 as libc::c_char; BUFFER_BYTES];
    // SAFETY: an all-zero passwd is a valid value of that plain C struct.
    let mut record: libc::passwd = unsafe { std::mem::zeroed() };
    let mut found = std::ptr::null_mut();
    // SAFETY: all pointers are to live buffers of the stated lengths; strings in `record` point into `buffer`.
    let code = unsafe { libc::getpwuid_r(uid, &raw mut record, buffer.as_mut_ptr(), BUFFER_BYTES, &raw mut found) };
    if code != 0 || found.is_null() {
        return None;
    }
    // SAFETY: getpwuid_r succeeded, so `pw_name` is a NUL-terminated string inside `buffer`.
    let name = unsafe { CStr::from_ptr(record.pw_name) };
    Some(name.to_string_lossy().into_owned())
}

/// This machine's name.
pub fn host_name() -> String {
    let mut buffer = [0 as libc::c_char; 256];
    // SAFETY: the buffer is live and its length is given, less one byte that stays NUL.
    let code = unsafe { libc::gethostname(buffer.as_mut_ptr(), buffer.len() - 1) };
    if code != 0 {
        return "localhost".to_owned();
    }
    // SAFETY: the last byte is NUL.
    unsafe { CStr::from_ptr(buffer.as_ptr()) }.to_string_lossy().into_owned()
}

/// Memory that this process has at present; 0 where the system does not tell.
pub fn resident_bytes() -> u64 {
    let told = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kibibytes = told.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    kibibytes.map_or(0, |kibibytes: u64| kibibytes << 10)
}

/// Makes `command` start in a session of its own, so that closing the terminal does not end it.
pub fn in_new_session(command: &mut Command) {
    // SAFETY: between fork and exec only setsid runs, which is async-signal-safe.
    unsafe {
        command.pre_exec(|| match libc::setsid() {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
}

/// May this process open `path` for reading and writing? The error says why not.
pub fn may_read_and_write(path: &std::path::Path) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: `path` is a NUL-terminated string that outlives the call.
    match unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), libc::R_OK | libc::W_OK, libc::AT_EACCESS) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Ends another process at once.
pub fn kill(pid: u32) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: a system call without pointers.
    match unsafe { libc::kill(pid, libc::SIGKILL) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Ends this process here and now, as a kill does: nothing is flushed, nobody is waited for.
pub fn end_at_once() -> ! {
    // SAFETY: it does not return, and runs nothing of ours.
    unsafe { libc::_exit(1) }
}

/// The program that this process runs, for starting it again.
pub fn own_program() -> io::Result<PathBuf> {
    std::env::current_exe()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_called_root() {
        assert_eq!(user_name(0).as_deref(), Some("root"));
        assert_eq!(user_name(u32::MAX - 7), None);
    }

    #[test]
    fn a_host_has_a_name() {
        assert!(!host_name().is_empty());
    }
}
