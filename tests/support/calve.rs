//! calve as a process: the binary under test, run as a user runs it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use super::verify::run_script_in;
use super::watch::sample;
use super::{eventually, signal};

/// A command line of calve, to be completed and started.
#[derive(Clone)]
pub struct Calve {
    binary: PathBuf,
    args: Vec<String>,
    env: BTreeMap<String, String>,
    dir: PathBuf,
    /// What a shell does before it becomes calve.
    prelude: Option<String>,
    quiet: bool,
}

impl Calve {
    /// `calve ARGS` with this folder as the current one, and nothing of our environment that calve reads.
    pub fn new(args: &[&str], dir: impl Into<PathBuf>) -> Calve {
        Calve {
            binary: env!("CARGO_BIN_EXE_calve").into(),
            args: args.iter().map(|&a| a.to_owned()).collect(),
            env: BTreeMap::new(),
            dir: dir.into(),
            prelude: None,
            quiet: false,
        }
    }

    /// Another program with calve's command line.
    pub fn program(mut self, binary: PathBuf) -> Calve {
        self.binary = binary;
        self
    }

    /// Its output is not printed: for tests that run hundreds of processes, and show what matters.
    pub fn quiet(mut self) -> Calve {
        self.quiet = true;
        self
    }

    pub fn arg(mut self, arg: &str) -> Calve {
        self.args.push(arg.to_owned());
        self
    }

    pub fn workers(self, workers: usize) -> Calve {
        self.arg("-w").arg(&workers.to_string())
    }

    /// To the end of the topic as it is now, then exit 0.
    pub fn bounded(self) -> Calve {
        self.arg("--bounded")
    }

    pub fn set(self, key: &str, value: &str) -> Calve {
        self.arg("--set").arg(&format!("{key}={value}"))
    }

    pub fn env(mut self, name: &str, value: &str) -> Calve {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn without_env(mut self, name: &str) -> Calve {
        self.env.remove(name);
        self
    }

    /// No file may grow beyond this many KiB: what a full disk looks like.
    pub fn file_size_limit(mut self, kib: u64) -> Calve {
        // Without the trap the kernel would end the process instead of failing the write.
        self.prelude = Some(format!("trap '' XFSZ; ulimit -f {kib}"));
        self
    }

    /// Nothing in this folder can be written, by root neither: a read-only mount that only calve sees.
    pub fn read_only(mut self, folder: &Path) -> Calve {
        let folder = folder.display();
        self.prelude = Some(format!(
            "mount --bind '{folder}' '{folder}' && mount -o remount,ro,bind '{folder}' || exit 99"
        ));
        self
    }

    /// This folder is a disk of its own with room for so many KiB, seen by calve only and gone with it.
    pub fn small_disk(mut self, folder: &Path, kib: u64) -> Calve {
        let folder = folder.display();
        self.prelude = Some(format!(
            "mkdir -p '{folder}' && mount -t tmpfs -o size={kib}k none '{folder}' || exit 99"
        ));
        self
    }

    /// Passes this failpoint so many times, and then does what the word says, once.
    pub fn failpoint(self, point: &str, passes: u32, word: &str) -> Calve {
        let before = match passes {
            0 => String::new(),
            passes => format!("{passes}*off->"),
        };
        self.env("FAILPOINTS", &format!("{point}={before}1*return({word})"))
    }

    /// Its folder and its environment, and nothing of ours that calve reads.
    fn surround(&self, command: &mut Command) {
        command.current_dir(&self.dir);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let ours = [
                "KAFKA_",
                "FLINK_",
                "ICEBERG_",
                "S3_",
                "AWS_",
                "BATCH_",
                "CALVE_",
                "TARGET_",
                "FAILPOINTS",
            ];
            let others = ["RUST_LOG", "NO_COLOR"];
            if ours.iter().any(|prefix| text.starts_with(prefix)) || others.contains(&&*text) {
                command.env_remove(&name);
            }
        }
        // The AWS libraries look for an instance's metadata when a key is missing: not here.
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("RUST_BACKTRACE", "1");
        command.envs(&self.env);
    }

    /// Runs it in a terminal of so many rows and columns, and does there what the steps say: see
    /// `tests/verify/terminal.py`.
    #[track_caller]
    pub fn in_terminal(self, size: (u16, u16), steps: &Value) -> Terminal {
        let mut line = vec![self.binary.display().to_string()];
        line.extend(self.args.iter().cloned());
        let request = json!({ "size": [size.0, size.1], "command": line, "steps": steps });
        let around = |command: &mut Command| {
            command.env("TERM", "xterm-256color");
            self.surround(command);
        };
        run_script_in("terminal.py", &request, around)
    }

    /// Starts it.
    pub fn start(self) -> Running {
        let mut command = match &self.prelude {
            None => Command::new(&self.binary),
            Some(prelude) => {
                // A mount namespace of its own, and the rights to mount in it.
                let mut shell = Command::new("unshare");
                let script = format!("{prelude}; exec \"$0\" \"$@\"");
                shell.args(["--map-root-user", "--mount", "bash", "-c", &script]);
                shell.arg(&self.binary);
                shell
            }
        };
        command.args(&self.args);
        self.surround(&mut command);
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("calve starts");
        if !self.quiet {
            println!("calve {} (pid {})", self.args.join(" "), process.id());
        }
        let stdout = capture(process.stdout.take().expect("a pipe"));
        let stderr = capture(process.stderr.take().expect("a pipe"));
        Running {
            process,
            stdout,
            stderr,
            quiet: self.quiet,
        }
    }

    /// Starts it and waits, at most three minutes, for its end.
    pub fn run(self) -> Finished {
        self.start().wait(Duration::from_secs(180))
    }
}

/// One output of a process, read as it comes.
struct Capture {
    text: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

fn capture(pipe: impl Read + Send + 'static) -> Capture {
    let text = Arc::new(Mutex::new(String::new()));
    let sink = Arc::clone(&text);
    let reader = thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while matches!(pipe.read_until(b'\n', &mut line), Ok(n) if n > 0) {
            let mut sink = sink.lock().expect("no panic here");
            sink.push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    });
    Capture { text, reader }
}

impl Capture {
    fn so_far(&self) -> String {
        self.text.lock().expect("no panic here").clone()
    }

    fn all(self) -> String {
        let _ = self.reader.join();
        let text = self.text.lock().expect("no panic here");
        text.clone()
    }
}

/// A running calve. Dropped, it is killed, and what it said is printed (a test that passes shows nothing).
pub struct Running {
    process: Child,
    stdout: Capture,
    stderr: Capture,
    quiet: bool,
}

impl Running {
    /// Both outputs, until now.
    pub fn output(&self) -> String {
        self.stdout.so_far() + &self.stderr.so_far()
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// True while it is stopped by SIGSTOP.
    pub fn is_stopped(&self) -> bool {
        // `pid (name) state …`; the name has no parenthesis.
        let status = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()));
        status.is_ok_and(|text| text.contains(") T "))
    }

    /// Figures of its metrics endpoint (`PROMETHEUS_PORT=0` opens one), unless it is not there yet or
    /// does not answer at once.
    pub fn figures<const N: usize>(&self, names: [&str; N]) -> Option<[u64; N]> {
        let output = self.output();
        let (_, rest) = output.split_once("metrics at http://")?;
        let (address, _) = rest.split_once("/metrics")?;
        let patience = Some(Duration::from_millis(500));
        let mut stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(patience).ok()?;
        let request =
            format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let figure = |name: &str| {
            let mut lines = text.lines();
            lines.find_map(|line| sample(line, name)?.parse().ok())
        };
        let found: Vec<u64> = names.iter().map_while(|name| figure(name)).collect();
        found.try_into().ok()
    }

    /// Asks it to drain and end.
    pub fn sigterm(&self) {
        signal(&self.process, "TERM");
    }

    pub fn signal(&self, name: &str) {
        signal(&self.process, name);
    }

    /// How many rows it has said to have committed, until now.
    pub fn committed_rows(&self) -> u64 {
        committed_rows(&self.output())
    }

    /// Waits until it has said to have committed this many rows.
    #[track_caller]
    pub fn wait_rows(&self, rows: u64) {
        eventually(&format!("{rows} rows are committed"), || {
            assert_ne!(self.state(), 'Z', "calve has ended:\n{}", self.output());
            self.committed_rows() >= rows
        });
    }

    /// Waits until it has stopped at this failpoint.
    #[track_caller]
    pub fn wait_stopped(&self, point: &str) {
        let said = format!("failpoint {point}: stop");
        eventually(&format!("it stops at {point}"), || {
            self.state() == 'T' && self.output().contains(&said)
        });
    }

    /// As the kernel has it: S sleeps, R runs, T is stopped, Z has ended.
    fn state(&self) -> char {
        let stat = format!("/proc/{}/stat", self.process.id());
        let stat = std::fs::read_to_string(stat).expect("a process that nobody has waited for");
        let (_, state) = stat.rsplit_once(") ").expect("a name");
        state.chars().next().expect("a state")
    }

    /// Ends it as a crash would, and waits for its end.
    pub fn kill(mut self) -> Finished {
        self.process.kill().expect("calve is killed");
        self.wait(Duration::from_secs(10))
    }

    /// Drains it: SIGTERM, then its end, which must be a good one.
    pub fn drain(self) -> Finished {
        self.sigterm();
        self.wait(Duration::from_secs(60)).expect_code(0)
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(mut self, timeout: Duration) -> Finished {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().expect("a status") {
                return self.finished(status);
            }
            if begin.elapsed() > timeout {
                let output = self.output();
                panic!("calve has not ended after {timeout:?}; it said:\n{output}");
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn finished(mut self, status: ExitStatus) -> Finished {
        let empty = || capture(std::io::empty());
        let stdout = std::mem::replace(&mut self.stdout, empty()).all();
        let stderr = std::mem::replace(&mut self.stderr, empty()).all();
        if !self.quiet {
            println!(
                "calve (pid {}): {status}\n{stdout}{stderr}",
                self.process.id()
            );
        }
        let finished = Finished {
            code: status.code(),
            signal: status.signal(),
            stdout,
            stderr,
        };
        finished.expect_no_panic()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let ended = self.process.try_wait();
        if matches!(ended, Ok(None)) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
        // Nothing is left to say after `finished`, which has taken the output.
        let output = self.output();
        if !output.is_empty() {
            println!("calve ({ended:?} at the end of the test) had said:\n{output}");
        }
    }
}

/// What somebody sees who runs calve in a terminal.
#[derive(Debug, Deserialize)]
pub struct Terminal {
    pub code: i32,
    /// The screen after each step.
    pub screens: Vec<String>,
    /// The screen after the end.
    pub last: String,
    /// True if anything had a colour.
    pub coloured: bool,
    /// True if its modes are what they were.
    pub restored: bool,
    /// True if the screen is the one on which it was started.
    pub main_screen: bool,
    /// True if the cursor can be seen.
    pub cursor: bool,
}

/// How a process ended.
#[derive(Debug)]
pub struct Finished {
    /// The exit code; none after a signal.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Finished {
        assert_eq!(
            self.code,
            Some(code),
            "calve's exit code; it said:\n{}",
            self.output()
        );
        self
    }

    /// It was killed, as a crash would, by this failpoint.
    #[track_caller]
    pub fn expect_killed_at(self, point: &str) -> Finished {
        const SIGKILL: i32 = 9;
        assert_eq!(self.signal, Some(SIGKILL), "{}", self.output());
        self.expect_output(&[&format!("failpoint {point}: kill")])
    }

    /// How many rows it said to have committed.
    pub fn committed_rows(&self) -> u64 {
        committed_rows(&self.output())
    }

    /// What it said has every one of these (in any case).
    #[track_caller]
    pub fn expect_output(self, texts: &[&str]) -> Finished {
        let output = self.output().to_lowercase();
        for text in texts {
            assert!(
                output.contains(&text.to_lowercase()),
                "calve should have said {text:?}; it said:\n{output}"
            );
        }
        self
    }

    /// Nothing has panicked, but where a test had asked for it.
    fn expect_no_panic(self) -> Finished {
        let mut lines = self.stderr.lines();
        while lines.any(|line| line.contains("panicked at")) {
            let why = lines.next().unwrap_or_default();
            let asked_for = why.starts_with("failpoint ");
            assert!(asked_for, "calve panicked:\n{}", self.stderr);
        }
        self
    }

    pub fn output(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// The rows of all commits that a log reports.
fn committed_rows(log: &str) -> u64 {
    log.lines()
        .filter_map(|line| {
            line.split_once("checkpoint committed ")?
                .1
                .split_once(" records=")
        })
        .map(|(_, rest)| {
            let digits = rest.split(' ').next().expect("a field");
            digits.parse::<u64>().expect("a number of records")
        })
        .sum()
}
