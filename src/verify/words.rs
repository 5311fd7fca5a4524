//! Numbers and times as people read them.

use std::time::Duration;

use indicatif::{HumanBytes, HumanCount};

/// `250 ms`, `60 s`, `10 min`, `13 min 6 s`, `36 h`, `7 d`
pub(crate) fn span(time: Duration) -> String {
    let ms = time.as_millis();
    let (seconds, minutes, hours) = (ms / 1_000, ms / 60_000, ms / 3_600_000);
    let two = |large: u128, unit: &str, small: u128, lesser: &str| match small {
        0 => format!("{large} {unit}"),
        small => format!("{large} {unit} {small} {lesser}"),
    };
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..10_000 if !ms.is_multiple_of(1_000) => format!("{:.1} s", time.as_secs_f64()),
        1_000..120_000 => format!("{seconds} s"),
        120_000..7_200_000 => two(minutes, "min", seconds % 60, "s"),
        7_200_000..172_800_000 => two(hours, "h", minutes % 60, "min"),
        _ => two(hours / 24, "d", hours % 24, "h"),
    }
}

/// The same, of milliseconds.
pub(crate) fn span_ms(ms: u64) -> String {
    span(Duration::from_millis(ms))
}

/// How long before `now` something was; both in milliseconds since 1970.
pub(crate) fn ago(now_ms: i64, then_ms: i64) -> String {
    span_ms(u64::try_from(now_ms - then_ms).unwrap_or_default())
}

/// `1 row`, `2,000 rows`
pub(crate) fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", HumanCount(number))
}

/// `12.34 MiB`
pub(crate) fn bytes(number: u64) -> String {
    HumanBytes(number).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_units_that_fit() {
        let told = |ms| span(Duration::from_millis(ms));
        assert_eq!(told(250), "250 ms");
        assert_eq!(told(1_500), "1.5 s");
        assert_eq!(told(60_020), "60 s");
        assert_eq!(told(600_000), "10 min");
        assert_eq!(told(786_000), "13 min 6 s");
        assert_eq!(told(129_600_000), "36 h");
        assert_eq!(told(604_800_000), "7 d");
    }
}
