//! Opening a catalog: SQL (SQLite, PostgreSQL) or REST.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use iceberg::io::{
    S3_ACCESS_KEY_ID, S3_ENDPOINT, S3_PATH_STYLE_ACCESS, S3_REGION, S3_SECRET_ACCESS_KEY,
    S3_SESSION_TOKEN,
};
use iceberg::{Catalog, CatalogBuilder};
use iceberg_catalog_rest::RestCatalogBuilder;
use iceberg_catalog_sql::{SQL_CATALOG_PROP_BIND_STYLE, SqlBindStyle, SqlCatalogBuilder};
use sqlx::{Connection, sqlite};

use super::failure;
use super::rest::RenewingRestCatalog;
use super::storage::WarehouseStorageFactory;
use crate::error::{Error, Result};

#[cfg(test)]
mod tests;

/// Which protocol the catalog speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatalogKind {
    /// A database that pyiceberg's SQL catalog and Iceberg's JDBC catalog share.
    Sql,
    /// Iceberg's REST protocol.
    Rest,
}

/// How to reach objects on S3. What is left out comes from the AWS chain: environment, profile,
/// web identity, instance role.
#[derive(Clone, Default)]
pub struct S3Options {
    /// The URL of an S3-compatible server; AWS if left out.
    pub endpoint: Option<String>,
    /// Access key.
    pub access_key: Option<String>,
    /// Secret key.
    pub secret_key: Option<String>,
    /// Session token of temporary credentials.
    pub session_token: Option<String>,
    /// Region.
    pub region: Option<String>,
    /// `http://host/bucket/key` instead of `http://bucket.host/key`.
    pub path_style: bool,
}

/// Which catalog to open and how.
#[derive(Clone)]
pub struct CatalogOptions {
    /// Its protocol.
    pub kind: CatalogKind,
    /// `sqlite:///absolute/file.db`, `postgres://…` or `http(s)://…`.
    pub uri: String,
    /// Its name; other readers of a SQL catalog must use the same one.
    pub name: String,
    /// Where tables lie unless they say otherwise: `file:///…`, an absolute path, `s3://…`,
    /// `s3a://…`; for a REST catalog also a name it knows, or nothing.
    pub warehouse: String,
    /// REST: bearer token.
    pub token: Option<String>,
    /// REST: OAuth2 client credentials, `id:secret`.
    pub credential: Option<String>,
    /// REST: where tokens are issued, if not by the catalog itself.
    pub oauth2_server_uri: Option<String>,
    /// REST: OAuth2 scope.
    pub scope: Option<String>,
    /// REST: headers of every request.
    pub headers: BTreeMap<String, String>,
    /// Further catalog and storage properties, as Iceberg spells them.
    pub properties: BTreeMap<String, String>,
    /// S3.
    pub s3: S3Options,
    /// Make the file of a SQLite catalog if it is missing; else its absence is an error.
    pub create: bool,
}

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait for a REST catalog's answer; the library would wait for ever.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// A catalog is asked one thing at a time, by a few tasks.
const POOL_CONNECTIONS_MAX: &str = "4";

/// Opens a catalog and makes sure it answers.
///
/// Must be called on a tokio runtime that outlives the catalog.
pub async fn open_catalog(options: &CatalogOptions) -> Result<Arc<dyn Catalog>> {
    match options.kind {
        CatalogKind::Sql => open_sql(options).await,
        CatalogKind::Rest => open_rest(options).await,
    }
}

async fn open_sql(options: &CatalogOptions) -> Result<Arc<dyn Catalog>> {
    let warehouse = sql_warehouse(&options.warehouse)?;
    let uri = &options.uri;
    let (uri, bind_style) = if let Some(rest) = uri.strip_prefix("sqlite:") {
        (
            prepare_sqlite(rest, options.create).await?,
            SqlBindStyle::QMark,
        )
    } else if uri.starts_with("postgres://") || uri.starts_with("postgresql://") {
        check_postgres(options).await?;
        (uri.clone(), SqlBindStyle::DollarNumeric)
    } else {
        return Err(Error::config(format!(
            "catalog.uri: a SQL catalog can't be opened from {}",
            masked(uri)
        ))
        .advice(
            "use sqlite:///absolute/file.db or postgres://user:password@host/database, \
             or set catalog.type to rest",
        ));
    };
    let mut props = storage_props(options);
    props.insert("pool.max-connections".into(), POOL_CONNECTIONS_MAX.into());
    props.insert(SQL_CATALOG_PROP_BIND_STYLE.into(), bind_style.to_string());
    let open = || {
        SqlCatalogBuilder::default()
            .uri(&uri)
            .warehouse_location(&warehouse)
            .with_storage_factory(Arc::new(WarehouseStorageFactory))
            .load(&options.name, props.clone())
    };
    let catalog = match open().await {
        Ok(catalog) => catalog,
        // Two processes that make the catalog's tables at once disturb each other in PostgreSQL
        // in spite of IF NOT EXISTS; the second try finds them made.
        Err(_) => open().await.map_err(|error| unopened(options, &error))?,
    };
    Ok(Arc::new(catalog))
}

/// Connects once. The catalog's pool would try for half a minute, and then not say why it failed.
async fn check_postgres(options: &CatalogOptions) -> Result<()> {
    let connecting = sqlx::PgConnection::connect(&options.uri);
    let cause = match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(Ok(connection)) => return connection.close().await.or(Ok(())),
        Ok(Err(error)) => error.to_string(),
        Err(_elapsed) => format!("no answer within {CONNECT_TIMEOUT:?}"),
    };
    Err(Error::external(unopened_message(options))
        .caused_by(cause)
        .advice("check that the database is up, and the user and password in catalog.uri"))
}

/// Makes the file and its folders, if missing and asked to; returns the URL as the driver wants it.
async fn prepare_sqlite(rest: &str, create: bool) -> Result<String> {
    let wrong = |what: &str| {
        Error::config(format!("catalog.uri: sqlite:{rest} {what}"))
            .advice("use sqlite:///absolute/file.db")
    };
    let path = rest.strip_prefix("//").unwrap_or(rest);
    // SQLAlchemy, and so pyiceberg, spells an absolute path with four slashes.
    let path = if path.starts_with("//") {
        &path[1..]
    } else {
        path
    };
    if !path.starts_with('/') {
        return Err(wrong("does not name an absolute path"));
    }
    if path.contains('?') {
        return Err(wrong("has parameters, which are not supported"));
    }
    let file = Path::new(path);
    if !create && !file.exists() {
        return Err(Error::config(format!("there is no SQLite catalog {path}"))
            .advice("check the path of catalog.uri; `calve run` would make a new one"));
    }
    let failed = |error: String| {
        Error::external(format!("the SQLite catalog {path} can't be opened"))
            .caused_by(error)
            .advice("check the path of catalog.uri and its permissions")
    };
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(|error| failed(error.to_string()))?;
    }
    if !file.exists() {
        // A write-ahead log lets readers read while a commit is under way. It is a property of
        // the file, so a database that somebody else made is left as it is.
        let options = sqlite::SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(sqlite::SqliteJournalMode::Wal);
        let connection = sqlx::SqliteConnection::connect_with(&options).await;
        match connection {
            Ok(connection) => connection
                .close()
                .await
                .map_err(|error| failed(error.to_string()))?,
            Err(error) => return Err(failed(error.to_string())),
        }
        tracing::info!("there was no SQLite catalog {path}: a new, empty one was made");
    }
    let encoded = path.replace('%', "%25").replace('#', "%23");
    Ok(format!("sqlite://{encoded}?mode=rwc"))
}

/// A SQL catalog makes table locations out of the warehouse, so it must be a full one.
fn sql_warehouse(warehouse: &str) -> Result<String> {
    let trimmed = warehouse.trim_end_matches('/');
    if trimmed.starts_with("s3://") || trimmed.starts_with("s3a://") {
        return Ok(trimmed.to_owned());
    }
    let path = match trimmed.strip_prefix("file:") {
        Some(path) => path.strip_prefix("//").unwrap_or(path),
        None => trimmed,
    };
    if !path.starts_with('/') {
        let what = if warehouse.is_empty() {
            "warehouse is not set".to_owned()
        } else {
            format!("warehouse: {warehouse} is neither an absolute path nor on S3")
        };
        return Err(Error::config(what).advice(
            "use file:///absolute/folder, /absolute/folder, s3://bucket/prefix or s3a://bucket/prefix",
        ));
    }
    Ok(format!("file://{path}"))
}

async fn open_rest(options: &CatalogOptions) -> Result<Arc<dyn Catalog>> {
    let uri = options.uri.trim_end_matches('/');
    if !(uri.starts_with("http://") || uri.starts_with("https://")) {
        return Err(Error::config(format!(
            "catalog.uri: a REST catalog can't be opened from {}",
            masked(uri)
        ))
        .advice("use http://host:port or https://host, or set catalog.type to sql"));
    }
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(REQUEST_TIMEOUT)
        .build()
        .map_err(|error| {
            Error::internal("the HTTP client of the REST catalog can't be made").caused_by(error)
        })?;
    let catalog = RestCatalogBuilder::default()
        .with_client(client)
        .with_storage_factory(Arc::new(WarehouseStorageFactory))
        .load(&options.name, rest_props(options, uri))
        .await
        .map_err(|error| unopened(options, &error))?;
    let catalog = RenewingRestCatalog::new(catalog, options.credential.is_some());
    // Nothing has been asked of it yet. A catalog that forbids this question is up all the same.
    match catalog.list_namespaces(None).await {
        Err(error) if !matches!(failure::http_status(&error), Some(403..=405)) => {
            Err(unopened(options, &error))
        }
        _ => Ok(Arc::new(catalog)),
    }
}

fn rest_props(options: &CatalogOptions, uri: &str) -> HashMap<String, String> {
    let mut props = storage_props(options);
    props.insert("uri".into(), uri.to_owned());
    if !options.warehouse.is_empty() {
        props.insert("warehouse".into(), options.warehouse.clone());
    }
    for (key, value) in [
        ("token", &options.token),
        ("credential", &options.credential),
        ("oauth2-server-uri", &options.oauth2_server_uri),
        ("scope", &options.scope),
    ] {
        if let Some(value) = value {
            props.insert(key.to_owned(), value.clone());
        }
    }
    for (name, value) in &options.headers {
        props.insert(format!("header.{name}"), value.clone());
    }
    props
}

/// The options of file access, as the library spells them.
pub(super) fn storage_props(options: &CatalogOptions) -> HashMap<String, String> {
    let mut props: HashMap<_, _> = options.properties.clone().into_iter().collect();
    options.s3.add_to(&mut props);
    props
}

impl S3Options {
    /// Adds what is set, under the names of the library.
    pub(super) fn add_to(&self, props: &mut HashMap<String, String>) {
        let S3Options {
            endpoint,
            access_key,
            secret_key,
            session_token,
            region,
            path_style,
        } = self;
        for (key, value) in [
            (S3_ENDPOINT, endpoint),
            (S3_ACCESS_KEY_ID, access_key),
            (S3_SECRET_ACCESS_KEY, secret_key),
            (S3_SESSION_TOKEN, session_token),
            (S3_REGION, region),
        ] {
            if let Some(value) = value {
                props.insert(key.to_owned(), value.clone());
            }
        }
        if region.is_none() && endpoint.is_some() {
            // Servers other than AWS have no regions, but a signature needs one.
            props
                .entry(S3_REGION.to_owned())
                .or_insert_with(|| "us-east-1".to_owned());
        }
        if *path_style {
            props.insert(S3_PATH_STYLE_ACCESS.to_owned(), "true".to_owned());
        }
    }
}

fn unopened(options: &CatalogOptions, error: &iceberg::Error) -> Error {
    failure::external(unopened_message(options), error)
}

fn unopened_message(options: &CatalogOptions) -> String {
    let CatalogOptions { name, uri, .. } = options;
    format!("the catalog {name} at {} can't be opened", masked(uri))
}

/// A URI without the secrets it may hold: user and password, and parameters.
pub fn masked(uri: &str) -> String {
    let uri = uri.split(['?', '#']).next().unwrap_or_default();
    match uri.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            match authority.rsplit_once('@') {
                Some((_, host)) => format!("{scheme}://***@{host}/{path}"),
                None => uri.to_owned(),
            }
        }
        None => uri.to_owned(),
    }
}
