//! Listing the files below a location, which the library's file access can't.
//!
//! | location | listed |
//! |---|---|
//! | `file:///…`, `/…` | folder by folder; symbolic links are not followed |
//! | `s3://…`, `s3a://…`, `s3n://…` | page by page, with the options, timeouts and retries of [`super::storage`] |
//!
//! Only the files that were asked for are kept: the listing of a large table passes by.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use futures::TryStreamExt;
use iceberg::io::{
    CLIENT_REGION, FileIO, S3_ACCESS_KEY_ID, S3_ALLOW_ANONYMOUS, S3_ASSUME_ROLE_ARN,
    S3_ASSUME_ROLE_EXTERNAL_ID, S3_ASSUME_ROLE_SESSION_NAME, S3_DISABLE_CONFIG_LOAD,
    S3_DISABLE_EC2_METADATA, S3_ENDPOINT, S3_PATH_STYLE_ACCESS, S3_REGION, S3_SECRET_ACCESS_KEY,
    S3_SESSION_TOKEN,
};
use opendal::layers::{RetryLayer, TimeoutLayer};
use opendal::services::S3Config;
use opendal::{Configurator, Operator};

use super::catalog::S3Options;
use super::storage::{local_path, scheme};
use crate::error::{Error, Result};

/// A file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Where it lies, in the form the library's file access takes.
    pub(super) path: String,
    /// How large it is.
    pub(super) bytes: u64,
}

/// What a listing came upon.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// The files that were asked for.
    pub(super) found: Vec<Found>,
    /// How many there were.
    pub(super) seen: u64,
}

/// Finds the files below `location` whose name `wanted` accepts. A location that does not exist
/// has no files.
pub(super) async fn list(
    file_io: &FileIO,
    location: &str,
    wanted: impl Fn(&str) -> bool + Send + 'static,
) -> Result<Listing> {
    let failed = |error: String| {
        Error::external(format!("the files below {location} can't be listed")).caused_by(error)
    };
    if let Some(root) = local_path(location) {
        let location = location.trim_end_matches('/').to_owned();
        return tokio::task::spawn_blocking(move || list_local(&location, root, wanted))
            .await
            .map_err(|error| failed(error.to_string()))?
            .map_err(|error| failed(error.to_string()));
    }
    match scheme(location) {
        "s3" | "s3a" | "s3n" => list_s3(file_io, location, wanted)
            .await
            .map_err(|error| failed(error.to_string())),
        other => Err(failed(format!("{other}:// is not supported"))),
    }
}

fn list_local(
    location: &str,
    root: PathBuf,
    wanted: impl Fn(&str) -> bool,
) -> std::io::Result<Listing> {
    let mut listing = Listing::default();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            // Gone since, or never there.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                listing.seen += 1;
                if let Some(found) = local_file(location, &root, &entry.path(), &wanted) {
                    listing.found.push(found);
                }
            }
        }
    }
    Ok(listing)
}

/// The file, if it is wanted and still there. A name that is no UTF-8 is nobody's here.
fn local_file(
    location: &str,
    root: &Path,
    path: &Path,
    wanted: impl Fn(&str) -> bool,
) -> Option<Found> {
    wanted(path.file_name()?.to_str()?).then_some(())?;
    let below = path.strip_prefix(root).ok()?.to_str()?;
    Some(Found {
        path: format!("{location}/{below}"),
        bytes: fs::metadata(path).ok()?.len(),
    })
}

async fn list_s3(
    file_io: &FileIO,
    location: &str,
    wanted: impl Fn(&str) -> bool,
) -> opendal::Result<Listing> {
    let (scheme, rest) = location.split_once("://").unwrap_or(("s3", location));
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let operator = open_bucket(file_io.config().props(), bucket)?;
    let prefix = format!("{}/", prefix.trim_end_matches('/'));
    let mut objects = operator.lister_with(&prefix).recursive(true).await?;
    let mut listing = Listing::default();
    while let Some(object) = objects.try_next().await? {
        if !object.metadata().is_file() {
            continue;
        }
        listing.seen += 1;
        if wanted(object.name()) {
            listing.found.push(Found {
                path: format!("{scheme}://{bucket}/{}", object.path()),
                bytes: object.metadata().content_length(),
            });
        }
    }
    Ok(listing)
}

/// A bucket, for files that are no table's.
pub(crate) fn s3_operator(options: &S3Options, bucket: &str) -> opendal::Result<Operator> {
    let mut props = HashMap::new();
    options.add_to(&mut props);
    open_bucket(&props, bucket)
}

fn open_bucket(props: &HashMap<String, String>, bucket: &str) -> opendal::Result<Operator> {
    let operator = Operator::new(s3_config(props).into_builder().bucket(bucket))?.finish();
    Ok(operator.layer(TimeoutLayer::new()).layer(RetryLayer::new()))
}

/// The options of a table's own file access, which a REST catalog may have added to, or of S3 alone.
fn s3_config(props: &HashMap<String, String>) -> S3Config {
    let option = |name: &str| props.get(name).cloned();
    let is_set = |name: &str| option(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let mut config = S3Config::default();
    config.endpoint = option(S3_ENDPOINT);
    config.access_key_id = option(S3_ACCESS_KEY_ID);
    config.secret_access_key = option(S3_SECRET_ACCESS_KEY);
    config.session_token = option(S3_SESSION_TOKEN);
    config.region = option(CLIENT_REGION).or_else(|| option(S3_REGION));
    config.role_arn = option(S3_ASSUME_ROLE_ARN);
    config.external_id = option(S3_ASSUME_ROLE_EXTERNAL_ID);
    config.role_session_name = option(S3_ASSUME_ROLE_SESSION_NAME);
    config.enable_virtual_host_style = !is_set(S3_PATH_STYLE_ACCESS);
    config.skip_signature = is_set(S3_ALLOW_ANONYMOUS);
    config.disable_ec2_metadata = is_set(S3_DISABLE_EC2_METADATA);
    config.disable_config_load = is_set(S3_DISABLE_CONFIG_LOAD);
    config
}
