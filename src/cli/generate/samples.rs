//! Health samples as a phone sends them: the same number always gives the same sample.

use std::fmt::Write;

/// The columns of a table for them.
pub(crate) const COLUMNS: &str = include_str!("samples.columns");

/// Kinds of samples: data type, unit, typical value, how much it varies, seconds it spans.
const KINDS: [(&str, &str, f64, f64, u64); 6] = [
    ("heart_rate", "count/min", 72.0, 40.0, 5),
    ("step_count", "count", 240.0, 400.0, 300),
    ("oxygen_saturation", "%", 97.0, 4.0, 15),
    ("active_energy", "kcal", 12.0, 20.0, 300),
    ("body_mass", "kg", 74.0, 30.0, 1),
    ("sleep_analysis", "min", 45.0, 60.0, 2700),
];
const BUNDLES: [&str; 4] = [
    "com.example.health.watch",
    "com.example.health.phone",
    "org.example.scale",
    "com.example.sleep",
];
/// 2026-01-01T00:00:00Z in seconds since 1970.
const FIRST_SECOND: u64 = 1_767_225_600;
/// Samples arrive about in the order of their times: this much later each, ...
const STEP_MS: u64 = 20;
/// ... and up to this much out of order.
const JITTER_MS: u64 = 300_000;

/// One sample.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    /// The user, which is the record's key.
    pub(crate) user: String,
    /// The record's value.
    pub(crate) json: String,
}

/// An endless row of samples; the buffers are reused.
#[derive(Debug)]
pub(crate) struct Samples {
    number: u64,
    sample: Sample,
}

impl Samples {
    /// Samples from `number` on.
    pub(crate) fn from_number(number: u64) -> Self {
        Self {
            number,
            sample: Sample::default(),
        }
    }

    /// The next sample.
    pub(crate) fn next_sample(&mut self) -> &Sample {
        let low = mix(self.number);
        let high = mix(low ^ 0x9e37_79b9_7f4a_7c15);
        let step_ms = self.number.wrapping_mul(STEP_MS);
        self.number += 1;
        let (kind, unit, typical, spread, span) = KINDS[(low % KINDS.len() as u64) as usize];
        let user = high % 10_000;
        let value = typical + spread * ((low >> 32) as f64 / f64::from(u32::MAX) - 0.5);
        let start_ms = FIRST_SECOND * 1000 + step_ms + (high >> 20) % JITTER_MS;
        let end_ms = start_ms + span * 1000;
        let Sample { user: key, json } = &mut self.sample;
        key.clear();
        json.clear();
        // Writing to a String never fails.
        let _ = write!(key, "user-{user:06}");
        let _ = write!(
            json,
            "{{\"sample_id\":\"{:08x}-{:04x}-4{:03x}-a{:x}{:02x}-{:012x}\",\"user_id\":\"{key}\",\
             \"device_id\":\"device-{:05}\",\"data_type\":\"{kind}\",\"value\":{value:.2},\
             \"unit\":\"{unit}\",\"start_time\":\"{}\",\"end_time\":\"{}\",\
             \"source_bundle\":\"{}\"}}",
            low >> 32,
            (low >> 16) & 0xffff,
            low & 0xfff,
            (low >> 12) & 0xf,
            (high >> 56) & 0xff,
            high & 0xffff_ffff_ffff,
            user * 3 + low % 3,
            Rfc3339(start_ms),
            Rfc3339(end_ms),
            BUNDLES[(high % BUNDLES.len() as u64) as usize],
        );
        &self.sample
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): a bijection. All 64 bits go into the sample id, so no two
/// numbers share one.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

struct Rfc3339(u64);

impl std::fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match chrono::DateTime::from_timestamp_millis(self.0 as i64) {
            Some(time) => time.format("%Y-%m-%dT%H:%M:%S%.3fZ").fmt(f),
            None => f.write_str("1970-01-01T00:00:00.000Z"),
        }
    }
}
