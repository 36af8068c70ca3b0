//! The whole server in this process, with everything held still that does not go by the message.

use std::time::Duration;

use actors::Registration;
use hierarchy_models::{TwinId, model};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use twinfold::{app::App, config::Config};

use crate::{device::Device, reader::Reader};

/// Longer than any of these runs: what goes by the clock waits until it is asked for.
const NEVER: Duration = Duration::from_secs(24 * 3600);
/// Where files are memory, on Linux: a sync is then quick, and which disk there is makes no difference to what is counted.
const QUICK: &str = "/dev/shm";

pub struct Server {
    app: App,
    runtime: Runtime,
    _folder: TempDir,
}

impl Server {
    /// One thread for devices, so that every run puts them on the same one.
    pub fn start() -> Self {
        let folder = tempfile::tempdir_in(QUICK).or_else(|_| tempfile::tempdir()).unwrap();
        let mut config = Config::on_free_ports(folder.path().join("data"));
        config.mqtt.workers = 1;
        config.http.workers = 1;
        config.twins.flush_interval = NEVER;
        config.twins.rollup_tick = NEVER;
        let runtime = Runtime::new().unwrap();
        let app = runtime.block_on(App::start(config)).unwrap();
        Self { app, runtime, _folder: folder }
    }

    /// Registers a room.
    pub fn room(&self, id: &str) {
        self.register(id, "Room", None);
    }

    /// Registers a device and connects it.
    pub fn device(&self, id: &str, parent: Option<&str>) -> Device {
        let key = self.register(id, "Device", parent);
        Device::connect(self.app.mqtt, id, &key)
    }

    /// A reader of one address, with the administrator's key.
    pub fn reader(&self, path: &str) -> Reader {
        Reader::connect(self.app.http, self.app.admin_token(), path)
    }

    fn register(&self, id: &str, model: &str, parent: Option<&str>) -> String {
        let twin = |id: &str| TwinId::new(id).unwrap();
        let registration = Registration {
            id: Some(twin(id)),
            model: model::resolve(model).unwrap(),
            parent: parent.map(twin),
            gateway: None,
            metadata: Default::default(),
            tags: Vec::new(),
            keys: None,
        };
        self.runtime.block_on(self.app.twins().register(registration)).unwrap().keys["primary"].clone()
    }

    /// Does what would otherwise go by the clock: figures go up, projections are written.
    pub fn settle(&self) {
        self.runtime.block_on(self.app.twins().tick()).unwrap();
    }

    pub fn stop(self) {
        self.runtime.block_on(self.app.stop());
    }
}
