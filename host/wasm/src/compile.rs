//! Compilation, apart from everything else.
//!
//! A valid component of 5 MB can take Cranelift more than a minute and a gigabyte, and inside
//! a process it cannot be interrupted. So the service starts itself once more, as a child with
//! limits, which reads a component and writes code. [`Compiler::InProcess`] is for tests and
//! for trying out a file of one's own.

use crate::{engine, native::Trusted, prepared::blocking};
use action_domain::{failure::Issue, services::RuntimeError};
use bytes::Bytes;
use rustix::process::{Resource, Rlimit, Signal, nice, set_parent_process_death_signal, setrlimit};
use std::{
    ffi::OsString,
    io::{Read, Write},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{ExitCode, ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::Command,
    sync::Semaphore,
};
use wasmtime::Engine;

/// CPU time of the child, all its threads together. The 21 MB of a Python component take 17 s.
pub(crate) const COMPILE_CPU_SECONDS_MAX: u64 = 60;
/// Longest wait for a child that does not come by its CPU time: it gives way to everything else, and that
/// a machine is busy is no fault of a component.
const WALL_MAX: Duration = Duration::from_mins(5);
/// Addresses of the child. The largest components seen need 0.4 GiB, a bomb 1 GiB and more.
const ADDRESS_BYTES_MAX: u64 = 3 << 30;
/// More code than this is not taken from the child.
const CODE_BYTES_MAX: u64 = 1 << 30;
/// Compilations at once: each uses all cores for a while.
const AT_ONCE: usize = 1;
/// How much less urgent than the service the child is.
const NICENESS: i32 = 10;
/// The child's word for "the component is not acceptable".
const EXIT_REFUSED: u8 = 3;

/// Where compilation happens.
#[derive(Debug, Clone)]
pub enum Compiler {
    /// In a child process, which must call [`compile_child_main`] and nothing else.
    Child {
        /// The program, usually this one.
        program: PathBuf,
        /// Its arguments.
        args: Vec<OsString>,
    },
    /// In this process, without limits: for tests, and for components that the user trusts.
    InProcess,
}

/// Compiles, a few at a time.
pub(crate) struct Workshop {
    compiler: Compiler,
    engine: Engine,
    places: Semaphore,
    wall_max: Duration,
}

impl Workshop {
    /// For code that this engine takes.
    pub(crate) fn new(compiler: Compiler, engine: Engine) -> Self {
        Self { compiler, engine, places: Semaphore::new(AT_ONCE), wall_max: WALL_MAX }
    }

    /// Compiles a component. Dropping the future ends the child.
    pub(crate) async fn compile(&self, component: Bytes) -> Result<Trusted, RuntimeError> {
        let closed = |_| RuntimeError::Host("the service is shutting down".to_owned());
        let _place = self.places.acquire().await.map_err(closed)?;
        match &self.compiler {
            Compiler::InProcess => {
                let engine = self.engine.clone();
                let compiled = blocking(move || engine.precompile_component(&component)).await?;
                compiled.map(Trusted::fresh).map_err(|error| refused(&plain(&error)))
            }
            Compiler::Child { program, args } => {
                let mut command = Command::new(program);
                command.args(args).env_clear();
                let work = in_child(command, component);
                match tokio::time::timeout(self.wall_max, work).await {
                    Ok(outcome) => outcome,
                    Err(_) => Err(too_expensive(&format!("{} s", self.wall_max.as_secs()))),
                }
            }
        }
    }
}

async fn in_child(mut command: Command, component: Bytes) -> Result<Trusted, RuntimeError> {
    let broken = |what: &str| {
        let text = format!("the compiling process: {what}");
        move |error: std::io::Error| RuntimeError::Host(format!("{text}: {error}"))
    };
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(broken("cannot be started"))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let write = async move {
        // A child that refuses stops reading; its exit says why.
        if let Some(mut stdin) = stdin {
            let _ = stdin.write_all(&component).await;
            let _ = stdin.shutdown().await;
        }
    };
    let ((), code, words) = tokio::join!(write, read(stdout, CODE_BYTES_MAX), read(stderr, 64 << 10));
    let status = child.wait().await.map_err(broken("cannot be waited for"))?;
    let words = words.unwrap_or_default();
    let words = String::from_utf8_lossy(&words);
    verdict(status, words.trim())?;
    code.map(Trusted::fresh).map_err(broken("its output cannot be read"))
}

async fn read(from: Option<impl AsyncRead + Unpin>, bytes_max: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        from.take(bytes_max).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

fn verdict(status: ExitStatus, words: &str) -> Result<(), RuntimeError> {
    match (status.code(), status.signal().and_then(Signal::from_named_raw)) {
        (Some(0), _) => Ok(()),
        (Some(code), _) if code == i32::from(EXIT_REFUSED) => Err(refused(words)),
        (_, Some(Signal::XCPU | Signal::KILL)) => {
            Err(too_expensive(&format!("{COMPILE_CPU_SECONDS_MAX} s of CPU time")))
        }
        // Rust ends so when it gets no memory, Cranelift's threads too.
        (_, Some(Signal::ABORT | Signal::SEGV | Signal::BUS)) => {
            Err(too_expensive(&format!("{} MiB of memory", ADDRESS_BYTES_MAX >> 20)))
        }
        _ => {
            tracing::error!(%status, words, "the compiling process failed");
            Err(RuntimeError::Host(format!("the compiling process failed ({status})")))
        }
    }
}

fn refused(text: &str) -> RuntimeError {
    RuntimeError::Refused(vec![Issue::new("", "not_compilable", format!("the component cannot be compiled: {text}"))])
}

fn too_expensive(limit: &str) -> RuntimeError {
    let text = format!("the component takes more than {limit} to compile");
    RuntimeError::Refused(vec![Issue::new("", "compile_too_expensive", text)])
}

fn plain(error: &wasmtime::Error) -> String {
    let texts: Vec<_> = error.chain().map(ToString::to_string).collect();
    texts.join(": ").chars().take(1000).collect()
}

/// The whole of the child process: a component on stdin, its code on stdout, what is wrong
/// with it on stderr. It limits itself before it reads the first byte.
pub fn compile_child_main() -> ExitCode {
    match compile_child() {
        Ok(()) => ExitCode::SUCCESS,
        Err(ChildError::Refused(text)) => {
            eprintln!("{text}");
            ExitCode::from(EXIT_REFUSED)
        }
        Err(ChildError::Host(text)) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

enum ChildError {
    Refused(String),
    Host(String),
}

impl<E: std::error::Error> From<E> for ChildError {
    fn from(error: E) -> Self {
        Self::Host(error.to_string())
    }
}

fn compile_child() -> Result<(), ChildError> {
    let limit = |resource, most| setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    limit(Resource::Cpu, COMPILE_CPU_SECONDS_MAX)?;
    limit(Resource::As, ADDRESS_BYTES_MAX)?;
    limit(Resource::Core, 0)?;
    // Without its parent it has nothing to do; and neither urgency nor death are worth failing for.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let _ = nice(NICENESS);
    let engine = engine::compiling().map_err(|error| ChildError::Host(plain(&error)))?;
    let mut component = Vec::new();
    std::io::stdin().lock().take(action_domain::limits::COMPONENT_BYTES_MAX as u64).read_to_end(&mut component)?;
    let code = engine.precompile_component(&component).map_err(|error| ChildError::Refused(plain(&error)))?;
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(&code)?;
    stdout.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workshop(script: &str, wall_max: Duration) -> Workshop {
        let compiler = Compiler::Child { program: "/bin/sh".into(), args: vec!["-c".into(), script.into()] };
        Workshop { wall_max, ..Workshop::new(compiler, engine::compiling().unwrap()) }
    }

    async fn fails(script: &str) -> RuntimeError {
        let workshop = workshop(script, Duration::from_millis(500));
        workshop.compile(Bytes::from(vec![0; 1 << 20])).await.err().unwrap()
    }

    #[tokio::test]
    async fn each_end_of_the_child_has_its_name() {
        for (script, part) in [
            ("sleep 60", "0 s"),
            ("kill -XCPU $$", "CPU time"),
            ("kill -ABRT $$", "MiB of memory"),
            ("echo no good >&2; exit 3", "no good"),
        ] {
            let RuntimeError::Refused(issues) = fails(script).await else { panic!("{script}") };
            assert!(issues[0].message.contains(part), "{script}: {}", issues[0].message);
        }
        assert!(matches!(fails("exit 1").await, RuntimeError::Host(_)));
    }

    #[tokio::test]
    async fn what_the_child_writes_is_the_code() {
        let workshop = workshop("cat", Duration::from_secs(10));
        let component = Bytes::from(vec![7; 3 << 20]);
        let code = workshop.compile(component.clone()).await.unwrap();
        assert_eq!(code.bytes(), component);
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_our_fault() {
        let compiler = Compiler::Child { program: "/nonexistent".into(), args: vec![] };
        let workshop = Workshop::new(compiler, engine::compiling().unwrap());
        assert!(matches!(workshop.compile(Bytes::new()).await, Err(RuntimeError::Host(_))));
    }
}
