//! What a round, or a campaign, came to, and how it is printed.

use std::collections::BTreeMap;
use std::time::Duration;

/// The figures of a round, or their sums.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Processes that were ended by SIGKILL.
    pub kills: u64,
    /// How many of them died at each point of the program.
    pub at_points: BTreeMap<&'static str, u64>,
    /// Processes that were started after the first one.
    pub restarts: u64,
    /// Processes that ended because a newer one had taken over.
    pub fenced: u64,
    /// Records that Kafka holds, without those of aborted transactions.
    pub records: u64,
    /// Those of them that are not in the table.
    pub lost: u64,
    /// Rows that are in the table beyond the first one of their record.
    pub duplicated: u64,
    /// From each kill until the next process had read a record, where it lived that long …
    pub first_records: Vec<Duration>,
    /// … and until its first commit was proved.
    pub first_commits: Vec<Duration>,
    /// Whatever should not be.
    pub complaints: Vec<String>,
}

impl Outcome {
    /// Adds another round's.
    pub fn add(&mut self, other: Outcome) {
        self.kills += other.kills;
        for (point, kills) in other.at_points {
            *self.at_points.entry(point).or_default() += kills;
        }
        self.restarts += other.restarts;
        self.fenced += other.fenced;
        self.records += other.records;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.first_records.extend(other.first_records);
        self.first_commits.extend(other.first_commits);
        self.complaints.extend(other.complaints);
    }

    pub fn print_head() {
        println!(
            "{:>12} {:>7} {:>8} {:>7} {:>10} {:>6} {:>10}   worst recovery: first record, first commit",
            "seed", "kills", "restarts", "fenced", "records", "lost", "duplicated"
        );
    }

    pub fn print(&self, name: &str) {
        println!(
            "{name:>12} {:>7} {:>8} {:>7} {:>10} {:>6} {:>10} {:>30} {:>13}{}",
            self.kills,
            self.restarts,
            self.fenced,
            self.records,
            self.lost,
            self.duplicated,
            seconds(self.first_records.iter().max().copied()),
            seconds(self.first_commits.iter().max().copied()),
            if self.complaints.is_empty() {
                ""
            } else {
                "  WRONG"
            },
        );
    }

    /// Where the kills fell, and how soon the next process worked.
    pub fn print_details(&self) {
        let at_points = self.at_points.iter();
        let at_points: Vec<_> = at_points.map(|(point, n)| format!("{n} {point}")).collect();
        println!(
            "kills at points of the program: {}; others at any moment",
            at_points.join(", ")
        );
        for (what, times) in [
            ("first record read", &self.first_records),
            ("first commit proved", &self.first_commits),
        ] {
            let mut sorted = times.clone();
            sorted.sort_unstable();
            println!(
                "from kill -9 to the {what}: median {}, worst {}, of {} restarts that lived so long",
                seconds(sorted.get(sorted.len() / 2).copied()),
                seconds(sorted.last().copied()),
                sorted.len(),
            );
        }
    }

    #[track_caller]
    pub fn expect_faultless(&self) {
        let complaints = self.complaints.join("\n\n");
        assert!(complaints.is_empty(), "{complaints}");
        assert_eq!((self.lost, self.duplicated), (0, 0));
    }
}

fn seconds(time: Option<Duration>) -> String {
    time.map_or("–".to_owned(), |time| {
        format!("{:.2} s", time.as_secs_f64())
    })
}
