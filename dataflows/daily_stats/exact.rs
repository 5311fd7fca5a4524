//! Sums without rounding: the same whatever the order, the number of workers and the restarts.
//!
//! A finite double is a whole number of 2^-1074, so a sum of them is one as well. It is kept as
//! `mantissa · 2^exponent` with an odd mantissa: 16 bytes are enough unless the values of one group lie more than
//! 2^70 apart, and a fixed-point number of 272 bytes holds every sum of up to 2^63 doubles. Each sum has exactly
//! one form, so equal sums are equal values, and bytes.
//!
//! Rounded is only what is shown: [`Sum::to_f64`] is the double nearest to the exact sum, ties to even (what
//! Python's `math.fsum` gives).

use serde::{Deserialize, Serialize};

/// The exponent of the smallest double.
const LOWEST: i16 = -1074;
/// Words of a fixed-point sum: 2^1024 · 2^63, in units of 2^-1074, with a sign.
const WORDS: usize = 34;
/// Bits of a short mantissa, without its sign: two of them can be added without a look.
const SHORT_BITS: u32 = 126;

/// An exact sum.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Sum {
    /// `mantissa · 2^exponent`. The mantissa is odd and has at most 126 bits; zero has the exponent 0.
    Short { mantissa: i128, exponent: i16 },
    /// Any other: two's complement in units of 2^-1074, the lowest word first.
    Long(Box<[u64]>),
    /// +∞ was added, and neither -∞ nor NaN.
    Infinity,
    /// -∞ was added, and neither +∞ nor NaN.
    NegativeInfinity,
    /// NaN was added, or both infinities.
    NaN,
}

impl Default for Sum {
    /// The sum of nothing.
    fn default() -> Self {
        Self::Short {
            mantissa: 0,
            exponent: 0,
        }
    }
}

impl From<f64> for Sum {
    fn from(value: f64) -> Self {
        if value.is_nan() {
            return Self::NaN;
        }
        if value.is_infinite() {
            return if value > 0.0 {
                Self::Infinity
            } else {
                Self::NegativeInfinity
            };
        }
        const FRACTION_BITS: u32 = 52;
        let bits = value.to_bits();
        let fraction = bits & ((1 << FRACTION_BITS) - 1);
        let (magnitude, exponent) = match (bits >> FRACTION_BITS) & 0x7ff {
            0 => (fraction, LOWEST),
            biased => (fraction | 1 << FRACTION_BITS, biased as i16 - 1 + LOWEST),
        };
        let mantissa = i128::from(magnitude);
        Self::short(if value < 0.0 { -mantissa } else { mantissa }, exponent)
    }
}

impl From<i64> for Sum {
    fn from(value: i64) -> Self {
        Self::short(value.into(), 0)
    }
}

impl Sum {
    /// The sum that is this whole number; `None` if that has more than 126 bits.
    pub fn from_i128(value: i128) -> Option<Self> {
        (significant_bits(value) <= SHORT_BITS).then(|| Self::short(value, 0))
    }

    /// In its one form. The mantissa has at most 126 bits.
    fn short(mantissa: i128, exponent: i16) -> Self {
        if mantissa == 0 {
            return Self::default();
        }
        let zeros = mantissa.trailing_zeros();
        Self::Short {
            mantissa: mantissa >> zeros,
            exponent: exponent + zeros as i16,
        }
    }

    /// Adds another sum.
    pub fn add(&mut self, other: &Self) {
        *self = match (&*self, other) {
            (Self::NaN, _) | (_, Self::NaN) => Self::NaN,
            (Self::Infinity, Self::NegativeInfinity) | (Self::NegativeInfinity, Self::Infinity) => {
                Self::NaN
            }
            (Self::Infinity, _) | (_, Self::Infinity) => Self::Infinity,
            (Self::NegativeInfinity, _) | (_, Self::NegativeInfinity) => Self::NegativeInfinity,
            (one, two) => match add_short(one, two) {
                Some(sum) => sum,
                None => add_fixed(&one.fixed(), &two.fixed()),
            },
        }
    }

    /// The fixed-point form of a finite sum.
    fn fixed(&self) -> Box<[u64]> {
        let mut words = [0; WORDS];
        match self {
            Self::Long(words) => return words.clone(),
            Self::Short { mantissa, exponent } => {
                shifted(*mantissa, (exponent - LOWEST) as u32, &mut words);
            }
            _ => {}
        }
        words.into()
    }

    /// The double nearest to it.
    pub fn to_f64(&self) -> f64 {
        match self {
            // The conversion rounds to the nearest, and the scaling is exact: a sum below the normal doubles
            // is a multiple of the smallest one and has no bits to lose.
            Self::Short { mantissa, exponent } => scaled(*mantissa as f64, (*exponent).into()),
            Self::Long(words) => rounded(words),
            Self::Infinity => f64::INFINITY,
            Self::NegativeInfinity => f64::NEG_INFINITY,
            Self::NaN => f64::NAN,
        }
    }

    /// The whole number that it is; `None` if it is none, or too large.
    pub fn to_i128(&self) -> Option<i128> {
        match self {
            Self::Short { mantissa, exponent } => {
                let exponent = u32::try_from(*exponent).ok()?;
                let fits = significant_bits(*mantissa) + exponent <= SHORT_BITS;
                fits.then(|| mantissa << exponent)
            }
            _ => None,
        }
    }

    /// The bytes that a table keeps of a finite sum: the exponent (two bytes), then the odd mantissa in as few
    /// bytes of two's complement as hold it, all of them highest first. `None` for what is not finite.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        let (exponent, mantissa) = match self {
            Self::Short { mantissa, exponent } => (*exponent, mantissa.to_be_bytes().to_vec()),
            Self::Long(words) => {
                let (words, zeros) = without_trailing_zeros(words);
                let bytes = words.iter().rev().flat_map(|word| word.to_be_bytes());
                (LOWEST + zeros as i16, bytes.collect())
            }
            _ => return None,
        };
        let redundant = |pair: &[u8]| match pair[0] {
            0 => pair[1] < 0x80,
            0xff => pair[1] >= 0x80,
            _ => false,
        };
        let skipped = mantissa.windows(2).take_while(|pair| redundant(pair));
        let skipped = skipped.count();
        let mut bytes = exponent.to_be_bytes().to_vec();
        bytes.extend_from_slice(&mantissa[skipped..]);
        Some(bytes)
    }

    /// Reads what [`Sum::to_bytes`] has written; `None` if these are no such bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (exponent, mantissa) = bytes.split_first_chunk::<2>()?;
        let exponent = i16::from_be_bytes(*exponent);
        let highest = *mantissa.first()?;
        let shift = u32::try_from(i32::from(exponent) - i32::from(LOWEST)).ok()?;
        // What is shifted out at the top would be lost.
        if shift as usize + 8 * mantissa.len() > 64 * WORDS {
            return None;
        }
        let fill = if highest >= 0x80 { 0xff } else { 0 };
        let mut low = [fill; 8 * WORDS];
        for (to, from) in low.iter_mut().zip(mantissa.iter().rev()) {
            *to = *from;
        }
        let mut words = [0; WORDS];
        for (word, bytes) in words.iter_mut().zip(low.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        let mut fixed = [0; WORDS];
        shift_left(&words, shift, &mut fixed);
        let sum = canonical(&fixed);
        // One sum, one form: anything else was not written by us.
        (sum.to_bytes().as_deref() == Some(bytes)).then_some(sum)
    }
}

/// Bits of the magnitude.
fn significant_bits(mantissa: i128) -> u32 {
    i128::BITS - mantissa.unsigned_abs().leading_zeros()
}

/// The sum of two short ones, if they are near enough to each other.
fn add_short(one: &Sum, two: &Sum) -> Option<Sum> {
    let (
        &Sum::Short {
            mantissa: a,
            exponent: i,
        },
        &Sum::Short {
            mantissa: b,
            exponent: k,
        },
    ) = (one, two)
    else {
        return None;
    };
    if a == 0 {
        return Some(two.clone());
    }
    if b == 0 {
        return Some(one.clone());
    }
    let lower = i.min(k);
    let aligned = |mantissa: i128, exponent: i16| {
        let shift = (exponent - lower) as u32;
        // One bit less than a short mantissa has: the sum has at most one bit more.
        let fits = significant_bits(mantissa) + shift < SHORT_BITS;
        fits.then(|| mantissa << shift)
    };
    Some(Sum::short(aligned(a, i)? + aligned(b, k)?, lower))
}

fn add_fixed(one: &[u64], two: &[u64]) -> Sum {
    let mut sum = [0; WORDS];
    let mut carry = false;
    for ((word, a), b) in sum.iter_mut().zip(one).zip(two) {
        let (partial, first) = a.overflowing_add(*b);
        let (whole, second) = partial.overflowing_add(carry.into());
        *word = whole;
        carry = first | second;
    }
    canonical(&sum)
}

/// The one form of a fixed-point number.
fn canonical(words: &[u64; WORDS]) -> Sum {
    let (low, zeros) = without_trailing_zeros(words);
    let fill = sign_of(&low);
    let mantissa = (u128::from(low[1]) << 64 | u128::from(low[0])) as i128;
    let is_rest = low[2..].iter().all(|word| *word == fill);
    let same_sign = (mantissa < 0) == (fill != 0);
    if is_rest && same_sign && significant_bits(mantissa) <= SHORT_BITS {
        return Sum::short(
            mantissa,
            if mantissa == 0 {
                0
            } else {
                LOWEST + zeros as i16
            },
        );
    }
    Sum::Long(words.to_vec().into())
}

/// What fills the words above a two's complement number.
fn sign_of(words: &[u64]) -> u64 {
    let negative = words.last().is_some_and(|word| (*word as i64) < 0);
    if negative { u64::MAX } else { 0 }
}

/// Shifted to the right until it is odd, and how far that was; zero stays.
fn without_trailing_zeros(words: &[u64]) -> ([u64; WORDS], u32) {
    let mut low = [0; WORDS];
    let Some(first) = words.iter().position(|word| *word != 0) else {
        return (low, 0);
    };
    let bits = words[first].trailing_zeros();
    let fill = sign_of(words);
    let word = |index: usize| words.get(index).copied().unwrap_or(fill);
    for (index, to) in low.iter_mut().enumerate() {
        let (this, next) = (word(first + index), word(first + index + 1));
        // Two shifts, because one by 64 is none.
        *to = this >> bits | (next << (63 - bits)) << 1;
    }
    (low, 64 * first as u32 + bits)
}

/// `mantissa · 2^shift`.
fn shifted(mantissa: i128, shift: u32, to: &mut [u64; WORDS]) {
    let mut words = [if mantissa < 0 { u64::MAX } else { 0 }; WORDS];
    words[0] = mantissa as u64;
    words[1] = (mantissa >> 64) as u64;
    shift_left(&words, shift, to);
}

fn shift_left(words: &[u64; WORDS], shift: u32, to: &mut [u64; WORDS]) {
    let (whole, bits) = ((shift / 64) as usize, shift % 64);
    for index in (whole..WORDS).rev() {
        let this = words[index - whole];
        let below = match index - whole {
            0 => 0,
            index => words[index - 1],
        };
        to[index] = this << bits | (below >> (63 - bits)) >> 1;
    }
}

/// The double nearest to a fixed-point number that is too long for a short sum.
fn rounded(words: &[u64]) -> f64 {
    let negative = sign_of(words) != 0;
    let mut magnitude = words.to_vec();
    if negative {
        let mut carry = true;
        for word in &mut magnitude {
            (*word, carry) = (!*word).overflowing_add(carry.into());
        }
    }
    let Some(top) = magnitude.iter().rposition(|word| *word != 0) else {
        return 0.0;
    };
    let word = |index: usize| match index {
        0 => 0,
        index => magnitude[index - 1],
    };
    // The highest 64 bits that are not zero, …
    let zeros = magnitude[top].leading_zeros();
    let next = word(top);
    let mut bits = magnitude[top] << zeros | (next >> (63 - zeros)) >> 1;
    // … and in their lowest, which is no bit of a double, whether there is anything below them.
    let below = (next << zeros) != 0 || magnitude[..top.saturating_sub(1)].iter().any(|w| *w != 0);
    bits |= u64::from(below);
    let exponent = 64 * top as i32 - zeros as i32 + i32::from(LOWEST);
    let value = scaled(bits as f64, exponent);
    if negative { -value } else { value }
}

/// `value · 2^exponent` in two steps, because 2^-1074 has no reciprocal.
fn scaled(value: f64, exponent: i32) -> f64 {
    let power = |exponent: i32| f64::from_bits(((exponent + 1023) as u64) << 52);
    let half = exponent / 2;
    value * power(half) * power(exponent - half)
}

#[cfg(test)]
mod tests;
