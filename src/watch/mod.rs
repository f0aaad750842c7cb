//! Curves of runs in a browser while they are trained: a server on this machine's loopback for one directory.
//!
//! It reads and never writes, knows nothing that the files of the directory do not say, and gives out nothing but them: a page
//! with its script and style, which are in the binary, the runs that there are, the numbers of their logs as they come, and
//! files. Requests by another name than this machine's own for itself are refused, so that no page from elsewhere reads along
//! through the browser.

mod files;
mod runs;

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tiny_http::{Header, Method, Request, Response, ResponseBox, Server};

use crate::stop::Stop;

/// Threads that answer.
const THREADS: usize = 4;

/// How often it is looked whether to stop.
const WAIT: Duration = Duration::from_millis(100);

/// What a browser may do with the page: run its script, and talk to where it came from.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                           frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// What it may do with a file: show it. Reports have their pictures and their style in them.
const FILE_POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox";

/// A server of one directory.
pub struct Watch {
    server: Server,
    /// Without links on the way to it.
    root: PathBuf,
    /// As it was given, to be shown.
    directory: PathBuf,
}

impl Watch {
    /// Takes the port, or any free one if it is 0, of 127.0.0.1.
    pub fn open(directory: &Path, port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let server = Server::from_listener(listener, None).map_err(io::Error::other)?;
        Ok(Self { server, root: directory.canonicalize()?, directory: directory.to_owned() })
    }

    /// Where it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.server.server_addr().to_ip()
    }

    /// Answers until `stop` is raised. Answers that are being sent then are left off.
    pub fn serve(self, stop: &Stop) -> io::Result<()> {
        let watch = Arc::new(self);
        for _ in 0..THREADS {
            let watch = watch.clone();
            thread::Builder::new().spawn(move || {
                while let Ok(request) = watch.server.recv() {
                    watch.answer(request);
                }
            })?;
        }
        while stop.reason().is_none() {
            thread::sleep(WAIT);
        }
        Ok(())
    }

    fn answer(&self, request: Request) {
        let response = match request.method() {
            Method::Get | Method::Head if is_local(&request) => self.response(request.url()),
            Method::Get | Method::Head => told(403, "this server answers to localhost and 127.0.0.1 only\n"),
            _ => told(405, "this server is for reading\n"),
        };
        // Whoever has gone away in the meantime does not need the answer.
        let _ = request.respond(response);
    }

    fn response(&self, url: &str) -> ResponseBox {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        match path {
            "/" => page("text/html; charset=utf-8", include_str!("page.html")),
            "/watch.js" => page("text/javascript; charset=utf-8", include_str!("watch.js")),
            "/watch.css" => page(
                "text/css; charset=utf-8",
                concat!(include_str!("../report/report.css"), include_str!("watch.css")),
            ),
            "/api/runs" => answered(runs::list(&self.root).map(|runs| runs.described(&self.directory))),
            "/api/lines" => {
                let (run, from) = (files::parameter(query, "run"), files::parameter(query, "from"));
                let from = from.and_then(|from| from.parse().ok()).unwrap_or(0);
                match run.and_then(|run| runs::path(&self.root, &run)) {
                    Some(run) => answered(runs::lines(&run, from)),
                    None => told(404, "there is no such run\n"),
                }
            }
            path => match path.strip_prefix("/files/").and_then(|path| files::resolve(&self.root, path)) {
                Some(path) => file(&path),
                None => told(404, "there is no such file\n"),
            },
        }
    }
}

/// Whether the request was made by a name that this machine has for itself, at whatever port: that of a tunnel, for instance.
fn is_local(request: &Request) -> bool {
    let mut hosts = request.headers().iter().filter(|header| header.field.equiv("Host"));
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let host = host.value.as_str();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name == "127.0.0.1" || name.eq_ignore_ascii_case("localhost") || name == "[::1]"
}

fn header(field: &str, value: &str) -> Header {
    Header::from_bytes(field, value).expect("text without line breaks")
}

/// A response with what all have: nothing is kept, for files change, and nothing is taken for what it is not.
fn dressed<R: io::Read + Send + 'static>(response: Response<R>, kind: &str, policy: &str) -> ResponseBox {
    let headers = [
        ("Content-Type", kind),
        ("Content-Security-Policy", policy),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Cache-Control", "no-store"),
    ];
    headers.into_iter().fold(response, |response, (field, value)| response.with_header(header(field, value))).boxed()
}

fn page(kind: &str, text: &str) -> ResponseBox {
    dressed(Response::from_string(text), kind, PAGE_POLICY)
}

fn told(code: u16, text: &str) -> ResponseBox {
    dressed(Response::from_string(text).with_status_code(code), "text/plain; charset=utf-8", FILE_POLICY)
}

fn answered(value: io::Result<Value>) -> ResponseBox {
    match value {
        Ok(value) => dressed(Response::from_string(value.to_string()), "application/json", FILE_POLICY),
        Err(error) => told(500, &format!("{error}\n")),
    }
}

fn file(path: &Path) -> ResponseBox {
    match File::open(path) {
        Ok(file) => dressed(Response::from_file(file), files::kind(path), FILE_POLICY),
        Err(error) => told(500, &format!("{error}\n")),
    }
}
