//! Dates and times as text.
//!
//! The formats are those of ISO 8601 and RFC 3339 that producers really write; the table in the
//! parent module says which. Everything is integer arithmetic on the proleptic Gregorian calendar.

/// Why a text is not the date or time that was expected.
pub(in crate::format) type Flaw = &'static str;

pub(super) const MILLIS_PER_DAY: i64 = 86_400_000;
const NANOS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// Days from 1970-01-01 to 0001-01-01 and to 9999-12-31.
const DAY_MIN: i64 = -719_162;
const DAY_MAX: i64 = 2_932_896;

/// The last date read: records that arrive together mostly have the same one.
pub(in crate::format) struct LastDate {
    text: [u8; 10],
    days: i32,
}

impl Default for LastDate {
    fn default() -> Self {
        Self {
            text: *b"1970-01-01",
            days: 0,
        }
    }
}

impl LastDate {
    /// Days since 1970-01-01 of a `YYYY-MM-DD`.
    #[inline]
    pub(super) fn days(&mut self, text: &[u8; 10]) -> Option<i32> {
        if *text != self.text {
            self.days = days(text)?;
            self.text = *text;
        }
        Some(self.days)
    }
}

/// Days since 1970-01-01 of a `YYYY-MM-DD` between the years 1 and 9999.
fn days(text: &[u8; 10]) -> Option<i32> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *text else {
        return None;
    };
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    let month = two(m1, m2)?;
    let day = two(d1, d2)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if year == 0 || day == 0 || day > length {
        return None;
    }
    // The year begins in March, so that the leap day is its last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    Some(year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468)
}

/// A date, `YYYY-MM-DD`, as days since 1970-01-01.
pub(in crate::format) fn date(text: &[u8], last: &mut LastDate) -> Result<i32, Flaw> {
    <&[u8; 10]>::try_from(text)
        .ok()
        .and_then(|text| last.days(text))
        .ok_or("expected a date `YYYY-MM-DD` between the years 0001 and 9999")
}

/// A time of day, `HH:MM[:SS[.f]]`, as microseconds since midnight.
pub(super) fn time(text: &[u8]) -> Result<i64, Flaw> {
    let (nanos, rest) = time_of_day(text)?;
    if !rest.is_empty() {
        return Err("expected a time `HH:MM:SS.ffffff` and nothing after it");
    }
    micros(nanos)
}

/// A timestamp's text, split.
struct Moment {
    days: i64,
    nanos_of_day: i64,
    /// Seconds east of Greenwich; `None` without a zone.
    offset: Option<i64>,
}

/// A date and a time of day, with a zone if `zoned`, as micro- or nanoseconds since 1970.
#[inline]
pub(in crate::format) fn timestamp(
    text: &[u8],
    zoned: bool,
    nanos: bool,
    last: &mut LastDate,
) -> Result<i64, Flaw> {
    let moment = moment(text, last)?;
    let offset = match (zoned, moment.offset) {
        (true, Some(offset)) => offset,
        (false, None) => 0,
        (true, None) => return Err("it has no zone: expected `Z` or an offset at its end"),
        (false, Some(_)) => return Err("it has a zone, which a timestamp without zone can't keep"),
    };
    let seconds = moment.days * SECONDS_PER_DAY + moment.nanos_of_day / NANOS_PER_SECOND - offset;
    if !(DAY_MIN * SECONDS_PER_DAY..(DAY_MAX + 1) * SECONDS_PER_DAY).contains(&seconds) {
        return Err("in UTC it is not between the years 0001 and 9999");
    }
    let fraction = moment.nanos_of_day % NANOS_PER_SECOND;
    if nanos {
        return seconds
            .checked_mul(NANOS_PER_SECOND)
            .and_then(|value| value.checked_add(fraction))
            .ok_or("nanoseconds reach only from the year 1677 to 2262");
    }
    Ok(seconds * 1_000_000 + micros(fraction)?)
}

/// An epoch in milliseconds as micro- or nanoseconds; `None` outside the years 1 to 9999.
///
/// The bounds also catch what is really microseconds or nanoseconds.
pub(super) fn from_millis(millis: i64, nanos: bool) -> Option<i64> {
    if !(DAY_MIN * MILLIS_PER_DAY..(DAY_MAX + 1) * MILLIS_PER_DAY).contains(&millis) {
        return None;
    }
    millis.checked_mul(if nanos { 1_000_000 } else { 1_000 })
}

/// The length of a `"YYYY-MM-DDTHH:MM:SS.mmmZ"`, quotes included.
pub(super) const QUOTED_UTC_MILLIS: usize = 26;

/// The short way for the most usual form of all; `None` if `text` has another.
#[inline]
pub(super) fn quoted_utc_millis(
    text: &[u8; QUOTED_UTC_MILLIS],
    last: &mut LastDate,
) -> Option<i64> {
    let [b'"', text @ ..] = text else { return None };
    let (date, rest) = text.split_first_chunk::<10>()?;
    let [b'T', rest @ ..] = rest else { return None };
    let (clock, rest) = rest.split_first_chunk::<8>()?;
    let [b'.', m1, m2, m3, b'Z', b'"'] = rest else {
        return None;
    };
    // Digits become their values, colons zero; adding 0x76 sets the high bit of all above 9.
    let clock = u64::from_le_bytes(*clock) ^ u64::from_le_bytes(*b"00:00:00");
    let bad_digits = (clock.wrapping_add(0x7676_7676_7676_7676) | clock) & 0x8080_8080_8080_8080;
    let bad_colons = clock & 0x0000_ff00_00ff_0000;
    if bad_digits | bad_colons != 0 {
        return None;
    }
    let [h1, h2, _, n1, n2, _, s1, s2] = clock.to_le_bytes().map(i64::from);
    let (hours, minutes, seconds) = (h1 * 10 + h2, n1 * 10 + n2, s1 * 10 + s2);
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let millis = i64::from(two(*m1, *m2)?) * 10 + i64::from(two(b'0', *m3)?);
    let days = i64::from(last.days(date)?);
    let seconds = days * SECONDS_PER_DAY + hours * 3600 + minutes * 60 + seconds;
    Some((seconds * 1_000 + millis) * 1_000)
}

#[inline]
fn moment(text: &[u8], last: &mut LastDate) -> Result<Moment, Flaw> {
    const SHAPE: Flaw = "expected a date and a time, `YYYY-MM-DDTHH:MM:SS.ffffff`, with a date between the years 0001 and 9999";
    let (date, rest) = text.split_first_chunk::<10>().ok_or(SHAPE)?;
    let days = i64::from(last.days(date).ok_or(SHAPE)?);
    let [b'T' | b't' | b' ', rest @ ..] = rest else {
        return Err(SHAPE);
    };
    let (nanos_of_day, zone) = time_of_day(rest)?;
    let offset = match zone {
        [] => None,
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), offset @ ..] => {
            let seconds =
                zone_offset(offset).ok_or("its zone is not `Z`, `±HH:MM`, `±HHMM` or `±HH`")?;
            Some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => return Err("its zone is not `Z`, `±HH:MM`, `±HHMM` or `±HH`"),
    };
    Ok(Moment {
        days,
        nanos_of_day,
        offset,
    })
}

fn zone_offset(text: &[u8]) -> Option<i64> {
    let (hours, minutes) = match *text {
        [h1, h2] => (two(h1, h2)?, 0),
        [h1, h2, m1, m2] | [h1, h2, b':', m1, m2] => (two(h1, h2)?, two(m1, m2)?),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then(|| i64::from(hours * 3600 + minutes * 60))
}

/// Nanoseconds since midnight of a `HH:MM[:SS[.f]]`, and what follows it.
#[inline]
fn time_of_day(text: &[u8]) -> Result<(i64, &[u8]), Flaw> {
    const SHAPE: Flaw = "expected a time `HH:MM:SS.ffffff` between 00:00:00 and 23:59:59.999999";
    let [h1, h2, b':', m1, m2, rest @ ..] = text else {
        return Err(SHAPE);
    };
    let hours = two(*h1, *h2).ok_or(SHAPE)?;
    let minutes = two(*m1, *m2).ok_or(SHAPE)?;
    let (seconds, rest) = match rest {
        [b':', s1, s2, rest @ ..] => (two(*s1, *s2).ok_or(SHAPE)?, rest),
        [b':', ..] => return Err(SHAPE),
        _ => (0, rest),
    };
    if hours > 23 || minutes > 59 || seconds > 59 {
        return Err(SHAPE);
    }
    let seconds = i64::from(hours * 3600 + minutes * 60 + seconds);
    let mut nanos = 0;
    let mut rest = rest;
    // A fraction belongs to seconds: after `HH:MM` a point is left over and fails as a zone.
    if let ([b'.', fraction @ ..], true) = (rest, text.get(5) == Some(&b':')) {
        let mut unit = NANOS_PER_SECOND;
        let mut at = 0;
        while let Some(digit @ b'0'..=b'9') = fraction.get(at) {
            unit /= 10;
            let digit = i64::from(digit - b'0');
            if unit == 0 && digit != 0 {
                return Err("it is finer than a nanosecond");
            }
            nanos += digit * unit;
            at += 1;
        }
        if at == 0 {
            return Err(SHAPE);
        }
        rest = &fraction[at..];
    }
    Ok((seconds * NANOS_PER_SECOND + nanos, rest))
}

/// Nanoseconds as microseconds, if nothing is lost.
#[inline]
fn micros(nanos: i64) -> Result<i64, Flaw> {
    if nanos % 1_000 != 0 {
        return Err("it is finer than a microsecond, and is not rounded");
    }
    Ok(nanos / 1_000)
}

/// Two digits as a number.
#[inline]
fn two(tens: u8, ones: u8) -> Option<i32> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| i32::from(tens) * 10 + i32::from(ones))
}
