//! Buffers that outlive a call. What is allocated anew in every iteration is new to the operating system as well, which then
//! sets up page after page of it while a thread waits.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

/// What threads have worked with, for the next ones that need the same.
pub struct Pool<S>(Mutex<Vec<S>>);

/// One of them, given back when dropped.
pub struct Lent<'a, S> {
    pool: &'a Pool<S>,
    own: Option<S>,
}

impl<S> Pool<S> {
    pub fn empty() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// One that nobody uses, whatever it was used for before, or else a fresh one.
    pub fn lend(&self, fresh: impl FnOnce() -> S) -> Lent<'_, S> {
        let used = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Lent { pool: self, own: Some(used.unwrap_or_else(fresh)) }
    }
}

impl<S> Deref for Lent<'_, S> {
    type Target = S;

    fn deref(&self) -> &S {
        self.own.as_ref().expect("it is there until it is dropped")
    }
}

impl<S> DerefMut for Lent<'_, S> {
    fn deref_mut(&mut self) -> &mut S {
        self.own.as_mut().expect("it is there until it is dropped")
    }
}

impl<S> Drop for Lent<'_, S> {
    fn drop(&mut self) {
        // After a panic nobody knows what it holds.
        if !std::thread::panicking() {
            self.pool.0.lock().unwrap_or_else(PoisonError::into_inner).extend(self.own.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lent_is_lent_again_and_never_twice_at_a_time() {
        let pool = Pool::empty();
        let mut first = pool.lend(|| vec![1]);
        first.push(2);
        let second = pool.lend(|| vec![3]);
        assert_eq!((&*first, &*second), (&vec![1, 2], &vec![3]));
        drop(first);
        assert_eq!(*pool.lend(Vec::new), [1, 2]);
    }
}
