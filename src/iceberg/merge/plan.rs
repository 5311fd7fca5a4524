//! Which manifests are merged: a pure function of the list and of the table's properties.

use std::collections::{BTreeMap, HashMap};

use iceberg::spec::{ManifestContentType, ManifestFile};
use iceberg::{Error, ErrorKind, Result};

/// The table's properties, by Iceberg's names and with its defaults.
const ENABLED: &str = "commit.manifest-merge.enabled";
const MIN_COUNT: (&str, usize) = ("commit.manifest.min-count-to-merge", 100);
const TARGET_BYTES: (&str, u64) = ("commit.manifest.target-size-bytes", 8 * 1024 * 1024);

/// When manifests are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// As many of them, and not fewer,
    pub(super) min_count: usize,
    /// and not beyond this size.
    pub(super) target_bytes: u64,
}

/// Consecutive manifests of one partition spec.
#[derive(Default)]
struct Bin {
    manifests: Vec<usize>,
    bytes: u64,
}

impl Rule {
    /// None if the table does not want manifests to be merged.
    pub(super) fn of(properties: &HashMap<String, String>) -> Result<Option<Self>> {
        let enabled = parsed(properties, ENABLED, true)?;
        let rule = Self {
            min_count: parsed(properties, MIN_COUNT.0, MIN_COUNT.1)?.max(2),
            target_bytes: parsed(properties, TARGET_BYTES.0, TARGET_BYTES.1)?,
        };
        Ok(enabled.then_some(rule))
    }

    /// What is to be merged, as places in the list, which names the oldest manifests first.
    ///
    /// | a manifest | |
    /// |---|---|
    /// | of delete files, or not fit | left alone |
    /// | of three quarters of the target size or more | left alone: to rewrite megabytes for what still fits in would be paid with each commit |
    /// | any other | joins the bin of its partition spec; one that does not fit in fills that bin, and opens the next |
    ///
    /// | a bin | |
    /// |---|---|
    /// | of one manifest | left alone |
    /// | filled | merged |
    /// | still open, and of the least number of manifests | merged |
    /// | still open, and of fewer | left alone |
    pub(super) fn bins(
        self,
        list: &[ManifestFile],
        is_fit: impl Fn(&ManifestFile) -> bool,
    ) -> Vec<Vec<usize>> {
        let mut open: BTreeMap<i32, Bin> = BTreeMap::new();
        let mut merged = Vec::new();
        for (index, manifest) in list.iter().enumerate() {
            let bytes = u64::try_from(manifest.manifest_length).unwrap_or(0);
            let is_full = bytes >= self.target_bytes / 4 * 3;
            if manifest.content != ManifestContentType::Data || is_full || !is_fit(manifest) {
                continue;
            }
            let bin = open.entry(manifest.partition_spec_id).or_default();
            if bin.bytes + bytes > self.target_bytes {
                let filled = std::mem::take(bin);
                merged.push(filled.manifests);
            }
            bin.manifests.push(index);
            bin.bytes += bytes;
        }
        merged.retain(|bin| bin.len() > 1);
        let open = open.into_values().map(|bin| bin.manifests);
        merged.extend(open.filter(|bin| bin.len() >= self.min_count));
        merged
    }
}

fn parsed<T: std::str::FromStr>(
    properties: &HashMap<String, String>,
    key: &str,
    default: T,
) -> Result<T> {
    let Some(value) = properties.get(key) else {
        return Ok(default);
    };
    // Other engines take `TRUE` for true.
    value.trim().to_lowercase().parse().map_err(|_| {
        let message = format!("the table property {key} is not a valid value: {value}");
        Error::new(ErrorKind::DataInvalid, message)
    })
}
