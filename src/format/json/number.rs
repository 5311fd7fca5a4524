//! JSON numbers, exactly.
//!
//! Integers and decimals never pass through a float. Floats take the short way where it is exact
//! (a mantissa below 2^53 and a power of ten up to 22: both are exact `f64`s, so one division or
//! multiplication rounds correctly), and the standard library's parser otherwise.

use super::fault::Outcome;
use super::scan::Scanner;

/// A number as it stands in the text.
#[derive(Clone, Copy)]
pub(super) struct Number<'a> {
    pub(super) text: &'a [u8],
    negative: bool,
    /// All digits before the exponent as one integer; meaningful if `short`.
    mantissa: u64,
    /// True if there are at most 19 digits, which a `u64` holds.
    short: bool,
    /// The power of ten that the digits, read as an integer, are to be multiplied with.
    exponent: i64,
}

/// Why a number does not fit a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// There are digits after the last place that the type has.
    Fraction,
    /// The value is too large.
    Range,
}

const SHORT_DIGITS_MAX: usize = 19;
/// Exponents beyond this are all the same: too large, or zero.
const EXPONENT_MAX: i64 = 1_000_000_000;
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

impl<'a> Scanner<'a> {
    /// Moves over a number; fails if what stands here is none.
    #[inline]
    pub(super) fn number(&mut self) -> Outcome<Number<'a>> {
        let text = self.rest();
        let negative = text.first() == Some(&b'-');
        let mut at = usize::from(negative);
        let mut mantissa = 0_u64;

        let whole = digits(text, &mut at, &mut mantissa);
        if whole == 0 || (whole > 1 && text.get(at - whole) == Some(&b'0')) {
            return Err(self.unexpected("a number"));
        }
        let mut fraction = 0;
        if text.get(at) == Some(&b'.') {
            at += 1;
            fraction = digits(text, &mut at, &mut mantissa);
            if fraction == 0 {
                return Err(self.unexpected("a number"));
            }
        }
        let mut exponent = 0;
        if let Some(b'e' | b'E') = text.get(at) {
            at += 1;
            let sign = text.get(at).copied();
            if let Some(b'+' | b'-') = sign {
                at += 1;
            }
            let start = at;
            while let Some(digit @ b'0'..=b'9') = text.get(at) {
                exponent = (exponent * 10 + i64::from(digit - b'0')).min(EXPONENT_MAX);
                at += 1;
            }
            if at == start {
                return Err(self.unexpected("a number"));
            }
            if sign == Some(b'-') {
                exponent = -exponent;
            }
        }
        self.set_pos(self.pos() + at);
        Ok(Number {
            text: &text[..at],
            negative,
            mantissa,
            short: whole + fraction <= SHORT_DIGITS_MAX,
            exponent: exponent - fraction as i64,
        })
    }
}

/// Moves over digits and adds them to `value`, which wraps; how many there were.
#[inline]
fn digits(text: &[u8], at: &mut usize, value: &mut u64) -> usize {
    let start = *at;
    while let Some(digit) = text.get(*at).map(|byte| byte.wrapping_sub(b'0'))
        && digit < 10
    {
        *value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        *at += 1;
    }
    *at - start
}

/// A number of at most seven characters behind its sign, which a `,` or `}` ends.
///
/// How many digits stand on either side of the point is different in every record, so a loop over them is a
/// branch that nobody predicts. Here there is none: with it a `double` costs a third less.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Short {
    negative: bool,
    digits: u32,
    /// How many of the digits stand behind the point.
    places: usize,
    /// Bytes of the text.
    pub(super) len: usize,
}

impl Short {
    /// The number that `text` begins with, if it is a short one: no more than eight bytes are looked at.
    #[inline(always)]
    pub(super) fn of(text: &[u8]) -> Option<Self> {
        const ZEROS: u64 = u64::from_ne_bytes([b'0'; 8]);
        const NOT_NINE: u64 = u64::from_ne_bytes([0x80 - 10; 8]);
        const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
        let negative = text.first() == Some(&b'-');
        let window: &[u8; 8] = text.get(usize::from(negative)..)?.first_chunk()?;
        // Digits become their values, and all others more than nine: the sum sets the high bit of these. A carry
        // can only come from a byte that is not ASCII, and what stands behind such a byte is not looked at.
        let values = u64::from_le_bytes(*window) ^ ZEROS;
        let others = (values.wrapping_add(NOT_NINE) | values) & HIGHS;
        let whole = (others.trailing_zeros() / 8) as usize;
        let point = *window.get(whole)? == b'.';
        // Without a point the next byte that is no digit is the first one.
        let others = if point { others & (others - 1) } else { others };
        let end = (others.trailing_zeros() / 8) as usize;
        let (b',' | b'}') = *window.get(end)? else {
            return None;
        };
        let places = end - whole - usize::from(point);
        let count = whole + places;
        // `1.`, `.5`, `01` and nothing at all are not numbers.
        if whole == 0 || (point && places == 0) || (whole > 1 && window[0] == b'0') {
            return None;
        }
        // The digits behind the point move up to those before it, then all of them to the word's end: the zeros
        // that come in are digits before the first one. A word has room for eight, and these are one to seven.
        let before = values & !(u64::MAX << (8 * whole));
        let behind = if point {
            values >> (8 * whole) >> 8 << (8 * whole)
        } else {
            0
        };
        let digits = (before | behind) << (8 * (8 - count));
        Some(Self {
            negative,
            digits: eight_digits(digits),
            places,
            len: usize::from(negative) + end,
        })
    }

    /// The nearest `f64`: both operands are exact.
    #[inline(always)]
    pub(super) fn to_f64(self) -> f64 {
        let value = f64::from(self.digits) / POWERS[self.places];
        if self.negative { -value } else { value }
    }

    /// The number and its length, if it has no point.
    #[inline(always)]
    pub(super) fn to_i32(self) -> Option<(i32, usize)> {
        let value = self.digits as i32;
        (self.places == 0).then_some((if self.negative { -value } else { value }, self.len))
    }
}

/// The number that eight bytes from 0 to 9 stand for, the first one in the lowest byte: pairs are added up, then
/// pairs of pairs.
#[inline(always)]
fn eight_digits(digits: u64) -> u32 {
    let pairs = (digits.wrapping_mul(1 + (10 << 8)) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(1 + (100 << 16)) >> 16) & 0x0000_ffff_0000_ffff;
    (fours.wrapping_mul(1 + (10_000 << 32)) >> 32) as u32
}

impl Number<'_> {
    /// The nearest `f64`; `None` if that is infinite.
    #[inline]
    pub(super) fn to_f64(self) -> Option<f64> {
        let exact = 1 << f64::MANTISSA_DIGITS;
        let power = self.exponent.unsigned_abs() as usize;
        if self.short && self.mantissa <= exact && power < POWERS.len() {
            let mantissa = self.mantissa as f64;
            let value = if self.exponent < 0 {
                mantissa / POWERS[power]
            } else {
                mantissa * POWERS[power]
            };
            return Some(if self.negative { -value } else { value });
        }
        self.parsed::<f64>().filter(|value| value.is_finite())
    }

    /// The nearest `f32`; `None` if that is infinite.
    pub(super) fn to_f32(self) -> Option<f32> {
        self.parsed::<f32>().filter(|value| value.is_finite())
    }

    fn parsed<T: std::str::FromStr>(self) -> Option<T> {
        std::str::from_utf8(self.text).ok()?.parse().ok()
    }

    /// The number as an `i64`, if it is one.
    #[inline]
    pub(super) fn to_i64(self) -> Result<i64, Misfit> {
        if self.short && self.exponent == 0 {
            let value = i128::from(self.mantissa);
            let value = if self.negative { -value } else { value };
            return i64::try_from(value).map_err(|_| Misfit::Range);
        }
        i64::try_from(self.to_scaled(0)?).map_err(|_| Misfit::Range)
    }

    /// The number times ten to the `scale`, exactly.
    pub(super) fn to_scaled(self, scale: i8) -> Result<i128, Misfit> {
        let (digits, exponent) = if self.short {
            (i128::from(self.mantissa), self.exponent)
        } else {
            self.long_digits(scale)?
        };
        if digits == 0 {
            return Ok(0);
        }
        let shift = exponent + i64::from(scale);
        let power = 10_i128.checked_pow(shift.unsigned_abs().min(100) as u32);
        let value = match (shift < 0, power) {
            (false, Some(power)) => digits.checked_mul(power).ok_or(Misfit::Range)?,
            (false, None) => return Err(Misfit::Range),
            (true, Some(power)) if digits % power == 0 => digits / power,
            (true, _) => return Err(Misfit::Fraction),
        };
        Ok(if self.negative { -value } else { value })
    }

    /// The digits of a number that has more than 19, without the zeros around them.
    fn long_digits(self, scale: i8) -> Result<(i128, i64), Misfit> {
        let digits = || {
            self.text
                .iter()
                .take_while(|byte| !matches!(byte, b'e' | b'E'))
                .filter(|byte| byte.is_ascii_digit())
                .map(|byte| byte - b'0')
        };
        let leading = digits().take_while(|digit| *digit == 0).count();
        let trailing = digits().fold(0, |zeros, digit| if digit == 0 { zeros + 1 } else { 0 });
        let significant = digits().count().saturating_sub(leading + trailing);
        let exponent = self.exponent + trailing as i64;
        if significant > 38 {
            // 10^38 is the largest power of ten that an `i128` (and a decimal) holds.
            return Err(if exponent + i64::from(scale) < 0 {
                Misfit::Fraction
            } else {
                Misfit::Range
            });
        }
        let value = digits()
            .skip(leading)
            .take(significant)
            .fold(0, |value, digit| value * 10 + i128::from(digit));
        Ok((value, exponent))
    }
}

/// True if `value` has at most `precision` digits.
pub(super) fn within_precision(value: i128, precision: u8) -> bool {
    10_i128
        .checked_pow(u32::from(precision))
        .is_some_and(|bound| value.unsigned_abs() < bound.unsigned_abs())
}
