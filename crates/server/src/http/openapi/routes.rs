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
const PAGE: &[&str] = &["$select", "$top", "$skip", "$count"];
const ITEMS: &[&str] = &["$select", "$top", "$skip", "$count", "$orderby", "$filter", "$expand"];
const MESSAGES: &[&str] = &["$select", "$top", "$skip", "$count", "$orderby", "$filter", "$expand", "$search"];
const COUNT: &[&str] = &["$filter"];
const WINDOW: &[&str] = &["startDateTime!", "endDateTime!", "$select", "$top", "$skip", "$count", "$orderby"];
const PICTURE: Body = Body::Bytes(&["image/jpeg", "image/png"]);

/// All routes, in the order of the description.
pub fn all() -> Vec<Route> {
    let mut routes = Vec::new();
    directory(&mut routes);
    mail(&mut routes);
    calendar(&mut routes);
    meetings(&mut routes);
    occurrences(&mut routes);
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
    at.get("/users", "Users of the tenant", PAGE, Answer::List("user"));
    let mut at = Below(routes, true);
    at.get("", "A user", &["$select"], Answer::Entity("user"));
}

/// What all collections of items of a kind have; `path` leads to one.
fn items(at: &mut Below<'_>, path: &str, entity: &'static str, key: &str, query: &'static [&'static str]) {
    at.get(path, "A page of items", query, Answer::List(entity));
    at.post(path, "Make an item", Body::Entity(entity), Answer::Made(entity));
    at.get(&format!("{path}/{key}"), "An item", ONE, Answer::Entity(entity));
    at.patch(&format!("{path}/{key}"), "Change an item", entity);
    at.delete(&format!("{path}/{key}"), "Delete an item");
}

/// What all collections of folders have.
fn folders(at: &mut Below<'_>, path: &str, entity: &'static str, key: &str, query: &'static [&'static str]) {
    at.get(path, "A page of folders", query, Answer::List(entity));
    at.post(path, "Make a folder", Body::Entity(entity), Answer::Made(entity));
    let one = format!("{path}/{key}");
    at.get(&one, "A folder", &["$select"], Answer::Entity(entity));
    at.patch(&one, "Change a folder", entity);
    at.delete(&one, "Delete a folder");
}

/// What lies beside an item; `attached` if attachments do.
fn parts(at: &mut Below<'_>, one: &str, attached: bool) {
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
    at.get(&all, "Attachments of an item", PAGE, Answer::List("attachment"));
    at.post(&all, "Attach something", Body::Object, Answer::Made("attachment"));
    at.get(&format!("{all}/$count"), "How many attachments", &[], Answer::Bytes("text/plain"));
    at.post(&format!("{all}/createUploadSession"), "Attach a large file", Body::Object, Answer::Object(201));
    let attachment = format!("{all}/{{attachment-id}}");
    at.get(&attachment, "An attachment", &["$select"], Answer::Entity("attachment"));
    at.delete(&attachment, "Take an attachment away");
    at.get(&format!("{attachment}/$value"), "The content of an attachment", &[], Answer::Bytes("*/*"));
}

fn mail(routes: &mut Vec<Route>) {
    let mut at = Below(routes, true);
    items(&mut at, "/messages", "message", "{message-id}", MESSAGES);
    let one = "/messages/{message-id}";
    parts(&mut at, one, true);
    at.get(&format!("{one}/$value"), "A message as MIME", &[], Answer::Bytes("text/plain"));
    let destination = Body::Parameters(&[("destinationId!", "Edm.String")]);
    at.post(&format!("{one}/move"), "Move a message", destination, Answer::Made("message"));
    at.post(&format!("{one}/copy"), "Copy a message", destination, Answer::Made("message"));
    at.post(&format!("{one}/send"), "Send a draft", Body::None, Answer::Status(202));
    let message = Body::Parameters(&[("message!", "graph.message"), ("saveToSentItems", "Edm.Boolean")]);
    at.post("/sendMail", "Send a message", message, Answer::Status(202));
    folders(&mut at, "/mailFolders", "mailFolder", "{mailFolder-id}", PAGE);
    let folder = "/mailFolders/{mailFolder-id}";
    at.get(&format!("{folder}/childFolders"), "Folders below a folder", PAGE, Answer::List("mailFolder"));
    let below = Body::Entity("mailFolder");
    at.post(&format!("{folder}/childFolders"), "Make a folder below", below, Answer::Made("mailFolder"));
    items(&mut at, &format!("{folder}/messages"), "message", "{message-id}", MESSAGES);
}

fn calendar(routes: &mut Vec<Route>) {
    let mut at = Below(routes, true);
    items(&mut at, "/events", "event", "{event-id}", ITEMS);
    parts(&mut at, "/events/{event-id}", true);
    at.get("/calendar", "The default calendar", &["$select"], Answer::Entity("calendar"));
    at.patch("/calendar", "Change the default calendar", "calendar");
    at.delete("/calendar", "Refused: the default calendar stays");
    folders(&mut at, "/calendars", "calendar", "{calendar-id}", PAGE);
    items(&mut at, "/calendars/{calendar-id}/events", "event", "{event-id}", ITEMS);
    at.get("/events/{event-id}/calendar", "The calendar that holds an event", &["$select"], Answer::Entity("calendar"));
    folders(&mut at, "/calendarGroups", "calendarGroup", "{calendarGroup-id}", PAGE);
    let of_group = "/calendarGroups/{calendarGroup-id}/calendars";
    at.get(of_group, "The calendars of a group", PAGE, Answer::List("calendar"));
    at.post(of_group, "Make a calendar in a group", Body::Entity("calendar"), Answer::Made("calendar"));
}

fn meetings(routes: &mut Vec<Route>) {
    const COMMENT: (&str, &str) = ("comment", "Edm.String");
    const SEND: (&str, &str) = ("sendResponse", "Edm.Boolean");
    const PROPOSED: (&str, &str) = ("proposedNewTime", "graph.timeSlot");
    let mut at = Below(routes, true);
    let one = "/events/{event-id}";
    let mut act = |action: &str, summary: &'static str, parameters: &'static [(&'static str, &'static str)]| {
        at.post(&format!("{one}/{action}"), summary, Body::Parameters(parameters), Answer::Status(202));
    };
    act("accept", "Accept an invitation", &[COMMENT, SEND]);
    act("tentativelyAccept", "Accept an invitation with reserve", &[COMMENT, SEND, PROPOSED]);
    act("decline", "Decline an invitation", &[COMMENT, SEND, PROPOSED]);
    act("cancel", "Cancel a meeting and tell its attendees", &[COMMENT]);
    act("forward", "Invite others", &[("toRecipients!", "Collection(graph.recipient)"), COMMENT]);
    let event = "/messages/{message-id}/event";
    at.get(event, "The event that a meeting message is about", &["$select"], Answer::Entity("event"));
}

fn occurrences(routes: &mut Vec<Route>) {
    let mut at = Below(routes, true);
    for calendar in ["", "/calendar", "/calendars/{calendar-id}"] {
        let path = format!("{calendar}/calendarView");
        at.get(&path, "What a calendar holds in a time window, series expanded", WINDOW, Answer::List("event"));
    }
    let one = "/events/{event-id}";
    at.get(&format!("{one}/instances"), "Occurrences in a time window", WINDOW, Answer::List("event"));
    let differing = format!("{one}/exceptionOccurrences");
    at.get(&differing, "Occurrences that differ from their series", PAGE, Answer::List("event"));
    let time = Body::Parameters(&[("newReminderTime!", "graph.dateTimeTimeZone")]);
    at.post(&format!("{one}/snoozeReminder"), "Be reminded again later", time, Answer::Status(200));
    at.post(&format!("{one}/dismissReminder"), "Be reminded no more", Body::None, Answer::Status(200));
    let view = "/reminderView(startDateTime='{startDateTime}',endDateTime='{endDateTime}')";
    at.get(view, "Reminders of what is in a time window", &["$top", "$skip", "$count"], Answer::Object(200));
}

fn contacts(routes: &mut Vec<Route>) {
    let mut at = Below(routes, true);
    items(&mut at, "/contacts", "contact", "{contact-id}", ITEMS);
    let one = "/contacts/{contact-id}";
    parts(&mut at, one, false);
    let destination = Body::Parameters(&[("destinationId!", "Edm.String")]);
    at.post(&format!("{one}/move"), "Move a contact", destination, Answer::Made("contact"));
    at.get(&format!("{one}/photo"), "What the photo of a contact is", &[], Answer::Entity("profilePhoto"));
    at.get(&format!("{one}/photo/$value"), "The photo of a contact", &[], Answer::Bytes("image/*"));
    for path in ["photo", "photo/$value"] {
        let path = format!("{one}/{path}");
        at.add("PUT", &path, "Give a contact a photo", &[], PICTURE, Answer::Status(200));
        at.add("PATCH", &path, "Give a contact a photo", &[], PICTURE, Answer::Status(200));
        at.delete(&path, "Take the photo of a contact away");
    }
    folders(&mut at, "/contactFolders", "contactFolder", "{contactFolder-id}", PAGE);
    let folder = "/contactFolders/{contactFolder-id}";
    at.get(&format!("{folder}/childFolders"), "Folders below a folder", PAGE, Answer::List("contactFolder"));
    let below = Body::Entity("contactFolder");
    at.post(&format!("{folder}/childFolders"), "Make a folder below", below, Answer::Made("contactFolder"));
    items(&mut at, &format!("{folder}/contacts"), "contact", "{contact-id}", ITEMS);
}

fn subscriptions(routes: &mut Vec<Route>) {
    let mut at = Below(routes, false);
    at.get("/subscriptions", "Subscriptions of the app", &[], Answer::List("subscription"));
    let body = Body::Entity("subscription");
    at.post("/subscriptions", "Subscribe to changes", body, Answer::Made("subscription"));
    let one = "/subscriptions/{subscription-id}";
    at.get(one, "A subscription", &[], Answer::Entity("subscription"));
    at.patch(one, "Renew a subscription", "subscription");
    at.delete(one, "End a subscription");
    at.post(&format!("{one}/reauthorize"), "Reauthorize a subscription", Body::None, Answer::Status(204));
}
