use graph::path::{self, Resource};
use graph::registry::ResourceKind;
use graph::{AppId, ChangeType, Kind, SubscriptionId, TenantId, Timestamp, UserId};
use uuid::Uuid;

use super::*;
use crate::Subscription;
use crate::subscription::{Target, TlsVersion, Watched};

const TENANT: TenantId = TenantId(Uuid::from_u128(1));
const MEGAN: UserId = UserId(Uuid::from_u128(2));
const ADELE: UserId = UserId(Uuid::from_u128(3));
const NOON: Timestamp = Timestamp::from_seconds(1_795_255_200);

fn principal(tenant: TenantId, actor: Actor, held: &[&str]) -> Principal {
    let held = Permissions::of(held.iter().copied());
    Principal { tenant, app: AppId(Uuid::from_u128(4)), actor, held, admin: false, expires: None }
}

fn megan(held: &[&str]) -> Principal {
    principal(TENANT, Actor::User(MEGAN), held)
}

fn app(held: &[&str]) -> Principal {
    principal(TENANT, Actor::App(UserId(Uuid::from_u128(5))), held)
}

fn asked(method: &str, path: &str) -> Vec<Need> {
    let resource: Resource = path::parse(path).unwrap();
    needs(method == "GET", &resource, true)
}

fn may(principal: &Principal, method: &str, path: &str) -> bool {
    check(principal, &asked(method, path), principal.user().or(Some(MEGAN)), None).is_ok()
}

#[test]
fn reading_is_part_of_read_write_and_of_nothing_else() {
    for held in ["Mail.Read", "Mail.ReadWrite"] {
        assert!(may(&megan(&[held]), "GET", "me/messages"), "{held}");
    }
    for held in
        ["Mail.Send", "MailboxSettings.ReadWrite", "Calendars.ReadWrite", "Mail.Read.Shared", "mail.read", "Mail"]
    {
        assert!(!may(&megan(&[held]), "GET", "me/messages"), "{held}");
    }
    assert!(!may(&megan(&["Mail.Read"]), "PATCH", "me/messages/x"));
    assert!(!may(&megan(&["Mail.ReadWrite"]), "POST", "me/messages/x/reply"));
    assert!(may(&megan(&["Mail.Send"]), "POST", "me/messages/x/reply"));
}

#[test]
fn basic_access_reads_items_but_nothing_beside_them() {
    let mail = megan(&["Mail.ReadBasic"]);
    for path in
        ["me/messages", "me/messages/x", "me/mailFolders/inbox/messages/delta", "me/mailFolders", "me/messages/$count"]
    {
        assert!(may(&mail, "GET", path), "{path}");
    }
    for path in
        ["me/messages/x/$value", "me/messages/x/attachments", "me/messages/x/extensions/y", "me/messages/x/event"]
    {
        assert!(!may(&mail, "GET", path), "{path}");
    }
    let calendar = megan(&["Calendars.ReadBasic"]);
    assert!(may(&calendar, "GET", "me/calendarView") && may(&calendar, "GET", "me/events/x/instances"));
    assert!(!may(&calendar, "GET", "me/events/x/attachments") && !may(&calendar, "GET", "me/events/x/extensions"));
    assert!(may(&megan(&["Mail.ReadBasic", "Calendars.ReadBasic"]), "GET", "me/messages/x/event"));
}

#[test]
fn options_that_look_at_hidden_properties_need_reading() {
    let resource = path::parse("me/messages").unwrap();
    assert_eq!(needs(true, &resource, true), [Need::Items(Kind::Message, Level::Basic)]);
    assert_eq!(needs(true, &resource, false), [Need::Items(Kind::Message, Level::Read)]);
    assert_eq!(needs(false, &resource, false), [Need::Items(Kind::Message, Level::Write)]);
}

#[test]
fn names_of_one_column_mean_nothing_in_another() {
    assert!(!may(&megan(&["Mail.ReadBasic.All"]), "GET", "me/messages"));
    assert!(may(&app(&["Mail.ReadBasic.All"]), "GET", "users/x@y.test/messages"));
    assert!(!may(&app(&["User.Read"]), "GET", "users/x@y.test"));
    let personal = principal(TenantId::CONSUMERS, Actor::User(MEGAN), &["User.Read.All", "Directory.Read.All"]);
    assert!(!may(&personal, "GET", "users") && !may(&personal, "GET", "me"));
    let personal = principal(TenantId::CONSUMERS, Actor::User(MEGAN), &["Mail.Read", "User.Read"]);
    assert!(may(&personal, "GET", "me/messages") && may(&personal, "GET", "me"));
    let nobody = principal(TenantId::CONSUMERS, Actor::App(ADELE), &["Mail.ReadWrite", "User.Read.All"]);
    assert!(!may(&nobody, "GET", "users/x@y.test/messages") && !may(&nobody, "GET", "users"));
}

#[test]
fn a_user_reaches_the_own_mailbox_only_and_an_app_those_of_its_policy() {
    let needs = [Need::Items(Kind::Message, Level::Read)];
    let all = megan(&["Mail.ReadWrite", "Mail.ReadWrite.Shared", "User.Read"]);
    assert_eq!(check(&all, &needs, Some(MEGAN), None), Ok(()));
    assert_eq!(check(&all, &needs, Some(ADELE), None).unwrap_err().why, Why::OtherMailbox);
    let app = app(&["Mail.ReadWrite", "User.Read.All"]);
    assert_eq!(check(&app, &needs, Some(ADELE), None), Ok(()));
    assert_eq!(check(&app, &needs, Some(ADELE), Some(&BTreeSet::from([ADELE]))), Ok(()));
    assert_eq!(check(&app, &needs, Some(ADELE), Some(&BTreeSet::from([MEGAN]))).unwrap_err().why, Why::Policy);
    assert_eq!(check(&app, &needs, Some(ADELE), Some(&BTreeSet::new())).unwrap_err().why, Why::Policy);
    // A policy is of mailboxes; and it narrows apps that act for themselves.
    assert_eq!(check(&app, &[Need::Users], Some(ADELE), Some(&BTreeSet::new())), Ok(()));
    assert_eq!(check(&all, &needs, Some(MEGAN), Some(&BTreeSet::new())), Ok(()));
}

#[test]
fn a_missing_permission_is_told_before_anything_of_the_mailbox() {
    let needs = [Need::Items(Kind::Message, Level::Read)];
    for mailbox in [None, Some(MEGAN), Some(ADELE)] {
        assert_eq!(check(&megan(&["Mail.Send"]), &needs, mailbox, None).unwrap_err().why, Why::Permission);
    }
    assert_eq!(check(&megan(&["Mail.Read"]), &needs, None, None), Ok(()));
}

#[test]
fn of_oneself_more_may_be_read_than_of_others() {
    let basic = [Need::Users];
    for (held, own, other) in
        [("User.Read", true, false), ("User.ReadBasic.All", true, true), ("Mail.Read", false, false)]
    {
        assert_eq!(check(&megan(&[held]), &basic, Some(MEGAN), None).is_ok(), own, "{held}");
        assert_eq!(check(&megan(&[held]), &basic, Some(ADELE), None).is_ok(), other, "{held}");
        assert_eq!(check(&megan(&[held]), &basic, None, None).is_ok(), other, "{held}");
    }
}

#[test]
fn events_have_no_subscriptions_with_basic_access() {
    let held = megan(&["Mail.ReadBasic", "Calendars.ReadBasic", "Contacts.Read"]);
    let kinds = Kind::ALL.map(|kind| held.suffices(Need::Subscription(kind), true));
    assert_eq!(kinds, [true, false, true]);
    assert!(!megan(&["Mail.Send"]).suffices(Need::Subscription(Kind::Message), true));
}

#[test]
fn the_least_permission_for_a_subscription_is_the_same_in_each_column() {
    let callers = |held: &[&str]| [megan(held), principal(TenantId::CONSUMERS, Actor::User(MEGAN), held), app(held)];
    for (kind, least) in
        [(Kind::Message, "Mail.ReadBasic"), (Kind::Event, "Calendars.Read"), (Kind::Contact, "Contacts.Read")]
    {
        for held in ["Mail.ReadBasic", "Calendars.ReadBasic", "Calendars.Read", "Contacts.Read", "User.Read.All"] {
            for caller in callers(&[held]) {
                let suffices = caller.suffices(Need::Subscription(kind), true);
                assert_eq!(suffices, held == least, "{kind:?} {held} {:?}", caller.column());
            }
        }
        for held in ["Mail.Read", "Mail.ReadWrite", "Calendars.ReadWrite", "Contacts.ReadWrite"] {
            let same_kind = held.split('.').next() == least.split('.').next();
            assert!(callers(&[held]).iter().all(|caller| caller.suffices(Need::Subscription(kind), true) == same_kind));
        }
    }
    assert!(app(&["Mail.ReadBasic.All"]).suffices(Need::Subscription(Kind::Message), true));
}

#[test]
fn a_subscription_that_looks_at_bodies_needs_reading() {
    let need = |resource| to_watch(Kind::Message, resource);
    for resource in ["me/messages", "me/messages?$select=subject", "me/messages?$filter=isRead eq false"] {
        assert_eq!(need(resource), Need::Subscription(Kind::Message), "{resource}");
    }
    for resource in [
        "me/messages?$select=subject,bodyPreview",
        "me/messages?filter=contains(bodyPreview,'x')",
        "me/messages?%24Select=bodyPreview",
        "me/messages?$expand=singleValueExtendedProperties($filter=id eq 'x')",
    ] {
        assert_eq!(need(resource), Need::Items(Kind::Message, Level::Read), "{resource}");
    }
}

#[test]
fn a_list_holds_what_the_app_made_unless_the_caller_may_see_all() {
    let app_id = megan(&[]).app;
    let own = Listed { app: Some(app_id), creator: Some(MEGAN), by_need: true };
    assert_eq!(listed(&megan(&["Mail.Read"])), own);
    assert_eq!(listed(&app(&["Mail.Read"])), Listed { creator: None, ..own });
    let any_app = Listed { app: None, creator: Some(MEGAN), by_need: false };
    let all = megan(&["Subscription.Read.All"]);
    assert_eq!(listed(&all), any_app);
    assert_eq!(listed(&Principal { admin: true, ..all.clone() }), Listed { creator: None, ..any_app });
    // The permission is a delegated one, and nobody administers personal accounts.
    assert_eq!(listed(&Principal { admin: true, ..app(&["Subscription.Read.All"]) }), Listed { creator: None, ..own });
    assert_eq!(listed(&Principal { admin: true, tenant: TenantId::CONSUMERS, ..all }), any_app);
    assert_eq!(listed(&Principal { admin: true, ..megan(&["Mail.Read"]) }), own);
}

#[test]
fn a_refusal_says_what_was_needed_and_what_is_held() {
    let needs = asked("GET", "me/messages");
    let told = |denied: Denied| format!("{}; {}", denied.needed(), denied.held());
    insta::assert_snapshot!(
        told(check(&megan(&["User.Read", "Mail.Send"]), &needs, Some(MEGAN), None).unwrap_err()),
        @"one of these delegated permissions is needed, least privileged first: Mail.ReadBasic, Mail.Read, Mail.ReadWrite; the token holds, as far as consent stands: Mail.Send, User.Read"
    );
    insta::assert_snapshot!(
        told(check(&app(&[]), &needs, Some(MEGAN), None).unwrap_err()),
        @"one of these application permissions is needed, least privileged first: Mail.ReadBasic.All, Mail.ReadBasic, Mail.Read, Mail.ReadWrite; the token holds no permission that is still consented to"
    );
    insta::assert_snapshot!(
        told(check(&megan(&["Mail.Read"]), &needs, Some(ADELE), None).unwrap_err()),
        @"delegated permissions reach the mailbox of the signed-in user only; sharing is not served; the token holds, as far as consent stands: Mail.Read"
    );
    insta::assert_snapshot!(
        told(check(&app(&["Mail.Read"]), &needs, Some(ADELE), Some(&BTreeSet::new())).unwrap_err()),
        @"a policy narrows this app to other mailboxes; the token holds, as far as consent stands: Mail.Read"
    );
    let personal = principal(TenantId::CONSUMERS, Actor::User(MEGAN), &["User.Read"]);
    insta::assert_snapshot!(
        told(check(&personal, &asked("GET", "users"), None, None).unwrap_err()),
        @"no delegated (personal account) permission allows this; the token holds, as far as consent stands: User.Read"
    );
}

/// A subscription to this, made by Megan.
fn subscription(resource: &str, target: Target) -> Subscription {
    Subscription {
        id: SubscriptionId(Uuid::from_u128(6)),
        tenant: TENANT,
        app: AppId(Uuid::from_u128(4)),
        creator: MEGAN,
        resource: resource.to_owned(),
        target,
        change_types: [ChangeType::Updated].into_iter().collect(),
        change_type: "updated".to_owned(),
        notification_url: "https://hook.example.net/n".to_owned(),
        lifecycle_url: None,
        client_state: None,
        tls_version: TlsVersion::V1_2,
        extras: None,
        immutable_ids: false,
        authorized: NOON,
        expires: NOON.plus_minutes(60),
        expires_tenths: 0,
        created: NOON,
    }
}

#[test]
fn who_watches_a_resource_whose_path_cannot_be_read_may_still_end_that() {
    let watch = |resource: &str, owner| {
        let watched = Watched { resource: ResourceKind::DriveItem, owner, places: Vec::new() };
        to_hold(&subscription(resource, Target::Resource(Box::new(watched))))
    };
    let reader = megan(&["Files.Read.All", "Files.ReadWrite.All", "Files.Read", "Files.ReadWrite"]);
    for owner in [None, Some(MEGAN)] {
        let (need, of) = watch("drives/7/some/thing", owner);
        assert_eq!(of, owner);
        assert_eq!(check(&reader, &[need], of, None), Ok(()), "{owner:?}");
        assert!(check(&megan(&["Mail.Read"]), &[need], of, None).is_err());
    }
    let (need, of) = watch("drives/7/some/thing", Some(ADELE));
    assert!(check(&reader, &[need], of, None).is_err(), "another's");
}
