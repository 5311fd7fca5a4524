//! How keys and values become bytes: postcard, which is the same on every CPU and in every build.
//!
//! ```text
//!  value   key  = group (2 bytes) | state (4 bytes) | key
//!  map     key  = group (2 bytes) | state (4 bytes) | key | map key
//!  list    key  = group (2 bytes) | state (4 bytes) | key                     how many there were
//!                 group (2 bytes) | state (4 bytes) | key | index (8 bytes)   one element
//!  entry        = expires at (varint, ms; 0 is never) | value
//!  header  key  = FF FF | name
//! ```
//!
//! Integers in keys are big-endian, so that entries lie in order of group, state and index. Postcard
//! tells by itself where a value ends, so no encoded key is the beginning of another one of the same
//! type: all entries of a map or a list are exactly what begins with its key.

use std::hash::Hasher;

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;
use twox_hash::XxHash64;

use super::key_group::KeyGroup;
use crate::error::{Error, Result};

#[cfg(test)]
mod tests;

/// The version of everything this page says. A store of a newer version is refused.
pub(super) const VERSION: u8 = 1;

/// What all keys of the header begin with: no group is as high.
pub(super) const HEADER: [u8; 2] = [0xff, 0xff];

/// Group and state, before each key.
pub(super) const PREFIX_LEN: usize = 6;

/// The bytes of a key or value.
pub(super) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    postcard::to_stdvec(value)
        .map_err(|error| Error::internal("a value can't be encoded as state").caused_by(error))
}

/// The bytes of a key behind others.
pub(super) fn encode_after<T: Serialize + ?Sized>(before: Vec<u8>, value: &T) -> Result<Vec<u8>> {
    postcard::to_extend(value, before)
        .map_err(|error| Error::internal("a key can't be encoded as state").caused_by(error))
}

/// What XXH64 with seed 0 makes of the bytes of a value, which are not written anywhere.
pub(super) fn hash<T: Serialize + ?Sized>(value: &T) -> Result<u64> {
    postcard::serialize_with_flavor(value, Hashing(XxHash64::with_seed(0)))
        .map_err(|error| Error::internal("a key can't be encoded as state").caused_by(error))
}

struct Hashing(XxHash64);

impl Flavor for Hashing {
    type Output = u64;

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.write(bytes);
        Ok(())
    }

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn finalize(self) -> postcard::Result<u64> {
        Ok(self.0.finish())
    }
}

/// The value of these bytes, all of them.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok(_) => Err(unreadable::<T>()),
        Err(error) => Err(unreadable::<T>().caused_by(error)),
    }
}

fn unreadable<T>() -> Error {
    Error::diverged(format!(
        "state can't be read as {}",
        std::any::type_name::<T>()
    ))
    .advice(
        "it was written with another type: run the version that wrote it, or declare the state \
         under a new name",
    )
}

/// The bytes before every key of a state in a group.
pub(super) fn prefix(group: KeyGroup, state: u32) -> [u8; PREFIX_LEN] {
    let ([a, b], [c, d, e, f]) = (group.0.to_be_bytes(), state.to_be_bytes());
    [a, b, c, d, e, f]
}

/// An entry with its time of expiry; `None` is never.
pub(super) fn entry<V: Serialize + ?Sized>(expires_ms: Option<u64>, value: &V) -> Result<Vec<u8>> {
    encode(&(expires_ms.unwrap_or(0), value))
}

/// When an entry expires; `None` is never.
pub(super) fn expires_ms(entry: &[u8]) -> Result<Option<u64>> {
    Ok(split(entry)?.0)
}

/// The value of an entry, unless it has expired.
pub(super) fn live<V: DeserializeOwned>(entry: &[u8], now_ms: u64) -> Result<Option<V>> {
    match split(entry)? {
        (Some(expires_ms), _) if expires_ms <= now_ms => Ok(None),
        (_, value) => decode(value).map(Some),
    }
}

/// True if the entry is there for nobody any more. What can't be read is kept: whoever needs it
/// reports it. So is the header.
pub(super) fn is_dead(key: &[u8], entry: &[u8], now_ms: u64) -> bool {
    let expires_ms = || expires_ms(entry).ok().flatten();
    !key.starts_with(&HEADER) && expires_ms().is_some_and(|at| at <= now_ms)
}

fn split(entry: &[u8]) -> Result<(Option<u64>, &[u8])> {
    let (expires_ms, value) =
        postcard::take_from_bytes(entry).map_err(|error| unreadable::<u64>().caused_by(error))?;
    Ok(((expires_ms != 0).then_some(expires_ms), value))
}
