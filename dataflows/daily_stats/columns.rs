//! Which columns the statistics are made from, and which they are kept in.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use arrow::row::{RowConverter, SortField};
use calve::config::Settings;
use calve::prelude::*;
use calve::runtime::input_columns;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::{NestedField, NestedFieldRef, PrimitiveType, Schema, Type};

use super::statistic::Period;

/// The columns behind those of the group.
pub const PERIOD: &str = "period";
pub const START: &str = "start_date";
pub const COUNT: &str = "count";
pub const NULLS: &str = "nulls";
pub const SUM: &str = "sum";
pub const MIN: &str = "min";
pub const MAX: &str = "max";
pub const MEAN: &str = "mean";
pub const EXACT_SUM: &str = "exact_sum";
pub const DIFF: &str = "_diff";
pub const EPOCH: &str = "_epoch";

/// The type of the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    Int,
    Long,
    Float,
    Double,
    /// Of 18 digits at most: such a number is an `i64`, and sums of 2^63 of them have 38 digits at most.
    Decimal {
        precision: u32,
        scale: u32,
    },
}

impl Value {
    const DIGITS_MAX: u32 = 18;

    fn of(of: &Type) -> Option<Self> {
        match of.as_primitive_type()? {
            PrimitiveType::Int => Some(Self::Int),
            PrimitiveType::Long => Some(Self::Long),
            PrimitiveType::Float => Some(Self::Float),
            PrimitiveType::Double => Some(Self::Double),
            &PrimitiveType::Decimal { precision, scale } if precision <= Self::DIGITS_MAX => {
                Some(Self::Decimal { precision, scale })
            }
            _ => None,
        }
    }

    /// The type of the least and the greatest.
    fn primitive(self) -> PrimitiveType {
        match self {
            Self::Int => PrimitiveType::Int,
            Self::Long => PrimitiveType::Long,
            Self::Float => PrimitiveType::Float,
            Self::Double => PrimitiveType::Double,
            Self::Decimal { precision, scale } => PrimitiveType::Decimal { precision, scale },
        }
    }

    /// The digits behind the point; `None` for binary fractions, whose sum a decimal can't hold.
    pub fn scale(self) -> Option<u32> {
        match self {
            Self::Int | Self::Long => Some(0),
            Self::Decimal { scale, .. } => Some(scale),
            Self::Float | Self::Double => None,
        }
    }

    fn sum(self) -> PrimitiveType {
        const PRECISION: u32 = 38;
        match self.scale() {
            Some(scale) => PrimitiveType::Decimal {
                precision: PRECISION,
                scale,
            },
            None => PrimitiveType::Double,
        }
    }
}

/// The columns of the records that count, and what becomes of them.
#[derive(Clone, Debug)]
pub struct Columns {
    group: Vec<NestedFieldRef>,
    /// Their types in Arrow.
    group_types: Vec<DataType>,
    pub value_name: String,
    pub value: Value,
    pub time_name: String,
    /// Days, and the longer periods that are kept.
    pub periods: Vec<Period>,
}

impl Columns {
    /// What the settings name, found among the declared columns of the records.
    pub fn new(settings: &Settings) -> Result<Self> {
        let input = input_columns(settings)?;
        let stats = &settings.stats;
        let find = |key: &str, name: &str| {
            input.field_by_name(name).cloned().ok_or_else(|| {
                let error = Error::config(format!("the records have no column {name:?}"));
                let error = error.advice("declare it in input.columns, or name another one");
                settings.blame(key, error)
            })
        };
        let unfit = |key: &str, field: &NestedField, wanted: &str| {
            let of = &field.field_type;
            let error = Error::config(format!("column {} is of type {of}", field.name));
            settings.blame(key, error.advice(format!("name {wanted}")))
        };
        let mut group = Vec::new();
        for name in &stats.key {
            let field = find("stats.key", name)?;
            match field.field_type.as_primitive_type() {
                // Equal numbers with different bits would make groups of their own.
                None | Some(PrimitiveType::Float | PrimitiveType::Double) => {
                    let wanted = "columns of another primitive type than float and double";
                    return Err(unfit("stats.key", &field, wanted));
                }
                Some(_) => group.push(field),
            }
        }
        let value = find("stats.value", &stats.value)?;
        let Some(of_value) = Value::of(&value.field_type) else {
            let wanted = "an int, long, float, double, or a decimal of at most 18 digits";
            return Err(unfit("stats.value", &value, wanted));
        };
        let time = find("stats.time", &stats.time)?;
        match time.field_type.as_primitive_type() {
            Some(
                PrimitiveType::Date
                | PrimitiveType::Timestamp
                | PrimitiveType::Timestamptz
                | PrimitiveType::TimestampNs
                | PrimitiveType::TimestamptzNs,
            ) => {}
            _ => return Err(unfit("stats.time", &time, "a timestamp or a date")),
        }
        let arrow = schema_to_arrow_schema(&input).map_err(|error| {
            Error::config("the declared columns have no Arrow types").caused_by(error.to_string())
        })?;
        let group_types = stats.key.iter().map(|name| {
            let field: Result<&Field, _> = arrow.field_with_name(name);
            field.map(|field| field.data_type().clone())
        });
        let mut periods = vec![Period::Day];
        periods.extend(stats.roll_ups.iter().copied().map(Period::from));
        Ok(Self {
            group_types: group_types.collect::<Result<_, _>>().map_err(internal)?,
            group,
            value_name: value.name.clone(),
            value: of_value,
            time_name: time.name.clone(),
            periods,
        })
    }

    /// The table.
    pub fn table(settings: &Settings) -> Result<OwnTable> {
        let columns = Self::new(settings)?;
        let group: Vec<&str> = columns.group().collect();
        Ok(OwnTable {
            columns: columns.schema()?,
            definition: format!(
                "daily_stats of {} by {} and day of {}",
                columns.value_name,
                group.join(", "),
                columns.time_name
            ),
        })
    }

    fn schema(&self) -> Result<Schema> {
        use PrimitiveType::{Binary, Date, Double, Int, Long};
        let (value, time) = (&self.value_name, &self.time_name);
        let mut fields: Vec<NestedField> = self.group.iter().map(|f| (**f).clone()).collect();
        let mut add = |name: &str, of: PrimitiveType, required: bool, doc: String| {
            let field = NestedField::new(0, name, Type::Primitive(of), required);
            fields.push(field.with_doc(doc));
        };
        add(
            PERIOD,
            PrimitiveType::String,
            true,
            "day, week or month, in UTC".into(),
        );
        add(
            START,
            Date,
            false,
            format!("first day of the period; null if {time} is null"),
        );
        add(
            COUNT,
            Long,
            true,
            format!("values of {value} that are not null"),
        );
        add(NULLS, Long, true, format!("records whose {value} is null"));
        add(SUM, self.value.sum(), false, format!("sum of {value}"));
        add(MIN, self.value.primitive(), false, format!("least {value}"));
        add(
            MAX,
            self.value.primitive(),
            false,
            format!("greatest {value}"),
        );
        add(MEAN, Double, false, "sum / count".into());
        if self.has_exact_sum() {
            add(
                EXACT_SUM,
                Binary,
                false,
                "the sum without rounding: exponent, mantissa".into(),
            );
        }
        add(
            DIFF,
            Int,
            true,
            "1: the row came to be; -1: it is no longer so".into(),
        );
        add(
            EPOCH,
            Long,
            true,
            "the checkpoint that this change belongs to".into(),
        );
        let numbered = (1..).zip(fields).map(|(id, mut field)| {
            field.id = id;
            Arc::new(field)
        });
        let schema = Schema::builder().with_fields(numbered).build();
        schema.map_err(|error| {
            Error::config("the columns of stats.key don't fit beside those of the statistics")
                .caused_by(error.to_string())
                .advice("rename them in the records, or leave them out of stats.key")
        })
    }

    /// Whether the exact sum has a column beside the rounded one.
    pub fn has_exact_sum(&self) -> bool {
        self.value.scale().is_none()
    }

    /// The names of the group's columns.
    pub fn group(&self) -> impl ExactSizeIterator<Item = &str> {
        self.group.iter().map(|field| field.name.as_str())
    }

    /// The types of the group's columns.
    pub fn group_types(&self) -> &[DataType] {
        &self.group_types
    }

    /// Between the group's columns and the bytes of a key.
    pub fn converter(&self) -> Result<RowConverter> {
        let fields = self.group_types.iter().cloned().map(SortField::new);
        RowConverter::new(fields.collect()).map_err(internal)
    }
}

/// What can't be, since all types were checked.
pub fn internal(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::internal("the statistics can't be computed").caused_by(error)
}
