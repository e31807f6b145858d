//! A headless Chromium, steered by its own protocol: messages in JSON through two pipes, each ended by a zero byte.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The browser takes its commands from descriptor 3 and answers on 4. A shell makes them of the standard streams.
const START: &str = "exec chromium --headless --no-sandbox --disable-gpu --no-first-run --disable-extensions \
    --disable-background-networking --user-data-dir=\"$0\" --remote-debugging-pipe about:blank \
    3<&0 4>&1 0</dev/null 1>/dev/null 2>&1";
/// How long a page may take to get into an expected state.
const PATIENCE: Duration = Duration::from_secs(30);

/// A browser with one page.
pub struct Browser {
    process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    session: Option<String>,
    last: u64,
    /// Addresses that pages asked for, other than files and data.
    pub requests: Vec<String>,
    /// Errors that nothing caught.
    pub errors: Vec<String>,
    _profile: TempDir,
}

impl Browser {
    /// Starts it; `None` if there is no Chromium.
    pub fn start() -> Option<Self> {
        if !needs::tools(&["chromium", "sh"]) {
            return None;
        }
        let profile = tempfile::tempdir().expect("a temporary folder");
        let mut process = Command::new("sh")
            .args(["-c", START])
            .arg(profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell starts");
        let commands = process.stdin.take().expect("piped");
        let answers = BufReader::new(process.stdout.take().expect("piped"));
        let (requests, errors) = (Vec::new(), Vec::new());
        let mut browser =
            Self { process, commands, answers, session: None, last: 0, requests, errors, _profile: profile };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", attach);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser.resize(1600, 950);
        Some(browser)
    }

    /// Sends a command and waits for its result.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut command = json!({ "id": self.last, "method": method, "params": params });
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        self.commands.write_all(format!("{command}\0").as_bytes()).expect("the browser listens");
        loop {
            let mut message = Vec::new();
            self.answers.read_until(0, &mut message).expect("the browser answers");
            assert_eq!(message.pop(), Some(0), "the browser has ended");
            let message: Value = serde_json::from_slice(&message).expect("JSON");
            if message["id"] == self.last {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.record(&message);
        }
    }

    fn record(&mut self, event: &Value) {
        match event["method"].as_str() {
            Some("Network.requestWillBeSent") => {
                let url = event["params"]["request"]["url"].as_str().unwrap_or_default();
                if !["file:", "data:", "about:"].iter().any(|own| url.starts_with(own)) {
                    self.requests.push(url.to_owned());
                }
            }
            Some("Runtime.exceptionThrown") => self.errors.push(event["params"].to_string()),
            _ => {}
        }
    }

    /// The size of the page in pixels.
    pub fn resize(&mut self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// Whether the system prefers dark pages.
    pub fn prefer_dark(&mut self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": value }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// Opens a file.
    pub fn open(&mut self, page: &Path) {
        self.call("Page.navigate", json!({ "url": format!("file://{}", page.display()) }));
        self.until("document.readyState === 'complete' && location.protocol === 'file:'");
    }

    /// The value of an expression, awaited if it is a promise.
    pub fn eval(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let result = self.call("Runtime.evaluate", params);
        assert!(result["exceptionDetails"].is_null(), "{expression}: {}", result["exceptionDetails"]);
        result["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    pub fn until(&mut self, expression: &str) {
        let start = Instant::now();
        while self.eval(expression) != Value::Bool(true) {
            assert!(start.elapsed() < PATIENCE, "the page never gets to: {expression}; {:?}", self.errors);
            std::thread::sleep(Duration::from_millis(15));
        }
    }

    /// Presses a key.
    pub fn key(&mut self, key: &str) {
        let mut down = json!({ "type": "keyDown", "key": key });
        if key.chars().count() == 1 {
            down["text"] = json!(key);
        }
        self.call("Input.dispatchKeyEvent", down);
        self.call("Input.dispatchKeyEvent", json!({ "type": "keyUp", "key": key }));
    }

    /// Types a text into the field that has the focus.
    pub fn text(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// Moves the pointer to an element, which an expression gives.
    pub fn point(&mut self, element: &str) -> (f64, f64) {
        let place = format!(
            "(() => {{ const b = ({element}).getBoundingClientRect(); return [b.x + 40, b.y + b.height / 2]; }})()"
        );
        let place = self.eval(&place);
        let at = |n: usize| place[n].as_f64().expect("a coordinate");
        let (x, y) = (at(0), at(1));
        self.call("Input.dispatchMouseEvent", json!({ "type": "mouseMoved", "x": x, "y": y }));
        (x, y)
    }

    /// Clicks an element.
    pub fn click(&mut self, element: &str) {
        let (x, y) = self.point(element);
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// Writes an image of the page in base64 of PNG, which is what the protocol gives, decoded by the browser's caller.
    pub fn screenshot(&mut self, path: &Path) {
        let image = self.call("Page.captureScreenshot", json!({ "format": "png" }));
        let data = image["data"].as_str().expect("an image");
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, data);
        std::fs::write(path, bytes.expect("base64")).expect("the image is written");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Either fails only if the browser has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
