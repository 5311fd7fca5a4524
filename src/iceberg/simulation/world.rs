//! What really happened: the table with all it ever was, the requests under way, the log.
//!
//! Everything a process sees of the table comes from here, and every change of the table is checked
//! here against the invariants, at the moment at which it happens.

mod log;
mod table;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use futures::channel::oneshot;
use iceberg::io::{FileIO, MemoryStorage};
use iceberg::spec::TableMetadataRef;
use iceberg::table::Table;
use iceberg::{Error, ErrorKind, Result, Runtime, TableIdent, TableRequirement, TableUpdate};

use super::chance::Chance;
use super::store::{self, Fate};
use crate::checkpoint::marker::MarkerId;
use crate::config::OnRollback;
pub(super) use log::check_rows;
use table::{Past, new_table};

const TOPIC: &str = "t";
const PARTITIONS: usize = 2;

pub(super) fn ident() -> TableIdent {
    TableIdent::from_strs(["db", "events"]).unwrap()
}

/// The network's answer when there is none.
pub(super) fn reset() -> Error {
    Error::new(ErrorKind::Unexpected, "connection reset by peer")
}

/// The world, shared by all who live in it.
#[derive(Clone, Debug)]
pub(super) struct Sim(Arc<Mutex<World>>);

impl Sim {
    pub(super) fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }
}

/// What a process asks for, and waits.
#[derive(Debug)]
pub(super) enum Asked {
    Load,
    Swap(Swap),
    File,
}

/// A swap on its way to the catalog.
#[derive(Clone, Debug)]
pub(super) struct Swap {
    pub(super) process: usize,
    pub(super) requirements: Vec<TableRequirement>,
    pub(super) updates: Vec<TableUpdate>,
}

/// A request that waits until the schedule lets it through.
#[derive(Debug)]
pub(super) struct Request {
    process: usize,
    asked: Asked,
    answer: oneshot::Sender<Result<Loaded>>,
}

/// A table as it was loaded.
#[derive(Debug)]
pub(super) struct Loaded {
    metadata: TableMetadataRef,
    version: usize,
    runtime: Runtime,
}

impl Loaded {
    pub(super) fn table(self, files: FileIO) -> Result<Table> {
        Table::builder()
            .identifier(ident())
            .file_io(files)
            .metadata(self.metadata)
            .metadata_location(format!("memory:/table/metadata/{}.json", self.version))
            .runtime(self.runtime)
            .disable_cache()
            .build()
    }
}

/// How often things go wrong, in percent.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) swap: u64,
    pub(super) load: u64,
    pub(super) store: u64,
    /// Whoever waits for a commit loses patience.
    pub(super) patience: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct World {
    pub(super) chance: Chance,
    pub(super) faults: Faults,
    pub(super) memory: MemoryStorage,
    pub(super) requests: Vec<Request>,
    /// Swaps that nobody waits for any more, and that may still arrive.
    pub(super) network: Vec<Swap>,
    /// Who will never be answered.
    unanswered: Vec<oneshot::Sender<Result<Loaded>>>,
    /// The table, now and at all earlier times.
    versions: Vec<TableMetadataRef>,
    history: Vec<Past>,
    /// Every marker that ever was in a table.
    landed: HashSet<MarkerId>,
    /// The head that an operator's last rollback cut off.
    cut_off: Option<i64>,
    /// What each process does about a rollback.
    policies: HashMap<usize, OnRollback>,
    /// The table wants its manifests to be merged.
    merges: bool,
    /// An operator has changed more than a pipeline can bear.
    pub(super) tampered: bool,
    /// Somebody has been shown an older table than there was.
    pub(super) lagged: bool,
    /// What can be read of each partition; the beginning may be gone.
    log: [Range<i64>; PARTITIONS],
    files: u64,
    /// Manifests are not only searched but parsed.
    pub(super) parses: bool,
    violation: Option<String>,
    seen: BTreeMap<&'static str, u64>,
    trace: Option<Vec<String>>,
    runtime: Runtime,
}

impl World {
    pub(super) fn new(seed: u64, traced: bool) -> Self {
        let mut chance = Chance::new(seed);
        let log = std::array::from_fn(|_| {
            let begin = chance.below(3) as i64;
            begin..begin + 2 + chance.below(6) as i64
        });
        // It takes longer than all the rest of a schedule.
        let merges = seed % 16 == 1;
        Self {
            chance,
            faults: Faults::default(),
            memory: store::new_memory(),
            requests: Vec::new(),
            network: Vec::new(),
            unanswered: Vec::new(),
            versions: vec![new_table(merges)],
            history: Vec::new(),
            landed: HashSet::new(),
            cut_off: None,
            policies: HashMap::new(),
            merges,
            tampered: false,
            lagged: false,
            log,
            files: 0,
            parses: seed.is_multiple_of(16),
            violation: None,
            seen: BTreeMap::new(),
            trace: traced.then(Vec::new),
            runtime: Runtime::try_current().unwrap(),
        }
    }

    // What is written down.

    pub(super) fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(what());
        }
    }

    pub(super) fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
        self.note(|| format!("  ({what})"));
    }

    /// The first violation is the one that counts: what follows may be its consequence.
    pub(super) fn violated(&mut self, what: String) {
        self.note(|| format!("  VIOLATED: {what}"));
        self.violation.get_or_insert(what);
    }

    pub(super) fn violation(&self) -> Option<String> {
        self.violation.clone()
    }

    pub(super) fn take_notes(&mut self) -> (BTreeMap<&'static str, u64>, Vec<String>) {
        (
            std::mem::take(&mut self.seen),
            self.trace.take().unwrap_or_default(),
        )
    }

    // What processes ask for.

    pub(super) fn ask(
        &mut self,
        process: usize,
        asked: Asked,
    ) -> oneshot::Receiver<Result<Loaded>> {
        let (answer, answered) = oneshot::channel();
        self.requests.push(Request {
            process,
            asked,
            answer,
        });
        answered
    }

    pub(super) fn store_fate(&mut self) -> Fate {
        if !self.chance.percent(self.faults.store) {
            Fate::Done
        } else if self.chance.percent(50) {
            Fate::Fails
        } else {
            Fate::Slow
        }
    }

    /// Requests whose sender has given up: a swap may be under way all the same.
    pub(super) fn sweep(&mut self) {
        for request in std::mem::take(&mut self.requests) {
            if !request.answer.is_canceled() {
                self.requests.push(request);
            } else if let Asked::Swap(swap) = request.asked
                && self.chance.percent(60)
            {
                self.note(|| format!("the swap of p{} stays under way", request.process));
                self.network.push(swap);
            }
        }
    }

    /// Everybody who will never be answered learns so.
    pub(super) fn reset_connections(&mut self) {
        self.unanswered.clear();
    }

    /// Lets a request through, or not.
    pub(super) fn answer(&mut self, index: usize) {
        let Request {
            process,
            asked,
            answer,
        } = self.requests.remove(index);
        let answered = match asked {
            Asked::File => Some(Ok(self.load(0))),
            Asked::Load => self.answer_load(process),
            Asked::Swap(swap) => self.answer_swap(process, swap),
        };
        match answered {
            Some(answered) => drop(answer.send(answered)),
            None => self.unanswered.push(answer),
        }
    }

    /// The table as it was so many changes ago.
    fn load(&self, ago: usize) -> Loaded {
        let version = self.versions.len().saturating_sub(ago + 1);
        Loaded {
            metadata: Arc::clone(&self.versions[version]),
            version,
            runtime: self.runtime.clone(),
        }
    }

    fn answer_load(&mut self, process: usize) -> Option<Result<Loaded>> {
        if !self.chance.percent(self.faults.load) {
            self.note(|| format!("p{process} loads the table"));
            return Some(Ok(self.load(0)));
        }
        match self.chance.below(4) {
            0 => {
                self.note(|| format!("p{process} gets no answer to a load"));
                None
            }
            1 => {
                let ago = 1 + self.chance.below(3) as usize;
                self.note(|| format!("p{process} loads the table of {ago} changes ago"));
                self.lagged = true;
                Some(Ok(self.load(ago)))
            }
            _ => {
                self.note(|| format!("p{process} fails to load the table"));
                Some(Err(reset()))
            }
        }
    }

    fn answer_swap(&mut self, process: usize, swap: Swap) -> Option<Result<Loaded>> {
        if !self.chance.percent(self.faults.swap) {
            return Some(self.arrive(&swap));
        }
        let fate = self.chance.below(10);
        let what = [
            "the answer is lost",
            "there is no answer",
            "the answer is a conflict, whatever happened",
            "it is sent twice",
            "it does not arrive",
            "it does not arrive, and there is no answer",
            "it is late",
            "it is late, and there is no answer",
            "the catalog lies",
            "it is refused for good",
        ][fate as usize];
        self.note(|| format!("a fault in the swap of p{process}: {what}"));
        match fate {
            0 => {
                let _ = self.arrive(&swap);
                Some(Err(reset()))
            }
            1 => {
                let _ = self.arrive(&swap);
                None
            }
            2 => {
                let _ = self.arrive(&swap);
                let conflict = Error::new(ErrorKind::CatalogCommitConflicts, "409");
                Some(Err(conflict.with_retryable(true)))
            }
            3 => {
                let answer = self.arrive(&swap);
                self.network.push(swap);
                Some(answer)
            }
            4 => Some(Err(reset())),
            5 => None,
            6 => {
                self.network.push(swap);
                Some(Err(reset()))
            }
            7 => {
                self.network.push(swap);
                None
            }
            8 => Some(Ok(self.load(0))),
            _ => {
                let refused = Error::new(ErrorKind::Unexpected, "unexpected status");
                Some(Err(refused.with_context("status", "400 Bad Request")))
            }
        }
    }

    /// A swap that nobody waits for arrives after all.
    pub(super) fn deliver(&mut self, index: usize) {
        let swap = self.network.remove(index);
        self.note(|| format!("a late swap of p{} arrives", swap.process));
        if self.arrive(&swap).is_ok() {
            self.saw("a swap that nobody waited for has landed");
        }
    }

    /// The catalog's compare-and-swap.
    fn arrive(&mut self, swap: &Swap) -> Result<Loaded> {
        let stood = self.stands();
        let swapped = swap
            .requirements
            .iter()
            .try_for_each(|requirement| requirement.check(Some(self.table())))
            .and_then(|()| self.change(swap.updates.clone()));
        match swapped {
            Ok(()) => {
                self.landed(swap, stood);
                Ok(self.load(0))
            }
            Err(error) => {
                self.note(|| format!("p{} swaps in vain: {}", swap.process, error.message()));
                self.saw("a swap met a conflict");
                Err(error)
            }
        }
    }
}
