//! Who may speak as a device and for it, as the runtime keeps it: over crashes, moves and removals.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::time::Duration;

use actors::{
    TwinError, TwinPatch,
    device::{CloseReason, Downlink, Refusal},
    identity::CredentialsPatch,
};
use hierarchy_models::event::Status;
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
        let code = world.twins.identities().create_claim_code(&id("d"), Duration::from_secs(60), world.now()).await.unwrap().code;
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
        let code = async || world.twins.identities().create_claim_code(&id("d"), Duration::from_secs(60), world.now()).await.unwrap().code;
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
