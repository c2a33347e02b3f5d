//! Managed identities: the binary on a virtual machine and in an App Service, as far as it can see.

use std::process::Command;

use entra_mirror::graph::Credential;
use entra_mirror::simulator::{Action, Fault, Quirks, Retry, TenantOptions};

use crate::credentials::{configure, hundred, way};
use crate::support::{Ended, World, wait_for};

const METADATA: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";
const USER_ASSIGNED: &str = "99999999-2222-3333-4444-555555555555";

fn calm(seed: u64) -> TenantOptions {
    TenantOptions { quirks: Quirks::none(), ..TenantOptions::new("contoso", seed, 20) }
}

/// On a virtual machine. The proxy is one that nobody can reach.
fn on_machine(world: &World, arguments: &[&str]) -> Command {
    let mut command = world.command(arguments);
    command.env(METADATA, world.simulator.origin()).env("NO_PROXY", "").env_remove("IDENTITY_ENDPOINT").env_remove("IDENTITY_HEADER");
    command
}

fn run(mut command: Command) -> Ended {
    Ended::of(command.output().expect("the binary runs"))
}

#[test]
fn a_virtual_machine_needs_no_credential_of_its_own() {
    let world = World::one(calm(631));
    let tenant = world.tenant();
    configure(&world, "managed_identity = true");
    let ended = run(on_machine(&world, &["sync", "--resource", "users"]));
    assert_eq!(ended.code, 1);
    for says in ["no token by managed identity: invalid_request: Identity not found", "Identity, and switch System assigned on"] {
        assert!(ended.stdout.contains(says), "{says}: {}", ended.stdout);
    }
    tenant.set_virtual_machine(None);
    // An update of the service: it is not there for a while.
    tenant.fault(
        Fault::new("metadata/identity", Action::Error { status: 404, code: "".into(), message: "".into(), retry_after: Retry::Missing })
            .times(1),
    );
    let ended = run(on_machine(&world, &["sync"]));
    assert_eq!(ended.code, 0, "{}", ended.said());
    world.assert_equal();
    assert_eq!(tenant.token_requests(), 2);
    // The user-assigned one is asked for by its id.
    tenant.set_virtual_machine(Some(USER_ASSIGNED));
    assert_eq!(run(on_machine(&world, &["sync", "--resource", "users"])).code, 1);
    configure(&world, &format!("managed_identity = true, managed_identity_client_id = \"{USER_ASSIGNED}\""));
    assert_eq!(run(on_machine(&world, &["sync", "--resource", "users"])).code, 0);
}

#[test]
fn the_token_of_a_machine_does_not_go_through_a_proxy() {
    let world = World::one(calm(632));
    world.tenant().set_virtual_machine(None);
    configure(&world, "managed_identity = true");
    let mut command = on_machine(&world, &["sync", "--resource", "users"]);
    command
        .env("HTTP_PROXY", "http://127.0.0.1:9")
        .env("http_proxy", "http://127.0.0.1:9")
        .env("ENTRA_MIRROR_SYNC__GIVE_UP_AFTER_SECS", "1");
    let ended = run(command);
    // Graph's requests do, and fail; the token came.
    assert_eq!(ended.code, 1, "{}", ended.said());
    assert!(world.tenant().requests().is_empty(), "the proxy counts for Graph");
    assert_eq!(world.tenant().token_requests(), 1, "{}", ended.said());
}

#[test]
fn an_app_service_shows_its_header() {
    let world = World::one(calm(633));
    world.tenant().set_app_service(None, "rotating-header");
    configure(&world, "managed_identity = true");
    let in_service = |header: &str| {
        let mut command = world.command(&["sync"]);
        command.env("IDENTITY_ENDPOINT", format!("{}/msi/token", world.simulator.origin())).env("IDENTITY_HEADER", header);
        run(command)
    };
    let ended = in_service("another-header");
    assert!(ended.code == 1 && ended.stdout.contains("X-IDENTITY-HEADER is not the one"), "{}", ended.said());
    assert!(!ended.said().contains("another-header"), "{}", ended.said());
    let ended = in_service("rotating-header");
    assert_eq!(ended.code, 0, "{}", ended.said());
    world.assert_equal();
    let mut elsewhere = world.command(&["sync", "--resource", "users"]);
    elsewhere.env("IDENTITY_ENDPOINT", "http://192.0.2.1/msi/token").env("IDENTITY_HEADER", "rotating-header");
    let ended = run(elsewhere);
    assert!(ended.code == 1 && ended.stdout.contains("IDENTITY_ENDPOINT names no place on this machine"), "{}", ended.said());
}

/// Runs the next test in a process of its own: where the service is found stands in the environment, which threads share.
#[test]
fn a_hundred_requests_share_one_token_of_a_machine() {
    let world = World::one(calm(634));
    let tenant = world.tenant();
    tenant.set_virtual_machine(None);
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", "machine::the_hundred"])
        .env(METADATA, world.simulator.origin())
        .env_remove("IDENTITY_ENDPOINT")
        .env("TEST_TENANT", tenant.tenant_id())
        .env("TEST_FOLDER", world.dir.path())
        .spawn()
        .expect("a process");
    wait_for("the first hundred", || world.dir.path().join("first").exists());
    assert_eq!(tenant.token_requests(), 1, "one for a hundred");
    tenant.revoke_tokens();
    std::fs::write(world.dir.path().join("second"), "").expect("a file");
    assert!(child.wait().expect("its end").success());
    assert_eq!(tenant.token_requests(), 2, "and one more when Graph refused it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the test above"]
async fn the_hundred() {
    let variable = |name: &str| std::env::var(name).expect(name);
    let folder = std::path::PathBuf::from(variable("TEST_FOLDER"));
    let identity = Credential::ManagedIdentity { client_id: None };
    let way = way(&variable(METADATA), &variable("TEST_TENANT"), "system-assigned", identity);
    hundred(&way).await;
    std::fs::write(folder.join("first"), "").expect("a file");
    wait_for("the second", || folder.join("second").exists());
    hundred(&way).await;
}
