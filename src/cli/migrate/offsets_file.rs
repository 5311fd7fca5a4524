//! The offsets file: `topic,partition,offset` a line, the offset being that of the next record to read.

use std::path::Path;

use crate::error::{Error, Result};
use crate::offsets::{NextOffset, Offsets};

#[cfg(test)]
mod tests;

/// The first line may be this.
const HEADER: &str = "topic,partition,offset";

/// Reads the file.
pub(super) fn read(path: &Path) -> Result<Offsets> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::config(format!("the offsets file {name} can't be read"))
            .caused_by(error)
            .advice("check the path behind --offsets")
    })?;
    parse(&text, &name)
}

/// Blank lines and what begins with `#` are passed over; everything else is a partition, each once.
fn parse(text: &str, name: &str) -> Result<Offsets> {
    let mut offsets = Offsets::new();
    let text = text.trim_start_matches('\u{feff}');
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        if index == 0 && fields.join(",").eq_ignore_ascii_case(HEADER) {
            continue;
        }
        let parsed = match fields[..] {
            [topic, partition, offset] if !topic.is_empty() => {
                let partition = partition
                    .parse()
                    .ok()
                    .filter(|&partition: &i32| partition >= 0);
                let offset = offset.parse().ok().filter(|&offset: &i64| offset >= 0);
                partition
                    .zip(offset)
                    .map(|(partition, offset)| (topic, partition, offset))
            }
            _ => None,
        };
        let place = format!("offsets file {name}, line {}", index + 1);
        let Some((topic, partition, offset)) = parsed else {
            return Err(Error::config(format!(
                "{place}: expected {HEADER}, such as health,0,1042, and got {line:?}"
            ))
            .advice("the offset is that of the next record to read: one behind the last one in the table"));
        };
        if let Some(other) = offsets.set(topic, partition, NextOffset(offset)) {
            return Err(Error::config(format!(
                "{place}: {topic}[{partition}] is there twice, with offset {other} and with {offset}"
            ))
            .advice("nothing was written; leave the right line"));
        }
    }
    Ok(offsets)
}
