//! The columns that say which Kafka record a row came from.
//!
//! With them anyone can prove in SQL that each record is there exactly once. They are filled from
//! the message, never from its payload, and stand wherever the table's schema has them. An index
//! within the message joins them once one message can give several rows: a variant here, its name
//! and type below, its value where the decoder fills the others.

use iceberg::spec::{NestedField, PrimitiveType, Type};

/// One provenance column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// `_topic string`: the topic's name.
    Topic,
    /// `_partition int`: the partition's number.
    Partition,
    /// `_offset long`: the record's own offset.
    Offset,
    /// `_timestamp timestamptz`: Kafka's timestamp of the record; null if it has none.
    Timestamp,
}

impl Provenance {
    /// All of them, in the order in which they are appended to a table's columns.
    pub const ALL: [Self; 4] = [Self::Topic, Self::Partition, Self::Offset, Self::Timestamp];

    /// The column's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Topic => "_topic",
            Self::Partition => "_partition",
            Self::Offset => "_offset",
            Self::Timestamp => "_timestamp",
        }
    }

    /// The column's type.
    pub fn primitive(self) -> PrimitiveType {
        match self {
            Self::Topic => PrimitiveType::String,
            Self::Partition => PrimitiveType::Int,
            Self::Offset => PrimitiveType::Long,
            Self::Timestamp => PrimitiveType::Timestamptz,
        }
    }

    /// The provenance column that `field` is: its name *and* its type must be right.
    ///
    /// A column `_offset string` is an ordinary one, filled from the payload.
    pub fn of(field: &NestedField) -> Option<Self> {
        Self::ALL.into_iter().find(|column| {
            field.name == column.name() && *field.field_type == Type::Primitive(column.primitive())
        })
    }
}
