//! What changes in a store while a snapshot of it is being written, and must not be in it.
//!
//! The database gets nothing while its files are flushed and linked, so that they hold one epoch and nothing of the
//! next. Changes wait here, and whoever reads asks here first. That is why a snapshot stops nobody.

use std::collections::BTreeMap;
use std::ops::Bound;

use tokio::sync::watch;

use super::backend::Changes;
use crate::error::{Error, Result};

/// Changes that wait, by their keys; without a value the key is removed.
#[derive(Debug, Default)]
pub(super) struct Meanwhile {
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    bytes: usize,
}

impl Meanwhile {
    /// Takes in more changes; a later one of the same key counts.
    pub(super) fn add(&mut self, changes: &Changes) {
        self.bytes += changes.bytes();
        for (key, value) in changes.iter() {
            self.changes.insert(key.to_vec(), value.map(<[u8]>::to_vec));
        }
    }

    /// How many bytes were taken in.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What is to become of a key; `None` if it has not changed.
    pub(super) fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        self.changes.get(key).map(Option::as_deref)
    }

    /// The changes of all keys that begin so, in their order.
    pub(super) fn below(&self, prefix: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let changes = self.changes.range::<[u8], _>(from);
        let changes = changes.take_while(move |(key, _)| key.starts_with(prefix));
        changes.map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    /// All of them, to be made at once.
    pub(super) fn into_changes(self) -> Changes {
        let mut all = Changes::default();
        for (key, value) in self.changes {
            match value {
                Some(value) => all.put(key, value),
                None => all.delete(key),
            }
        }
        all
    }
}

/// Whether the files of a snapshot are written.
#[derive(Clone, Debug)]
pub struct Written(watch::Receiver<Option<Result<(), String>>>);

impl Written {
    /// They are.
    pub(super) fn already() -> Self {
        Self(watch::channel(Some(Ok(()))).1)
    }

    /// They will be, or not: whoever holds the other half says so.
    pub(super) fn soon() -> (watch::Sender<Option<Result<(), String>>>, Self) {
        let (sender, receiver) = watch::channel(None);
        (sender, Self(receiver))
    }

    /// Returns when they are; fails if they can't be.
    pub(super) async fn wait(&self) -> Result<()> {
        let mut receiver = self.0.clone();
        let outcome = receiver.wait_for(Option::is_some).await;
        match outcome.ok().and_then(|outcome| outcome.clone()) {
            Some(Ok(())) => Ok(()),
            Some(Err(reason)) => Err(Error::external(reason)),
            None => Err(Error::internal("nobody writes the snapshot any more")),
        }
    }
}
