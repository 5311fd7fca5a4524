//! One schedule: which request is let through next, who dies, who starts, what others do to the table.
//!
//! Nothing runs by itself. A process goes on until it asks for something; then it waits until this
//! room lets its request through, or lets time pass. First comes chaos, then calm: no more faults, and
//! the table must end up complete.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use super::process::ingest;
use super::world::{Faults, Sim, World, check_rows};
use crate::error::{Kind, Result};

/// More than any schedule needs to become complete once nothing goes wrong any more.
const CALM_STEPS_MAX: u32 = 5_000;
/// Longer than anybody waits for anything.
const LONG: Duration = Duration::from_secs(3_600);

/// What a schedule has met, by name.
pub(super) type Seen = BTreeMap<&'static str, u64>;

/// How a schedule ended.
pub(super) struct Ended {
    pub(super) seen: Seen,
    pub(super) trace: Vec<String>,
    pub(super) violation: Option<String>,
}

/// Runs the schedule of a seed; always the same one.
pub(super) fn run(seed: u64, traced: bool) -> Ended {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let sim = Sim::new(World::new(seed, traced));
        let violation = Schedule::new(&sim).run().await.err();
        let mut world = sim.lock();
        if let Some(what) = &violation {
            world.violated(what.clone());
        }
        let violation = world.violation();
        let (seen, trace) = world.take_notes();
        Ended {
            seen,
            trace,
            violation,
        }
    })
}

#[derive(Clone, Copy, Debug)]
enum Action {
    Answer(usize),
    Deliver(usize),
    TimePasses,
    Crash(usize),
    Start,
    Foreign,
    RollBack,
    UndoRollBack,
    Expire,
    Recreate,
}

type Life = Pin<Box<dyn Future<Output = Result<()>>>>;

struct Schedule {
    sim: Sim,
    /// The processes that are alive.
    alive: Vec<(usize, Life)>,
    started: usize,
    /// The last start was refused because somebody has tampered with the table.
    refused: bool,
}

impl Schedule {
    fn new(sim: &Sim) -> Self {
        Self {
            sim: sim.clone(),
            alive: Vec::new(),
            started: 0,
            refused: false,
        }
    }

    async fn run(mut self) -> Result<(), String> {
        self.chaos().await?;
        self.calm().await?;
        self.check_rows().await
    }

    async fn chaos(&mut self) -> Result<(), String> {
        let (steps, rollback, recreation) = {
            let mut world = self.sim.lock();
            let mut often = |choices: &[u64]| world.chance.one_of(choices);
            // Schedules differ in what goes wrong at all: where everything does, nothing gets far.
            let faults = Faults {
                swap: often(&[0, 20, 50, 80]),
                load: often(&[0, 0, 10, 40]),
                store: often(&[0, 0, 5, 20]),
                patience: often(&[0, 0, 20]),
            };
            let rollback = often(&[0, 0, 0, 5]);
            let recreation = often(&[0, 0, 0, 0, 0, 0, 0, 1]);
            let steps = 10 + world.chance.below(45);
            world.faults = faults;
            if world.chance.percent(25) {
                world.append_foreign();
            }
            (steps, rollback, recreation)
        };
        for _ in 0..steps {
            let action = {
                let mut world = self.sim.lock();
                world.sweep();
                let (waiting, late) = (world.requests.len(), world.network.len());
                let running = self.alive.len();
                let answers = (0..waiting).map(|index| (60, Action::Answer(index)));
                let deliveries = (0..late).map(|index| (8, Action::Deliver(index)));
                let crashes = (0..running).map(|index| (3, Action::Crash(index)));
                let idle = if waiting == 0 { 60 } else { 6 };
                let start = [200, 8, 1].get(running).copied().unwrap_or(0);
                let undo = if world.has_cut_off() { 6 } else { 0 };
                let choices: Vec<(u64, Action)> = answers
                    .chain(deliveries)
                    .chain(crashes)
                    .chain([
                        (if running > 0 { idle } else { 0 }, Action::TimePasses),
                        (start, Action::Start),
                        (4, Action::Foreign),
                        (3, Action::Expire),
                        (rollback, Action::RollBack),
                        (undo, Action::UndoRollBack),
                        (recreation, Action::Recreate),
                    ])
                    .collect();
                let chosen = world
                    .chance
                    .weighted(choices.iter().map(|(weight, _)| *weight));
                choices[chosen.unwrap()].1
            };
            self.act(action).await?;
        }
        Ok(())
    }

    /// Nothing fails any more: whoever runs comes to an end, and the last start finds the table complete or
    /// completes it, unless an operator has made that impossible.
    async fn calm(&mut self) -> Result<(), String> {
        {
            let mut world = self.sim.lock();
            world.note(|| "from here on nothing goes wrong".to_owned());
            world.faults = Faults::default();
            world.reset_connections();
        }
        self.go_on().await?;
        for _ in 0..CALM_STEPS_MAX {
            let action = {
                let mut world = self.sim.lock();
                world.sweep();
                let (waiting, late) = (world.requests.len(), world.network.len());
                if late > 0 && world.chance.percent(10) {
                    Action::Deliver(world.chance.below(late as u64) as usize)
                } else if waiting > 0 {
                    Action::Answer(world.chance.below(waiting as u64) as usize)
                } else if !self.alive.is_empty() {
                    Action::TimePasses
                } else if late > 0 {
                    Action::Deliver(world.chance.below(late as u64) as usize)
                } else if world.is_complete() || (self.refused && world.is_rolled_back()) {
                    return Ok(());
                } else {
                    Action::Start
                }
            };
            self.act(action).await?;
        }
        Err("nothing goes wrong any more, and the table does not become complete".to_owned())
    }

    async fn act(&mut self, action: Action) -> Result<(), String> {
        match action {
            Action::Answer(index) => self.sim.lock().answer(index),
            Action::Deliver(index) => self.sim.lock().deliver(index),
            Action::TimePasses => time_passes().await,
            Action::Crash(index) => {
                let (process, life) = self.alive.remove(index);
                drop(life);
                self.sim.lock().note(|| format!("p{process} is killed"));
            }
            Action::Start => self.start(),
            Action::Foreign => self.sim.lock().append_foreign(),
            Action::RollBack => {
                // What was cut off is not seen again: it must have been right until now.
                self.check_rows().await?;
                self.sim.lock().roll_back();
            }
            Action::UndoRollBack => {
                self.check_rows().await?;
                self.sim.lock().undo_roll_back();
            }
            Action::Expire => self.sim.lock().expire(),
            Action::Recreate => {
                self.check_rows().await?;
                self.sim.lock().recreate();
            }
        }
        self.go_on().await
    }

    fn start(&mut self) {
        self.started += 1;
        let process = self.started;
        self.sim.lock().note(|| format!("p{process} starts"));
        let life = ingest(self.sim.clone(), process);
        // The engine's fairness would make it wait at points that are none of ours.
        let life = tokio::task::unconstrained(life);
        self.alive.push((process, Box::pin(life)));
    }

    /// Lets every process run until it waits for something.
    async fn go_on(&mut self) -> Result<(), String> {
        let mut ended = Vec::new();
        poll_fn(|context| {
            self.alive.retain_mut(|(process, life)| {
                let Poll::Ready(result) = life.as_mut().poll(context) else {
                    return true;
                };
                ended.push((*process, result));
                false
            });
            Poll::Ready(())
        })
        .await;
        let mut world = self.sim.lock();
        for (process, result) in ended {
            self.refused = false;
            world.note(|| match &result {
                Ok(()) => format!("p{process} has read everything"),
                Err(error) => format!("p{process} ends: {error}"),
            });
            match result.map_err(|error| (error.kind(), error)) {
                Ok(()) => world.saw("a process has read everything"),
                Err((Kind::Fenced, _)) => world.saw("a process was fenced"),
                Err((Kind::External, _)) => world.saw("a process gave up"),
                Err((Kind::Diverged, _)) if world.tampered => {
                    self.refused = true;
                    world.saw("a table that somebody tampered with was refused");
                }
                // An older table looks like one that was rolled back: a halt, for safety.
                Err((Kind::Diverged, _)) if world.lagged => {
                    world.saw("a load that lagged behind was taken for a rollback");
                }
                Err((_, error)) => {
                    world.violated(format!("p{process} fails for no reason: {error}"))
                }
            }
        }
        world.violation().map_or(Ok(()), Err)
    }

    async fn check_rows(&self) -> Result<(), String> {
        let (table, cut) = self.sim.lock().for_reader();
        let parses = self.sim.lock().parses;
        check_rows(&table, cut, parses).await
    }
}

/// Until the next timer of anybody.
async fn time_passes() {
    let before = Instant::now();
    // The processes' timers wake this task, for it is this task that polled them.
    let next = poll_fn(|_| match Instant::now() > before {
        true => Poll::Ready(()),
        false => Poll::Pending,
    });
    let _ = tokio::time::timeout(LONG, next).await;
}
