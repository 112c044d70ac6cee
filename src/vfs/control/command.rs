//! Commands: one write(2) into a control file is one command, and its failure is that write's.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::{Control, ControlNode, verbs};
use crate::model::path::TreePath;
use crate::model::time::Time;
use crate::vfs::Vfs;
use crate::vfs::error::VfsError;
use crate::vfs::job::Job;
use crate::vfs::miss::Miss;
use crate::vfs::node::Caller;

/// An open control file.
#[derive(Debug)]
pub struct OpenControl {
    pub node: Arc<ControlNode>,
    /// Who opened it.
    pub caller: Caller,
    /// What reading shows, once it was made.
    pub text: Mutex<Option<Bytes>>,
    /// The work that makes it.
    pub reading: Mutex<Option<Arc<Job>>>,
    /// The command that was given through this handle.
    command: Mutex<Option<Arc<Job>>>,
}

/// An open control file, shared with the command given through it.
#[derive(Debug)]
pub struct ControlHandle(Arc<OpenControl>);

impl ControlHandle {
    pub fn new(node: Arc<ControlNode>, caller: Caller) -> ControlHandle {
        ControlHandle(Arc::new(OpenControl {
            node,
            caller,
            text: Mutex::default(),
            reading: Mutex::default(),
            command: Mutex::default(),
        }))
    }

    pub fn open(&self) -> &Arc<OpenControl> {
        &self.0
    }
}

/// What a write asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    Commit(String),
    Refresh,
    Discard(TreePath),
}

impl Command {
    /// Reads what was written; one trailing newline is echo's.
    fn parse(control: &Control, data: &[u8]) -> Result<Command, VfsError> {
        let text = data.strip_suffix(b"\n").unwrap_or(data);
        match control {
            Control::Commit => {
                let message = std::str::from_utf8(text)
                    .map_err(|_| VfsError::Invalid("a commit message is UTF-8 text".into()))?;
                if message.trim().is_empty() {
                    return Err(VfsError::Invalid(
                        "a commit needs a message: write what and why into this file".into(),
                    ));
                }
                Ok(Command::Commit(message.to_owned()))
            }
            Control::Refresh => Ok(Command::Refresh),
            Control::Discard if text.is_empty() => {
                Err(VfsError::Invalid("name the path whose staged changes are to go, or `.` for all".into()))
            }
            Control::Discard => Ok(Command::Discard(TreePath::parse(text)?)),
            Control::Status
            | Control::Head
            | Control::LastError
            | Control::Dir
            | Control::Conflicts
            | Control::Side(..)
            | Control::Ours(_) => Err(VfsError::NotPermitted("this control file is for reading only".into())),
        }
    }

    fn what(&self) -> &'static str {
        match self {
            Command::Commit(_) => "the commit",
            Command::Refresh => "the refresh",
            Command::Discard(_) => "discarding",
        }
    }
}

impl Vfs {
    pub(in crate::vfs) fn write_control(
        &self,
        caller: &Caller,
        handle: &ControlHandle,
        data: &[u8],
    ) -> Result<u32, VfsError> {
        let open = handle.open();
        let mut given = open.command.lock();
        if let Some(job) = &*given {
            let again = || {
                VfsError::Invalid(
                    "one write is one command, and this handle has given its own: open the file again (messages of several lines: `meshfs commit -F FILE`)".into(),
                )
            };
            job.take().ok_or_else(again)??;
            return Ok(u32::try_from(data.len()).unwrap_or(u32::MAX));
        }
        let command = Command::parse(open.node.control(), data)?;
        let branch = open.node.branch().clone();
        let workspace = branch.workspace()?.clone();
        let job = Arc::new(Job::new(command.what()));
        *given = Some(job.clone());
        let (done, author) = (job.clone(), self.author_of(caller));
        let began = Time(self.clock().now());
        self.runtime().spawn(async move {
            done.finish(verbs::run(&branch, &workspace, command, author, began).await);
        });
        Err(VfsError::from(Miss::Job(job)))
    }

    /// Who commits: on a mount for several users, whoever writes; else whoever the workspace takes by itself.
    fn author_of(&self, caller: &Caller) -> Option<String> {
        let name = || crate::sys::process::user_name(caller.uid).unwrap_or_else(|| format!("uid {}", caller.uid));
        self.options().stored_owners.then(name)
    }
}
