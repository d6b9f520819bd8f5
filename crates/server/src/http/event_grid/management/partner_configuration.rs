//! `…/partnerConfigurations/default`: in Azure, who lets partners make topics in a resource group. Here there is one
//! partner, and it may: what asks for that is answered as done, and what asks for anything else is refused.

use protocol::event_grid::management::{Group, check_partner, check_partner_configuration, partner_configuration};

use super::super::Done;
use super::super::refusal::Refusal;

pub(super) fn get(group: &Group) -> Done {
    Done::ok(&partner_configuration(group))
}

pub(super) fn put(group: &Group, body: &[u8]) -> Result<Done, Refusal> {
    check_partner_configuration(body)?;
    Ok(get(group))
}

pub(super) fn authorize(group: &Group, body: &[u8]) -> Result<Done, Refusal> {
    check_partner(body)?;
    Ok(get(group))
}
