//! The decoder against a slow one made of serde_json: same rows, same rejects.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::super::Decoder;
use super::support::{decoder, messages, mutate, rows, schema};
use crate::dice::Dice;

const COLUMNS: &str = "a string not null, b long, c double, d boolean, e list<double>, \
     f struct<x: string, y: long not null>, g map<string, long>, h timestamptz";

/// An object's members in order, repeated ones included.
struct Members<'t>(Vec<(String, &'t RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// Why the slow decoder gives no row.
enum No {
    Reject,
    /// It is not exact enough to know.
    Unsure,
}

type Slow = Result<String, No>;

/// A column: its name, whether it is required, and how its values are read.
type Slot = (&'static str, bool, fn(&str) -> Slow);

fn members(json: &str) -> Result<Vec<(String, &RawValue)>, No> {
    serde_json::from_str::<Members<'_>>(json)
        .map(|members| members.0)
        .map_err(|_| No::Reject)
}

/// The members `names` of an object, each written by its function; a null or missing one must be optional.
fn object(json: &str, columns: &[Slot]) -> Slow {
    let members = members(json)?;
    let mut cells = Vec::new();
    for (name, required, write) in columns {
        let mut values = members.iter().filter(|(key, _)| key == name);
        let cell = match values.next() {
            None if *required => return Err(No::Reject),
            None => "null".to_owned(),
            Some((_, raw)) => optional(raw.get(), *required, write)?,
        };
        if values.next().is_some() {
            return Err(No::Reject);
        }
        cells.push(format!("{name}: {cell}"));
    }
    Ok(format!("{{{}}}", cells.join(", ")))
}

fn optional(json: &str, required: bool, write: impl Fn(&str) -> Slow) -> Slow {
    match json {
        "null" if required => Err(No::Reject),
        "null" => Ok("null".to_owned()),
        json => write(json),
    }
}

fn string(json: &str) -> Slow {
    let text: String = serde_json::from_str(json).map_err(|_| No::Reject)?;
    Ok(format!("{text:?}"))
}

fn boolean(json: &str) -> Slow {
    let value: bool = serde_json::from_str(json).map_err(|_| No::Reject)?;
    Ok(value.to_string())
}

fn number(json: &str) -> Result<f64, No> {
    if !json.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        return Err(No::Reject);
    }
    let value: f64 = json.parse().map_err(|_| No::Reject)?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(No::Reject)
    }
}

fn double(json: &str) -> Slow {
    match json {
        "\"NaN\"" => Ok("NaN".to_owned()),
        json => Ok(format!("{:?}", number(json)?)),
    }
}

fn long(json: &str) -> Slow {
    if let Ok(value) = json.parse::<i64>() {
        return Ok(value.to_string());
    }
    let value = number(json)?;
    if json.len() > 15 || value.abs() > 1e15 {
        return Err(No::Unsure);
    }
    if value.fract() != 0.0 {
        return Err(No::Reject);
    }
    Ok((value as i64).to_string())
}

fn list(json: &str) -> Slow {
    let elements: Vec<&RawValue> = serde_json::from_str(json).map_err(|_| No::Reject)?;
    let cells: Result<Vec<_>, _> = elements
        .iter()
        .map(|raw| optional(raw.get(), false, double))
        .collect();
    Ok(format!("[{}]", cells?.join(", ")))
}

fn nested(json: &str) -> Slow {
    object(json, &[("x", false, string), ("y", true, long)])
}

fn map(json: &str) -> Slow {
    if let Some(rest) = json.strip_prefix('[') {
        return if rest.trim() == "]" {
            Ok("{}".to_owned())
        } else {
            Err(No::Unsure)
        };
    }
    let mut cells = Vec::new();
    let mut keys = Vec::new();
    for (key, raw) in members(json)? {
        cells.push(format!("{key:?}: {}", optional(raw.get(), false, long)?));
        if keys.contains(&key) {
            return Err(No::Reject);
        }
        keys.push(key);
    }
    Ok(format!("{{{}}}", cells.join(", ")))
}

fn time(json: &str) -> Slow {
    if !json.starts_with('"') {
        return Err(No::Unsure);
    }
    let text: String = serde_json::from_str(json).map_err(|_| No::Reject)?;
    match chrono::DateTime::parse_from_rfc3339(&text) {
        // chrono knows leap seconds, and more digits.
        Ok(time) if text.len() == 24 && !text[17..].starts_with("60") => {
            Ok(time.timestamp_micros().to_string())
        }
        _ => Err(No::Unsure),
    }
}

fn slow(payload: &[u8]) -> Slow {
    let text = str::from_utf8(payload).map_err(|_| No::Reject)?;
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(_) => {}
        Err(error) if error.to_string().starts_with("number out of range") => {
            return Err(No::Unsure);
        }
        Err(_) => return Err(No::Reject),
    }
    object(
        text.trim_matches([' ', '\n', '\r', '\t']),
        &[
            ("a", true, string),
            ("b", false, long),
            ("c", false, double),
            ("d", false, boolean),
            ("e", false, list),
            ("f", false, nested),
            ("g", false, map),
            ("h", false, time),
        ],
    )
}

/// A record that mostly fits the columns.
fn record(dice: &mut Dice) -> String {
    const LONGS: [&str; 9] = [
        "0",
        "-1",
        "12.0",
        "1e3",
        "9223372036854775807",
        "9223372036854775808",
        "1.5",
        "42",
        "null",
    ];
    const DOUBLES: [&str; 10] = [
        "0",
        "-0.0",
        "72.53",
        "1e22",
        "1e23",
        "123456789012345678",
        "5e-324",
        "\"NaN\"",
        "null",
        "7",
    ];
    const STRINGS: [&str; 8] = [
        "\"\"",
        "\"x\"",
        "\"é😀\"",
        "\"a\\\"b\\\\\"",
        "\"\\u00e9\"",
        "\"a rather long text with \\n in it\"",
        "null",
        "\"c\"",
    ];
    let mut fields = vec![
        format!("\"a\":{}", if dice.one_in(50) { "null" } else { "\"id\"" }),
        format!("\"b\":{}", dice.pick(&LONGS)),
        format!("\"c\":{}", dice.pick(&DOUBLES)),
        format!("\"d\":{}", dice.pick(&["true", "false", "null", "true"])),
        format!("\"e\":[{},{}]", dice.pick(&DOUBLES), dice.pick(&DOUBLES)),
        format!(
            "\"f\":{{\"x\":{},\"y\":{}}}",
            dice.pick(&STRINGS),
            dice.below(100)
        ),
        format!(
            "\"g\":{{{}:1,\"k\":{}}}",
            if dice.one_in(9) { "\"k\"" } else { "\"l\"" },
            dice.pick(&LONGS)
        ),
        format!("\"h\":\"2026-03-{:02}T12:34:56.789Z\"", dice.below(33)),
        format!("\"u\":{}", dice.pick(&STRINGS)),
    ];
    for _ in 0..dice.below(3) {
        let at = dice.below(fields.len() - 1) + 1;
        match dice.below(3) {
            0 => drop(fields.remove(at)),
            1 => fields.swap(0, at),
            _ => {
                let other = dice.below(fields.len());
                fields.swap(at, other);
            }
        }
    }
    let comma = dice.pick(&[",", ",", ", ", " ,\n"]);
    format!("{{{}}}", fields.join(comma))
}

#[test]
fn rows_are_those_of_a_decoder_made_of_serde_json() {
    let mut decoder = decoder(&schema(COLUMNS));
    let mut dice = Dice::new(5);
    let (mut accepted, mut rejected) = (0, 0);
    for round in 0..40_000 {
        let text = record(&mut dice);
        let payload = if dice.one_in(2) {
            text.into_bytes()
        } else {
            mutate(&mut dice, &text)
        };
        let decoded = decoder.decode(&[messages(&[&payload])]).unwrap();
        let shown = String::from_utf8_lossy(&payload);
        match slow(&payload) {
            Ok(row) => {
                assert_eq!(decoded.rejects, [], "round {round}: {shown}");
                assert_eq!(rows(&decoded.rows), [row], "round {round}: {shown}");
                accepted += 1;
            }
            Err(No::Reject) => {
                assert_eq!(rows(&decoded.rows), [""; 0], "round {round}: {shown}");
                rejected += 1;
            }
            Err(No::Unsure) => {}
        }
    }
    assert!(
        accepted > 10_000 && rejected > 8_000,
        "{accepted} {rejected}"
    );
}
