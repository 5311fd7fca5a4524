use std::collections::{BTreeMap, HashMap};

use arrow::array::{
    ArrayRef, AsArray, BinaryArray, Date32Array, FixedSizeBinaryArray, Float64Array, Int64Array,
    StringArray, TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use iceberg::expr::Reference;
use iceberg::spec::{
    Datum, NestedField, PrimitiveType, Schema, Transform, Type, UnboundPartitionSpec,
};
use iceberg::transaction::{ApplyTransactionAction, Transaction};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;
use crate::iceberg::TableOptions;
use crate::iceberg::testing::{World, batch, files, scan, table_options, writer_options};

/// A column of each kind that partitioning treats differently.
fn schema() -> Schema {
    use PrimitiveType as P;
    let columns = [
        ("id", P::Long),
        ("city", P::String),
        ("at", P::Timestamptz),
        ("day", P::Date),
        ("value", P::Double),
        ("raw", P::Binary),
        ("key", P::Uuid),
    ];
    let fields = columns.into_iter().enumerate().map(|(index, (name, of))| {
        NestedField::optional(index as i32 + 1, name, Type::Primitive(of)).into()
    });
    Schema::builder().with_fields(fields).build().unwrap()
}

const HOUR_US: i64 = 3_600_000_000;

/// Rows `from..to`; every tenth has nothing but its id.
fn rich_batch(from: i64, to: i64) -> RecordBatch {
    let arrow = Arc::new(schema_to_arrow_schema(&schema()).unwrap());
    let given = |id: &i64| id % 10 != 0;
    fn some<T>(ids: std::ops::Range<i64>, make: impl Fn(i64) -> T) -> Vec<Option<T>> {
        ids.map(|id| (id % 10 != 0).then(|| make(id))).collect()
    }
    let ids = || from..to;
    let keys = ids().map(|id| given(&id).then(|| (id as u128 % 3).to_be_bytes()));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(ids())),
        Arc::new(StringArray::from(some(ids(), |id| {
            format!("../../{}/é", id % 3)
        }))),
        Arc::new(
            TimestampMicrosecondArray::from(some(ids(), |id| (id % 50 - 25) * HOUR_US))
                .with_timezone("+00:00"),
        ),
        Arc::new(Date32Array::from(some(ids(), |id| (id % 3) as i32 - 1))),
        Arc::new(Float64Array::from(some(ids(), |id| {
            if id % 7 == 0 { f64::NAN } else { id as f64 }
        }))),
        Arc::new(
            arrow::compute::cast(
                &(Arc::new(BinaryArray::from_iter(some(ids(), |id| vec![id as u8; 40])))
                    as ArrayRef),
                arrow.field(5).data_type(),
            )
            .unwrap(),
        ),
        Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(keys, 16).unwrap()),
    ];
    RecordBatch::try_new(arrow, columns).unwrap()
}

async fn rich_table(world: &World, spec: Option<UnboundPartitionSpec>) -> Table {
    let options = TableOptions {
        schema: Some(schema()),
        partition_spec: spec,
        ..table_options()
    };
    world.create(&options).await
}

async fn append(world: &World, staged: &[StagedFile]) -> Table {
    let table = world.table().await;
    let files = staged.iter().map(|file| file.decode(&table).unwrap());
    let transaction = Transaction::new(&table);
    let append = transaction.fast_append().add_data_files(files);
    let transaction = append.apply(transaction).unwrap();
    transaction.commit(world.catalog.as_ref()).await.unwrap()
}

fn spec(fields: &[(i32, &str, Transform)]) -> UnboundPartitionSpec {
    let mut builder = UnboundPartitionSpec::builder();
    for (source, name, transform) in fields {
        builder = builder
            .add_partition_field(*source, (*name).to_owned(), *transform)
            .unwrap();
    }
    builder.build()
}

/// What the table holds under a filter, sorted.
async fn ids_where(table: &Table, filter: iceberg::expr::Predicate) -> Vec<i64> {
    let scan = table
        .scan()
        .select(["id"])
        .with_filter(filter)
        .build()
        .unwrap();
    let batches: Vec<RecordBatch> = scan.to_arrow().await.unwrap().try_collect().await.unwrap();
    let mut ids: Vec<i64> = batches
        .iter()
        .flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec())
        .collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn rows_are_split_by_every_transform_and_all_come_back() {
    use Transform as T;
    let specs = [
        spec(&[(2, "city", T::Identity), (4, "day", T::Identity)]),
        spec(&[(3, "hour", T::Hour), (1, "bucket", T::Bucket(3))]),
        spec(&[(3, "at_day", T::Day), (2, "start", T::Truncate(4))]),
        spec(&[(3, "month", T::Month), (7, "key_bucket", T::Bucket(4))]),
        spec(&[
            (3, "year", T::Year),
            (6, "raw", T::Identity),
            (7, "k", T::Bucket(2)),
        ]),
        spec(&[(1, "gone", T::Void), (2, "city_bucket", T::Bucket(2))]),
    ];
    for spec in specs {
        let world = World::without_table().await;
        let table = rich_table(&world, Some(spec.clone())).await;
        let mut writer = TableWriter::new(&table, writer_options(1)).unwrap();
        for from in [0, 100] {
            writer.write(rich_batch(from, from + 100)).await.unwrap();
        }
        let staged = writer.close().await.unwrap();
        let table = append(&world, &staged).await;
        let mut ids = scan(&table).await;
        ids.sort_unstable();
        assert_eq!(ids, (0..200).collect::<Vec<_>>(), "{spec:?}");
        // Each file is where the manifest says, inside of the table's folder.
        let root = format!("{}/data/", table.metadata().location());
        for (path, _) in files(&table).await {
            assert!(path.starts_with(&root) && !path.contains("/../"), "{path}");
        }
        // Partition pruning finds what a full scan finds.
        let filter = Reference::new("city").equal_to(Datum::string("../../1/é"));
        let expected: Vec<i64> = (0..200).filter(|id| id % 3 == 1 && id % 10 != 0).collect();
        assert_eq!(ids_where(&table, filter).await, expected, "{spec:?}");
    }
}

#[tokio::test]
async fn more_partitions_than_may_be_open_are_written_by_closing_the_one_that_rested_longest() {
    let world = World::without_table().await;
    let table = rich_table(&world, Some(spec(&[(1, "id", Transform::Identity)]))).await;
    let mut writer = TableWriter::new(&table, writer_options(1)).unwrap();
    let partitions = OPEN_PARTITIONS_MAX as i64 + 10;
    writer.write(rich_batch(0, partitions)).await.unwrap();
    assert_eq!(writer.open.len(), OPEN_PARTITIONS_MAX);
    assert_eq!(writer.staged.len(), 10);
    let staged = writer.close().await.unwrap();
    let table = append(&world, &staged).await;
    assert_eq!(scan(&table).await.len() as i64, partitions);
}

#[tokio::test]
async fn files_roll_at_the_target_size_and_names_never_repeat() {
    let world = World::new().await;
    let table = world.table().await;
    let options = WriterOptions {
        target_file_bytes: Some(4_000),
        row_group_bytes: 2_000,
        ..writer_options(1)
    };
    let mut writer = TableWriter::new(&table, options).unwrap();
    let mut progress = WriteProgress::default();
    for from in (0..20_000).step_by(1_000) {
        progress = writer.write(batch(from, from + 1_000)).await.unwrap();
    }
    assert_eq!(progress.rows, 20_000);
    let staged = writer.close().await.unwrap();
    assert!(staged.len() > 3, "{}", staged.len());
    assert!(
        staged.iter().all(|file| file.bytes() < 20_000),
        "{staged:?}"
    );
    let written: u64 = staged.iter().map(StagedFile::bytes).sum();
    assert!(progress.bytes_written <= written && progress.bytes_written > written / 2);
    append(&world, &staged).await;
    world.assert_holds(20_000).await;
}

#[tokio::test]
async fn memory_stays_below_the_bound_whatever_is_written() {
    let world = World::without_table().await;
    let table = rich_table(&world, Some(spec(&[(1, "bucket", Transform::Bucket(40))]))).await;
    let bound = 4 << 20;
    let options = WriterOptions {
        row_group_bytes: bound,
        ..writer_options(1)
    };
    let mut writer = TableWriter::new(&table, options).unwrap();
    let mut most = 0;
    for from in (0..40_000).step_by(1_000) {
        let progress = writer.write(rich_batch(from, from + 1_000)).await.unwrap();
        most = most.max(progress.bytes_buffered);
    }
    assert!(most <= bound, "{most}");
    assert!(most > bound / 10, "the test wrote too little: {most}");
    let staged = writer.close().await.unwrap();
    let table = append(&world, &staged).await;
    assert_eq!(scan(&table).await.len(), 40_000);
}

#[tokio::test]
async fn a_file_tells_counts_nans_and_bounds_of_its_columns() {
    let world = World::without_table().await;
    let table = rich_table(&world, None).await;
    let mut writer = TableWriter::new(&table, writer_options(1)).unwrap();
    writer.write(rich_batch(1, 100)).await.unwrap();
    let staged = writer.close().await.unwrap();
    let file = staged[0].decode(&table).unwrap();
    assert_eq!(file.record_count(), 99);
    assert_eq!(file.value_counts()[&2], 99);
    assert_eq!(file.null_value_counts()[&2], 9);
    // 7, 14, … 98 without 70, which is null.
    assert_eq!(file.nan_value_counts(), &HashMap::from([(5, 13)]));
    let bounds = |id: i32| {
        (
            file.lower_bounds()[&id].clone(),
            file.upper_bounds()[&id].clone(),
        )
    };
    assert_eq!(bounds(1), (Datum::long(1), Datum::long(99)));
    assert_eq!(
        bounds(2),
        (Datum::string("../../0/é"), Datum::string("../../2/é"))
    );
    assert_eq!(bounds(5), (Datum::double(1.0), Datum::double(99.0)));
    assert_eq!(
        bounds(6),
        (Datum::binary([1; 16]), {
            let mut upper = [99; 16];
            upper[15] = 100;
            Datum::binary(upper)
        })
    );
    let on_disk = std::fs::metadata(file.file_path().trim_start_matches("file://")).unwrap();
    assert_eq!(file.file_size_in_bytes(), on_disk.len());
}

#[tokio::test]
async fn a_filter_finds_rows_of_a_row_group_whose_statistics_were_shortened() {
    // The library's own bounds leave such row groups out, and a reader then skips the file.
    let world = World::new().await;
    let table = world.table().await;
    let long = "x".repeat(200);
    let names = |names: Vec<&str>| {
        let ids = Int64Array::from_iter_values(0..names.len() as i64);
        let columns: Vec<ArrayRef> = vec![Arc::new(ids), Arc::new(StringArray::from(names))];
        RecordBatch::try_new(batch(0, 1).schema(), columns).unwrap()
    };
    let options = WriterOptions {
        row_group_bytes: 1,
        ..writer_options(1)
    };
    let mut writer = TableWriter::new(&table, options).unwrap();
    writer.write(names(vec!["b", "c"])).await.unwrap();
    writer.write(names(vec!["a", &long])).await.unwrap();
    let staged = writer.close().await.unwrap();
    assert_eq!(staged.len(), 1);
    let table = append(&world, &staged).await;
    let filter = Reference::new("name").equal_to(Datum::string(long));
    assert_eq!(ids_where(&table, filter).await, [1]);
}

#[tokio::test]
async fn a_writer_that_is_given_up_leaves_no_files() {
    let world = World::new().await;
    let table = world.table().await;
    let options = WriterOptions {
        target_file_bytes: Some(1_000),
        ..writer_options(1)
    };
    let mut writer = TableWriter::new(&table, options).unwrap();
    for from in [0, 5_000, 10_000] {
        writer.write(batch(from, from + 5_000)).await.unwrap();
    }
    writer.write(batch(0, 1)).await.unwrap();
    assert!(!writer.staged.is_empty() && !writer.open.is_empty());
    let folder = format!("{}/data", table.metadata().location());
    let count = || {
        std::fs::read_dir(folder.trim_start_matches("file://"))
            .unwrap()
            .count()
    };
    assert!(count() > 1);
    writer.abort().await;
    assert_eq!(count(), 0);
}

#[tokio::test]
async fn a_writer_without_rows_leaves_nothing() {
    let world = World::new().await;
    let table = world.table().await;
    let mut writer = TableWriter::new(&table, writer_options(1)).unwrap();
    let progress = writer.write(batch(0, 0)).await.unwrap();
    assert_eq!(progress, WriteProgress::default());
    assert!(writer.close().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_batch_with_other_columns_is_refused() {
    let world = World::new().await;
    let table = world.table().await;
    let mut writer = TableWriter::new(&table, writer_options(1)).unwrap();
    let error = writer.write(rich_batch(0, 1)).await.unwrap_err();
    assert_eq!(error.kind(), crate::error::Kind::Internal);
}

#[tokio::test]
async fn a_warehouse_that_can_not_be_written_is_named() {
    let world = World::without_table().await;
    let mut options = table_options();
    let unwritable = "file:///proc/no-such-place";
    options
        .properties
        .insert("write.data.path".into(), unwritable.into());
    let table = world.create(&options).await;
    let mut writer = TableWriter::new(&table, writer_options(1)).unwrap();
    let error = writer.write(batch(0, 1)).await.unwrap_err();
    assert_eq!(error.kind(), crate::error::Kind::External);
    assert!(error.to_string().contains(unwritable), "{error}");
}

#[tokio::test]
async fn files_carry_field_ids_and_the_table_properties_shape_them() {
    let world = World::without_table().await;
    let mut options = table_options();
    options
        .properties
        .insert("write.parquet.compression-codec".into(), "snappy".into());
    let table = world.create(&options).await;
    let mut writer = TableWriter::new(&table, writer_options(1)).unwrap();
    writer.write(batch(0, 10)).await.unwrap();
    let staged = writer.close().await.unwrap();
    let file = std::fs::File::open(staged[0].path().trim_start_matches("file://")).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let root = reader.parquet_schema().root_schema();
    let ids: BTreeMap<_, _> = root
        .get_fields()
        .iter()
        .map(|field| (field.name(), field.get_basic_info().id()))
        .collect();
    assert_eq!(ids, BTreeMap::from([("id", 1), ("name", 2)]));
    assert_eq!(
        reader.metadata().row_group(0).column(0).compression(),
        parquet::basic::Compression::SNAPPY
    );
}

#[tokio::test]
async fn columns_of_nothing_but_nulls_are_written_and_read() {
    let world = World::without_table().await;
    let table = rich_table(&world, None).await;
    let mut writer = TableWriter::new(&table, writer_options(1)).unwrap();
    let schema = Arc::clone(writer.schema());
    let mut columns: Vec<ArrayRef> = schema
        .fields()
        .iter()
        .map(|field| new_null_array(field.data_type(), 5))
        .collect();
    columns[0] = Arc::new(Int64Array::from_iter_values(0..5));
    writer
        .write(RecordBatch::try_new(schema, columns).unwrap())
        .await
        .unwrap();
    let staged = writer.close().await.unwrap();
    let table = append(&world, &staged).await;
    assert_eq!(scan(&table).await.len(), 5);
    let filter = Reference::new("city").is_null();
    assert_eq!(ids_where(&table, filter).await.len(), 5);
}
