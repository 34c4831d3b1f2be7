//! A private Postgres for tests: nothing but a unix socket, gone when nobody uses it.
//!
//! [`Server::shared`] is one server for all tests that run at the same time, also in several
//! processes (nextest runs each test in one): starting one costs a second, a [`Database`] of its
//! own some milliseconds. It does not sync to the disk. [`Server::private`] is for one test that
//! stops and crashes it.
//!
//! Who uses a server holds a shared lock on a file, which the kernel takes back however a
//! process ends. A small shell process waits until it is the only one who wants that lock, then
//! stops the server and removes its folder: a test that panics or is killed leaves nothing.

use std::{
    fmt::Write as _,
    fs::{self, File},
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::SystemTime,
};

/// The role that owns the databases: an ordinary one, as the service should have it.
const ROLE: &str = "service";
/// The role that may do everything.
const ADMIN: &str = "postgres";
/// Names the socket; nothing listens on the network.
const PORT: &str = "5432";
/// The oldest release that the service works with.
const RELEASE_MIN: u32 = 15;
/// How long a shared server stays when nobody uses it: until the next test begins.
const LINGER_SECONDS: &str = "3";

/// Waits until nobody holds the lock of `users`, then, unless somebody came in between, stops
/// the server and removes it.
const REAPER: &str = r#"
home=$1 folder=$2 pg_ctl=$3 linger=$4
{ while flock "$folder/users" true; do
    sleep "$linger"
    flock "$home/gate" flock --nonblock "$folder/users" sh -c '
        "$1" stop --pgdata "$2/data" --mode immediate --silent
        rm -rf "$2"' reap "$pg_ctl" "$folder" && exit
done; } &
"#;

/// A server that runs, and the right to use it.
#[derive(Debug)]
pub struct Server {
    programs: Programs,
    folder: PathBuf,
    /// Locked, shared, as long as this lives.
    _users: File,
}

/// A database of one test, dropped with it. Its owner is an ordinary role.
#[derive(Debug)]
pub struct Database {
    /// Where it is, as its owner.
    pub url: String,
    /// The same, as the server's administrator.
    pub admin_url: String,
    name: String,
    server: Server,
}

impl Server {
    /// The server of all tests, started where it does not run. What it says is durable is not.
    pub fn shared() -> Self {
        let fast = [("fsync", "off"), ("full_page_writes", "off"), ("max_connections", "300")];
        Self::join("shared", &fast, LINGER_SECONDS)
    }

    /// A server for one test, with settings of its own, durable as Postgres is.
    pub fn private(settings: &[(&str, &str)]) -> Self {
        Self::join(&unique("private"), settings, "0")
    }

    fn join(name: &str, settings: &[(&str, &str)], linger: &str) -> Self {
        let programs = Programs::find();
        let home = programs.home();
        let folder = home.join(name);
        let gate = File::create(home.join("gate")).unwrap();
        gate.lock().unwrap();
        let there = folder.join("ready").exists() && programs.is_running(&folder);
        if !there {
            programs.make(&folder, settings);
        }
        let users = File::create(folder.join("users")).unwrap();
        users.lock_shared().unwrap();
        if !there {
            programs.reap(&home, &folder, linger);
        }
        // The gate opens when `gate` is dropped.
        Self { programs, folder, _users: users }
    }

    /// A new, empty database.
    pub fn database(self) -> Database {
        let name = unique("test");
        self.run("createdb", &["--owner", ROLE, &name]);
        let url = |role| format!("postgres://{role}@localhost:{PORT}/{name}?host={}", self.folder.display());
        Database { url: url(ROLE), admin_url: url(ADMIN), name: name.clone(), server: self }
    }

    /// The file that connections go through.
    pub fn socket(&self) -> PathBuf {
        self.folder.join(format!(".s.PGSQL.{PORT}"))
    }

    /// Ends all its processes at once, as a crash does: what was not synced is lost to it.
    pub fn crash(&self) {
        self.programs.stop(&self.folder);
    }

    /// Starts it again; it answers when this returns.
    pub fn restart(&self) {
        self.programs.start(&self.folder);
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        self.programs.client(&self.folder, program, arguments);
    }
}

impl Database {
    /// The server that has it.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The database through another way in, for instance a proxy's.
    pub fn url_through(&self, host: &str, port: u16) -> String {
        format!("postgres://{ROLE}@{host}:{port}/{}?sslmode=disable", self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // It may be crashed. Its folder goes in any case.
        if self.server.programs.is_running(&self.server.folder) {
            self.server.programs.try_client(&self.server.folder, "dropdb", &["--force", &self.name]);
        }
    }
}

/// Postgres's programs, and the user who runs them.
#[derive(Debug)]
struct Programs {
    folder: PathBuf,
    /// Where this process is root, which Postgres refuses to be.
    user: Option<(&'static str, u32, u32)>,
}

impl Programs {
    fn find() -> Self {
        let in_path = std::env::var_os("PATH").unwrap_or_default();
        let in_path = std::env::split_paths(&in_path).filter(|folder| folder.join("initdb").exists());
        let packaged = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let mut packaged: Vec<(u32, PathBuf)> = packaged
            .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
            .filter(|(release, folder)| *release >= RELEASE_MIN && folder.join("initdb").exists())
            .collect();
        packaged.sort();
        let folder = packaged.pop().map(|(_, folder)| folder).or(in_path.into_iter().next());
        let folder = folder.unwrap_or_else(|| {
            panic!("Postgres {RELEASE_MIN} or newer is missing: scripts/setup-system.sh test installs Debian's package")
        });
        let id = |flag: &str, user: &[&str]| -> Option<u32> {
            let output = Command::new("id").arg(flag).args(user).output().ok()?;
            String::from_utf8(output.stdout).ok()?.trim().parse().ok()
        };
        let other = |name| Some((name, id("-u", &[name])?, id("-g", &[name])?));
        let user = match id("-u", &[]) {
            // Debian's package makes the first; the second is everywhere.
            Some(0) => Some(other("postgres").or_else(|| other("nobody")).unwrap()),
            _ => None,
        };
        Self { folder, user }
    }

    /// The folder of all servers of this user, which belongs to who runs them.
    fn home(&self) -> PathBuf {
        let user = self.user.map_or_else(|| std::env::var("USER").unwrap_or_default(), |(name, ..)| name.to_owned());
        let home = std::env::temp_dir().join(format!("action-service-postgres-{user}"));
        fs::create_dir_all(&home).unwrap();
        self.give(&home);
        home
    }

    fn give(&self, folder: &Path) {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
        if let Some((_, user, group)) = self.user {
            chown(folder, Some(user), Some(group)).unwrap();
        }
    }

    /// A command as the user who may run it, and with nothing of this process's surroundings.
    fn command(&self, program: impl AsRef<Path>, folder: &Path) -> Command {
        let program = program.as_ref();
        let mut command = match self.user {
            None => Command::new(program),
            Some((_, user, group)) => {
                let mut command = Command::new("setpriv");
                command.args([format!("--reuid={user}"), format!("--regid={group}")]).args(["--clear-groups", "--"]);
                command.arg(program);
                command
            }
        };
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            command.env_remove(name);
        }
        command.current_dir(folder).stdin(Stdio::null());
        command
    }

    /// Makes a server in an empty folder and starts it.
    fn make(&self, folder: &Path, settings: &[(&str, &str)]) {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).unwrap();
        self.give(folder);
        // An order of texts that is not the one of bytes: a statement that needs that one says so.
        let mut initdb = self.command(self.folder.join("initdb"), folder);
        initdb.args(["--auth=trust", "--no-sync", "--encoding=UTF8", "--username", ADMIN, "--locale=C"]);
        run(initdb.args(["--locale-provider=icu", "--icu-locale=en-US", "--pgdata"]).arg(folder.join("data")));
        let mut config = fs::read_to_string(folder.join("data/postgresql.conf")).unwrap();
        let base = [("listen_addresses", ""), ("port", PORT), ("unix_socket_directories", folder.to_str().unwrap())];
        for (name, value) in base.iter().chain(settings) {
            writeln!(config, "{name} = '{value}'").unwrap();
        }
        fs::write(folder.join("data/postgresql.conf"), config).unwrap();
        self.start(folder);
        self.client(folder, "createuser", &[ROLE]);
        File::create(folder.join("ready")).unwrap();
    }

    fn start(&self, folder: &Path) {
        let mut command = self.command(self.folder.join("pg_ctl"), folder);
        command.args(["start", "--wait", "--silent", "--pgdata"]).arg(folder.join("data"));
        // What it says later goes into a file too: it outlives this process.
        run(command.arg("--log").arg(folder.join("log")));
    }

    fn stop(&self, folder: &Path) {
        let mut command = self.command(self.folder.join("pg_ctl"), folder);
        run(command.args(["stop", "--mode=immediate", "--silent", "--pgdata"]).arg(folder.join("data")));
    }

    fn is_running(&self, folder: &Path) -> bool {
        let mut command = self.command(self.folder.join("pg_isready"), folder);
        let command = command.args(["--quiet", "--port", PORT, "--host"]).arg(folder);
        command.status().is_ok_and(|status| status.success())
    }

    fn reap(&self, home: &Path, folder: &Path, linger: &str) {
        let mut command = self.command("/bin/sh", home);
        command.args(["-c", REAPER, "reaper"]).args([home, folder, &self.folder.join("pg_ctl")]).arg(linger);
        // In a group of its own: whoever ends the tests does not end it.
        run(command.stderr(Stdio::null()).process_group(0));
    }

    fn client(&self, folder: &Path, program: &str, arguments: &[&str]) {
        assert!(self.try_client(folder, program, arguments), "{program} {arguments:?} failed");
    }

    fn try_client(&self, folder: &Path, program: &str, arguments: &[&str]) -> bool {
        let mut command = self.command(self.folder.join(program), folder);
        command.arg("--host").arg(folder).args(["--port", PORT, "--username", ADMIN]).args(arguments);
        command.status().unwrap().success()
    }
}

fn run(command: &mut Command) {
    // Not through a pipe: a server that is started here would keep it open.
    let status = command.stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

/// A name that no other test has.
fn unique(kind: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let nanos = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    format!("{kind}_{}_{}_{nanos:x}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}
