//! The types of a mailbox in the service description, name by name as Graph publishes them.

use roxmltree::{Document, Node};
use tidings_graph::schema::csdl;

/// The properties of the entity types and of the complex types, each with its type.
const PROPERTIES: &[(&str, &str)] = &[
    (
        "outlookItem",
        "categories String[], changeKey String, createdDateTime DateTimeOffset, \
         lastModifiedDateTime DateTimeOffset",
    ),
    (
        "message",
        "bccRecipients recipient[], body itemBody, bodyPreview String, ccRecipients recipient[], \
         conversationId String, conversationIndex Binary, flag followupFlag, from recipient, \
         hasAttachments Boolean, importance importance, \
         inferenceClassification inferenceClassificationType, \
         internetMessageHeaders internetMessageHeader[], internetMessageId String, \
         isDeliveryReceiptRequested Boolean, isDraft Boolean, isRead Boolean, \
         isReadReceiptRequested Boolean, parentFolderId String, receivedDateTime DateTimeOffset, \
         replyTo recipient[], sender recipient, sentDateTime DateTimeOffset, subject String, \
         toRecipients recipient[], uniqueBody itemBody, webLink String",
    ),
    (
        "event",
        "allowNewTimeProposals Boolean, attendees attendee[], body itemBody, bodyPreview String, \
         cancelledOccurrences String[], end dateTimeTimeZone, hasAttachments Boolean, \
         hideAttendees Boolean, iCalUId String, importance importance, isAllDay Boolean, \
         isCancelled Boolean, isDraft Boolean, isOnlineMeeting Boolean, isOrganizer Boolean, \
         isReminderOn Boolean, location location, locations location[], \
         onlineMeeting onlineMeetingInfo, onlineMeetingProvider onlineMeetingProviderType, \
         onlineMeetingUrl String, organizer recipient, originalEndTimeZone String, \
         originalStart DateTimeOffset, originalStartTimeZone String, recurrence patternedRecurrence, \
         reminderMinutesBeforeStart Int32, responseRequested Boolean, responseStatus responseStatus, \
         sensitivity sensitivity, seriesMasterId String, showAs freeBusyStatus, \
         start dateTimeTimeZone, subject String, transactionId String, type eventType, \
         webLink String",
    ),
    (
        "contact",
        "assistantName String, birthday DateTimeOffset, businessAddress physicalAddress, \
         businessHomePage String, businessPhones String[], children String[], companyName String, \
         department String, displayName String, emailAddresses emailAddress[], fileAs String, \
         generation String, givenName String, homeAddress physicalAddress, homePhones String[], \
         imAddresses String[], initials String, jobTitle String, manager String, middleName String, \
         mobilePhone String, nickName String, officeLocation String, otherAddress physicalAddress, \
         parentFolderId String, personalNotes String, primaryEmailAddress emailAddress, \
         profession String, secondaryEmailAddress emailAddress, spouseName String, surname String, \
         tertiaryEmailAddress emailAddress, title String, yomiCompanyName String, \
         yomiGivenName String, yomiSurname String",
    ),
    (
        "mailFolder",
        "childFolderCount Int32, displayName String, isHidden Boolean, parentFolderId String, \
         totalItemCount Int32, unreadItemCount Int32",
    ),
    (
        "mailboxSettings",
        "archiveFolder String, automaticRepliesSetting automaticRepliesSetting, dateFormat String, \
         delegateMeetingMessageDeliveryOptions delegateMeetingMessageDeliveryOptions, \
         language localeInfo, timeFormat String, timeZone String, userPurpose userPurpose, \
         workingHours workingHours",
    ),
    (
        "automaticRepliesSetting",
        "externalAudience externalAudienceScope, externalReplyMessage String, \
         internalReplyMessage String, scheduledEndDateTime dateTimeTimeZone, \
         scheduledStartDateTime dateTimeTimeZone, status automaticRepliesStatus",
    ),
    (
        "scheduleInformation",
        "availabilityView String, error freeBusyError, scheduleId String, scheduleItems scheduleItem[], \
         workingHours workingHours",
    ),
    (
        "scheduleItem",
        "end dateTimeTimeZone, isPrivate Boolean, location String, start dateTimeTimeZone, \
         status freeBusyStatus, subject String",
    ),
    ("freeBusyError", "message String, responseCode String"),
    ("localeInfo", "displayName String, locale String"),
    ("workingHours", "daysOfWeek dayOfWeek[], endTime TimeOfDay, startTime TimeOfDay, timeZone timeZoneBase"),
    (
        "mailSearchFolder",
        "filterQuery String, includeNestedFolders Boolean, isSupported Boolean, \
         sourceFolderIds String[]",
    ),
    ("contactFolder", "displayName String, parentFolderId String"),
    (
        "calendar",
        "allowedOnlineMeetingProviders onlineMeetingProviderType[], canEdit Boolean, \
         canShare Boolean, canViewPrivateItems Boolean, changeKey String, color calendarColor, \
         defaultOnlineMeetingProvider onlineMeetingProviderType, hexColor String, \
         isDefaultCalendar Boolean, isRemovable Boolean, isTallyingResponses Boolean, name String, \
         owner emailAddress",
    ),
    (
        "eventMessage",
        "endDateTime dateTimeTimeZone, isAllDay Boolean, isDelegated Boolean, isOutOfDate Boolean, \
         location location, meetingMessageType meetingMessageType, recurrence patternedRecurrence, \
         startDateTime dateTimeTimeZone, type eventType",
    ),
    (
        "eventMessageRequest",
        "allowNewTimeProposals Boolean, meetingRequestType meetingRequestType, \
         previousEndDateTime dateTimeTimeZone, previousLocation location, \
         previousStartDateTime dateTimeTimeZone, responseRequested Boolean",
    ),
    (
        "attachment",
        "contentType String, isInline Boolean, lastModifiedDateTime DateTimeOffset, name String, \
         size Int32",
    ),
    ("fileAttachment", "contentBytes Binary, contentId String, contentLocation String"),
    ("recipient", "emailAddress emailAddress"),
    ("emailAddress", "address String, name String"),
    ("itemBody", "content String, contentType bodyType"),
    ("dateTimeTimeZone", "dateTime String, timeZone String"),
    (
        "followupFlag",
        "completedDateTime dateTimeTimeZone, dueDateTime dateTimeTimeZone, \
         flagStatus followupFlagStatus, startDateTime dateTimeTimeZone",
    ),
    ("internetMessageHeader", "name String, value String"),
    (
        "location",
        "address physicalAddress, coordinates outlookGeoCoordinates, displayName String, \
         locationEmailAddress String, locationType locationType, locationUri String, \
         uniqueId String, uniqueIdType locationUniqueIdType",
    ),
    ("physicalAddress", "city String, countryOrRegion String, postalCode String, state String, street String"),
    (
        "outlookGeoCoordinates",
        "accuracy Double, altitude Double, altitudeAccuracy Double, latitude Double, \
         longitude Double",
    ),
    ("attendeeBase", "type attendeeType"),
    ("attendee", "proposedNewTime timeSlot, status responseStatus"),
    ("timeSlot", "end dateTimeTimeZone, start dateTimeTimeZone"),
    ("responseStatus", "response responseType, time DateTimeOffset"),
    ("patternedRecurrence", "pattern recurrencePattern, range recurrenceRange"),
    (
        "recurrencePattern",
        "dayOfMonth Int32, daysOfWeek dayOfWeek[], firstDayOfWeek dayOfWeek, index weekIndex, \
         interval Int32, month Int32, type recurrencePatternType",
    ),
    (
        "recurrenceRange",
        "endDate Date, numberOfOccurrences Int32, recurrenceTimeZone String, startDate Date, \
         type recurrenceRangeType",
    ),
    (
        "onlineMeetingInfo",
        "conferenceId String, joinUrl String, phones phone[], quickDial String, \
         tollFreeNumbers String[], tollNumber String",
    ),
    ("phone", "language String, number String, region String, type phoneType"),
    ("singleValueLegacyExtendedProperty", "value String"),
    ("multiValueLegacyExtendedProperty", "value String[]"),
];

/// The members of the enumerations in their order.
const MEMBERS: &[(&str, &str)] = &[
    ("importance", "low, normal, high"),
    ("bodyType", "text, html"),
    ("inferenceClassificationType", "focused, other"),
    ("followupFlagStatus", "notFlagged, complete, flagged"),
    ("sensitivity", "normal, personal, private, confidential"),
    ("freeBusyStatus", "unknown, free, tentative, busy, oof, workingElsewhere"),
    ("eventType", "singleInstance, occurrence, exception, seriesMaster"),
    ("responseType", "none, organizer, tentativelyAccepted, accepted, declined, notResponded"),
    ("attendeeType", "required, optional, resource"),
    (
        "locationType",
        "default, conferenceRoom, homeAddress, businessAddress, geoCoordinates, streetAddress, \
         hotel, restaurant, localBusiness, postalAddress",
    ),
    ("locationUniqueIdType", "unknown, locationStore, directory, private, bing"),
    ("recurrencePatternType", "daily, weekly, absoluteMonthly, relativeMonthly, absoluteYearly, relativeYearly"),
    ("recurrenceRangeType", "endDate, noEnd, numbered"),
    ("weekIndex", "first, second, third, fourth, last"),
    ("dayOfWeek", "sunday, monday, tuesday, wednesday, thursday, friday, saturday"),
    ("onlineMeetingProviderType", "unknown, skypeForBusiness, skypeForConsumer, teamsForBusiness"),
    (
        "calendarColor",
        "auto, lightBlue, lightGreen, lightOrange, lightGray, lightYellow, lightTeal, lightPink, \
         lightBrown, lightRed, maxColor",
    ),
    (
        "calendarRoleType",
        "none, freeBusyRead, limitedRead, read, write, delegateWithoutPrivateEventAccess, \
         delegateWithPrivateEventAccess, custom",
    ),
    (
        "meetingMessageType",
        "none, meetingRequest, meetingCancelled, meetingAccepted, meetingTenativelyAccepted, \
         meetingDeclined",
    ),
    (
        "meetingRequestType",
        "none, newMeetingRequest, fullUpdate, informationalUpdate, silentUpdate, outdated, \
         principalWantsCopy",
    ),
    ("automaticRepliesStatus", "disabled, alwaysEnabled, scheduled"),
    ("externalAudienceScope", "none, contactsOnly, all"),
    (
        "delegateMeetingMessageDeliveryOptions",
        "sendToDelegateAndInformationToPrincipal, sendToDelegateAndPrincipal, sendToDelegateOnly",
    ),
    ("userPurpose", "user, linked, shared, room, equipment, others, unknownFutureValue"),
    ("phoneType", "home, business, mobile, other, assistant, homeFax, businessFax, otherFax, pager, radio"),
];

fn named<'a, 'input>(document: &'a Document<'input>, tags: &[&str], name: &str) -> Node<'a, 'input> {
    let is = |node: &Node| tags.contains(&node.tag_name().name()) && node.attribute("Name") == Some(name);
    document.descendants().find(is).unwrap_or_else(|| panic!("{name} is not described"))
}

fn children<'a>(node: Node<'a, '_>, tag: &str) -> Vec<(&'a str, &'a str)> {
    let children = node.children().filter(|child| child.tag_name().name() == tag);
    children.map(|child| (child.attribute("Name").unwrap(), child.attribute("Type").unwrap_or_default())).collect()
}

/// `Collection(graph.recipient)` as the tables write it.
fn short(type_name: &str) -> String {
    let member = type_name.strip_prefix("Collection(").and_then(|rest| rest.strip_suffix(')'));
    let name = member.unwrap_or(type_name);
    let name = name.strip_prefix("Edm.").or_else(|| name.strip_prefix("graph.")).unwrap_or(name);
    format!("{name}{}", if member.is_some() { "[]" } else { "" })
}

#[test]
fn types_have_the_properties_that_graph_publishes() {
    let document = Document::parse(csdl()).unwrap();
    let mut wrong = Vec::new();
    for (name, published) in PROPERTIES {
        let node = named(&document, &["EntityType", "ComplexType"], name);
        let described: Vec<String> = children(node, "Property")
            .into_iter()
            .map(|(name, type_name)| format!("{name} {}", short(type_name)))
            .collect();
        let missing = published.split(", ").filter(|one| !described.iter().any(|described| described == one));
        wrong.extend(missing.map(|one| format!("{name}: {one}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn enumerations_have_the_members_that_graph_publishes() {
    let document = Document::parse(csdl()).unwrap();
    for (name, published) in MEMBERS {
        let described: Vec<&str> =
            children(named(&document, &["EnumType"], name), "Member").into_iter().map(|(name, _)| name).collect();
        assert_eq!(described.join(", "), *published, "{name}");
    }
}
