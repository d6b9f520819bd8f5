//! The report that a sender gets when an address of the own organisation has no mailbox.

use serde_json::json;

use super::answer::continue_thread;
use super::send::Sent;
use super::{Fresh, Owner, receive, text};
use crate::{Properties, Refusal, WellKnown};

/// How many addresses a report names.
const NAMED_MAX: usize = 20;

/// Adds to what sending writes a report to the sender's Inbox that `addresses` could not be reached.
pub fn report_undeliverable(
    owner: &Owner,
    fresh: &Fresh,
    sent: &mut Sent,
    addresses: &[String],
) -> Result<(), Refusal> {
    let domain = owner.address.rsplit_once('@').map_or(owner.address.as_str(), |(_, domain)| domain);
    let subject = text(&sent.message, "subject");
    let named = addresses.iter().take(NAMED_MAX).map(|address| format!("{address}\r\n")).collect::<String>();
    let content = format!(
        "Delivery has failed to these recipients:\r\n\r\n{named}\r\nThe address wasn't found at {domain}.\r\n\r\n\
         Subject: {subject}\r\nMessage-ID: {}\r\n",
        text(&sent.message, "internetMessageId"),
    );
    let postmaster = json!({ "emailAddress": { "name": "Postmaster", "address": format!("postmaster@{domain}") } });
    let mut report = Properties::new();
    for (name, value) in [
        ("subject", json!(format!("Undeliverable: {subject}"))),
        ("body", json!({ "contentType": "text", "content": content })),
        ("from", postmaster.clone()),
        ("sender", postmaster),
        ("toRecipients", json!([{ "emailAddress": { "name": owner.name, "address": owner.address } }])),
    ] {
        report.insert(name.to_owned(), value);
    }
    continue_thread(fresh, &sent.message, &mut report);
    let written = receive(owner, fresh, WellKnown::Inbox.id_in(owner.id), report)?.mutation;
    let mutation = &mut sent.mutation;
    mutation.expect.extend(written.expect);
    mutation.puts.extend(written.puts);
    mutation.changes.extend(written.changes);
    Ok(())
}
