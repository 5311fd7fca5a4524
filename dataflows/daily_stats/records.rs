//! From records to differences: `statistics`.
//!
//! What arrives is first added up where it arrives, so that a group with a thousand records in an epoch is sorted
//! and exchanged once and not a thousand times.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampNanosecondType,
};
use arrow::row::RowConverter;
use calve::prelude::*;
use calve::process::Process;
use calve::rows::Rows;
use differential_dataflow::{AsCollection, VecCollection};
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::Operator;

use super::columns::{Columns, Value, internal};
use super::exact::Sum;
use super::statistic::{Key, Period, Statistic, rank};

/// So many groups and days are added up before they are passed on; the end of an epoch passes on all.
const COMBINED_MAX: usize = 1 << 16;

/// Adds records up.
pub trait Statistics<'scope> {
    /// The differences that the records make, at their epochs. Their memory is given back at once.
    fn statistics(
        self,
        records: Records,
        process: Arc<Process>,
    ) -> VecCollection<'scope, Epoch, Key, Statistic>;
}

/// What was added up of one epoch.
struct Combined {
    capability: Capability<Epoch>,
    by_day: ByDay,
}

/// Groups and days, as [`Records`] writes them.
type ByDay = HashMap<Box<[u8]>, Statistic>;

impl<'scope> Statistics<'scope> for Stream<'scope, Epoch, Vec<Rows>> {
    fn statistics(
        self,
        mut records: Records,
        process: Arc<Process>,
    ) -> VecCollection<'scope, Epoch, Key, Statistic> {
        self.unary_frontier(Pipeline, "Statistics", move |_capability, _info| {
            let mut pending: BTreeMap<Epoch, Combined> = BTreeMap::new();
            move |(input, frontier), output| {
                // A failed process closes no epoch: what is pending keeps its capabilities.
                if process.has_failed() {
                    return;
                }
                // 1. Read all input, adding it up.
                input.for_each_stamp(|capability, data| {
                    let Some(&epoch) = capability.least() else {
                        return;
                    };
                    let combined = pending.entry(epoch).or_insert_with(|| Combined {
                        capability: capability.delayed(&epoch, output.output_index()),
                        by_day: ByDay::new(),
                    });
                    for rows in data.flat_map(|batches| batches.drain(..)) {
                        if let Err(error) = records.add(&rows.batch, &mut combined.by_day) {
                            return process.fail(error);
                        }
                        if combined.by_day.len() >= COMBINED_MAX {
                            let mut session = output.session(&combined.capability);
                            let differences = records.differences(combined.by_day.drain(), epoch);
                            session.give_iterator(differences);
                        }
                        // `rows.charges` ends here: its bytes are free again.
                    }
                });
                if process.has_failed() {
                    return;
                }
                // 2. The end of an epoch passes on what is left of it.
                let ended = pending.extract_if(.., |epoch, _| !frontier.less_equal(epoch));
                for (epoch, combined) in ended {
                    let mut session = output.session(&combined.capability);
                    session.give_iterator(records.differences(combined.by_day.into_iter(), epoch));
                }
            }
        })
        .as_collection()
    }
}

/// Reads the columns that count from batches of records.
pub struct Records {
    group: Vec<usize>,
    value: usize,
    of_value: Value,
    time: usize,
    periods: Vec<Period>,
    converter: RowConverter,
    /// Reused: the bytes of a group, then those of a day.
    bytes: Vec<u8>,
}

/// Bytes of a day behind those of a group.
const DAY_BYTES: usize = 5;

impl Records {
    /// For batches of this schema.
    pub fn new(columns: &Columns, schema: &arrow::datatypes::Schema) -> Result<Self> {
        let index = |name: &str| schema.index_of(name).map_err(internal);
        Ok(Self {
            group: columns.group().map(index).collect::<Result<_>>()?,
            value: index(&columns.value_name)?,
            of_value: columns.value,
            time: index(&columns.time_name)?,
            periods: columns.periods.clone(),
            converter: columns.converter()?,
            bytes: Vec::new(),
        })
    }

    fn add(&mut self, batch: &RecordBatch, by_day: &mut ByDay) -> Result<()> {
        let group = self.group.iter().map(|index| batch.column(*index).clone());
        let group: Vec<ArrayRef> = group.collect();
        let rows = self.converter.convert_columns(&group).map_err(internal)?;
        let values = Values::new(self.of_value, batch.column(self.value));
        let days = Days::new(batch.column(self.time))?;
        for row in 0..batch.num_rows() {
            self.bytes.clear();
            self.bytes.extend_from_slice(rows.row(row).as_ref());
            let day = days.get(row);
            self.bytes.push(day.is_some().into());
            self.bytes.extend(day.unwrap_or(0).to_be_bytes());
            // Looked up before it is inserted, because most are there and need no memory of their own.
            match by_day.get_mut(self.bytes.as_slice()) {
                Some(statistic) => statistic.add(values.get(row)),
                None => {
                    let mut statistic = Statistic::default();
                    statistic.add(values.get(row));
                    by_day.insert(self.bytes.as_slice().into(), statistic);
                }
            }
        }
        Ok(())
    }

    /// What was added up, by key: each day counts in every period that it lies in.
    fn differences(
        &self,
        by_day: impl Iterator<Item = (Box<[u8]>, Statistic)>,
        epoch: Epoch,
    ) -> impl Iterator<Item = (Key, Epoch, Statistic)> {
        by_day.flat_map(move |(bytes, statistic)| {
            let (group, day) = bytes.split_at(bytes.len() - DAY_BYTES);
            let day = match day {
                &[1, a, b, c, d] => Some(i32::from_be_bytes([a, b, c, d])),
                _ => None,
            };
            let keys = Key::all(&self.periods, group, day);
            let keys: Vec<_> = keys.map(|key| (key, epoch, statistic.clone())).collect();
            keys
        })
    }
}

/// The values of one batch.
enum Values<'a> {
    Int(&'a arrow::array::Int32Array),
    Long(&'a arrow::array::Int64Array),
    Float(&'a arrow::array::Float32Array),
    Double(&'a arrow::array::Float64Array),
    Decimal(&'a arrow::array::Decimal128Array),
}

impl<'a> Values<'a> {
    fn new(of: Value, array: &'a ArrayRef) -> Self {
        match of {
            Value::Int => Self::Int(array.as_primitive::<Int32Type>()),
            Value::Long => Self::Long(array.as_primitive::<Int64Type>()),
            Value::Float => Self::Float(array.as_primitive::<Float32Type>()),
            Value::Double => Self::Double(array.as_primitive::<Float64Type>()),
            Value::Decimal { .. } => Self::Decimal(array.as_primitive::<Decimal128Type>()),
        }
    }

    /// Rank and value; `None` is a null.
    fn get(&self, row: usize) -> Option<(i64, Sum)> {
        let whole = |value: i64| (value, Sum::from(value));
        let binary = |value: f64| (rank(value), Sum::from(value));
        match self {
            Self::Int(array) => (!array.is_null(row)).then(|| whole(array.value(row).into())),
            Self::Long(array) => (!array.is_null(row)).then(|| whole(array.value(row))),
            Self::Float(array) => (!array.is_null(row)).then(|| binary(array.value(row).into())),
            Self::Double(array) => (!array.is_null(row)).then(|| binary(array.value(row))),
            // At most 18 digits.
            Self::Decimal(array) => (!array.is_null(row)).then(|| whole(array.value(row) as i64)),
        }
    }
}

/// The days of one batch, in UTC.
struct Days<'a> {
    array: &'a ArrayRef,
    of: Time<'a>,
}

enum Time<'a> {
    Days(&'a [i32]),
    /// And how many of them a day has.
    Ticks(&'a [i64], i64),
}

impl<'a> Days<'a> {
    fn new(array: &'a ArrayRef) -> Result<Self> {
        const MICROS: i64 = 86_400_000_000;
        let of = match array.data_type() {
            DataType::Date32 => Time::Days(array.as_primitive::<Date32Type>().values()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                let ticks = array.as_primitive::<TimestampMicrosecondType>();
                Time::Ticks(ticks.values(), MICROS)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                let ticks = array.as_primitive::<TimestampNanosecondType>();
                Time::Ticks(ticks.values(), 1000 * MICROS)
            }
            other => return Err(Error::internal(format!("{other} is no time"))),
        };
        Ok(Self { array, of })
    }

    fn get(&self, row: usize) -> Option<i32> {
        if self.array.is_null(row) {
            return None;
        }
        Some(match self.of {
            Time::Days(days) => days[row],
            // 2^63 microseconds are 107 million days.
            Time::Ticks(ticks, per_day) => ticks[row].div_euclid(per_day) as i32,
        })
    }
}
