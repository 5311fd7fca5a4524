//! Statistics as rows of the table, and back.
//!
//! A row says that a statistic came to be in an epoch (`_diff` 1) or ceased to hold (-1). What is true now is what
//! is left when they are added up. The rows hold all that is needed to go on: rounded is only `mean`, and `sum`
//! where `exact_sum` stands beside it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Date32Array, Decimal128Array, Float32Array,
    Float64Array, Int32Array, Int64Array, LargeBinaryArray, RecordBatch, StringArray,
    new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, SchemaRef,
};
use arrow::row::RowConverter;
use calve::prelude::*;
use calve::process::Process;
use calve::rows::Rows;
use differential_dataflow::{AsCollection, VecCollection};
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

use super::columns::{
    COUNT, Columns, DIFF, EPOCH, EXACT_SUM, MAX, MEAN, MIN, NULLS, PERIOD, START, SUM, Value,
    internal,
};
use super::exact::Sum;
use super::statistic::{Key, Period, Statistic, of_rank, rank};

/// Rows in one batch for the writer.
const BATCH_ROWS: usize = 8_192;

/// A group's statistic in one period.
pub type Current = (Key, Statistic);

/// Between statistics and rows.
pub struct Changelog {
    columns: Columns,
    converter: RowConverter,
    /// The table's.
    schema: SchemaRef,
}

impl Changelog {
    /// For a table of this schema.
    pub fn new(columns: &Columns, schema: SchemaRef) -> Result<Self> {
        Ok(Self {
            converter: columns.converter()?,
            columns: columns.clone(),
            schema,
        })
    }

    /// The rows of some changes of one epoch. Columns that the table has beside ours are null.
    fn encode(&self, epoch: Epoch, changes: &[(Current, isize)]) -> Result<RecordBatch> {
        let statistics = || changes.iter().map(|((_, statistic), _)| statistic);
        let keys = || changes.iter().map(|((key, _), _)| key);
        let parser = self.converter.parser();
        let groups = keys().map(|key| parser.parse(&key.group));
        let groups = self.converter.convert_rows(groups).map_err(internal)?;
        let mut arrays: BTreeMap<&str, ArrayRef> = self.columns.group().zip(groups).collect();
        let mut put = |name, array| arrays.insert(name, array);

        let periods = keys().map(|key| key.period.name());
        put(PERIOD, Arc::new(StringArray::from_iter_values(periods)));
        put(
            START,
            Arc::new(keys().map(|key| key.start).collect::<Date32Array>()),
        );
        let longs = |values: &mut dyn Iterator<Item = u64>| {
            Arc::new(Int64Array::from_iter_values(values.map(|n| n as i64))) as ArrayRef
        };
        put(COUNT, longs(&mut statistics().map(|s| s.count)));
        put(NULLS, longs(&mut statistics().map(|s| s.nulls)));
        put(
            MIN,
            self.extremes(statistics().map(|s| (s.count > 0).then_some(s.min)))?,
        );
        put(
            MAX,
            self.extremes(statistics().map(|s| (s.count > 0).then_some(s.max)))?,
        );
        let (sums, rounded) = self.sums_of(statistics())?;
        put(SUM, sums);
        if self.columns.has_exact_sum() {
            let exact = statistics().map(|s| s.sum.to_bytes().filter(|_| s.count > 0));
            put(EXACT_SUM, Arc::new(exact.collect::<LargeBinaryArray>()));
        }
        let means = rounded.into_iter().zip(statistics());
        let means = means.map(|(sum, s)| sum.map(|sum| sum / s.count as f64));
        put(MEAN, Arc::new(means.collect::<Float64Array>()));
        let diffs = changes.iter().map(|(_, diff)| *diff as i32);
        put(DIFF, Arc::new(Int32Array::from_iter_values(diffs)));
        let epochs = Int64Array::from(vec![epoch.0 as i64; changes.len()]);
        put(EPOCH, Arc::new(epochs));

        let fields = self.schema.fields().iter();
        let columns = fields.map(|field| match arrays.remove(field.name().as_str()) {
            Some(array) if array.data_type() == field.data_type() => Ok(array),
            Some(array) => cast(&array, field.data_type()),
            None => Ok(new_null_array(field.data_type(), changes.len())),
        });
        let columns = columns.collect::<Result<_, _>>().map_err(internal)?;
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|error| Error::data("the table can't take the statistics").caused_by(error))
    }

    /// The sums as the table has them, and as doubles; none without a value.
    fn sums_of<'s>(
        &self,
        statistics: impl Iterator<Item = &'s Statistic>,
    ) -> Result<(ArrayRef, Vec<Option<f64>>)> {
        let sums = statistics.map(|s| (s.count > 0).then_some(&s.sum));
        let Some(scale) = self.columns.value.scale() else {
            let sums: Vec<_> = sums.map(|sum| sum.map(Sum::to_f64)).collect();
            return Ok((Arc::new(Float64Array::from(sums.clone())), sums));
        };
        let too_long = || Error::data("a sum has more than 38 digits");
        let whole = |sum: &Sum| sum.to_i128().ok_or_else(too_long);
        let sums = sums.map(|sum| sum.map(whole).transpose());
        let sums = sums.collect::<Result<Vec<_>>>()?;
        let unit = 10f64.powi(scale as i32);
        let rounded = sums.iter().map(|sum| sum.map(|sum| sum as f64 / unit));
        let rounded = rounded.collect();
        let sums = Decimal128Array::from(sums).with_precision_and_scale(38, scale as i8);
        Ok((Arc::new(sums.map_err(internal)?), rounded))
    }

    /// Ranks as values.
    fn extremes(&self, ranks: impl Iterator<Item = Option<i64>>) -> Result<ArrayRef> {
        Ok(match self.columns.value {
            Value::Int => Arc::new(ranks.map(|r| r.map(|r| r as i32)).collect::<Int32Array>()),
            Value::Long => Arc::new(ranks.collect::<Int64Array>()),
            Value::Float => {
                let values = ranks.map(|r| r.map(|r| of_rank(r) as f32));
                Arc::new(values.collect::<Float32Array>())
            }
            Value::Double => Arc::new(ranks.map(|r| r.map(of_rank)).collect::<Float64Array>()),
            Value::Decimal { precision, scale } => {
                let values = ranks
                    .map(|r| r.map(i128::from))
                    .collect::<Decimal128Array>();
                let values = values.with_precision_and_scale(precision as u8, scale as i8);
                Arc::new(values.map_err(internal)?)
            }
        })
    }

    /// The columns that [`Changelog::decode`] reads.
    pub fn stored(&self) -> Vec<&str> {
        let own = [PERIOD, START, COUNT, NULLS, MIN, MAX, SUM, DIFF];
        let exact = self.columns.has_exact_sum().then_some(EXACT_SUM);
        self.columns.group().chain(own).chain(exact).collect()
    }

    /// The changes that some rows of the table say, in the columns of [`Changelog::stored`].
    fn decode(&self, rows: &RecordBatch) -> Result<Vec<(Current, isize)>> {
        // The library may hand columns out in other forms, as it does with constants.
        let column = |index: usize, to: &DataType| cast(rows.column(index), to).map_err(internal);
        let types = self.columns.group_types();
        let groups = (0..types.len()).map(|index| column(index, &types[index]));
        let groups = groups.collect::<Result<Vec<_>>>()?;
        let groups = self.converter.convert_columns(&groups).map_err(internal)?;
        let own = |index: usize, to: &DataType| column(types.len() + index, to);
        let periods = own(0, &DataType::Utf8)?;
        let periods = periods.as_string::<i32>();
        let starts = own(1, &DataType::Date32)?;
        let starts = starts.as_primitive::<Date32Type>();
        let counts = own(2, &DataType::Int64)?;
        let counts = counts.as_primitive::<Int64Type>();
        let nulls = own(3, &DataType::Int64)?;
        let nulls = nulls.as_primitive::<Int64Type>();
        let minima = self.ranks(rows.column(types.len() + 4))?;
        let maxima = self.ranks(rows.column(types.len() + 5))?;
        let sums = self.sums(rows, types.len())?;
        let diffs = own(7, &DataType::Int32)?;
        let diffs = diffs.as_primitive::<Int32Type>();

        let change = |row: usize| {
            let period = Period::ALL.into_iter();
            let mut period = period.filter(|period| period.name() == periods.value(row));
            let count = u64::try_from(counts.value(row)).ok()?;
            let statistic = match count {
                0 => Statistic::default(),
                count => Statistic {
                    count,
                    nulls: 0,
                    sum: sums[row].clone()?,
                    min: minima[row]?,
                    max: maxima[row]?,
                },
            };
            let key = Key {
                period: period.next()?,
                start: (!starts.is_null(row)).then(|| starts.value(row)),
                group: groups.row(row).as_ref().into(),
            };
            let nulls = u64::try_from(nulls.value(row)).ok()?;
            let diff = isize::try_from(diffs.value(row)).ok()?;
            Some(((key, Statistic { nulls, ..statistic }), diff))
        };
        let changes: Option<Vec<_>> = (0..rows.num_rows()).map(change).collect();
        changes.ok_or_else(|| {
            foreign(
                "a row of the table was not written by this dataflow: its values are impossible",
            )
        })
    }

    /// Values as ranks.
    fn ranks(&self, column: &ArrayRef) -> Result<Vec<Option<i64>>> {
        let cast = |to: &DataType| cast(column, to).map_err(internal);
        Ok(match self.columns.value {
            Value::Int | Value::Long => {
                let values = cast(&DataType::Int64)?;
                values.as_primitive::<Int64Type>().iter().collect()
            }
            Value::Float | Value::Double => {
                let values = cast(&DataType::Float64)?;
                let values = values.as_primitive::<Float64Type>().iter();
                values.map(|value| value.map(rank)).collect()
            }
            Value::Decimal { precision, scale } => {
                let values = cast(&DataType::Decimal128(precision as u8, scale as i8))?;
                let values = values.as_primitive::<Decimal128Type>().iter();
                values
                    .map(|value| value.map(|value| value as i64))
                    .collect()
            }
        })
    }

    /// The exact sums; `None` where there is none, or none that makes sense.
    fn sums(&self, rows: &RecordBatch, own: usize) -> Result<Vec<Option<Sum>>> {
        let sums = rows.column(own + 6);
        match self.columns.value.scale() {
            Some(scale) => {
                let sums = cast(sums, &DataType::Decimal128(38, scale as i8)).map_err(internal)?;
                let sums = sums.as_primitive::<Decimal128Type>().iter();
                Ok(sums.map(|sum| Sum::from_i128(sum?)).collect())
            }
            None => {
                let sums = cast(sums, &DataType::Float64).map_err(internal)?;
                let exact = cast(rows.column(own + 8), &DataType::Binary).map_err(internal)?;
                let exact: &BinaryArray = exact.as_binary::<i32>();
                let sums = sums.as_primitive::<Float64Type>().iter();
                let sums = sums.zip(exact).map(|(sum, exact)| match exact {
                    Some(bytes) => Sum::from_bytes(bytes),
                    None => sum.filter(|sum| !sum.is_finite()).map(Sum::from),
                });
                Ok(sums.collect())
            }
        }
    }
}

fn foreign(what: impl Into<String>) -> Error {
    Error::diverged(what).advice(
        "another program has added, changed or removed rows. No row was written by this start. Roll the table back \
         to the snapshot before that (on-rollback says what becomes of later records), or name a new table and a \
         new pipeline to compute everything again",
    )
}

/// Reads changes from what the table held.
pub trait Changes<'scope> {
    /// What the table says to have changed, all at the epoch of its rows.
    fn changes(
        self,
        changelog: Changelog,
        process: Arc<Process>,
    ) -> VecCollection<'scope, Epoch, Current>;
}

impl<'scope> Changes<'scope> for Stream<'scope, Epoch, Vec<RecordBatch>> {
    fn changes(
        self,
        changelog: Changelog,
        process: Arc<Process>,
    ) -> VecCollection<'scope, Epoch, Current> {
        self.unary(Pipeline, "Changes", move |_capability, _info| {
            // The epoch of what could not be read: kept for ever, so that it is not committed.
            let mut held = Vec::new();
            move |input, output| {
                input.for_each_stamp(|capability, data| {
                    let Some(&epoch) = capability.least() else {
                        return;
                    };
                    let mut session = output.session(&capability);
                    for rows in data.flat_map(|batches| batches.drain(..)) {
                        match changelog.decode(&rows) {
                            Ok(changes) => session.give_iterator(
                                changes
                                    .into_iter()
                                    .map(|(current, diff)| (current, epoch, diff)),
                            ),
                            Err(error) => {
                                drop(session);
                                held.push(capability.delayed(&epoch, output.output_index()));
                                return process.fail(error);
                            }
                        }
                    }
                });
            }
        })
        .as_collection()
    }
}

/// What is true now, from what has changed.
pub trait CurrentOnly<'scope> {
    /// Adds the changes up, and insists that one statistic is left of each key, once: everything else was not
    /// written by this dataflow.
    fn current_only(self, process: Arc<Process>) -> Self;
}

impl<'scope> CurrentOnly<'scope> for VecCollection<'scope, Epoch, Current> {
    fn current_only(self, process: Arc<Process>) -> Self {
        let arranged = self.arrange_by_key_named("Current");
        let current = arranged.as_collection(|key, statistic| (key.clone(), statistic.clone()));
        let checked = current.inner.unary(Pipeline, "CurrentOnly", move |_capability, _info| {
            let mut held = Vec::new();
            // An arrangement gives its keys in order.
            let mut last: Option<Key> = None;
            move |input, output| {
                input.for_each_stamp(|capability, data| {
                    let Some(&epoch) = capability.least() else {
                        return;
                    };
                    for changes in data {
                        for ((key, _), _, diff) in &*changes {
                            if *diff != 1 || last.as_ref() == Some(key) {
                                held.push(capability.delayed(&epoch, output.output_index()));
                                return process.fail(foreign(format!(
                                    "the changes in the table don't add up: of one {} there is not one current row",
                                    key.period.name()
                                )));
                            }
                            last = Some(key.clone());
                        }
                        output.session(&capability).give_container(changes);
                    }
                });
            }
        });
        checked.as_collection()
    }
}

/// Turns changes into rows.
pub trait ChangeRows<'scope> {
    /// The rows of the changes, at their epochs.
    fn change_rows(
        self,
        changelog: Changelog,
        process: Arc<Process>,
    ) -> Stream<'scope, Epoch, Vec<Rows>>;
}

impl<'scope> ChangeRows<'scope> for VecCollection<'scope, Epoch, Current> {
    fn change_rows(
        self,
        changelog: Changelog,
        process: Arc<Process>,
    ) -> Stream<'scope, Epoch, Vec<Rows>> {
        self.inner
            .unary(Pipeline, "ChangeRows", move |_capability, _info| {
                let mut held = Vec::new();
                move |input, output| {
                    input.for_each_stamp(|capability, data| {
                        let mut by_epoch: BTreeMap<Epoch, Vec<(Current, isize)>> = BTreeMap::new();
                        for (current, epoch, diff) in data.flat_map(|changes| changes.drain(..)) {
                            by_epoch.entry(epoch).or_default().push((current, diff));
                        }
                        for (epoch, changes) in by_epoch {
                            let capability = capability.delayed(&epoch, output.output_index());
                            for some in changes.chunks(BATCH_ROWS) {
                                match changelog.encode(epoch, some) {
                                    Ok(batch) => {
                                        output.session(&capability).give(Rows::from(batch))
                                    }
                                    Err(error) => {
                                        held.push(capability);
                                        return process.fail(error);
                                    }
                                }
                            }
                        }
                    });
                }
            })
    }
}
