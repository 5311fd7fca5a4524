use iceberg::spec::{ListType, MapType, Transform};

use super::*;
use crate::error::Kind;
use crate::iceberg::testing::{World, schema, table_options};

fn column(id: i32, name: &str, of: Type) -> iceberg::spec::NestedFieldRef {
    NestedField::optional(id, name, of).into()
}

fn primitive(of: PrimitiveType) -> Type {
    Type::Primitive(of)
}

fn schema_of(fields: impl IntoIterator<Item = iceberg::spec::NestedFieldRef>) -> Schema {
    Schema::builder().with_fields(fields).build().unwrap()
}

async fn refused(world: &World, options: &TableOptions) -> Error {
    load_or_create(world.catalog.as_ref(), &world.ident, options)
        .await
        .unwrap_err()
}

#[tokio::test]
async fn a_table_is_created_with_its_namespaces_and_properties() {
    let mut world = World::without_table().await;
    world.ident = TableIdent::from_strs(["a", "b", "t"]).unwrap();
    let mut options = table_options();
    options.properties.insert("owner".into(), "me".into());
    let table = world.create(&options).await;
    let metadata = table.metadata();
    assert_eq!(metadata.format_version(), FormatVersion::V2);
    assert_eq!(metadata.properties()["owner"], "me");
    assert_eq!(metadata.properties()[COMPRESSION_CODEC], "zstd");
    assert!(
        metadata.location().ends_with("/warehouse/a/b/t"),
        "{}",
        metadata.location()
    );
    // And loaded the second time.
    assert_eq!(
        world.create(&options).await.metadata().uuid(),
        metadata.uuid()
    );
}

#[tokio::test]
async fn racing_creators_all_get_the_same_table() {
    let world = World::without_table().await;
    let options = table_options();
    let create = || load_or_create(world.catalog.as_ref(), &world.ident, &options);
    let tables = futures::future::join_all((0..8).map(|_| create())).await;
    let uuids: Vec<_> = tables
        .into_iter()
        .map(|t| t.unwrap().metadata().uuid())
        .collect();
    assert!(uuids.iter().all(|uuid| *uuid == uuids[0]), "{uuids:?}");
}

#[tokio::test]
async fn a_missing_table_is_not_created_without_leave_or_columns() {
    let world = World::without_table().await;
    let mut options = table_options();
    options.create = false;
    let error = refused(&world, &options).await;
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.to_string().contains("table.create"), "{error}");

    options.create = true;
    options.schema = None;
    let error = refused(&world, &options).await;
    assert!(error.to_string().contains("table.columns"), "{error}");
    assert!(!world.catalog.table_exists(&world.ident).await.unwrap());
}

#[tokio::test]
async fn declared_columns_that_contradict_the_table_are_each_named() {
    let world = World::new().await;
    let declared = schema_of([
        column(1, "id", primitive(PrimitiveType::String)),
        column(2, "extra", primitive(PrimitiveType::Int)),
    ]);
    let options = TableOptions {
        schema: Some(declared),
        ..table_options()
    };
    let error = refused(&world, &options).await;
    assert_eq!(error.kind(), Kind::Data);
    let text = error.to_string();
    for expected in [
        "id is declared as string, the table has long",
        "extra is not in the table",
        "name is required and not declared",
    ] {
        assert!(text.contains(expected), "{text}");
    }
}

#[tokio::test]
async fn provenance_columns_may_be_missing_in_a_table_that_somebody_else_made() {
    let world = World::new().await;
    let fields = schema().as_struct().fields().to_vec();
    let provenance = column(9, "_offset", primitive(PrimitiveType::Long));
    let options = TableOptions {
        schema: Some(schema_of(fields.into_iter().chain([provenance]))),
        ..table_options()
    };
    assert_eq!(
        world
            .create(&options)
            .await
            .metadata()
            .current_schema()
            .as_ref(),
        &schema()
    );
}

#[test]
fn nested_types_are_compared_by_names_and_types_whatever_their_ids() {
    let nested = |first_id: i32, leaf: PrimitiveType| {
        let element = NestedField::list_element(first_id + 1, primitive(leaf), true).into();
        let list = Type::List(ListType::new(element));
        let key = NestedField::map_key_element(first_id + 2, primitive(PrimitiveType::String));
        let value = NestedField::map_value_element(first_id + 3, list, false);
        let map = Type::Map(MapType::new(key.into(), value.into()));
        Type::Struct(StructType::new(vec![column(first_id, "m", map)]))
    };
    let one = nested(10, PrimitiveType::Int);
    assert!(same_type(&one, &nested(20, PrimitiveType::Int)));
    assert!(!same_type(&one, &nested(10, PrimitiveType::Long)));
    assert_eq!(type_name(&one), "struct<m: map<string, list<int>>>");
}

#[tokio::test]
async fn tables_that_would_be_written_wrongly_are_refused() {
    for (key, value, expected) in [
        ("write.format.default", "orc", "orc"),
        ("encryption.key-id", "k", "encrypted"),
    ] {
        let world = World::without_table().await;
        let mut options = table_options();
        options.properties.insert(key.into(), value.into());
        let error = refused(&world, &options).await;
        assert_eq!(error.kind(), Kind::Data);
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn partitions_that_can_not_be_written_are_refused_before_a_row_is() {
    for (of, transform, expected) in [
        (PrimitiveType::Uuid, Transform::Identity, "bucket"),
        (PrimitiveType::Binary, Transform::Truncate(2), "truncate"),
    ] {
        let world = World::without_table().await;
        let spec = UnboundPartitionSpec::builder()
            .add_partition_field(1, "part", transform)
            .unwrap();
        let options = TableOptions {
            schema: Some(schema_of([column(1, "key", primitive(of))])),
            partition_spec: Some(spec.build()),
            ..table_options()
        };
        let error = refused(&world, &options).await;
        assert_eq!(error.kind(), Kind::Data);
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_table_of_format_version_1_is_refused_with_the_way_out() {
    let world = World::without_table().await;
    world
        .catalog
        .create_namespace(world.ident.namespace(), HashMap::new())
        .await
        .unwrap();
    let creation = TableCreation::builder()
        .name(world.ident.name().into())
        .schema(schema())
        .format_version(FormatVersion::V1)
        .build();
    world
        .catalog
        .create_table(world.ident.namespace(), creation)
        .await
        .unwrap();
    let error = refused(&world, &TableOptions::default()).await;
    assert!(error.to_string().contains("format-version = 2"), "{error}");
}
