//! Which tenant a path of the issuer means: an id, a domain, or one of the words for several.

use graph::TenantId;
use store::Tenant;

use super::refusal::Refusal;

/// The first segment of a path, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tenancy {
    /// `common`: accounts of any tenant, personal ones too.
    Common,
    /// `organizations`: accounts of any tenant but personal ones.
    Organizations,
    One(TenantId),
}

impl Tenancy {
    pub fn read(segment: &str, tenants: &[Tenant]) -> Result<Self, Refusal> {
        let word = segment.to_ascii_lowercase();
        match word.as_str() {
            "common" => return Ok(Self::Common),
            "organizations" => return Ok(Self::Organizations),
            "consumers" => return Ok(Self::One(TenantId::CONSUMERS)),
            _ => {}
        }
        let id: Option<TenantId> = word.parse().ok();
        let plain = |letter: char| letter.is_ascii_alphanumeric() || ".-".contains(letter);
        if id.is_none() && !(word.contains('.') && word.len() <= 253 && word.chars().all(plain)) {
            return Err(Refusal::TenantMalformed(segment.to_owned()));
        }
        let known = tenants.iter().find(|tenant| Some(tenant.id) == id || tenant.domain.eq_ignore_ascii_case(&word));
        known.map(|tenant| Self::One(tenant.id)).ok_or_else(|| Refusal::TenantNotFound(segment.to_owned()))
    }

    /// Whether accounts of a tenant sign in here.
    pub fn admits(self, tenant: TenantId) -> bool {
        match self {
            Self::Common => true,
            Self::Organizations => tenant != TenantId::CONSUMERS,
            Self::One(one) => one == tenant,
        }
    }

    /// The one tenant that it names, or else an app's home.
    pub fn or_home(self, home: TenantId) -> TenantId {
        match self {
            Self::One(one) => one,
            Self::Common | Self::Organizations => home,
        }
    }

    /// As it stands in published URLs: the tenant's id, or what clients put it in the place of.
    pub fn published(self) -> String {
        match self {
            Self::Common | Self::Organizations => "{tenantid}".to_owned(),
            Self::One(tenant) => tenant.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed;

    #[test]
    fn a_tenant_is_named_by_its_id_its_domain_or_a_word() {
        let tenants = [seed::tenant(), seed::consumers()];
        let read = |segment: &str| Tenancy::read(segment, &tenants);
        let contoso = Ok(Tenancy::One(seed::TENANT));
        assert_eq!((read("Contoso.TEST"), read(&seed::TENANT.to_string().to_uppercase())), (contoso.clone(), contoso));
        assert_eq!((read("COMMON"), read("organizations")), (Ok(Tenancy::Common), Ok(Tenancy::Organizations)));
        assert_eq!(read("consumers"), read("9188040d-6c67-4c5b-b112-36a304b66dad"));
        assert_eq!(read("fabrikam.test"), Err(Refusal::TenantNotFound("fabrikam.test".into())));
        for bad in ["contoso", "<b>.x", "", &"a.".repeat(200)] {
            assert!(matches!(read(bad), Err(Refusal::TenantMalformed(_))), "{bad}");
        }
    }

    #[test]
    fn personal_accounts_are_of_no_organization() {
        for (tenancy, work, personal) in [
            (Tenancy::Common, true, true),
            (Tenancy::Organizations, true, false),
            (Tenancy::One(TenantId::CONSUMERS), false, true),
            (Tenancy::One(seed::TENANT), true, false),
        ] {
            assert_eq!((tenancy.admits(seed::TENANT), tenancy.admits(TenantId::CONSUMERS)), (work, personal));
        }
    }
}
