//! What is kept of each group and period, and how two of them become one.
//!
//! A [`Statistic`] is the *difference* of a differential collection of [`Key`]s: the arrangement adds up what
//! arrives under one key, so it holds one entry a key however many records there were.

use differential_dataflow::difference::{IsZero, Semigroup};
use serde::{Deserialize, Serialize};

use calve::config::RollUp;

use super::exact::Sum;

/// How long a period is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Period {
    Day,
    Week,
    Month,
}

impl Period {
    pub const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// As the table has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The day on which the period begins that `day` lies in. Days are counted from 1970-01-01.
    fn start(self, day: i32) -> i32 {
        match self {
            Self::Day => day,
            // 1970-01-01 was a Thursday.
            Self::Week => day.saturating_sub((i64::from(day) + 3).rem_euclid(7) as i32),
            Self::Month => day.saturating_sub(day_of_month(day) - 1),
        }
    }
}

impl From<RollUp> for Period {
    fn from(roll_up: RollUp) -> Self {
        match roll_up {
            RollUp::Week => Self::Week,
            RollUp::Month => Self::Month,
        }
    }
}

/// The day of the month, from 1, in the Gregorian calendar of all years: chrono's ends before a timestamp's does.
/// Years are counted from March, so that the odd day of a leap year is the last; every 400 years have 146,097 days.
fn day_of_month(day: i32) -> i32 {
    const FROM_YEAR_0: i64 = 719_468;
    let in_era = (i64::from(day) + FROM_YEAR_0).rem_euclid(146_097);
    let year = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year + year / 4 - year / 100);
    // Five months have 153 days, from March on.
    let month = (5 * in_year + 2) / 153;
    (in_year - (153 * month + 2) / 5 + 1) as i32
}

/// A group in one period.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    pub period: Period,
    /// The first day; none for records without a time.
    pub start: Option<i32>,
    /// The values of the group's columns, as Arrow's row format has them.
    pub group: Box<[u8]>,
}

impl Key {
    /// The keys that a record of `group` on `day` belongs to.
    pub fn all<'a>(
        periods: &'a [Period],
        group: &'a [u8],
        day: Option<i32>,
    ) -> impl Iterator<Item = Self> + 'a {
        periods.iter().map(move |period| Self {
            period: *period,
            start: day.map(|day| period.start(day)),
            group: group.into(),
        })
    }
}

/// Count, sum, least and greatest of some values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Statistic {
    /// Values that are not null.
    pub count: u64,
    /// Records without a value.
    pub nulls: u64,
    pub sum: Sum,
    /// The least and the greatest as ranks, see [`rank`]. Without a value they are the ends of the order.
    pub min: i64,
    pub max: i64,
}

impl Default for Statistic {
    /// Of nothing.
    fn default() -> Self {
        Self {
            count: 0,
            nulls: 0,
            sum: Sum::default(),
            min: i64::MAX,
            max: i64::MIN,
        }
    }
}

impl Statistic {
    /// Takes in the value of one record.
    pub fn add(&mut self, value: Option<(i64, Sum)>) {
        match value {
            None => self.nulls += 1,
            Some((rank, value)) => {
                self.count += 1;
                self.sum.add(&value);
                self.min = self.min.min(rank);
                self.max = self.max.max(rank);
            }
        }
    }
}

impl IsZero for Statistic {
    fn is_zero(&self) -> bool {
        self.count == 0 && self.nulls == 0
    }
}

impl Semigroup for Statistic {
    fn plus_equals(&mut self, other: &Self) {
        self.count += other.count;
        self.nulls += other.nulls;
        self.sum.add(&other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }
}

/// Doubles as integers of the same order: -∞ < … < -0.0 < 0.0 < … < ∞ < NaN. There is one NaN.
pub fn rank(value: f64) -> i64 {
    let value = if value.is_nan() {
        f64::NAN.copysign(1.0)
    } else {
        value
    };
    mirrored(value.to_bits() as i64)
}

/// The double of a rank.
pub fn of_rank(rank: i64) -> f64 {
    f64::from_bits(mirrored(rank) as u64)
}

/// Turns the order of the negative ones round; twice is nothing.
fn mirrored(bits: i64) -> i64 {
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

#[cfg(test)]
mod tests {
    use chrono::{Datelike, NaiveDate};

    use super::*;

    #[test]
    fn weeks_begin_on_monday_and_months_on_their_first_day() {
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
        // 1969, leap years, centuries, and years that no timestamp of today has.
        for day in (-1_000_000..1_000_000).step_by(7).chain(-800..20_800) {
            let date = epoch + chrono::Days::new(0) + chrono::TimeDelta::days(day.into());
            let monday =
                date - chrono::TimeDelta::days(date.weekday().num_days_from_monday().into());
            let first = date.with_day(1).unwrap();
            let since = |date: NaiveDate| (date - epoch).num_days() as i32;
            assert_eq!(Period::Day.start(day), day);
            assert_eq!(Period::Week.start(day), since(monday), "{date}");
            assert_eq!(Period::Month.start(day), since(first), "{date}");
        }
    }

    #[test]
    fn ranks_order_doubles_with_one_nan_at_the_end() {
        let ordered = [
            f64::NEG_INFINITY,
            f64::MIN,
            -1.5,
            -5e-324,
            -0.0,
            0.0,
            5e-324,
            1.5,
            f64::MAX,
            f64::INFINITY,
            f64::NAN,
        ];
        for pair in ordered.windows(2) {
            assert!(rank(pair[0]) < rank(pair[1]), "{pair:?}");
        }
        for value in ordered {
            assert_eq!(of_rank(rank(value)).to_bits(), value.to_bits());
        }
        assert_eq!(rank(-f64::NAN), rank(f64::NAN));
        assert!(rank(f64::NAN) < i64::MAX && rank(f64::NEG_INFINITY) > i64::MIN);
    }

    #[test]
    fn a_statistic_of_nulls_alone_is_something() {
        let mut nulls = Statistic::default();
        assert!(nulls.is_zero());
        nulls.add(None);
        assert!(!nulls.is_zero());
        assert_eq!((nulls.count, nulls.nulls), (0, 1));
    }
}
