//! Paths, which are bytes, as values of JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// `bytes` as base64.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// For `#[serde(with)]`: a path as one JSON value of the control socket.
pub mod path {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::model::path::TreePath;

    pub fn serialize<S: Serializer>(path: &TreePath, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::base64(path.as_bytes()))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TreePath, D::Error> {
        let bytes = super::decode(&String::deserialize(deserializer)?).map_err(de::Error::custom)?;
        TreePath::parse(&bytes).map_err(de::Error::custom)
    }
}

fn decode(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
    STANDARD.decode(text)
}

/// For `#[serde(with)]`: a list of paths.
pub mod paths {
    use serde::ser::SerializeSeq;
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::model::path::TreePath;

    pub fn serialize<S: Serializer>(paths: &[TreePath], serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(paths.len()))?;
        paths.iter().try_for_each(|path| list.serialize_element(&super::base64(path.as_bytes())))?;
        list.end()
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<TreePath>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let path = |text: String| {
            let bytes = super::decode(&text).map_err(de::Error::custom)?;
            TreePath::parse(&bytes).map_err(de::Error::custom)
        };
        texts.into_iter().map(path).collect()
    }
}
