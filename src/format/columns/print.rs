//! A schema as a declaration.

use std::fmt;

use iceberg::spec::{NestedField, PrimitiveType, Schema, Type};

use super::lexer::is_word;

/// Prints a schema as the declaration that [`parse`](super::parse) reads.
///
/// Field ids are not part of it.
pub struct Declaration<'a>(pub &'a Schema);

impl fmt::Display for Declaration<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, field) in self.0.as_struct().fields().iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            write_field(f, field, " ")?;
        }
        Ok(())
    }
}

fn write_field(f: &mut fmt::Formatter<'_>, field: &NestedField, separator: &str) -> fmt::Result {
    write!(f, "{}{separator}", Name(&field.name))?;
    write_value(f, field)?;
    if let Some(doc) = &field.doc {
        write!(f, " comment '{}'", doc.replace('\'', "''"))?;
    }
    Ok(())
}

fn write_value(f: &mut fmt::Formatter<'_>, field: &NestedField) -> fmt::Result {
    write_type(f, &field.field_type)?;
    if field.required {
        f.write_str(" not null")?;
    }
    Ok(())
}

fn write_type(f: &mut fmt::Formatter<'_>, of: &Type) -> fmt::Result {
    match of {
        Type::Primitive(PrimitiveType::Decimal { precision, scale }) => {
            write!(f, "decimal({precision}, {scale})")
        }
        Type::Primitive(PrimitiveType::Fixed(length)) => write!(f, "fixed({length})"),
        Type::Primitive(primitive) => write!(f, "{primitive}"),
        Type::List(list) => {
            f.write_str("list<")?;
            write_value(f, &list.element_field)?;
            f.write_str(">")
        }
        Type::Map(map) => {
            f.write_str("map<")?;
            write_type(f, &map.key_field.field_type)?;
            f.write_str(", ")?;
            write_value(f, &map.value_field)?;
            f.write_str(">")
        }
        Type::Struct(fields) => {
            f.write_str("struct<")?;
            for (index, field) in fields.fields().iter().enumerate() {
                if index > 0 {
                    f.write_str(", ")?;
                }
                write_field(f, field, ": ")?;
            }
            f.write_str(">")
        }
    }
}

/// A column's name, in double quotes if it needs them.
pub(in crate::format) struct Name<'a>(pub(in crate::format) &'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.is_empty() && self.0.chars().all(is_word) {
            return f.write_str(self.0);
        }
        write!(f, "\"{}\"", self.0.replace('"', "\"\""))
    }
}
