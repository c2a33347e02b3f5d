//! The simulator is as strict as Graph: what Graph refuses is refused, with Graph's status and code; asked over a socket.

use serde_json::{Value, json};

use super::{Kind, Premium, Quirks, Simulator, Tenant, TenantOptions};

struct World {
    simulator: Simulator,
    tenant: Tenant,
    http: reqwest::Client,
    bearer: String,
}

async fn world(options: TenantOptions) -> World {
    let simulator = Simulator::start_local().await.expect("a simulator");
    let tenant = simulator.add_tenant(options);
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let mut world = World { simulator, tenant, http, bearer: String::new() };
    let (status, token) = world.token("client_credentials", &world.tenant.client_secret()).await;
    assert_eq!(status, 200, "{token}");
    world.bearer = token["access_token"].as_str().expect("a token").to_owned();
    world
}

impl World {
    async fn token(&self, grant: &str, secret: &str) -> (u16, Value) {
        let origin = self.simulator.origin();
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", grant)
            .append_pair("client_id", self.tenant.client_id())
            .append_pair("client_secret", secret)
            .append_pair("scope", &format!("{origin}/.default"))
            .finish();
        let url = format!("{origin}/{}/oauth2/v2.0/token", self.tenant.tenant_id());
        let sent =
            self.http.post(url).header("content-type", "application/x-www-form-urlencoded").body(body).send().await.expect("an answer");
        (sent.status().as_u16(), sent.json().await.expect("JSON"))
    }

    async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> (u16, Value) {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}/v1.0/{path}", self.simulator.origin()) };
        let mut request = self.http.get(url).header("authorization", format!("Bearer {}", self.bearer));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = request.send().await.expect("an answer");
        let status = sent.status().as_u16();
        (status, serde_json::from_slice(&sent.bytes().await.expect("a body")).unwrap_or_default())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.get_with(path, &[]).await
    }

    /// Follows a chain to its end: all objects, and the delta link where there is one.
    async fn chain(&self, path: &str) -> (Vec<Value>, Option<String>) {
        let (mut objects, mut next) = (Vec::new(), Some(path.to_owned()));
        let mut delta = None;
        while let Some(link) = next.take() {
            let (status, page) = self.get(&link).await;
            assert_eq!(status, 200, "{page}");
            objects.extend(page["value"].as_array().expect("value").iter().cloned());
            next = page["@odata.nextLink"].as_str().map(str::to_owned);
            delta = page["@odata.deltaLink"].as_str().map(str::to_owned);
            assert!(next.is_none() || delta.is_none(), "never both links");
        }
        (objects, delta)
    }
}

fn plain(people: usize) -> TenantOptions {
    TenantOptions { quirks: Quirks::none(), ..TenantOptions::new("contoso", 1, people) }
}

#[tokio::test]
async fn what_graph_refuses_is_refused_as_graph_refuses_it() {
    let world = world(plain(60)).await;
    let too_many: Vec<String> = (0..51).map(|n| format!("id eq '{n}'")).collect();
    for (path, status, code) in [
        ("users?$select=id,nonsense", 400, "BadRequest"),
        ("users?$select=id,aboutMe", 501, "NotImplemented"),
        ("users/delta?$select=id,nonsense", 400, "BadRequest"),
        ("users/delta?$expand=manager", 400, "Request_UnsupportedQuery"),
        ("users/delta?$orderby=displayName", 400, "Request_UnsupportedQuery"),
        (&format!("users/delta?$filter={}", too_many.join(" or ")), 400, "Request_BadRequest"),
        ("users/delta?$filter=displayName eq 'a'", 400, "Request_UnsupportedQuery"),
        ("users/delta?$skiptoken=nonsense", 400, "Directory_ExpiredPageToken"),
        ("users?$top=1000", 400, "Request_BadRequest"),
        ("users?$filter=endsWith(mail,'a')", 400, "Request_UnsupportedQuery"),
        ("users?$skiptoken=nonsense", 400, "Directory_ExpiredPageToken"),
        ("subscribedSkus?$filter=skuPartNumber eq 'A'", 400, "Request_UnsupportedQuery"),
        ("subscribedSkus?$top=5", 400, "Request_BadRequest"),
        ("roleManagement/directory/roleAssignments/delta", 400, "Request_BadRequest"),
        ("users/00000000-0000-0000-0000-000000000000", 404, "Request_ResourceNotFound"),
        ("nowhere", 400, "Request_BadRequest"),
    ] {
        let (found, body) = world.get(path).await;
        assert_eq!((found, body["error"]["code"].as_str()), (status, Some(code)), "{path}: {body}");
        assert!(body["error"]["innerError"]["request-id"].is_string(), "{path}: {body}");
    }
    let eventual = [("ConsistencyLevel", "eventual")];
    assert_eq!(world.get_with("users?$filter=endsWith(mail,'example')&$count=true", &eventual).await.0, 200);
}

#[tokio::test]
async fn permissions_tokens_and_licences_decide() {
    let world = world(TenantOptions { premium: Premium::Free, ..plain(20) }).await;
    let (status, body) = world.get("roleManagement/directory/roleEligibilityScheduleInstances").await;
    assert_eq!((status, body["error"]["code"].as_str()), (400, Some("AadPremiumLicenseRequired")));
    let (status, body) = world.token("client_credentials", "wrong").await;
    assert_eq!((status, body["error"].as_str(), &body["error_codes"][0]), (401, Some("invalid_client"), &json!(7_000_215)));
    assert!(body["trace_id"].is_string() && body["correlation_id"].is_string() && body["timestamp"].is_string(), "{body}");
    world.tenant.set_permissions(&["Device.Read.All"]);
    let (_, token) = world.token("client_credentials", &world.tenant.client_secret()).await;
    let poor = World { bearer: token["access_token"].as_str().expect("a token").to_owned(), ..world };
    let (status, body) = poor.get("users").await;
    assert_eq!((status, body["error"]["code"].as_str()), (403, Some("Authorization_RequestDenied")));
    assert_eq!(poor.get("devices").await.0, 200);
    let nobody = World { bearer: "nonsense".into(), ..poor };
    let (status, body) = nobody.get("devices").await;
    assert_eq!((status, body["error"]["code"].as_str()), (401, Some("InvalidAuthenticationToken")));
}

#[tokio::test]
async fn listings_page_and_count_as_documented() {
    let world = world(plain(150)).await;
    let (first, body) = world.get("users?$select=id&$top=50&$count=true").await;
    assert_eq!(first, 200);
    let live = world.tenant.ids(Kind::User).len();
    assert_eq!(body["@odata.count"], json!(live));
    let next = body["@odata.nextLink"].as_str().expect("more");
    let (_, second) = world.get(next).await;
    assert!(second["@odata.count"].is_null(), "the count comes on the first page only");
    let (all, _) = world.chain("users?$select=id&$top=50").await;
    let mut ids: Vec<&str> = all.iter().filter_map(|user| user["id"].as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), live);
    // A filter that needs the index: the header is needed on every page of the chain.
    let advanced = "users?$select=id&$top=20&$count=true&$filter=endsWith(mail,'contoso.example')";
    let (status, page) = world.get_with(advanced, &[("ConsistencyLevel", "eventual")]).await;
    assert_eq!(status, 200);
    let next = page["@odata.nextLink"].as_str().expect("more");
    let (status, body) = world.get(next).await;
    assert_eq!((status, body["error"]["code"].as_str()), (400, Some("Directory_ExpiredPageToken")));
    assert_eq!(world.get_with(next, &[("ConsistencyLevel", "eventual")]).await.0, 200);
    let (_, roles) = world.get("directoryRoles").await;
    assert!(roles["@odata.nextLink"].is_null());
}

#[tokio::test]
async fn delta_rounds_tell_what_changed_and_nothing_else() {
    let world = world(plain(120)).await;
    let select = "users/delta?$select=id,displayName,jobTitle,manager";
    let (first, delta) = world.chain(select).await;
    assert_eq!(first.len(), world.tenant.ids(Kind::User).len());
    let delta = delta.expect("a delta link");
    let (nothing, again) = world.chain(&delta).await;
    assert!(nothing.is_empty());
    assert_ne!(again.as_deref(), Some(delta.as_str()), "the token differs although nothing changed");
    let ids = world.tenant.ids(Kind::User);
    world.tenant.update(&ids[3], json!({"jobTitle": null}));
    world.tenant.update(&ids[4], json!({"department": "not selected"}));
    world.tenant.delete(&ids[1]);
    let (changes, _) = world.chain(&delta).await;
    let of = |id: &str| changes.iter().find(|change| change["id"] == id);
    assert_eq!(of(&ids[3]).map(|change| change["jobTitle"].is_null() && change["displayName"].is_string()), Some(true));
    assert_eq!(of(&ids[1]).map(|change| change["@removed"]["reason"].clone()), Some(json!("changed")));
    let (minimal_status, minimal) = world.get_with(&delta, &[("Prefer", "return=minimal")]).await;
    assert_eq!(minimal_status, 200);
    let cleared = minimal["value"].as_array().expect("value").iter().find(|change| change["id"] == ids[3].as_str()).expect("the change");
    assert!(cleared["displayName"].is_null() && cleared.get("jobTitle").is_some_and(Value::is_null), "{cleared}");
    // Restored: the whole person again, with the manager.
    let (_, after) = world.chain(&delta).await;
    world.tenant.restore(&ids[1]);
    let (restored, _) = world.chain(&after.expect("a link")).await;
    assert!(restored[0]["manager@delta"].is_array() && restored[0].get("@removed").is_none(), "{restored:?}");
    let (latest, link) = world.chain("users/microsoft.graph.delta?$select=id&$deltaToken=latest").await;
    assert!(latest.is_empty() && link.is_some());
}

#[tokio::test]
async fn groups_tell_links_and_are_silent_about_soft_deletes() {
    let world = world(plain(80)).await;
    let select = "groups/delta?$select=id,displayName,members,owners";
    let (_, delta) = world.chain(select).await;
    let delta = delta.expect("a link");
    let (group, user) = (world.tenant.ids(Kind::Group)[3].clone(), world.tenant.hire());
    world.tenant.add_member(&group, &user);
    let (added, delta) = world.chain(&delta).await;
    assert_eq!(added[0]["members@delta"][0]["id"], user.as_str());
    world.tenant.delete(&user);
    let (silent, delta) = world.chain(&delta.expect("a link")).await;
    assert!(silent.is_empty(), "groups say nothing of a soft delete");
    world.tenant.remove_member(&group, &user);
    let (removed, _) = world.chain(&delta.expect("a link")).await;
    assert_eq!(removed[0]["members@delta"][0]["@removed"]["reason"], "deleted", "the reason is the link's, not the member's");
}

#[tokio::test]
async fn tokens_die_after_seven_days_and_selections_are_bound_to_them() {
    let world = world(plain(30)).await;
    let (_, delta) = world.chain("users/delta?$select=id").await;
    let delta = delta.expect("a link");
    world.tenant.advance(std::time::Duration::from_secs(6 * 24 * 3600));
    let (_, token) = world.token("client_credentials", &world.tenant.client_secret()).await;
    let world = World { bearer: token["access_token"].as_str().expect("a token").to_owned(), ..world };
    assert_eq!(world.get(&delta).await.0, 200);
    world.tenant.advance(std::time::Duration::from_secs(2 * 24 * 3600));
    let (_, token) = world.token("client_credentials", &world.tenant.client_secret()).await;
    let world = World { bearer: token["access_token"].as_str().expect("a token").to_owned(), ..world };
    let (status, body) = world.get(&delta).await;
    assert_eq!((status, body["error"]["code"].as_str()), (400, Some("syncStateNotFound")));
}

#[tokio::test]
async fn the_same_seed_gives_the_same_tenant() {
    let make = |seed| async move { world(TenantOptions { ..TenantOptions::new("contoso", seed, 100) }).await };
    let (one, two, other) = (make(7).await, make(7).await, make(8).await);
    let names = |world: &World| {
        let truth = world.tenant.ground_truth();
        truth["users"].as_array().expect("users").iter().map(|user| user["displayName"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&one), names(&two));
    assert_ne!(names(&one), names(&other));
}

#[tokio::test]
async fn batches_are_answered_item_by_item() {
    let world = world(plain(20)).await;
    let post = |body: Value| {
        let request = world
            .http
            .post(format!("{}/v1.0/$batch", world.simulator.origin()))
            .header("authorization", format!("Bearer {}", world.bearer));
        async move { request.json(&body).send().await.expect("an answer") }
    };
    let item = |id: &str, url: &str| json!({"id": id, "method": "GET", "url": url});
    let answer: Value =
        post(json!({"requests": [item("1", "/users?$select=id"), item("2", "/nowhere")]})).await.json().await.expect("JSON");
    let statuses: Vec<_> =
        answer["responses"].as_array().expect("responses").iter().map(|r| (r["id"].clone(), r["status"].clone())).collect();
    assert_eq!(statuses, [(json!("2"), json!(400)), (json!("1"), json!(200))]);
    let many: Vec<Value> = (0..21).map(|n| item(&n.to_string(), "/users")).collect();
    assert_eq!(post(json!({"requests": many})).await.status(), 400);
    assert_eq!(post(json!({"requests": [item("a", "/users"), item("A", "/users")]})).await.status(), 400);
}
