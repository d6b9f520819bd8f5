//! The URL that names a partner topic instead of a receiver:
//! `EventGrid:?azuresubscriptionid=…&resourcegroup=…&partnertopic=…&location=…`. It is read and judged here; whether
//! there is such a topic is for others to say.

use serde::{Deserialize, Serialize};
use url::form_urlencoded;
use uuid::Uuid;

/// The longest URL that is looked at.
const URL_CHARS_MAX: usize = 1_024;

/// A partner topic by its place in Azure's order of things.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventGridUrl {
    pub azure_subscription: Uuid,
    pub resource_group: String,
    pub partner_topic: String,
    /// In lower case.
    pub location: String,
}

/// Why a URL names no partner topic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEventGridUrl {
    #[error("write the URL as EventGrid:?azuresubscriptionid=…&resourcegroup=…&partnertopic=…&location=…")]
    Form,
    #[error("the URL is longer than {URL_CHARS_MAX} characters")]
    TooLong,
    #[error("'{0}' is missing; write it into the query")]
    Missing(&'static str),
    #[error("'{0}' is given twice; give it once")]
    Repeated(&'static str),
    #[error("'{0}' is none of azuresubscriptionid, resourcegroup, partnertopic and location; leave it out")]
    Unknown(String),
    #[error("'azuresubscriptionid' is not a UUID")]
    AzureSubscription,
    #[error("'resourcegroup' must have 1 to 90 letters, digits and _ - . ( ), and not end with a dot")]
    ResourceGroup,
    #[error("'partnertopic' must have 3 to 50 letters from a to z, digits and hyphens")]
    PartnerTopic,
    #[error("'location' must be the name of a region, as westeurope, and not its display name")]
    Location,
}

/// Whether a URL says that it names a topic, rightly or not.
pub fn is_event_grid(url: &str) -> bool {
    url.split_once(':').is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("EventGrid"))
}

const NAMES: [&str; 4] = ["azuresubscriptionid", "resourcegroup", "partnertopic", "location"];

impl EventGridUrl {
    /// The scheme and the names are read in any case, and the names in any order.
    pub fn parse(url: &str) -> Result<Self, InvalidEventGridUrl> {
        if url.chars().count() > URL_CHARS_MAX {
            return Err(InvalidEventGridUrl::TooLong);
        }
        let rest = url.split_once(':').filter(|_| is_event_grid(url)).map(|(_, rest)| rest);
        let query = rest.and_then(|rest| rest.strip_prefix('?')).filter(|query| !query.contains('#'));
        let query = query.ok_or(InvalidEventGridUrl::Form)?;
        let mut values: [Option<String>; NAMES.len()] = Default::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = NAMES.iter().position(|known| name.eq_ignore_ascii_case(known));
            let place = place.ok_or_else(|| InvalidEventGridUrl::Unknown(name.chars().take(64).collect()))?;
            if values[place].replace(value.into_owned()).is_some() {
                return Err(InvalidEventGridUrl::Repeated(NAMES[place]));
            }
        }
        let mut take = |place: usize| values[place].take().ok_or(InvalidEventGridUrl::Missing(NAMES[place]));
        let (subscription, group, topic, location) = (take(0)?, take(1)?, take(2)?, take(3)?);
        let judged = |holds: bool, error| if holds { Ok(()) } else { Err(error) };
        judged(is_resource_group(&group), InvalidEventGridUrl::ResourceGroup)?;
        judged(is_partner_topic(&topic), InvalidEventGridUrl::PartnerTopic)?;
        judged(is_location(&location), InvalidEventGridUrl::Location)?;
        Ok(Self {
            azure_subscription: subscription.parse().map_err(|_| InvalidEventGridUrl::AzureSubscription)?,
            resource_group: group,
            partner_topic: topic,
            location: location.to_ascii_lowercase(),
        })
    }

    /// A topic's name is unique in its region, in any case.
    pub fn names_the_topic_of(&self, other: &Self) -> bool {
        self.location == other.location && self.partner_topic.eq_ignore_ascii_case(&other.partner_topic)
    }

    /// The same topic by its path in the management API, which knows no region.
    pub fn has_the_path_of(&self, other: &Self) -> bool {
        self.is_in_group(other.azure_subscription, &other.resource_group)
            && self.partner_topic.eq_ignore_ascii_case(&other.partner_topic)
    }

    /// Whether it lies in a resource group, which is named in any case.
    pub fn is_in_group(&self, azure_subscription: Uuid, resource_group: &str) -> bool {
        self.azure_subscription == azure_subscription
            && self.resource_group.to_lowercase() == resource_group.to_lowercase()
    }
}

fn is_resource_group(name: &str) -> bool {
    let is_plain = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.' | '(' | ')');
    (1..=90).contains(&name.chars().count()) && name.chars().all(is_plain) && !name.ends_with('.')
}

fn is_partner_topic(name: &str) -> bool {
    (3..=50).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_location(name: &str) -> bool {
    (1..=50).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Whatever is given as a URL gets a verdict with words.
#[doc(hidden)]
pub fn fuzz_event_grid_url(url: &str) {
    match EventGridUrl::parse(url) {
        Ok(topic) => assert!(is_event_grid(url) && topic.names_the_topic_of(&topic)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SUBSCRIPTION: &str = "8A8A8A8A-4B4B-4C4C-4D4D-12E12E12E12E";

    fn url(group: &str, topic: &str, location: &str) -> String {
        format!(
            "EventGrid:?azuresubscriptionid={SUBSCRIPTION}&resourcegroup={group}&partnertopic={topic}&location={location}"
        )
    }

    #[test]
    fn a_topic_is_named_in_any_case_and_order() {
        let expected = EventGridUrl::parse(&url("rg1", "mail-events", "westeurope")).unwrap();
        assert_eq!(expected.azure_subscription.to_string(), SUBSCRIPTION.to_lowercase());
        let other = format!(
            "eventgrid:?Location=WestEurope&partnerTopic=mail%2Devents&resourceGroup=rg1&azureSubscriptionId={SUBSCRIPTION}"
        );
        assert_eq!(EventGridUrl::parse(&other).unwrap(), expected);
    }

    #[test]
    fn a_topics_name_is_unique_in_its_region() {
        let topic = |group, name, location| EventGridUrl::parse(&url(group, name, location)).unwrap();
        let one = topic("rg1", "mail-events", "westeurope");
        assert!(one.names_the_topic_of(&topic("rg2", "Mail-Events", "WestEurope")));
        assert!(!one.names_the_topic_of(&topic("rg1", "mail-events", "northeurope")));
        assert!(!one.names_the_topic_of(&topic("rg1", "other-events", "westeurope")));
    }

    #[test]
    fn names_keep_azures_rules() {
        let refused =
            |group: &str, topic: &str, location: &str| EventGridUrl::parse(&url(group, topic, location)).err();
        assert_eq!(refused("a_b-c.(d)", "abc", "westus2"), None);
        assert_eq!(refused(&"a".repeat(90), &"a".repeat(50), "westus2"), None);
        for group in ["", "a.", "a%2Fb", "a+b", &"a".repeat(91)] {
            assert_eq!(refused(group, "abc", "westus2"), Some(InvalidEventGridUrl::ResourceGroup), "{group}");
        }
        for topic in ["ab", "a_b", "a.b", "a%20b", "äöü", &"a".repeat(51)] {
            assert_eq!(refused("rg", topic, "westus2"), Some(InvalidEventGridUrl::PartnerTopic), "{topic}");
        }
        for location in ["", "West%20Central%20US", "West+US", "west-us"] {
            assert_eq!(refused("rg", "abc", location), Some(InvalidEventGridUrl::Location), "{location}");
        }
    }

    #[test]
    fn refusals_of_topics_say_what_to_change() {
        let whole = url("rg", "abc", "westus2");
        let cases = [
            "https://hook.example.net/".to_owned(),
            "EventGrid".to_owned(),
            whole.replace(":?", "://?"),
            format!("{whole}#f"),
            whole.replace("&location=westus2", ""),
            format!("{whole}&LOCATION=westus2"),
            format!("{whole}&region=westus2"),
            whole.replace(SUBSCRIPTION, "1"),
            "EventGrid:?".to_owned(),
            format!("EventGrid:?{}", "a".repeat(2_000)),
            url("a/b", "abc", "westus2"),
            url("rg", "ab", "westus2"),
            url("rg", "abc", "West+US"),
        ];
        let texts: Vec<String> = cases.iter().map(|url| EventGridUrl::parse(url).unwrap_err().to_string()).collect();
        insta::assert_snapshot!(texts.join("\n"), @r"
        write the URL as EventGrid:?azuresubscriptionid=…&resourcegroup=…&partnertopic=…&location=…
        write the URL as EventGrid:?azuresubscriptionid=…&resourcegroup=…&partnertopic=…&location=…
        write the URL as EventGrid:?azuresubscriptionid=…&resourcegroup=…&partnertopic=…&location=…
        write the URL as EventGrid:?azuresubscriptionid=…&resourcegroup=…&partnertopic=…&location=…
        'location' is missing; write it into the query
        'location' is given twice; give it once
        'region' is none of azuresubscriptionid, resourcegroup, partnertopic and location; leave it out
        'azuresubscriptionid' is not a UUID
        'azuresubscriptionid' is missing; write it into the query
        the URL is longer than 1024 characters
        'resourcegroup' must have 1 to 90 letters, digits and _ - . ( ), and not end with a dot
        'partnertopic' must have 3 to 50 letters from a to z, digits and hyphens
        'location' must be the name of a region, as westeurope, and not its display name
        ");
    }

    proptest! {
        #[test]
        fn whatever_is_given_as_a_topics_url_gets_a_verdict(
            url in "(EventGrid|eventgrid|https)?:?[?]?((location|partnertopic|resourcegroup|azuresubscriptionid|\\PC)=(\\PC|%[0-9A-F]{2}){0,5}&){0,5}",
        ) {
            fuzz_event_grid_url(&url);
        }
    }
}
