//! The one builder of every durable name this room writes: property keys, snapshot summary keys,
//! data files. Changing a name here changes the format; nothing else in the program spells one.

use std::fmt::Write;

use crate::time::{Epoch, Generation};

#[cfg(test)]
mod tests;

/// Every table property and summary entry of calve starts with it.
const PREFIX: &str = "calve";

/// The snapshot summary's generation, for people.
pub const SUMMARY_GENERATION: &str = "calve.generation";

/// The snapshot summary's epoch, for people.
pub const SUMMARY_EPOCH: &str = "calve.epoch";

/// The columns that say where in Kafka a row came from: topic, partition, offset, timestamp.
pub const PROVENANCE_COLUMNS: [&str; 4] = ["_topic", "_partition", "_offset", "_timestamp"];

/// The key of a pipeline's marker, the same in the snapshot summary and the table properties.
pub fn marker_key(pipeline: &str) -> String {
    format!("{PREFIX}.marker.{pipeline}")
}

/// Who writes a file and for which checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileOrigin {
    /// The pipeline's name.
    pub pipeline: String,
    /// The pipeline's incarnation.
    pub generation: Generation,
    /// The checkpoint the rows belong to; a file never spans two.
    pub epoch: Epoch,
    /// The timely worker that writes.
    pub worker: usize,
}

impl FileOrigin {
    /// A new file name.
    ///
    /// It ends in a fresh UUID because every storage backend overwrites in silence: two files must
    /// never have one name, even if a zombie writes for the same worker and epoch.
    pub fn data_file_name(&self) -> String {
        let Self {
            pipeline,
            generation,
            epoch,
            worker,
        } = self;
        let pipeline = encode(pipeline);
        let unique = uuid::Uuid::new_v4();
        format!("{pipeline}-g{generation}-e{epoch}-w{worker}-{unique}.parquet")
    }
}

impl FileOrigin {
    /// Who wrote a file, by its name; `None` if no calve did.
    pub fn of(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next()?.strip_suffix(".parquet")?;
        let (name, unique) = name.split_at_checked(name.len().checked_sub(36)?)?;
        uuid::Uuid::try_parse(unique).ok()?;
        let (name, worker) = name.strip_suffix('-')?.rsplit_once("-w")?;
        let (name, epoch) = name.rsplit_once("-e")?;
        let (pipeline, generation) = name.rsplit_once("-g")?;
        Some(Self {
            pipeline: decode(pipeline)?,
            generation: Generation(generation.parse().ok()?),
            epoch: Epoch(epoch.parse().ok()?),
            worker: worker.parse().ok()?,
        })
    }
}

/// The pipelines that have a marker among these properties.
pub fn pipelines<'a>(keys: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let prefix = marker_key("");
    let named = keys.into_iter().filter_map(|key| key.strip_prefix(&prefix));
    let mut pipelines: Vec<_> = named.map(str::to_owned).collect();
    pipelines.sort_unstable();
    pipelines
}

/// The longest encoded value in a path; longer ones end in their digest. File systems allow 255
/// bytes for one component, S3 1,024 for a whole key.
const PATH_VALUE_BYTES_MAX: usize = 100;

/// `name=value`, one folder of a partition's path.
///
/// Values are data, so they are encoded: `../` in a record must not lead out of the table.
pub fn partition_folder(name: &str, value: &str) -> String {
    let mut encoded = encode(value);
    if encoded.len() > PATH_VALUE_BYTES_MAX {
        let digest = fnv1a(value.as_bytes(), FNV_START);
        encoded.truncate(PATH_VALUE_BYTES_MAX);
        let _ = write!(encoded, "-{digest:016x}");
    }
    format!("{}={encoded}", encode(name))
}

/// Percent-encodes everything but letters, digits, `-`, `_` and inner dots.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => encoded.push(byte as char),
            b'.' if index > 0 => encoded.push('.'),
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

/// What [`encode`] made of it before.
fn decode(encoded: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// A digest of file paths, whatever their order: which files a marker stands for.
///
/// FNV-1a is stable across versions and machines, which the hasher of the standard library is not;
/// it guards against mix-ups, not against forgery.
pub fn files_digest<'a>(paths: impl IntoIterator<Item = &'a str>) -> String {
    let mut paths: Vec<&str> = paths.into_iter().collect();
    paths.sort_unstable();
    let digest = paths.iter().fold(FNV_START, |digest, path| {
        fnv1a(b"\n", fnv1a(path.as_bytes(), digest))
    });
    format!("{digest:016x}")
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv1a(bytes: &[u8], start: u64) -> u64 {
    bytes.iter().fold(start, |digest, byte| {
        (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
