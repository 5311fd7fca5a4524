use std::collections::HashMap;

use iceberg::spec::{
    DataContentType, DataFileBuilder, DataFileFormat, Datum, Literal, NestedField, PrimitiveType,
    Schema, Struct, Transform, UnboundPartitionSpec,
};

use iceberg::transaction::{ApplyTransactionAction, Transaction};

use super::*;
use crate::iceberg::TableOptions;
use crate::iceberg::testing::{World, table_options};

/// A column of every type that can be a partition value (a UUID can't), with a value of each.
fn columns() -> Vec<(PrimitiveType, Literal, Datum)> {
    use PrimitiveType as P;
    let decimal = |digits| {
        Datum::try_from_bytes(
            digits,
            P::Decimal {
                precision: 20,
                scale: 2,
            },
        )
    };
    let datums = [
        (P::Boolean, Datum::bool(true)),
        (P::Int, Datum::int(i32::MIN)),
        (P::Long, Datum::long(i64::MAX)),
        (P::Float, Datum::float(-1.5_f32)),
        (P::Double, Datum::double(f64::MAX)),
        (P::Date, Datum::date(-1)),
        (P::Time, Datum::time_micros(86_399_999_999).unwrap()),
        (P::Timestamp, Datum::timestamp_micros(-1)),
        (
            P::Timestamptz,
            Datum::timestamptz_micros(1_700_000_000_123_456),
        ),
        (P::String, Datum::string("é \" / ☃")),
        (P::Fixed(3), Datum::fixed([0, 255, 7])),
        (P::Binary, Datum::binary([0, 159, 146, 150])),
        (
            P::Decimal {
                precision: 20,
                scale: 2,
            },
            decimal(&[0xff, 0x01]).unwrap(),
        ),
    ];
    datums
        .into_iter()
        .map(|(of, datum)| (of, Literal::Primitive(datum.literal().clone()), datum))
        .collect()
}

/// A table partitioned by the identity of every column.
fn options() -> TableOptions {
    let mut spec = UnboundPartitionSpec::builder();
    let mut fields = Vec::new();
    for (index, (of, ..)) in columns().into_iter().enumerate() {
        let id = index as i32 + 1;
        let name = format!("c{id}");
        spec = spec
            .add_partition_field(id, format!("p{id}"), Transform::Identity)
            .unwrap();
        fields.push(NestedField::optional(id, name, iceberg::spec::Type::Primitive(of)).into());
    }
    TableOptions {
        schema: Some(Schema::builder().with_fields(fields).build().unwrap()),
        partition_spec: Some(spec.build()),
        ..table_options()
    }
}

fn file(table: &Table, partition: Vec<Option<Literal>>, bounds: HashMap<i32, Datum>) -> DataFile {
    DataFileBuilder::default()
        .content(DataContentType::Data)
        .file_path("file:///x.parquet".into())
        .file_format(DataFileFormat::Parquet)
        .record_count(3)
        .file_size_in_bytes(100)
        .partition(Struct::from_iter(partition))
        .partition_spec_id(table.metadata().default_partition_spec_id())
        .lower_bounds(bounds.clone())
        .upper_bounds(bounds)
        .nan_value_counts(HashMap::from([(4, 2)]))
        .split_offsets(Some(vec![4]))
        .build()
        .unwrap()
}

/// Through the staged file's own encoding and through JSON, as between two processes.
fn sent(file: &DataFile, table: &Table) -> DataFile {
    let spec_id = table.metadata().default_partition_spec_id();
    let staged = StagedFile::encode(file.clone(), table, spec_id, Epoch(1)).unwrap();
    let json = serde_json::to_string(&staged).unwrap();
    let received: StagedFile = serde_json::from_str(&json).unwrap();
    assert_eq!(received, staged);
    received.decode(table).unwrap()
}

#[tokio::test]
async fn partition_values_and_bounds_of_every_type_survive_the_way_to_another_process() {
    let world = World::without_table().await;
    let table = world.create(&options()).await;
    for (index, (of, literal, datum)) in columns().into_iter().enumerate() {
        let mut partition = vec![None; columns().len()];
        partition[index] = Some(literal);
        let bounds = HashMap::from([(index as i32 + 1, datum)]);
        let file = file(&table, partition, bounds);
        assert_eq!(sent(&file, &table), file, "{of}");
    }
    let all_null = file(&table, vec![None; columns().len()], HashMap::new());
    assert_eq!(sent(&all_null, &table), all_null);
}

#[tokio::test]
async fn the_manifest_holds_what_was_staged() {
    let world = World::without_table().await;
    let table = world.create(&options()).await;
    for (index, (of, literal, datum)) in columns().into_iter().enumerate() {
        let mut partition = vec![None; columns().len()];
        partition[index] = Some(literal);
        let bounds = HashMap::from([(index as i32 + 1, datum)]);
        let file = file(&table, partition, bounds);
        let transaction = Transaction::new(&table);
        let append = transaction
            .fast_append()
            .with_check_duplicate(false)
            .add_data_files([file.clone()]);
        let transaction = append.apply(transaction).unwrap();
        let table = transaction.commit(world.catalog.as_ref()).await.unwrap();
        let snapshot = table.metadata().current_snapshot().unwrap();
        let list = table.manifest_list_reader(snapshot).load().await.unwrap();
        let manifest = list.entries().last().unwrap();
        let manifest = manifest.load_manifest(table.file_io()).await.unwrap();
        assert_eq!(manifest.entries()[0].data_file(), &file, "{of}");
    }
}
