//! What can be typed.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::config::Layers;
use crate::error::Result;
use crate::runtime::Dataflow;

/// The command line of a binary that offers these dataflows.
pub(super) fn command(dataflows: &[Dataflow]) -> clap::Command {
    let values = dataflows
        .iter()
        .map(|dataflow| PossibleValue::new(dataflow.name).help(dataflow.about));
    let values = PossibleValuesParser::new(values);
    let mut own = String::new();
    for dataflow in dataflows {
        for setting in dataflow.own {
            own += &format!("\n  {} reads own.{setting}", dataflow.name);
        }
    }
    Cli::command().mut_subcommand("run", |run| {
        let run = match own.is_empty() {
            true => run,
            false => run.after_help(format!("Settings of a dataflow's own:{own}")),
        };
        run.mut_arg("dataflow", |arg| match dataflows.first() {
            // Which one it is that runs without a name.
            Some(first) => arg
                .value_parser(values)
                .help(format!("The dataflow [default: {}]", first.name)),
            None => arg,
        })
    })
}

/// Kafka topics into Apache Iceberg tables, each record exactly once.
#[derive(Parser)]
#[command(
    version,
    max_term_width = 100,
    disable_help_flag = true,
    disable_help_subcommand = true
)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
    /// Print help
    // `-h` is timely's: the host file.
    #[arg(long, global = true, action = ArgAction::Help)]
    help: Option<bool>,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Run a dataflow (the main job, unless another one is named)
    Run(RunArgs),
    /// Run the main job on generated health samples: no services needed
    Demo(DemoArgs),
    /// Say how a running pipeline is doing, in one look
    ///
    /// Asks its REST API: state, epoch, last checkpoint, throughput, lag, rejects, restarts, and who holds the epoch back.
    /// Exit code: 0 if it is healthy; 4 if it does not run; 7 if it is starting or restarting, has made no checkpoint for
    /// three intervals, has failed since its last checkpoint, or lags behind by more than --max-lag.
    Status(StatusArgs),
    /// Watch a running pipeline in this terminal
    ///
    /// Throughput, lag of each partition, workers, operators, checkpoints and the log, once a second from its REST API.
    /// Keys: q ends, tab and arrows go from view to view and up and down, p holds the picture.
    Top(TopArgs),
    /// Make a running pipeline close the open checkpoint now, and wait until it is in the table
    Checkpoint(RemoteArgs),
    /// Make a running pipeline write a savepoint: a place to go on from, kept until you delete it
    ///
    /// Waits until the checkpoint is in the table and the savepoint written. `calve run --from` begins there.
    Savepoint(SavepointArgs),
    /// Stop a running pipeline in order: no more records are read, a last checkpoint is made
    Stop(StopArgs),
    /// Stop a running pipeline at once, without a last checkpoint: nothing is lost, the next start reads it again
    Cancel(RemoteArgs),
    /// Print the effective settings and where each one comes from
    Config(ConfigArgs),
    /// Propose table columns from what is in the topic
    Infer(InferArgs),
    /// Check that the pipeline is set up for exactly once, each claim by evidence
    ///
    /// Five checks: checkpoints, the Kafka source, the Iceberg sink, the table's own proof, and how they fit together.
    /// The pipeline may run or not: it is not claimed, and nothing is written to its table. What is written is a file in
    /// the checkpoint directory and a scratch table calve_verify_… in the table's namespace, whose compare-and-swap is
    /// tried; both are deleted. Exit code: 0 if nothing fails, 7 if something does.
    Verify(VerifyArgs),
    /// Check that each record is in the table exactly once, by what the table says itself
    ///
    /// Reads the markers in the table's metadata, the manifests, and the columns _topic, _partition and _offset of the
    /// data files. Kafka is not asked, and nothing is written. Needs the settings of catalog and table, and
    /// pipeline.name. Exit code: 0 if no check fails, 6 if one does.
    Audit(AuditArgs),
    /// Say which snapshot, file and epoch hold a record, or why none does
    ///
    /// Looks for it in the markers, then in the bounds of the data files, then in their rows. Kafka is not asked, and
    /// nothing is written. Needs the settings of catalog and table, and pipeline.name. Exit code: 0 if the record is in
    /// the table once, or rightly not at all; 6 if it is there more than once, or was committed and is gone.
    Explain(ExplainArgs),
    /// The checkpoints of the pipeline, from the snapshots of its table alone
    ///
    /// Needs the settings of catalog and table, and pipeline.name. Kafka is not asked, and nothing is written.
    Checkpoints(CheckpointsArgs),
    /// The tables of the namespace: which pipelines write to them, and how their files grow
    Tables(LookArgs),
    /// Take a table over from another engine, at the offsets that it left
    Migrate(MigrateArgs),
    /// Write generated health samples to a topic
    Generate(GenerateArgs),
    /// Print a script that completes calve's commands in a shell
    Completions(CompletionsArgs),
    /// Print the manual page (calve man | man -l -)
    Man,
}

/// Where settings come from, beside the environment.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Settings")]
pub(super) struct SettingsArgs {
    /// A TOML file with settings
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Flink's config.yaml, or flink-conf.yaml: the weakest layer after the defaults
    #[arg(long, value_name = "FILE")]
    flink_conf: Option<PathBuf>,
    /// One setting, e.g. --set checkpoint.interval=10s (any key of `calve config`)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl SettingsArgs {
    /// The layers, with `more` flags over those of `--set`.
    pub(super) fn layers(&self, more: Vec<(String, String)>) -> Result<Layers> {
        let mut flags = Vec::new();
        for text in &self.set {
            flags.push(Layers::parse_flag(text)?);
        }
        flags.extend(more);
        let layers = Layers::from_process(self.config.clone(), flags);
        Ok(Layers {
            flink: self.flink_conf.clone(),
            ..layers
        })
    }
}

/// Timely's own flags; they mean here what they mean there.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct WorkerArgs {
    /// Worker threads in this process (setting: parallelism)
    #[arg(short = 'w', long, value_name = "NUM")]
    pub(super) threads: Option<usize>,
    /// Number of processes
    #[arg(short = 'n', long, value_name = "NUM", default_value_t = 1)]
    pub(super) processes: usize,
    /// Which of the processes this one is, from 0
    #[arg(short = 'p', long, value_name = "IDX", default_value_t = 0)]
    pub(super) process: usize,
    /// A file with one host:port a line, one for each process
    #[arg(short = 'h', long, value_name = "FILE")]
    pub(super) hostfile: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct RunArgs {
    /// The dataflow
    pub(super) dataflow: Option<String>,
    #[command(flatten)]
    pub(super) workers: WorkerArgs,
    /// Read to the end that the topics have now, make a last checkpoint, exit
    #[arg(long)]
    pub(super) bounded: bool,
    /// Begin at this savepoint: a folder on this machine or an s3:// location
    ///
    /// On a table that knows nothing of the pipeline it begins exactly there. On the savepoint's own table it goes on if
    /// no records lie between the two, or if the table was rolled back to the savepoint (with on-rollback=rewind). Else it
    /// is refused, with the reason.
    #[arg(long, value_name = "PATH")]
    pub(super) from: Option<String>,
    /// Write where the time went, by operator and worker, to this file (JSON) at the end
    #[arg(long, value_name = "FILE")]
    pub(super) profile: Option<PathBuf>,
    #[command(flatten)]
    pub(super) settings: SettingsArgs,
}

#[derive(Args)]
pub(super) struct ConfigArgs {
    /// Explain one setting instead of listing all: a key, one of Flink's, or a name from the environment
    #[arg(long, value_name = "KEY")]
    pub(super) explain: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) settings: SettingsArgs,
}

#[derive(Args)]
pub(super) struct InferArgs {
    /// How many records to look at
    #[arg(long, value_name = "NUM", default_value_t = 10_000)]
    pub(super) records: usize,
    /// Propose `not null` for fields that no record lacks
    #[arg(long)]
    pub(super) not_null: bool,
    /// Print one JSON document instead of text
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) settings: SettingsArgs,
}

#[derive(Args)]
pub(super) struct GenerateArgs {
    /// How many records to write
    #[arg(long, value_name = "NUM", default_value_t = 1_000_000)]
    pub(super) records: u64,
    /// Partitions of the topic, if it has to be created
    #[arg(long, value_name = "NUM", default_value_t = 6)]
    pub(super) partitions: i32,
    /// The number of the first record; the same numbers give the same records
    #[arg(long, value_name = "NUM", default_value_t = 0)]
    pub(super) first: u64,
    /// Records a second, each with the time at which it was due as its timestamp (default: as fast as the brokers take
    /// them)
    ///
    /// The rate is kept whatever becomes of the records before: one that could not be sent in time is sent late and
    /// keeps the timestamp of its turn, so that nothing that was slow is left out of what is measured by it.
    #[arg(long, value_name = "NUM", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) rate: Option<u64>,
    #[command(flatten)]
    pub(super) settings: SettingsArgs,
}

#[derive(Args)]
pub(super) struct DemoArgs {
    /// Show a crash instead: kill -9 in the middle of a checkpoint, restart, and a count of duplicates
    #[arg(long, conflicts_with_all = ["records", "threads", "brokers"])]
    pub(super) crash: bool,
    /// How many records to move
    #[arg(long, value_name = "NUM", default_value_t = 1_000_000)]
    pub(super) records: u64,
    /// Worker threads
    #[arg(short = 'w', long, value_name = "NUM", default_value_t = 6)]
    pub(super) threads: usize,
    /// Where catalog and warehouse are put (default: a new folder in the temporary directory)
    #[arg(long, value_name = "DIR")]
    pub(super) directory: Option<PathBuf>,
    /// Use this Kafka instead of the built-in mock cluster
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) brokers: Option<String>,
}

#[derive(Args)]
pub(super) struct AuditArgs {
    /// Print one JSON document instead of tables
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) settings: SettingsArgs,
}

#[derive(Args)]
pub(super) struct ExplainArgs {
    /// The record, for example samples/0/17
    #[arg(value_name = "TOPIC/PARTITION/OFFSET")]
    pub(super) record: String,
    /// Print one JSON document instead of text
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) settings: SettingsArgs,
}

#[derive(Args)]
pub(super) struct VerifyArgs {
    /// Also fail if two rows have the same value in this column, or in these, separated by commas
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    pub(super) key: Vec<String>,
    /// Don't make a scratch table to try the catalog's compare-and-swap
    #[arg(long)]
    pub(super) no_probe: bool,
    /// Let a warning fail, too
    #[arg(long)]
    pub(super) strict: bool,
    /// Print one JSON document instead of text
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) settings: SettingsArgs,
}

#[derive(Args)]
pub(super) struct CheckpointsArgs {
    #[command(subcommand)]
    pub(super) command: CheckpointsCommand,
}

#[derive(Subcommand)]
pub(super) enum CheckpointsCommand {
    /// List them, the newest first
    List {
        /// So many of the newest
        #[arg(long, value_name = "NUM", default_value_t = 20)]
        last: usize,
        /// All that the table still tells of
        #[arg(long, conflicts_with = "last")]
        all: bool,
        #[command(flatten)]
        look: LookArgs,
    },
    /// Everything about one
    Show {
        /// Its epoch, the id of its snapshot, or `latest`
        checkpoint: String,
        #[command(flatten)]
        look: LookArgs,
    },
    /// What moved from one to another
    Diff {
        /// Epoch, snapshot or `latest`
        from: String,
        /// Epoch, snapshot or `latest`
        to: String,
        #[command(flatten)]
        look: LookArgs,
    },
}

/// What the commands take that only look.
#[derive(Args)]
pub(super) struct LookArgs {
    /// Print one JSON document instead of text
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) settings: SettingsArgs,
}

#[derive(Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    pub(super) shell: clap_complete::Shell,
}

/// How a running pipeline is reached.
#[derive(Args)]
pub(super) struct RemoteArgs {
    /// Address of its REST API (default: rest.bind-address and rest.port)
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
    /// How long to wait for the outcome
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(super) timeout: u64,
    /// Print one JSON document instead of text
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) settings: SettingsArgs,
}

#[derive(Args)]
pub(super) struct StatusArgs {
    /// Address of its REST API (default: rest.bind-address and rest.port)
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
    /// So many records may lie before the readers, over all partitions; more is behind
    #[arg(long, value_name = "RECORDS", default_value_t = super::status::MAX_LAG)]
    pub(super) max_lag: u64,
    #[command(flatten)]
    pub(super) look: LookArgs,
}

#[derive(Args)]
pub(super) struct TopArgs {
    /// Address of its REST API (default: rest.bind-address and rest.port)
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
    #[command(flatten)]
    pub(super) settings: SettingsArgs,
}

#[derive(Args)]
pub(super) struct SavepointArgs {
    /// The directory to put it in: on the pipeline's machine, or s3://bucket/path (default: state.savepoints.dir)
    #[arg(long, value_name = "DIR")]
    pub(super) path: Option<String>,
    #[command(flatten)]
    pub(super) remote: RemoteArgs,
}

#[derive(Args)]
pub(super) struct StopArgs {
    /// Make the last checkpoint a savepoint
    #[arg(long)]
    pub(super) savepoint: bool,
    /// The savepoint's directory (default: state.savepoints.dir)
    #[arg(long, value_name = "DIR", requires = "savepoint")]
    pub(super) path: Option<String>,
    #[command(flatten)]
    pub(super) remote: RemoteArgs,
}

#[derive(Args)]
pub(super) struct MigrateArgs {
    #[command(subcommand)]
    pub(super) from: MigrateFrom,
}

#[derive(Subcommand)]
pub(super) enum MigrateFrom {
    /// From a Flink job that is stopped
    ///
    /// Writes the first marker of the pipeline into the existing table, as an empty snapshot, so that `calve run`
    /// resumes exactly at these offsets. Refuses if the pipeline has begun already, if a partition is missing, and if
    /// an offset lies outside of its partition. Exit code: 0 if it is written, or could be (--dry-run).
    Flink(FlinkArgs),
}

#[derive(Args)]
pub(super) struct FlinkArgs {
    /// A file with the offsets: topic,partition,offset a line, where the offset is that of the next record to read
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "from_group",
        conflicts_with = "from_group"
    )]
    pub(super) offsets: Option<PathBuf>,
    /// The consumer group whose committed offsets are taken
    #[arg(long, value_name = "NAME")]
    pub(super) from_group: Option<String>,
    /// Where partitions begin for which no offset is given (by default they are an error)
    #[arg(long, value_enum, value_name = "WHERE")]
    pub(super) missing: Option<Missing>,
    /// The Flink checkpoint that the offsets are of: an error unless the table holds exactly that one
    #[arg(long, value_name = "ID")]
    pub(super) flink_checkpoint: Option<i64>,
    /// Look at everything and write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Print one JSON document instead of text
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) settings: SettingsArgs,
}

/// `--missing`
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Missing {
    /// At the oldest record that is still there
    Earliest,
    /// At what comes from now on
    Latest,
}
