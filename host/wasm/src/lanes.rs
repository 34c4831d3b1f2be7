//! Two lanes for guests. Most compute for microseconds between two waits, and run where everything else
//! runs. One that has computed for long goes on in the slow lane, on threads that the system lets run
//! behind all others: what is quick stays quick beside what is not.

use rustix::process::{getpriority_process, setpriority_process};
use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::OnceLock,
    task::Poll,
    time::{Duration, Instant},
};
use tokio::runtime::{Builder, Runtime};
use tokio_util::task::AbortOnDropHandle;

/// Who has computed for so long goes on in the slow lane. Four calls of a Python component take less.
const QUICK_MAX: Duration = Duration::from_millis(10);
/// Who waits for so long has begun anew: it waited for somebody, and not for its turn.
const WAITED: Duration = Duration::from_millis(100);
/// How much nicer to others the threads of the slow lane are than the rest. Beside a thread that is always
/// busy one of them gets a tenth of a core: enough to come to its end.
const NICE: i32 = 10;
/// Nobody is nicer on Linux.
const NICEST: i32 = 19;

/// Where guests run.
#[derive(Default)]
pub(crate) struct Lanes {
    /// Made for the first one that needs it. None where there are no threads to be had.
    slow: OnceLock<Option<Runtime>>,
}

impl Lanes {
    /// Runs a guest to its end, in the slow lane from where it has computed for long. `None` if the process
    /// ends before. Where this is dropped the guest goes too, if it is in the slow lane by its next pause:
    /// what must not happen any more has to be made impossible besides.
    pub(crate) async fn drive<T: Send + 'static>(&self, guest: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let mut guest: Pin<Box<_>> = Box::pin(guest);
        let (mut computed, mut paused) = (Duration::ZERO, Instant::now());
        let quick = poll_fn(|cx| {
            let began = Instant::now();
            if began.duration_since(paused) > WAITED {
                computed = Duration::ZERO;
            }
            let polled = guest.as_mut().poll(cx);
            paused = Instant::now();
            computed += paused.duration_since(began);
            match polled {
                Poll::Ready(answer) => Poll::Ready(Some(answer)),
                Poll::Pending if computed > QUICK_MAX => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        });
        if let Some(answer) = quick.await {
            return Some(answer);
        }
        match self.slow() {
            Some(slow) => AbortOnDropHandle::new(slow.spawn(guest)).await.ok(),
            None => Some(guest.await),
        }
    }

    fn slow(&self) -> Option<&Runtime> {
        let make = || {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            let made = Builder::new_multi_thread()
                .worker_threads(cores)
                .thread_name("slow-guests")
                .on_thread_start(be_nice)
                .enable_all()
                .build();
            made.inspect_err(|error| tracing::warn!(%error, "no threads for guests that compute for long")).ok()
        };
        self.slow.get_or_init(make).as_ref()
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        // A runtime that is dropped waits for its threads, which no thread of another one may do.
        if let Some(slow) = self.slow.take().flatten() {
            slow.shutdown_background();
        }
    }
}

/// Than this, as far as the system goes.
fn nicer(than: i32) -> i32 {
    (than + NICE).min(NICEST)
}

/// Linux counts niceness by thread.
fn be_nice() {
    if cfg!(target_os = "linux")
        && let Err(error) = getpriority_process(None).and_then(|own| setpriority_process(None, nicer(own)))
    {
        tracing::warn!(%error, "guests that compute for long run beside all others");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::sync::{Notify, oneshot};

    /// Where it runs: by the thread's name, and by its niceness.
    fn here() -> (Option<String>, i32) {
        let name = std::thread::current().name().map(str::to_owned);
        (name, getpriority_process(None).unwrap())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_computes_for_long_goes_on_behind_all_others() {
        let lanes = Lanes::default();
        let usual = getpriority_process(None).unwrap();
        let (_, quick) = lanes.drive(async { here() }).await.unwrap();
        assert_eq!(quick, usual);
        assert!(lanes.slow.get().is_none(), "no threads for nobody");
        let guest = async {
            let mut busy = Duration::ZERO;
            while busy <= QUICK_MAX {
                let began = Instant::now();
                while began.elapsed() < Duration::from_micros(200) {}
                busy += began.elapsed();
                tokio::task::yield_now().await;
            }
            here()
        };
        let (name, slow) = lanes.drive(guest).await.unwrap();
        assert_eq!((name.as_deref(), slow), (Some("slow-guests"), nicer(usual)));
    }

    /// Says when it is dropped.
    struct Tells(Option<oneshot::Sender<()>>);

    impl Drop for Tells {
        fn drop(&mut self) {
            let _ = self.0.take().unwrap().send(());
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_is_given_up_goes_from_the_slow_lane_too() {
        let (lanes, computes, (tell, told)) = (Lanes::default(), Arc::new(Notify::new()), oneshot::channel());
        let (tells, slow) = (Tells(Some(tell)), computes.clone());
        let guest = lanes.drive(async move {
            let _tells = tells;
            loop {
                let began = Instant::now();
                while began.elapsed() < Duration::from_micros(200) {}
                if here().0.as_deref() == Some("slow-guests") {
                    slow.notify_one();
                }
                tokio::task::yield_now().await;
            }
        });
        tokio::select! {
            _ = guest => unreachable!("it has no end"),
            () = computes.notified() => {}
        }
        tokio::time::timeout(Duration::from_mins(1), told).await.unwrap().unwrap();
    }
}
