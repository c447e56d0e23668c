//! A daemon for fuzz targets: everything is opened as at a start, and connections come from the target.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;
use udpchat_api::socket::Connection;
use udpchat_config::{Environment, Overrides, Settings};

use super::open::{Opened, Sockets, open};
use super::serve::start_receivers;
use super::take_data_dir;
use crate::configuration::Configuration;
use crate::control::Control;
use crate::control::fuzzing::{held_bytes, serve};
use crate::failure::Failure;
use crate::log::Logging;
use crate::receive;
use crate::service::systemd::Inherited;
use crate::{index_thread, service};

/// The group of each role in the configuration, and one without a role.
const GROUPS: [u32; 4] = [7_001, 7_002, 7_003, 7_004];

const CONFIGURATION: &str = r#"
listen = ["127.0.0.1:0"]
inbox.max_size = "1MiB"
log.level = "error"
control.read = ["7001"]
control.send = ["7002"]
control.admin = ["7003"]
[peers]
bob = { address = "127.0.0.1:9", encoding = "gbk" }
"小明" = { address = "127.0.0.1" }
"#;

/// How long to wait for memory to be given back, and how often to look.
const MAX_LOOKS: u32 = 5_000;
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);

/// A running daemon without a listener on the control socket.
pub struct Daemon {
    runtime: Runtime,
    control: Arc<Control>,
    _kept: Box<dyn std::any::Any>,
}

impl Daemon {
    /// Starts reception, the writer and the index on an empty data directory in a folder.
    ///
    /// # Panics
    /// If anything cannot be started.
    #[expect(clippy::unwrap_used, reason = "this is a test")]
    pub fn start(folder: &Path) -> Self {
        let config = folder.join("config.toml");
        fs::write(&config, CONFIGURATION).unwrap();
        let (data_dir, socket) = (Some(folder.join("data")), Some(folder.join("socket")));
        let overrides = Overrides { config: Some(config), data_dir, socket, ..Overrides::default() };
        let environment = Environment::of_process();
        let settings = Settings::load(&overrides, &environment).unwrap();
        let start = || -> Result<Self, Failure> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let (logging, written) = Logging::start(udpchat_config::LogLevel::Error, *settings.log.format);
            let locked = Arc::new(take_data_dir(&settings.data_dir)?);
            let sockets = Sockets::open(&runtime, &settings, Inherited::default())?;
            let configuration = Configuration::new(settings.clone(), overrides, environment);
            let Opened { daemon, control, writer, mut watchdog, control_listener, .. } =
                open(configuration, sockets, logging, &locked)?;
            service::threads::spawn("writer", move || writer.run()).unwrap();
            let stop = Arc::new(receive::Stop::new().unwrap());
            let receivers = start_receivers(&daemon, &stop, &mut watchdog).unwrap();
            index_thread::start(Arc::clone(&daemon)).unwrap();
            let kept = Box::new((written, watchdog, stop, receivers, control_listener));
            Ok(Self { runtime, control, _kept: kept })
        };
        start().map_err(|failure| failure.to_string()).unwrap()
    }

    /// Returns the address that it receives on.
    pub fn address(&self) -> SocketAddr {
        self.control.daemon().listeners[0].local
    }

    /// Sends it a message, and waits until that is stored.
    ///
    /// # Panics
    /// If the message cannot be sent.
    #[expect(clippy::unwrap_used, reason = "this is a test")]
    pub fn receive(&self, payload: &[u8]) {
        let stored = || self.control.daemon().reader.bounds().unwrap().newest;
        let before = stored();
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(payload, self.address()).unwrap();
        while stored() == before {
            sleep(BETWEEN_LOOKS);
        }
    }

    /// Writes a client's lines to a connection, ends the input, and returns everything that the daemon answers. The client has
    /// one of the roles read, send and admin, or none.
    ///
    /// # Panics
    /// If memory of clients is still charged a while after the connection has ended.
    #[expect(clippy::unwrap_used, reason = "this is a test")]
    pub fn converse(&self, role: u8, lines: &[u8]) -> Vec<u8> {
        let gid = GROUPS[usize::from(role) % GROUPS.len()];
        let mut answers = Vec::new();
        self.runtime.block_on(async {
            let (client, daemon) = Connection::pair().unwrap();
            let (mut reader, mut writer) = client.into_split();
            let write = async {
                // The daemon may close the connection before.
                let _written = writer.write_all(lines).await;
                let _ended = writer.shutdown().await;
            };
            let read = reader.read_to_end(&mut answers);
            let (_, _, read) = tokio::join!(serve(&self.control, (60_000, gid), daemon), write, read);
            read.unwrap();
        });
        self.control.daemon().stopping.send_replace(false);
        let mut looks = 0;
        while held_bytes(&self.control) > 0 {
            looks += 1;
            assert!(looks < MAX_LOOKS, "{} bytes are still charged", held_bytes(&self.control));
            self.runtime.block_on(async { tokio::time::sleep(BETWEEN_LOOKS).await });
        }
        answers
    }
}
