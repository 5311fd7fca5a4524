//! Loading a table, or creating it from declared columns.

use std::collections::{BTreeMap, HashMap};

use iceberg::spec::{
    FormatVersion, NestedField, PrimitiveType, Schema, StructType, TableProperties, Type,
    UnboundPartitionSpec,
};
use iceberg::table::Table;
use iceberg::{Catalog, ErrorKind, NamespaceIdent, TableCreation, TableIdent};

use super::failure;
use super::names::{DEFINITION, PROVENANCE_COLUMNS};
use super::properties::COMPRESSION_CODEC;
use super::writer::splitter;
use crate::error::{Error, Result};

#[cfg(test)]
mod tests;

/// What is known about a table before it is loaded.
#[derive(Clone, Debug, Default)]
pub struct TableOptions {
    /// The declared columns. A table that exists rules over them, but must not contradict them.
    pub schema: Option<Schema>,
    /// What the rows are made from, if they are not records. The columns are the program's then, and the table says
    /// the same in a property.
    pub definition: Option<String>,
    /// Create the table if it is missing.
    pub create: bool,
    /// How a created table is partitioned; not at all if left out.
    pub partition_spec: Option<UnboundPartitionSpec>,
    /// Properties of a created table.
    pub properties: BTreeMap<String, String>,
    /// Where a created table lies, if not where the catalog puts it.
    pub location: Option<String>,
}

/// Loads a table that is there, for reading.
pub async fn load(catalog: &dyn Catalog, ident: &TableIdent) -> Result<Table> {
    catalog
        .load_table(ident)
        .await
        .map_err(|error| match error.kind() {
            ErrorKind::TableNotFound | ErrorKind::NamespaceNotFound => {
                Error::config(format!("table {ident} does not exist"))
                    .advice("check table.name, table.database and the catalog's settings")
            }
            _ => failure::external(format!("table {ident} can't be loaded"), &error),
        })
}

/// Loads the table, creating it and its namespace if allowed, and makes sure it can be written.
///
/// | table | declared columns | result |
/// |---|---|---|
/// | exists | none, or the same names and types | the table |
/// | exists | others | error that names each difference |
/// | missing | some, and `create` | created; of racing creators one wins, all get its table |
/// | missing | none, or not `create` | error with advice |
pub async fn load_or_create(
    catalog: &dyn Catalog,
    ident: &TableIdent,
    options: &TableOptions,
) -> Result<Table> {
    let table = match catalog.load_table(ident).await {
        Ok(table) => table,
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::TableNotFound | ErrorKind::NamespaceNotFound
            ) =>
        {
            create(catalog, ident, options).await?
        }
        Err(error) => {
            return Err(failure::external(
                format!("table {ident} can't be loaded"),
                &error,
            ));
        }
    };
    check(&table, options)?;
    Ok(table)
}

/// Makes sure that a table can be written, and has the declared columns.
pub fn check(table: &Table, options: &TableOptions) -> Result<()> {
    check_writable(table)?;
    if let Some(declared) = &options.schema {
        check_compatible(table, declared, options.definition.is_some())?;
    }
    match &options.definition {
        Some(definition) => check_definition(table, definition),
        None => Ok(()),
    }
}

async fn create(
    catalog: &dyn Catalog,
    ident: &TableIdent,
    options: &TableOptions,
) -> Result<Table> {
    let missing = || Error::config(format!("table {ident} does not exist"));
    if !options.create {
        return Err(missing().advice("create it, or set table.create to true"));
    }
    let Some(schema) = &options.schema else {
        return Err(missing().advice(
            "declare its columns in table.columns (calve infer proposes them), or create it",
        ));
    };
    create_namespace(catalog, ident.namespace()).await?;
    let mut properties = HashMap::from([(COMPRESSION_CODEC.to_owned(), "zstd".to_owned())]);
    properties.extend(options.properties.clone());
    let definition = options.definition.iter();
    properties.extend(definition.map(|text| (DEFINITION.to_owned(), text.clone())));
    let creation = TableCreation::builder()
        .name(ident.name().to_owned())
        .schema(schema.clone())
        .location_opt(options.location.clone())
        .partition_spec_opt(options.partition_spec.clone())
        .properties(properties)
        .format_version(FormatVersion::V2)
        .build();
    match catalog.create_table(ident.namespace(), creation).await {
        Ok(table) => Ok(table),
        // Whatever the error, another process may have been faster; each catalog says so
        // differently.
        Err(error) => catalog.load_table(ident).await.map_err(|_| {
            let what = format!("table {ident} can't be created");
            match error.kind() {
                ErrorKind::DataInvalid => Error::data(what)
                    .caused_by(failure::describe(&error))
                    .advice("correct table.columns, or the table's partitioning and properties"),
                _ => failure::external(what, &error),
            }
        }),
    }
}

/// Creates a namespace and those above it, if missing.
async fn create_namespace(catalog: &dyn Catalog, namespace: &NamespaceIdent) -> Result<()> {
    let failed = |error: &iceberg::Error| {
        failure::external(format!("namespace {namespace} can't be created"), error)
    };
    for depth in 1..=namespace.len() {
        let part = NamespaceIdent::from_strs(&namespace[..depth]).map_err(|e| failed(&e))?;
        let exists = || catalog.namespace_exists(&part);
        if exists().await.map_err(|e| failed(&e))? {
            continue;
        }
        let created = catalog.create_namespace(&part, HashMap::new()).await;
        if let Err(error) = created
            && !exists().await.unwrap_or(false)
        {
            return Err(failed(&error));
        }
    }
    Ok(())
}

/// Refuses tables that would be written wrongly.
fn check_writable(table: &Table) -> Result<()> {
    let ident = table.identifier();
    let metadata = table.metadata();
    let property = |key: &str| metadata.properties().get(key).map(String::as_str);
    if metadata.format_version() == FormatVersion::V1 {
        return Err(Error::data(format!("table {ident} has format version 1")).advice(
            "upgrade it (table property format-version = 2): without sequence numbers a rollback \
             can't be told from an expiry",
        ));
    }
    if property("encryption.key-id").is_some() {
        return Err(Error::data(format!("table {ident} is encrypted"))
            .advice("encrypted tables can't be written yet; choose another table"));
    }
    match property(TableProperties::PROPERTY_DEFAULT_FILE_FORMAT) {
        None => {}
        Some(format) if format.eq_ignore_ascii_case("parquet") => {}
        Some(format) => {
            return Err(
                Error::data(format!("table {ident} asks for files of format {format}"))
                    .advice("calve writes Parquet: set write.format.default to parquet"),
            );
        }
    }
    for field in metadata.default_partition_type().fields() {
        if *field.field_type == Type::Primitive(PrimitiveType::Uuid) {
            return Err(Error::data(format!(
                "table {ident} is partitioned by the UUIDs themselves ({})",
                field.name
            ))
            .advice("such partitions can't be written yet; use a bucket of the column instead"));
        }
    }
    splitter(table)?;
    if !metadata.default_sort_order().is_unsorted() {
        tracing::warn!(
            table = %ident,
            "the table's sort order is not applied: rows are written in the order of arrival"
        );
    }
    Ok(())
}

/// Compares declared columns with a table's: names and types must be the same, nullability is the
/// table's to say. Provenance columns may be missing in tables that calve did not create.
fn check_compatible(table: &Table, declared: &Schema, computed: bool) -> Result<()> {
    let existing = table.metadata().current_schema().as_struct();
    let declared = declared.as_struct();
    let mut differences = Vec::new();
    for column in declared.fields() {
        match existing.field_by_name(&column.name) {
            Some(found) if same_type(&column.field_type, &found.field_type) => {}
            Some(found) => differences.push(format!(
                "{} is {} {}, the table has {}",
                column.name,
                if computed { "to be" } else { "declared as" },
                type_name(&column.field_type),
                type_name(&found.field_type)
            )),
            None if PROVENANCE_COLUMNS.contains(&column.name.as_str()) => {}
            None => differences.push(format!("{} is not in the table", column.name)),
        }
    }
    for column in existing.fields() {
        if column.required && declared.field_by_name(&column.name).is_none() {
            let missing = if computed { "not made" } else { "not declared" };
            differences.push(format!("{} is required and {missing}", column.name));
        }
    }
    if differences.is_empty() {
        return Ok(());
    }
    Err(Error::data(format!(
        "table {} does not have the {} columns: {}",
        table.identifier(),
        if computed { "dataflow's" } else { "declared" },
        differences.join("; ")
    ))
    .advice(match computed {
        true => {
            "nothing was written; name a table that is not there yet (table.name), or one that this dataflow has \
             made with the same settings"
        }
        false => {
            "nothing was written; correct table.columns, or leave it out to take the table's own"
        }
    }))
}

/// Two definitions may have the same columns, and their rows must not be mixed.
fn check_definition(table: &Table, definition: &str) -> Result<()> {
    let ident = table.identifier();
    match table.metadata().properties().get(DEFINITION) {
        Some(found) if found == definition => Ok(()),
        Some(found) => Err(Error::data(format!(
            "table {ident} holds {found:?}, and this run would make {definition:?}"
        ))
        .advice("nothing was written; go back to those settings, or name a new table (table.name)")),
        None => Err(Error::data(format!(
            "table {ident} does not say that it is for {definition:?}"
        ))
        .advice(format!(
            "nothing was written; name a table that is not there yet (table.name), or if this one was made for it: \
             ALTER TABLE {ident} SET TBLPROPERTIES ('{DEFINITION}' = '{definition}')"
        ))),
    }
}

fn same_type(one: &Type, two: &Type) -> bool {
    match (one, two) {
        (Type::Primitive(one), Type::Primitive(two)) => one == two,
        (Type::Struct(one), Type::Struct(two)) => same_fields(one, two),
        (Type::List(one), Type::List(two)) => {
            same_type(&one.element_field.field_type, &two.element_field.field_type)
        }
        (Type::Map(one), Type::Map(two)) => {
            same_type(&one.key_field.field_type, &two.key_field.field_type)
                && same_type(&one.value_field.field_type, &two.value_field.field_type)
        }
        _ => false,
    }
}

fn same_fields(one: &StructType, two: &StructType) -> bool {
    one.fields().len() == two.fields().len()
        && one.fields().iter().all(|field| {
            two.field_by_name(&field.name)
                .is_some_and(|found| same_type(&field.field_type, &found.field_type))
        })
}

/// A type as it is declared: `list<struct<a: int, b: string>>`.
pub fn type_name(of: &Type) -> String {
    let nested = |field: &NestedField| type_name(&field.field_type);
    match of {
        Type::Primitive(primitive) => primitive.to_string(),
        Type::List(list) => format!("list<{}>", nested(&list.element_field)),
        Type::Map(map) => format!(
            "map<{}, {}>",
            nested(&map.key_field),
            nested(&map.value_field)
        ),
        Type::Struct(fields) => {
            let fields: Vec<_> = fields
                .fields()
                .iter()
                .map(|field| format!("{}: {}", field.name, nested(field)))
                .collect();
            format!("struct<{}>", fields.join(", "))
        }
    }
}
