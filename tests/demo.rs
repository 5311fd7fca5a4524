//! The demos, run as the README says.

use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::support::{Calve, Table, run_script};

#[test]
fn the_crash_demo_shows_a_real_crash_and_a_table_without_duplicates() {
    let folder = TempDir::new().expect("a folder");
    let directory = folder.path().join("demo");
    let demo = Calve::new(&["demo", "--crash", "--directory"], folder.path());
    let running = demo.arg(&directory.display().to_string()).start();
    let ended = running.wait(Duration::from_secs(120)).expect_code(0);
    let ended = ended.expect_output(&[
        "starts at offset 0",
        "offsets 0–999, 1000 new rows of 1000",
        "processed 2000 records and committed 1000: 1000 are in flight",
        "signal: 9 (SIGKILL)",
        "1000 rows, next offset 1000",
        "resumes at offset 1000, as generation 2",
        "offsets 1000–1999, 1000 new rows of 2000",
        "→ 0 rows",
    ]);
    // What DuckDB finds with the location that the demo prints for it.
    let (_, rest) = ended.stdout.split_once("iceberg_scan('").expect("a query");
    let (metadata, _) = rest.split_once('\'').expect("a location");
    let request = json!({"metadata_location": metadata, "id": "sample_id"});
    let table: Table = run_script("with_duckdb.py", &request);
    assert_eq!((table.count, table.distinct_ids), (2_000, 2_000));
    let offsets = &table.partitions[&0];
    assert_eq!(
        (offsets.distinct, offsets.first, offsets.last),
        (2_000, 0, 1_999)
    );
}
