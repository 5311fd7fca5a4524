//! How values are written: text in, typed value out, or what was expected instead.
//!
//! The error of every function here is the end of the sentence "expected …". It never quotes the
//! value: the caller does, who knows whether it is secret.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::secret::{Secret, Uri};
use super::settings::{
    CatalogKind, CheckpointMode, CheckpointRetention, RestartStrategy, RollUp, StateBackend,
};

/// A value, or what was expected.
pub(super) type Parsed<T> = Result<T, String>;

/// The longest duration a setting takes. A limit keeps `Instant + duration` from overflowing.
pub(super) const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Any text on one line.
pub(super) fn text(value: &str) -> Parsed<String> {
    let value = value.trim();
    if value.is_empty() || value.chars().any(char::is_control) {
        return Err("text on one line".into());
    }
    Ok(value.to_owned())
}

/// Any text, line breaks allowed.
pub(super) fn free_text(value: &str) -> Parsed<String> {
    Ok(value.trim().to_owned())
}

/// A secret, as it is but for a line break at its end: files that hold one secret often add one.
pub(super) fn secret(value: &str) -> Parsed<Secret> {
    let value = value.trim_end_matches(['\r', '\n']);
    if value.chars().any(char::is_control) {
        return Err("a secret on one line".into());
    }
    Ok(Secret::new(value))
}

/// `true` or `false`.
pub(super) fn truth(value: &str) -> Parsed<bool> {
    one_of(value, &[("true", true), ("false", false)])
}

/// One of a few words, in any case; a word may stand in the list under several spellings.
pub(super) fn one_of<T: Copy>(value: &str, words: &[(&str, T)]) -> Parsed<T> {
    let value = value.trim();
    let found = words.iter().find(|(w, _)| w.eq_ignore_ascii_case(value));
    match found {
        Some((_, meaning)) => Ok(*meaning),
        None => {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            Err(words.join(" or "))
        }
    }
}

/// A whole number of `unit`.
pub(super) fn whole<T: TryFrom<u64>>(
    value: &str,
    unit: &str,
    range: RangeInclusive<u64>,
) -> Parsed<T> {
    let number = value.trim().parse().ok();
    number
        .filter(|number| range.contains(number))
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            if least == most {
                format!("{least}")
            } else {
                format!("a whole number of {unit} from {least} to {most}")
            }
        })
}

/// A port, a range of them, or `off`. Port 0 is any that is free.
pub(super) fn ports_or_off(value: &str) -> Parsed<Option<RangeInclusive<u16>>> {
    let value = value.trim();
    if value.eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    let (first, last) = value.split_once('-').unwrap_or((value, value));
    let port = |text: &str| text.trim().parse::<u16>().ok();
    port(first)
        .zip(port(last))
        .filter(|(first, last)| first <= last && (*first > 0 || *last == 0))
        .map(|(first, last)| Some(first..=last))
        .ok_or_else(|| {
            "a port such as 8081 (0 takes a free one), a range such as 8081-8090, or off".into()
        })
}

/// An address of this machine to listen on.
pub(super) fn address(value: &str) -> Parsed<IpAddr> {
    match value.trim() {
        "localhost" => Ok(Ipv4Addr::LOCALHOST.into()),
        value => value.parse().map_err(|_| {
            "an IP address of this machine, such as 127.0.0.1, 0.0.0.0 or ::1, or localhost".into()
        }),
    }
}

/// A number with a fraction.
pub(super) fn decimal(value: &str, range: RangeInclusive<f64>) -> Parsed<f64> {
    let number = value.trim().parse().ok();
    number
        .filter(|number| range.contains(number))
        .ok_or_else(|| format!("a number from {} to {}", range.start(), range.end()))
}

/// A duration as Flink writes it (`500ms`, `60 s`, `10min`, `30000`), or several in one (`1 h 30 min`).
pub(super) fn duration(value: &str, least: Duration) -> Parsed<Duration> {
    parse_duration(value)
        .filter(|duration| (least..=DURATION_MAX).contains(duration))
        .ok_or_else(|| {
            let least = match least {
                Duration::ZERO => String::new(),
                least => format!("at least {least:?}, "),
            };
            format!(
                "a duration such as 500ms, 60s, 10min, 1h 30min or 2d (a bare number is milliseconds), \
                 {least}at most 365d"
            )
        })
}

/// Every form that Flink's `TimeUtils` reads; and numbers with units that follow each other, the larger first.
fn parse_duration(text: &str) -> Option<Duration> {
    const NANOSECOND: u64 = 1;
    const MICROSECOND: u64 = 1_000 * NANOSECOND;
    const MILLISECOND: u64 = 1_000 * MICROSECOND;
    const SECOND: u64 = 1_000 * MILLISECOND;
    let mut rest = text.trim();
    if let Ok(milliseconds) = whole_number(rest) {
        return Some(Duration::from_millis(milliseconds));
    }
    let (mut sum, mut unit_before) = (Duration::ZERO, u64::MAX);
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit())?;
        let number = whole_number(&rest[..number_end]).ok()?;
        rest = rest[number_end..].trim_start();
        let unit_end = rest.find(|c: char| c.is_ascii_digit() || c.is_whitespace());
        let (unit, behind) = rest.split_at(unit_end.unwrap_or(rest.len()));
        rest = behind.trim_start();
        let nanoseconds = match &*unit.to_lowercase() {
            "ns" | "nano" | "nanos" | "nanosecond" | "nanoseconds" => NANOSECOND,
            "µs" | "μs" | "us" | "micro" | "micros" | "microsecond" | "microseconds" => {
                MICROSECOND
            }
            "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => MILLISECOND,
            "s" | "sec" | "secs" | "second" | "seconds" => SECOND,
            "m" | "min" | "mins" | "minute" | "minutes" => 60 * SECOND,
            "h" | "hour" | "hours" => 3_600 * SECOND,
            "d" | "day" | "days" => 86_400 * SECOND,
            _ => return None,
        };
        if nanoseconds >= unit_before {
            return None;
        }
        unit_before = nanoseconds;
        let seconds = number.checked_mul(nanoseconds / SECOND)?;
        let part = match nanoseconds {
            // Below a second the number itself may be more than fits.
            ..SECOND => Duration::from_nanos(number.checked_mul(nanoseconds)?),
            _ => Duration::from_secs(seconds),
        };
        sum = sum.checked_add(part)?;
    }
    (unit_before < u64::MAX).then_some(sum)
}

/// Digits alone: `parse` would take a sign too.
fn whole_number(text: &str) -> Result<u64, ()> {
    match text.bytes().all(|b| b.is_ascii_digit()) {
        true => text.parse().map_err(|_| ()),
        false => Err(()),
    }
}

/// A duration of which 0 means never.
pub(super) fn duration_or_off(value: &str) -> Parsed<Option<Duration>> {
    let duration = duration(value, Duration::ZERO).map_err(|e| format!("{e}, 0 to turn it off"))?;
    Ok((!duration.is_zero()).then_some(duration))
}

/// A size as Flink writes it: `64KB`, `256 mb`, `1 gb`, or `16MiB`; a bare number is bytes, 1 KB is 1024 bytes.
pub(super) fn size(value: &str, least: u64) -> Parsed<u64> {
    let parse = || {
        let (number, unit) = number_and_unit(value)?;
        let shift = match &*unit {
            "" | "b" | "bytes" => 0,
            "k" | "kb" | "kib" | "kibibytes" => 10,
            "m" | "mb" | "mib" | "mebibytes" => 20,
            "g" | "gb" | "gib" | "gibibytes" => 30,
            "t" | "tb" | "tib" | "tebibytes" => 40,
            _ => return None,
        };
        number.checked_mul(1 << shift)
    };
    parse()
        .filter(|bytes| (least..=i64::MAX as u64).contains(bytes))
        .ok_or_else(|| {
            let least = match least {
                least if least >= 1 << 20 => format!("{}MB", least >> 20),
                least => format!("{}KB", least >> 10),
            };
            format!("a size such as 64KB, 256MB or 1GB (a bare number is bytes), at least {least}")
        })
}

/// `12 MB` as 12 and `mb`.
fn number_and_unit(value: &str) -> Option<(u64, String)> {
    let value = value.trim();
    let end = value
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(value.len());
    let (number, unit) = value.split_at(end);
    Some((number.parse().ok()?, unit.trim().to_ascii_lowercase()))
}

/// The pipeline's name. It becomes part of file names and property names, hence the few characters.
pub(super) fn pipeline_name(value: &str) -> Parsed<String> {
    let value = value.trim();
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if value.len() <= 128
        && value.starts_with(|c: char| c.is_ascii_alphanumeric())
        && value.chars().all(legal)
    {
        Ok(value.to_owned())
    } else {
        Err(
            "letters, digits, `.`, `_` and `-`, a letter or digit first, at most 128 characters"
                .into(),
        )
    }
}

/// `host:port`, separated by commas.
pub(super) fn brokers(value: &str) -> Parsed<String> {
    let legal = |broker: &str| {
        let port = broker
            .rsplit_once(':')
            .filter(|(_, port)| !port.ends_with(']'));
        !broker.is_empty()
            && !broker.contains(|c: char| c.is_whitespace() || c.is_control())
            && port.is_none_or(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
    };
    let brokers: Vec<&str> = value.split(',').map(str::trim).collect();
    if brokers.iter().all(|broker| legal(broker)) {
        Ok(brokers.join(","))
    } else {
        Err("host:port, several separated by commas, such as localhost:9092".into())
    }
}

/// Topic names, separated by commas. No patterns: `^` is not legal in a topic's name.
pub(super) fn topics(value: &str) -> Parsed<Vec<String>> {
    let legal = |topic: &str| {
        (1..=249).contains(&topic.len())
            && topic
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    let topics: Vec<String> = value.split(',').map(|t| t.trim().to_owned()).collect();
    let distinct: HashSet<&String> = topics.iter().collect();
    if distinct.len() == topics.len() && topics.iter().all(|topic| legal(topic)) {
        Ok(topics)
    } else {
        Err(
            "a topic (letters, digits, `.`, `_` and `-`), several separated by commas, each once"
                .into(),
        )
    }
}

/// Names of columns, separated by commas. Whether the table has them is asked when it is there.
pub(super) fn columns(value: &str) -> Parsed<Vec<String>> {
    let columns: Vec<String> = value.split(',').map(|c| c.trim().to_owned()).collect();
    let distinct: HashSet<&String> = columns.iter().collect();
    let legal = |column: &String| !column.is_empty() && !column.contains(char::is_control);
    if distinct.len() == columns.len() && columns.iter().all(legal) {
        Ok(columns)
    } else {
        Err("a column, several separated by commas, each once".into())
    }
}

/// `week`, `month`, both, or `none`.
pub(super) fn roll_ups(value: &str) -> Parsed<Vec<RollUp>> {
    let words = [("week", RollUp::Week), ("month", RollUp::Month)];
    let parsed = match value.trim().eq_ignore_ascii_case("none") {
        true => Ok(Vec::new()),
        false => value.split(',').map(|word| one_of(word, &words)).collect(),
    };
    let distinct = |found: &Vec<RollUp>| found.iter().collect::<HashSet<_>>().len() == found.len();
    let parsed = parsed.ok().filter(distinct);
    parsed.ok_or_else(|| "week, month, both separated by a comma, or none".into())
}

/// `a.b.c`: nested namespaces.
pub(super) fn database(value: &str) -> Parsed<Vec<String>> {
    let levels: Vec<String> = value.trim().split('.').map(str::to_owned).collect();
    let legal =
        |level: &String| !level.is_empty() && !level.contains(|c: char| c == '/' || c.is_control());
    if levels.iter().all(legal) {
        Ok(levels)
    } else {
        Err("a namespace, dots between nested ones, such as `health` or `lake.health`".into())
    }
}

/// A table's name alone.
pub(super) fn table(value: &str) -> Parsed<String> {
    let value = value.trim();
    if value.contains(|c: char| c == '.' || c == '/' || c.is_control()) {
        return Err("a table's name without dots; its namespace goes to table.database".into());
    }
    Ok(value.to_owned())
}

/// The address of a catalog of either kind.
pub(super) fn catalog_uri(value: &str) -> Parsed<Uri> {
    let value = value.trim();
    match catalog_kind(value) {
        Some(_) if !value.contains(|c: char| c.is_whitespace() || c.is_control()) => {
            Ok(Uri::new(value))
        }
        _ => Err(
            "sqlite:///absolute/file.db, postgres://…, postgresql://…, http://… or https://…"
                .into(),
        ),
    }
}

/// The kind of catalog that an address is of.
pub(super) fn catalog_kind(uri: &str) -> Option<CatalogKind> {
    const SCHEMES: [(&str, CatalogKind); 5] = [
        ("sqlite:///", CatalogKind::Sql),
        ("postgres://", CatalogKind::Sql),
        ("postgresql://", CatalogKind::Sql),
        ("http://", CatalogKind::Rest),
        ("https://", CatalogKind::Rest),
    ];
    SCHEMES.iter().find_map(|(scheme, kind)| {
        let rest = uri.strip_prefix(scheme)?;
        (!rest.is_empty()).then_some(*kind)
    })
}

/// An HTTP address.
pub(super) fn http(value: &str) -> Parsed<Uri> {
    let value = value.trim();
    match catalog_kind(value) {
        Some(CatalogKind::Rest)
            if !value.contains(|c: char| c.is_whitespace() || c.is_control()) =>
        {
            Ok(Uri::new(value))
        }
        _ => Err("http://… or https://…".into()),
    }
}

/// Where files can be: a local directory or a bucket.
pub(super) fn location(value: &str) -> Parsed<String> {
    let value = value.trim();
    let bucket = value
        .strip_prefix("s3://")
        .or_else(|| value.strip_prefix("s3a://"))
        .and_then(|rest| rest.split('/').next());
    let legal = match bucket {
        // A bucket's name can't hold these; `key:secret@bucket` can, and must not get into a table.
        Some(bucket) => !bucket.is_empty() && !bucket.contains(['@', ':']),
        None => value.starts_with("file:///") || value.starts_with('/'),
    };
    if legal && !value.chars().any(char::is_control) {
        Ok(value.to_owned())
    } else {
        Err("file:///absolute/path, an absolute path, s3://bucket/path or s3a://bucket/path".into())
    }
}

/// A folder on the local disk.
pub(super) fn local_folder(value: &str) -> Parsed<PathBuf> {
    let value = value.trim();
    let path = value.strip_prefix("file://").unwrap_or(value);
    if path.starts_with('/') && !path.chars().any(char::is_control) {
        Ok(PathBuf::from(path))
    } else {
        Err("an absolute path or file:///absolute/path: one folder on the local disk".into())
    }
}

/// A location, or a name (which only a REST catalog can look up; that is checked later).
pub(super) fn warehouse(value: &str) -> Parsed<String> {
    let value = value.trim();
    let name = !value.is_empty()
        && !value.contains("://")
        && !value.starts_with('.')
        && !value.contains(|c: char| c.is_whitespace() || c.is_control() || c == '@');
    if name {
        return Ok(value.to_owned());
    }
    location(value).map_err(|expected| {
        format!("{expected}; with a REST catalog also the name of one of its warehouses")
    })
}

/// `EXACTLY_ONCE` as Flink spells it, or in kebab or snake case.
pub(super) fn checkpoint_mode(value: &str) -> Parsed<CheckpointMode> {
    match &*value.trim().to_ascii_lowercase().replace('-', "_") {
        "exactly_once" => Ok(CheckpointMode::ExactlyOnce),
        "at_least_once" => Err(
            "EXACTLY_ONCE: calve is always exactly once, and a job that asks for less would \
             silently get something else than it says"
                .into(),
        ),
        _ => Err("EXACTLY_ONCE".into()),
    }
}

/// There can be only one checkpoint under way.
pub(super) fn max_concurrent(value: &str) -> Parsed<usize> {
    whole(value, "checkpoints", 1..=1).map_err(|one| {
        format!("{one}: table commits form a chain, so a second checkpoint could only wait for the first")
    })
}

/// `RETAIN_ON_CANCELLATION` as Flink spells it, or in kebab-case.
pub(super) fn checkpoint_retention(value: &str) -> Parsed<CheckpointRetention> {
    match &*value.trim().to_ascii_lowercase().replace('-', "_") {
        "retain_on_cancellation" => Ok(CheckpointRetention::RetainOnCancellation),
        "delete_on_cancellation" | "no_externalized_checkpoints" => Err(
            "RETAIN_ON_CANCELLATION: the table names the snapshot that belongs to its rows, and could \
             not be gone on with if that were deleted; whoever is done with a pipeline deletes its \
             folder in state.checkpoints.dir"
                .into(),
        ),
        _ => Err("RETAIN_ON_CANCELLATION".into()),
    }
}

/// Flink's names for state backends: a word, or the class of a factory.
pub(super) fn state_backend(value: &str) -> Parsed<StateBackend> {
    let word = value.trim().rsplit('.').next().unwrap_or_default();
    match &*word.to_ascii_lowercase() {
        "rocksdb" | "embeddedrocksdbstatebackendfactory" | "rocksdbstatebackendfactory" => {
            Ok(StateBackend::Rocksdb)
        }
        // The last two are how Flink 1.x called a heap whose checkpoints lie here or there.
        "memory" | "hashmap" | "hashmapstatebackendfactory" | "filesystem" | "jobmanager" => {
            Ok(StateBackend::Memory)
        }
        _ => Err("rocksdb or memory (Flink's hashmap)".into()),
    }
}

/// Flink's names for restart strategies, in all its spellings.
pub(super) fn restart_strategy(value: &str) -> Parsed<RestartStrategy> {
    match &*value.trim().to_ascii_lowercase().replace('-', "") {
        "none" | "off" | "disable" => Ok(RestartStrategy::None),
        "fixeddelay" => Ok(RestartStrategy::FixedDelay),
        "exponentialdelay" => Ok(RestartStrategy::ExponentialDelay),
        "failurerate" => Ok(RestartStrategy::FailureRate),
        _ => Err("none or fixed-delay or exponential-delay or failure-rate".into()),
    }
}

/// A filter in the syntax of `tracing`.
pub(super) fn log_level(value: &str) -> Parsed<String> {
    let value = value.trim();
    match tracing_subscriber::EnvFilter::builder().parse(value) {
        Ok(_) => Ok(value.to_owned()),
        Err(_) => Err(
            "error, warn, info, debug or trace, or a filter such as info,calve::iceberg=debug"
                .into(),
        ),
    }
}

/// The name of an HTTP header, in lower case: those names are case-insensitive.
pub(super) fn header_name(name: &str) -> Parsed<String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if !name.is_empty() && name.chars().all(legal) {
        Ok(name.to_ascii_lowercase())
    } else {
        Err("an HTTP header's name: letters, digits and `-`".into())
    }
}

/// The value of an HTTP header.
pub(super) fn header_value(value: &str) -> Parsed<Secret> {
    let value = value.trim();
    if value.chars().all(|c| c == '\t' || (' '..='~').contains(&c)) {
        Ok(Secret::new(value))
    } else {
        Err("an HTTP header's value: printable ASCII on one line".into())
    }
}
