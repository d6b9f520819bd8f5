//! What a `scope` parameter asks for: permissions of Graph in each of the forms that clients write them,
//! and the four scopes of OpenID Connect.

use std::collections::BTreeSet;

use notify::access;

use super::refusal::Refusal;

/// Graph's app id, which stands for it as a resource.
pub const GRAPH_ID: &str = "00000003-0000-0000-c000-000000000000";
pub const GRAPH_URL: &str = "https://graph.microsoft.com";
/// Names that Graph has in other clouds.
const GRAPH_ELSEWHERE: [&str; 4] = [
    "https://graph.microsoft.us",
    "https://dod-graph.microsoft.us",
    "https://microsoftgraph.chinacloudapi.cn",
    "https://canary.graph.microsoft.com",
];
/// Those of Event Grid's topics, and of Azure's management, which has two.
const EVENT_GRID_URL: &str = "https://eventgrid.azure.net";
const MANAGEMENT_URL: &str = "https://management.azure.com";
const MANAGEMENT_ELSEWHERE: &str = "https://management.core.windows.net";
const OPENID: [&str; 4] = ["openid", "profile", "email", "offline_access"];
const OFFLINE: &str = "offline_access";
const SCOPES_MAX: usize = 100;
const SCOPE_CHARS_MAX: usize = 200;

/// Which of the APIs that this server speaks a token is for. It is good for no other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Api {
    #[default]
    Graph,
    /// Publishing into topics and pulling from them.
    EventGrid,
    /// Topics and event subscriptions themselves.
    Management,
}

impl Api {
    /// What tokens for it have as their audience.
    pub fn url(self) -> &'static str {
        match self {
            Self::Graph => GRAPH_URL,
            Self::EventGrid => EVENT_GRID_URL,
            Self::Management => MANAGEMENT_URL,
        }
    }

    /// The API with this audience.
    pub fn of(audience: &str) -> Option<Self> {
        match audience.trim_end_matches('/') {
            GRAPH_URL | GRAPH_ID => Some(Self::Graph),
            EVENT_GRID_URL => Some(Self::EventGrid),
            MANAGEMENT_URL => Some(Self::Management),
            _ => None,
        }
    }
}

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes {
    /// Those of OpenID Connect, in lower case.
    openid: BTreeSet<&'static str>,
    /// Graph's permissions, by name.
    names: Vec<String>,
    /// `{resource}/.default` as it was written: everything that was consented to.
    default: Option<String>,
    /// What stands before a name in the caller's form: nothing, or `https://graph.microsoft.com/`.
    prefix: String,
    /// Whether the resource was named by its id.
    by_id: bool,
    api: Api,
}

impl Scopes {
    /// Reads a `scope` parameter as an app sends it: a name that was meant to be another one is refused.
    pub fn asked(text: &str, origin: &str, tenant: &str) -> Result<Self, Refusal> {
        let scopes = Self::read(text, origin, tenant)?;
        for name in scopes.names.iter().filter(|name| access::known(name).is_none()) {
            let meant = access::meant(name);
            if !meant.is_empty() {
                return Err(Refusal::ScopeMisspelt { scope: name.clone(), meant: meant.join(", ") });
            }
        }
        Ok(scopes)
    }

    /// Reads a `scope` parameter. `origin` is the caller's name of this server, which is a name of Graph.
    pub fn read(text: &str, origin: &str, tenant: &str) -> Result<Self, Refusal> {
        let mut scopes = Self::default();
        for (number, scope) in text.split_ascii_whitespace().enumerate() {
            if number >= SCOPES_MAX || scope.len() > SCOPE_CHARS_MAX {
                return Err(Refusal::ScopeInvalid(scope.to_owned()));
            }
            scopes.add(scope, origin, tenant)?;
        }
        if scopes.default.is_some() && !scopes.names.is_empty() {
            return Err(Refusal::MixedDefault);
        }
        Ok(scopes)
    }

    fn add(&mut self, scope: &str, origin: &str, tenant: &str) -> Result<(), Refusal> {
        if let Some(known) = OPENID.into_iter().find(|known| known.eq_ignore_ascii_case(scope)) {
            self.openid.insert(known);
            return Ok(());
        }
        let Some((resource, name)) = scope.rsplit_once('/') else {
            return self.add_name(scope, scope);
        };
        let resource = resource.trim_end_matches('/');
        if let Some(api) = other_api(resource) {
            return self.add_other(scope, name, api);
        }
        if !is_graph(resource, origin) {
            let (resource, tenant) = (resource.to_owned(), tenant.to_owned());
            return Err(Refusal::ResourceNotFound { resource, tenant });
        }
        if self.api != Api::Graph {
            return Err(Refusal::MixedDefault);
        }
        self.by_id |= resource.eq_ignore_ascii_case(GRAPH_ID);
        self.prefix = format!("{resource}/");
        if name.eq_ignore_ascii_case(".default") {
            self.default = Some(scope.to_owned());
            return Ok(());
        }
        self.add_name(scope, name)
    }

    /// Of the other APIs there is all or nothing.
    fn add_other(&mut self, scope: &str, name: &str, api: Api) -> Result<(), Refusal> {
        let is_all = [".default", "user_impersonation"].iter().any(|all| name.eq_ignore_ascii_case(all));
        if !is_all {
            return Err(Refusal::ScopeInvalid(scope.to_owned()));
        }
        if self.default.is_some() {
            return Err(Refusal::MixedDefault);
        }
        (self.api, self.default) = (api, Some(scope.to_owned()));
        Ok(())
    }

    fn add_name(&mut self, scope: &str, name: &str) -> Result<(), Refusal> {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || ".-_".contains(letter);
        if name.is_empty() || !name.chars().all(plain) || !name.starts_with(|first: char| first.is_ascii_alphanumeric())
        {
            return Err(Refusal::ScopeInvalid(scope.to_owned()));
        }
        if !self.names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            self.names.push(access::known(name).unwrap_or(name).to_owned());
        }
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.openid.is_empty() && self.names.is_empty() && self.default.is_none()
    }

    /// Whether a `.default`, and nothing else of Graph's, was asked for.
    pub fn is_default(&self) -> bool {
        self.default.is_some()
    }

    pub fn wants_id_token(&self) -> bool {
        self.openid.contains("openid")
    }

    pub fn wants_refresh_token(&self) -> bool {
        self.openid.contains(OFFLINE)
    }

    /// Graph's permissions that were asked for by name.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether the resource was named by its id, which is then the audience.
    pub fn by_id(&self) -> bool {
        self.by_id
    }

    pub fn api(&self) -> Api {
        self.api
    }

    /// What is given of it, where this was consented to.
    pub fn granted(&self, consented: &BTreeSet<String>) -> BTreeSet<String> {
        if self.default.is_some() {
            return consented.clone();
        }
        let asked = |name: &&String| self.names.iter().any(|asked| asked.eq_ignore_ascii_case(name));
        consented.iter().filter(asked).cloned().collect()
    }

    /// The `scp` of a token with these permissions.
    pub fn claim(&self, granted: &BTreeSet<String>) -> String {
        if self.api != Api::Graph {
            return "user_impersonation".to_owned();
        }
        let openid = self.openid.iter().copied().filter(|name| *name != OFFLINE);
        let names = granted.iter().map(String::as_str).chain(openid);
        names.collect::<Vec<_>>().join(" ")
    }

    /// The `scope` of the answer: the permissions in the form in which they were asked for.
    pub fn answered(&self, granted: &BTreeSet<String>) -> String {
        let granted = granted.iter().filter(|_| self.api == Api::Graph);
        let names = granted.map(|name| format!("{}{name}", self.prefix));
        let openid = self.openid.iter().filter(|name| **name != OFFLINE).map(|name| (*name).to_owned());
        names.chain(openid).chain(self.default.clone()).collect::<Vec<_>>().join(" ")
    }

    /// All of it, to be kept beside a code or refresh token and read again when that is redeemed.
    pub fn kept(&self) -> BTreeSet<String> {
        let openid = self.openid.iter().map(|name| (*name).to_owned());
        let names = self.names.iter().map(|name| format!("{}{name}", self.prefix));
        openid.chain(names).chain(self.default.clone()).collect()
    }
}

fn other_api(resource: &str) -> Option<Api> {
    let is = |url: &str| resource.eq_ignore_ascii_case(url);
    if is(EVENT_GRID_URL) {
        Some(Api::EventGrid)
    } else if is(MANAGEMENT_URL) || is(MANAGEMENT_ELSEWHERE) {
        Some(Api::Management)
    } else {
        None
    }
}

fn is_graph(resource: &str, origin: &str) -> bool {
    let known = [GRAPH_URL, GRAPH_ID, origin].into_iter().chain(GRAPH_ELSEWHERE);
    known.into_iter().any(|known| known.eq_ignore_ascii_case(resource))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Scopes, Refusal> {
        Scopes::read(text, "https://localhost:8443", "contoso.test")
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn permissions_come_in_every_form_and_are_answered_in_the_same() {
        let consented = set(&["Mail.Read", "User.Read"]);
        for (asked, claim, answered) in [
            ("Mail.Read openid", "Mail.Read openid", "Mail.Read openid"),
            ("mail.read offline_access", "Mail.Read", "Mail.Read"),
            ("https://graph.microsoft.com/Mail.Read", "Mail.Read", "https://graph.microsoft.com/Mail.Read"),
            ("https://localhost:8443/Mail.Read", "Mail.Read", "https://localhost:8443/Mail.Read"),
            (
                "https://graph.microsoft.com/.default profile",
                "Mail.Read User.Read profile",
                "https://graph.microsoft.com/Mail.Read https://graph.microsoft.com/User.Read profile \
                 https://graph.microsoft.com/.default",
            ),
            ("Calendars.Read", "", ""),
            ("openid", "openid", "openid"),
        ] {
            let scopes = read(asked).unwrap();
            let granted = scopes.granted(&consented);
            assert_eq!(
                (scopes.claim(&granted).as_str(), scopes.answered(&granted).as_str()),
                (claim, answered),
                "{asked}"
            );
            let kept = scopes.kept().into_iter().collect::<Vec<_>>().join(" ");
            let again = read(&kept).unwrap();
            assert_eq!((again.granted(&consented), again.kept()), (granted, scopes.kept()), "{asked}");
        }
        assert!(read(&format!("{GRAPH_ID}/.default")).unwrap().by_id());
        assert!(read("https://graph.microsoft.com//.default").unwrap().is_default());
    }

    #[test]
    fn a_token_is_for_graph_or_for_all_of_another_api() {
        let consented = set(&["Mail.Read"]);
        for (asked, api) in [
            ("https://eventgrid.azure.net/.default", Api::EventGrid),
            ("https://management.azure.com/.default", Api::Management),
            ("https://management.core.windows.net//.default", Api::Management),
            ("https://management.azure.com/user_impersonation openid", Api::Management),
        ] {
            let scopes = read(asked).unwrap();
            assert_eq!((scopes.api(), scopes.is_default()), (api, true), "{asked}");
            assert_eq!(scopes.claim(&consented), "user_impersonation");
            assert!(!scopes.answered(&consented).contains("Mail.Read"), "{asked}");
        }
        assert_eq!(read("Mail.Read").unwrap().api(), Api::Graph);
        assert_eq!(read("Mail.Read https://eventgrid.azure.net/.default"), Err(Refusal::MixedDefault));
        let both = "https://eventgrid.azure.net/.default https://management.azure.com/.default";
        assert_eq!(read(both), Err(Refusal::MixedDefault));
        assert!(matches!(read("https://eventgrid.azure.net/Mail.Read"), Err(Refusal::ScopeInvalid(_))));
    }

    #[test]
    fn a_misspelt_scope_is_refused_and_one_of_what_is_not_served_passes() {
        let asked = |text: &str| Scopes::asked(text, "https://localhost:8443", "contoso.test");
        let meant = "Mail.Read, Mail.Send, Mail.ReadBasic".to_owned();
        let misspelt = Refusal::ScopeMisspelt { scope: "Mail.Reed".to_owned(), meant };
        assert_eq!(asked("User.Read https://graph.microsoft.com/Mail.Reed"), Err(misspelt));
        let scopes = asked("mail.read Sites.Selected openid").unwrap();
        assert_eq!(scopes.names(), ["Mail.Read", "Sites.Selected"]);
        // What was kept by an earlier version is read all the same.
        assert_eq!(read("Mail.Reed").unwrap().names(), ["Mail.Reed"]);
    }

    #[test]
    fn what_is_no_scope_of_graph_is_refused() {
        let resource = "api://other".to_owned();
        let tenant = "contoso.test".to_owned();
        assert_eq!(read("api://other/.default"), Err(Refusal::ResourceNotFound { resource, tenant }));
        assert_eq!(read("Mail.Read https://graph.microsoft.com/.default"), Err(Refusal::MixedDefault));
        for bad in ["https://graph.microsoft.com/", "<script>", ".default", &"x".repeat(201), &"a ".repeat(101)] {
            assert!(matches!(read(bad), Err(Refusal::ScopeInvalid(_))), "{bad}");
        }
    }
}
