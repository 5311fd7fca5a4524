//! A writer of Parquet files for a table of its own.

use std::path::Path;

use calve::format::columns;
use calve::iceberg::names::FileOrigin;
use calve::iceberg::{
    CatalogKind, CatalogOptions, S3Options, TableOptions, TableWriter, WriterOptions,
    load_or_create, open_catalog,
};
use calve::time::{Epoch, Generation};
use iceberg::{NamespaceIdent, TableIdent};

/// Of the table `bench.NAME` with these columns, in a folder that must be there.
pub async fn open(
    folder: &Path,
    name: &str,
    declared: &str,
) -> Result<TableWriter, Box<dyn std::error::Error>> {
    let catalog = open_catalog(&CatalogOptions {
        kind: CatalogKind::Sql,
        uri: format!("sqlite://{}/{name}.db", folder.display()),
        name: "default".to_owned(),
        warehouse: format!("file://{}/warehouse", folder.display()),
        token: None,
        credential: None,
        oauth2_server_uri: None,
        scope: None,
        headers: Default::default(),
        properties: Default::default(),
        s3: S3Options::default(),
        create: true,
    })
    .await?;
    let ident = TableIdent::new(NamespaceIdent::new("bench".to_owned()), name.to_owned());
    let options = TableOptions {
        schema: Some(columns::with_provenance(&columns::parse(declared)?)?),
        create: true,
        ..TableOptions::default()
    };
    let table = load_or_create(&*catalog, &ident, &options).await?;
    Ok(TableWriter::new(
        &table,
        WriterOptions {
            origin: FileOrigin {
                pipeline: name.to_owned(),
                generation: Generation(1),
                epoch: Epoch(1),
                worker: 0,
            },
            target_file_bytes: None,
            row_group_bytes: 12 << 20,
        },
    )?)
}
