//! The exact sum against a second way to compute it, and against order.

use super::*;

/// A row of numbers that repeats.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Any finite double.
    fn double(&mut self) -> f64 {
        loop {
            let value = f64::from_bits(self.next());
            if value.is_finite() {
                return value;
            }
        }
    }

    fn shuffle<T>(&mut self, values: &mut [T]) {
        for index in (1..values.len()).rev() {
            values.swap(index, self.below(index + 1));
        }
    }
}

fn sum(values: &[f64]) -> Sum {
    let mut sum = Sum::default();
    for value in values {
        sum.add(&Sum::from(*value));
    }
    sum
}

/// Shewchuk's algorithm: the sum as doubles that do not overlap, of which the last is the rounded sum but
/// for a tie. What Python's `math.fsum` does.
fn fsum(values: &[f64]) -> f64 {
    let mut partials: Vec<f64> = Vec::new();
    for &value in values {
        let mut x = value;
        let mut kept = Vec::new();
        for &partial in &partials {
            let (mut a, mut b) = (x, partial);
            if a.abs() < b.abs() {
                std::mem::swap(&mut a, &mut b);
            }
            let high = a + b;
            let low = b - (high - a);
            if low != 0.0 {
                kept.push(low);
            }
            x = high;
        }
        kept.push(x);
        partials = kept;
    }
    let mut partials = partials.into_iter().rev();
    let mut high = partials.next().unwrap_or(0.0);
    let mut low = 0.0;
    for partial in partials.by_ref() {
        let x = high;
        high = x + partial;
        low = partial - (high - x);
        if low != 0.0 {
            break;
        }
    }
    // Half-way cases: the next partial says to which side.
    if let Some(next) = partials.next()
        && low != 0.0
        && (low < 0.0) == (next < 0.0)
    {
        let y = low * 2.0;
        let x = high + y;
        if y == x - high {
            high = x;
        }
    }
    high
}

#[test]
fn a_double_alone_comes_back_as_it_was() {
    let mut chance = Chance(1);
    let corners = [
        0.0,
        1.0,
        -1.0,
        0.1,
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        5e-324,
        -5e-324,
        f64::MIN_POSITIVE - 5e-324,
    ];
    let random = (0..100_000).map(|_| chance.double());
    for value in corners.into_iter().chain(random) {
        assert_eq!(
            Sum::from(value).to_f64().to_bits(),
            value.to_bits(),
            "{value:e}"
        );
    }
    assert_eq!(Sum::from(-0.0).to_f64().to_bits(), 0, "a sum has one zero");
}

#[test]
fn nothing_is_rounded_away() {
    assert_eq!(sum(&[1e100, 1.0, -1e100]).to_f64(), 1.0);
    assert_eq!(sum(&[1e308, 5e-324, -1e308]).to_f64(), 5e-324);
    assert_eq!(sum(&[0.1; 10]).to_f64(), 1.0, "ten times 0.1, rounded once");
    assert_eq!(sum(&[f64::MAX, f64::MAX]).to_f64(), f64::INFINITY);
    assert_eq!(sum(&[f64::MAX, f64::MAX, -f64::MAX]).to_f64(), f64::MAX);
}

#[test]
fn the_sum_is_the_one_of_another_algorithm() {
    let mut chance = Chance(2);
    for round in 0..20_000 {
        let count = 1 + chance.below(30);
        let values: Vec<f64> = (0..count)
            .map(|_| match round % 3 {
                // Measurements, …
                0 => (40 + chance.below(140)) as f64 + chance.below(1000) as f64 / 1000.0,
                // … numbers of very different sizes, that cancel out as well, …
                1 => {
                    let size = chance.below(500) as i32 - 250;
                    (chance.double() % 1.0 - 0.5) * 2f64.powi(size)
                }
                // … and such that lie around the middle between two doubles.
                _ => 2f64.powi(chance.below(4) as i32 * 53) * [1.0, -1.0][chance.below(2)],
            })
            .collect();
        let (ours, theirs) = (sum(&values).to_f64(), fsum(&values));
        assert_eq!(ours, theirs, "{values:?}");
    }
}

#[test]
fn the_order_and_the_grouping_make_no_difference() {
    let mut chance = Chance(3);
    for round in 0..2_000 {
        let mut values: Vec<f64> = (0..20)
            .map(|_| match round % 2 {
                0 => chance.double(),
                _ => chance.below(100_000) as f64 / 10.0,
            })
            .collect();
        let whole = sum(&values);
        chance.shuffle(&mut values);
        let (left, right) = values.split_at(chance.below(20));
        let mut parts = sum(right);
        parts.add(&sum(left));
        // The same value, not only the same double.
        assert_eq!(parts, whole, "{values:?}");
    }
}

#[test]
fn what_a_table_keeps_is_read_back_as_it_was() {
    let mut chance = Chance(4);
    let mut long = 0;
    for round in 0..20_000 {
        let values: Vec<f64> = (0..1 + round % 5).map(|_| chance.double()).collect();
        let sum = sum(&values);
        long += usize::from(matches!(sum, Sum::Long(_)));
        let bytes = sum.to_bytes().expect("finite");
        assert_eq!(Sum::from_bytes(&bytes), Some(sum), "{values:?}");
    }
    assert!(long > 1_000, "{long} long ones were tried");
    let measured = sum(&[72.5; 1000]);
    assert_eq!(measured.to_bytes().map(|bytes| bytes.len()), Some(4));
}

#[test]
fn other_bytes_are_refused() {
    let good = Sum::from(0.1).to_bytes().expect("finite");
    assert!(Sum::from_bytes(&good).is_some());
    let mut padded = good.clone();
    padded.insert(2, 0);
    let huge = [[4, 0].as_slice(), &[1; 200]].concat();
    let even = [0, 0, 2];
    let below = [0x80, 0, 1];
    for bytes in [&[][..], &[0], &[0, 0], &padded, &huge, &even, &below] {
        assert_eq!(Sum::from_bytes(bytes), None, "{bytes:?}");
    }
}

#[test]
fn what_is_not_finite_follows_ieee_754() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    assert_eq!(sum(&[1.0, inf, 2.0]), Sum::Infinity);
    assert_eq!(sum(&[1.0, -inf]), Sum::NegativeInfinity);
    assert_eq!(sum(&[inf, 1.0, -inf]), Sum::NaN);
    assert_eq!(sum(&[nan, -inf]), Sum::NaN);
    assert!(sum(&[inf]).to_bytes().is_none());
}

#[test]
fn whole_numbers_stay_whole() {
    let mut sum = Sum::default();
    for _ in 0..1000 {
        sum.add(&Sum::from(i64::MAX));
    }
    assert_eq!(sum.to_i128(), Some(1000 * i128::from(i64::MAX)));
    sum.add(&Sum::from(i64::MIN));
    assert_eq!(
        sum.to_i128(),
        Some(1000 * i128::from(i64::MAX) + i128::from(i64::MIN))
    );
    assert_eq!(Sum::from(0.5).to_i128(), None);
}
