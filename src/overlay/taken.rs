//! What a commit takes, kept beside the staged changes until it is known what became of it: its process may not live to
//! see it land, and by then its files may have been written again.

use std::path::Path;

use super::entry;
use super::error::OverlayError;
use super::schema::Db;
use crate::format::split::build_dir;
use crate::model::entry::{Content, Entry, Kind};
use crate::model::id::CommitId;
use crate::model::path::TreePath;
use crate::sys::{disk, sparse};

/// File name of the copy in the workspace's folder.
const NAME: &str = "commit.db";

/// The copy while it is made.
const NEW_NAME: &str = "commit.db.new";

/// Holds room for the copy: on a disk that is full a commit is what makes room.
const ROOM_NAME: &str = "commit.room";

/// Enough for what some thousand changes take.
const ROOM_BYTES: u64 = 1 << 20;

/// Tables of which the copy has all rows, as the commit saw them.
const COPIED: [&str; 3] = ["node", "dirent", "xattr"];

const TABLES: &str = "
CREATE TABLE looked_at (ino INTEGER PRIMARY KEY, change INTEGER NOT NULL);

CREATE TABLE settled (
    path BLOB PRIMARY KEY,
    entry BLOB                      -- NULL: what the head had
) WITHOUT ROWID;
";

/// Beside the rows, what has to be known of a commit.
#[derive(Clone, Debug, PartialEq)]
pub struct TakenNote {
    pub commit: CommitId,
    /// The commit that the staged changes were on.
    pub base: CommitId,
    /// The newest operation when the rows were copied.
    pub change: u64,
    /// Inodes whose rows were looked at later than that, and the change that was looked at.
    pub looked_at: Vec<(u64, u64)>,
    /// Paths at which the commit has something else than was staged: what it has, or none for what the head had. Of
    /// directories only their own attributes count.
    pub settled: Vec<(TreePath, Option<Entry>)>,
}

impl TakenNote {
    /// The newest operation that the commit saw anything of.
    pub fn last_change(&self) -> u64 {
        self.looked_at.iter().map(|(_, change)| *change).fold(self.change, u64::max)
    }
}

impl Db {
    /// Keeps the rows of this connection's state in `dir`, on disk when this returns, in the place of what was kept.
    pub fn keep_taken(&self, dir: &Path, note: &TakenNote) -> Result<(), OverlayError> {
        match self.copy_taken(dir, note) {
            Err(OverlayError::NoSpace { .. }) if std::fs::remove_file(dir.join(ROOM_NAME)).is_ok() => {
                self.copy_taken(dir, note)
            }
            kept => kept,
        }
    }

    fn copy_taken(&self, dir: &Path, note: &TakenNote) -> Result<(), OverlayError> {
        let path = dir.join(NEW_NAME);
        remove(&path)?;
        let copy = Db::create(&path)?;
        copy.transaction(|copy| {
            copy.pragmas(TABLES)?;
            COPIED.iter().try_for_each(|table| self.copy_rows(table, copy))?;
            copy.put_taken_note(note)
        })?;
        drop(copy);
        std::fs::rename(&path, dir.join(NAME)).map_err(|source| OverlayError::io(&path, source))?;
        disk::sync_dir(dir).map_err(|source| OverlayError::io(dir, source))
    }

    /// What is kept in `dir`, and the rows that go with it.
    pub fn taken(dir: &Path) -> Result<Option<(Db, TakenNote)>, OverlayError> {
        let path = dir.join(NAME);
        if !path.exists() {
            return Ok(None);
        }
        let copy = Db::open_to_read(&path)?;
        let note = copy.taken_note()?;
        Ok(Some((copy, note)))
    }

    pub fn forget_taken(dir: &Path) -> Result<(), OverlayError> {
        remove(&dir.join(NAME))?;
        keep_room(dir);
        Ok(())
    }

    fn put_taken_note(&self, note: &TakenNote) -> Result<(), OverlayError> {
        self.set_meta("commit", note.commit.to_string().as_bytes())?;
        self.set_meta("base", note.base.to_string().as_bytes())?;
        self.set_meta("change", note.change.to_string().as_bytes())?;
        for (ino, change) in &note.looked_at {
            self.run("INSERT INTO looked_at (ino, change) VALUES (?1, ?2)", (*ino as i64, *change as i64))?;
        }
        for (path, entry) in &note.settled {
            let entry = entry.as_ref().map(|entry| self.encode_entry(&own_part(entry))).transpose()?;
            self.run("INSERT OR REPLACE INTO settled (path, entry) VALUES (?1, ?2)", (path.as_bytes(), entry))?;
        }
        Ok(())
    }

    fn taken_note(&self) -> Result<TakenNote, OverlayError> {
        let damaged = || self.damaged("the note of an earlier commit cannot be read");
        let text = |key| self.meta(key)?.and_then(|text| String::from_utf8(text).ok()).ok_or_else(damaged);
        let looked_at = self.all("SELECT ino, change FROM looked_at", [], |row| {
            Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64))
        })?;
        let rows: Vec<(Vec<u8>, Option<Vec<u8>>)> =
            self.all("SELECT path, entry FROM settled ORDER BY path", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let settled = rows.into_iter().map(|(path, entry)| {
            let entry = entry.map(|entry| entry::decode(&entry)).transpose().map_err(|_| damaged())?;
            Ok((TreePath::parse(&path).map_err(|_| damaged())?, entry))
        });
        Ok(TakenNote {
            commit: text("commit")?.parse().map_err(|_| damaged())?,
            base: text("base")?.parse().map_err(|_| damaged())?,
            change: text("change")?.parse().map_err(|_| damaged())?,
            looked_at,
            settled: settled.collect::<Result<_, OverlayError>>()?,
        })
    }
}

/// Holds room for the next copy, if there is any.
pub fn keep_room(dir: &Path) {
    let path = dir.join(ROOM_NAME);
    if path.exists() {
        return;
    }
    if let Err(error) = std::fs::File::create(&path).and_then(|_| sparse::reserve_behind(&path, ROOM_BYTES)) {
        // Without it everything works as long as the disk has room.
        tracing::debug!("{}: no room is held: {error}", path.display());
    }
}

/// A directory's tree may not lie anywhere yet, and says nothing here.
fn own_part(entry: &Entry) -> Entry {
    match (entry.kind(), build_dir(Vec::new())) {
        (Kind::Dir, Ok(empty)) => Entry { meta: entry.meta.clone(), content: Content::Dir(empty) },
        _ => entry.clone(),
    }
}

fn remove(path: &Path) -> Result<(), OverlayError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(OverlayError::io(path, error)),
        _ => Ok(()),
    }
}
