//! Identities: what a thing is (a BLAKE3 of its canonical encoding), and where its bytes lie.

use std::fmt;

/// A text that was expected to be lower-case hexadecimal of a fixed length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {digits} lower-case hexadecimal digits")]
pub struct ParseIdError {
    pub text: String,
    pub digits: usize,
}

fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|b| write!(f, "{b:02x}"))
}

fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], ParseIdError> {
    let error = || ParseIdError { text: text.to_owned(), digits: 2 * N };
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return Err(error());
    }
    let value = |c: u8| match c {
        b'0'..=b'9' => Ok(c - b'0'),
        b'a'..=b'f' => Ok(c - b'a' + 10),
        _ => Err(error()),
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Ok(bytes)
}

macro_rules! hex_type {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $bytes]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl std::str::FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse_hex(text).map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hex_type!(
    /// Identity of a chunk: BLAKE3 of its raw bytes.
    ChunkId, 32
);
hex_type!(
    /// Identity of a file's content: of its sequence of chunks and holes, so of its bytes and the mesh's constants.
    ContentId, 32
);
hex_type!(
    /// Identity of a tree node, and so of the directory whose top node it is.
    NodeId, 32
);
hex_type!(
    /// Identity of a whole snapshot: its root directory's entry and its hard-link table.
    RootId, 32
);
hex_type!(
    /// Identity of a commit record.
    CommitId, 32
);
hex_type!(
    /// Name of a pack: 128 random bits, never used twice, never derived from content.
    PackName, 16
);
hex_type!(
    /// Random mark of one attempt or record, by which its writer recognises its own.
    Nonce, 16
);
hex_type!(
    /// Identity of a mesh or of a domain's prefix: random, made once.
    Uid, 16
);

/// How a frame's bytes are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Codec {
    Raw,
    Zstd,
}

/// Where a frame lies. A hint: it is never part of an id, and a moved pack leaves a relocation behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    pub pack: PackName,
    /// Byte offset of the frame's header in the pack.
    pub offset: u64,
    /// Length of the whole frame in the pack, header included, in bytes.
    pub len: u32,
    pub codec: Codec,
}

impl PackName {
    /// Stands for a pack where something only has an id: what was hashed and not sent, or not even read. No pack is
    /// called so, and no place in one is ever stored.
    pub const NONE: PackName = PackName([0; 16]);
}
