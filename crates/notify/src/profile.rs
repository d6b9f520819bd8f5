//! Limits and behaviours that Graph's documentation or observation gives, under one name.

use graph::Timestamp;

use crate::throttle::ThrottleLimits;

/// A named set of limits. Every value may be overridden in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub name: &'static str,
    /// The longest life of a subscription without resource data, counted from now.
    pub life_minutes_max: i64,
    /// The same of one with resource data.
    pub rich_life_minutes_max: i64,
    /// A shorter life is raised to this.
    pub life_minutes_min: i64,
    /// Live subscriptions for one mailbox, over all apps.
    pub subscriptions_per_mailbox_max: u64,
    /// The longest `clientState`, in characters.
    pub client_state_chars_max: usize,
    /// Whether an equal subscription of the same app and creator is refused with 409.
    pub refuse_duplicates: bool,
    /// Whether an event that the API made is written once more at once, so that `updated` follows `created`.
    pub events_are_written_twice: bool,
    /// Whether a failed handshake is refused with the name of the receiver's status in the message.
    pub handshake_names_status: bool,
    /// Whether a subscription of another app of the tenant is told apart from one that is not there.
    pub foreign_is_told: bool,
    /// Whether the end of the access token counts with which a subscription was authorized.
    pub token_expiry: TokenExpiry,
    /// How much one app may ask, where requests are throttled at all.
    pub throttle: ThrottleLimits,
}

/// What the end of an access token means to the subscriptions that were authorized with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenExpiry {
    Ignored,
    /// The app is asked to reauthorize before, and its subscription pauses then.
    Enforced,
}

impl TokenExpiry {
    /// When what is authorized with a token lapses that runs out at `token_expires`.
    pub fn lapses(self, token_expires: Option<Timestamp>) -> Option<Timestamp> {
        token_expires.filter(|_| self == TokenExpiry::Enforced)
    }
}

impl Profile {
    /// The figures of Microsoft's documentation of Outlook change notifications.
    pub const fn documented() -> Self {
        Self {
            name: "documented",
            // "Outlook message, event, contact: 4230 minutes (under three days)": subscription resource type, 2021 to 2023.
            life_minutes_max: 4_230,
            // "Outlook message, event, contact … 1440 minutes (under one day)" with resource data: the same page.
            rich_life_minutes_max: 1_440,
            // "values under 45 minutes are automatically set to 45 minutes": subscription resource type.
            life_minutes_min: 45,
            // "a maximum of 1,000 active subscriptions per mailbox for all applications": Outlook change notifications.
            subscriptions_per_mailbox_max: 1_000,
            // "The maximum length is 128 characters": subscription resource type, clientState.
            client_state_chars_max: 128,
            // "Subscription Id <> already exists for the requested combination", 409: create subscription.
            refuse_duplicates: true,
            // Nothing is documented of further writes.
            events_are_written_twice: false,
            // "Subscription validation request failed. Notification endpoint must respond with 200 OK to validation
            // request.": the text from 2022 to 2025.
            handshake_names_status: false,
            // "The object was not found.", 404: for ids that are somebody's too.
            foreign_is_told: false,
            // Lives of days beside tokens of an hour make sense only so; the page about lifecycle notifications counts
            // the end of the token all the same.
            token_expiry: TokenExpiry::Ignored,
            throttle: ThrottleLimits::documented(),
        }
    }

    /// What the live service is reported to do, where that differs.
    pub const fn observed() -> Self {
        Self {
            name: "observed",
            // "Subscription expiration can only be 10070 minutes in the future.": the service's own answer to more.
            life_minutes_max: 10_070,
            // "this is expected; use id and changeKey to find duplicates": Microsoft Q&A 5903442.
            events_are_written_twice: true,
            // "… HTTP status code is 'Forbidden'. …": the text since 2025.
            handshake_names_status: true,
            // "Subscription does not belong to application.": the service's answer to reading one of another app.
            foreign_is_told: true,
            ..Self::documented()
        }
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::documented()
    }
}
