use arrow::array::{Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};

use super::*;

fn rows() -> Rows {
    let fields = vec![
        Field::new("user", DataType::Utf8, false),
        Field::new("session", DataType::Int64, true),
    ];
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["a", "b"])),
        Arc::new(Int64Array::from(vec![None, None])),
    ];
    Rows::from(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap())
}

#[test]
fn a_column_gets_other_values_and_the_rest_stays() {
    let filled = rows().with_column("session", Arc::new(Int64Array::from(vec![3, 4])));
    let batch = filled.unwrap().batch;
    assert_eq!(batch["session"].as_ref(), &Int64Array::from(vec![3, 4]));
    assert_eq!(batch["user"].as_ref(), &StringArray::from(vec!["a", "b"]));
}

#[test]
fn values_that_do_not_fit_the_table_are_refused_and_say_why() {
    let said =
        |name: &str, values: ArrayRef| rows().with_column(name, values).unwrap_err().to_string();
    let unknown = said("sesion", Arc::new(Int64Array::from(vec![1, 2])));
    assert!(
        unknown.contains("no column sesion") && unknown.contains("user, session"),
        "{unknown}"
    );
    let type_ = said("session", Arc::new(StringArray::from(vec!["1", "2"])));
    assert!(
        type_.contains("session of the table is Int64") && type_.contains("(Utf8)"),
        "{type_}"
    );
    let null = said("user", Arc::new(StringArray::from(vec![Some("a"), None])));
    assert!(null.contains("user"), "{null}");
    let count = said("session", Arc::new(Int64Array::from(vec![1])));
    assert!(count.contains("session"), "{count}");
}
