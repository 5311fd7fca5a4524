//! Checkpoint Configuration: how often, how long, what is kept.

use std::time::Duration;

use super::without;
use crate::config::{CheckpointMode, RestartStrategy, Settings, StateBackend};
use crate::iceberg::Medium;
use crate::verify::facts::{Facts, Located, Work};
use crate::verify::report::Item;
use crate::verify::words::{count, span};

/// More often, and the table drowns in snapshots and small files.
const INTERVAL_MIN: Duration = Duration::from_secs(5);
/// More seldom, and rows are late, and much is read again after a crash.
const INTERVAL_MAX: Duration = Duration::from_secs(15 * 60);
/// A catalog that is restarted is away for so long.
const TIMEOUT_MIN: Duration = Duration::from_secs(60);
/// With so many snapshots a commit takes a multiple of its time.
const SNAPSHOTS_MAX: u64 = 2_000;

/// | item | warns | fails |
/// |---|---|---|
/// | mode | | (there is only one) |
/// | interval | outside of 5 s to 15 min | |
/// | timeout | below a minute, or the interval | below what a commit took just now |
/// | min-pause | not below the interval, which then is not kept | |
/// | concurrent | | (there is only one) |
/// | failures | the process ends with the first, and nothing starts it again | |
/// | state | kept in memory, or uploaded as a whole each time | |
/// | retained | nothing expires the table's snapshots, and there are thousands | |
/// | directory, savepoints | on a file system of memory | can't be written, or gives something else back |
pub(super) fn items(facts: &Facts) -> Vec<Item> {
    let settings = &facts.settings;
    vec![
        mode(settings),
        interval(settings),
        timeout(facts),
        min_pause(settings),
        concurrent(settings),
        failures(settings),
        state(settings),
        retained(facts),
        directory(
            "directory",
            "state.checkpoints.dir",
            &facts.checkpoint_dir,
            "offsets are in the table, and without state there is nothing else to keep",
        ),
        directory(
            "savepoints",
            "state.savepoints.dir",
            &facts.savepoint_dir,
            "`calve savepoint` has to be told where",
        ),
    ]
}

fn mode(settings: &Settings) -> Item {
    match settings.checkpoint.mode {
        CheckpointMode::ExactlyOnce => Item::pass("mode", "EXACTLY_ONCE; there is no weaker one"),
    }
}

fn interval(settings: &Settings) -> Item {
    let interval = settings.checkpoint.interval;
    let day = Duration::from_secs(86_400).as_millis();
    let evidence = format!(
        "{}: at most {} a day, each of one file a worker",
        span(interval),
        count((day / interval.as_millis().max(1)) as u64, "commit"),
    );
    let advice = |what| format!("{what}; 60 s is a good start (checkpoint.interval)");
    if interval < INTERVAL_MIN {
        Item::warn(
            "interval",
            evidence,
            advice("many small files, which somebody must compact"),
        )
    } else if interval > INTERVAL_MAX {
        Item::warn(
            "interval",
            evidence,
            advice("rows are late, and much is read again after a crash"),
        )
    } else {
        Item::pass("interval", evidence)
    }
}

fn timeout(facts: &Facts) -> Item {
    let checkpoint = &facts.settings.checkpoint;
    let evidence = span(checkpoint.timeout);
    let took = facts.probe.seen().and_then(|probe| probe.commit);
    if let Some(took) = took.filter(|took| *took >= checkpoint.timeout) {
        return Item::fail(
            "timeout",
            format!("{evidence}, but an empty commit took {}", span(took)),
            "no checkpoint can succeed: raise checkpoint.timeout; 10 min outlasts most outages",
        );
    }
    let advice = "an outage of the catalog that is longer fails the checkpoint: raise checkpoint.timeout; \
                  10 min outlasts most";
    if checkpoint.timeout < TIMEOUT_MIN {
        Item::warn("timeout", evidence, advice)
    } else if checkpoint.timeout < checkpoint.interval {
        Item::warn(
            "timeout",
            format!("{evidence}, less than the interval"),
            advice,
        )
    } else {
        Item::pass(
            "timeout",
            format!("{evidence}; a commit is tried again until then"),
        )
    }
}

fn min_pause(settings: &Settings) -> Item {
    let checkpoint = &settings.checkpoint;
    let pause = checkpoint.min_pause();
    let source = match checkpoint.min_pause {
        Some(_) => "",
        None => " (not set: half of the interval, at most 30 s)",
    };
    let evidence = format!("{}{source}", span(pause));
    match pause < checkpoint.interval || pause.is_zero() {
        true => Item::pass("min-pause", evidence),
        false => Item::warn(
            "min-pause",
            format!(
                "{evidence}, not below the interval of {}",
                span(checkpoint.interval)
            ),
            "checkpoints come later than the interval says: lower checkpoint.min-pause, or raise \
             checkpoint.interval",
        ),
    }
}

fn concurrent(settings: &Settings) -> Item {
    let evidence = format!(
        "{}: commits form a chain",
        settings.checkpoint.max_concurrent
    );
    Item::pass("max-concurrent", evidence)
}

fn failures(settings: &Settings) -> Item {
    let borne = settings.checkpoint.tolerable_failed;
    let then = match settings.restart.strategy {
        RestartStrategy::None => "the process ends",
        RestartStrategy::FixedDelay => "restarts after a fixed delay",
        RestartStrategy::ExponentialDelay => "restarts after delays that grow",
        RestartStrategy::FailureRate => "restarts as long as failures are rare",
    };
    let evidence = format!(
        "{} in a row borne, then {then}",
        count(borne.into(), "failed checkpoint")
    );
    match settings.restart.strategy {
        RestartStrategy::None => Item::warn(
            "failures",
            evidence,
            "let a supervisor start it again, or set restart-strategy.type to exponential-delay",
        ),
        _ => Item::pass("failures", evidence),
    }
}

fn state(settings: &Settings) -> Item {
    const TITLE: &str = "state backend";
    let state = &settings.state;
    let kept = count(state.checkpoints_retained as u64, "snapshot");
    match (state.backend, state.incremental) {
        (StateBackend::Rocksdb, true) => Item::pass(
            TITLE,
            format!("rocksdb, incremental; {kept} kept, and savepoints"),
        ),
        (StateBackend::Rocksdb, false) => Item::warn(
            TITLE,
            format!("rocksdb, but each checkpoint uploads all of the state; {kept} kept"),
            "set state.backend.incremental to true",
        ),
        (StateBackend::Memory, _) => Item::warn(
            TITLE,
            "memory: the state of a dataflow has to fit into it, and each checkpoint writes all of it",
            "set state.backend.type to rocksdb",
        ),
    }
}

fn retained(facts: &Facts) -> Item {
    let settings = &facts.settings;
    let kept = "the marker stays in the table when the job ends or is cancelled";
    if let Some(age) = settings.snapshots.max_age {
        return Item::pass(
            "retained",
            format!(
                "{kept}; snapshots for {}, at least the newest {}",
                span(age),
                settings.snapshots.min_to_keep
            ),
        );
    }
    let snapshots = facts
        .table
        .seen()
        .map_or(0, |table| table.snapshots.retained);
    match snapshots > SNAPSHOTS_MAX {
        false => Item::pass(
            "retained",
            format!("{kept}; calve expires no snapshot (snapshots.max-age is not set)"),
        ),
        true => Item::warn(
            "retained",
            format!("{} and nothing expires them", count(snapshots, "snapshot")),
            "each commit rewrites the list of them all: set snapshots.max-age (5d), or let another engine expire them",
        ),
    }
}

fn directory(title: &'static str, key: &str, located: &Located, none: &str) -> Item {
    let Some(location) = &located.location else {
        return Item::pass(title, format!("none: {none}"));
    };
    let proved = "a file was written, synced, read back and deleted";
    match &located.medium {
        Work::Done(Medium::Disk(kind)) => {
            Item::pass(title, format!("{location}: {proved} ({kind})"))
        }
        Work::Done(Medium::Objects) => Item::pass(
            title,
            format!("{location}: an object was written, read back and deleted"),
        ),
        Work::Done(Medium::Memory(kind)) => Item::warn(
            title,
            format!("{location} is a {kind}: {proved}, but it is gone with the machine"),
            format!("put {key} on a disk or on S3"),
        ),
        Work::Failed(trouble) => Item::fail(
            title,
            trouble.says.clone(),
            format!("make it writable for this user, or set {key} to another place"),
        ),
        work @ Work::Omitted(_) => without(title, work, "the directory"),
    }
}
