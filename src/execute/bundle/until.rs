//! How long the parts of a bundle may take: until a moment, or until somebody stops it.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// When it is over.
#[derive(Debug, Clone, Default)]
pub(super) struct Until {
    limit: Option<(Instant, Duration)>,
    stop: Option<watch::Receiver<bool>>,
}

impl Until {
    /// Over after `limit`, counted from now, or when `stop` becomes true.
    pub(super) fn new(limit: Option<Duration>, stop: Option<watch::Receiver<bool>>) -> Self {
        Self {
            limit: limit.map(|limit| (Instant::now() + limit, limit)),
            stop,
        }
    }

    /// The future's value, or why it was not waited for. Once it is over nothing is
    /// begun, and a stream that always has something is cut as well.
    pub(super) async fn run<T>(&self, work: impl Future<Output = T>) -> Result<T, String> {
        tokio::select! {
            biased;
            reason = self.over() => Err(reason),
            value = work => Ok(value),
        }
    }

    async fn over(&self) -> String {
        let late = async {
            match self.limit {
                Some((end, limit)) => {
                    tokio::time::sleep_until(end).await;
                    format!("it was not there within {} s", limit.as_secs_f64())
                }
                None => std::future::pending().await,
            }
        };
        let stopped = async {
            if let Some(mut stop) = self.stop.clone()
                && stop.wait_for(|stop| *stop).await.is_ok()
            {
                return "interrupted".to_owned();
            }
            std::future::pending().await
        };
        tokio::select! { reason = late => reason, reason = stopped => reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn both_ends() {
        let never = std::future::pending::<()>;
        let late = Until::new(Some(Duration::from_millis(5)), None);
        let reason = late.run(never()).await.unwrap_err();
        assert_eq!(reason, "it was not there within 0.005 s");
        assert!(late.run(async { 7 }).await.is_err(), "it is over");
        let long = Until::new(Some(Duration::from_secs(60)), None);
        assert_eq!(long.run(async { 7 }).await, Ok(7));
        let (sender, receiver) = watch::channel(false);
        let until = Until::new(None, Some(receiver));
        let waiting = tokio::spawn({
            let until = until.clone();
            async move { until.run(std::future::pending::<()>()).await }
        });
        sender.send_replace(true);
        assert_eq!(waiting.await.unwrap(), Err("interrupted".to_owned()));
        drop(sender);
        let (sender, receiver) = watch::channel(false);
        drop(sender);
        let alone = Until::new(Some(Duration::from_millis(5)), Some(receiver));
        assert!(alone.run(never()).await.is_err(), "nobody left to stop it");
    }
}
