//! JSON forms that records and log entries share, and the reading of both: version and features before anything else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::error::{FormatError, Result};
use super::limits::FORMAT_VERSION;
use super::wire::unstorable;
use crate::model::commit::PathFilter;
use crate::model::id::{Codec, Location, PackName};
use crate::model::log::Features;

/// Fields of a stored object that this version does not know.
pub(super) type Extra = serde_json::Map<String, serde_json::Value>;

/// What every version of every JSON object of the format has.
#[derive(Deserialize)]
struct Envelope {
    format: u64,
    #[serde(default)]
    features: Features,
}

/// Reads an object, unless it is of a later version or needs features that this program lacks.
pub(super) fn read<'de, T: Deserialize<'de>>(what: &'static str, bytes: &'de [u8], len_max: usize) -> Result<T> {
    if bytes.len() > len_max {
        return Err(FormatError::Damaged { what, why: format!("{} bytes are too many", bytes.len()) });
    }
    let damaged = |error: serde_json::Error| FormatError::Damaged { what, why: error.to_string() };
    let envelope: Envelope = serde_json::from_slice(bytes).map_err(damaged)?;
    super::log::check_features(&envelope.features)?;
    let known = u64::from(FORMAT_VERSION);
    match envelope.format {
        0 => Err(FormatError::Damaged { what, why: "there is no format version 0".to_owned() }),
        version if version > known => Err(FormatError::NewerVersion { what, version, known }),
        _ => serde_json::from_slice(bytes).map_err(damaged),
    }
}

/// Writes an object as one line.
pub(super) fn write<T: Serialize>(what: &'static str, value: &T, len_max: usize) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(value).map_err(|error| unstorable(what, error.to_string()))?;
    bytes.push(b'\n');
    match bytes.len() {
        len if len <= len_max => Ok(bytes),
        len => Err(unstorable(what, format!("{len} bytes are too many"))),
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum CodecName {
    Raw,
    Zstd,
}

/// A [`Location`].
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct LocationJson {
    pack: PackName,
    offset: u64,
    len: u32,
    codec: CodecName,
}

impl From<&Location> for LocationJson {
    fn from(location: &Location) -> LocationJson {
        let codec = match location.codec {
            Codec::Raw => CodecName::Raw,
            Codec::Zstd => CodecName::Zstd,
        };
        LocationJson { pack: location.pack, offset: location.offset, len: location.len, codec }
    }
}

impl LocationJson {
    pub fn location(self) -> Location {
        let codec = match self.codec {
            CodecName::Raw => Codec::Raw,
            CodecName::Zstd => Codec::Zstd,
        };
        Location { pack: self.pack, offset: self.offset, len: self.len, codec }
    }
}

/// A [`PathFilter`], its bits as base64.
#[derive(Serialize, Deserialize)]
pub(super) struct FilterJson {
    hashes: u8,
    bits: String,
}

impl From<&PathFilter> for FilterJson {
    fn from(filter: &PathFilter) -> FilterJson {
        FilterJson { hashes: filter.hashes, bits: STANDARD.encode(&filter.bits) }
    }
}

impl FilterJson {
    /// A filter that this version does not understand may contain anything.
    pub fn filter(&self) -> PathFilter {
        let filter = STANDARD.decode(&self.bits).map(|bits| PathFilter { hashes: self.hashes, bits });
        filter.ok().filter(super::filter::is_sound).unwrap_or_default()
    }
}
