//! A client of the REST API that sends exactly what a test wants to send.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::calve::Running;
use super::eventually;
use super::watch::sample;

/// The REST API of a running calve (`rest.port` is set).
#[derive(Clone, Debug)]
pub struct Rest {
    pub address: SocketAddr,
    /// The pipeline's id, once it was asked for.
    pub job: String,
}

impl Running {
    /// Its REST API, once the dataflow runs.
    #[track_caller]
    pub fn rest(&self) -> Rest {
        eventually("the REST API is there", || {
            self.output().contains("REST API at http://")
        });
        let said = self.output();
        let (_, rest) = said.split_once("REST API at http://").expect("an address");
        let address = rest.split_whitespace().next().expect("an address");
        let mut rest = Rest::at(address);
        let jobs = rest.get("/jobs");
        rest.job = jobs["jobs"][0]["id"].as_str().expect("a job").to_owned();
        eventually("the dataflow runs", || {
            rest.get("/jobs")["jobs"][0]["status"] == "RUNNING"
        });
        rest
    }
}

impl Rest {
    /// Whatever listens there.
    #[track_caller]
    pub fn at(address: &str) -> Rest {
        Rest {
            address: address.parse().expect("an address"),
            job: String::new(),
        }
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What is at this path, which must be there.
    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        let (status, body) = self.call("GET", path, &[], "");
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"))
    }

    /// The same, below the pipeline's own path.
    #[track_caller]
    pub fn job(&self, path: &str) -> Value {
        self.get(&format!("/jobs/{}{path}", self.job))
    }

    /// A figure of `/metrics`, by its full name (whatever its labels); `None` if it is not there.
    pub fn metric(&self, name: &str) -> Option<u64> {
        let (_, text) = self.call("GET", "/metrics", &[], "");
        let value = text.lines().find_map(|line| sample(line, name));
        value.and_then(|value| value.parse().ok())
    }

    /// Waits until this many records have been read, committed or not.
    #[track_caller]
    pub fn wait_read(&self, records: u64) {
        eventually(&format!("{records} records are read"), || {
            self.metric("calve_records_read_total") == Some(records)
        });
    }

    /// Posts, below the pipeline's own path: status and answer.
    #[track_caller]
    pub fn post(&self, path: &str, body: &str) -> (u16, Value) {
        let path = format!("/jobs/{}{path}", self.job);
        let (status, body) = self.call("POST", &path, &[], body);
        (status, serde_json::from_str(&body).unwrap_or_default())
    }

    /// Posts and waits for the outcome of what was asked for, which is looked for at another path.
    #[track_caller]
    pub fn ask(&self, path: &str, body: &str, status_path: &str) -> Value {
        let (status, accepted) = self.post(path, body);
        assert_eq!(status, 202, "{accepted}");
        let id = accepted["request-id"].as_str().expect("an id").to_owned();
        let mut outcome = Value::Null;
        eventually("the operation has ended", || {
            let status = self.job(&format!("{status_path}/{id}"));
            outcome = status["operation"].clone();
            status["status"]["id"] == "COMPLETED"
        });
        outcome
    }

    /// One request on a connection of its own: status and body. 0 if the server has hung up.
    pub fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, String) {
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            request += &format!("Host: {}\r\n", self.address);
        }
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        self.raw(request.as_bytes())
    }

    /// Bytes on a connection of their own.
    pub fn raw(&self, request: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).expect("the REST API listens");
        let patience = Some(Duration::from_secs(60));
        stream.set_read_timeout(patience).expect("a timeout");
        // The server may refuse before it has read everything.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        (status.unwrap_or(0), body.to_owned())
    }
}
