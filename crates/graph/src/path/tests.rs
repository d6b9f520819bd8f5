use proptest::prelude::*;

use super::*;

const MEGAN: &str = "622eaaff-0683-4862-9de4-f2ec83c2bd98";

fn megan() -> UserKey {
    UserKey::Id(MEGAN.parse().unwrap())
}

fn inbox() -> Option<FolderKey> {
    Some(FolderKey::WellKnown(WellKnown::Inbox))
}

fn messages(user: UserKey, folder: Option<FolderKey>) -> Resource {
    Resource::Items { user, kind: Kind::Message, folder }
}

/// An item of the signed-in user.
fn path_of(kind: Kind, id: &str) -> ItemPath {
    ItemPath { user: UserKey::Me, kind, folder: None, id: id.to_owned() }
}

fn message(user: UserKey, id: &str) -> Resource {
    Resource::Item(ItemPath { user, kind: Kind::Message, folder: None, id: id.to_owned() })
}

#[test]
fn every_spelling_of_a_collection_means_the_same() {
    for path in ["me/messages", "/me/messages", "//Me//MESSAGES/", "me/microsoft.graph.messages", "me/messages()"] {
        assert_eq!(parse(path), Ok(messages(UserKey::Me, None)), "{path}");
    }
    for path in [
        "me/mailFolders('inbox')/messages",
        "me/mailFolders('Inbox')/messages",
        "/me/mailfolders/INBOX/messages",
        "me/mailFolders%28%27inbox%27%29/messages",
    ] {
        assert_eq!(parse(path), Ok(messages(UserKey::Me, inbox())), "{path}");
    }
}

#[test]
fn every_spelling_of_a_user_means_the_same() {
    for user in [
        format!("users/{MEGAN}"),
        format!("Users('{MEGAN}')"),
        format!("Users('{MEGAN}@84bd8158-6d4d-4958-8b9f-9d6445542f95')"),
        format!("users/{MEGAN}@84bd8158-6d4d-4958-8b9f-9d6445542f95"),
        format!("users({MEGAN})"),
        format!("USERS/{}", MEGAN.to_uppercase()),
    ] {
        let path = format!("{user}/messages");
        assert_eq!(parse(&path), Ok(messages(megan(), None)), "{path}");
        assert_eq!(parse(&user), Ok(Resource::User(megan())), "{user}");
    }
    for (user, upn) in [
        ("users/megan@contoso.test".to_owned(), "megan@contoso.test".to_owned()),
        ("users/megan%40contoso.test".to_owned(), "megan@contoso.test".to_owned()),
        ("users('o''brien@contoso.test')".to_owned(), "o'brien@contoso.test".to_owned()),
        ("users('o%27%27brien@contoso.test')".to_owned(), "o'brien@contoso.test".to_owned()),
        ("users/o'brien@contoso.test".to_owned(), "o'brien@contoso.test".to_owned()),
        ("users('$x@contoso.test')".to_owned(), "$x@contoso.test".to_owned()),
        ("users/a%2520b@contoso.test".to_owned(), "a%20b@contoso.test".to_owned()),
        (format!("users/AAD-UPN:{MEGAN}@contoso.test"), format!("{MEGAN}@contoso.test")),
        (format!("users('aad-upn:{MEGAN}@contoso.test')"), format!("{MEGAN}@contoso.test")),
        (format!("users/{MEGAN}@contoso.test"), format!("{MEGAN}@contoso.test")),
    ] {
        assert_eq!(parse(&user), Ok(Resource::User(UserKey::Upn(upn))), "{user}");
    }
}

#[test]
fn item_keys_are_decoded_once() {
    for path in ["me/messages/AAA%3D", "me/messages/AAA=", "me/messages('AAA%3D')", "me/Messages('AAA=')"] {
        assert_eq!(parse(path), Ok(message(UserKey::Me, "AAA=")), "{path}");
    }
    assert_eq!(parse("me/messages/AAA%253D"), Ok(message(UserKey::Me, "AAA%3D")));
    assert_eq!(parse("me/messages('A/B')"), Ok(message(UserKey::Me, "A/B")));
    assert_eq!(parse(&format!("Users/{MEGAN}/Messages/AAA=")), Ok(message(megan(), "AAA=")));
}

#[test]
fn each_kind_has_its_folders() {
    let user = || UserKey::Me;
    let calendar = WellKnown::Calendar.id_in(UserId(uuid::Uuid::nil()));
    let contacts = WellKnown::Contacts.id_in(UserId(uuid::Uuid::nil()));
    let inside = |kind, folder| Resource::Items { user: UserKey::Me, kind, folder };
    let default_calendar = || Some(FolderKey::WellKnown(WellKnown::Calendar));
    for (path, resource) in [
        ("me/events".to_owned(), inside(Kind::Event, default_calendar())),
        ("me/calendar/events".to_owned(), inside(Kind::Event, default_calendar())),
        (format!("me/calendars/{calendar}/events"), inside(Kind::Event, Some(FolderKey::Id(calendar)))),
        ("me/contacts".to_owned(), inside(Kind::Contact, None)),
        (format!("me/contactFolders('{contacts}')/contacts"), inside(Kind::Contact, Some(FolderKey::Id(contacts)))),
        ("me/mailFolders".to_owned(), Resource::Folders { user: user(), kind: Kind::Message, parent: None }),
        (
            "me/mailFolders/inbox/childFolders".to_owned(),
            Resource::Folders { user: user(), kind: Kind::Message, parent: inbox() },
        ),
        (
            "me/mailFolders/x/childFolders/inbox/messages".to_owned(),
            Resource::Items { user: user(), kind: Kind::Message, folder: inbox() },
        ),
        ("me/calendars".to_owned(), Resource::Folders { user: user(), kind: Kind::Event, parent: None }),
        (
            "me/calendar".to_owned(),
            Resource::Folder { user: user(), kind: Kind::Event, folder: FolderKey::WellKnown(WellKnown::Calendar) },
        ),
        (
            "me/mailFolders/inbox/messages/A=".to_owned(),
            Resource::Item(ItemPath { user: user(), kind: Kind::Message, folder: inbox(), id: "A=".to_owned() }),
        ),
    ] {
        assert_eq!(parse(&path), Ok(resource), "{path}");
    }
}

#[test]
fn a_folder_of_another_kind_is_no_folder_here() {
    let calendar = WellKnown::Calendar.id_in(UserId(uuid::Uuid::nil())).to_string();
    for key in ["calendar", "clutter", "nonsense", &calendar] {
        let folder = Some(FolderKey::Unknown(key.to_owned()));
        assert_eq!(parse(&format!("me/mailFolders/{key}/messages")), Ok(messages(UserKey::Me, folder)));
    }
}

#[test]
fn actions_are_read_with_and_without_their_namespace() {
    for (path, action) in [
        ("me/messages/A=/send", ItemAction::Send),
        ("me/messages/A=/microsoft.graph.move", ItemAction::Move),
        ("me/messages('A=')/Copy", ItemAction::Copy),
    ] {
        let resource = Resource::ItemAction { item: path_of(Kind::Message, "A="), action };
        assert_eq!(parse(path), Ok(resource), "{path}");
    }
    assert_eq!(parse("me/sendMail"), Ok(Resource::OfUser { user: UserKey::Me, part: UserPart::SendMail }));
    assert_eq!(
        parse("me/microsoft.graph.sendMail"),
        Ok(Resource::OfUser { user: UserKey::Me, part: UserPart::SendMail })
    );
    assert_eq!(parse("subscriptions"), Ok(Resource::Subscriptions));
    assert_eq!(parse("/Subscriptions('x')"), Ok(Resource::Subscription("x".to_owned())));
    assert_eq!(parse("subscriptions/x/reauthorize"), Ok(Resource::Reauthorize("x".to_owned())));
    assert_eq!(parse("users"), Ok(Resource::Users));
}

#[test]
fn functions_stand_in_the_place_of_a_key() {
    let user = || UserKey::Me;
    let calendar = || FolderKey::WellKnown(WellKnown::Calendar);
    for path in ["me/messages/delta", "me/messages/microsoft.graph.delta()", "me/messages/Delta()"] {
        let delta = Resource::ItemsDelta { user: user(), kind: Kind::Message, folder: None };
        assert_eq!(parse(path), Ok(delta), "{path}");
    }
    for (path, resource) in [
        ("me/messages/$count", Resource::ItemsCount { user: user(), kind: Kind::Message, folder: None }),
        (
            "me/mailFolders('inbox')/messages/delta",
            Resource::ItemsDelta { user: user(), kind: Kind::Message, folder: inbox() },
        ),
        ("me/events/delta", Resource::ItemsDelta { user: user(), kind: Kind::Event, folder: Some(calendar()) }),
        ("me/mailFolders/delta", Resource::FoldersDelta { user: user(), kind: Kind::Message }),
        ("me/contactFolders/delta()", Resource::FoldersDelta { user: user(), kind: Kind::Contact }),
        ("me/calendarView", Resource::CalendarView { user: user(), calendar: calendar() }),
        ("me/calendar/calendarView/delta", Resource::CalendarViewDelta { user: user(), calendar: calendar() }),
        ("me/mailFolders/$count", Resource::FoldersCount { user: user(), kind: Kind::Message, parent: None }),
    ] {
        assert_eq!(parse(path), Ok(resource), "{path}");
    }
}

#[test]
fn what_belongs_to_an_item_is_found_below_it() {
    for (path, kind, part) in [
        ("me/messages/A=/$value", Kind::Message, ItemPart::Value),
        ("me/messages/A=/attachments", Kind::Message, ItemPart::Attachments),
        ("me/events/A=/attachments/B=", Kind::Event, ItemPart::Attachment("B=".to_owned())),
        ("me/messages/A=/attachments('B=')/$value", Kind::Message, ItemPart::AttachmentValue("B=".to_owned())),
        ("me/messages/A=/attachments/createUploadSession", Kind::Message, ItemPart::CreateUploadSession),
        ("me/contacts/A=/extensions/com.x", Kind::Contact, ItemPart::Extension("com.x".to_owned())),
        ("me/contacts/A=/photo/$value", Kind::Contact, ItemPart::PhotoValue),
        ("me/messages/A=/microsoft.graph.eventMessage/event", Kind::Message, ItemPart::Event),
    ] {
        assert_eq!(parse(path), Ok(Resource::OfItem { item: path_of(kind, "A="), part }), "{path}");
    }
    let instances = Resource::OfItem {
        item: ItemPath { folder: Some(FolderKey::Unknown("x".to_owned())), ..path_of(Kind::Event, "A=") },
        part: ItemPart::Instances,
    };
    assert_eq!(parse("me/calendars/x/events/A=/instances"), Ok(instances));
}

#[test]
fn what_belongs_to_a_user_is_found_below_it() {
    let of = |part| Ok(Resource::OfUser { user: UserKey::Me, part });
    assert_eq!(parse("me/outlook/masterCategories/x"), of(UserPart::MasterCategory("x".to_owned())));
    assert_eq!(parse("me/inferenceClassification/overrides"), of(UserPart::FocusedOverrides));
    assert_eq!(parse("me/translateExchangeIds"), of(UserPart::TranslateExchangeIds));
    let (start, end) = ("2026-11-01".to_owned(), "2026-12-01".to_owned());
    let path = "me/reminderView(startDateTime='2026-11-01',EndDateTime='2026-12-01')";
    assert_eq!(parse(path), of(UserPart::ReminderView { start, end }));
    assert_eq!(parse("$batch"), Ok(Resource::Batch));
    assert_eq!(parse("$metadata"), Ok(Resource::Metadata));
}

#[test]
fn what_is_no_resource_is_refused_by_the_segment_at_fault() {
    let unknown = |segment: &str| Err(PathError::UnknownSegment(segment.to_owned()));
    assert_eq!(parse("groups/x/events"), unknown("groups"));
    assert_eq!(parse("me/drive"), unknown("drive"));
    assert_eq!(parse("me/messages/$nonsense"), unknown("$nonsense"));
    assert_eq!(parse("me/contacts/A=/attachments"), unknown("attachments"));
    assert_eq!(parse("me/messages/A=/attachments/B=/more"), unknown("more"));
    assert_eq!(parse("me/mailFolders/inbox/childFolders/delta"), unknown("delta"));
    assert_eq!(parse("me/calendars/delta"), unknown("delta"));
    assert_eq!(parse("me/events/A=/send"), unknown("send"));
    assert_eq!(parse("me/messages/A=/send/more"), unknown("more"));
    assert_eq!(parse(""), Err(PathError::Empty));
    assert_eq!(parse("///"), Err(PathError::Empty));
    assert_eq!(parse("me/messages('A"), Err(PathError::BadKey("messages('A".to_owned())));
    assert_eq!(parse("users('')/messages"), Err(PathError::BadKey("users('')".to_owned())));
    assert_eq!(parse("me/messages/%ff"), Err(PathError::BadEncoding));
    assert_eq!(parse(&"a/".repeat(40)), Err(PathError::TooLong));
    assert_eq!(parse(&"a".repeat(5000)), Err(PathError::TooLong));
}

#[test]
fn a_resource_to_watch_is_a_collection_of_items() {
    let user = megan();
    let folder = inbox();
    let watched = watch(&format!("/users/{MEGAN}/mailFolders('Inbox')/messages")).unwrap();
    assert_eq!(watched, Watch { user, kind: Kind::Message, folder, options: Vec::new() });
    let default_calendar = Some(FolderKey::WellKnown(WellKnown::Calendar));
    assert_eq!(watch("me/events").unwrap().folder, default_calendar);
    assert_eq!(watch("me/contacts").unwrap().folder, None);
}

#[test]
fn query_options_of_a_watch_are_decoded_and_handed_on() {
    let watched = watch("me/messages?%24select=Subject,+isRead&$filter=subject%20eq%20'a%26b'").unwrap();
    let option = |name: &str, value: &str| QueryOption { name: name.to_owned(), value: value.to_owned() };
    assert_eq!(watched.options, [option("$select", "Subject, isRead"), option("$filter", "subject eq 'a&b'")]);
}

#[test]
fn what_cannot_be_watched_in_a_mailbox_is_refused_in_graphs_words() {
    for (resource, text) in [
        ("groups/x/events", "Unsupported workload."),
        ("me/drive/items/x", "Unsupported workload."),
        ("teams", "Unsupported workload."),
        ("https://graph.microsoft.com/v1.0/me/messages", "Unsupported workload."),
        ("me", "Unsupported workload."),
        ("me/messages/A=", "The value of parameter 'Resource' is not supported."),
        ("me/calendars/x/events/A=", "The value of parameter 'Resource' is not supported."),
        ("me/mailFolders", "The value of parameter 'Resource' is not supported."),
        ("me/calendars/x/events", "The value of parameter 'Resource' is invalid."),
        ("me/mailFolders('nonsense')/messages", "The value of parameter 'Resource' is invalid."),
        ("", "The value of parameter 'Resource' is invalid."),
    ] {
        assert_eq!(watch(resource).map_err(|error| error.graph_text()), Err(text), "{resource}");
    }
}

proptest! {
    #[test]
    fn no_path_makes_the_parser_panic(path in "\\PC{0,64}") {
        let _ = parse(&path);
        let _ = watch(&path);
    }

    #[test]
    fn no_path_of_known_pieces_makes_the_parser_panic(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "me", "users", "/", "//", "('", "')", "'", "''", "(", ")", "%27", "%2F", "%", "@", "?", "=", "&", "$select",
            "messages", "mailFolders", "calendars", "childFolders", "inbox", "AAD-UPN:", MEGAN, "send", "é",
        ]), 0..24),
    ) {
        let path = pieces.concat();
        prop_assert_eq!(parse(&path), parse(&format!("/{path}")));
        let _ = watch(&path);
    }
}
