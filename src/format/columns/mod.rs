//! Declared columns: a table's schema as one line of text.
//!
//! ```text
//! sample_id string not null, value double, start_time timestamptz, tags list<string not null>,
//! device struct<id: string not null, model: string>, attrs map<string, double>,
//! price decimal(12, 2) comment 'in euro', "odd name" fixed(16)
//! ```
//!
//! ```text
//! columns = column { "," column } [ "," ]
//! column  = name [ ":" ] type [ "not" "null" | "null" ] [ "comment" text ]
//! type    = primitive | "list" "<" value ">" | "map" "<" primitive "," value ">" | "struct" "<" columns ">"
//! value   = type [ "not" "null" | "null" ]
//! name    = letters, digits and "_", or anything in double quotes or backticks (doubled inside)
//! ```
//!
//! Words of the grammar may be written in either case; names are kept as they are. Types have
//! Iceberg's names; `bigint`, `integer`, `text`, `varchar`, `bool`, `bytes`, `numeric`, `real`,
//! `timestamp_ntz`, `timestamp_ltz` and `array` are understood too.
//!
//! Field ids are given out as in Iceberg's Java library: first the columns, then what is nested in
//! each. (A catalog may renumber them when it creates the table: the table's schema rules.)
//!
//! ```
//! use calve::format::columns::{self, Declaration};
//!
//! let schema = columns::parse("id BIGINT not null, tags array<text>")?;
//! assert_eq!(Declaration(&schema).to_string(), "id long not null, tags list<string>");
//! # Ok::<(), calve::Error>(())
//! ```

mod lexer;
mod parser;
mod print;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use iceberg::spec::{NestedField, NestedFieldRef, Schema, Type};

pub use print::Declaration;
pub(super) use print::Name;

use super::Provenance;
use crate::error::{Error, Result};

/// Reads a declaration of columns.
pub fn parse(text: &str) -> Result<Schema> {
    schema(parser::parse(text)?)
}

/// Adds the provenance columns that `schema` does not have yet, as optional columns at its end.
///
/// A column that has the name of one but another type is an error: rows could not say where they
/// came from.
pub fn with_provenance(schema: &Schema) -> Result<Schema> {
    let mut fields: Vec<NestedFieldRef> = schema.as_struct().fields().to_vec();
    let mut next_id = schema.highest_field_id() + 1;
    for column in Provenance::ALL {
        let name = column.name();
        match fields
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case(name))
        {
            Some(field) if Provenance::of(field) == Some(column) => {}
            Some(field) => {
                return Err(Error::config(format!(
                    "column {:?} has the name of the provenance column `{name} {}`, but is another one",
                    field.name,
                    column.primitive()
                ))
                .advice("rename it, declare it like the provenance column, or switch provenance columns off"));
            }
            None => {
                let field_type = Type::Primitive(column.primitive());
                fields.push(Arc::new(NestedField::optional(next_id, name, field_type)));
                next_id += 1;
            }
        }
    }
    self::schema(fields)
}

fn schema(fields: Vec<NestedFieldRef>) -> Result<Schema> {
    Schema::builder()
        .with_fields(fields)
        .build()
        .map_err(|error| {
            Error::config("the declared columns are not a valid Iceberg schema").caused_by(error)
        })
}
