//! Local files: what can fail, and what makes them durable.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::error::{Error, Result};

/// A local file or folder could not be read or written.
pub(super) fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    Error::external(format!("can't {what} {}", path.display())).caused_by(error)
}

/// Removes a folder with all that is in it, if it is there.
pub(super) fn remove_folder(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed("remove", folder, error))
        }
        _ => Ok(()),
    }
}

/// Removes a file, if it is there.
pub(super) fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path, error)),
        _ => Ok(()),
    }
}

/// Makes a folder, and those above it.
pub(super) fn create_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| failed("create", folder, error))
}

/// Makes the names in a folder durable: a file that was synced can still lose its name.
pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    let sync = || File::open(folder)?.sync_all();
    sync().map_err(|error: io::Error| failed("sync", folder, error))
}

/// Name and length of everything in a folder.
pub(super) fn list(folder: &Path) -> Result<Vec<(String, u64)>> {
    let list = || {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            // A name that is no UTF-8 is nobody's here.
            if let Ok(name) = entry.file_name().into_string() {
                found.push((name, entry.metadata()?.len()));
            }
        }
        Ok(found)
    };
    list().map_err(|error: io::Error| failed("list", folder, error))
}
