//! Prometheus and promtool: who scrapes calve, and who judges what is scraped.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::{Rest, Running, Services, eventually, free_port, terminate};

/// A file below `deploy/`.
pub fn deployed(path: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("deploy").join(path)
}

/// Runs promtool on this input: whether it is content, and all it says.
#[track_caller]
pub fn promtool(args: &[&str], input: &str) -> (bool, String) {
    let mut promtool = program("promtool")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is there: tests/services/setup.sh all");
    let mut stdin = promtool.stdin.take().expect("a pipe");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = promtool.wait_with_output().expect("promtool ends");
    // It need not read its input to the end.
    let _ = writer.join();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output.status.success(), said)
}

/// Fetched beside the jars, or the user's own.
fn program(name: &str) -> Command {
    let fetched = Services::get().kafka_jars.with_file_name("bin").join(name);
    match fetched.exists() {
        true => Command::new(fetched),
        false => Command::new(name),
    }
}

/// A Prometheus that scrapes calve every half second, with the alert rules of `deploy/`.
pub struct Prometheus {
    server: Option<Child>,
    api: Rest,
    _folder: TempDir,
}

impl Prometheus {
    #[track_caller]
    pub fn scraping(calve: &Running) -> Prometheus {
        let folder = TempDir::new().expect("a folder");
        let config = folder.path().join("prometheus.yml");
        let scraped = calve.metrics().address;
        let settings = fs::read_to_string(deployed("prometheus/prometheus.yml"))
            .expect("the example")
            .replace("15s", "500ms")
            .replace("127.0.0.1:9249", &scraped.to_string())
            .replace(
                "alerts.yml",
                &deployed("prometheus/alerts.yml").display().to_string(),
            );
        assert!(settings.contains(&scraped.to_string()), "{settings}");
        let settings = settings.replacen("global:", "global:\n  evaluation_interval: 1s", 1);
        fs::write(&config, settings).expect("a file");
        let address = format!("127.0.0.1:{}", free_port());
        let log = fs::File::create(folder.path().join("log")).expect("a log");
        let server = program("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("prometheus is there: tests/services/setup.sh all");
        let prometheus = Prometheus {
            server: Some(server),
            api: Rest::at(&address),
            _folder: folder,
        };
        eventually("Prometheus answers", || {
            TcpStream::connect(&address).is_ok() && prometheus.ask("/-/ready").0 == 200
        });
        prometheus
    }

    /// The samples that a query finds.
    #[track_caller]
    pub fn query(&self, expression: &str) -> Vec<Value> {
        let answer = self.api(&format!("/api/v1/query?query={}", encoded(expression)));
        let found = answer["data"]["result"].as_array();
        found.expect("a vector").clone()
    }

    /// The alert rules, with what became of them.
    #[track_caller]
    pub fn rules(&self) -> Vec<Value> {
        let answer = self.api("/api/v1/rules");
        let groups = answer["data"]["groups"].as_array().expect("groups");
        let rules = groups.iter().filter_map(|group| group["rules"].as_array());
        rules.flatten().cloned().collect()
    }

    #[track_caller]
    fn api(&self, path: &str) -> Value {
        let (status, body) = self.ask(path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).expect("JSON")
    }

    /// By the older protocol, in which an answer comes in one piece.
    fn ask(&self, path: &str) -> (u16, String) {
        self.api
            .raw(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            terminate(server);
        }
    }
}

/// As it stands in a query string.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
