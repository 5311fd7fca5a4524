//! The model's processes: they start, claim, stage, try, read back and give up, as the production
//! committer does, by the production decisions.

use super::table::{Mark, Table, marker_id};
use crate::checkpoint::decisions::{
    Claim, Decision, Mine, Observed, Start, decide_claim, decide_commit, decide_start,
};
use crate::config::OnRollback;

/// What a start does about a rollback: it refuses.
pub(super) const ON_ROLLBACK: OnRollback = OnRollback::Halt;

/// A swap under way, and what it requires.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Swap {
    pub(super) uuid: u8,
    pub(super) main: Option<u8>,
    pub(super) mark: Mark,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Process {
    Down,
    /// It has seen the table, decided to start, and wants to land its claim.
    Claiming {
        uuid: u8,
        mark: Mark,
        carried: Option<Mark>,
    },
    Running(Committer),
    /// It has ended: fenced or refused.
    Ended,
}

/// What a committer remembers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Committer {
    pub(super) uuid: u8,
    pub(super) head: Mark,
    /// The table's last sequence number when it was last read.
    pub(super) sequence: u8,
    /// Markers made, the claim's included.
    pub(super) made: u8,
    pub(super) epoch: u8,
    pub(super) read: u8,
    /// Files that are not proved to be in the table.
    pub(super) riding: u8,
    pub(super) trying: Option<Mark>,
    pub(super) unproved: Vec<Mark>,
}

impl Process {
    pub(super) fn decide(&self, observed: &Observed) -> Option<Decision> {
        match self {
            Self::Down | Self::Ended => None,
            Self::Claiming {
                uuid,
                mark,
                carried,
            } => Some(decide_claim(
                observed,
                &Claim {
                    id: marker_id(mark.id),
                    table_uuid: uuid.to_string(),
                    from: carried.map_or(Start::Fresh, |mark| {
                        Start::Resume(Box::new(mark.marker(*uuid)))
                    }),
                    on_rollback: ON_ROLLBACK,
                },
            )),
            Self::Running(committer) => {
                let mine = committer.mine(committer.trying?);
                Some(decide_commit(observed, &mine))
            }
        }
    }

    pub(super) fn swap(&self, table: &Table) -> Option<Swap> {
        let mark = match self {
            Self::Claiming { mark, .. } => *mark,
            Self::Running(committer) => committer.trying?,
            Self::Down | Self::Ended => return None,
        };
        Some(Swap {
            uuid: table.uuid,
            main: table.main,
            mark,
        })
    }
}

impl Committer {
    pub(super) fn mine(&self, mark: Mark) -> Mine {
        let head = self.head.marker(self.uuid);
        Mine {
            id: marker_id(mark.id),
            table_uuid: head.table_uuid.clone(),
            generation: head.generation,
            parent_rank: head.rank(),
            parent: head.id,
            unproved: self
                .unproved
                .iter()
                .map(|mark| marker_id(mark.id))
                .collect(),
        }
    }

    /// Makes a marker of everything that is not in the table yet.
    pub(super) fn aim(&mut self) {
        if self.riding == 0 && self.head.to == self.read && self.unproved.is_empty() {
            self.trying = None;
            return;
        }
        self.trying = Some(Mark {
            id: (self.head.id.0, self.made),
            parent: Some(self.head.id),
            generation: self.head.generation,
            epoch: self.epoch,
            from: self.head.to,
            to: self.read,
            base_sequence: self.sequence,
            files: self.riding,
        });
        self.made += 1;
    }

    pub(super) fn go_on_from(&mut self, head: Mark, table: &Table) {
        self.riding &= !head.files;
        self.head = head;
        self.sequence = table.snapshots.len() as u8;
        self.unproved.clear();
        self.trying = None;
    }
}

/// A start observes the table and decides.
pub(super) fn start(table: &Table, starts: u8) -> Option<Process> {
    let carried = match decide_start(&table.observed(), ON_ROLLBACK) {
        Start::Recover(_) | Start::Refuse(_) => return Some(Process::Ended),
        Start::Fresh => None,
        Start::Resume(_) => table.property,
    };
    let at = carried.map_or(0, |mark| mark.to);
    let mark = Mark {
        id: (starts, 0),
        parent: carried.map(|mark| mark.id),
        generation: carried.map_or(1, |mark| mark.generation + 1),
        epoch: carried.map_or(0, |mark| mark.epoch),
        from: at,
        to: at,
        base_sequence: table.snapshots.len() as u8,
        files: 0,
    };
    let uuid = table.uuid;
    Some(Process::Claiming {
        uuid,
        mark,
        carried,
    })
}

/// A process reads the table back, decides, and goes on. `None` if nothing changes by that.
pub(super) fn read_back(table: &Table, process: &mut Process) -> Option<()> {
    let next = match (process.decide(&table.observed())?, &*process) {
        (Decision::Append, _) => return None,
        (Decision::Fenced(_) | Decision::Refuse(_), _) => Process::Ended,
        (Decision::Outrun, _) => Process::Down,
        (Decision::AlreadyCommitted, Process::Claiming { uuid, mark, .. }) => {
            Process::Running(Committer {
                uuid: *uuid,
                head: *mark,
                sequence: table.snapshots.len() as u8,
                made: 1,
                epoch: mark.epoch,
                read: mark.to,
                riding: 0,
                trying: None,
                unproved: Vec::new(),
            })
        }
        (decision, Process::Running(committer)) => {
            let mut committer = committer.clone();
            match decision {
                Decision::Landed(id) => {
                    let landed = |mark: &&Mark| marker_id(mark.id) == id;
                    let landed = *committer.unproved.iter().find(landed)?;
                    committer.go_on_from(landed, table);
                    committer.aim();
                }
                _ => committer.go_on_from(committer.trying?, table),
            }
            Process::Running(committer)
        }
        (_, Process::Claiming { .. } | Process::Down | Process::Ended) => return None,
    };
    *process = next;
    Some(())
}
