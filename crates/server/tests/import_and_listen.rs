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

/// `tidings listen`, and what it has printed.
struct Listen {
    child: Child,
    /// Kept open for its summary.
    _stderr: BufReader<ChildStderr>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Listen {
    /// Returns once it has subscribed.
    fn start(data_dir: &Path, options: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidings"))
            .args(["listen", "--data-dir"])
            .arg(data_dir)
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut subscribed = String::new();
        let mut stderr = BufReader::new(child.stderr.take().expect("its messages are read"));
        while !subscribed.starts_with("Subscribed to") {
            subscribed.clear();
            let bytes = stderr.read_line(&mut subscribed).expect("it says that it has subscribed");
            assert_ne!(bytes, 0, "it ended");
        }
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let (stdout, printed) = (child.stdout.take().expect("its output is read"), Arc::clone(&lines));
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                printed.lock().unwrap().push(line);
            }
        });
        Self { child, _stderr: stderr, lines }
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// With `--json`: the notifications in all bodies so far.
    fn told(&self) -> Vec<Value> {
        let body = |line: &String| serde_json::from_str::<Value>(line).expect("each line is the body of a request");
        let bodies = self.lines().iter().map(body).collect::<Vec<_>>();
        bodies.iter().flat_map(|body| body["value"].as_array().unwrap().clone()).collect()
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

fn import(data_dir: &Path, file: &Path) {
    let import = Command::new(env!("CARGO_BIN_EXE_tidings"))
        .args(["import", "--user", "megan@contoso.test", "--data-dir"])
        .arg(data_dir)
        .arg(file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&import.stderr).into_owned() + &String::from_utf8_lossy(&import.stdout);
    assert_eq!(import.status.code(), Some(0), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_imported_archive_is_told_message_by_message_and_each_can_be_read() {
    let home = tempfile::tempdir().unwrap();
    let process = Process::start(home.path());
    let listen = Listen::start(process.data_dir(), &["--json"]);
    let file = home.path().join("archive.mbox");
    std::fs::write(&file, archive()).unwrap();
    import(process.data_dir(), &file);

    support::until("each message was told", ARRIVE_MAX, || listen.told().len() >= MESSAGES).await;
    let told = listen.told();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_messages_themselves_are_opened_and_printed() {
    let home = tempfile::tempdir().unwrap();
    let process = Process::start(home.path());
    let key = home.path().join("key.pem");
    let printing = Listen::start(process.data_dir(), &["--rich"]);
    let json = ["--rich", "--json", "--select", "subject", "--key", key.to_str().unwrap()];
    let json =
        Listen::start(process.data_dir(), &[&json[..], &["--resource", "mailFolders('inbox')/messages"]].concat());
    import(process.data_dir(), Path::new("../../examples/hello.eml"));

    let printed = || printing.lines().len() > 5 && !json.lines().is_empty();
    support::until("the message was printed", ARRIVE_MAX, printed).await;
    let lines = printing.lines();
    assert!(lines[0].contains(" created  Users('") && lines[0].contains("/messages('"), "{lines:?}");
    insta::assert_snapshot!(lines[1..].join("\n"), @r#"
        bodyPreview       "Hello Megan, if you read this, a change has reached a subscriber. Adele"
        from              {"emailAddress":{"address":"adele@contoso.test","name":"Adele Vance"}}
        isRead            false
        receivedDateTime  "2026-11-02T08:30:00Z"
        subject           "Hello from Tidings"
    "#);
    // A line is what a receiver gets, and with the key and the certificate it opens.
    let told: Value = serde_json::from_str(&json.lines()[0]).unwrap();
    assert_eq!(told["value"][0]["encryptedContent"]["encryptionCertificateId"], "tidings-listen");
    assert_eq!(told["validationTokens"].as_array().map(Vec::len), Some(1), "{told}");
    let captured = home.path().join("captured");
    std::fs::write(&captured, json.lines().join("\n")).unwrap();
    let decrypt = Command::new(env!("CARGO_BIN_EXE_tidings"))
        .arg("decrypt")
        .args(["--key".as_ref(), key.as_os_str(), "--certificate".as_ref(), key.with_extension("crt").as_os_str()])
        .arg(captured)
        .output()
        .unwrap();
    assert_eq!(decrypt.status.code(), Some(0), "{}", String::from_utf8_lossy(&decrypt.stderr));
    let opened: Value = serde_json::from_slice(&decrypt.stdout).unwrap();
    assert_eq!(opened, serde_json::json!({"subject": "Hello from Tidings"}));
    printing.stop();
    json.stop();
    process.stop();
}
