//! What decoding costs: CPU microseconds a record, for the health samples of the main job.
//!
//! `cargo bench --bench decode` prints a line a case: the mean of three million records, in CPU
//! time (Linux only), and the best round by the clock. No statistics beyond that: run it twice, with
//! nothing else running, before believing a difference.

use std::sync::Arc;
use std::time::Instant;

use calve::format::{Decoder, JsonDecoder, columns};
use calve::messages::Messages;

#[path = "shared/cpu.rs"]
mod cpu;

const COLUMNS: &str = "sample_id string not null, user_id string, device_id string, data_type string, \
     value double, unit string, start_time timestamptz, end_time timestamptz, source_bundle string";
/// Records decoded for each figure.
const RECORDS: u64 = 3_000_000;

/// One record a number, a little different each time, as real ones are.
type Writer = fn(u64) -> String;

fn main() -> calve::Result<()> {
    let cases: [(&str, Writer); 5] = [
        ("as declared", compact),
        ("spaces after , and :", spaced),
        ("another order", reordered),
        ("every third field missing", sparse),
        ("unknown fields", unknown),
    ];
    for rows in [2_048, 16_384, 65_536] {
        for (name, write) in cases {
            let mut decoder =
                JsonDecoder::new(&columns::with_provenance(&columns::parse(COLUMNS)?)?)?;
            let mut messages = Messages::new(Arc::from([Arc::from("health.samples")]));
            for n in 0..rows {
                let payload = write(n);
                messages.push(
                    0,
                    (n % 6) as i32,
                    n as i64,
                    Some(1_772_000_000_000 + n as i64),
                    None,
                    Some(payload.as_bytes()),
                );
            }
            let messages = [messages];
            let rounds = RECORDS / rows;
            let mut best = f64::INFINITY;
            let cpu = cpu::nanos();
            for _ in 0..rounds {
                let start = Instant::now();
                let decoded = decoder.decode(&messages)?;
                best = best.min(start.elapsed().as_nanos() as f64);
                assert_eq!(decoded.rows.num_rows() as u64, rows);
            }
            let cpu = cpu::nanos() - cpu;
            println!(
                "{:.3} µs CPU/record  (best round {:.3} µs)  {} B/record  {rows} rows  {name}",
                cpu as f64 / (rounds * rows) as f64 / 1_000.0,
                best / rows as f64 / 1_000.0,
                messages[0].byte_len() as u64 / rows,
            );
        }
    }
    Ok(())
}

/// The values of record `n`.
fn values(n: u64) -> [String; 9] {
    let hash = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (types, units) = (
        ["heart_rate", "steps", "sleep_analysis"],
        ["count/min", "count", "min"],
    );
    let kind = (hash >> 20) as usize % 3;
    let (minute, second, milli) = (n / 60 % 60, n % 60, hash % 1000);
    [
        format!(
            "\"{:08x}-6a57-4f0e-9d8e-{:012x}\"",
            hash >> 32,
            hash & 0xffff_ffff_ffff
        ),
        format!("\"user-{:06}\"", hash % 10_000),
        format!("\"watch-{:04}\"", hash % 500),
        format!("\"{}\"", types[kind]),
        format!("{}.{:02}", 40 + hash % 100, hash % 97),
        format!("\"{}\"", units[kind]),
        format!("\"2026-03-01T12:{minute:02}:{second:02}.{milli:03}Z\""),
        format!("\"2026-03-01T13:{minute:02}:{second:02}.{milli:03}Z\""),
        "\"com.example.health.watch\"".to_owned(),
    ]
}

const NAMES: [&str; 9] = [
    "sample_id",
    "user_id",
    "device_id",
    "data_type",
    "value",
    "unit",
    "start_time",
    "end_time",
    "source_bundle",
];

fn object(n: u64, order: impl Iterator<Item = usize>, comma: &str, colon: &str) -> String {
    let values = values(n);
    let fields: Vec<_> = order
        .map(|at| format!("\"{}\"{colon}{}", NAMES[at], values[at]))
        .collect();
    format!("{{{}}}", fields.join(comma))
}

fn compact(n: u64) -> String {
    object(n, 0..9, ",", ":")
}

fn spaced(n: u64) -> String {
    object(n, 0..9, ", ", ": ")
}

fn reordered(n: u64) -> String {
    object(n, (0..9).rev(), ",", ":")
}

fn sparse(n: u64) -> String {
    let missing = n as usize % 3;
    object(
        n,
        (0..9).filter(|at| *at == 0 || at % 3 != missing),
        ",",
        ":",
    )
}

fn unknown(n: u64) -> String {
    let object = compact(n);
    format!(
        "{},\"metadata\":{{\"tags\":[\"a\",\"b\"],\"v\":{n}}}}}",
        object.trim_end_matches('}')
    )
}
