//! The one table of what is served: each method of each resource, with its options, body and answer. The
//! description is made of it, and `Allow`. The dispatcher does not read it; a test holds the two together.

/// One method of one resource. Paths stand below the version; those in a mailbox below `/me` or a user.
pub struct Route {
    pub method: &'static str,
    pub path: String,
    /// Whether the path stands below a user.
    pub in_mailbox: bool,
    pub summary: &'static str,
    pub query: &'static [&'static str],
    pub body: Body,
    pub answer: Answer,
}

/// What a request carries. Types are named as in Graph's metadata.
#[derive(Clone, Copy)]
pub enum Body {
    None,
    /// An entity, or what is to be changed of one.
    Entity(&'static str),
    /// Parameters with their types; a `!` behind a name says that it is required.
    Parameters(&'static [(&'static str, &'static str)]),
    /// A JSON object that is described elsewhere.
    Object,
    /// Bytes of these media types.
    Bytes(&'static [&'static str]),
}

/// What a success is.
#[derive(Clone, Copy)]
pub enum Answer {
    /// 200 with an entity.
    Entity(&'static str),
    /// 201 with an entity.
    Made(&'static str),
    /// 200 with a page of a collection.
    List(&'static str),
    /// A status without a body.
    Status(u16),
    /// A status with a JSON object that is described elsewhere.
    Object(u16),
    /// 200 with bytes of this media type.
    Bytes(&'static str),
}

const ONE: &[&str] = &["$select", "$expand"];
const SELECT: &[&str] = &["$select"];
const PAGE: &[&str] = &["$select", "$top", "$skip", "$count"];
const ATTACHED: &[&str] = &["$select", "$expand", "$top", "$skip", "$count"];
const FOLDERS: &[&str] = &["$select", "$top", "$skip", "$count", "$filter", "$orderby", "$expand"];
const MAIL_FOLDERS: &[&str] =
    &["$select", "$top", "$skip", "$count", "$filter", "$orderby", "$expand", "includeHiddenFolders"];
const ITEMS: &[&str] = &["$select", "$top", "$skip", "$count", "$orderby", "$filter", "$expand"];
const MESSAGES: &[&str] = &["$select", "$top", "$skip", "$count", "$orderby", "$filter", "$expand", "$search"];
const COUNT: &[&str] = &["$filter"];
const FOLDER_DELTA: &[&str] = &["$deltatoken", "$skiptoken", "$select"];
const DELTA: &[&str] = &["$deltatoken", "$skiptoken", "$select", "changeType"];
const MESSAGE_DELTA: &[&str] =
    &["$deltatoken", "$skiptoken", "$select", "$expand", "$filter", "$orderby", "$top", "changeType"];
const WINDOW_DELTA: &[&str] = &["startDateTime", "endDateTime", "$deltatoken", "$skiptoken"];
const WINDOW: &[&str] =
    &["startDateTime!", "endDateTime!", "$select", "$top", "$skip", "$count", "$orderby", "$filter", "$expand"];
const PICTURE: Body = Body::Bytes(&["image/jpeg", "image/png"]);
const PLAIN: Answer = Answer::Bytes("text/plain");
const DESTINATION: Body = Body::Parameters(&[("destinationId!", "Edm.String")]);
const COMMENT: Body = Body::Parameters(&[("comment", "Edm.String")]);
const REPLY: Body = Body::Parameters(&[("comment", "Edm.String"), ("message", "graph.message")]);
const FORWARD: Body = Body::Parameters(&[
    ("comment", "Edm.String"),
    ("message", "graph.message"),
    ("toRecipients", "Collection(graph.recipient)"),
]);
const INVITE: Body = Body::Parameters(&[("comment", "Edm.String"), ("toRecipients!", "Collection(graph.recipient)")]);
const ACCEPT: Body = Body::Parameters(&[("comment", "Edm.String"), ("sendResponse", "Edm.Boolean")]);
const RESPOND: Body = Body::Parameters(&[
    ("comment", "Edm.String"),
    ("sendResponse", "Edm.Boolean"),
    ("proposedNewTime", "graph.timeSlot"),
]);
const SCHEDULE: Body = Body::Parameters(&[
    ("schedules!", "Collection(Edm.String)"),
    ("startTime!", "graph.dateTimeTimeZone"),
    ("endTime!", "graph.dateTimeTimeZone"),
    ("availabilityViewInterval", "Edm.Int32"),
]);
const TRANSLATE: Body = Body::Parameters(&[
    ("inputIds!", "Collection(Edm.String)"),
    ("sourceIdType!", "Edm.String"),
    ("targetIdType!", "Edm.String"),
]);

/// All routes, in the order of the description.
pub fn all() -> Vec<Route> {
    let mut routes = Vec::new();
    directory(&mut routes);
    mail(&mut routes);
    calendar(&mut routes);
    contacts(&mut routes);
    subscriptions(&mut routes);
    routes
}

struct Below<'a>(&'a mut Vec<Route>, bool);

impl Below<'_> {
    fn get(&mut self, path: &str, summary: &'static str, query: &'static [&'static str], answer: Answer) {
        self.add("GET", path, summary, query, Body::None, answer);
    }

    fn post(&mut self, path: &str, summary: &'static str, body: Body, answer: Answer) {
        self.add("POST", path, summary, &[], body, answer);
    }

    fn patch(&mut self, path: &str, summary: &'static str, entity: &'static str) {
        self.add("PATCH", path, summary, &[], Body::Entity(entity), Answer::Entity(entity));
    }

    fn delete(&mut self, path: &str, summary: &'static str) {
        self.add("DELETE", path, summary, &[], Body::None, Answer::Status(204));
    }

    fn add(
        &mut self,
        method: &'static str,
        path: &str,
        summary: &'static str,
        query: &'static [&'static str],
        body: Body,
        answer: Answer,
    ) {
        let (path, in_mailbox) = (path.to_owned(), self.1);
        self.0.push(Route { method, path, in_mailbox, summary, query, body, answer });
    }
}

fn directory(routes: &mut Vec<Route>) {
    let mut at = Below(routes, false);
    at.get("/$metadata", "The service in CSDL", &[], Answer::Bytes("application/xml"));
    at.post("/$batch", "Several requests in one", Body::Object, Answer::Object(200));
    at.get("/users", "Users of the tenant", PAGE, Answer::List("user"));
    let mut at = Below(routes, true);
    at.get("", "A user", SELECT, Answer::Entity("user"));
    at.post("/translateExchangeIds", "Ids in another form", TRANSLATE, Answer::Object(200));
    at.get("/mailboxSettings", "Settings of a mailbox", SELECT, Answer::Entity("mailboxSettings"));
    at.patch("/mailboxSettings", "Change settings of a mailbox", "mailboxSettings");
    at.get("/mailboxSettings/{setting}", "One of the settings", &[], Answer::Object(200));
    settings(&mut at, "/outlook/masterCategories", "outlookCategory", "{category-id}");
    settings(&mut at, "/inferenceClassification/overrides", "inferenceClassificationOverride", "{override-id}");
}

/// What a mailbox keeps a short list of.
fn settings(at: &mut Below<'_>, path: &str, entity: &'static str, key: &str) {
    at.get(path, "The whole list", &[], Answer::List(entity));
    at.post(path, "Add to the list", Body::Entity(entity), Answer::Made(entity));
    let one = format!("{path}/{key}");
    at.get(&one, "One of the list", &[], Answer::Entity(entity));
    at.patch(&one, "Change one of the list", entity);
    at.delete(&one, "Remove from the list");
}

/// What all collections of items of a kind have; `path` leads to one.
fn items(at: &mut Below<'_>, path: &str, entity: &'static str, key: &str, query: &'static [&'static str]) {
    at.get(path, "A page of items", query, Answer::List(entity));
    at.post(path, "Make an item", Body::Entity(entity), Answer::Made(entity));
    at.get(&format!("{path}/$count"), "How many items", COUNT, PLAIN);
    let delta = if entity == "message" { MESSAGE_DELTA } else { DELTA };
    at.get(&format!("{path}/delta"), "What has changed", delta, Answer::List(entity));
    at.get(&format!("{path}/{key}"), "An item", ONE, Answer::Entity(entity));
    at.patch(&format!("{path}/{key}"), "Change an item", entity);
    at.delete(&format!("{path}/{key}"), "Delete an item");
}

/// What all collections of folders have.
fn folders(at: &mut Below<'_>, path: &str, entity: &'static str, key: &str, query: &'static [&'static str]) {
    at.get(path, "A page of folders", query, Answer::List(entity));
    at.post(path, "Make a folder", Body::Entity(entity), Answer::Made(entity));
    at.get(&format!("{path}/$count"), "How many folders", COUNT, PLAIN);
    let one = format!("{path}/{key}");
    at.get(&one, "A folder", ONE, Answer::Entity(entity));
    at.patch(&one, "Change a folder", entity);
    at.delete(&one, "Delete a folder");
    at.post(&format!("{one}/permanentDelete"), "Remove a folder for good", Body::None, Answer::Status(204));
}

/// The folders below one.
fn children(at: &mut Below<'_>, folder: &str, entity: &'static str, query: &'static [&'static str]) {
    let path = format!("{folder}/childFolders");
    at.get(&path, "Folders below a folder", query, Answer::List(entity));
    at.post(&path, "Make a folder below", Body::Entity(entity), Answer::Made(entity));
    at.get(&format!("{path}/$count"), "How many folders below", COUNT, PLAIN);
}

/// What lies beside an item; `attached` if attachments do.
fn parts(at: &mut Below<'_>, one: &str, attached: bool) {
    at.post(&format!("{one}/permanentDelete"), "Remove an item for good", Body::None, Answer::Status(204));
    let all = format!("{one}/extensions");
    at.get(&all, "Extensions of an item", &[], Answer::Object(200));
    at.post(&all, "Extend an item", Body::Object, Answer::Object(201));
    let extension = format!("{all}/{{extension-id}}");
    at.get(&extension, "An extension", &[], Answer::Object(200));
    at.add("PATCH", &extension, "Change an extension", &[], Body::Object, Answer::Object(200));
    at.delete(&extension, "Remove an extension");
    if !attached {
        return;
    }
    let all = format!("{one}/attachments");
    at.get(&all, "Attachments of an item", ATTACHED, Answer::List("attachment"));
    at.post(&all, "Attach something", Body::Object, Answer::Made("attachment"));
    at.get(&format!("{all}/$count"), "How many attachments", &[], PLAIN);
    at.post(&format!("{all}/createUploadSession"), "Attach a large file", Body::Object, Answer::Object(201));
    let attachment = format!("{all}/{{attachment-id}}");
    at.get(&attachment, "An attachment", ONE, Answer::Entity("attachment"));
    at.delete(&attachment, "Take an attachment away");
    at.get(&format!("{attachment}/$value"), "The content of an attachment", &[], Answer::Bytes("*/*"));
}

fn mail(routes: &mut Vec<Route>) {
    let mut at = Below(routes, true);
    items(&mut at, "/messages", "message", "{message-id}", MESSAGES);
    let one = "/messages/{message-id}";
    parts(&mut at, one, true);
    at.get(&format!("{one}/$value"), "A message as MIME", &[], PLAIN);
    at.get(&format!("{one}/event"), "The event that a message is about", SELECT, Answer::Entity("event"));
    at.post(&format!("{one}/move"), "Move a message", DESTINATION, Answer::Made("message"));
    at.post(&format!("{one}/copy"), "Copy a message", DESTINATION, Answer::Made("message"));
    at.post(&format!("{one}/send"), "Send a draft", Body::None, Answer::Status(202));
    at.post(&format!("{one}/reply"), "Reply to the sender", REPLY, Answer::Status(202));
    at.post(&format!("{one}/replyAll"), "Reply to all", REPLY, Answer::Status(202));
    at.post(&format!("{one}/forward"), "Forward a message", FORWARD, Answer::Status(202));
    at.post(&format!("{one}/createReply"), "Draft a reply", REPLY, Answer::Made("message"));
    at.post(&format!("{one}/createReplyAll"), "Draft a reply to all", REPLY, Answer::Made("message"));
    at.post(&format!("{one}/createForward"), "Draft a forwarded message", FORWARD, Answer::Made("message"));
    let message = Body::Parameters(&[("message!", "graph.message"), ("saveToSentItems", "Edm.Boolean")]);
    at.post("/sendMail", "Send a message", message, Answer::Status(202));
    folders(&mut at, "/mailFolders", "mailFolder", "{mailFolder-id}", MAIL_FOLDERS);
    at.get("/mailFolders/delta", "What has changed", FOLDER_DELTA, Answer::List("mailFolder"));
    let folder = "/mailFolders/{mailFolder-id}";
    at.post(&format!("{folder}/move"), "Move a folder", DESTINATION, Answer::Entity("mailFolder"));
    at.post(&format!("{folder}/copy"), "Copy a folder", DESTINATION, Answer::Entity("mailFolder"));
    children(&mut at, folder, "mailFolder", MAIL_FOLDERS);
    items(&mut at, &format!("{folder}/messages"), "message", "{message-id}", MESSAGES);
}

fn calendar(routes: &mut Vec<Route>) {
    let mut at = Below(routes, true);
    items(&mut at, "/events", "event", "{event-id}", ITEMS);
    let one = "/events/{event-id}";
    parts(&mut at, one, true);
    at.get(&format!("{one}/calendar"), "The calendar of an event", SELECT, Answer::Entity("calendar"));
    at.get(&format!("{one}/instances"), "Occurrences of a series", WINDOW, Answer::List("event"));
    at.get(&format!("{one}/instances/delta"), "What has changed in a series", WINDOW_DELTA, Answer::List("event"));
    at.get(&format!("{one}/exceptionOccurrences"), "Occurrences that differ", ATTACHED, Answer::List("event"));
    at.post(&format!("{one}/accept"), "Accept an invitation", ACCEPT, Answer::Status(202));
    at.post(&format!("{one}/decline"), "Decline an invitation", RESPOND, Answer::Status(202));
    at.post(&format!("{one}/tentativelyAccept"), "Accept tentatively", RESPOND, Answer::Status(202));
    at.post(&format!("{one}/cancel"), "Call a meeting off", COMMENT, Answer::Status(202));
    at.post(&format!("{one}/forward"), "Forward an invitation", INVITE, Answer::Status(202));
    let later = Body::Parameters(&[("newReminderTime!", "graph.dateTimeTimeZone")]);
    at.post(&format!("{one}/snoozeReminder"), "Remind later", later, Answer::Status(200));
    at.post(&format!("{one}/dismissReminder"), "Remind no more", Body::None, Answer::Status(200));
    let reminders = "/reminderView(startDateTime='{startDateTime}',endDateTime='{endDateTime}')";
    at.get(reminders, "Reminders in a time window", &["$top", "$skip", "$count"], Answer::Object(200));
    at.get("/calendar", "The default calendar", ONE, Answer::Entity("calendar"));
    at.patch("/calendar", "Change the default calendar", "calendar");
    at.delete("/calendar", "Refused: the default calendar stays");
    folders(&mut at, "/calendars", "calendar", "{calendar-id}", FOLDERS);
    items(&mut at, "/calendars/{calendar-id}/events", "event", "{event-id}", ITEMS);
    for calendar in ["", "/calendar", "/calendars/{calendar-id}"] {
        let view = format!("{calendar}/calendarView");
        at.get(&view, "Occurrences in a time window", WINDOW, Answer::List("event"));
        at.get(&format!("{view}/delta"), "What has changed in it", WINDOW_DELTA, Answer::List("event"));
    }
    for calendar in ["/calendar", "/calendars/{calendar-id}"] {
        at.post(&format!("{calendar}/getSchedule"), "When people are busy", SCHEDULE, Answer::Object(200));
    }
    calendar_groups(&mut at);
}

/// Calendar groups, and the calendars of one.
fn calendar_groups(at: &mut Below<'_>) {
    at.get("/calendarGroups", "Calendar groups", PAGE, Answer::List("calendarGroup"));
    at.post("/calendarGroups", "Make a group", Body::Entity("calendarGroup"), Answer::Made("calendarGroup"));
    let one = "/calendarGroups/{calendarGroup-id}";
    at.get(one, "A calendar group", SELECT, Answer::Entity("calendarGroup"));
    at.patch(one, "Rename a group", "calendarGroup");
    at.delete(one, "Remove an empty group");
    at.get(&format!("{one}/calendars"), "Calendars of a group", FOLDERS, Answer::List("calendar"));
    let calendar = Body::Entity("calendar");
    at.post(&format!("{one}/calendars"), "Make a calendar in a group", calendar, Answer::Made("calendar"));
}

fn contacts(routes: &mut Vec<Route>) {
    let mut at = Below(routes, true);
    items(&mut at, "/contacts", "contact", "{contact-id}", ITEMS);
    let one = "/contacts/{contact-id}";
    parts(&mut at, one, false);
    at.post(&format!("{one}/move"), "Move a contact", DESTINATION, Answer::Made("contact"));
    at.get(&format!("{one}/photo"), "What the photo of a contact is", &[], Answer::Entity("profilePhoto"));
    at.get(&format!("{one}/photo/$value"), "The photo of a contact", &[], Answer::Bytes("image/*"));
    for path in ["photo", "photo/$value"] {
        let path = format!("{one}/{path}");
        at.add("PUT", &path, "Give a contact a photo", &[], PICTURE, Answer::Status(200));
        at.add("PATCH", &path, "Give a contact a photo", &[], PICTURE, Answer::Status(200));
        at.delete(&path, "Take the photo of a contact away");
    }
    folders(&mut at, "/contactFolders", "contactFolder", "{contactFolder-id}", FOLDERS);
    at.get("/contactFolders/delta", "What has changed", FOLDER_DELTA, Answer::List("contactFolder"));
    let folder = "/contactFolders/{contactFolder-id}";
    children(&mut at, folder, "contactFolder", FOLDERS);
    items(&mut at, &format!("{folder}/contacts"), "contact", "{contact-id}", ITEMS);
}

fn subscriptions(routes: &mut Vec<Route>) {
    let mut at = Below(routes, false);
    at.get("/subscriptions", "Subscriptions of the app", &["$skiptoken"], Answer::List("subscription"));
    let body = Body::Entity("subscription");
    at.post("/subscriptions", "Subscribe to changes", body, Answer::Made("subscription"));
    let one = "/subscriptions/{subscription-id}";
    at.get(one, "A subscription", &[], Answer::Entity("subscription"));
    at.patch(one, "Renew a subscription", "subscription");
    at.delete(one, "End a subscription");
    at.post(&format!("{one}/reauthorize"), "Reauthorize a subscription", Body::None, Answer::Status(204));
}
