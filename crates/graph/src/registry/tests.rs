use std::fmt::Write as _;

use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::path::{UserKey, WatchError};
use crate::{ChangeId, Properties, Timestamp, UserId};

const MEGAN: UserId = UserId(Uuid::from_u128(0x622eaaff_0683_4862_9de4_f2ec83c2bd98));

fn names(names: &[&str]) -> String {
    if names.is_empty() { "-".to_owned() } else { names.join(", ") }
}

fn shown(seconds: u32) -> String {
    if seconds.is_multiple_of(60) { format!("{} min", seconds / 60) } else { format!("{seconds} s") }
}

/// The table as the documentation of this server shows it.
fn as_markdown() -> String {
    let mut text = String::from(
        "| resource | change types | longest life, minutes | resource data | lifecycle URL | national clouds | latency: average, most | subscriptions in a tenant | filter |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for entry in Entry::all() {
        let types: Vec<&str> = entry.change_types().map(ChangeType::as_str).collect();
        let yes = |yes: bool| if yes { "yes" } else { "no" };
        let lifecycle = entry.lifecycle_url_beyond_minutes;
        let lifecycle = lifecycle.map_or("-".to_owned(), |beyond| format!("beyond {beyond} min"));
        let latency = entry.latency.map_or("unknown".to_owned(), |latency| {
            format!("under {}, {}", shown(latency.average), shown(latency.maximum))
        });
        let filter = match entry.filter {
            _ if entry.has_query_options => "`notificationQueryOptions`",
            FilterRule::Forbidden => "-",
            FilterRule::Free => "any",
            FilterRule::IdIn => "`id in (…)`",
            FilterRule::JoinWebUrl => "`JoinWebUrl eq …`",
        };
        let name = if entry.is_deprecated { format!("{} (deprecated)", entry.name) } else { entry.name.to_owned() };
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} | {lifecycle} | {} | {latency} | {} | {filter} |",
            types.join(", "),
            entry.life_minutes_max,
            yes(entry.is_rich),
            yes(entry.in_national_clouds),
            entry.subscriptions_max,
        );
    }
    text.push_str("\n| path | delegated, work | delegated, personal | application |\n| --- | --- | --- | --- |\n");
    for row in Entry::all().iter().flat_map(|entry| entry.places) {
        let Permissions { work, personal, application } = row.permissions;
        let _ =
            writeln!(text, "| `{}` | {} | {} | {} |", row.pattern, names(work), names(personal), names(application));
    }
    text
}

/// The page that readers see has the table; what it must say is in the failure.
#[test]
fn the_page_about_resources_has_the_table() {
    let page = include_str!("../../../../docs/resources.md");
    assert!(page.contains(&as_markdown()), "docs/resources.md does not have this table:\n{}", as_markdown());
}

/// In our own words, from the subscription resource type as of 2023.
#[test]
fn the_table_says_what_the_documentation_states() {
    let types = |kind: ResourceKind| kind.entry().change_types().collect::<Vec<_>>();
    use ChangeType::{Created, Deleted, Updated};
    use ResourceKind::*;
    for root in [DriveItem, List] {
        assert_eq!(types(root), [Updated], "of the root of a drive and of a list only updates are told");
    }
    for object in [User, Group] {
        assert_eq!(types(object), [Updated, Deleted], "of users and groups updates and deletions are told");
        let told = object.entry().told;
        assert_eq!(told[..3], [Some(Updated); 3], "making, changing and soft deletion are updates");
        assert_eq!(told[3], Some(Deleted), "deletion for good is a deletion");
    }
    assert_eq!(BaseTask.entry().life_minutes_max, 4_230, "of a baseTask the seed has a figure");
    assert!(BaseTask.entry().is_deprecated && !TodoTask.entry().is_deprecated);
    for teams in [ChatMessage, CallRecord, Presence, OnlineMeeting] {
        let beyond = teams.entry().lifecycle_url_beyond_minutes;
        assert_eq!(beyond, Some(60), "Teams' resources need a lifecycle URL beyond an hour");
    }
    let others = Entry::all().iter().filter(|entry| entry.lifecycle_url_beyond_minutes.is_none());
    assert_eq!(others.count(), 9, "the others do not");
    assert!(!TodoTask.entry().in_national_clouds, "to-do tasks are not told of in national clouds");
    let queried: Vec<_> = Entry::all().iter().filter(|entry| entry.has_query_options).map(|entry| entry.kind).collect();
    assert_eq!(queried, [PrintJob], "query options of their own have print jobs");
    assert_eq!(types(PrintTaskDefinition), [Created]);
}

#[test]
fn each_entry_stands_at_its_kind_and_is_whole() {
    for (at, entry) in Entry::all().iter().enumerate() {
        assert_eq!(entry.kind as usize, at, "{}", entry.name);
        assert!(entry.kind.entry().name == entry.name && !entry.name.is_empty());
        assert!(entry.odata_type.to_ascii_lowercase().starts_with("#microsoft.graph."), "{}", entry.name);
        assert!((60..=43_200).contains(&entry.life_minutes_max), "{}", entry.name);
        assert!(entry.change_types().next().is_some() && !entry.places.is_empty() && !entry.things.is_empty());
        for thing in entry.things {
            for heard_at in thing.heard_at {
                assert!(entry.places.iter().any(|place| place.pattern == *heard_at), "{heard_at} can be watched");
            }
        }
    }
}

/// The text of the place that a path leads to.
fn placed(path: &str) -> Result<(ResourceKind, String), WatchError> {
    place(path).map(|place| (place.kind, place.text(Some(MEGAN))))
}

#[test]
fn a_path_in_any_spelling_leads_to_its_place() {
    let megan = MEGAN.to_string();
    for (path, kind, text) in [
        ("me/drive/root", ResourceKind::DriveItem, format!("users/{megan}/drive/root")),
        ("/Users/megan@contoso.test/Drive/Root", ResourceKind::DriveItem, format!("users/{megan}/drive/root")),
        ("drives/b!xY/root", ResourceKind::DriveItem, "drives/b!xY/root".to_owned()),
        ("sites('a,b')/lists('L 1')", ResourceKind::List, "sites/a,b/lists/L 1".to_owned()),
        ("users", ResourceKind::User, "users".to_owned()),
        ("me", ResourceKind::User, format!("users/{megan}")),
        (
            "/users('622EAAFF-0683-4862-9DE4-F2EC83C2BD98')",
            ResourceKind::User,
            "users/622eaaff-0683-4862-9de4-f2ec83c2bd98".to_owned(),
        ),
        ("groups/", ResourceKind::Group, "groups".to_owned()),
        ("groups/7/members", ResourceKind::Group, "groups/7/members".to_owned()),
        ("chats/getAllMessages", ResourceKind::ChatMessage, "chats/getAllMessages".to_owned()),
        ("chats('19:a@unq')/messages", ResourceKind::ChatMessage, "chats/19:a@unq/messages".to_owned()),
        ("chats/a%2Fb%3F/messages", ResourceKind::ChatMessage, "chats/a%2Fb%3F/messages".to_owned()),
        ("teams/1/channels/2/messages", ResourceKind::ChatMessage, "teams/1/channels/2/messages".to_owned()),
        ("me/todo/lists/AQ=/tasks", ResourceKind::TodoTask, format!("users/{megan}/todo/lists/AQ=/tasks")),
        ("me/tasks/lists/AQ=/tasks", ResourceKind::BaseTask, format!("users/{megan}/tasks/lists/AQ=/tasks")),
        ("communications/callrecords", ResourceKind::CallRecord, "communications/callRecords".to_owned()),
        ("communications/presences/7", ResourceKind::Presence, "communications/presences/7".to_owned()),
        ("print/printers/p/jobs", ResourceKind::PrintJob, "print/printers/p/jobs".to_owned()),
        (
            "print/taskDefinitions/d/tasks",
            ResourceKind::PrintTaskDefinition,
            "print/taskDefinitions/d/tasks".to_owned(),
        ),
        ("security/alerts/", ResourceKind::Alert, "security/alerts".to_owned()),
        ("communications/onlineMeetings/", ResourceKind::OnlineMeeting, "communications/onlineMeetings".to_owned()),
    ] {
        assert_eq!(placed(path), Ok((kind, text)), "{path}");
    }
    assert_eq!(place("me/drive/root").unwrap().user, Some(UserKey::Me));
    assert_eq!(place("users/a@b/drive/root").unwrap().user, Some(UserKey::Upn("a@b".to_owned())));
    assert_eq!(place("drives/7/root").unwrap().user, None);
    let is_of_user = |path: &str| place(path).unwrap().is_of_user();
    assert!(
        is_of_user("me/drive/root") && !is_of_user("users/7") && !is_of_user("users") && !is_of_user("drives/7/root")
    );
}

#[test]
fn what_the_table_does_not_have_is_no_place() {
    for path in
        ["", "me/drive", "me/drive/items/7", "chats", "chats/7", "teams/7", "sites/a/lists", "groups/7/x", "users/a/b"]
    {
        assert_eq!(placed(path), Err(WatchError::UnsupportedWorkload), "{path}");
    }
    for path in ["users/$count", "users/%00", "groups('')", "drives/%FF/root"] {
        assert!(matches!(placed(path), Err(WatchError::Invalid | WatchError::UnsupportedWorkload)), "{path}");
    }
}

fn found(path: &str) -> Result<Thing, ThingError> {
    thing(path, |upn| if upn == "megan@contoso.test" { Ok(MEGAN) } else { Err(ThingError::Malformed(upn.to_owned())) })
}

#[test]
fn a_thing_is_heard_of_where_the_table_says() {
    let heard = |path: &str| found(path).unwrap().heard_at().collect::<Vec<_>>();
    assert_eq!(heard("users/megan@contoso.test"), ["users".to_owned(), format!("users/{MEGAN}")]);
    assert_eq!(heard("groups/7/members"), ["groups", "groups/7", "groups/7/members"]);
    assert_eq!(heard("chats/c/messages/m"), ["chats/c/messages", "chats/getAllMessages"]);
    let reply = "teams/t/channels/c/messages/m/replies/r";
    assert_eq!(heard(reply), ["teams/t/channels/c/messages", "teams/getAllMessages"]);
    let task = found("users/megan@contoso.test/todo/lists/l/tasks/t").unwrap();
    assert_eq!(task.heard_at().collect::<Vec<_>>(), [format!("users/{MEGAN}/todo/lists/l/tasks")]);
    assert_eq!((task.id(), task.text()), ("t".to_owned(), format!("users/{MEGAN}/todo/lists/l/tasks/t")));
}

#[test]
fn what_is_no_thing_is_refused_by_name() {
    for (path, why) in [
        ("users", "'users' is no resource whose changes are told; see the table of resources"),
        ("me/drive/root", "'me' names nobody here; write users/{id}"),
        ("users/nobody@x/drive/root", "'nobody@x' is malformed"),
        ("chats/%00/messages/1", "'chats/%00/messages/1' is malformed"),
        ("chats/%FF/messages/1", "'chats/%FF/messages/1' is malformed"),
    ] {
        assert_eq!(found(path).unwrap_err().to_string(), why, "{path}");
    }
}

#[test]
fn a_stored_thing_is_the_same_when_it_is_read() {
    for path in
        ["users/megan@contoso.test", "chats/a'b%2F/messages/m", "users/megan@contoso.test/drive/root", "drives/7/root"]
    {
        let thing = found(path).unwrap();
        let stored = serde_json::to_string(&thing).unwrap();
        assert_eq!(serde_json::from_str::<Thing>(&stored).unwrap(), thing, "{stored}");
    }
    let stored = serde_json::to_string(&found("chats/c/messages/m").unwrap()).unwrap();
    assert_eq!(stored, r#"{"kind":"chatMessage","pattern":"chats/{id}/messages/{id}","keys":["c","m"]}"#);
    assert!(serde_json::from_str::<Thing>(r#"{"kind":"list","pattern":"chats/{id}/messages/{id}"}"#).is_err());
}

fn asked(resource: &str) -> Result<Asked, AskedRefusal> {
    Asked::read(&place(resource).unwrap(), Some(MEGAN))
}

#[test]
fn presences_are_watched_by_one_id_or_by_many() {
    let (one, two) = ("5a6e2f26-5d0b-4f0c-a1a8-6a30e6a3f8c1", "0a6e2f26-5d0b-4f0c-a1a8-6a30e6a3f8c1");
    let places = |resource: &str| asked(resource).unwrap().places;
    assert_eq!(places(&format!("communications/presences/{one}")), [format!("communications/presences/{one}")]);
    let both = [format!("communications/presences/{two}"), format!("communications/presences/{one}")];
    for filter in [
        format!("id in ('{one}','{two}')"),
        format!("id%20in%20('{one}',%20'{two}', '{one}')"),
        format!("Id IN({one},{})", two.to_uppercase()),
    ] {
        assert_eq!(places(&format!("/communications/presences?$filter={filter}")), both, "{filter}");
    }
    let many = |count: u128| {
        let ids: Vec<_> = (0..count).map(|n| format!("'{}'", Uuid::from_u128(n))).collect();
        asked(&format!("communications/presences?$filter=id in ({})", ids.join(",")))
    };
    assert_eq!(many(650).unwrap().places.len(), 650);
    assert_eq!(many(651), Err(AskedRefusal::Ids));
    for query in
        ["", "?$filter=id in ()", "?$filter=id in ('7')", "?$filter=id eq '7'", "?$filter=id in ('", "?$filter="]
    {
        assert_eq!(asked(&format!("communications/presences{query}")), Err(AskedRefusal::Ids), "{query}");
    }
}

#[test]
fn a_meeting_is_watched_by_its_address() {
    let url = "https://teams.example/l/meetup-join/19%3ameeting/0?context=o''brien";
    let encoded = url.replace('%', "%25").replace('?', "%3F");
    let watched = asked(&format!("/communications/onlineMeetings/?$filter=JoinWebUrl eq '{encoded}'")).unwrap();
    let place =
        "communications/onlineMeetings?joinWebUrl=https://teams.example/l/meetup-join/19%3ameeting/0?context=o'brien";
    assert_eq!(watched.places, [place]);
    let state: Properties = Properties::from_iter([("joinWebUrl".to_owned(), json!(url.replace("''", "'")))]);
    assert_eq!(change("communications/onlineMeetings/7", Happened::Updated, None, Some(state)).heard_at(), [place]);
    for query in ["", "?$filter=JoinWebUrl eq ''", "?$filter=subject eq 'x'", "?$filter=JoinWebUrl eq 'a' or true"] {
        assert_eq!(asked(&format!("communications/onlineMeetings{query}")), Err(AskedRefusal::JoinWebUrl), "{query}");
    }
}

#[test]
fn options_are_taken_only_where_the_documentation_has_them() {
    assert_eq!(
        asked("security/alerts?$filter=status eq 'newAlert'").unwrap().filter.unwrap().text(),
        "status eq 'newAlert'"
    );
    assert!(asked("chats/getAllMessages?model=A").is_ok());
    for (resource, why) in [
        ("users?$filter=x eq 1", "a subscription to user does not take the option '$filter'"),
        ("security/alerts?$select=id", "a subscription to alert does not take the option '$select'"),
        ("users?model=A", "a subscription to user does not take the option 'model'"),
        ("security/alerts?$filter=a&$filter=b", "the option '$filter' is given twice"),
        ("security/alerts?$filter=a =", "$filter: syntax error: '=' is not an operator at position 2; write eq"),
    ] {
        let refusal = asked(resource).unwrap_err().to_string();
        assert!(why.starts_with(&refusal), "{resource}: {refusal}");
    }
    let wide = format!("security/alerts?$filter={}", vec!["a"; 33].join(" or "));
    assert_eq!(asked(&wide), Err(AskedRefusal::FilterTooLarge));
}

#[test]
fn filters_read_states_by_the_types_of_their_values() {
    let state = json!({
        "isFetchable": true, "copies": 2, "status": {"state": "Completed"}, "created": "2026-11-21T10:00:00Z",
        "tags": ["Red", "blue"], "owner": null, "score": 0.5, "group": "622EAAFF-0683-4862-9de4-f2ec83c2bd98",
    });
    let state = state.as_object().unwrap();
    let holds = |filter: &str| Open::read(filter).unwrap().holds(Some(state));
    for filter in [
        "isFetchable eq true",
        "isFetchable",
        "IsFetchable ne false",
        "copies gt 1 and copies le 2.0",
        "score lt 1",
        "status/state eq 'completed'",
        "startswith(status/state,'com')",
        "created ge 2026-11-21T00:00:00Z",
        "created lt 2026-11-22",
        "tags/any(t:t eq 'RED')",
        "owner eq null",
        "missing eq null",
        "status ne null",
        "group eq 622eaaff-0683-4862-9de4-f2ec83c2bd98",
        "copies in (1,2)",
        "length(status/state) eq 9",
        "not (missing eq 1)",
        "true eq isFetchable",
        "copies ne 3",
    ] {
        assert!(holds(filter), "{filter}");
    }
    for filter in [
        "isFetchable eq 'true'",
        "isFetchable ne 1",
        "copies eq '2'",
        "copies ne '3'",
        "missing eq 1",
        "missing ne 1",
        "missing",
        "status eq 'completed'",
        "status/state gt 5",
        "created eq 5",
        "tags/any(t:t eq 5)",
        "copies/any(c:c eq 2)",
        "owner ne 1",
        "contains(copies,'2')",
        "status/missing/deeper eq 1",
        "1 ne missing",
    ] {
        assert!(!holds(filter), "{filter}");
    }
    assert!(!Open::read("missing eq null").unwrap().holds(None), "where there is no state no filter holds");
    assert!(Open::read("a eq b").is_err(), "of two unknown types nothing is known");
    let options = Open::read_query_options("$filter = isFetchable eq true").unwrap();
    assert_eq!(options.text(), "isFetchable eq true");
    for text in ["", "isFetchable eq true", "$select=id", "$filter=", "$filter=x ="] {
        assert!(Open::read_query_options(text).is_err(), "{text}");
    }
}

fn change(path: &str, happened: Happened, before: Option<Properties>, after: Option<Properties>) -> Ingested {
    Ingested {
        id: ChangeId(Uuid::from_u128(1)),
        tenant: TenantId(Uuid::from_u128(2)),
        thing: found(path).unwrap(),
        happened,
        at: Timestamp::from_seconds(1_795_255_200),
        before,
        after,
    }
}

#[test]
fn a_change_is_told_as_the_table_says() {
    use ChangeType::{Created, Deleted, Updated};
    let told = |path: &str| {
        [Happened::Created, Happened::Updated, Happened::SoftDeleted, Happened::Deleted]
            .map(|happened| change(path, happened, None, None).told())
    };
    assert_eq!(told("users/megan@contoso.test"), [Some(Updated), Some(Updated), Some(Updated), Some(Deleted)]);
    assert_eq!(told("drives/7/root"), [Some(Updated); 4]);
    assert_eq!(told("chats/c/messages/m"), [Some(Created), Some(Updated), Some(Deleted), Some(Deleted)]);
    assert_eq!(told("communications/presences/7"), [Some(Updated), Some(Updated), None, None]);
    assert_eq!(told("print/taskDefinitions/d/tasks/t"), [Some(Created), None, None, None]);
}

#[test]
fn the_scope_of_a_tenants_resources_never_changes() {
    let scope = |tenant, kind| Scope::of_resources(TenantId(Uuid::from_u128(tenant)), kind).to_string();
    insta::assert_snapshot!(scope(1, ResourceKind::User), @"b200fb3d-0609-5aa6-8cc8-0078db83e71f");
    assert_ne!(scope(1, ResourceKind::User), scope(1, ResourceKind::Group));
    assert_ne!(scope(1, ResourceKind::User), scope(2, ResourceKind::User));
}
