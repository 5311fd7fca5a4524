//! A pipeline: a topic, a table and a folder, which outlive the processes that run it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tempfile::TempDir;

use super::{
    Calve, Produced, Rest, SAMPLE_COLUMNS, Services, Table, Topic, eventually, free_port,
    run_script, unique,
};

/// Which catalog keeps the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Catalog {
    Sqlite,
    Postgres,
    Rest,
}

/// Where the table's files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warehouse {
    Local,
    S3,
}

/// A pipeline of one test.
pub struct Pipeline {
    dir: TempDir,
    pub topic: String,
    pub brokers: String,
    /// The consumer group; also the name of the pipeline.
    pub group: String,
    pub catalog: Catalog,
    pub warehouse: Warehouse,
    /// The REST catalog, or a proxy before it.
    pub rest: String,
    pub database: String,
    pub table: String,
    /// The declared columns; none when the table exists.
    pub columns: Option<String>,
}

impl Pipeline {
    /// From this topic of samples into a table of its own: SQLite catalog, local warehouse.
    pub fn new(topic: &Topic) -> Pipeline {
        Self::with(topic, Catalog::Sqlite, Warehouse::Local)
    }

    pub fn with(topic: &Topic, catalog: Catalog, warehouse: Warehouse) -> Pipeline {
        Pipeline {
            dir: TempDir::new().expect("a folder"),
            topic: topic.name.clone(),
            brokers: topic.brokers.clone(),
            group: unique("group"),
            catalog,
            warehouse,
            rest: Services::get().rest.clone(),
            database: unique("db"),
            table: "samples".to_owned(),
            columns: Some(SAMPLE_COLUMNS.to_owned()),
        }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The warehouse as calve is told it.
    pub fn warehouse_location(&self) -> String {
        match self.warehouse {
            Warehouse::Local => format!("file://{}/warehouse", self.dir().display()),
            Warehouse::S3 => {
                let bucket = &Services::get().s3_bucket;
                format!("s3://{bucket}/{}", self.database)
            }
        }
    }

    pub fn catalog_uri(&self) -> String {
        match self.catalog {
            Catalog::Sqlite => format!("sqlite://{}/catalog.db", self.dir().display()),
            Catalog::Postgres => Services::get().postgres.clone(),
            Catalog::Rest => self.rest.clone(),
        }
    }

    /// `calve run`, told everything by the environment names that are its interface; a checkpoint a second.
    pub fn run(&self) -> Calve {
        self.calve(&["run"])
    }

    /// A run that makes no checkpoint by itself, with REST API and UI on a free port.
    pub fn patient(&self) -> Calve {
        let run = self.run().workers(2).set("rest.port", "0");
        run.env("FLINK_CHECKPOINT_INTERVAL_MS", "3600000")
    }

    /// Both processes of a run, on ports that are free.
    pub fn two(&self, run: impl Fn() -> Calve) -> [Calve; 2] {
        let hosts = self.dir().join("hosts");
        let addresses = format!("127.0.0.1:{}\n127.0.0.1:{}\n", free_port(), free_port());
        std::fs::write(&hosts, addresses).expect("the host file is written");
        ["0", "1"].map(|process| {
            let run = run().arg("-n").arg("2").arg("-p").arg(process);
            run.arg("-h").arg(&hosts.display().to_string())
        })
    }

    /// `calve run dedup` by `sample_id`.
    pub fn dedup(&self) -> Calve {
        self.with_state("dedup").env("CALVE_DEDUP_KEY", "sample_id")
    }

    /// `calve run` of a dataflow that keeps state, whose snapshots are beside the warehouse.
    pub fn with_state(&self, dataflow: &str) -> Calve {
        self.calve(&["run", dataflow])
            .env("FLINK_CHECKPOINT_DIR", &self.checkpoints_location())
            .env(
                "CALVE_STATE_LOCAL_DIR",
                &format!("{}/state", self.dir().display()),
            )
    }

    /// `calve run daily_stats`, whose records have the columns of the samples.
    pub fn daily_stats(&self) -> Calve {
        self.calve(&["run", "daily_stats"])
    }

    /// Where snapshots of state are kept, as calve is told it.
    pub fn checkpoints_location(&self) -> String {
        match self.warehouse {
            Warehouse::Local => format!("file://{}/checkpoints", self.dir().display()),
            Warehouse::S3 => format!("{}/checkpoints", self.warehouse_location()),
        }
    }

    /// Any command with that environment.
    pub fn calve(&self, args: &[&str]) -> Calve {
        let mut calve = Calve::new(args, self.dir())
            .env("KAFKA_BROKERS", &self.brokers)
            .env("KAFKA_TOPIC", &self.topic)
            .env("KAFKA_GROUP_ID", &self.group)
            .env("CALVE_PIPELINE_NAME", &self.group)
            .env("KAFKA_AUTO_OFFSET_RESET", "earliest")
            .env("KAFKA_PARTITION_DISCOVERY_INTERVAL_MS", "1000")
            .env("FLINK_CHECKPOINT_INTERVAL_MS", "1000")
            // A failure ends the process, but where a test is about restarts.
            .env("CALVE_RESTART_STRATEGY_TYPE", "none")
            // Many run at once.
            .env("CALVE_REST_PORT", "off")
            .env("PROMETHEUS_PORT", "off")
            .env(
                "ICEBERG_CATALOG_TYPE",
                if self.catalog == Catalog::Rest {
                    "rest"
                } else {
                    "sql"
                },
            )
            .env("ICEBERG_CATALOG_URI", &self.catalog_uri())
            .env("ICEBERG_DATABASE", &self.database)
            .env("ICEBERG_TABLE_RAW", &self.table)
            .env("ICEBERG_WAREHOUSE", &self.warehouse_location());
        if let Some(columns) = &self.columns {
            calve = calve.env("CALVE_TABLE_COLUMNS", columns);
        }
        if self.warehouse == Warehouse::S3 {
            let services = Services::get();
            calve = calve
                .env("S3_ENDPOINT", &services.s3_endpoint)
                .env("S3_ACCESS_KEY", &services.s3_access_key)
                .env("S3_SECRET_KEY", &services.s3_secret_key)
                .env("S3_PATH_STYLE_ACCESS", "true");
        }
        calve
    }

    /// How pyiceberg opens the same catalog.
    pub fn reader_properties(&self) -> serde_json::Value {
        let services = Services::get();
        let uri = match self.catalog {
            Catalog::Sqlite => format!("sqlite:///{}/catalog.db", self.dir().display()),
            Catalog::Postgres => services
                .postgres
                .replacen("postgres:", "postgresql+psycopg2:", 1),
            // Never through a faulty proxy.
            Catalog::Rest => services.rest.clone(),
        };
        serde_json::json!({
            "type": if self.catalog == Catalog::Rest { "rest" } else { "sql" },
            "uri": uri,
            "warehouse": self.warehouse_location(),
            "s3.endpoint": services.s3_endpoint,
            "s3.access-key-id": services.s3_access_key,
            "s3.secret-access-key": services.s3_secret_key,
            "s3.region": "us-east-1",
        })
    }

    /// `database.table`.
    pub fn table_name(&self) -> String {
        format!("{}.{}", self.database, self.table)
    }

    /// What both readers find in the table. They must agree.
    #[track_caller]
    pub fn read(&self) -> Table {
        Table::read(self)
    }

    /// Both readers find exactly what was produced: nothing lost, nothing twice, every offset once.
    #[track_caller]
    pub fn assert_exactly(&self, produced: &Produced) -> Table {
        let table = self.read();
        table.assert_exactly(produced);
        table
    }

    /// Waits until the group has committed offsets that make this many in all.
    pub fn wait_committed(&self, topic: &Topic, total: i64) {
        eventually(&format!("offsets of {total} records are committed"), || {
            topic.committed_total(&self.group) >= total
        });
    }

    /// Lets someone else change the table (see `tests/verify/change_table.py`).
    pub fn change_table(&self, change: serde_json::Value) {
        let request = serde_json::json!({
            "catalog": self.reader_properties(),
            "table": self.table_name(),
            "change": change,
        });
        let _: serde_json::Value = run_script("change_table.py", &request);
    }

    /// The markers in the summaries of the retained snapshots, oldest first.
    pub fn markers(&self) -> Vec<serde_json::Value> {
        let request = serde_json::json!({
            "catalog": self.reader_properties(),
            "table": self.table_name(),
        });
        let summaries: Vec<BTreeMap<String, String>> = run_script("summaries.py", &request);
        let key = format!("calve.marker.{}", self.group);
        let markers = summaries.iter().filter_map(|summary| summary.get(&key));
        markers
            .map(|json| serde_json::from_str(json).expect("a marker is JSON"))
            .collect()
    }

    /// Where the savepoints of a local pipeline go.
    pub fn savepoints(&self) -> String {
        format!("{}/savepoints", self.dir().display())
    }

    /// Asks a running calve for a savepoint in this directory, by a command of calve; its folder.
    #[track_caller]
    pub fn ask_savepoint(&self, rest: &Rest, args: &[&str], directory: &str) -> String {
        let ask = self.calve(args).arg("--url").arg(&rest.url());
        let asked = ask.arg("--json").arg("--path").arg(directory).run();
        let printed = asked.expect_code(0).stdout;
        let printed: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
        printed["location"].as_str().expect("a location").to_owned()
    }

    /// The claim of the table's only pipeline begins where the savepoint stands.
    #[track_caller]
    pub fn assert_begins_at(&self, folder: &str) {
        let marker = &read_savepoint(folder)["marker"];
        let claim = &self.markers()[0];
        for (partition, next) in marker["next"][&self.topic].as_object().expect("offsets") {
            let stands = &claim["moved"][&self.topic][partition];
            let stood = serde_json::json!([next, next]);
            assert_eq!(*stands, stood, "partition {partition}");
        }
    }

    /// The current snapshot's id, by pyiceberg.
    pub fn current_snapshot(&self) -> i64 {
        let request = serde_json::json!({
            "catalog": self.reader_properties(),
            "table": self.table_name(),
        });
        run_script("current_snapshot.py", &request)
    }

    /// Makes the table before calve does: `[name, type, required]` for each column.
    pub fn create_table(&self, columns: serde_json::Value) {
        self.create_partitioned_table(columns, &[]);
    }

    /// The same, partitioned by the values of these columns.
    pub fn create_partitioned_table(&self, columns: serde_json::Value, identity: &[&str]) {
        let request = serde_json::json!({
            "catalog": self.reader_properties(),
            "table": self.table_name(),
            "columns": columns,
            "identity": identity,
        });
        let _: serde_json::Value = run_script("create_table.py", &request);
    }

    /// The files in the table's data location, those that no snapshot names among them.
    pub fn data_files(&self) -> BTreeSet<String> {
        self.copy_data_files(&[])
    }

    /// Copies files there to other names beside them, `(path, name)`; what is there then.
    pub fn copy_data_files(&self, copies: &[(String, String)]) -> BTreeSet<String> {
        let request = serde_json::json!({
            "catalog": self.reader_properties(),
            "table": self.table_name(),
            "copy": copies,
        });
        run_script("warehouse.py", &request)
    }
}

/// What a savepoint says of itself.
#[track_caller]
pub fn read_savepoint(folder: &str) -> serde_json::Value {
    let text = std::fs::read(format!("{folder}/savepoint.json")).expect("a savepoint");
    serde_json::from_slice(&text).expect("JSON")
}
