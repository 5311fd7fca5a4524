//! Headless Chromium, driven through chromedriver: what a person at a screen sees and does.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::{eventually, free_port, terminate};

/// The Tab key, as the WebDriver protocol writes it.
pub const TAB: &str = "\u{E004}";
/// The Enter key.
pub const ENTER: &str = "\u{E007}";
/// The right arrow.
pub const RIGHT: &str = "\u{E014}";

/// A browser with one page.
pub struct Browser {
    driver: Option<Child>,
    address: SocketAddr,
    session: String,
}

impl Browser {
    /// Opens a page on a screen of this size, in `light` or `dark`.
    #[track_caller]
    pub fn open(url: &str, (width, height): (u32, u32), scheme: &str) -> Browser {
        let port = free_port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed: tests/services/setup.sh all");
        let mut browser = Browser {
            driver: Some(driver),
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            session: String::new(),
        };
        eventually("chromedriver is ready", || {
            TcpStream::connect(browser.address).is_ok()
        });
        let args = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            "--hide-scrollbars",
        ];
        let session = browser.ask(
            "POST",
            "/session",
            &json!({ "capabilities": { "alwaysMatch": {
                "browserName": "chrome",
                "goog:chromeOptions": { "args": args },
                "goog:loggingPrefs": { "browser": "ALL" },
            } } }),
        );
        let id = session["sessionId"].as_str().expect("a session");
        browser.session = format!("/session/{id}");
        browser.resize(width, height);
        browser.color_scheme(scheme);
        browser.go(url);
        browser
    }

    /// Goes to a page, and waits until it is loaded.
    #[track_caller]
    pub fn go(&self, url: &str) {
        self.command("/url", &json!({ "url": url }));
    }

    /// Another screen: a telephone, if it is narrow.
    #[track_caller]
    pub fn resize(&self, width: u32, height: u32) {
        let screen = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", &screen);
    }

    /// What the system prefers: `light` or `dark`.
    #[track_caller]
    pub fn color_scheme(&self, scheme: &str) {
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", &media);
    }

    /// What a script in the page returns.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        self.command("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// What is written in the first element that a selector finds; empty if there is none or it can't be seen.
    #[track_caller]
    pub fn text(&self, selector: &str) -> String {
        let found = self.run(&format!(
            "const e = document.querySelector({}); return e?.innerText ?? e?.textContent ?? ''",
            json!(selector)
        ));
        // Some draw every space as one that does not break.
        found.as_str().expect("text").replace('\u{a0}', " ")
    }

    /// Waits until an element says something.
    #[track_caller]
    pub fn wait_text(&self, selector: &str, part: &str) {
        eventually(&format!("{selector} says {part:?}"), || {
            self.text(selector).contains(part)
        });
    }

    /// Clicks with the mouse on the button with this name.
    #[track_caller]
    pub fn click(&self, name: &str) {
        let found = self.command(
            "/element",
            &json!({ "using": "xpath", "value": format!("//button[normalize-space()='{name}']") }),
        );
        let element = found.as_object().and_then(|found| found.values().next());
        let id = element.and_then(Value::as_str).expect("a button");
        self.command(&format!("/element/{id}/click"), &json!({}));
    }

    /// Presses a key and lets it go.
    #[track_caller]
    pub fn press(&self, key: &str) {
        let actions =
            json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.command("/actions", &json!({ "actions": [keyboard] }));
    }

    /// What was written to the console since it was last asked for.
    #[track_caller]
    pub fn console(&self) -> Vec<String> {
        let entries = self.command("/se/log", &json!({ "type": "browser" }));
        let entries = entries.as_array().expect("entries").iter();
        entries
            .map(|entry| format!("{} {}", entry["level"], entry["message"]))
            .collect()
    }

    /// What the screen shows, as PNG.
    #[track_caller]
    pub fn screenshot(&self) -> Vec<u8> {
        let path = format!("{}/screenshot", self.session);
        let answer = self.call("GET", &path, "").expect("a screenshot");
        let encoded = answer["value"].as_str().expect("an image");
        BASE64_STANDARD.decode(encoded).expect("base64")
    }

    fn devtools(&self, command: &str, params: &Value) -> Value {
        self.command(
            "/goog/cdp/execute",
            &json!({ "cmd": command, "params": params }),
        )
    }

    #[track_caller]
    fn command(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", &format!("{}{path}", self.session), body)
    }

    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.call(method, path, &body.to_string());
        let answer = answer.unwrap_or_else(|error| panic!("{path} {body}: {error}"));
        assert!(
            answer["value"]["error"].is_null(),
            "{path} {body}: {answer}"
        );
        answer["value"].clone()
    }
}

impl Browser {
    /// One request. The driver keeps connections open, so an answer ends with its length.
    fn call(&self, method: &str, path: &str, body: &str) -> io::Result<Value> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )?;
        let mut answer = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            answer.read_line(&mut line)?;
            let Some((name, value)) = line.trim().split_once(':') else {
                match line.trim().is_empty() {
                    true => break,
                    false => continue,
                }
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        let mut body = vec![0; length];
        answer.read_exact(&mut body)?;
        Ok(serde_json::from_slice(&body)?)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium ends with its session; a driver that is killed would leave it behind.
        let _ = self.call("DELETE", &self.session, "");
        sleep(Duration::from_millis(100));
        if let Some(driver) = self.driver.take() {
            terminate(driver);
        }
    }
}
