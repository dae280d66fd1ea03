//! Ctrl-C and SIGTERM: before a run begins the program ends and nothing was done; then
//! the run stops at its next safe point.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use super::ui::Ui;
use crate::exit::ExitStatus;

/// Whether a run listens by itself.
static RUN_LISTENS: AtomicBool = AtomicBool::new(false);

/// Turns Ctrl-C and SIGTERM into a wish to stop; a second one ends the process.
pub(super) struct Stopper {
    receiver: watch::Receiver<bool>,
}

impl Stopper {
    /// Starts listening.
    pub(super) fn new(ui: Ui) -> Self {
        RUN_LISTENS.store(true, Ordering::SeqCst);
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            interrupted().await;
            let _ = sender.send(true);
            ui.note("stopping; interrupt it again to wait for nothing");
            interrupted().await;
            ui.note("stopped at once; `unship continue` finds out how far it came and goes on");
            end_at_once();
        });
        Self { receiver }
    }

    /// Becomes true when a person wants it to stop.
    pub(super) fn receiver(&self) -> watch::Receiver<bool> {
        self.receiver.clone()
    }
}

/// A second wish to stop does not wait for what is under way; the journal knows it.
#[allow(clippy::exit, reason = "the user asked twice")]
fn end_at_once() {
    std::process::exit(i32::from(ExitStatus::Stopped.code()));
}

/// Ends at a Ctrl-C while no run listens for itself. The process may have been started
/// with SIGINT ignored (a shell's background job): this hears it all the same. SIGTERM
/// ends a process by itself.
pub(super) async fn before_a_run() {
    loop {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        if !RUN_LISTENS.load(Ordering::SeqCst) {
            return;
        }
    }
}

async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut term) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = term.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
