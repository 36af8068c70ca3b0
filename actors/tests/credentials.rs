//! Who may speak as a device and for it, as the runtime keeps it: over crashes, moves and removals.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::time::Duration;

use actors::{
    TwinError, TwinPatch,
    access::{Credential, NewPrincipal},
    device::{CloseReason, Downlink, Refusal},
    identity::CredentialsPatch,
};
use hierarchy_models::event::Status;
use persistence::Documents;
use world::*;

#[test]
fn a_gateway_that_goes_leaves_its_devices_to_nobody() {
    run(|| async {
        let world = World::new().await;
        world.register("g", "Gateway", None).await;
        world.register("h", "Gateway", None).await;
        for child in ["a", "b", "c"] {
            world.try_register(child, "Device", None, Some("g")).await.unwrap();
        }
        let to_h = TwinPatch { gateway: Some(Some(id("h"))), ..TwinPatch::default() };
        world.twins.patch(&id("b"), to_h, None).await.unwrap();
        let to_nobody = TwinPatch { gateway: Some(None), ..TwinPatch::default() };
        world.twins.patch(&id("c"), to_nobody, None).await.unwrap();
        // What leads from a gateway to its devices is as durable as they are.
        let world = world.crash().await;
        world.twins.delete(&id("g"), false, None).await.unwrap();
        assert_eq!((world.view("a").await.gateway, world.view("b").await.gateway), (None, Some(id("h"))));
        let world = world.crash().await;
        assert_eq!(world.view("a").await.gateway, None);
        world.register("g", "Gateway", None).await;
        let g = world.connect("g").await;
        let refused = g.session.send(&id("a"), telemetry(None, None, r#"{"n": 1}"#), None).await;
        assert!(matches!(refused, Err(Refusal::NotAuthorized { .. })), "{refused:?}");
    });
}

#[test]
fn a_whole_branch_goes_with_its_gateway() {
    run(|| async {
        let world = World::new().await;
        world.register("site", "Site", None).await;
        world.register("g", "Gateway", Some("site")).await;
        world.try_register("inside", "Device", Some("g"), Some("g")).await.unwrap();
        world.try_register("outside", "Device", None, Some("g")).await.unwrap();
        world.twins.delete(&id("site"), true, None).await.unwrap();
        assert_eq!(world.view("outside").await.gateway, None);
        assert!(world.twins.get(&id("inside")).await.is_err());
    });
}

#[test]
fn what_waited_for_a_child_is_not_its_former_gateways_to_have() {
    run(|| async {
        let world = World::new().await;
        world.register("g", "Gateway", None).await;
        world.try_register("a", "Device", None, Some("g")).await.unwrap();
        let g = world.connect("g").await;
        g.session.send(&id("a"), telemetry(None, None, r#"{"n": 1}"#), None).await.unwrap();
        let all = hierarchy_models::event::Subscriptions { commands: Some(1), desired: None, twin: None };
        g.session.subscribe(&id("a"), all).await.unwrap();
        let withdraw = TwinPatch { gateway: Some(None), ..TwinPatch::default() };
        world.twins.patch(&id("a"), withdraw, None).await.unwrap();
        world.command("a", "open", 60).await;
        world.pass(Duration::ZERO).await;
        assert_eq!(g.commands(), [], "withdrawn before the command");
        assert_eq!(*g.link.forgotten.lock(), [id("a")], "and what waits in its queue is taken away");
    });
}

#[test]
fn taking_one_credential_away_shows_out_whoever_is_inside_and_adding_one_does_not() {
    run(|| async {
        let world = World::new().await;
        world.register("d", "Device", None).await;
        let device = world.connect("d").await;
        let closed = || device.link.down.lock().iter().any(|m| matches!(m, Downlink::Close(CloseReason::Revoked)));
        let add = CredentialsPatch { keys: [("spare".into(), Some(None))].into(), ..CredentialsPatch::default() };
        let keys = world.twins.change_credentials(&id("d"), add).await.unwrap();
        assert!(!closed() && keys.contains_key("spare"));
        device.telemetry(r#"{"n": 1}"#).await.unwrap();
        let take = CredentialsPatch { keys: [("spare".into(), None)].into(), ..CredentialsPatch::default() };
        world.twins.change_credentials(&id("d"), take).await.unwrap();
        assert!(closed());
        assert!(matches!(device.telemetry(r#"{"n": 2}"#).await, Err(Refusal::SessionEnded)));
    });
}

#[test]
fn a_claim_moves_and_activates_a_device_once() {
    run(|| async {
        let world = World::new().await;
        world.building(&[]).await;
        world.register("stock", "Site", None).await;
        world.register("d", "Device", Some("stock")).await;
        let spoken_for = TwinPatch { gateway: Some(Some(id("stock"))), ..TwinPatch::default() };
        world.twins.patch(&id("d"), spoken_for, None).await.unwrap();
        world.twins.set_status(&id("d"), Status::Inactive).await.unwrap();
        let code = world.twins.create_claim_code(&id("d"), Duration::from_secs(60)).await.unwrap().code;
        let claim = async |parent: &str, code: &str| world.twins.claim(&id("d"), code, &id(parent)).await;
        assert!(matches!(claim("nowhere", &code).await, Err(TwinError::NoSuchParent { .. })));
        assert!(matches!(claim("room", "wrong").await, Err(TwinError::NoSuchClaim)));
        let loop_would_close = world.twins.claim(&id("d"), &code, &id("d")).await;
        assert!(matches!(loop_would_close, Err(TwinError::Tree(_))), "{loop_would_close:?}");
        let twin = claim("room", &code).await.unwrap();
        assert_eq!((twin.parent, twin.status), (Some(id("room")), Status::Active), "a claim that failed is not used up");
        assert_eq!(twin.gateway, None, "nobody of where it was speaks for it");
        assert!(matches!(claim("site", &code).await, Err(TwinError::NoSuchClaim)), "once");
    });
}

#[test]
fn a_claim_code_is_for_the_device_as_it_was_and_where_it_was() {
    run(|| async {
        let world = World::new().await;
        world.building(&["d"]).await;
        world.register("other", "Site", None).await;
        let code = async || world.twins.create_claim_code(&id("d"), Duration::from_secs(60)).await.unwrap().code;
        let is_dead = async |code: &str| matches!(world.twins.claim(&id("d"), code, &id("other")).await, Err(TwinError::NoSuchClaim));
        let before = code().await;
        world.move_to("d", Some("site")).await.unwrap();
        assert!(is_dead(&before).await, "who gave it out may have no right where the device is now");
        let before = code().await;
        world.twins.set_status(&id("d"), Status::Inactive).await.unwrap();
        assert!(is_dead(&before).await, "a claim would activate it");
        let before = code().await;
        world.twins.reset_credentials(&id("d")).await.unwrap();
        assert!(is_dead(&before).await);
    });
}

#[test]
fn a_claim_code_that_was_made_while_its_device_moved_opens_nothing() {
    run(|| async {
        let world = World::new().await;
        world.building(&["d"]).await;
        world.register("other", "Site", None).await;
        let code = world.twins.create_claim_code(&id("d"), Duration::from_secs(60)).await.unwrap().code;
        let made = world.store.document("claim", "d").await.unwrap().unwrap();
        world.move_to("d", Some("site")).await.unwrap();
        // As if it had been written behind the moment at which the move ended those that there were.
        world.store.put_document("claim", "d", made).await.unwrap();
        assert!(matches!(world.twins.claim(&id("d"), &code, &id("other")).await, Err(TwinError::NoSuchClaim)));
    });
}

#[test]
fn what_had_to_wait_looks_again_whether_its_caller_may() {
    run(|| async {
        let world = World::new().await;
        world.building(&["d", "e"]).await;
        world.register("other", "Site", None).await;
        let new = NewPrincipal { name: "p".into(), roles: vec!["admin".into()], scope: Some(id("room")), expires_at: None, subject: None };
        let (principal, key) = world.twins.access().create_principal(new, world.now()).await.unwrap();
        let subject = world.twins.access().authenticate(Credential::Bearer(&key.unwrap()), world.now()).await.unwrap();
        let acting = world.twins.acting_for(&subject);
        let withdrawn = |result: Result<(), TwinError>| assert!(matches!(result, Err(TwinError::Withdrawn)), "{result:?}");
        let to = |parent: &str| TwinPatch { parent: Some(Some(id(parent))), ..TwinPatch::default() };
        acting.set_status(&id("d"), Status::Active).await.unwrap();
        // Somebody else was faster: it stands where this one may nothing.
        world.move_to("d", Some("other")).await.unwrap();
        withdrawn(acting.delete(&id("d"), false, None).await);
        withdrawn(acting.patch(&id("d"), to("room"), None).await.map(drop));
        withdrawn(acting.reset_credentials(&id("d")).await.map(drop));
        withdrawn(acting.patch(&id("e"), to("other"), None).await.map(drop));
        let code = world.twins.create_claim_code(&id("d"), Duration::from_secs(60)).await.unwrap().code;
        world.twins.access().delete_principal(&principal.id).await.unwrap();
        withdrawn(acting.delete(&id("e"), false, None).await);
        withdrawn(acting.patch(&id("e"), TwinPatch { tags: Some(vec!["x".into()]), ..TwinPatch::default() }, None).await.map(drop));
        withdrawn(acting.set_status(&id("e"), Status::Inactive).await.map(drop));
        withdrawn(acting.claim(&id("d"), &code, &id("room")).await.map(drop));
        assert_eq!(world.twins.get(&id("e")).await.unwrap().status, Status::Active);
        world.twins.claim(&id("d"), &code, &id("room")).await.unwrap();
    });
}
