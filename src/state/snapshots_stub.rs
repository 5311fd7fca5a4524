//! Temporary: the signatures that are to come.
#![allow(missing_docs, unused)]
use super::*;
use crate::error::Result;
use crate::iceberg::S3Options;
use crate::time::{Epoch, Generation};
use std::path::{Path, PathBuf};
#[derive(Clone, Debug)]
pub struct Owner {
    pub pipeline: String,
    pub table: uuid::Uuid,
}
#[derive(Clone, Debug)]
pub struct SnapshotStore;
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotId(String);
impl From<&str> for SnapshotId {
    fn from(s: &str) -> Self {
        Self(s.to_owned())
    }
}
impl std::fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
#[derive(Clone, Debug)]
pub struct SnapshotHead {
    pub generation: Generation,
    pub epoch: Epoch,
    pub max_parallelism: MaxParallelism,
    pub about: serde_json::Value,
}
#[derive(Clone, Debug)]
pub struct Snapshot;
#[derive(Clone, Copy, Debug)]
pub enum Share {
    Newest,
    Nothing,
}
#[derive(Clone, Copy, Debug)]
pub struct Collected;
#[derive(Debug)]
pub struct LocalFolder;
impl SnapshotStore {
    pub async fn open(
        location: &str,
        s3: &S3Options,
        owner: Owner,
        incremental: bool,
    ) -> Result<Self> {
        todo!()
    }
    pub async fn upload(&self, generation: Generation, local: &LocalSnapshot) -> Result<StatePart> {
        todo!()
    }
    pub async fn complete(&self, head: SnapshotHead, parts: Vec<StatePart>) -> Result<SnapshotId> {
        todo!()
    }
    pub async fn read(&self, id: &SnapshotId) -> Result<Snapshot> {
        todo!()
    }
    pub async fn collect_garbage(&self, keep: &[SnapshotId]) -> Result<Collected> {
        todo!()
    }
}
impl Snapshot {
    pub fn head(&self) -> &SnapshotHead {
        todo!()
    }
    pub fn operators(&self) -> Vec<String> {
        todo!()
    }
    pub async fn restore(
        &self,
        assignment: Assignment,
        backends: &Backends,
        home: &Path,
        share: Share,
    ) -> Result<StateStore> {
        todo!()
    }
}
impl LocalFolder {
    pub fn prepare(root: &Path, owner: &Owner, generation: Generation) -> Result<Self> {
        todo!()
    }
    pub fn home(&self, operator: &str, worker: usize) -> PathBuf {
        todo!()
    }
}
