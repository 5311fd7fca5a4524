//! From the settings to the table they name.

use std::sync::Arc;

use iceberg::spec::Schema;
use iceberg::table::Table;
use iceberg::{Catalog, NamespaceIdent, TableIdent};

use super::{Dataflow, OwnTable};
use crate::config::{self, Secret, Settings, Uri};
use crate::error::{Error, Result};
use crate::format::columns;
use crate::iceberg::{
    CatalogKind, CatalogOptions, S3Options, TableOptions, load as load_existing, load_or_create,
    open_catalog,
};

/// A table and the catalog that holds it.
pub(crate) struct OpenTable {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) table: Table,
}

/// Opens the catalog and loads the main table, creating it with `columns` if the settings allow.
///
/// Must be called on a tokio runtime that outlives the result.
pub(crate) async fn open(settings: &Settings, columns: Columns) -> Result<OpenTable> {
    let catalog = open_catalog(&catalog_options(settings, true)).await?;
    let options = table_options(settings, columns);
    let table = load_or_create(&*catalog, &ident(settings)?, &options).await?;
    Ok(OpenTable { catalog, table })
}

/// Opens the catalog and loads the main table, which has to be there.
pub(crate) async fn open_existing(settings: &Settings) -> Result<OpenTable> {
    let catalog = existing_catalog(settings).await?;
    let options = TableOptions {
        create: false,
        ..table_options(settings, Columns::declared(settings)?)
    };
    let table = load_or_create(&*catalog, &ident(settings)?, &options).await?;
    Ok(OpenTable { catalog, table })
}

/// Loads the main table for reading: nothing is created.
pub(crate) async fn load(settings: &Settings) -> Result<Table> {
    settings.require_table()?;
    let catalog = existing_catalog(settings).await?;
    load_existing(&*catalog, &ident(settings)?).await
}

/// Opens the catalog for reading: nothing is created.
pub(crate) async fn existing_catalog(settings: &Settings) -> Result<Arc<dyn Catalog>> {
    open_catalog(&catalog_options(settings, false)).await
}

/// Makes sure that a table can be written, and has the columns that are declared.
pub(crate) fn check(settings: &Settings, table: &Table) -> Result<()> {
    crate::iceberg::check(
        table,
        &table_options(settings, Columns::declared(settings)?),
    )
}

/// The name of the main table.
pub(crate) fn ident(settings: &Settings) -> Result<TableIdent> {
    let name = settings.table.name.clone().unwrap_or_default();
    Ok(TableIdent::new(namespace(settings)?, name))
}

/// The namespace of the tables.
pub(crate) fn namespace(settings: &Settings) -> Result<NamespaceIdent> {
    NamespaceIdent::from_vec(settings.table.database.clone()).map_err(|error| {
        Error::config("table.database names no namespace").caused_by(error.to_string())
    })
}

fn table_options(settings: &Settings, columns: Columns) -> TableOptions {
    let (schema, definition) = match columns {
        Columns::Declared(schema) => (schema, None),
        Columns::Own(table) => (Some(table.columns), Some(table.definition)),
    };
    TableOptions {
        schema,
        definition,
        create: settings.table.create,
        partition_spec: None,
        properties: settings.table.properties.clone(),
        location: None,
    }
}

/// What is known of a table's columns before the table is.
pub(crate) enum Columns {
    /// What `table.columns` says, if it is set.
    Declared(Option<Schema>),
    /// What the dataflow makes.
    Own(OwnTable),
}

impl Columns {
    /// The columns of the table that `dataflow` writes.
    pub(crate) fn of(dataflow: &Dataflow, settings: &Settings) -> Result<Self> {
        match dataflow.table {
            Some(table) => table(settings).map(Self::Own),
            None => Self::declared(settings),
        }
    }

    /// The declared ones.
    pub(crate) fn declared(settings: &Settings) -> Result<Self> {
        declared(settings).map(Self::Declared)
    }
}

/// The columns of the records: `input.columns`, or else `table.columns`.
pub fn input_columns(settings: &Settings) -> Result<Schema> {
    let declared = [
        ("input.columns", &settings.input.columns),
        ("table.columns", &settings.table.columns),
    ];
    let mut declared = declared.into_iter();
    let Some((key, text)) = declared.find_map(|(key, text)| Some((key, text.as_ref()?))) else {
        return Err(
            Error::config("the columns of the records are not declared").advice(
                "set input.columns (CALVE_INPUT_COLUMNS); calve infer proposes them from what is in the topic",
            ),
        );
    };
    columns::parse(text).map_err(|error| settings.blame(key, error))
}

/// The declared columns, with those of provenance unless they are switched off.
pub(crate) fn declared(settings: &Settings) -> Result<Option<Schema>> {
    let Some(text) = &settings.table.columns else {
        return Ok(None);
    };
    let mut schema = columns::parse(text);
    if settings.table.provenance {
        schema = schema.and_then(|schema| columns::with_provenance(&schema));
    }
    schema
        .map(Some)
        .map_err(|error| settings.blame("table.columns", error))
}

fn reveal(secret: &Option<Secret>) -> Option<String> {
    secret.as_ref().map(|secret| secret.reveal().to_owned())
}

fn address(uri: &Option<Uri>) -> Option<String> {
    uri.as_ref().map(|uri| uri.reveal().to_owned())
}

/// How to reach S3, for tables and state alike.
pub(crate) fn s3_options(settings: &Settings) -> S3Options {
    let s3 = &settings.s3;
    S3Options {
        endpoint: address(&s3.endpoint),
        access_key: s3.access_key.clone(),
        secret_key: reveal(&s3.secret_key),
        session_token: reveal(&s3.session_token),
        region: s3.region.clone(),
        path_style: s3.path_style_access,
    }
}

/// How the settings say that the catalog is reached.
pub(crate) fn catalog_options(settings: &Settings, create: bool) -> CatalogOptions {
    let catalog = &settings.catalog;
    CatalogOptions {
        kind: match catalog.kind {
            config::CatalogKind::Sql => CatalogKind::Sql,
            config::CatalogKind::Rest => CatalogKind::Rest,
        },
        uri: address(&catalog.uri).unwrap_or_default(),
        name: catalog.name.clone(),
        warehouse: settings.warehouse.clone().unwrap_or_default(),
        token: reveal(&catalog.token),
        credential: reveal(&catalog.credential),
        oauth2_server_uri: address(&catalog.oauth2_server_uri),
        scope: catalog.scope.clone(),
        headers: catalog
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), value.reveal().to_owned()))
            .collect(),
        properties: Default::default(),
        s3: s3_options(settings),
        create,
    }
}
