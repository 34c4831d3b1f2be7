//! A private `nats-server` with JetStream for tests: on a free port of this machine, gone with
//! its value.
//!
//! [`NatsServer::kill`] ends it as a crash does, and it comes back on the same port with what it
//! had or with nothing. A shell process stands between a test and its server: at the end of its
//! input, which the kernel closes however a test ends, it kills the server and removes its folder.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, SystemTime},
};

/// A server that does not say within this time that it is ready has failed.
const START_WITHIN: Duration = Duration::from_secs(30);

/// Starts a server, sends it the signals that it reads, and answers each with a line. The server is
/// killed at the end of the input, and its folder removed with it.
const KEEPER: &str = r#"
folder=$1; shift
PATH=$PATH:/usr/sbin
"$@" >/dev/null & server=$!
# What it says itself may find nobody who listens, and it has to go on.
exec 2>/dev/null
trap "" PIPE
while read -r signal; do
    kill -"$signal" "$server"
    [ "$signal" = KILL ] && wait "$server"
    echo sent
    [ "$signal" = KILL ] && exit
done
kill -KILL "$server"
wait "$server"
rm -rf "$folder""#;

/// A server that runs, until it is killed.
#[derive(Debug)]
pub struct NatsServer {
    folder: PathBuf,
    port: u16,
    arguments: Vec<String>,
    keeper: Option<Child>,
}

impl NatsServer {
    /// A new server with nothing in it.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more of `nats-server`'s arguments.
    pub fn start_with(arguments: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let nanos = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("action-service-nats-{}-{count}-{nanos:x}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let mut server = Self { folder, port: 0, arguments, keeper: None };
        // It takes a free one.
        server.run("-1");
        server
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The same, with more before the host: credentials.
    pub fn url_as(&self, credentials: &str) -> String {
        format!("nats://{credentials}@127.0.0.1:{}", self.port)
    }

    /// The port that it has, also while it does not run.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends it at once, with SIGKILL.
    pub fn kill(&mut self) {
        if self.keeper.is_some() {
            self.signal("KILL");
            let _ = self.keeper.take().unwrap().wait();
        }
    }

    /// Lets it do nothing any more, with its connections open.
    pub fn freeze(&mut self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn thaw(&mut self) {
        self.signal("CONT");
    }

    /// Starts it again, on the same port and with what it had; it answers when this returns.
    pub fn restart(&mut self) {
        self.kill();
        self.run(&self.port.to_string());
    }

    /// Starts it again, on the same port and with nothing.
    pub fn restart_empty(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(self.folder.join("jetstream"));
        self.run(&self.port.to_string());
    }

    fn signal(&mut self, signal: &str) {
        let keeper = self.keeper.as_mut().unwrap();
        writeln!(keeper.stdin.as_mut().unwrap(), "{signal}").unwrap();
        let mut answer = [0; 5];
        keeper.stdout.as_mut().unwrap().read_exact(&mut answer).unwrap();
    }

    fn run(&mut self, port: &str) {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", KEEPER, "keeper"]).arg(&self.folder);
        command.args(["nats-server", "-js", "-a", "127.0.0.1"]).arg(format!("--port={port}"));
        command.arg("-sd").arg(&self.folder).args(&self.arguments);
        // In a group of its own: whoever ends the tests by their group leaves it time to clean up.
        command.process_group(0);
        let mut keeper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(keeper.stderr.take().unwrap());
        self.keeper = Some(keeper);
        let (ready, answer) = mpsc::channel();
        thread::spawn(move || {
            let (mut port, mut said) = (None, String::new());
            for line in log.lines().map_while(Result::ok) {
                // Read to its end: a server whose log nobody takes would stop.
                if let Some((_, at)) = line.split_once("Listening for client connections on ") {
                    port = at.rsplit(':').next().and_then(|port| port.parse().ok());
                }
                if line.contains("Server is ready") {
                    let _ = ready.send(Ok(port.unwrap()));
                }
                if said.len() < 4096 {
                    said = format!("{said}{line}\n");
                }
            }
            let _ = ready.send(Err(said));
        });
        self.port = match answer.recv_timeout(START_WITHIN) {
            Ok(Ok(port)) => port,
            failed => panic!(
                "nats-server does not run: {failed:?} (where it is missing, scripts/setup-system.sh test installs it)"
            ),
        };
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        } else {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}
