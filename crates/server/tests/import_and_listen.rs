//! The program's commands together: a mail archive is imported while `tidings listen` runs.

mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use support::Client;
use support::process::Process;

const MESSAGES: usize = 1_000;
const ARRIVE_MAX: Duration = Duration::from_secs(120);

/// An archive as MUAs write it: plain and multipart messages, encoded words, attachments, marks of having
/// been read, quoted `From ` lines.
fn archive() -> String {
    let mut mbox = String::new();
    for n in 0..MESSAGES {
        let (day, hour, minute) = (1 + n % 28, n % 24, n % 60);
        let _ = write!(
            mbox,
            "From writer{n}@example.org Mon Nov {day:2} {hour:02}:{minute:02}:00 2025\n\
             From: =?utf-8?q?Wr=C3=ADter_{n}?= <writer{n}@example.org>\n\
             To: megan@contoso.test\n\
             Subject: =?utf-8?b?w7xiZXI=?= number {n}\n\
             Date: {day:02} Nov 2025 {hour:02}:{minute:02}:00 +0100\n\
             Message-ID: <number-{n}@example.org>\n\
             Status: {}\n",
            if n % 3 == 0 { "RO" } else { "O" },
        );
        if n % 4 == 0 {
            let _ = write!(
                mbox,
                "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=part\n\n\
                 --part\nContent-Type: text/html; charset=utf-8\n\n<p>Number <b>{n}</b></p>\n\
                 --part\nContent-Type: text/csv; name=a.csv\nContent-Disposition: attachment; filename=a.csv\n\n1,2\n\
                 --part--\n\n"
            );
        } else {
            let _ = write!(mbox, "\nNumber {n}.\n\n>From here on it is quoted.\n\n");
        }
    }
    mbox
}

/// `tidings listen --json`, and what it has printed.
struct Listen {
    child: Child,
    /// Kept open for its summary.
    _stderr: BufReader<ChildStderr>,
    told: Arc<Mutex<Vec<Value>>>,
}

impl Listen {
    /// Returns once it has subscribed.
    fn start(data_dir: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidings"))
            .args(["listen", "--json", "--data-dir"])
            .arg(data_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut subscribed = String::new();
        let mut stderr = BufReader::new(child.stderr.take().expect("its messages are read"));
        stderr.read_line(&mut subscribed).expect("it says that it has subscribed");
        assert!(subscribed.starts_with("Subscribed to"), "{subscribed:?}");
        let told: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (stdout, telling) = (child.stdout.take().expect("its output is read"), Arc::clone(&told));
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let body: Value = serde_json::from_str(&line).expect("each line is the body of a request");
                telling.lock().unwrap().extend(body["value"].as_array().into_iter().flatten().cloned());
            }
        });
        Self { child, _stderr: stderr, told }
    }

    fn stop(mut self) {
        Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().expect("kill runs");
        assert_eq!(self.child.wait().expect("it ends").code(), Some(0));
    }
}

impl Drop for Listen {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_imported_archive_is_told_message_by_message_and_each_can_be_read() {
    let home = tempfile::tempdir().unwrap();
    let process = Process::start(home.path());
    let listen = Listen::start(process.data_dir());
    let file = home.path().join("archive.mbox");
    std::fs::write(&file, archive()).unwrap();

    let import = Command::new(env!("CARGO_BIN_EXE_tidings"))
        .args(["import", "--user", "megan@contoso.test", "--data-dir"])
        .arg(process.data_dir())
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&import.stderr).into_owned() + &String::from_utf8_lossy(&import.stdout);
    assert_eq!(import.status.code(), Some(0), "{said}");

    let told = Arc::clone(&listen.told);
    support::until("each message was told", ARRIVE_MAX, || told.lock().unwrap().len() >= MESSAGES).await;
    let told = told.lock().unwrap().clone();
    assert!(told.iter().all(|one| one["changeType"] == "created"));
    let resources: BTreeSet<&str> = told.iter().filter_map(|one| one["resource"].as_str()).collect();
    assert_eq!((told.len(), resources.len()), (MESSAGES, MESSAGES));

    let client = Client::new();
    let token = process.ready()["token"].as_str().unwrap();
    let mut subjects = BTreeSet::new();
    for resource in resources {
        let url = format!("{}/v1.0/{resource}", process.http());
        let (status, message) = support::get(&client, &url, token).await.unwrap();
        assert_eq!(status, 200, "{resource}: {message}");
        subjects.insert(message["subject"].as_str().unwrap_or_default().to_owned());
    }
    assert_eq!(subjects.len(), MESSAGES);
    assert!(subjects.contains("über number 7"), "{:?}", subjects.first());
    listen.stop();
    process.stop();
}
