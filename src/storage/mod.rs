#![doc = include_str!("README.md")]

pub mod backend;
pub mod count;
pub mod error;
pub mod fault;
pub mod limit;
pub mod probe;
pub mod retry;
pub mod settings;
pub mod store;
pub mod url;

pub use backend::open;
pub use error::{CreateError, StoreError};
pub use settings::StoreSettings;
pub use store::{Listed, Object, Store, Upload, Version};
