//! Imports of files into a store in memory, directly and through an admin API.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::RawQuery;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::post;
use graph::mailbox::Fresh;
use graph::{ChangeId, FolderId, Item, TenantId, Timestamp, UserId, WellKnown};
use serde_json::json;
use store::memory::MemoryStore;
use store::{ItemQuery, Store, Tenant, User};
use tempfile::TempDir;
use uuid::Uuid;

use super::accept::{AcceptError, StoreSink, accept};
use super::client::AdminClient;
use super::*;
use crate::sources::delivery::{FreshSource, Mailboxes};
use crate::sources::{Delivered, Inbound, Mail};

const MEGAN: UserId = UserId(Uuid::from_u128(7));

const MBOX: &str = "From a@x Sat Nov 21 23:52:24 2026\nSubject: one\nMessage-ID: <1@x>\nStatus: RO\n\nfirst\n\n\
From a@x Sat Nov 21 23:52:25 2026\nSubject: two\nMessage-ID: <2@x>\nX-Folder: Projects\n\nsecond\n\n\
From a@x Sat Nov 21 23:52:26 2026\nno header here\n\n\
From a@x Sat Nov 21 23:52:27 2026\nSubject: one\nMessage-ID: <1@x>\nStatus: RO\n\nfirst\n";
const CALENDAR: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:e1\r\nSUMMARY:Lunch\r\n\
DTSTART:20261123T110000Z\r\nEND:VEVENT\r\nBEGIN:VTODO\r\nUID:t1\r\nEND:VTODO\r\nEND:VCALENDAR\r\n";
const CARD: &str = "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Alex Wilber\r\nEND:VCARD\r\n";

struct Place {
    store: Arc<dyn Store>,
    fresh: FreshSource,
    heard: Arc<AtomicU64>,
    dir: TempDir,
}

impl Place {
    async fn new() -> Self {
        let heard = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&heard);
        let publish = move |_, records: Vec<_>| {
            count.fetch_add(records.len() as u64, Ordering::Relaxed);
        };
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(Arc::new(publish)));
        let tenant = TenantId(Uuid::from_u128(1));
        store.add_tenant(Tenant { id: tenant, domain: "contoso.test".to_owned() }).await.unwrap();
        let upn = "megan@contoso.test".to_owned();
        store.add_user(User::new(MEGAN, tenant, upn, "Megan Bowen")).await.unwrap();
        let next = AtomicU64::new(1_000);
        let fresh: FreshSource = Arc::new(move || {
            let uuid = || Uuid::from_u128(u128::from(next.fetch_add(1, Ordering::Relaxed)));
            let now = Timestamp::from_seconds(1_795_304_000);
            Fresh { now, uuid: uuid(), change: ChangeId(uuid()), removal: ChangeId(uuid()) }
        });
        Self { store, fresh, heard, dir: TempDir::new().unwrap() }
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn sink(&self, quiet: bool) -> StoreSink {
        StoreSink { store: Arc::clone(&self.store), fresh: Arc::clone(&self.fresh), quiet }
    }

    async fn import(&self, files: Vec<PathBuf>, folder: Option<&str>, sink: &mut dyn Sink) -> Report {
        let target = Target { user: "megan@contoso.test".to_owned(), folder: folder.map(str::to_owned) };
        let total: u64 = files.iter().filter_map(|file| fs::metadata(file).ok()).map(|file| file.len()).sum();
        let mut bytes = 0;
        let report = run(files, target, sink, &mut |more, _| bytes += more).await.unwrap();
        assert_eq!(bytes, total);
        report
    }

    async fn items(&self, kind: Kind, folder: Option<FolderId>) -> Vec<Item> {
        self.store.items(ItemQuery::newest(MEGAN, kind, folder, 1_000)).await.unwrap().items
    }

    fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn files_of_every_format_become_items_and_subscribers_hear_of_each() {
    let place = Place::new().await;
    let files = vec![place.file("m.mbox", MBOX), place.file("c.ics", CALENDAR), place.file("a.vcf", CARD)];
    let report = place.import(files, None, &mut place.sink(false)).await;
    assert_eq!((report.read, report.imported, report.duplicates, report.skipped), (6, 5, 0, 1));
    assert_eq!(report.unreadable_count, 1);
    assert_eq!(report.unreadable[0].place, "byte 177");
    assert_eq!(report.unreadable[0].why, "this is not a message: it has no header");
    assert_eq!(place.heard(), 5);

    let inbox = place.items(Kind::Message, Some(WellKnown::Inbox.id_in(MEGAN))).await;
    assert_eq!(inbox.len(), 2);
    assert_eq!(inbox[0].properties["isRead"], true);
    let folders = place.store.folders(MEGAN).await.unwrap();
    let projects = folders.iter().find(|folder| folder.folder.display_name == "Projects").unwrap();
    assert_eq!((projects.total, projects.unread), (1, 1));
    let events = place.items(Kind::Event, None).await;
    assert_eq!(events[0].properties["start"]["dateTime"], "2026-11-23T11:00:00.0000000");
    let contacts = place.items(Kind::Contact, Some(WellKnown::Contacts.id_in(MEGAN))).await;
    assert_eq!(contacts[0].properties["displayName"], "Alex Wilber");
}

#[tokio::test]
async fn an_import_run_again_adds_nothing() {
    let place = Place::new().await;
    let file = place.file("m.mbox", MBOX);
    place.import(vec![file.clone()], None, &mut place.sink(false)).await;
    let again = place.import(vec![file], None, &mut place.sink(false)).await;
    assert_eq!((again.imported, again.duplicates), (0, 3));
    assert_eq!(place.items(Kind::Message, None).await.len(), 3);
}

#[tokio::test]
async fn a_quiet_import_into_a_named_folder_raises_nothing() {
    let place = Place::new().await;
    let file = place.file("m.mbox", MBOX);
    let report = place.import(vec![file], Some("archive"), &mut place.sink(true)).await;
    assert_eq!((report.imported, place.heard()), (3, 0));
    assert_eq!(place.items(Kind::Message, Some(WellKnown::Archive.id_in(MEGAN))).await.len(), 3);
}

#[tokio::test]
async fn files_that_cannot_be_read_are_named_and_the_others_imported() {
    let place = Place::new().await;
    let missing = place.dir.path().join("missing.mbox");
    let files = vec![
        missing.clone(),
        place.dir.path().to_owned(),
        place.file("empty.eml", ""),
        place.file("noise.bin", "\u{1f}\u{8b}"),
        place.file("text.ics", "hello"),
        place.file("good.eml", "Subject: x\n\nbody\n"),
    ];
    let target = Target { user: "megan@contoso.test".to_owned(), folder: None };
    let report = run(files, target, &mut place.sink(false), &mut |_, _| {}).await.unwrap();
    let why: Vec<&str> = report.unreadable.iter().map(|unreadable| unreadable.why.as_str()).collect();
    assert_eq!(report.unreadable[0].file, missing);
    assert_eq!(why[1], "this is a directory, not a file");
    assert_eq!(why[2], "the file is empty");
    assert_eq!(why[3], "the file is none of mbox, message, iCalendar and vCard");
    assert_eq!(why[4], "this is not a calendar: it has no BEGIN:VCALENDAR");
    assert_eq!((report.imported, report.unreadable_count), (1, 5));
}

#[tokio::test]
async fn many_messages_go_in_batches_through_the_admin_api() {
    let place = Place::new().await;
    let (store, fresh) = (Arc::clone(&place.store), Arc::clone(&place.fresh));
    let requests = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&requests);
    let handler = move |RawQuery(query): RawQuery, headers: HeaderMap, body: Bytes| async move {
        assert_eq!(query.as_deref(), Some("quiet=true"));
        if headers["authorization"] != "Bearer secret" {
            return (StatusCode::UNAUTHORIZED, "who are you?").into_response();
        }
        // The first request fails after it was carried out: its answer is lost.
        let answer = accept((&store, &Arc::default()), &fresh, &body, true).await.unwrap();
        match counted.fetch_add(1, Ordering::Relaxed) {
            0 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            _ => axum::Json(answer).into_response(),
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/admin/import", post(handler));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });

    let message = |n: u32| format!("From a@x Sat Nov 21 23:52:24 2026\nSubject: {n}\nMessage-ID: <{n}@x>\n\nbody\n\n");
    let file = place.file("many.mbox", &(0..450).map(message).collect::<String>());
    let report = place.import(vec![file.clone()], None, &mut AdminClient::new(&url, "secret", true)).await;
    assert_eq!((report.imported, report.duplicates), (250, 200));
    assert_eq!(requests.load(Ordering::Relaxed), 4);
    assert_eq!(place.items(Kind::Message, None).await.len(), 450);

    let target = Target { user: "megan@contoso.test".to_owned(), folder: None };
    let refused = run(vec![file], target, &mut AdminClient::new(&url, "wrong", true), &mut |_, _| {}).await;
    assert_eq!(refused, Err(SinkError::Refused(401, "who are you?".to_owned())));
    server.abort();
}

#[tokio::test]
async fn items_of_a_batch_that_have_no_place_fail_one_by_one() {
    let place = Place::new().await;
    let item = |user: &str, kind: &str, folder: &str| json!({ "user": user, "kind": kind, "folder": folder, "properties": {} });
    let lines = [
        item("megan@contoso.test", "message", "Work").to_string(),
        item("nobody@contoso.test", "message", "inbox").to_string(),
        item("megan@contoso.test", "event", "inbox").to_string(),
        "{}".to_owned(),
        item(&MEGAN.to_string(), "message", "work").to_string(),
        item("megan@contoso.test", "event", "calendar").to_string(),
    ];
    let answer =
        accept((&place.store, &Arc::default()), &place.fresh, lines.join("\n").as_bytes(), false).await.unwrap();
    assert_eq!(answer.imported, 2);
    let failed: Vec<(usize, &str)> = answer.failed.iter().map(|failed| (failed.index, failed.why.as_str())).collect();
    assert_eq!(failed[0], (1, "there is no user \"nobody@contoso.test\""));
    assert_eq!(answer.failed.iter().map(|failed| failed.no_user).collect::<Vec<_>>(), [true, false, false, false]);
    assert_eq!(failed[1], (2, "the folder inbox holds no events"));
    assert!(failed[2].0 == 3 && failed[2].1.starts_with("not an item: missing field"), "{failed:?}");
    assert_eq!(failed[3], (5, "the message is refused: start is required"));
    let folders = place.store.folders(MEGAN).await.unwrap();
    assert_eq!(folders.iter().filter(|folder| folder.folder.display_name == "Work").count(), 1);
}

#[tokio::test]
async fn an_import_for_nobody_stops_at_once() {
    let place = Place::new().await;
    let file = place.file("some.mbox", "From a@x Sat Nov 21 23:52:24 2026\nSubject: 1\n\nbody\n\n");
    let target = Target { user: "nobody@contoso.test".to_owned(), folder: None };
    let mut sink = StoreSink { store: place.store.clone(), fresh: place.fresh.clone(), quiet: true };
    let outcome = run(vec![file], target, &mut sink, &mut |_, _| {}).await;
    assert_eq!(outcome, Err(SinkError::NoUser("there is no user \"nobody@contoso.test\"".to_owned())));
}

#[tokio::test]
async fn a_batch_beyond_its_limits_is_refused_whole() {
    let place = Place::new().await;
    let many = "{}\n".repeat(BATCH_ITEMS_MAX + 1);
    let refused = accept((&place.store, &Arc::default()), &place.fresh, many.as_bytes(), false).await;
    assert_eq!(refused, Err(AcceptError::TooManyItems));
    let large = vec![b' '; ITEM_BYTES_MAX + BATCH_ITEMS_MAX + 1];
    assert_eq!(accept((&place.store, &Arc::default()), &place.fresh, &large, false).await, Err(AcceptError::TooLarge));
}

#[tokio::test]
async fn delivered_mail_lies_in_the_inbox_once_and_is_received_now() {
    let place = Place::new().await;
    let mailboxes = Mailboxes::new(Arc::clone(&place.store), Arc::clone(&place.fresh));
    let megan = mailboxes.recipient("MEGAN@contoso.test").await.unwrap().unwrap();
    assert_eq!(mailboxes.recipient("nobody@contoso.test").await, Ok(None));
    let bytes = b"Subject: hi\nDate: Sat, 21 Nov 1998 09:59:58 +0100\n\nbody\n";
    let properties = graph::mime::parse(bytes, graph::mime::Origin::Delivered).unwrap().properties;
    let message = Mail { properties, meeting: None };
    for expected in [Delivered::New, Delivered::Duplicate] {
        assert_eq!(mailboxes.deliver(&megan, message.clone(), "key".to_owned()).await, Ok(expected));
    }
    let inbox = place.items(Kind::Message, Some(WellKnown::Inbox.id_in(MEGAN))).await;
    assert_eq!((inbox.len(), place.heard()), (1, 1));
    assert_eq!(inbox[0].properties["receivedDateTime"], "2026-11-21T23:33:20Z");
    assert_eq!(inbox[0].properties["sentDateTime"], "1998-11-21T08:59:58Z");
    assert_eq!(inbox[0].properties["isRead"], false);
}

/// Adele's invitation to Megan, in the form of an mbox.
fn invitation(method: &str, sequence: u32, folder: &str) -> String {
    format!(
        "From a@x Sat Nov 21 23:52:24 2026\nFrom: adele@x.test\nSubject: {method} {sequence}\n{folder}\
         Content-Type: text/calendar; method={method}\n\nBEGIN:VCALENDAR\nMETHOD:{method}\nBEGIN:VEVENT\nUID:u1\n\
         SEQUENCE:{sequence}\nORGANIZER:mailto:adele@x.test\nATTENDEE:mailto:megan@contoso.test\n\
         DTSTART:20261201T1{sequence}0000Z\nSUMMARY:Plan\nEND:VEVENT\nEND:VCALENDAR\n\n"
    )
}

#[tokio::test]
async fn meetings_in_an_archive_happen_in_its_order_and_those_that_were_filed_do_not() {
    let place = Place::new().await;
    let filed = invitation("REQUEST", 0, "X-Folder: Projects\n");
    place.import(vec![place.file("filed.mbox", &filed)], None, &mut place.sink(false)).await;
    assert!(place.items(Kind::Event, None).await.is_empty());
    let moved: String = (0..9).map(|sequence| invitation("REQUEST", sequence, "")).collect();
    let file = place.file("m.mbox", &(moved + &invitation("CANCEL", 9, "")));
    let report = place.import(vec![file], None, &mut place.sink(false)).await;
    assert_eq!(report.imported, 10);
    let events = place.items(Kind::Event, None).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].properties["start"]["dateTime"], "2026-12-01T18:00:00.0000000");
    assert_eq!(events[0].properties["isCancelled"], true);
    let inbox = place.items(Kind::Message, Some(WellKnown::Inbox.id_in(MEGAN))).await;
    let updates = inbox.iter().filter(|mail| mail.properties["meetingMessageType"] == "meetingRequest");
    assert!(updates.clone().all(|mail| mail.properties["isOutOfDate"] == false));
    assert_eq!(updates.count(), 9);
}
