//! Spawning: the one place that starts threads and tasks, each with a name that a debugger shows.

use std::io;

use tokio::runtime::{Handle, RuntimeFlavor};

/// Starts a thread called `name` (the kernel keeps its first 15 bytes).
pub fn thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<std::thread::JoinHandle<T>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work)
}

/// Runs `work` on a stack of this size, and waits for its end. A panic in it goes on here.
pub fn on_a_stack_of<T: Send>(stack_bytes: usize, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("main".to_owned()).stack_size(stack_bytes);
        match thread.spawn_scoped(scope, work)?.join() {
            Ok(done) => Ok(done),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Starts a task on the runtime that the caller runs in; it goes on when the handle is dropped.
pub fn spawn<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> tokio::task::JoinHandle<T> {
    tokio::spawn(work)
}

/// Runs work that blocks, and borrows, where it is: a runtime with several threads lets other tasks go on elsewhere.
pub fn blocking_here<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// Runs work that blocks (disk, SQLite, hashing) where it holds up no other task. A panic in it goes on here.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that is shutting down cancels blocking work, and it polls nobody who could see this.
            Err(_) => std::future::pending().await,
        },
    }
}
