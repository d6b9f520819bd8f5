//! The one partner, and what is said of partners.

use serde::Deserialize;
use serde_json::Value;

use super::{Answered, Enveloped, Group, InvalidBody, PARTNER_NAME, PARTNER_REGISTRATION, read};

/// The partner configuration of a resource group. There is one partner, and it is always authorized.
pub fn partner_configuration(group: &Group) -> Answered<'static, Value> {
    let partner = serde_json::json!({
        "partnerName": PARTNER_NAME,
        "partnerRegistrationImmutableId": PARTNER_REGISTRATION,
    });
    Answered {
        id: format!("{group}/providers/Microsoft.EventGrid/partnerConfigurations/default"),
        name: "default".into(),
        resource_type: "Microsoft.EventGrid/partnerConfigurations",
        location: Some("global".into()),
        tags: None,
        properties: serde_json::json!({
            "partnerAuthorization": { "authorizedPartnersList": [partner] },
            "provisioningState": "Succeeded",
        }),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Partner {
    partner_registration_immutable_id: Option<String>,
    partner_name: Option<String>,
}

impl Partner {
    fn check(&self) -> Result<(), InvalidBody> {
        let is =
            |given: &Option<String>, own: &str| given.as_deref().is_none_or(|given| given.eq_ignore_ascii_case(own));
        let (id, name) = (&self.partner_registration_immutable_id, &self.partner_name);
        let names_any = id.is_some() || name.is_some();
        let is_ours = names_any && is(id, PARTNER_REGISTRATION) && is(name, PARTNER_NAME);
        if is_ours { Ok(()) } else { Err(InvalidBody::OtherPartner) }
    }
}

/// The body of `authorizePartner` and `unauthorizePartner`: the one partner.
pub fn check_partner(body: &[u8]) -> Result<(), InvalidBody> {
    read::<Partner>("a partner", body)?.check()
}

/// The body of a PUT of a partner configuration: no other partner than the one is authorized by it.
pub fn check_partner_configuration(body: &[u8]) -> Result<(), InvalidBody> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Authorization {
        authorized_partners_list: Option<Vec<Partner>>,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Properties {
        partner_authorization: Option<Authorization>,
    }
    let Enveloped::<Properties> { properties } = read("a partner configuration", body)?;
    let authorization = properties.and_then(|properties| properties.partner_authorization).unwrap_or_default();
    authorization.authorized_partners_list.unwrap_or_default().iter().try_for_each(Partner::check)
}
