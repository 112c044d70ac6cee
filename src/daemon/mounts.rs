//! Which meshfs mounts this process can see, and what a local path inside one is called there.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// Filesystem type of our mounts in the mount table.
pub const FILESYSTEM_TYPE: &str = "fuse.meshfs";

/// One line of the mount table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountLine {
    pub mountpoint: PathBuf,
    /// The part of the filesystem that is mounted there: `/`, or deeper for a bind mount.
    pub root: PathBuf,
    pub filesystem: String,
    pub source: String,
    /// The device's minor number: that of the connection, where the kernel speaks to a daemon.
    pub minor: u32,
}

impl MountLine {
    pub fn is_meshfs(&self) -> bool {
        self.filesystem == FILESYSTEM_TYPE
    }
}

/// A local path inside a meshfs mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inside {
    pub mountpoint: PathBuf,
    /// The path below the root of the mesh; empty for the root itself.
    pub inner: Vec<u8>,
}

/// The mount table of this process, in mount order.
pub fn mount_table() -> io::Result<Vec<MountLine>> {
    Ok(parse(&std::fs::read("/proc/self/mountinfo")?))
}

/// The meshfs mount that `path` lies in, if it lies in one. Works on dead mounts, and on paths that do not exist.
pub fn inside(path: &Path) -> Option<Inside> {
    let table = mount_table().ok()?;
    let path = lexically_absolute(path)?;
    in_table(&table, &path).or_else(|| {
        // Through a symlink outside of the mount: resolve as much of the path as exists.
        path.ancestors()
            .skip(usize::from(path.parent().is_some()))
            .find_map(|above| {
                let rest = path.strip_prefix(above).ok()?;
                Some(std::fs::canonicalize(above).ok()?.join(rest))
            })
            .and_then(|resolved| in_table(&table, &resolved))
    })
}

/// The meshfs mount whose mountpoint is `dir` itself.
pub fn at(dir: &Path) -> Option<MountLine> {
    let dir = lexically_absolute(dir)?;
    let resolved = || Some(std::fs::canonicalize(dir.parent()?).ok()?.join(dir.file_name()?));
    let table = mount_table().ok()?;
    let find = |dir: &Path| table.iter().rfind(|line| line.mountpoint == dir && line.is_meshfs()).cloned();
    find(&dir).or_else(|| find(&resolved()?))
}

fn in_table(table: &[MountLine], path: &Path) -> Option<Inside> {
    // The deepest mountpoint decides; of several at one place the last one, which covers the others.
    let depth = |line: &MountLine| line.mountpoint.components().count();
    let line = table.iter().filter(|line| path.starts_with(&line.mountpoint)).max_by_key(|line| depth(line))?;
    let below = path.strip_prefix(&line.mountpoint).ok()?;
    let inner = line.root.join(below);
    let inner = inner.as_os_str().as_bytes();
    let inner = inner.strip_prefix(b"/").unwrap_or(inner);
    let inner = inner.strip_suffix(b"/").unwrap_or(inner);
    line.is_meshfs().then(|| Inside { mountpoint: line.mountpoint.clone(), inner: inner.to_vec() })
}

/// Absolute, without `.` and `..`, and without asking the filesystem: a mount that hangs must not hang this.
pub fn lexically_absolute(path: &Path) -> Option<PathBuf> {
    let mut absolute = PathBuf::new();
    for component in std::path::absolute(path).ok()?.components() {
        match component {
            Component::ParentDir => {
                absolute.pop();
            }
            Component::CurDir => {}
            other => absolute.push(other),
        }
    }
    Some(absolute)
}

/// Lines look like `36 35 98:0 /root /mnt rw,noatime master:1 - ext3 /dev/root rw`; blanks in names are octal.
fn parse(text: &[u8]) -> Vec<MountLine> {
    text.split(|&b| b == b'\n').filter_map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<MountLine> {
    let fields: Vec<&[u8]> = line.split(|&b| b == b' ').collect();
    let dash = fields.iter().position(|field| *field == b"-")?;
    let path = |at: usize| Some(PathBuf::from(OsString::from_vec(unescape(fields.get(at)?))));
    let text = |at: usize| Some(String::from_utf8_lossy(&unescape(fields.get(at)?)).into_owned());
    let minor = text(2)?.split_once(':')?.1.parse().ok()?;
    Some(MountLine {
        minor,
        root: path(3)?,
        mountpoint: path(4)?,
        filesystem: text(dash + 1)?,
        source: text(dash + 2)?,
    })
}

fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let octal = after
            .get(..3)
            .filter(|_| byte == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match octal {
            Some(value) => {
                plain.push(value);
                rest = &after[3..];
            }
            None => {
                plain.push(byte);
                rest = after;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n\
        60 22 0:50 / /mesh rw,nosuid,nodev - fuse.meshfs s3://bucket/prefix rw,user_id=0\n\
        61 60 0:51 / /mesh/sales/main/tmp rw - tmpfs tmpfs rw\n\
        62 22 0:50 /sales /srv/bound rw - fuse.meshfs s3://bucket/prefix rw\n\
        63 22 0:52 / /mnt/with\\040blank rw shared:1 master:2 - fuse.meshfs /a\\134b rw\n";

    fn inner_of(path: &str) -> Option<String> {
        let inside = in_table(&parse(TABLE), Path::new(path))?;
        Some(String::from_utf8(inside.inner).unwrap())
    }

    #[test]
    fn a_path_in_a_mount_is_its_address() {
        assert_eq!(inner_of("/mesh/sales/main/a/b").as_deref(), Some("sales/main/a/b"));
        assert_eq!(inner_of("/mesh").as_deref(), Some(""));
        assert_eq!(inner_of("/mnt/with blank/x").as_deref(), Some("x"));
    }

    #[test]
    fn a_bind_mount_keeps_the_address_of_what_it_shows() {
        assert_eq!(inner_of("/srv/bound/main/a").as_deref(), Some("sales/main/a"));
    }

    #[test]
    fn another_filesystem_over_or_beside_a_mount_is_outside() {
        assert_eq!(inner_of("/mesh/sales/main/tmp/x"), None);
        assert_eq!(inner_of("/mesh2/sales"), None);
        assert_eq!(inner_of("/home"), None);
    }

    #[test]
    fn escapes_of_the_mount_table_are_undone() {
        assert_eq!(parse(TABLE)[4].source, "/a\\b");
        assert_eq!(unescape(b"a\\04"), b"a\\04");
    }

    #[test]
    fn dots_are_resolved_without_asking_the_filesystem() {
        assert_eq!(lexically_absolute(Path::new("/mesh/./sales/../hr")), Some(PathBuf::from("/mesh/hr")));
    }
}
