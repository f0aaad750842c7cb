//! `wgflow watch` from the outside: live numbers of a training, files of the directory and no others, a clean end.
#![cfg(unix)]

#[path = "common/cli.rs"]
mod cli;
#[path = "common/place.rs"]
mod place;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout};

use serde_json::Value;

use place::{Place, assert_code, end, send, start, wait_for, words};

/// `wgflow watch`, and where it listens.
struct Watch {
    child: Child,
    output: BufReader<ChildStdout>,
    address: SocketAddr,
}

/// An answer: its code, its headers in lower case, its body.
struct Answer {
    code: u16,
    headers: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        assert_eq!(self.code, 200, "{}", words(&self.body));
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Watch {
    fn of(place: &Place, directory: &str) -> Self {
        let mut command = place.command(&["watch", directory, "--port", "0"]);
        let mut child =
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next());
        let address = address.unwrap_or_else(|| panic!("no address in {line:?}")).parse().unwrap();
        Self { child, output, address }
    }

    /// A request as it is written, not as a client would correct it.
    fn ask(&self, method: &str, path: &str, host: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let head = bytes.windows(4).position(|part| part == b"\r\n\r\n").expect("headers");
        let headers = String::from_utf8(bytes[..head].to_vec()).unwrap().to_lowercase();
        let code = headers.split(' ').nth(1).unwrap().parse().unwrap();
        let body = bytes.split_off(head + 4);
        let chunked = headers.contains("transfer-encoding: chunked");
        Answer { code, headers, body: if chunked { unchunked(&body) } else { body } }
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &self.address.to_string())
    }

    /// Ctrl-C, which must be a clean end.
    fn interrupt(self) {
        send(&self.child, &[libc::SIGINT]);
        let output = end(self.child, self.output);
        assert_code(&output, 0);
        assert_eq!(words(&output.stderr), "");
    }
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let line = body.windows(2).position(|part| part == b"\r\n").unwrap();
        let length = usize::from_str_radix(std::str::from_utf8(&body[..line]).unwrap(), 16).unwrap();
        if length == 0 {
            return whole;
        }
        whole.extend(&body[line + 2..line + 2 + length]);
        body = &body[line + 2 + length + 2..];
    }
}

#[test]
fn a_training_is_watched_as_it_goes() {
    let place = Place::new();
    let endless = ["--iterations", "1000000", "--set", "evaluation.every=20", "--set", "evaluation.samples=4096"];
    let (training, said) =
        start(&mut place.train("runs/first", &[&endless[..], &["--json"]].concat()), "\"event\":\"start\"");
    let watch = Watch::of(&place, "runs");
    assert!(watch.address.ip().is_loopback());
    let (mut points, mut next) = (Vec::new(), 0);
    // Answers come while the log grows, each with what the one before had not.
    let mut growing = 0;
    wait_for("ten evaluations", || {
        let answer = watch.get(&format!("/api/lines?run=first&from={next}")).json();
        assert_eq!(answer["anew"], next == 0);
        let new = answer["points"].as_array().unwrap();
        growing += usize::from(!new.is_empty());
        points.extend(new.iter().cloned());
        next = answer["next"].as_u64().unwrap();
        points.iter().filter(|point| point[1]["evaluation/elbo"].is_number()).count() >= 10
    });
    assert!(growing > 1, "all came at once");
    let runs = watch.get("/api/runs").json();
    let first = &runs["runs"][0];
    assert_eq!(
        (&first["name"], &first["finished"], &first["iterations"]),
        (&"first".into(), &false.into(), &1_000_000.into())
    );
    // The samples of the last evaluation are there, though the run is far from its end.
    let pictures: Vec<&str> =
        first["pictures"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(pictures, ["samples.png"]);
    let picture = watch.get("/files/first/samples.png");
    assert!(picture.code == 200 && picture.body.starts_with(b"\x89PNG") && picture.headers.contains("image/png"));
    send(&training, &[libc::SIGTERM]);
    assert_code(&end(training, said), 1);
    // What was read in pieces is what the log has.
    loop {
        let answer = watch.get(&format!("/api/lines?run=first&from={next}")).json();
        points.extend(answer["points"].as_array().unwrap().iter().cloned());
        next = answer["next"].as_u64().unwrap();
        if answer["more"] == false {
            break;
        }
    }
    let lines = place.lines("runs/first/metrics.jsonl");
    assert_eq!(points.len(), lines.len());
    for (point, line) in points.iter().zip(&lines) {
        assert_eq!(point[0], line["iteration"]);
        let (tag, number) = match &line["evaluation"] {
            Value::Null => ("train/elbo", &line["elbo"]),
            evaluation => ("evaluation/elbo", &evaluation["elbo"]),
        };
        assert!(number.is_f64());
        assert_eq!(&point[1][tag], number);
    }
    watch.interrupt();
}

#[test]
fn nothing_but_the_directory_s_files_and_the_page_is_given_out() {
    let place = Place::new();
    place.trained();
    fs::write(place.at("secret.json"), "secret").unwrap();
    std::os::unix::fs::symlink("../secret.json", place.at("run/link.json")).unwrap();
    let watch = Watch::of(&place, "run");
    let report = watch.get("/files/report.html");
    assert_eq!((report.code, report.body), (200, fs::read(place.at("run/report.html")).unwrap()));
    assert!(report.headers.contains("text/html") && report.headers.contains("nosniff"));
    let checkpoint = watch.get("/files/checkpoint.safetensors");
    assert_eq!(checkpoint.body, fs::read(place.at("run/checkpoint.safetensors")).unwrap());
    let runs = watch.get("/api/runs").json();
    assert_eq!((&runs["runs"][0]["name"], &runs["runs"][0]["report"]), (&"".into(), &"report.html".into()));
    assert_eq!(
        watch.get("/api/lines?run=&from=0").json()["points"].as_array().unwrap().len(),
        place.metrics("run").len()
    );

    for path in [
        "/files/../secret.json",
        "/files/%2e%2e/secret.json",
        "/files/..%2fsecret.json",
        "/files/%2e%2e%2fsecret.json",
        "/files/link.json",
        "/files//etc/passwd",
        "/files/%2fetc%2fpasswd",
        "/files/.lock",
        "/files/",
        "/files",
        "/files/.",
        "/../secret.json",
        "/secret.json",
        "/files/report.html/../../secret.json",
        "/files/gone",
        "/api",
        "/api/lines",
        "/api/lines?run=..",
        "/api/lines?run=%2e%2e%2frun",
        "/api/lines?run=gone&from=0",
        "/files/x%00",
        "/files/%",
    ] {
        let answer = watch.get(path);
        let body = words(&answer.body);
        assert!(
            answer.code == 404 && !body.contains("secret") && !body.contains("root:"),
            "{path}: {} {body}",
            answer.code
        );
    }
    for (method, code) in [("POST", 405), ("PUT", 405), ("DELETE", 405), ("HEAD", 200)] {
        assert_eq!(watch.ask(method, "/", "localhost").code, code, "{method}");
    }
    // Another site's name that leads here is how a page from elsewhere would read along.
    for (host, code) in [
        ("evil.example", 403),
        ("evil.example:7007", 403),
        ("127.0.0.1.evil.example", 403),
        ("", 403),
        ("localhost:9000", 200),
        ("LOCALHOST", 200),
        ("127.0.0.1", 200),
        ("[::1]:7007", 200),
    ] {
        assert_eq!(watch.ask("GET", "/api/runs", host).code, code, "{host}");
    }
    watch.interrupt();
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let place = Place::new();
    fs::create_dir(place.at("empty")).unwrap();
    let watch = Watch::of(&place, "empty");
    for (path, kind) in [("/", "text/html"), ("/watch.js", "text/javascript"), ("/watch.css", "text/css")] {
        let answer = watch.get(path);
        let text = words(&answer.body);
        assert!(answer.code == 200 && answer.headers.contains(kind), "{path}: {}", answer.headers);
        assert!(
            answer.headers.contains("content-security-policy: default-src 'none'; script-src 'self'"),
            "{}",
            answer.headers
        );
        // The name of the format of SVG is the only address in them.
        let outside = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!outside.contains("http:") && !outside.contains("https:") && !outside.contains("@import"), "{path}");
    }
    // A suite that is about to begin is no error.
    assert_eq!(watch.get("/api/runs").json()["runs"], serde_json::json!([]));
    watch.interrupt();
}

#[test]
fn what_cannot_be_served_is_said() {
    let place = Place::new();
    place.trained();
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let cases: [(&[&str], &[&str]); 4] = [
        (&["run", "--port", &port], &[&port, "taken", "--port"]),
        (&["gone"], &["gone", "no such directory"]),
        (&["small.toml"], &["small.toml", "is a file"]),
        (&["run", "--port", "70000"], &["70000", "--port"]),
    ];
    for (arguments, parts) in cases {
        let output = place.command(&[&["watch"], arguments].concat()).output().unwrap();
        assert_code(&output, 2);
        parts
            .iter()
            .for_each(|part| assert!(words(&output.stderr).contains(part), "{part}: {}", words(&output.stderr)));
    }
}
