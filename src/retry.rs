//! Trying again what may succeed later: services are away now and then.

use std::future::Future;
use std::time::Duration;

use tokio::time::sleep;

use crate::error::{Error, Result};

/// The first pause between two attempts; it doubles each time.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Tries until it succeeds, can't succeed any more, or `over` says that time is up. That cuts an attempt that hangs, too.
/// The error is the last attempt's; if none has come to an end, that of `over`.
pub(crate) async fn until_over<T, F: Future<Output = Result<T>>>(
    what: &str,
    over: impl Future<Output = Error>,
    mut attempt: impl FnMut() -> F,
) -> Result<T> {
    let mut last = None;
    let attempts = async {
        let mut pause = PAUSE_MIN;
        loop {
            match attempt().await {
                Err(error) if !error.is_permanent() => {
                    tracing::warn!("{what} has failed and is tried again: {error}");
                    last = Some(error);
                }
                done => return done,
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    };
    let over = tokio::select! {
        done = attempts => return done,
        over = over => over,
    };
    Err(last.unwrap_or(over))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::pending;

    use super::*;

    async fn after(time: Duration) -> Error {
        sleep(time).await;
        Error::external("time is up")
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_for_a_while_is_tried_until_it_succeeds() {
        let attempts = Cell::new(0);
        let done = until_over("it", after(Duration::from_secs(60)), || async {
            attempts.set(attempts.get() + 1);
            match attempts.get() {
                5 => Ok("done"),
                n => Err(Error::external(format!("attempt {n}"))),
            }
        });
        assert_eq!(done.await.unwrap(), "done");
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_hangs_is_cut_and_one_that_failed_is_remembered() {
        let minute = Duration::from_secs(60);
        let hanging = until_over("it", after(minute), || pending::<Result<()>>());
        assert_eq!(hanging.await.unwrap_err().says(), "time is up");
        let attempts = Cell::new(0);
        let then_hanging = until_over("it", after(minute), || {
            attempts.set(attempts.get() + 1);
            let first = attempts.get() == 1;
            async move {
                match first {
                    true => Err::<(), _>(Error::external("no room")),
                    false => pending().await,
                }
            }
        });
        assert_eq!(then_hanging.await.unwrap_err().says(), "no room");
        assert_eq!(attempts.get(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_can_not_succeed_is_not_tried_again() {
        let attempts = Cell::new(0);
        let failed = until_over("it", after(Duration::from_secs(60)), || async {
            attempts.set(attempts.get() + 1);
            Err::<(), _>(Error::config("wrong"))
        });
        failed.await.unwrap_err();
        assert_eq!(attempts.get(), 1);
    }
}
