//! The kernel as an adapter: callbacks become calls of `vfs`, results become replies. It decides nothing, and no type
//! of `fuser` is named outside.

mod adapter;
mod backing;
pub mod dead;
mod forget;
mod later;
mod reply;
mod requests;
pub mod session;
mod unanswered;
mod unmount;
pub mod watchdog;
