//! Buffers that no search is using.

use std::sync::{Mutex, PoisonError};

/// Buffers the size of an index: one a thread that searches, and not one a query as there
/// would be in a scratch.
#[derive(Debug)]
pub(super) struct Idle<T>(Mutex<Vec<T>>);

impl<T> Default for Idle<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Default> Idle<T> {
    /// Lends buffers to `work`: those of an earlier search where some are idle.
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        let idle = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let buffers = idle().pop();
        let mut buffers = buffers.unwrap_or_default();
        let answer = work(&mut buffers);
        idle().push(buffers);
        answer
    }
}
