//! State in RocksDB: one database for each store, tuned for keys that are written once and asked for
//! before.
//!
//! * **No write-ahead log.** Kafka is the log: what was written since the last snapshot is read again.
//!   A snapshot flushes what is in memory and links all files into a new folder, on a thread of its own; meanwhile
//!   nothing is written to the database ([`Meanwhile`]). Write buffers are small for its sake.
//! * **Absent keys are the hot path.** A new key asks every sorted run for something that is not there.
//!   Each run answers from a Bloom filter over whole keys, and so does the write buffer.
//! * **Universal compaction.** Runs are merged with runs of about their size, so an entry is rewritten a
//!   few times in its life; in levels it would be some ten times, and what is rewritten is uploaded again.
//!   The price is more runs to ask, which the filters pay.
//! * **One budget.** Block cache, with filters and indexes in it, and write buffers of all stores of a
//!   process share one configured number of bytes.
//! * **Expired entries** are invisible by their own time already; compaction only takes their space back.

use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rocksdb::checkpoint::Checkpoint;
use rocksdb::compaction_filter::Decision;
use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompactionStyle, DBCompressionType, DEFAULT_COLUMN_FAMILY_NAME,
    LruCacheOptions, Options, ReadOptions, UniversalCompactOptions, WriteBatch, WriteBufferManager,
    WriteOptions,
};

use super::backend::{Changes, Horizon, StateBackend, Visit};
use super::encoding;
use super::files;
use super::meanwhile::{Meanwhile, Written};
use crate::error::{Error, Result};

#[cfg(test)]
mod tests;

/// What all databases of a process share.
#[derive(Clone)]
pub(super) struct Rocks {
    cache: Cache,
    buffers: WriteBufferManager,
}

/// Bytes of one write buffer: the most that a snapshot has to flush.
const WRITE_BUFFER_BYTES: usize = 4 << 20;
/// Merged files go to the disk bit by bit: a snapshot's sync must not wait for all of one.
const BYTES_PER_SYNC: u64 = 1 << 20;
/// Bytes of one data block. A hit reads one of them; a miss is answered by the filter.
const BLOCK_BYTES: usize = 8 << 10;
/// One look-up in a hundred for an absent key reads a block in vain.
const FILTER_BITS_PER_KEY: f64 = 10.0;
/// The part of a write buffer that its own filter takes.
const BUFFER_FILTER_RATIO: f64 = 0.1;
/// The cache has few shards: the filter of a large file has to fit into one, or it is read at every look-up.
const CACHE_SHARD_BITS: i32 = 3;
/// The record of all files begins anew at this size; every snapshot uploads it.
const RECORD_BYTES_MAX: usize = 256 << 10;
/// Sorted runs before some are merged.
const RUNS_BEFORE_COMPACTION: i32 = 12;
/// Sorted runs at which writes slow down, and at which they wait: merging has fallen far behind.
const RUNS_SLOW: i32 = 48;
const RUNS_STOP: i32 = 64;

impl Rocks {
    pub(super) fn new(memory_bytes: u64) -> Self {
        let bytes = usize::try_from(memory_bytes).unwrap_or(usize::MAX);
        let mut options = LruCacheOptions::default();
        options.set_capacity(bytes);
        options.set_num_shard_bits(CACHE_SHARD_BITS);
        let cache = Cache::new_lru_cache_opts(&options);
        // Write buffers are paid for from the cache. They may take half of it, then they are flushed.
        let buffers = WriteBufferManager::new_write_buffer_manager_with_cache(
            bytes / 2,
            false,
            cache.clone(),
        );
        Self { cache, buffers }
    }

    fn options(&self) -> Options {
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&self.cache);
        table.set_block_size(BLOCK_BYTES);
        table.set_bloom_filter(FILTER_BITS_PER_KEY, false);
        table.set_whole_key_filtering(true);
        table.set_cache_index_and_filter_blocks(true);
        table.set_cache_index_and_filter_blocks_with_high_priority(true);
        table.set_pin_l0_filter_and_index_blocks_in_cache(true);
        table.set_optimize_filters_for_memory(true);

        let mut universal = UniversalCompactOptions::default();
        universal.set_min_merge_width(4);
        universal.set_compression_size_percent(-1);

        let mut options = Options::default();
        options.set_block_based_table_factory(&table);
        options.set_compaction_style(DBCompactionStyle::Universal);
        options.set_universal_compaction_options(&universal);
        options.set_level_zero_file_num_compaction_trigger(RUNS_BEFORE_COMPACTION);
        options.set_level_zero_slowdown_writes_trigger(RUNS_SLOW);
        options.set_level_zero_stop_writes_trigger(RUNS_STOP);
        options.set_bytes_per_sync(BYTES_PER_SYNC);
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_write_buffer_manager(&self.buffers);
        options.set_write_buffer_size(WRITE_BUFFER_BYTES);
        options.set_max_write_buffer_number(4);
        options.set_memtable_whole_key_filtering(true);
        options.set_memtable_prefix_bloom_ratio(BUFFER_FILTER_RATIO);
        options.set_max_background_jobs(2);
        options.set_max_open_files(512);
        options.set_max_manifest_file_size(RECORD_BYTES_MAX);
        options.set_keep_log_file_num(1);
        options.set_max_log_file_size(1 << 20);
        options.set_stats_dump_period_sec(0);
        options.set_stats_persist_period_sec(0);
        options
    }
}

/// One database.
pub(super) struct RocksBackend {
    db: Arc<DB>,
    write: WriteOptions,
    snapshot: Option<Snapshotting>,
    horizon: Horizon,
    /// What compaction may drop. It stands still while a snapshot is being written: what expires meanwhile is alive in it.
    droppable: Horizon,
}

/// A snapshot that is being written, or has been since the last change.
struct Snapshotting {
    thread: JoinHandle<()>,
    meanwhile: Meanwhile,
}

/// So much may wait for a snapshot; then whoever writes waits for it, too.
const MEANWHILE_BYTES_MAX: usize = 8 << 20;

impl RocksBackend {
    pub(super) fn create(rocks: &Rocks, folder: &Path, horizon: Horizon) -> Result<Self> {
        let mut options = rocks.options();
        options.create_if_missing(true);
        options.set_error_if_exists(true);
        Self::with(options, folder, horizon)
    }

    pub(super) fn open(rocks: &Rocks, folder: &Path, horizon: Horizon) -> Result<Self> {
        Self::with(rocks.options(), folder, horizon)
    }

    fn with(mut options: Options, folder: &Path, horizon: Horizon) -> Result<Self> {
        let droppable = Horizon::new(horizon.get());
        let until = droppable.clone();
        options.set_compaction_filter(
            "expired",
            move |_level, key, entry| match encoding::is_dead(key, entry, until.get()) {
                true => Decision::Remove,
                false => Decision::Keep,
            },
        );
        let db = DB::open_cf_with_opts(&options, folder, families(&options))
            .map_err(|error| failed("open", folder, error))?;
        Ok(Self::of(db, horizon, droppable))
    }

    /// Opens a database that is only read: nothing in its folder changes.
    pub(super) fn read(rocks: &Rocks, folder: &Path) -> Result<Self> {
        let options = rocks.options();
        let families = families(&options);
        let db = DB::open_cf_with_opts_for_read_only(&options, folder, families, false)
            .map_err(|error| failed("open", folder, error))?;
        Ok(Self::of(db, Horizon::default(), Horizon::default()))
    }

    fn of(db: DB, horizon: Horizon, droppable: Horizon) -> Self {
        let mut write = WriteOptions::default();
        write.disable_wal(true);
        Self {
            db: Arc::new(db),
            write,
            snapshot: None,
            horizon,
            droppable,
        }
    }

    /// What is to become of a key since the last snapshot was begun; `None` if it has not changed.
    fn meanwhile(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        let snapshot = self.snapshot.as_ref()?;
        snapshot.meanwhile.get(key)
    }

    /// Waits for the last snapshot, and makes the changes that waited for it.
    fn settle(&mut self) -> Result<()> {
        let Some(Snapshotting { thread, meanwhile }) = self.snapshot.take() else {
            return Ok(());
        };
        // How it ended stands in `Written`; a thread that panicked has told nobody, which is an error there.
        let _ = thread.join();
        self.write_now(&meanwhile.into_changes())
    }

    /// While no snapshot is under way.
    fn write_now(&self, changes: &Changes) -> Result<()> {
        self.droppable.advance_to(self.horizon.get());
        let mut batch = WriteBatch::default();
        for (key, value) in changes.iter() {
            match value {
                Some(value) => batch.put(key, value),
                None => batch.delete(key),
            }
        }
        self.db
            .write_opt(batch, &self.write)
            .map_err(|error| self.failed("write", error))
    }

    fn failed(&self, what: &str, error: rocksdb::Error) -> Error {
        failed(what, self.db.path(), error)
    }
}

/// The only column family, by its name: look-ups of many keys at once ask for its handle.
fn families(options: &Options) -> [(&'static str, Options); 1] {
    [(DEFAULT_COLUMN_FAMILY_NAME, options.clone())]
}

fn failed(what: &str, folder: &Path, error: rocksdb::Error) -> Error {
    Error::external(format!("can't {what} the state in {}", folder.display())).caused_by(error)
}

impl StateBackend for RocksBackend {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        match self.meanwhile(key) {
            Some(value) => Ok(value.map(<[u8]>::to_vec)),
            None => self.db.get(key).map_err(|error| self.failed("read", error)),
        }
    }

    fn get_many(&self, keys: &[&[u8]], sorted: bool) -> Result<Vec<Option<Vec<u8>>>> {
        let family = self.db.cf_handle(DEFAULT_COLUMN_FAMILY_NAME);
        let family = family.ok_or_else(|| Error::internal("a database has no column family"))?;
        let found = self
            .db
            .batched_multi_get_cf(&family, keys.iter().copied(), sorted);
        let values = keys.iter().zip(found).map(|(key, value)| {
            if let Some(value) = self.meanwhile(key) {
                return Ok(value.map(<[u8]>::to_vec));
            }
            match value {
                Ok(value) => Ok(value.map(|value| value.to_vec())),
                Err(error) => Err(self.failed("read", error)),
            }
        });
        values.collect()
    }

    fn write(&mut self, changes: Changes) -> Result<()> {
        if let Some(snapshot) = &mut self.snapshot
            && !snapshot.thread.is_finished()
            && snapshot.meanwhile.bytes() < MEANWHILE_BYTES_MAX
        {
            snapshot.meanwhile.add(&changes);
            return Ok(());
        }
        self.settle()?;
        self.write_now(&changes)
    }

    fn scan(&self, prefix: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        let mut options = ReadOptions::default();
        options.set_iterate_range(rocksdb::PrefixRange(prefix));
        let mut entries = self.db.raw_iterator_opt(options);
        let meanwhile = self.snapshot.iter();
        let meanwhile = meanwhile.flat_map(|snapshot| snapshot.meanwhile.below(prefix));
        let mut meanwhile = meanwhile.peekable();
        entries.seek_to_first();
        while let Some((key, value)) = entries.item() {
            while let Some((before, value)) = meanwhile.next_if(|(changed, _)| *changed < key) {
                value.map_or(Ok(()), |value| visit(before, value))?;
            }
            match meanwhile.next_if(|(changed, _)| *changed == key) {
                Some((_, changed)) => changed.map_or(Ok(()), |value| visit(key, value))?,
                None => visit(key, value)?,
            }
            entries.next();
        }
        entries
            .status()
            .map_err(|error| self.failed("read", error))?;
        for (key, value) in meanwhile {
            value.map_or(Ok(()), |value| visit(key, value))?;
        }
        Ok(())
    }

    fn snapshot(&mut self, folder: &Path) -> Result<Written> {
        self.settle()?;
        let (outcome, written) = Written::soon();
        let (db, folder) = (Arc::clone(&self.db), folder.to_owned());
        let write = move || {
            let done = write_snapshot(&db, &folder);
            // Let go of the database before anybody who waits goes on, and perhaps opens it.
            drop(db);
            outcome.send_replace(Some(done.map_err(|error| error.says())));
        };
        let thread = thread::Builder::new().name("state-snapshot".to_owned());
        let thread = thread
            .spawn(write)
            .map_err(|error| Error::internal("no thread for a snapshot").caused_by(error))?;
        self.snapshot = Some(Snapshotting {
            thread,
            meanwhile: Meanwhile::default(),
        });
        Ok(written)
    }
}

/// Nobody may remove the folder of a database that is still being read from.
impl Drop for RocksBackend {
    fn drop(&mut self) {
        if let Some(snapshot) = self.snapshot.take() {
            let _ = snapshot.thread.join();
        }
    }
}

/// Flushes what is in memory, and links all files into a new folder.
fn write_snapshot(db: &DB, folder: &Path) -> Result<()> {
    Checkpoint::new(db)
        .and_then(|checkpoint| checkpoint.create_checkpoint(folder))
        .map_err(|error| failed("snapshot", db.path(), error))?;
    // Nothing is ever logged, so these are empty.
    for (name, _) in files::list(folder)? {
        if name.ends_with(".log") {
            files::remove_file(&folder.join(name))?;
        }
    }
    Ok(())
}
