//! Where bytes live: one trait over S3, GCS, Azure, a local folder and memory, and what we put around each of them.

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
