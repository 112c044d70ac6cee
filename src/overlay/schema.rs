//! The overlay's database: its tables, how it is opened, and its transactions.

use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

use super::error::OverlayError;
use crate::sys::sparse;

/// Raised with every change of the tables.
const SCHEMA_VERSION: i64 = 4;

/// File name of the database in the workspace's folder.
pub const DB_NAME: &str = "overlay.db";

const TABLES: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

-- One inode that differs from the base, or that has such a one below it.
CREATE TABLE node (
    ino INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    uid INTEGER,                    -- NULL: unset, shown as whoever mounts
    gid INTEGER,
    rdev INTEGER NOT NULL DEFAULT 0,
    mtime INTEGER NOT NULL,         -- of staged data: the staged file's own
    ctime INTEGER NOT NULL,
    nlink INTEGER NOT NULL,         -- names; 0: deleted but still in use
    origin_path BLOB,               -- where in the base it was, or the seed of its children's numbers
    origin BLOB,                    -- the entry it was derived from, with locations
    staged INTEGER NOT NULL DEFAULT 0,  -- 1: its bytes are in files/<ino>
    under BLOB,                     -- entry whose content shows through where nothing is staged
    under_len INTEGER NOT NULL DEFAULT 0,
    target BLOB,                    -- of a symlink
    own_xattrs INTEGER NOT NULL DEFAULT 0,  -- 1: table xattr holds all; 0: those of the origin
    settled INTEGER NOT NULL DEFAULT 0, -- 1: the staged bytes are the origin's content, as a commit stored it
    dirty INTEGER NOT NULL DEFAULT 0,   -- 1: differs from its origin otherwise than by name
    change INTEGER NOT NULL,        -- number of the last operation that touched it
    direct INTEGER NOT NULL DEFAULT 0   -- 1: the kernel may write to the staged file without telling
);
CREATE INDEX node_orphan ON node (ino) WHERE nlink = 0;
CREATE INDEX node_dirty ON node (ino) WHERE dirty = 1;
CREATE INDEX node_direct ON node (ino) WHERE direct = 1;
CREATE INDEX node_origin ON node (origin_path) WHERE origin_path IS NOT NULL;

-- A name of a touched directory. Names without a row are the origin's.
CREATE TABLE dirent (
    parent INTEGER NOT NULL,
    name BLOB NOT NULL,
    ino INTEGER,                    -- NULL: the origin has the name, here it is deleted
    home INTEGER NOT NULL,          -- 1: the inode has this very name in the base
    PRIMARY KEY (parent, name)
) WITHOUT ROWID;
CREATE INDEX dirent_ino ON dirent (ino) WHERE ino IS NOT NULL;
CREATE INDEX dirent_moved ON dirent (parent) WHERE home = 0;

-- Bytes of a partly staged file that are staged, and were synced before their row was put here.
CREATE TABLE extent (ino INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, PRIMARY KEY (ino, start)) WITHOUT ROWID;

CREATE TABLE xattr (
    ino INTEGER NOT NULL,
    name BLOB NOT NULL,
    value BLOB NOT NULL,            -- first byte 0: the value follows; 1: where the base has it
    PRIMARY KEY (ino, name)
) WITHOUT ROWID;

-- What committed things got here while they were staged, kept while path (as its seed) and content stay.
CREATE TABLE number (
    path BLOB PRIMARY KEY,
    content BLOB NOT NULL,
    ino INTEGER NOT NULL,
    ctime INTEGER                   -- NULL: its mtime
) WITHOUT ROWID;
CREATE INDEX number_ino ON number (ino);

-- Directories that a commit moved: their numbers, and all below, go on being hashed from where they were.
CREATE TABLE seed (path BLOB PRIMARY KEY, seed BLOB NOT NULL) WITHOUT ROWID;

-- Conflicts met by a commit or refresh, each side as an entry.
CREATE TABLE conflict (
    path BLOB NOT NULL,
    head TEXT NOT NULL,             -- the commit that theirs is of: the branch's head, or what is being merged
    kind TEXT NOT NULL,
    base BLOB, ours BLOB, theirs BLOB,
    resolved TEXT,                  -- 'ours' or 'theirs'
    change INTEGER NOT NULL,        -- number of the last operation before it was met
    PRIMARY KEY (path, head)
) WITHOUT ROWID;

-- What a power loss may take: ranges staged since the file was last synced.
CREATE TABLE fresh (ino INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, PRIMARY KEY (ino, start)) WITHOUT ROWID;

CREATE TABLE unsynced (
    ino INTEGER PRIMARY KEY,
    new INTEGER NOT NULL,           -- 1: the staged file was never synced since it was made
    cut INTEGER                     -- the least length that it was cut to since it was synced
);
";

/// Kept for the write-ahead log, which SQLite begins anew after about 4 MiB and one transaction.
const LOG_RESERVED_BYTES: u64 = 8 << 20;

/// Kept for the tables to grow into when the log is copied back.
const TABLES_RESERVED_BYTES: u64 = 1 << 20;

/// One connection to the database.
#[derive(Debug)]
pub struct Db {
    connection: Connection,
    path: PathBuf,
}

impl Db {
    /// Opens the database in `dir`, or makes it.
    pub fn open(dir: &Path) -> Result<Db, OverlayError> {
        let path = dir.join(DB_NAME);
        let connection = Connection::open(&path).map_err(|source| db_error(&path, source))?;
        let db = Db { connection, path };
        // WAL without a sync at each commit: a killed process loses nothing; `Overlay::sync` adds power loss.
        db.pragmas("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY;")?;
        db.check_version()?;
        db.reserve();
        Ok(db)
    }

    /// Keeps room for changes on a disk that is full: what frees room there, deleting above all, is a change too.
    fn reserve(&self) {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        for (file, more) in [(Path::new(&log), LOG_RESERVED_BYTES), (self.path.as_path(), TABLES_RESERVED_BYTES)] {
            if let Err(error) = sparse::reserve_behind(file, more) {
                // Without it everything works as long as the disk has room.
                tracing::debug!("{}: nothing reserved: {error}", file.display());
            }
        }
    }

    /// A second connection for reading one consistent state while the first goes on.
    pub fn reader(&self) -> Result<Db, OverlayError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(|source| self.error(source))?;
        let db = Db { connection, path: self.path.clone() };
        db.pragmas("PRAGMA query_only = ON; BEGIN;")?;
        // A transaction begins with its first read.
        db.one::<i64>("SELECT count(*) FROM meta", [])?;
        Ok(db)
    }

    /// A database of its own, with the same tables. It is on disk when a transaction is committed.
    pub(super) fn create(path: &Path) -> Result<Db, OverlayError> {
        let connection = Connection::open(path).map_err(|source| db_error(path, source))?;
        let db = Db { connection, path: path.to_owned() };
        db.pragmas("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = FULL;")?;
        db.check_version()?;
        Ok(db)
    }

    /// A database that is not written to any more.
    pub(super) fn open_to_read(path: &Path) -> Result<Db, OverlayError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|source| db_error(path, source))?;
        let db = Db { connection, path: path.to_owned() };
        db.check_version()?;
        db.pragmas("PRAGMA query_only = ON;")?;
        Ok(db)
    }

    /// Puts all rows of a table into the same one of another database.
    pub(super) fn copy_rows(&self, table: &str, to: &Db) -> Result<(), OverlayError> {
        let copy = || {
            let mut read = self.connection.prepare(&format!("SELECT * FROM {table}"))?;
            let columns = read.column_count();
            let marks = vec!["?"; columns].join(", ");
            let mut write = to.connection.prepare(&format!("INSERT INTO {table} VALUES ({marks})"))?;
            let mut rows = read.query([])?;
            while let Some(row) = rows.next()? {
                let values: rusqlite::Result<Vec<Value>> = (0..columns).map(|column| row.get(column)).collect();
                write.execute(rusqlite::params_from_iter(values?))?;
            }
            Ok(())
        };
        copy().map_err(|source| to.error(source))
    }

    pub(super) fn pragmas(&self, statements: &str) -> Result<(), OverlayError> {
        self.connection.set_prepared_statement_cache_capacity(128);
        self.connection.execute_batch(statements).map_err(|source| self.error(source))
    }

    fn check_version(&self) -> Result<(), OverlayError> {
        let found: i64 = self.one("PRAGMA user_version", [])?.unwrap_or(0);
        match found {
            SCHEMA_VERSION => Ok(()),
            0 => self.transaction(|db| {
                db.pragmas(TABLES)?;
                db.pragmas(&format!("PRAGMA user_version = {SCHEMA_VERSION}"))
            }),
            found => Err(OverlayError::Version { path: self.path.clone(), found, known: SCHEMA_VERSION }),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` as one transaction: all of it, or with an error none of it.
    pub fn transaction<T, E: From<OverlayError>>(&self, work: impl FnOnce(&Db) -> Result<T, E>) -> Result<T, E> {
        self.begin()?;
        let outcome = work(self).and_then(|value| self.commit().map(|()| value).map_err(E::from));
        if outcome.is_err() {
            self.rollback();
        }
        outcome
    }

    pub fn begin(&self) -> Result<(), OverlayError> {
        self.run("BEGIN IMMEDIATE", []).map(drop)
    }

    pub fn commit(&self) -> Result<(), OverlayError> {
        self.run("COMMIT", []).map(drop)
    }

    pub fn rollback(&self) {
        if !self.connection.is_autocommit() {
            // Whatever led here says more than a failure of the rollback, which SQLite makes good at the next open.
            let _ = self.run("ROLLBACK", []);
        }
    }

    pub(super) fn error(&self, source: rusqlite::Error) -> OverlayError {
        db_error(&self.path, source)
    }

    pub(super) fn damaged(&self, reason: impl Into<String>) -> OverlayError {
        OverlayError::Damaged { path: self.path.clone(), reason: reason.into() }
    }

    /// Runs a statement; how many rows it changed.
    pub(super) fn run(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<usize, OverlayError> {
        let run = || self.connection.prepare_cached(sql)?.execute(parameters);
        run().map_err(|source| self.error(source))
    }

    /// The first row's only column.
    pub(super) fn one<T: rusqlite::types::FromSql>(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Option<T>, OverlayError> {
        self.first(sql, parameters, |row| row.get(0))
    }

    pub(super) fn first<T>(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, OverlayError> {
        let run = || self.connection.prepare_cached(sql)?.query_row(parameters, read).optional();
        run().map_err(|source| self.error(source))
    }

    pub(super) fn all<T>(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, OverlayError> {
        let run = || self.connection.prepare_cached(sql)?.query_map(parameters, read)?.collect::<Result<Vec<T>, _>>();
        run().map_err(|source| self.error(source))
    }

    pub fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, OverlayError> {
        self.one("SELECT value FROM meta WHERE key = ?1", [key])
    }

    pub fn set_meta(&self, key: &str, value: &[u8]) -> Result<(), OverlayError> {
        self.run("INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = ?2", (key, value))?;
        Ok(())
    }
}

fn db_error(path: &Path, source: rusqlite::Error) -> OverlayError {
    match source.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => OverlayError::NoSpace { path: path.to_owned() },
        _ => OverlayError::Db { path: path.to_owned(), source },
    }
}
