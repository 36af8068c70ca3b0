//! Where twins live: beside the socket that speaks for them.

#![allow(clippy::unwrap_used)]

mod world;

use std::thread;

use tokio::sync::oneshot;
use world::*;

/// A second thread that twins can live on, until the end of the test.
struct OtherThread {
    end: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl OtherThread {
    /// With `device` connected to it, when there is one.
    async fn start(world: &World, device: Option<&'static str>) -> Self {
        let (end, ended) = oneshot::channel::<()>();
        let (ready, is_ready) = oneshot::channel();
        let world = World { store: world.store.clone(), clock: world.clock.clone(), twins: world.twins.clone() };
        let main = move || async move {
            let _home = world.twins.join_thread();
            let _device = match device {
                Some(device) => Some(world.connect(device).await),
                None => None,
            };
            ready.send(()).unwrap();
            let _ = ended.await;
        };
        let thread = thread::spawn(|| run(main));
        is_ready.await.unwrap();
        Self { end: Some(end), thread: Some(thread) }
    }
}

impl Drop for OtherThread {
    fn drop(&mut self) {
        drop(self.end.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

#[test]
fn a_gateways_children_come_to_its_thread_with_their_first_message() {
    run(|| async {
        let world = World::new().await;
        let _other = OtherThread::start(&world, None).await;
        world.register("gateway", "Gateway", None).await;
        let children: Vec<String> = (0..16).map(|i| format!("child-{i}")).collect();
        for child in &children {
            world.try_register(child, "Device", None, Some("gateway")).await.unwrap();
        }
        world.register("stranger", "Device", None).await;
        let gateway = world.connect("gateway").await;
        let post = |child: &str, n: u64| gateway.session.post(&id(child), telemetry(None, None, "{\"n\": 2}"), None, n).is_ok();
        let elsewhere = children.iter().filter(|child| !post(child, 0)).count();
        assert!((1..16).contains(&elsewhere), "{elsewhere} of 16 live on the other thread");
        for child in &children {
            gateway.session.send(&id(child), telemetry(None, None, "{\"n\": 1}"), None).await.unwrap();
            assert!(post(child, 1), "{child} lives here now");
        }
        // nobody brings another's twins over by naming them
        for name in ["stranger", "nowhere"] {
            gateway.session.send(&id(name), telemetry(None, None, "{\"n\": 1}"), None).await.unwrap_err();
        }
    });
}

#[test]
fn a_child_with_a_socket_of_its_own_stays_with_that() {
    run(|| async {
        let world = World::new().await;
        world.register("gateway", "Gateway", None).await;
        world.try_register("child", "Device", None, Some("gateway")).await.unwrap();
        let _other = OtherThread::start(&world, Some("child")).await;
        let gateway = world.connect("gateway").await;
        for n in 0..3 {
            gateway.session.send(&id("child"), telemetry(None, None, "{\"n\": 1}"), None).await.unwrap();
            assert!(gateway.session.post(&id("child"), telemetry(None, None, "{\"n\": 1}"), None, n).is_err());
        }
        assert_eq!(world.view("child").await.connection.state, "connected");
    });
}
