//! A faulty HTTP proxy: stands before the REST catalog or the S3 server and does what networks and gateways do.
//! (S3's signatures cover the host that the client asked for, which is passed on.)

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// One request of a client.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// With the query.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header, its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Does the body have this text?
    pub fn body_has(&self, text: &str) -> bool {
        self.body.windows(text.len()).any(|w| w == text.as_bytes())
    }

    /// Does it ask to commit a snapshot to a table?
    pub fn is_commit(&self) -> bool {
        self.method == "POST" && self.body_has("\"add-snapshot\"")
    }

    /// Forwards it now, and says with which status it was answered.
    pub fn send(&self, upstream: &str) -> u16 {
        let answer = self.ask(upstream);
        let status = answer.split(' ').nth(1).expect("a status");
        status.parse().expect("a number")
    }

    /// Forwards it now, and returns the whole answer.
    pub fn ask(&self, upstream: &str) -> String {
        let answer = forward(self, &upstream.replacen("http://", "", 1)).expect("an answer");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Forwards it after a while, whatever its client was told.
    pub fn send_later(&self, upstream: &str, after: Duration) {
        let (request, upstream) = (self.clone(), upstream.replacen("http://", "", 1));
        thread::spawn(move || {
            thread::sleep(after);
            forward(&request, &upstream);
        });
    }

    /// Does it ask to commit data files?
    pub fn adds_files(&self) -> bool {
        self.is_commit() && self.body_has("added-data-files")
    }
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Action {
    /// It is forwarded, and answered with the answer.
    Pass,
    /// It is answered with this status and body, and never forwarded.
    Answer(u16, String),
    /// It is answered with a file of this type, and never forwarded.
    Serve(&'static str, Vec<u8>),
    /// It is forwarded, but the client gets this status and body.
    PassThenAnswer(u16, String),
    /// Another request is forwarded in its place, and answered.
    PassInstead(Request),
    /// It is forwarded, but the answer is lost: the connection closes.
    LoseAnswer,
    /// The connection closes at once.
    Refuse,
    /// The connection is reset at once, as by a crash of the server.
    Reset,
    /// It is forwarded after a while.
    Delay(Duration),
    /// It is forwarded, and answered after a while.
    DelayAnswer(Duration),
}

/// A running proxy; it ends when dropped.
pub struct Proxy {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
}

type Handler = dyn Fn(&Request) -> Action + Send + Sync;

impl Proxy {
    /// Stands before `upstream` (`http://host:port`); `handler` decides what becomes of each request.
    pub fn start(
        upstream: &str,
        handler: impl Fn(&Request) -> Action + Send + Sync + 'static,
    ) -> Proxy {
        let upstream = upstream.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let handler: Arc<Handler> = Arc::new(handler);
        let (log, stopped) = (Arc::clone(&requests), Arc::clone(&stop));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (upstream, handler, log) =
                    (upstream.clone(), Arc::clone(&handler), Arc::clone(&log));
                thread::spawn(move || serve(client, &upstream, &*handler, &log));
            }
        });
        Proxy {
            address,
            requests,
            stop,
        }
    }

    /// `http://host:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no panic here").clone()
    }
}

/// A catalog that can be switched off and on: the switch is true while it is away.
pub fn switchable(upstream: &str) -> (Proxy, Arc<AtomicBool>) {
    let away = Arc::new(AtomicBool::new(false));
    let is_away = Arc::clone(&away);
    let proxy = Proxy::start(upstream, move |_| match is_away.load(Ordering::Relaxed) {
        true => Action::Refuse,
        false => Action::Pass,
    });
    (proxy, away)
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the listener.
        let _ = TcpStream::connect(&self.address);
    }
}

/// One request a connection: the client is told to close it, which makes every fault a clean one.
fn serve(client: TcpStream, upstream: &str, handler: &Handler, log: &Mutex<Vec<Request>>) {
    let mut reader = BufReader::new(client);
    let Some(request) = read_request(&mut reader) else {
        return;
    };
    log.lock().expect("no panic here").push(request.clone());
    let mut client = reader.into_inner();
    let answer = match handler(&request) {
        Action::Pass => forward(&request, upstream),
        Action::Delay(time) => {
            thread::sleep(time);
            forward(&request, upstream)
        }
        Action::DelayAnswer(time) => {
            let answer = forward(&request, upstream);
            thread::sleep(time);
            answer
        }
        Action::Answer(status, body) => Some(response(status, &body)),
        Action::Serve(kind, file) => Some(answer(200, kind, &file)),
        Action::PassThenAnswer(status, body) => {
            let _ = forward(&request, upstream);
            Some(response(status, &body))
        }
        Action::PassInstead(other) => forward(&other, upstream),
        Action::LoseAnswer => {
            let _ = forward(&request, upstream);
            None
        }
        Action::Refuse => None,
        Action::Reset => {
            // What closes without lingering is reset.
            let socket = tokio::net::TcpSocket::from_std_stream(client);
            return socket.set_zero_linger().expect("an option of sockets");
        }
    };
    if let Some(answer) = answer {
        let _ = client.write_all(&answer);
    }
}

fn response(status: u16, body: &str) -> Vec<u8> {
    answer(status, "application/json", body.as_bytes())
}

fn answer(status: u16, kind: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status} Status\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn read_request(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut request = Request {
        method,
        path,
        headers,
        body: Vec::new(),
    };
    let length = request
        .header("content-length")
        .map_or(0, |l| l.parse().unwrap_or(0));
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    request.body = body;
    Some(request)
}

/// The whole answer, or nothing when the upstream is not there.
fn forward(request: &Request, upstream: &str) -> Option<Vec<u8>> {
    let mut server = TcpStream::connect(upstream).ok()?;
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.path);
    for (name, value) in &request.headers {
        // Not the host: S3's signatures cover it.
        let hop = ["connection", "content-length"];
        if !hop.iter().any(|h| name.eq_ignore_ascii_case(h)) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    let length = request.body.len();
    head.push_str(&format!(
        "Content-Length: {length}\r\nConnection: close\r\n\r\n"
    ));
    server.write_all(head.as_bytes()).ok()?;
    server.write_all(&request.body).ok()?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).ok()?;
    Some(answer)
}
