//! A folder of named files, on a local disk or on S3: where snapshots last.
//!
//! | | `file://`, a path | `s3://`, `s3a://` |
//! |---|---|---|
//! | a data file | linked if the store may share it and lies on the same disk, else copied; synced | uploaded in parts |
//! | a manifest | written beside, synced, renamed, its folder synced | one object |
//! | a name | durable when [`Folder::sync`] is through | durable at once |

use std::fs::{self, File};
use std::hash::Hasher;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use futures::TryStreamExt;
use opendal::{ErrorKind, Operator};
use twox_hash::XxHash64;

use super::files::{self, failed};
use crate::error::{Error, Result};
use crate::iceberg::{S3Options, local_path, s3_operator};

#[cfg(test)]
mod tests;

/// What is read and written at once.
const CHUNK_BYTES: usize = 4 << 20;
/// Parts of one object under way at once.
const PARTS: usize = 2;

/// A folder.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    /// Where it is, as people write it.
    location: String,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Local(PathBuf),
    S3 { bucket: Operator, prefix: String },
}

/// Length and checksum of a file's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) bytes: u64,
    pub(super) checksum: String,
}

/// Whether a copy may be the very same file under another name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// It is never written again: a link is as good.
    Link,
    /// It has to stand for itself.
    Copy,
}

impl Folder {
    /// The folder at a location, which need not exist yet.
    pub(super) fn open(location: &str, s3: &S3Options) -> Result<Self> {
        let location = location.trim_end_matches('/');
        let place = match location.split_once("://") {
            Some(("s3" | "s3a" | "s3n", rest)) => {
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                let bucket = s3_operator(s3, bucket).map_err(|error| {
                    Error::config(format!("the bucket of {location} can't be opened"))
                        .caused_by(error)
                })?;
                let prefix = match prefix {
                    "" => String::new(),
                    prefix => format!("{prefix}/"),
                };
                Place::S3 { bucket, prefix }
            }
            _ => {
                let folder = local_path(location).ok_or_else(|| {
                    Error::config(format!("{location} is neither an absolute path nor on S3"))
                        .advice(
                            "use file:///absolute/folder, /absolute/folder or s3://bucket/prefix",
                        )
                })?;
                Place::Local(folder)
            }
        };
        let location = location.to_owned();
        Ok(Self { location, place })
    }

    /// A folder in this one.
    pub(super) fn join(&self, name: &str) -> Self {
        Self {
            location: self.path_of(name),
            place: match &self.place {
                Place::Local(folder) => Place::Local(folder.join(name)),
                Place::S3 { bucket, prefix } => Place::S3 {
                    bucket: bucket.clone(),
                    prefix: format!("{prefix}{name}/"),
                },
            },
        }
    }

    /// Where it is.
    pub(super) fn location(&self) -> &str {
        &self.location
    }

    /// Where a file of it is, for people.
    pub(super) fn path_of(&self, name: &str) -> String {
        format!("{}/{name}", self.location)
    }

    /// Where a file of it is on a local disk.
    pub(super) fn local_path(&self, name: &str) -> Option<PathBuf> {
        match &self.place {
            Place::Local(folder) => Some(folder.join(name)),
            Place::S3 { .. } => None,
        }
    }

    /// True for a folder of this machine, or one that is mounted there.
    pub(super) fn is_local(&self) -> bool {
        matches!(self.place, Place::Local(_))
    }

    fn s3_failed(&self, what: &str, name: &str, error: opendal::Error) -> Error {
        Error::external(format!("can't {what} {}", self.path_of(name))).caused_by(error)
    }

    /// Puts a local file here.
    pub(super) async fn put_file(
        &self,
        from: &Path,
        name: &str,
        sharing: Sharing,
    ) -> Result<Content> {
        match &self.place {
            Place::Local(folder) => {
                let (from, folder, to) = (from.to_owned(), folder.clone(), folder.join(name));
                blocking(move || {
                    files::create_folder(&folder)?;
                    place(&from, &to, sharing).map_err(|error| failed("write", &to, error))
                })
                .await
            }
            Place::S3 { bucket, prefix } => {
                let key = format!("{prefix}{name}");
                let failed = |error| self.s3_failed("write", name, error);
                let mut file = Reading::open(from).await?;
                let writer = bucket
                    .writer_with(&key)
                    .chunk(CHUNK_BYTES)
                    .concurrent(PARTS);
                let mut writer = writer.await.map_err(failed)?;
                while let Some(chunk) = file.next().await? {
                    writer.write(chunk).await.map_err(failed)?;
                }
                writer.close().await.map_err(failed)?;
                Ok(file.content())
            }
        }
    }

    /// Puts a small file here: all of it, or nothing; durable, name and all.
    pub(super) async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        match &self.place {
            Place::Local(folder) => {
                let (folder, name) = (folder.clone(), name.to_owned());
                blocking(move || {
                    let (path, beside) = (folder.join(&name), folder.join(format!(".{name}.tmp")));
                    files::create_folder(&folder)?;
                    let write = || {
                        let mut file = File::create(&beside)?;
                        file.write_all(&bytes)?;
                        file.sync_all()?;
                        fs::rename(&beside, &path)
                    };
                    write().map_err(|error| failed("write", &path, error))?;
                    sync_up(&folder)
                })
                .await
            }
            Place::S3 { bucket, prefix } => {
                let written = bucket.write(&format!("{prefix}{name}"), bytes).await;
                written.map_err(|error| self.s3_failed("write", name, error))?;
                Ok(())
            }
        }
    }

    /// A small file, if it is there.
    pub(super) async fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match &self.place {
            Place::Local(folder) => {
                let path = folder.join(name);
                blocking(move || match fs::read(&path) {
                    Ok(bytes) => Ok(Some(bytes)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(failed("read", &path, error)),
                })
                .await
            }
            Place::S3 { bucket, prefix } => match bucket.read(&format!("{prefix}{name}")).await {
                Ok(bytes) => Ok(Some(bytes.to_vec())),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(self.s3_failed("read", name, error)),
            },
        }
    }

    /// Brings a file to the local disk, if it is there, and says what came.
    pub(super) async fn fetch(
        &self,
        name: &str,
        to: &Path,
        sharing: Sharing,
    ) -> Result<Option<Content>> {
        match &self.place {
            Place::Local(folder) => {
                let (from, to) = (folder.join(name), to.to_owned());
                blocking(move || match place(&from, &to, sharing) {
                    Ok(content) => Ok(Some(content)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound && !from.exists() => {
                        Ok(None)
                    }
                    Err(error) => Err(failed("read", &from, error)),
                })
                .await
            }
            Place::S3 { bucket, prefix } => {
                let key = format!("{prefix}{name}");
                match download(bucket, &key, to).await {
                    Err(Download::Remote(error)) if error.kind() == ErrorKind::NotFound => Ok(None),
                    Err(Download::Remote(error)) => Err(self.s3_failed("read", name, error)),
                    Err(Download::Local(error)) => Err(error),
                    Ok(content) => Ok(Some(content)),
                }
            }
        }
    }

    /// The names of the files here, not of those in folders below.
    pub(super) async fn names(&self) -> Result<Vec<String>> {
        match &self.place {
            Place::Local(folder) => {
                let folder = folder.clone();
                blocking(move || names_in(&folder)).await
            }
            Place::S3 { bucket, prefix } => {
                let list = async {
                    let mut objects = bucket.lister_with(prefix).await?;
                    let mut names = Vec::new();
                    while let Some(object) = objects.try_next().await? {
                        if object.metadata().is_file() {
                            names.push(object.name().to_owned());
                        }
                    }
                    Ok(names)
                };
                list.await
                    .map_err(|error| self.s3_failed("list", "", error))
            }
        }
    }

    /// Deletes a file, if it is there.
    pub(super) async fn delete(&self, name: &str) -> Result<()> {
        match &self.place {
            Place::Local(folder) => {
                let path = folder.join(name);
                blocking(move || files::remove_file(&path)).await
            }
            Place::S3 { bucket, prefix } => {
                let deleted = bucket.delete(&format!("{prefix}{name}")).await;
                deleted.map_err(|error| self.s3_failed("delete", name, error))
            }
        }
    }

    /// Makes the names of all files that were put here durable.
    pub(super) async fn sync(&self) -> Result<()> {
        match &self.place {
            Place::Local(folder) => {
                let folder = folder.clone();
                blocking(move || sync_up(&folder)).await
            }
            Place::S3 { .. } => Ok(()),
        }
    }
}

/// Syncs a folder, and those above in which its own name and theirs may be new.
fn sync_up(folder: &Path) -> Result<()> {
    const ABOVE: usize = 3;
    let above = folder.ancestors().take(ABOVE);
    above
        .filter(|folder| folder.is_dir())
        .try_for_each(files::sync_folder)
}

fn names_in(folder: &Path) -> Result<Vec<String>> {
    let list = || {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                // A name that is no UTF-8 is nobody's here.
                names.extend(entry.file_name().into_string().ok());
            }
        }
        Ok(names)
    };
    list().map_err(|error| failed("list", folder, error))
}

/// Links or copies a file, and says what is in it.
fn place(from: &Path, to: &Path, sharing: Sharing) -> io::Result<Content> {
    let linked = sharing == Sharing::Link && fs::hard_link(from, to).is_ok();
    let mut summing = Summing::default();
    let mut from = File::open(from)?;
    let mut copy = match linked {
        true => None,
        false => Some(File::create_new(to)?),
    };
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = from.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        summing.add(&chunk[..read]);
        if let Some(copy) = &mut copy {
            copy.write_all(&chunk[..read])?;
        }
    }
    copy.unwrap_or(from).sync_all()?;
    Ok(summing.content())
}

enum Download {
    Local(Error),
    Remote(opendal::Error),
}

async fn download(bucket: &Operator, key: &str, to: &Path) -> Result<Content, Download> {
    let reader = bucket.reader_with(key).chunk(CHUNK_BYTES).concurrent(PARTS);
    let reader = reader.await.map_err(Download::Remote)?;
    let mut stream = reader
        .into_bytes_stream(..)
        .await
        .map_err(Download::Remote)?;
    let local = |error| Download::Local(failed("write", to, error));
    let mut summing = Summing::default();
    let path = to.to_owned();
    let mut file = None;
    // The file is made when the first bytes are there: of what is not there, nothing is left behind.
    while let Some(chunk) = stream.try_next().await.map_err(from_io)? {
        summing.add(&chunk);
        let (path, opened) = (path.clone(), file.take());
        let written = blocking(move || {
            let write = || {
                let mut file = match opened {
                    Some(file) => file,
                    None => File::create_new(&path)?,
                };
                file.write_all(&chunk)?;
                Ok(file)
            };
            Ok(write())
        });
        file = Some(written.await.map_err(Download::Local)?.map_err(local)?);
    }
    if file.is_none() {
        File::create_new(to).map_err(local)?;
    }
    Ok(summing.content())
}

/// The stream wraps the storage's errors into those of the standard library.
fn from_io(error: io::Error) -> Download {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        _ => ErrorKind::Unexpected,
    };
    Download::Remote(opendal::Error::new(kind, error.to_string()))
}

/// A local file that is read in chunks, off the threads that wait for the network.
struct Reading {
    path: PathBuf,
    file: Option<File>,
    summing: Summing,
}

impl Reading {
    async fn open(path: &Path) -> Result<Self> {
        let path = path.to_owned();
        blocking(move || {
            let file = File::open(&path).map_err(|error| failed("read", &path, error))?;
            let (file, summing) = (Some(file), Summing::default());
            Ok(Self {
                path,
                file,
                summing,
            })
        })
        .await
    }

    async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let Some(mut file) = self.file.take() else {
            return Ok(None);
        };
        let path = self.path.clone();
        let (file, chunk) = blocking(move || {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            let read = (&mut file).take(CHUNK_BYTES as u64).read_to_end(&mut chunk);
            read.map_err(|error| failed("read", &path, error))?;
            Ok((file, chunk))
        })
        .await?;
        if chunk.is_empty() {
            return Ok(None);
        }
        self.file = Some(file);
        self.summing.add(&chunk);
        Ok(Some(chunk))
    }

    fn content(&self) -> Content {
        self.summing.content()
    }
}

/// Length and checksum of what passes by.
struct Summing {
    bytes: u64,
    hash: XxHash64,
}

impl Default for Summing {
    fn default() -> Self {
        let hash = XxHash64::with_seed(0);
        Self { bytes: 0, hash }
    }
}

impl Summing {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.hash.write(bytes);
    }

    fn content(&self) -> Content {
        Content {
            bytes: self.bytes,
            checksum: checksum_text(self.hash.finish()),
        }
    }
}

/// The checksum of bytes in memory.
pub(super) fn checksum(bytes: &[u8]) -> String {
    checksum_text(XxHash64::oneshot(0, bytes))
}

/// A checksum as it stands in manifests: it says what it is.
fn checksum_text(hash: u64) -> String {
    format!("xxh64:{hash:016x}")
}

/// Runs what blocks on a thread that may.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal("a file was being worked on").caused_by(error))?
}
