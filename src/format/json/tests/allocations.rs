//! What decoding asks of the allocator: something for each column of a batch, nothing for a record.

use super::support::{decoder, schema};
use super::*;
use crate::counting::asked_by;
use crate::format::columns::with_provenance;

const ROWS: usize = 4_096;

fn samples(first: usize) -> Messages {
    let mut messages = Messages::new(Arc::from([Arc::from("health.samples")]));
    for number in first..first + ROWS {
        let payload = format!(
            "{{\"id\":\"{number:08x}-6a57-4f0e-9d8e-2f6f3f1a7c11\",\"kind\":\"heart_rate\",\"value\":{}.25,\
             \"count\":{number},\"at\":\"2026-03-01T12:34:{:02}.789Z\",\"tags\":[\"a\",\"b\"],\"other\":{{}}}}",
            number % 200,
            number % 60,
        );
        messages.push(
            0,
            (number % 6) as i32,
            number as i64,
            Some(1_000),
            None,
            Some(payload.as_bytes()),
        );
    }
    messages
}

#[test]
fn decoding_a_batch_allocates_for_its_columns_and_not_for_its_records() {
    let columns = "id string not null, kind string, value double, count long, at timestamptz";
    let mut decoder = decoder(&with_provenance(&schema(columns)).unwrap());
    // The first batch tells how long strings are.
    decoder.decode(&[samples(0)]).unwrap();
    let messages = [samples(ROWS)];
    let (decoded, asked) = asked_by(|| decoder.decode(&messages).unwrap());
    assert_eq!(decoded.rows.num_rows(), ROWS);
    let columns = decoded.rows.num_columns() as u64;
    assert!(
        asked.times <= 8 * columns,
        "{asked:?} for {columns} columns"
    );
    // Nothing is written twice: the arrays themselves, and a little for growing.
    let arrays = decoded.rows.get_array_memory_size() as u64;
    assert!(asked.bytes <= arrays * 5 / 4, "{asked:?}, arrays {arrays}");
}
