//! A timer with the kernel's resolution, for an open loop that sends in time and for packets that arrive in time: the
//! runtime's own timers count in milliseconds, which is longer than most requests take.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use nix::sys::{
    time::TimeSpec,
    timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
};
use tokio::io::unix::AsyncFd;

/// One timer, set again and again.
#[derive(Debug)]
pub struct Alarm {
    timer: TimerFd,
    readiness: AsyncFd<OwnedFd>,
    armed: Option<Instant>,
}

impl Alarm {
    /// A timer that is not set. Needs a runtime.
    ///
    /// # Errors
    /// If the system has no more descriptors.
    pub fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe, for types that change their descriptor; an OwnedFd does not"
        )]
        let readiness = AsyncFd::new(timer.as_fd().try_clone_to_owned()?)?;
        Ok(Self { timer, readiness, armed: None })
    }

    /// Ready once `deadline` has passed; until then the task is woken at it.
    pub fn poll_at(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        if self.armed != Some(deadline) {
            let left = deadline.saturating_duration_since(Instant::now());
            // Zero would switch the timer off.
            let left = TimeSpec::from_duration(left.max(Duration::from_nanos(1)));
            self.timer
                .set(Expiration::OneShot(left), TimerSetTimeFlags::empty())
                .expect("a timer can be set to any time");
            self.armed = Some(deadline);
        }
        loop {
            let ready = self.readiness.poll_read_ready(cx);
            let Poll::Ready(guard) = ready else { return Poll::Pending };
            guard.expect("the runtime outlives its tasks").clear_ready();
            if self.timer.wait().is_ok() {
                self.armed = None;
                return Poll::Ready(());
            }
        }
    }
}
