//! Can files be written at a location, and do they stay? Asked with a file that is deleted afterwards.
//!
//! | location | written | and durable if |
//! |---|---|---|
//! | `file:///…`, `/…` | with an fsync of the file and of its folder | the file system is not one of memory (tmpfs, ramfs) |
//! | `s3://…`, `s3a://…` | as an object | the server has answered: it promises as much |
//!
//! What is read back must be what was written. Folders that were made for it are taken away again.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use iceberg::io::FileIOBuilder;
use uuid::Uuid;

use super::catalog::{CatalogOptions, masked, storage_props};
use super::failure::external;
use super::storage::{WarehouseStorageFactory, local_path};
use crate::error::{Error, Result};

#[cfg(test)]
mod tests;

/// What keeps the files of a location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Medium {
    /// A file system, by its type, as far as the system tells.
    Disk(String),
    /// A file system that is gone with the machine.
    Memory(String),
    /// An object store.
    Objects,
}

/// Writes a file, reads it back and deletes it.
pub async fn try_location(options: &CatalogOptions, location: &str) -> Result<Medium> {
    let content = Uuid::new_v4().to_string();
    let name = format!("calve-verify-{content}");
    match local_path(location) {
        None => try_objects(options, location, &name, content).await,
        Some(folder) => {
            let trying = tokio::task::spawn_blocking(move || try_folder(&folder, &name, &content));
            let tried = trying.await.map_err(|error| {
                Error::internal("trying the location panicked").caused_by(error)
            })?;
            tried.map_err(|error| {
                Error::external(format!("{} can't be written to", masked(location)))
                    .caused_by(error)
            })
        }
    }
}

async fn try_objects(
    options: &CatalogOptions,
    location: &str,
    name: &str,
    content: String,
) -> Result<Medium> {
    let io = FileIOBuilder::new(Arc::new(WarehouseStorageFactory));
    let io = io.with_props(storage_props(options)).build();
    let path = format!("{}/{name}", location.trim_end_matches('/'));
    let shown = masked(location);
    let failed = |error| external(format!("{shown} can't be written to"), &error);
    let written = async {
        io.new_output(&path)?
            .write(Bytes::from(content.clone()))
            .await?;
        io.new_input(&path)?.read().await
    };
    let written = written.await;
    let deleted = io.delete(&path).await;
    if written.map_err(failed)? != content.as_bytes() {
        return Err(garbled(&shown));
    }
    deleted.map_err(|error| external(format!("{path} can't be deleted"), &error))?;
    Ok(Medium::Objects)
}

fn garbled(location: &str) -> Error {
    Error::external(format!(
        "{location} gives back something else than was written"
    ))
}

fn try_folder(folder: &Path, name: &str, content: &str) -> io::Result<Medium> {
    let made = make_folders(folder)?;
    let path = folder.join(name);
    let written = write_durably(folder, &path, content);
    let medium = fs::canonicalize(folder).map(|folder| medium(&folder));
    // Whatever happened, nothing is left.
    let deleted = match path.exists() {
        true => fs::remove_file(&path).and_then(|()| File::open(folder)?.sync_all()),
        false => Ok(()),
    };
    for folder in made.iter().rev() {
        // Somebody else may have put something there by now.
        let _ = fs::remove_dir(folder);
    }
    if written? != content {
        return Err(io::Error::other("something else was read than was written"));
    }
    deleted?;
    medium
}

/// Makes the folders that are missing, and says which.
fn make_folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let missing: Vec<_> = folder.ancestors().take_while(|f| !f.exists()).collect();
    let mut made = Vec::new();
    for folder in missing.into_iter().rev() {
        fs::create_dir(folder)?;
        made.push(folder.to_owned());
    }
    Ok(made)
}

fn write_durably(folder: &Path, path: &Path, content: &str) -> io::Result<String> {
    let mut file = File::create_new(path)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    // Without this the file may be there after a power failure, and its name not.
    File::open(folder)?.sync_all()?;
    let mut found = String::new();
    File::open(path)?.read_to_string(&mut found)?;
    Ok(found)
}

/// What the file system of a folder is, by what the kernel says of the mounts.
fn medium(folder: &Path) -> Medium {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    match file_system(&mounts, folder) {
        Some(kind) if ["tmpfs", "ramfs"].contains(&kind) => Medium::Memory(kind.to_owned()),
        Some(kind) => Medium::Disk(kind.to_owned()),
        None => Medium::Disk("unknown".to_owned()),
    }
}

/// The type of the file system that holds `folder`: of the longest mount point above it, the one that was mounted last.
fn file_system<'a>(mounts: &'a str, folder: &Path) -> Option<&'a str> {
    let mounts = mounts.lines().filter_map(|line| {
        // 36 35 98:0 /root /mount/point options - type source …
        let (before, after) = line.split_once(" - ")?;
        let point = before.split(' ').nth(4)?.replace("\\040", " ");
        let kind = after.split(' ').next()?;
        folder.starts_with(&point).then_some((point.len(), kind))
    });
    mounts
        .max_by_key(|(length, _)| *length)
        .map(|(_, kind)| kind)
}
