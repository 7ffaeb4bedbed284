//! What is in force, the state that goes with it, and how both are replaced under traffic.
//!
//! # Problem
//! A request reads much (an estimator, a ledger's layout) for long, and then needs the state of
//! the run for a moment. Meanwhile what it has read may be replaced, and indices of models that
//! it carries may come to mean other models. No reader may wait for a writer who is at work, and
//! none may bring what it has read of one pool to the state of another.
//!
//! # Method
//! Readers take the version in force: a pointer, so that it stays whole for as long as they
//! hold it, and is freed with the last of them. Each has a *generation*. The state knows its
//! own, and [`with_state`](Versions::with_state) lets nobody in who has read another one: he
//! reads again. A writer prepares the next version outside of all locks but the one that keeps
//! writers apart, and then replaces it in one of two ways: as another
//! [generation](Change::replace), together with the state, or [within](Change::refine) the same,
//! where indices stay what they were.
//!
//! The file is compiled twice: here, and against a model checker's locks, which tries every
//! interleaving of a few threads (`tests/versions.rs`).

use std::ops::Deref;
use std::sync::PoisonError;

use super::sync::{Arc, Mutex, MutexGuard, RwLock};

/// Versions of a `V` that is read, with a state `S` that belongs to the one in force.
#[derive(Debug)]
pub(crate) struct Versions<V, S> {
    /// Held for no longer than it takes to copy a pointer.
    current: RwLock<InForce<V>>,
    state: Mutex<State<S>>,
    /// Held by a writer from reading what is in force to replacing it.
    changes: Mutex<()>,
}

#[derive(Debug)]
struct State<S> {
    generation: u64,
    state: S,
}

/// A version as somebody has read it.
#[derive(Debug)]
pub(crate) struct InForce<V> {
    generation: u64,
    value: Arc<V>,
}

impl<V> Clone for InForce<V> {
    fn clone(&self) -> Self {
        Self { generation: self.generation, value: Arc::clone(&self.value) }
    }
}

impl<V> Deref for InForce<V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.value
    }
}

impl<V, S> Versions<V, S> {
    pub(crate) fn new(value: V, state: S) -> Self {
        let current = InForce { generation: 0, value: Arc::new(value) };
        Self {
            current: RwLock::new(current),
            state: Mutex::new(State { generation: 0, state }),
            changes: Mutex::new(()),
        }
    }

    /// The version in force.
    pub(crate) fn read(&self) -> InForce<V> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Works on the state, if it still belongs to the generation of what has been read; else
    /// `None`, and the reader has to read again.
    pub(crate) fn with_state<R>(
        &self,
        read: &InForce<V>,
        work: impl FnOnce(&mut S) -> R,
    ) -> Option<R> {
        let mut state = self.lock();
        (state.generation == read.generation).then(|| work(&mut state.state))
    }

    /// Works on the state, of whatever generation it is.
    pub(crate) fn with_any_state<R>(&self, work: impl FnOnce(&mut S) -> R) -> R {
        work(&mut self.lock().state)
    }

    /// Begins a change: other writers wait until it is made, or dropped.
    pub(crate) fn change(&self) -> Change<'_, V, S> {
        let alone = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        Change { versions: self, _alone: alone }
    }

    fn lock(&self) -> MutexGuard<'_, State<S>> {
        // Nothing panics half way through a state: it is replaced in parts that stand alone.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, next: InForce<V>) -> InForce<V> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, next)
    }
}

/// The right to make the next change.
#[derive(Debug)]
pub(crate) struct Change<'a, V, S> {
    versions: &'a Versions<V, S>,
    _alone: MutexGuard<'a, ()>,
}

impl<V, S> Change<'_, V, S> {
    /// What is in force, and stays so until this change is made.
    pub(crate) fn current(&self) -> InForce<V> {
        self.versions.read()
    }

    /// Puts `next` in force with the state that `carry` makes of the present one. Whoever has
    /// read an earlier version has to read again.
    pub(crate) fn replace(self, next: V, carry: impl FnOnce(&mut S)) {
        let mut state = self.versions.lock();
        carry(&mut state.state);
        state.generation += 1;
        let next = InForce { generation: state.generation, value: Arc::new(next) };
        // While nobody can look at the state: whoever reads the new version finds its state.
        let former = self.versions.put(next);
        drop(state);
        // The last reader frees it, or this one, but not under a lock that others wait for.
        drop(former);
    }

    /// Puts `next` in force, which means the same by every index; readers of an earlier version
    /// go on with it. `adjust` works on the state at the same moment.
    pub(crate) fn refine(self, next: V, adjust: impl FnOnce(&mut S)) {
        let mut state = self.versions.lock();
        adjust(&mut state.state);
        let next = InForce { generation: state.generation, value: Arc::new(next) };
        let former = self.versions.put(next);
        drop(state);
        drop(former);
    }
}
