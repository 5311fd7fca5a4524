//! A model of the commit protocol, checked exhaustively within small bounds.
//!
//! The decisions are the production ones, called and not copied. Around them is everything they
//! can meet: two processes that start, claim, stage, try, give up and die at any moment, swaps that
//! arrive late or never, other programs that append, an operator who rolls back, and expiry.
//!
//! ```text
//!   process                                    table
//!   start ─ claim ─┐                           snapshots, each on its parent
//!                  ├─ try: decide, send ──▶ ◦ ─── swap, if main is still what it was ──▶ main
//!   stage ─ commit ┘        ◦ = under way, for as long as it likes     property: a marker
//!   read back: decide, go on
//! ```
//!
//! No answer of the catalog occurs: whoever has sent a swap may read the table back at once, late, or
//! never, so every answer that can be lost has been. What must be true stands in
//! [`invariants`](super::invariants).

mod process;
mod table;

use stateright::{Checker, HasDiscoveries, Model, Property};

use self::process::{From, Policy, Process, Swap, read_back, start};
use self::table::{Mark, Table, offsets};
use super::decisions::{Decision, Refusal, Start, Whereabouts, decide_start};
use super::history::History;
use super::invariants;
use crate::config::OnRollback;

/// How much of everything there is.
#[derive(Clone, Debug)]
struct Protocol {
    /// False: swaps are sent whatever the guard decides.
    guarded: bool,
    /// What a start may do about a rollback is more than to halt.
    policies: bool,
    /// Expiry takes away even what a rollback led to.
    ruthless_expiry: bool,
    /// Records in the log.
    log: u8,
    starts: u8,
    /// Epochs that one process closes.
    epochs: u8,
    /// Swaps under way at a time.
    flying: usize,
    foreign: u8,
    rollbacks: u8,
    expiries: u8,
    recreations: u8,
}

/// The invariant that all the others are there for.
const EACH_OFFSET_ONCE: &str = "each offset below the cut is in the table once";

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    table: Table,
    flying: Vec<Swap>,
    processes: [Process; 2],
    starts: u8,
    foreign: u8,
    rollbacks: u8,
    expiries: u8,
    recreations: u8,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    Start(usize, Policy),
    Stage(usize),
    Try(usize),
    ReadBack(usize),
    GiveUp(usize),
    Die(usize),
    Arrive(usize),
    AppendForeign,
    RollBackTo(u8),
    Expire,
    Recreate,
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            table: Table::default(),
            flying: Vec::new(),
            processes: [Process::Down, Process::Down],
            starts: 0,
            foreign: 0,
            rollbacks: 0,
            expiries: 0,
            recreations: 0,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for (p, process) in world.processes.iter().enumerate() {
            let may_start = world.starts < self.starts;
            match process {
                Process::Down if may_start => {
                    let policies = Policy::ALL
                        .into_iter()
                        .filter(|policy| self.may_choose(*policy));
                    actions.extend(policies.map(|policy| Action::Start(p, policy)));
                }
                Process::Down | Process::Ended => {}
                Process::Claiming { .. } => {
                    actions.extend([Action::Try(p), Action::ReadBack(p)]);
                }
                Process::Running(committer) if committer.trying.is_some() => {
                    actions.extend([Action::Try(p), Action::ReadBack(p), Action::GiveUp(p)]);
                }
                Process::Running(_) => actions.push(Action::Stage(p)),
            }
            // Who dies and is never missed is the same as who never acts again.
            if may_start && !matches!(process, Process::Down) {
                actions.push(Action::Die(p));
            }
        }
        actions.extend((0..world.flying.len()).map(Action::Arrive));
        if world.foreign < self.foreign {
            actions.push(Action::AppendForeign);
        }
        if world.rollbacks < self.rollbacks {
            let retained = world.table.retained().map(|snapshot| snapshot as u8);
            actions.extend(
                retained
                    .filter(|snapshot| Some(*snapshot) != world.table.main)
                    .map(Action::RollBackTo),
            );
        }
        if world.expiries < self.expiries && world.table.main.is_some() {
            actions.push(Action::Expire);
        }
        if world.recreations < self.recreations {
            actions.push(Action::Recreate);
        }
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        match action {
            Action::Start(p, policy) => {
                world.starts += 1;
                world.processes[p] = start(&world.table, world.starts, policy)?;
            }
            Action::Stage(p) => {
                let Process::Running(committer) = &mut world.processes[p] else {
                    return None;
                };
                if committer.epoch >= self.epochs {
                    return None;
                }
                committer.epoch += 1;
                if committer.read < self.log {
                    committer.riding |= 1 << committer.read;
                    committer.read += 1;
                }
                committer.aim();
                committer.trying?;
            }
            Action::Try(p) => {
                let decision = world.processes[p].decide(&world.table.observed());
                let permitted = decision == Some(Decision::Append) || !self.guarded;
                if !permitted || world.flying.len() >= self.flying {
                    return None;
                }
                world.flying.push(world.processes[p].swap(&world.table)?);
            }
            Action::ReadBack(p) => read_back(&world.table, &mut world.processes[p])?,
            Action::GiveUp(p) => {
                let Process::Running(committer) = &mut world.processes[p] else {
                    return None;
                };
                committer.unproved.extend(committer.trying.take());
            }
            Action::Die(p) => world.processes[p] = Process::Down,
            Action::Arrive(index) => {
                let swap = world.flying.remove(index);
                if (swap.uuid, swap.main) != (world.table.uuid, world.table.main) {
                    return None;
                }
                let mut mark = swap.mark;
                let hole = (world.table.end(), mark.from);
                if swap.leaves_out && hole.0 < hole.1 && !world.table.position_is_known() {
                    // It can't say what it leaves out.
                    mark.gap = Some(hole);
                }
                world.table.append(Some(mark));
            }
            Action::AppendForeign => {
                world.foreign += 1;
                world.table.append(None);
            }
            Action::RollBackTo(snapshot) => {
                world.rollbacks += 1;
                world.table.main = Some(snapshot);
            }
            Action::Expire => {
                world.expiries += 1;
                self.expire(&mut world.table);
            }
            Action::Recreate => {
                world.recreations += 1;
                world.table = Table {
                    uuid: world.table.uuid + 1,
                    ..Table::default()
                };
            }
        }
        self.forget_void_swaps(&mut world);
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::<Self>::always(EACH_OFFSET_ONCE, |_, world| {
                let marks = world.table.marks();
                let live = marks.iter().flat_map(|mark| {
                    let held = (0..8_i64).filter(|offset| mark.files >> offset & 1 == 1);
                    held.map(|offset| offset..offset + 1)
                });
                let left_out = marks.iter().filter_map(|mark| mark.gap);
                let left_out = left_out.map(|(from, to)| from.into()..to.into());
                let cut = marks.first().map_or(0, |mark| mark.to.into());
                invariants::holds_exactly(live.chain(left_out), 0..cut).is_ok()
            }),
            Property::<Self>::always("markers follow each other", |_, world| {
                let links: Vec<_> = world.table.marks().iter().map(Mark::link).collect();
                links
                    .iter()
                    .enumerate()
                    .all(|(index, link)| invariants::follows(links.get(index + 1), link).is_ok())
            }),
            Property::<Self>::always(
                "a start resumes where the table stands, or refuses",
                |model, world| {
                    let resumes = match decide_start(&world.table.observed(), OnRollback::Halt) {
                        Start::Fresh | Start::Resume(_) => true,
                        Start::Recover(_) | Start::Refuse(_) => false,
                    };
                    resumes == world.table.stands() || model.ruthless_expiry
                },
            ),
            Property::<Self>::always(
                "a policy goes on where the rows of the table end",
                |model, world| {
                    let table = &world.table;
                    let observed = table.observed();
                    let goes_on = |policy, at: u8| match decide_start(&observed, policy) {
                        Start::Recover(recovery) => recovery.next == offsets(at),
                        _ => true,
                    };
                    let recorded = table.property.map_or(0, |mark| mark.to);
                    goes_on(OnRollback::Rewind, table.end())
                        && goes_on(OnRollback::Continue, table.end().max(recorded))
                        || model.ruthless_expiry
                },
            ),
            Property::<Self>::sometimes("everything is committed", |model, world| {
                world
                    .table
                    .marks()
                    .first()
                    .is_some_and(|mark| mark.to == model.log)
            }),
            Property::<Self>::sometimes("a zombie is fenced", |_, world| {
                meets(world, |decision| matches!(decision, Decision::Fenced(_)))
            }),
            Property::<Self>::sometimes("a commit is there already", |_, world| {
                meets(world, |decision| *decision == Decision::AlreadyCommitted)
            }),
            Property::<Self>::sometimes("an attempt that was given up has landed", |_, world| {
                meets(world, |decision| matches!(decision, Decision::Landed(_)))
            }),
            Property::<Self>::sometimes("a start is outrun", |_, world| {
                meets(world, |decision| *decision == Decision::Outrun)
            }),
        ];
        if self.rollbacks > 0 {
            properties.push(Property::<Self>::sometimes(
                "a rollback is refused",
                |_, world| {
                    meets(world, |decision| {
                        matches!(decision, Decision::Refuse(Refusal::RolledBack { .. }))
                    })
                },
            ));
        }
        if self.policies {
            properties.push(Property::<Self>::sometimes(
                "a rollback is rewound",
                |_, world| has_gone_on(world, Policy::Rewind),
            ));
            properties.push(Property::<Self>::sometimes(
                "rolled-back records are left out",
                |_, world| world.table.marks().iter().any(|mark| mark.gap.is_some()),
            ));
        }
        if self.expiries > 0 && self.foreign > 0 {
            properties.push(Property::<Self>::sometimes(
                "a marker whose snapshot has expired is resumed from",
                |_, world| {
                    let observed = world.table.observed();
                    let recorded = observed.property.as_ref();
                    recorded.is_some_and(|recorded| recorded.snapshot == Whereabouts::Expired)
                        && matches!(decide_start(&observed, OnRollback::Halt), Start::Resume(_))
                },
            ));
        }
        if self.recreations > 0 {
            properties.push(Property::<Self>::sometimes(
                "another table is refused",
                |_, world| {
                    meets(world, |decision| {
                        matches!(decision, Decision::Refuse(Refusal::Replaced { .. }))
                    })
                },
            ));
        }
        properties
    }
}

impl Protocol {
    fn may_choose(&self, policy: Policy) -> bool {
        self.policies || policy == Policy::Halt
    }

    /// Old snapshots go. What a rollback led to stays as far as the newest marker, unless expiry is
    /// ruthless.
    fn expire(&self, table: &mut Table) {
        let stands = table.stands() || self.ruthless_expiry;
        let mut keep = Vec::new();
        for (index, snapshot) in table.lineage() {
            keep.push(index);
            if stands || snapshot.mark.is_some() {
                break;
            }
        }
        for (index, snapshot) in table.snapshots.iter_mut().enumerate() {
            snapshot.retained &= keep.contains(&(index as u8));
        }
    }

    /// Swaps that can't land any more are no part of the state.
    fn forget_void_swaps(&self, world: &mut World) {
        let (table, may_return) = (&world.table, world.rollbacks < self.rollbacks);
        world.flying.retain(|swap| {
            let main_may_be =
                may_return && swap.main.is_some_and(|main| table.retains(main.into()));
            swap.uuid == table.uuid && (swap.main == table.main || main_may_be)
        });
        world.flying.sort();
        world.flying.dedup();
    }
}

/// True if some process would meet such a decision now.
fn meets(world: &World, decision: impl Fn(&Decision) -> bool) -> bool {
    let observed = world.table.observed();
    let decisions = world
        .processes
        .iter()
        .filter_map(|process| process.decide(&observed));
    decisions.into_iter().any(|met| decision(&met))
}

/// True if a process is about to go on in a rolled-back table.
fn has_gone_on(world: &World, with: Policy) -> bool {
    let observed = world.table.observed();
    world.processes.iter().any(|process| match process {
        Process::Claiming {
            from: From::Rollback { .. },
            policy,
            ..
        } => *policy == with && process.decide(&observed) == Some(Decision::Append),
        _ => false,
    })
}

/// Two generations and whatever can happen to a commit; nobody touches the table's history.
fn generations() -> Protocol {
    Protocol {
        guarded: true,
        policies: false,
        ruthless_expiry: false,
        log: 3,
        starts: 3,
        epochs: 3,
        flying: 2,
        foreign: 1,
        rollbacks: 0,
        expiries: 0,
        recreations: 0,
    }
}

/// Fewer commits, and operators at work.
fn operators() -> Protocol {
    Protocol {
        log: 2,
        epochs: 2,
        rollbacks: 1,
        expiries: 1,
        starts: 2,
        ..generations()
    }
}

/// An operator rolls back and may take it back, and each start has a policy of its own.
fn policies() -> Protocol {
    Protocol {
        policies: true,
        rollbacks: 2,
        expiries: 0,
        starts: 3,
        flying: 1,
        foreign: 0,
        ..operators()
    }
}

fn check(protocol: Protocol, finish: HasDiscoveries) -> impl Checker<Protocol> {
    let began = std::time::Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let checker = protocol.checker().threads(threads);
    let checker = checker.finish_when(finish).spawn_bfs().join();
    println!(
        "{} states, {} of them distinct, {} steps deep, in {:.1} s",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth(),
        began.elapsed().as_secs_f64(),
    );
    checker
}

/// Everything that can happen keeps the invariants, and what is interesting does happen.
fn holds(protocol: Protocol) {
    check(protocol, HasDiscoveries::AnyFailures).assert_properties();
}

/// Offsets are doubled or lost; tells the shortest way to it.
fn is_broken(protocol: Protocol) {
    let finish = HasDiscoveries::AnyOf([EACH_OFFSET_ONCE].into());
    let checker = check(protocol, finish);
    let way = checker.assert_any_discovery(EACH_OFFSET_ONCE);
    println!("not so: {EACH_OFFSET_ONCE}, after {:?}", way.into_actions());
}

#[test]
fn no_crash_no_lost_answer_and_no_zombie_breaks_an_invariant() {
    holds(generations());
}

#[test]
fn no_rollback_and_no_expiry_breaks_an_invariant() {
    holds(operators());
}

#[test]
fn no_policy_and_no_rollback_that_is_taken_back_breaks_an_invariant() {
    holds(policies());
}

#[test]
fn no_policy_and_no_expiry_breaks_an_invariant() {
    let expiry = Protocol {
        policies: true,
        flying: 1,
        ..operators()
    };
    holds(expiry);
}

#[test]
fn no_recreation_of_the_table_breaks_an_invariant() {
    let recreation = Protocol {
        recreations: 1,
        rollbacks: 0,
        expiries: 0,
        ..operators()
    };
    holds(recreation);
}

#[test]
fn with_the_guard_off_the_model_finds_a_duplicate() {
    let unguarded = Protocol {
        guarded: false,
        ..generations()
    };
    is_broken(unguarded);
}

/// What is not promised: where an expiry takes away even the newest marker that a rollback led to,
/// nothing in the table tells of the rollback.
#[test]
fn a_rollback_whose_traces_have_all_expired_is_not_seen() {
    let ruthless = Protocol {
        ruthless_expiry: true,
        ..operators()
    };
    is_broken(ruthless);
}
