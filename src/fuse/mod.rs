//! The kernel as an adapter: callbacks become calls of `vfs`, results become replies. It decides nothing, and no type
//! of `fuser` is named outside.

mod adapter;
pub mod dead;
mod forget;
mod later;
mod reply;
pub mod session;
mod unmount;
