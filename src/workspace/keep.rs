//! Holding on to the base: a working tree with staged changes stays on its base for as long as its user wants, and a
//! collection may come to take that away.

use super::state::Result;
use super::view::Workspace;
use crate::model::id::CommitId;
use crate::model::log::RefName;
use crate::repo::error::RepoError;

/// Key of the overlay's note of the pin that keeps the base.
const PIN_KEY: &str = "pin";

/// A pin that this workspace made, or was about to make.
#[derive(serde::Serialize, serde::Deserialize)]
struct Pin {
    name: RefName,
    commit: CommitId,
}

/// What the base was last looked at with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looked {
    epoch: u64,
    base: CommitId,
    dirty: bool,
}

impl Workspace {
    /// To be called after each look at the log: pins the base when the newest collection would take it away, and takes
    /// the pin back when the workspace has left it. Costs nothing while neither fence nor base moved.
    pub async fn keep_base(&self) -> Result<()> {
        // A verb may be moving it to another base, and then this is called again.
        let Ok(_verb) = self.shared.verb.try_lock() else { return Ok(()) };
        let domain = &self.shared.domain;
        if domain.state().fence.epoch == 0 {
            return Ok(());
        }
        let looked = Looked { epoch: domain.state().fence.epoch, base: self.head(), dirty: self.is_dirty()? };
        if *self.shared.kept.lock() == Some(looked) {
            return Ok(());
        }
        self.let_go(&looked.base).await?;
        if looked.dirty {
            let note = |name: &RefName| self.note_pin(Some(&Pin { name: name.clone(), commit: looked.base }));
            if let Some(pin) = domain.pin_if_expiring(&looked.base, &note).await? {
                let (name, base) = (&pin.name.name, looked.base);
                tracing::info!(name, %base, "pinned: nothing else keeps the commit that staged changes are on");
            }
        }
        *self.shared.kept.lock() = Some(looked);
        Ok(())
    }

    /// Takes back a pin of a base that the workspace has left.
    async fn let_go(&self, base: &CommitId) -> Result<()> {
        let kept = self.shared.state.lock().overlay.db.meta(PIN_KEY)?;
        let Some(pin) = kept.and_then(|kept| serde_json::from_slice::<Pin>(&kept).ok()) else { return Ok(()) };
        if pin.commit == *base {
            return Ok(());
        }
        if let Some(identity) = self.shared.domain.identity(&pin.name) {
            self.shared.domain.unpin(&identity).await?;
        }
        Ok(self.note_pin(None)?)
    }

    /// Kept before a pin is made: one that a crash leaves behind is found again.
    fn note_pin(&self, pin: Option<&Pin>) -> std::result::Result<(), RepoError> {
        let local = |error: std::io::Error| RepoError::Local {
            what: self.shared.dir.display().to_string(),
            source: std::sync::Arc::new(error),
        };
        let note = serde_json::to_vec(&pin).map_err(|error| local(error.into()))?;
        let stored = self.shared.state.lock().overlay.db.set_meta(PIN_KEY, &note);
        stored.map_err(|error| local(std::io::Error::other(error)))
    }
}
