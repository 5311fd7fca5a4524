use iceberg::TableCreation;
use iceberg::spec::{NestedField, TableMetadataBuilder};
use parquet::file::properties::WriterPropertiesPtr;

use super::*;
use crate::error::Kind;

fn schema() -> Schema {
    let field = |id, name: &str, of| NestedField::optional(id, name, of).into();
    let time = field(4, "at", Type::Primitive(PrimitiveType::Timestamptz));
    Schema::builder()
        .with_fields([
            field(1, "_offset", Type::Primitive(PrimitiveType::Long)),
            field(2, "count", Type::Primitive(PrimitiveType::Long)),
            field(3, "s", Type::Struct(StructType::new(vec![time]))),
            field(5, "name", Type::Primitive(PrimitiveType::String)),
        ])
        .build()
        .unwrap()
}

fn metadata(properties: &[(&str, &str)]) -> TableMetadata {
    let properties = properties
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    let creation = TableCreation::builder()
        .name("t".into())
        .location("file:///t".into())
        .schema(schema())
        .properties(properties)
        .build();
    TableMetadataBuilder::from_table_creation(creation)
        .unwrap()
        .build()
        .unwrap()
        .metadata
}

fn mapped(properties: &[(&str, &str)], cap: usize) -> Result<WriterPropertiesPtr> {
    let metadata = metadata(properties);
    Properties::new("db.t".into(), &metadata)
        .writer_properties(metadata.current_schema(), cap)
        .map(Into::into)
}

#[test]
fn without_properties_files_are_zstd_1_within_the_writers_memory() {
    let properties = mapped(&[], 1_000).unwrap();
    let column = ColumnPath::from("name");
    assert_eq!(
        properties.compression(&column),
        Compression::ZSTD(ZstdLevel::try_new(1).unwrap())
    );
    assert_eq!(properties.max_row_group_bytes(), Some(1_000));
    assert_eq!(properties.max_row_group_row_count(), None);
    assert!(properties.dictionary_enabled(&column));
}

#[test]
fn the_tables_properties_are_honoured() {
    let properties = mapped(
        &[
            (COMPRESSION_CODEC, "GZIP"),
            (COMPRESSION_LEVEL, "4"),
            (ROW_GROUP_BYTES, "500"),
            (PAGE_BYTES, "600"),
            (PAGE_ROWS, "70"),
            (DICTIONARY_BYTES, "800"),
        ],
        1_000,
    )
    .unwrap();
    let column = ColumnPath::from("name");
    assert_eq!(
        properties.compression(&column),
        Compression::GZIP(GzipLevel::try_new(4).unwrap())
    );
    assert_eq!(properties.max_row_group_bytes(), Some(500));
    assert_eq!(properties.column_data_page_size_limit(&column), 600);
    assert_eq!(properties.data_page_row_count_limit(), 70);
    // At most a part of the row group's 1,000 bytes.
    assert_eq!(
        properties.column_dictionary_page_size_limit(&column),
        1_000 / DICTIONARIES_PER_ROW_GROUP
    );
    let roomy = mapped(&[(DICTIONARY_BYTES, "800")], 1 << 20).unwrap();
    assert_eq!(roomy.column_dictionary_page_size_limit(&column), 800);
}

#[test]
fn each_codec_that_iceberg_names_is_known() {
    for (name, expected) in [
        ("snappy", Compression::SNAPPY),
        ("lz4", Compression::LZ4_RAW),
        ("uncompressed", Compression::UNCOMPRESSED),
        ("brotli", Compression::BROTLI(BrotliLevel::default())),
    ] {
        let properties = mapped(&[(COMPRESSION_CODEC, name)], 1).unwrap();
        assert_eq!(properties.compression(&ColumnPath::from("name")), expected);
    }
}

#[test]
fn times_and_offsets_are_delta_encoded_and_other_integers_when_their_dictionary_overflows() {
    let properties = mapped(&[], 1_000).unwrap();
    let at = ColumnPath::new(vec!["s".into(), "at".into()]);
    for (column, dictionary) in [
        (ColumnPath::from("_offset"), false),
        (at, false),
        (ColumnPath::from("count"), true),
    ] {
        assert_eq!(
            properties.encoding(&column),
            Some(Encoding::DELTA_BINARY_PACKED)
        );
        assert_eq!(
            properties.dictionary_enabled(&column),
            dictionary,
            "{column}"
        );
    }
    assert_eq!(properties.encoding(&ColumnPath::from("name")), None);

    let plain = mapped(&[(DELTA_ENCODINGS, "false")], 1_000).unwrap();
    assert_eq!(plain.encoding(&ColumnPath::from("_offset")), None);
    assert!(plain.dictionary_enabled(&ColumnPath::from("_offset")));
}

#[test]
fn a_value_that_makes_no_sense_is_named_with_its_property() {
    for (key, value) in [
        (COMPRESSION_CODEC, "zip"),
        (COMPRESSION_LEVEL, "99"),
        (ROW_GROUP_BYTES, "much"),
        (DELTA_ENCODINGS, "yes"),
    ] {
        let error = mapped(&[(key, value)], 1_000).unwrap_err();
        assert_eq!(error.kind(), Kind::Data);
        let text = error.to_string();
        assert!(
            text.contains(key) && text.contains(value) && text.contains("db.t"),
            "{text}"
        );
    }
}

#[test]
fn a_setting_beats_the_tables_target_size_and_that_beats_the_default() {
    let metadata = metadata(&[("write.target-file-size-bytes", "77")]);
    let properties = Properties::new("t".into(), &metadata);
    assert_eq!(properties.target_file_bytes(Some(5)).unwrap(), 5);
    assert_eq!(properties.target_file_bytes(None).unwrap(), 77);
    let empty = self::metadata(&[]);
    let properties = Properties::new("t".into(), &empty);
    assert_eq!(properties.target_file_bytes(None).unwrap(), 256 << 20);
}

#[test]
fn metrics_modes_are_read_for_the_table_and_for_a_column() {
    let metadata = metadata(&[
        ("write.metadata.metrics.default", "truncate( 4 )"),
        ("write.metadata.metrics.column.s.at", "Counts"),
    ]);
    let properties = Properties::new("t".into(), &metadata);
    assert_eq!(
        properties.metrics_mode("name").unwrap(),
        MetricsMode::Truncate(4)
    );
    assert_eq!(
        properties.metrics_mode("s.at").unwrap(),
        MetricsMode::Counts
    );
    assert!("truncate(0)".parse::<MetricsMode>().is_err());
    assert!("some".parse::<MetricsMode>().is_err());
}
