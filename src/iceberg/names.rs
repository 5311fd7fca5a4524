//! The one builder of every durable name this room writes: property keys, snapshot summary keys,
//! data files. Changing a name here changes the format; nothing else in the program spells one.

use std::fmt::Write;

use uuid::Uuid;

use crate::time::{Epoch, Generation};

#[cfg(test)]
mod tests;

/// Every table property and summary entry of calve starts with it.
const PREFIX: &str = "calve";

/// The snapshot summary's generation, for people.
pub const SUMMARY_GENERATION: &str = "calve.generation";

/// The snapshot summary's epoch, for people.
pub const SUMMARY_EPOCH: &str = "calve.epoch";

/// The property of a table whose rows are not records: what they are made from.
pub const DEFINITION: &str = "calve.definition";

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
    /// A new file name, for this table.
    ///
    /// It ends in a fresh UUID because every storage backend overwrites in silence: two files must
    /// never have one name, even if a zombie writes for the same worker and epoch. The table's
    /// UUID is in it because several tables can lie at one location: one that was dropped without
    /// its files, and the one that was made in its place.
    pub fn data_file_name(&self, table: Uuid) -> String {
        self.file_name(table, Uuid::new_v4())
    }
}

impl FileOrigin {
    /// Who wrote a file, by its path; `None` if no calve did.
    pub fn of(path: &str) -> Option<Self> {
        let (origin, _table) = Self::parse(file_name(path))?;
        Some(origin)
    }

    /// Takes a name apart, from its end: what follows the pipeline has a form of its own. Only what
    /// [`FileOrigin::data_file_name`] makes is taken: the same text must come out again.
    fn parse(file_name: &str) -> Option<(Self, Uuid)> {
        let name = file_name.strip_suffix(DATA_FILE_SUFFIX)?;
        let (name, unique) = name.split_at_checked(name.len().checked_sub(UUID_LEN)?)?;
        let (name, worker) = name.strip_suffix('-')?.rsplit_once("-w")?;
        let (name, epoch) = name.rsplit_once("-e")?;
        let (name, generation) = name.rsplit_once("-g")?;
        let (pipeline, table) = name.rsplit_once('-')?;
        let table = Uuid::try_parse(table).ok()?;
        let origin = Self {
            pipeline: decode(pipeline)?,
            generation: Generation(generation.parse().ok()?),
            epoch: Epoch(epoch.parse().ok()?),
            worker: worker.parse().ok()?,
        };
        let again = origin.file_name(table, Uuid::try_parse(unique).ok()?);
        (again == file_name).then_some((origin, table))
    }

    fn file_name(&self, table: Uuid, unique: Uuid) -> String {
        let Self {
            pipeline,
            generation,
            epoch,
            worker,
        } = self;
        let (pipeline, table) = (encode(pipeline), table.simple());
        format!("{pipeline}-{table}-g{generation}-e{epoch}-w{worker}-{unique}{DATA_FILE_SUFFIX}")
    }
}

/// The last part of a path. Names hold a UUID, so they tell files apart however a path is spelled.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// How the name of every data file ends.
const DATA_FILE_SUFFIX: &str = ".parquet";
/// The length of a UUID with its hyphens.
const UUID_LEN: usize = 36;

/// Generation and epoch in the name of a data file of `pipeline` in `table`; `None` for every name
/// that [`FileOrigin::data_file_name`] does not make for exactly these two.
///
/// No other pipeline's file is taken for ours, whatever the two are called: a name can be taken apart
/// in one way only, and `encode` never makes one text of two.
pub fn generation_and_epoch(
    file_name: &str,
    pipeline: &str,
    table: Uuid,
) -> Option<(Generation, Epoch)> {
    let (origin, made_for) = FileOrigin::parse(file_name)?;
    (origin.pipeline == pipeline && made_for == table).then_some((origin.generation, origin.epoch))
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
pub(crate) fn encode(text: &str) -> String {
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
