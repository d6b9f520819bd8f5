//! The one table of what is served of Event Grid: each operation at each path, with its options, body and answers. Its
//! description is made of it, `Allow`, and the names of paths in metrics. The dispatcher does not read it; a test holds
//! the two together.

use protocol::event_grid::management::Resource;
use protocol::event_grid::pull::{Route, Settling};

use super::Asked;

/// A path, with names in place of what callers write.
pub struct Served {
    pub path: &'static str,
    pub operations: &'static [Operation],
}

/// What a method does there.
pub struct Operation {
    pub method: &'static str,
    /// As Azure's descriptions name it, or as they would.
    pub id: &'static str,
    pub summary: &'static str,
    /// Options of the query beside `api-version`; a `!` behind a name says that it is required.
    pub query: &'static [&'static str],
    pub body: Body,
    /// Each success, with the schema of its body; none where it has none. No success: it is always refused.
    pub answers: &'static [(u16, Option<&'static str>)],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    None,
    /// JSON of this schema.
    Json(&'static str),
    /// A CloudEvent, or a batch of them.
    Events,
}

const fn operation(
    (method, id): (&'static str, &'static str),
    summary: &'static str,
    body: Body,
    answers: &'static [(u16, Option<&'static str>)],
) -> Operation {
    Operation { method, id, summary, query: &[], body, answers }
}

const fn get(id: &'static str, summary: &'static str, answers: &'static [(u16, Option<&'static str>)]) -> Operation {
    operation(("GET", id), summary, Body::None, answers)
}

const fn post(
    id: &'static str,
    summary: &'static str,
    body: Body,
    answers: &'static [(u16, Option<&'static str>)],
) -> Operation {
    operation(("POST", id), summary, body, answers)
}

impl Operation {
    const fn with_query(self, query: &'static [&'static str]) -> Self {
        Self { query, ..self }
    }
}

const GONE: &[(u16, Option<&str>)] = &[(200, None), (204, None)];
const TOPIC: &[(u16, Option<&str>)] = &[(200, Some("PartnerTopic"))];
const TOPICS: &[(u16, Option<&str>)] = &[(200, Some("PartnerTopicsListResult"))];
const KEYS: &[(u16, Option<&str>)] = &[(200, Some("TopicSharedAccessKeys"))];
const EVENT_SUBSCRIPTION: &[(u16, Option<&str>)] = &[(201, Some("EventSubscription"))];
const CONFIGURATION: &[(u16, Option<&str>)] = &[(200, Some("PartnerConfiguration"))];
const SETTLED: &[(u16, Option<&str>)] = &[(200, Some("LockTokensResult"))];
const LOCK_TOKENS: Body = Body::Json("LockTokens");
const CONSENTED: &[(u16, Option<&str>)] = &[(200, Some("Consent"))];

macro_rules! topic {
    ($below:literal) => {
        concat!(
            "/subscriptions/{azure}/resourceGroups/{group}/providers/Microsoft.EventGrid/partnerTopics/{topic}",
            $below
        )
    };
}
macro_rules! configuration {
    ($below:literal) => {
        concat!(
            "/subscriptions/{azure}/resourceGroups/{group}/providers/Microsoft.EventGrid/partnerConfigurations/default",
            $below
        )
    };
}

/// All of it, in the order of the description.
pub static ALL: [Served; 21] = [
    Served {
        path: "/topics/{topic}:publish",
        operations: &[post("PublishCloudEvents", "Publish events", Body::Events, &[(200, Some("PublishResult"))])],
    },
    Served {
        path: "/topics/{topic}/eventsubscriptions/{subscription}:receive",
        operations: &[post("ReceiveCloudEvents", "Receive events", Body::None, &[(200, Some("ReceiveResult"))])
            .with_query(&["maxEvents", "maxWaitTime"])],
    },
    Served {
        path: "/topics/{topic}/eventsubscriptions/{subscription}:acknowledge",
        operations: &[post("AcknowledgeCloudEvents", "Be done with events", LOCK_TOKENS, SETTLED)],
    },
    Served {
        path: "/topics/{topic}/eventsubscriptions/{subscription}:release",
        operations: &[
            post("ReleaseCloudEvents", "Give events back", LOCK_TOKENS, SETTLED).with_query(&["releaseDelayInSeconds"])
        ],
    },
    Served {
        path: "/topics/{topic}/eventsubscriptions/{subscription}:reject",
        operations: &[post("RejectCloudEvents", "Give events up", LOCK_TOKENS, SETTLED)],
    },
    Served {
        path: "/topics/{topic}/eventsubscriptions/{subscription}:renewLock",
        operations: &[post("RenewCloudEventLocks", "Keep events locked", LOCK_TOKENS, SETTLED)],
    },
    Served {
        path: "/subscriptions/{azure}/providers/Microsoft.EventGrid/partnerTopics",
        operations: &[get("PartnerTopics_ListBySubscription", "Topics of a subscription", TOPICS)],
    },
    Served {
        path: "/subscriptions/{azure}/resourceGroups/{group}/providers/Microsoft.EventGrid/partnerTopics",
        operations: &[get("PartnerTopics_ListByResourceGroup", "Topics of a resource group", TOPICS)],
    },
    Served {
        path: topic!(""),
        operations: &[
            get("PartnerTopics_Get", "A topic", TOPIC),
            operation(
                ("PUT", "PartnerTopics_CreateOrUpdate"),
                "Make a topic, or change it",
                Body::Json("PartnerTopic.written"),
                &[(200, Some("PartnerTopic")), (201, Some("PartnerTopic"))],
            ),
            operation(
                ("PATCH", "PartnerTopics_Update"),
                "Change the tags of a topic",
                Body::Json("PartnerTopicUpdateParameters"),
                TOPIC,
            ),
            operation(("DELETE", "PartnerTopics_Delete"), "Remove a topic with its events", Body::None, GONE),
        ],
    },
    Served {
        path: topic!("/activate"),
        operations: &[post("PartnerTopics_Activate", "Let events into a topic", Body::None, TOPIC)],
    },
    Served {
        path: topic!("/deactivate"),
        operations: &[post("PartnerTopics_Deactivate", "Let no more events into a topic", Body::None, TOPIC)],
    },
    Served {
        path: topic!("/listKeys"),
        operations: &[post("PartnerTopics_ListSharedAccessKeys", "The keys of a topic", Body::None, KEYS)],
    },
    Served {
        path: topic!("/regenerateKey"),
        operations: &[post(
            "PartnerTopics_RegenerateKey",
            "Replace a key of a topic",
            Body::Json("TopicRegenerateKeyRequest"),
            KEYS,
        )],
    },
    Served {
        path: topic!("/eventSubscriptions"),
        operations: &[get(
            "PartnerTopicEventSubscriptions_ListByPartnerTopic",
            "Event subscriptions of a topic",
            &[(200, Some("EventSubscriptionsListResult"))],
        )],
    },
    Served {
        path: topic!("/eventSubscriptions/{subscription}"),
        operations: &[
            get("PartnerTopicEventSubscriptions_Get", "An event subscription", &[(200, Some("EventSubscription"))]),
            operation(
                ("PUT", "PartnerTopicEventSubscriptions_CreateOrUpdate"),
                "Make an event subscription, or replace it",
                Body::Json("EventSubscription.written"),
                EVENT_SUBSCRIPTION,
            ),
            operation(
                ("PATCH", "PartnerTopicEventSubscriptions_Update"),
                "Change an event subscription",
                Body::Json("EventSubscriptionUpdateParameters"),
                EVENT_SUBSCRIPTION,
            ),
            operation(
                ("DELETE", "PartnerTopicEventSubscriptions_Delete"),
                "Remove an event subscription",
                Body::None,
                GONE,
            ),
        ],
    },
    Served {
        path: topic!("/eventSubscriptions/{subscription}/getFullUrl"),
        operations: &[post(
            "PartnerTopicEventSubscriptions_GetFullUrl",
            "The whole URL that events are pushed to",
            Body::None,
            &[(200, Some("EventSubscriptionFullUrl"))],
        )],
    },
    Served {
        path: topic!("/eventSubscriptions/{subscription}/getDeliveryAttributes"),
        operations: &[post(
            "PartnerTopicEventSubscriptions_GetDeliveryAttributes",
            "The headers that are added to what is pushed",
            Body::None,
            &[(200, Some("DeliveryAttributeListResult"))],
        )],
    },
    Served {
        path: configuration!(""),
        operations: &[
            get("PartnerConfigurations_Get", "Which partners may make topics: the one", CONFIGURATION),
            operation(
                ("PUT", "PartnerConfigurations_CreateOrUpdate"),
                "Let the one partner make topics, as it may",
                Body::Json("PartnerConfiguration.written"),
                CONFIGURATION,
            ),
        ],
    },
    Served {
        path: configuration!("/authorizePartner"),
        operations: &[post(
            "PartnerConfigurations_AuthorizePartner",
            "Let the one partner make topics, as it may",
            Body::Json("Partner"),
            CONFIGURATION,
        )],
    },
    Served {
        path: configuration!("/unauthorizePartner"),
        operations: &[post(
            "PartnerConfigurations_UnauthorizePartner",
            "Refused: the one partner may always make topics",
            Body::Json("Partner"),
            &[],
        )],
    },
    Served {
        path: "/event-grid/validate/{topic}/{subscription}",
        operations: &[
            get("ValidateEndpoint", "Consent to be pushed to, by the URL of a handshake", CONSENTED)
                .with_query(&["code!"]),
            post("ValidateEndpointByPost", "The same", Body::None, CONSENTED).with_query(&["code!"]),
        ],
    },
];

/// What is served where something was asked for; `None`: of the management of something that is not there.
pub fn served(asked: &Asked<'_>) -> Option<&'static Served> {
    let place = match asked {
        Asked::Data(Route::Publish { .. }) => 0,
        Asked::Data(Route::Receive { .. }) => 1,
        Asked::Data(Route::Settle { how: Settling::Acknowledge, .. }) => 2,
        Asked::Data(Route::Settle { how: Settling::Release, .. }) => 3,
        Asked::Data(Route::Settle { how: Settling::Reject, .. }) => 4,
        Asked::Data(Route::Settle { how: Settling::RenewLock, .. }) => 5,
        Asked::Management(Some(resource)) => match resource {
            Resource::Topics { group: None, .. } => 6,
            Resource::Topics { group: Some(_), .. } => 7,
            Resource::Topic(_) => 8,
            Resource::Activate(_) => 9,
            Resource::Deactivate(_) => 10,
            Resource::Keys(_) => 11,
            Resource::RegenerateKey(_) => 12,
            Resource::EventSubscriptions(_) => 13,
            Resource::EventSubscription(..) => 14,
            Resource::FullUrl(..) => 15,
            Resource::DeliveryAttributes(..) => 16,
            Resource::PartnerConfiguration(_) => 17,
            Resource::AuthorizePartner(_) => 18,
            Resource::UnauthorizePartner(_) => 19,
        },
        Asked::Callback(_) => 20,
        Asked::Management(None) => return None,
    };
    Some(&ALL[place])
}

impl Served {
    /// The methods, for `Allow`.
    pub fn methods(&self) -> String {
        let mut methods: Vec<&str> = self.operations.iter().map(|operation| operation.method).collect();
        methods.sort_unstable();
        methods.join(", ")
    }

    /// The path, with names that can be.
    pub fn sample_path(&self) -> String {
        let azure = "8d4f6d16-47a1-4b9c-9b4f-0c7e4fbd5d3a";
        // The topics of callbacks are named by their ids.
        let topic = if self.path.starts_with("/event-grid") { azure } else { "mail" };
        let sample = self.path.replace("{azure}", azure).replace("{group}", "rg1").replace("{topic}", topic);
        sample.replace("{subscription}", "worker")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::event_grid::asked;

    #[test]
    fn what_is_asked_for_is_found_in_the_table_of_event_grid_at_its_own_path() {
        for each in &ALL {
            let path = each.sample_path();
            let found = asked(&path).and_then(|asked| served(&asked));
            assert_eq!(found.map(|found| found.path), Some(each.path));
        }
    }
}
