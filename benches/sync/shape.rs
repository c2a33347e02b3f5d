//! The shapes of the measured tenants, and the pages they are served as.

/// A tenant to measure with.
pub struct Shape {
    pub name: &'static str,
    pub users: usize,
    pub groups: usize,
    pub members: usize,
    /// Objects changed in the incremental round.
    pub changes: usize,
}

/// Users on a page, as Graph serves them.
const USERS: usize = 200;
/// Links on a page of groups.
const LINKS: usize = 5000;

impl Shape {
    pub fn all() -> Vec<Shape> {
        vec![
            Shape { name: "A", users: 100_000, groups: 5_000, members: 20, changes: 1000 },
            Shape { name: "B", users: 50_000, groups: 5_000, members: 500, changes: 0 },
            // Only to compare memory with A.
            Shape { name: "A10", users: 10_000, groups: 500, members: 20, changes: 0 },
        ]
    }

    pub fn named(name: &str) -> Shape {
        Shape::all().into_iter().find(|shape| shape.name == name).expect("a shape")
    }

    /// Pages of users/delta, each a list of objects.
    pub fn user_pages(&self) -> Vec<String> {
        let all: Vec<String> = (0..self.users).map(|n| user(n, 0)).collect();
        all.chunks(USERS).map(|page| page.join(",")).collect()
    }

    /// Pages of groups/delta.
    pub fn group_pages(&self) -> Vec<String> {
        let all: Vec<String> = (0..self.groups).map(|n| self.group(n)).collect();
        all.chunks((LINKS / self.members).max(1)).map(|page| page.join(",")).collect()
    }

    /// The page of the incremental round.
    pub fn changed_users(&self) -> Vec<String> {
        let all: Vec<String> = (0..self.changes).map(|n| user(n * (self.users / self.changes.max(1)), 1)).collect();
        all.chunks(USERS).map(|page| page.join(",")).collect()
    }

    fn group(&self, n: usize) -> String {
        let mut random = fastrand::Rng::with_seed(n as u64 + 77);
        let mut chosen = std::collections::BTreeSet::new();
        while chosen.len() < self.members {
            chosen.insert(random.usize(..self.users));
        }
        let mut members: Vec<usize> = chosen.into_iter().collect();
        random.shuffle(&mut members);
        let members: Vec<String> =
            members.into_iter().map(|m| format!("{{\"@odata.type\":\"#microsoft.graph.user\",\"id\":\"{}\"}}", guid(m))).collect();
        format!(
            "{{\"id\":\"{}\",\"displayName\":\"Group {n}\",\"description\":\"The people of group {n}\",\"mailEnabled\":false,\"mailNickname\":\"g{n}\",\
             \"securityEnabled\":true,\"groupTypes\":[],\"createdDateTime\":\"2024-03-02T08:00:00Z\",\"visibility\":null,\"proxyAddresses\":[],\
             \"securityIdentifier\":\"S-1-12-1-{n}\",\"members@delta\":[{}]}}",
            guid(10_000_000 + n),
            members.join(",")
        )
    }
}

/// A GUID that looks random and is always the same for the same number.
fn guid(n: usize) -> String {
    let mut random = fastrand::Rng::with_seed(n as u64 ^ 0x5eed);
    uuid::Builder::from_random_bytes(random.u128(..).to_be_bytes()).into_uuid().to_string()
}

fn user(n: usize, version: usize) -> String {
    let manager = guid(n / 8);
    let department = ["Engineering", "Sales", "Finance", "Operations", "Legal & Compliance"][(n + version) % 5];
    format!(
        "{{\"id\":\"{id}\",\"userPrincipalName\":\"given.surname{n}@contoso.example\",\"displayName\":\"Given Sürname {n}\",\"givenName\":\"Given\",\
         \"surname\":\"Sürname {n}\",\"mail\":\"given.surname{n}@contoso.example\",\"mailNickname\":\"given.surname{n}\",\"accountEnabled\":true,\
         \"userType\":\"Member\",\"jobTitle\":\"Senior Engineer {version}\",\"department\":\"{department}\",\"companyName\":\"Contoso\",\
         \"officeLocation\":\"SEA-12/3210\",\"employeeId\":\"E{n:06}\",\"employeeType\":\"Employee\",\"employeeHireDate\":\"2020-01-02T00:00:00Z\",\
         \"businessPhones\":[\"+1 206 555 {n:04}\"],\"mobilePhone\":\"+1 206 555 9{n:04}\",\"streetAddress\":\"1420 5th Ave\",\"city\":\"Seattle\",\
         \"state\":\"WA\",\"postalCode\":\"98101\",\"country\":\"United States\",\"usageLocation\":\"US\",\"preferredLanguage\":\"en-US\",\
         \"otherMails\":[],\"proxyAddresses\":[\"SMTP:given.surname{n}@contoso.example\",\"smtp:g{n}@legacy.contoso.example\"],\
         \"createdDateTime\":\"2020-01-02T03:04:05Z\",\"lastPasswordChangeDateTime\":\"2026-05-06T07:08:09Z\",\
         \"signInSessionsValidFromDateTime\":\"2026-05-06T07:08:09Z\",\"onPremisesSyncEnabled\":true,\
         \"onPremisesLastSyncDateTime\":\"2026-11-20T01:02:03Z\",\"onPremisesSamAccountName\":\"gs{n}\",\"onPremisesDomainName\":\"corp.contoso.example\",\
         \"onPremisesImmutableId\":\"{n:022}==\",\"assignedLicenses\":[{{\"disabledPlans\":[],\"skuId\":\"05e9a617-0261-4cee-bb44-138d3ef5d965\"}}],\
         \"manager@delta\":[{{\"@odata.type\":\"#microsoft.graph.user\",\"id\":\"{manager}\"}}]}}",
        id = guid(n),
    )
}
