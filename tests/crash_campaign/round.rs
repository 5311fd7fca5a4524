//! One round: a topic and a table, a load, and processes that are killed one after the other.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::outcome::Outcome;
use super::plan::{Act, Life};
use crate::support::{
    Calve, Catalog, Finished, Load, Measurements, Pipeline, Produced, Random, Running, Statistics,
    Topic, Warehouse,
};

const SIGKILL: i32 = 9;
/// The exit code of a process that a newer one has replaced.
const FENCED: i32 = 5;
/// Samples a second, outside of transactions and in them.
const RATES: [u64; 2] = [1_500, 500];
/// A process that has not come to its failpoint by then is killed where it is.
const LIFE_MAX: Duration = Duration::from_secs(6);
/// Of two processes one must be fenced within this.
const RIVALS_MAX: Duration = Duration::from_secs(60);
/// How long they are left alone where nobody will be fenced.
const UNGUARDED_RIVALS_MAX: Duration = Duration::from_secs(3);
const DRAIN_MAX: Duration = Duration::from_secs(120);
const TICK: Duration = Duration::from_millis(10);
const RECORDS_READ: &str = "calve_records_read_total";
const COMMITS: &str = "calve_commits_total";

/// Whether calve's processes guard their commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    On,
    Off,
}

/// What the processes run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// The main job: every record once.
    Ingest,
    /// Of records that are sent again one: every third record of the load was sent before.
    Dedup,
    /// Statistics of the records, as a changelog.
    DailyStats,
}

impl Job {
    fn calve(self, pipeline: &Pipeline) -> Calve {
        match self {
            Job::Ingest => pipeline.run(),
            Job::Dedup => pipeline.dedup(),
            Job::DailyStats => pipeline.daily_stats(),
        }
    }

    /// Starts to write records, outside of transactions and in them.
    fn loads(self, topic: &Topic, random: &mut Random) -> Loads {
        let [rate, in_transactions] = RATES;
        let (one, other) = (random.next(), random.next());
        let plain = match self {
            Job::Ingest => Load::seeded(topic, rate, one),
            Job::Dedup => Load::repeating(topic, rate, 3, one),
            Job::DailyStats => {
                return Loads::Measurements([
                    Measurements::load(topic, rate, one),
                    Measurements::transactions(topic, in_transactions, other),
                ]);
            }
        };
        Loads::Samples([plain, Load::transactions(topic, in_transactions, other)])
    }
}

/// What writes to the topic while processes live and die.
enum Loads {
    Samples([Load; 2]),
    Measurements([Load<Measurements>; 2]),
}

impl Loads {
    fn stop(self) -> Input {
        match self {
            Loads::Samples(loads) => {
                let [plain, transactional] = loads.map(Load::stop);
                Input::Samples(plain.and(&transactional))
            }
            Loads::Measurements(loads) => Input::Measurements(loads.map(Load::stop).into()),
        }
    }
}

/// What was written.
enum Input {
    Samples(Produced),
    Measurements(Box<[Measurements; 2]>),
}

impl Input {
    /// Holds against it what independent readers find in the table.
    fn judge(&self, job: Job, pipeline: &Pipeline, outcome: &mut Outcome) {
        match self {
            Input::Samples(produced) => {
                let table = pipeline.read();
                outcome.records = produced.count;
                if job == Job::Ingest {
                    outcome.lost = table.lost(produced);
                    outcome.duplicated = table.duplicated();
                    outcome.complaints.extend(table.complaints(produced));
                } else {
                    let different = produced.count - produced.repeated;
                    outcome.lost = different.saturating_sub(table.distinct_ids);
                    outcome.duplicated = table.count - table.distinct_ids;
                    outcome.complaints.extend(table.dedup_complaints(produced));
                }
            }
            Input::Measurements(produced) => {
                let [plain, transactional] = produced.as_ref();
                let table = Statistics::read(pipeline, &[plain, transactional]);
                outcome.records = plain.count + transactional.count;
                outcome.lost = outcome.records.saturating_sub(table.counted);
                outcome.duplicated = table.counted.saturating_sub(outcome.records);
                outcome.complaints.extend(table.complaints());
            }
        }
    }
}

/// A round under way.
pub struct Round {
    job: Job,
    pipeline: Pipeline,
    guard: Guard,
    starts: u64,
    /// Since when nobody works on the pipeline.
    down_since: Option<Instant>,
    /// What the processes said, for when something goes wrong.
    log: Vec<String>,
    outcome: Outcome,
}

impl Round {
    /// Plays a round: these lives under load, then a drain, then both readers count.
    pub fn play(job: Job, seed: u64, lives: &[Life], guard: Guard) -> Outcome {
        let topic = Topic::create("campaign", 6);
        let mut round = Round {
            job,
            pipeline: Pipeline::with(&topic, Catalog::Rest, Warehouse::S3),
            guard,
            starts: 0,
            down_since: None,
            log: Vec::new(),
            outcome: Outcome::default(),
        };
        let mut random = Random::new(seed);
        let loads = job.loads(&topic, &mut random);
        for life in lives {
            round.live(life);
        }
        let input = loads.stop();
        round.drain();

        let Round {
            pipeline,
            starts,
            log,
            mut outcome,
            ..
        } = round;
        outcome.restarts = starts - 1;
        input.judge(job, &pipeline, &mut outcome);
        if outcome.complaints.is_empty() {
            // A long campaign must not fill the disk.
            pipeline.change_table(json!({ "purge": true }));
            topic.delete();
        } else {
            let said = log.join("\n");
            outcome
                .complaints
                .insert(0, format!("{said}\nround with seed {seed}:"));
        }
        outcome
    }

    fn live(&mut self, life: &Life) {
        self.log.push(format!("\n{life:?}"));
        match life.act {
            Act::Kill { after_ms } => {
                let process = self.start(life, life.workers, "");
                self.kill_after(process, after_ms);
            }
            Act::Die { point, passes } => {
                let at = format!("{point}={passes}*off->return(kill)");
                let mut process = self.start(life, life.workers, &at);
                self.watch(&mut process, LIFE_MAX, |_| false);
                if !process.is_running() {
                    *self.outcome.at_points.entry(point).or_default() += 1;
                }
                self.end(process.kill(), None);
            }
            Act::LoseAnswer { passes, after_ms } => {
                let at = format!("after-swap={passes}*off->1*return(error)");
                let process = self.start(life, life.workers, &at);
                self.kill_after(process, after_ms);
            }
            Act::Zombie {
                point,
                passes,
                workers,
                then_ms,
            } => {
                let at = format!("{point}={passes}*off->1*return(stop)");
                let mut zombie = self.start(life, life.workers, &at);
                self.watch(&mut zombie, LIFE_MAX, Running::is_stopped);
                // Also if it did not come to that point.
                zombie.signal("STOP");
                self.down_since = Some(Instant::now());
                let mut newer = self.start(life, workers, "");
                let committed =
                    |process: &Running| process.figures([COMMITS]).is_some_and(|[n]| n > 0);
                self.watch(&mut newer, RIVALS_MAX, committed);
                zombie.signal("CONT");
                self.rival(zombie, newer, then_ms);
            }
            Act::TwoAtOnce { workers, then_ms } => {
                let one = self.start(life, life.workers, "");
                let other = self.start(life, workers, "");
                self.rival(one, other, then_ms);
            }
        }
    }

    fn start(&mut self, life: &Life, workers: u64, failpoint: &str) -> Running {
        self.starts += 1;
        // What an unguarded zombie commits, the newer process has rightly swept: it is to be seen all the same.
        let (switch, orphans) = match self.guard {
            Guard::On => ("", "delete"),
            Guard::Off => ("guard=return(off)", "keep"),
        };
        let run = self.job.calve(&self.pipeline);
        let run = run.workers(workers as usize).quiet();
        run.set("checkpoint.interval", &format!("{}ms", life.interval_ms))
            .set("checkpoint.min-pause", "0s")
            .set("on-orphans", orphans)
            .env("PROMETHEUS_PORT", "0")
            .env("FAILPOINTS", &format!("{switch};{failpoint}"))
            .start()
    }

    fn kill_after(&mut self, mut process: Running, after_ms: u64) {
        self.watch(&mut process, Duration::from_millis(after_ms), |_| false);
        self.end(process.kill(), None);
    }

    /// Two processes of one pipeline: one is fenced, by the other, which is killed a little later.
    fn rival(&mut self, mut one: Running, mut other: Running, then_ms: u64) {
        let longest = match self.guard {
            Guard::On => RIVALS_MAX,
            Guard::Off => UNGUARDED_RIVALS_MAX,
        };
        let begin = Instant::now();
        while one.is_running() && other.is_running() && begin.elapsed() < longest {
            thread::sleep(TICK);
        }
        let (fenced, survivor) = match one.is_running() {
            false => (one, other),
            true => (other, one),
        };
        self.end(fenced.kill(), Some(FENCED));
        self.kill_after(survivor, then_ms);
    }

    /// Waits until the process is `done`, has ended, or `longest` is over, and notes how soon it worked.
    fn watch(&mut self, process: &mut Running, longest: Duration, done: impl Fn(&Running) -> bool) {
        let begin = Instant::now();
        let (mut read, mut committed) = (false, false);
        while begin.elapsed() < longest && process.is_running() && !done(process) {
            thread::sleep(TICK.min(longest - begin.elapsed().min(longest)));
            let Some(since) = self.down_since.filter(|_| !committed) else {
                continue;
            };
            let Some([records, commits]) = process.figures([RECORDS_READ, COMMITS]) else {
                continue;
            };
            if records > 0 && !read {
                read = true;
                self.outcome.first_records.push(since.elapsed());
            }
            if commits > 0 {
                committed = true;
                self.outcome.first_commits.push(since.elapsed());
            }
        }
    }

    /// Notes how a process has ended: killed, unless this exit code was expected.
    fn end(&mut self, ended: Finished, expected: Option<i32>) {
        self.down_since = Some(Instant::now());
        match (ended.signal, ended.code) {
            (Some(SIGKILL), _) if expected.is_none() => self.outcome.kills += 1,
            (_, Some(FENCED)) if expected == Some(FENCED) => self.outcome.fenced += 1,
            (_, code) if code.is_some() && code == expected => {}
            (signal, code) => self.outcome.complaints.push(format!(
                "a process ended with code {code:?}, signal {signal:?} instead of {}; it had said:\n{}",
                expected.map_or("SIGKILL".to_owned(), |code| format!("code {code}")),
                ended.output()
            )),
        }
        self.log.push(ended.output());
    }

    /// A last process, which reads the rest and ends by itself.
    fn drain(&mut self) {
        self.starts += 1;
        let run = self.job.calve(&self.pipeline);
        let run = run.workers(4).bounded().quiet();
        let mut process = run.start();
        self.watch(&mut process, DRAIN_MAX, |_| false);
        // It does nothing to a process that has ended.
        self.end(process.kill(), Some(0));
    }
}
