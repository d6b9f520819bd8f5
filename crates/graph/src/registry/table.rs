//! The table. Figures and names are those of Microsoft's documentation: the subscription resource type and
//! the overview of change notifications with their copies of 2021 to 2026, the permission tables of "Create
//! subscription" and "List subscriptions", and the pages about single resources. Where a read-write permission
//! includes what is needed, it stands behind it.

use super::{Entry, FilterRule, Latency, Permissions, PlaceRow, ResourceKind, Telling, ThingRow};
use crate::ChangeType::{Created, Deleted, Updated};

const MINUTE: u32 = 60;
const HOURS: u32 = 3_600;
/// "4,230 minutes (under three days)".
const THREE_DAYS: i64 = 4_230;
/// What no page limits has this limit all the same.
const UNDOCUMENTED_MAX: u64 = 10_000;
/// "Per organization: 10,000 total subscriptions": Teams.
const TEAMS_MAX: u64 = 10_000;
/// "Per tenant (for all applications combined): 1,000 total subscriptions": users and groups.
const DIRECTORY_MAX: u64 = 1_000;

/// What most entries have.
const PLAIN: Entry = Entry {
    kind: ResourceKind::DriveItem,
    name: "",
    odata_type: "",
    places: &[],
    things: &[],
    told: [Some(Created), Some(Updated), Some(Deleted), Some(Deleted)],
    life_minutes_max: THREE_DAYS,
    is_rich: false,
    lifecycle_url_beyond_minutes: None,
    in_national_clouds: true,
    is_deprecated: false,
    latency: None,
    subscriptions_max: UNDOCUMENTED_MAX,
    filter: FilterRule::Forbidden,
    has_query_options: false,
};

const NOBODY: &[&str] = &[];
const FILES: &[&str] = &["Files.Read.All", "Files.ReadWrite.All"];
const SITES: &[&str] = &["Sites.Read.All", "Sites.ReadWrite.All"];
const USERS: &[&str] = &["User.Read.All", "User.ReadWrite.All"];
const GROUPS: &[&str] = &["Group.Read.All", "Group.ReadWrite.All"];
const CHATS: &[&str] = &["Chat.Read.All", "Chat.ReadWrite.All"];
const TASKS: &[&str] = &["Tasks.ReadWrite"];
const CALL_RECORDS: &[&str] = &["CallRecords.Read.All"];
const PRESENCE: &[&str] = &["Presence.Read.All", "Presence.ReadWrite.All"];
const PRINTERS: &[&str] = &["Printer.Read.All", "Printer.ReadWrite.All"];
const ALERTS: &[&str] = &["SecurityEvents.ReadWrite.All"];
const MEETINGS: &[&str] = &["OnlineMeetings.Read.All", "OnlineMeetings.ReadWrite.All"];

const fn permissions(
    work: &'static [&'static str],
    personal: &'static [&'static str],
    application: &'static [&'static str],
) -> Permissions {
    Permissions { work, personal, application }
}

const fn place(pattern: &'static str, permissions: Permissions) -> PlaceRow {
    PlaceRow { pattern, permissions }
}

/// A thing whose `@odata.id` is its `resource`.
const fn thing(pattern: &'static str, heard_at: &'static [&'static str], resource: &'static str) -> ThingRow {
    ThingRow { pattern, heard_at, telling: Telling::Thing { resource, odata_id: resource } }
}

/// A thing that is watched itself, and told of as the subscription names it.
const fn itself(pattern: &'static str, heard_at: &'static [&'static str]) -> ThingRow {
    ThingRow { pattern, heard_at, telling: Telling::Place }
}

const fn below(average: u32, maximum: u32) -> Option<Latency> {
    Some(Latency { average, maximum })
}

/// By [`ResourceKind`].
pub(super) static ENTRIES: [Entry; 13] = [
    Entry {
        kind: ResourceKind::DriveItem,
        name: "driveItem",
        odata_type: "#Microsoft.Graph.DriveItem",
        places: &[
            place("users/{user}/drive/root", permissions(FILES, &["Files.Read", "Files.ReadWrite"], FILES)),
            place("drives/{id}/root", permissions(FILES, NOBODY, FILES)),
        ],
        things: &[
            itself("users/{user}/drive/root", &["users/{user}/drive/root"]),
            itself("drives/{id}/root", &["drives/{id}/root"]),
        ],
        // "Drive root item and list change notifications support only the updated changeType."
        told: [Some(Updated); 4],
        life_minutes_max: 42_300,
        latency: below(MINUTE, 6 * HOURS),
        ..PLAIN
    },
    Entry {
        kind: ResourceKind::List,
        name: "list",
        odata_type: "#Microsoft.Graph.List",
        places: &[place("sites/{id}/lists/{id}", permissions(SITES, NOBODY, SITES))],
        things: &[itself("sites/{id}/lists/{id}", &["sites/{id}/lists/{id}"])],
        told: [Some(Updated); 4],
        life_minutes_max: 42_300,
        latency: below(MINUTE, 6 * HOURS),
        ..PLAIN
    },
    Entry {
        kind: ResourceKind::User,
        name: "user",
        odata_type: "#Microsoft.Graph.User",
        // "Not supported for personal Microsoft accounts": whoever lives among all personal accounts must not
        // hear of them, though the permission table has a name in that column.
        places: &[
            place("users", permissions(USERS, NOBODY, USERS)),
            place("users/{user}", permissions(USERS, NOBODY, USERS)),
        ],
        things: &[thing("users/{user}", &["users", "users/{user}"], "Users/{user}")],
        // "Use updated … when user or group is created, updated, or soft deleted. Use deleted … permanently deleted."
        told: [Some(Updated), Some(Updated), Some(Updated), Some(Deleted)],
        life_minutes_max: 41_760,
        subscriptions_max: DIRECTORY_MAX,
        ..PLAIN
    },
    Entry {
        kind: ResourceKind::Group,
        name: "group",
        odata_type: "#Microsoft.Graph.Group",
        places: &[
            place("groups", permissions(GROUPS, NOBODY, GROUPS)),
            place("groups/{id}", permissions(GROUPS, NOBODY, GROUPS)),
            place("groups/{id}/members", permissions(GROUPS, NOBODY, GROUPS)),
            place("groups/{id}/owners", permissions(GROUPS, NOBODY, GROUPS)),
        ],
        things: &[
            thing("groups/{id}", &["groups", "groups/{id}"], "Groups/{id}"),
            thing("groups/{id}/members", &["groups", "groups/{id}", "groups/{id}/members"], "Groups/{id}"),
            thing("groups/{id}/owners", &["groups", "groups/{id}", "groups/{id}/owners"], "Groups/{id}"),
        ],
        told: [Some(Updated), Some(Updated), Some(Updated), Some(Deleted)],
        life_minutes_max: 41_760,
        subscriptions_max: DIRECTORY_MAX,
        ..PLAIN
    },
    Entry {
        kind: ResourceKind::ChatMessage,
        name: "chatMessage",
        odata_type: "#Microsoft.Graph.chatMessage",
        places: &[
            place("chats/{id}/messages", permissions(&["Chat.Read", "Chat.ReadWrite"], NOBODY, CHATS)),
            place("chats/getAllMessages", permissions(NOBODY, NOBODY, CHATS)),
            place(
                "teams/{id}/channels/{id}/messages",
                permissions(
                    &["ChannelMessage.Read.All", "Group.Read.All", "Group.ReadWrite.All"],
                    NOBODY,
                    &["ChannelMessage.Read.Group", "ChannelMessage.Read.All"],
                ),
            ),
            place("teams/getAllMessages", permissions(NOBODY, NOBODY, &["ChannelMessage.Read.All"])),
        ],
        things: &[
            thing(
                "chats/{id}/messages/{id}",
                &["chats/{id}/messages", "chats/getAllMessages"],
                "chats('{id}')/messages('{id}')",
            ),
            thing(
                "teams/{id}/channels/{id}/messages/{id}",
                &["teams/{id}/channels/{id}/messages", "teams/getAllMessages"],
                "teams('{id}')/channels('{id}')/messages('{id}')",
            ),
            thing(
                "teams/{id}/channels/{id}/messages/{id}/replies/{id}",
                &["teams/{id}/channels/{id}/messages", "teams/getAllMessages"],
                "teams('{id}')/channels('{id}')/messages('{id}')/replies('{id}')",
            ),
        ],
        // "4,320 minutes (three days)"; until 2022 it was 60.
        life_minutes_max: 4_320,
        is_rich: true,
        // "Required for Teams resources if expirationDateTime is more than 1 hour from now."
        lifecycle_url_beyond_minutes: Some(60),
        latency: below(10, MINUTE),
        subscriptions_max: TEAMS_MAX,
        ..PLAIN
    },
    Entry {
        kind: ResourceKind::TodoTask,
        name: "todoTask",
        odata_type: "#Microsoft.Graph.todoTask",
        places: &[place("users/{user}/todo/lists/{id}/tasks", permissions(TASKS, TASKS, &["Tasks.ReadWrite.All"]))],
        things: &[thing(
            "users/{user}/todo/lists/{id}/tasks/{id}",
            &["users/{user}/todo/lists/{id}/tasks"],
            "Users/{user}/todo/lists('{id}')/tasks('{id}')",
        )],
        // "Webhooks for this resource are only available in the global endpoint and not in the national clouds."
        in_national_clouds: false,
        latency: below(2 * MINUTE, 15 * MINUTE),
        ..PLAIN
    },
    Entry {
        kind: ResourceKind::BaseTask,
        name: "baseTask",
        odata_type: "#Microsoft.Graph.baseTask",
        places: &[place("users/{user}/tasks/lists/{id}/tasks", permissions(TASKS, TASKS, NOBODY))],
        things: &[thing(
            "users/{user}/tasks/lists/{id}/tasks/{id}",
            &["users/{user}/tasks/lists/{id}/tasks"],
            "Users/{user}/tasks/lists('{id}')/tasks('{id}')",
        )],
        is_deprecated: true,
        ..PLAIN
    },
    Entry {
        kind: ResourceKind::CallRecord,
        name: "callRecord",
        odata_type: "#Microsoft.Graph.callRecord",
        places: &[place("communications/callRecords", permissions(NOBODY, NOBODY, CALL_RECORDS))],
        things: &[thing(
            "communications/callRecords/{id}",
            &["communications/callRecords"],
            "communications/callRecords/{id}",
        )],
        // A record is made after the call, and may be revised.
        told: [Some(Created), Some(Updated), None, None],
        lifecycle_url_beyond_minutes: Some(60),
        latency: below(30 * MINUTE, 150 * MINUTE),
        // "Per organization: 100 total subscriptions."
        subscriptions_max: 100,
        ..PLAIN
    },
    Entry {
        kind: ResourceKind::Presence,
        name: "presence",
        odata_type: "#microsoft.graph.presence",
        places: &[
            place("communications/presences", permissions(PRESENCE, NOBODY, NOBODY)),
            place("communications/presences/{id}", permissions(PRESENCE, NOBODY, NOBODY)),
        ],
        things: &[ThingRow {
            pattern: "communications/presences/{id}",
            heard_at: &["communications/presences/{id}"],
            telling: Telling::Thing { resource: "communications/presences/{id}", odata_id: "users/{id}/presence" },
        }],
        told: [Some(Updated), Some(Updated), None, None],
        life_minutes_max: 60,
        is_rich: true,
        lifecycle_url_beyond_minutes: Some(60),
        latency: below(10, MINUTE),
        filter: FilterRule::IdIn,
        ..PLAIN
    },
    Entry {
        kind: ResourceKind::PrintTaskDefinition,
        name: "printTaskDefinition",
        odata_type: "#Microsoft.Graph.printTask",
        places: &[place(
            "print/taskDefinitions/{id}/tasks",
            permissions(NOBODY, NOBODY, &["PrintTaskDefinition.ReadWrite.All"]),
        )],
        things: &[thing(
            "print/taskDefinitions/{id}/tasks/{id}",
            &["print/taskDefinitions/{id}/tasks"],
            "print/taskDefinitions('{id}')/tasks('{id}')",
        )],
        // Raised when a job has started, and with it its task; nothing else is.
        told: [Some(Created), None, None, None],
        latency: below(MINUTE, 5 * MINUTE),
        ..PLAIN
    },
    Entry {
        kind: ResourceKind::PrintJob,
        name: "printJob",
        odata_type: "#Microsoft.Graph.printJob",
        places: &[place("print/printers/{id}/jobs", permissions(NOBODY, NOBODY, PRINTERS))],
        things: &[thing(
            "print/printers/{id}/jobs/{id}",
            &["print/printers/{id}/jobs"],
            "print/printers('{id}')/jobs('{id}')",
        )],
        told: [Some(Updated), Some(Updated), None, None],
        latency: below(MINUTE, 5 * MINUTE),
        // "$filter = isFetchable eq true".
        has_query_options: true,
        ..PLAIN
    },
    Entry {
        kind: ResourceKind::Alert,
        name: "alert",
        odata_type: "#Microsoft.Graph.alert",
        places: &[
            place("security/alerts", permissions(ALERTS, NOBODY, ALERTS)),
            place("security/alerts/{id}", permissions(ALERTS, NOBODY, ALERTS)),
        ],
        things: &[thing("security/alerts/{id}", &["security/alerts", "security/alerts/{id}"], "security/alerts/{id}")],
        told: [Some(Created), Some(Updated), None, None],
        life_minutes_max: 43_200,
        latency: below(3 * MINUTE, 5 * MINUTE),
        filter: FilterRule::Free,
        ..PLAIN
    },
    Entry {
        kind: ResourceKind::OnlineMeeting,
        name: "onlineMeeting",
        odata_type: "#microsoft.graph.onlineMeeting",
        places: &[place("communications/onlineMeetings", permissions(NOBODY, NOBODY, MEETINGS))],
        things: &[ThingRow { pattern: "communications/onlineMeetings/{id}", heard_at: &[], telling: Telling::Meeting }],
        told: [Some(Updated), Some(Updated), None, None],
        // The lists have it twice; the shorter life is in all of them.
        life_minutes_max: THREE_DAYS,
        is_rich: true,
        lifecycle_url_beyond_minutes: Some(60),
        latency: below(10, MINUTE),
        subscriptions_max: TEAMS_MAX,
        filter: FilterRule::JoinWebUrl,
        ..PLAIN
    },
];
