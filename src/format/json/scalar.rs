//! Numbers and texts as values of the primitive types.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::super::builder::Values;
use super::super::reject::excerpt;
use super::fault::{Fault, Outcome};
use super::number::{Misfit, Number, within_precision};
use super::scan::Scanner;
use super::temporal::{self, LastDate};

/// Standard alphabet; producers disagree on padding, and without it nothing is ambiguous.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// True for types that a JSON number can hold.
pub(super) fn takes_numbers(values: &Values) -> bool {
    matches!(
        values,
        Values::Int(_)
            | Values::Long(_)
            | Values::Float(_)
            | Values::Double(_)
            | Values::Decimal { .. }
            | Values::Timestamp { .. }
    )
}

/// True for types, other than strings, that a JSON string can hold.
pub(super) fn takes_text(values: &Values) -> bool {
    matches!(
        values,
        Values::Float(_)
            | Values::Double(_)
            | Values::Decimal { .. }
            | Values::Date(_)
            | Values::Time(_)
            | Values::Timestamp { .. }
            | Values::Uuid(_)
            | Values::Fixed { .. }
            | Values::Binary { .. }
    )
}

#[inline]
pub(super) fn write_number(values: &mut Values, number: Number<'_>) -> Outcome {
    match values {
        Values::Double(values) => match number.to_f64() {
            Some(value) => values.push(value),
            None => return Err(does_not_fit(number.text, "double")),
        },
        Values::Float(values) => match number.to_f32() {
            Some(value) => values.push(value),
            None => return Err(does_not_fit(number.text, "float")),
        },
        Values::Long(values) => {
            values.push(
                number
                    .to_i64()
                    .map_err(|misfit| not_whole(number, misfit, "long"))?,
            );
        }
        Values::Int(values) => {
            let value = number
                .to_i64()
                .and_then(|value| i32::try_from(value).map_err(|_| Misfit::Range));
            values.push(value.map_err(|misfit| not_whole(number, misfit, "int"))?);
        }
        Values::Decimal {
            values,
            precision,
            scale,
        } => {
            let value = number.to_scaled(*scale).and_then(|value| {
                within_precision(value, *precision)
                    .then_some(value)
                    .ok_or(Misfit::Range)
            });
            values.push(value.map_err(|misfit| {
                let number = excerpt(number.text, 50);
                Fault::new(match misfit {
                    Misfit::Fraction => format!(
                        "{number} has more digits after the point than decimal({precision}, {scale}) keeps, and is not rounded"
                    ),
                    Misfit::Range => {
                        format!("{number} has more digits than decimal({precision}, {scale}) holds")
                    }
                })
            })?);
        }
        Values::Timestamp { values, nanos, .. } => {
            let millis = number
                .to_i64()
                .map_err(|misfit| not_whole(number, misfit, "timestamp in milliseconds"))?;
            values.push(temporal::from_millis(millis, *nanos).ok_or_else(|| {
                Fault::new(format!(
                    "{millis} is not a time in milliseconds since 1970 that a timestamp holds"
                ))
            })?);
        }
        _ => {
            return Err(Fault::new(format!(
                "a number is not a {}",
                type_name(values)
            )));
        }
    }
    Ok(())
}

/// Writes a string's text as a value of a type that has no notation of its own in JSON.
#[inline]
pub(super) fn write_text(values: &mut Values, text: &[u8], last_date: &mut LastDate) -> Outcome {
    let flaw = |type_name: &str, flaw: &str| {
        Fault::new(format!(
            "string \"{}\" is not a {type_name}: {flaw}",
            excerpt(text, 60)
        ))
    };
    match values {
        Values::Timestamp {
            values,
            zoned,
            nanos,
        } => {
            values.push(
                temporal::timestamp(text, *zoned, *nanos, last_date)
                    .map_err(|why| flaw(timestamp_name(*zoned, *nanos), why))?,
            );
        }
        Values::Date(values) => {
            values.push(temporal::date(text, last_date).map_err(|why| flaw("date", why))?);
        }
        Values::Time(values) => {
            values.push(temporal::time(text).map_err(|why| flaw("time", why))?);
        }
        Values::String(strings) => {
            strings.bytes.extend_from_slice(text);
            strings.end_value();
        }
        Values::Double(values) => values.push(
            not_finite(text)
                .ok_or_else(|| flaw("double", "only NaN, Infinity and -Infinity are strings"))?,
        ),
        Values::Float(values) => values.push(
            not_finite(text)
                .ok_or_else(|| flaw("float", "only NaN, Infinity and -Infinity are strings"))?
                as f32,
        ),
        Values::Decimal { .. } => {
            let mut scan = Scanner::new(text);
            match scan.number() {
                Ok(number) if scan.at_end() => write_number(values, number)?,
                _ => return Err(flaw("decimal", "expected a number like -12.50")),
            }
        }
        Values::Uuid(bytes) => {
            // Thirty-six characters: of the notations that the parser knows only the canonical one.
            let uuid = (text.len() == 36)
                .then(|| uuid::Uuid::try_parse_ascii(text).ok())
                .flatten()
                .ok_or_else(|| flaw("uuid", "expected 8-4-4-4-12 hexadecimal digits"))?;
            bytes.extend_from_slice(uuid.as_bytes());
        }
        Values::Fixed { bytes, width } => {
            let start = bytes.len();
            BASE64
                .decode_vec(text, bytes)
                .map_err(|error| flaw("fixed", &format!("expected base64: {error}")))?;
            let found = bytes.len() - start;
            if found != *width {
                return Err(flaw(
                    "fixed",
                    &format!("expected {width} bytes, found {found}"),
                ));
            }
        }
        Values::Binary { offsets, bytes } => {
            BASE64
                .decode_vec(text, bytes)
                .map_err(|error| flaw("binary", &format!("expected base64: {error}")))?;
            offsets.push(bytes.len() as i64);
        }
        _ => return Err(flaw(&type_name(values), "it is not written as a string")),
    }
    Ok(())
}

fn not_finite(text: &[u8]) -> Option<f64> {
    match text {
        b"NaN" => Some(f64::NAN),
        b"Infinity" => Some(f64::INFINITY),
        b"-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

#[cold]
fn does_not_fit(number: &[u8], type_name: &str) -> Fault {
    Fault::new(format!("{} does not fit {type_name}", excerpt(number, 50)))
}

#[cold]
fn not_whole(number: Number<'_>, misfit: Misfit, type_name: &str) -> Fault {
    match misfit {
        Misfit::Range => does_not_fit(number.text, type_name),
        Misfit::Fraction => Fault::new(format!(
            "expected {type_name}, found {}, which is not a whole number",
            excerpt(number.text, 50)
        )),
    }
}

fn timestamp_name(zoned: bool, nanos: bool) -> &'static str {
    match (zoned, nanos) {
        (true, false) => "timestamptz",
        (false, false) => "timestamp",
        (true, true) => "timestamptz_ns",
        (false, true) => "timestamp_ns",
    }
}

/// What a column takes, in the words of a declaration.
pub(super) fn type_name(values: &Values) -> String {
    match values {
        Values::Boolean(_) => "boolean".to_owned(),
        Values::Int(_) => "int".to_owned(),
        Values::Long(_) => "long".to_owned(),
        Values::Float(_) => "float".to_owned(),
        Values::Double(_) => "double".to_owned(),
        Values::Decimal {
            precision, scale, ..
        } => format!("decimal({precision}, {scale})"),
        Values::Date(_) => "date (a string)".to_owned(),
        Values::Time(_) => "time (a string)".to_owned(),
        Values::Timestamp { zoned, nanos, .. } => {
            format!(
                "{} (a string, or milliseconds)",
                timestamp_name(*zoned, *nanos)
            )
        }
        Values::String(_) => "string".to_owned(),
        Values::Uuid(_) => "uuid (a string)".to_owned(),
        Values::Fixed { width, .. } => format!("fixed({width}) (a base64 string)"),
        Values::Binary { .. } => "binary (a base64 string)".to_owned(),
        Values::Struct(_) => "struct (an object)".to_owned(),
        Values::List { .. } => "list (an array)".to_owned(),
        Values::Map { .. } => "map (an object)".to_owned(),
    }
}
