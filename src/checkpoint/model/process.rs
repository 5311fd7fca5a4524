//! The model's processes: they start, claim, stage, try, read back and give up, as the production
//! committer does, by the production decisions.

use std::collections::BTreeMap;

use super::table::{Mark, Table, marker_id, offsets, ranges};
use crate::checkpoint::decisions::{
    Claim, Decision, Mine, Observed, Start, decide_claim, decide_commit, decide_start,
};
use crate::checkpoint::marker::{Marker, Ranges};
use crate::checkpoint::rollback::Recovery;
use crate::config::OnRollback;
use crate::offsets::NextOffset;

/// A swap under way, and what it requires.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Swap {
    pub(super) uuid: u8,
    pub(super) main: Option<u8>,
    pub(super) mark: Mark,
    /// Its process goes on from the recorded marker of a rolled-back table, whatever lies before.
    pub(super) leaves_out: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Process {
    Down,
    /// It has seen the table, decided to start, and wants to land its claim.
    Claiming {
        uuid: u8,
        mark: Mark,
        from: From,
        policy: Policy,
    },
    Running(Committer),
    /// It has ended: fenced or refused.
    Ended,
}

/// What a process does about a rollback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Policy {
    Halt,
    Rewind,
    Continue,
}

impl Policy {
    pub(super) const ALL: [Self; 3] = [Self::Halt, Self::Rewind, Self::Continue];

    pub(super) fn on_rollback(self) -> OnRollback {
        match self {
            Self::Halt => OnRollback::Halt,
            Self::Rewind => OnRollback::Rewind,
            Self::Continue => OnRollback::Continue,
        }
    }
}

/// What a start was decided to go on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum From {
    Nothing,
    Marker(Mark),
    Rollback {
        recorded: Mark,
        newest: Option<Mark>,
        next: u8,
        left_out: Option<(u8, u8)>,
        left_out_unknown: bool,
        policy: Policy,
    },
}

impl From {
    fn start(self, uuid: u8) -> Start {
        match self {
            Self::Nothing => Start::Fresh,
            Self::Marker(mark) => Start::Resume(Box::new(mark.marker(uuid))),
            Self::Rollback {
                recorded,
                newest,
                next,
                left_out,
                left_out_unknown,
                policy,
            } => Start::Recover(Box::new(Recovery {
                policy: policy.on_rollback(),
                recorded: recorded.marker(uuid),
                newest: newest.map(|mark| mark.marker(uuid)),
                next: offsets(next),
                topic_ids: BTreeMap::new(),
                left_out_unknown,
                left_out: left_out.map_or_else(Ranges::default, |(from, to)| ranges(from, to)),
                state_snapshot: None,
            })),
        }
    }
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
                from,
                policy,
            } => Some(decide_claim(
                observed,
                &Claim {
                    id: marker_id(mark.id),
                    table_uuid: uuid.to_string(),
                    from: from.start(*uuid),
                    on_rollback: policy.on_rollback(),
                },
            )),
            Self::Running(committer) => {
                let mine = committer.mine(committer.trying?);
                Some(decide_commit(observed, &mine))
            }
        }
    }

    pub(super) fn swap(&self, table: &Table) -> Option<Swap> {
        let (mark, leaves_out) = match self {
            Self::Claiming {
                mark, from, policy, ..
            } => (
                *mark,
                *policy == Policy::Continue && matches!(from, From::Rollback { .. }),
            ),
            Self::Running(committer) => (committer.trying?, false),
            Self::Down | Self::Ended => return None,
        };
        Some(Swap {
            uuid: table.uuid,
            main: table.main,
            mark,
            leaves_out,
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
            gap: None,
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
pub(super) fn start(table: &Table, starts: u8, policy: Policy) -> Option<Process> {
    let (from, next) = match decide_start(&table.observed(), policy.on_rollback()) {
        Start::Refuse(_) => return Some(Process::Ended),
        Start::Fresh => (From::Nothing, 0),
        Start::Resume(_) => (From::Marker(table.property?), table.property?.to),
        Start::Recover(recovery) => {
            let of_table = |marker: &Marker| {
                let marks = table.snapshots.iter().filter_map(|snapshot| snapshot.mark);
                marks
                    .into_iter()
                    .find(|mark| marker_id(mark.id) == marker.id)
            };
            let number = |offset: NextOffset| u8::try_from(offset.0).expect("a small log");
            let next = number(recovery.next.get("t", 0)?);
            let gap = recovery.left_out.get("t", 0);
            let from = From::Rollback {
                recorded: of_table(&recovery.recorded)?,
                newest: recovery.newest.as_ref().and_then(of_table),
                next,
                left_out: gap.map(|(from, to)| (number(from), number(to))),
                left_out_unknown: recovery.left_out_unknown,
                policy,
            };
            (from, next)
        }
    };
    let (parent, recorded, gap) = match from {
        From::Nothing => (None, None, None),
        From::Marker(mark) => (Some(mark), Some(mark), None),
        From::Rollback {
            recorded,
            newest,
            left_out,
            ..
        } => (newest, Some(recorded), left_out),
    };
    let mark = Mark {
        id: (starts, 0),
        parent: parent.map(|mark| mark.id),
        generation: recorded.map_or(1, |mark| mark.generation + 1),
        epoch: recorded.map_or(0, |mark| mark.epoch),
        from: next,
        to: next,
        base_sequence: table.snapshots.len() as u8,
        files: 0,
        gap,
    };
    Some(Process::Claiming {
        uuid: table.uuid,
        mark,
        from,
        policy,
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
