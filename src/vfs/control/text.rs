//! What reading a control file shows.

use std::sync::Arc;

use bytes::Bytes;

use super::Control;
use super::command::{ControlHandle, OpenControl};
use crate::vfs::Vfs;
use crate::vfs::error::VfsError;
use crate::vfs::job::Job;
use crate::vfs::miss::Miss;

impl Vfs {
    /// The text is made at the first read and stays the same for the handle.
    pub(in crate::vfs) fn read_control(
        &self,
        handle: &ControlHandle,
        offset: u64,
        len: u32,
    ) -> Result<Bytes, VfsError> {
        let open = handle.open();
        let made = open.text.lock().clone();
        let text = match made {
            Some(text) => text,
            None => self.make_text(open)?,
        };
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(text.len());
        Ok(text.slice(start..text.len().min(start.saturating_add(len as usize))))
    }

    fn make_text(&self, open: &Arc<OpenControl>) -> Result<Bytes, VfsError> {
        let branch = open.node.branch();
        let text = match open.node.control() {
            Control::Commit => {
                let base = branch.workspace()?.base();
                branch.control().text(&base.commit, branch.domain().host())
            }
            Control::Head => format!("{}\n", branch.workspace()?.head()).into_bytes(),
            Control::LastError => self.last_errors.text(open.caller.uid),
            Control::Status => return self.status_text(open),
            Control::Refresh
            | Control::Discard
            | Control::Dir
            | Control::Conflicts
            | Control::Side(..)
            | Control::Ours(_) => {
                return Err(VfsError::Invalid("this control file is for writing only".into()));
            }
        };
        let text = Bytes::from(text);
        *open.text.lock() = Some(text.clone());
        Ok(text)
    }

    /// Comparing may need the store, so it is done aside.
    fn status_text(&self, open: &Arc<OpenControl>) -> Result<Bytes, VfsError> {
        let mut reading = open.reading.lock();
        if let Some(outcome) = reading.as_ref().and_then(|job| job.take()) {
            *reading = None;
            outcome?;
            return open.text.lock().clone().ok_or_else(|| VfsError::Invalid("read again".into()));
        }
        let workspace = open.node.branch().workspace()?.clone();
        let job = reading.get_or_insert_with(|| {
            let job = Arc::new(Job::new("comparing the working tree with its base"));
            let (done, open) = (job.clone(), open.clone());
            self.runtime().spawn(async move {
                let branch = open.node.branch();
                let outcome = super::verbs::status_lines(&workspace).await;
                done.finish(match outcome {
                    Ok(lines) => {
                        *open.text.lock() = Some(Bytes::from(lines));
                        Ok(())
                    }
                    Err(error) => Err(branch.refused(error)),
                });
            });
            job
        });
        Err(VfsError::from(Miss::Job(job.clone())))
    }
}
