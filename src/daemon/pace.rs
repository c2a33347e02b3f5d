//! How the daemon waits for what comes next: by the clock, or, in a developer's test, by leaps that the test answers for.
//!
//! A test names the time at which the daemon starts (`ENTRA_MIRROR_TEST_CLOCK`). Whenever nothing goes on and nothing is due, the daemon writes
//! the time of what comes next as a line to stdout; the test moves its simulated service there and answers on stdin with a line that says what
//! time it is now. So a week passes in as long as its work takes. See `tests/it/week.rs`.

use std::io::{BufRead, Write};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use crate::clock;

/// How time passes.
#[derive(Debug)]
pub(super) enum Pace {
    ByTheClock,
    Leaps(Leaps),
}

/// The test's side of time.
#[derive(Debug)]
pub(super) struct Leaps {
    answers: mpsc::Receiver<String>,
    /// What was asked for and is not answered yet.
    asked: Option<Timestamp>,
}

impl Pace {
    /// As the process was started.
    pub fn of_the_process() -> Pace {
        if clock::is_moved() { Pace::Leaps(Leaps::listen()) } else { Pace::ByTheClock }
    }

    /// Waits for so long; `None` = for ever. `idle` says that nothing goes on, so that a test may leave the time out.
    pub async fn wait(&mut self, span: Option<Duration>, idle: bool) {
        match (self, span) {
            (Pace::Leaps(leaps), Some(span)) if idle => leaps.leap(span).await,
            (_, Some(span)) => tokio::time::sleep(span).await,
            (_, None) => std::future::pending().await,
        }
    }
}

impl Leaps {
    fn listen() -> Leaps {
        let (sender, answers) = mpsc::channel(1);
        // Reading stdin blocks for as long as the test likes: a thread of its own, which the end of the process ends.
        std::thread::spawn(move || {
            let lines = std::io::stdin().lock().lines();
            lines.map_while(Result::ok).take_while(|line| sender.blocking_send(line.clone()).is_ok()).count();
        });
        Leaps { answers, asked: None }
    }

    /// Asks for a leap and makes it when the answer is there. Nothing is lost when it is not waited for: the next call goes on waiting.
    async fn leap(&mut self, span: Duration) {
        // Whole milliseconds, rounded up: what is waited for must be due afterwards.
        let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX).saturating_add(1);
        let now = clock::now();
        let to = now.checked_add(SignedDuration::from_millis(millis)).unwrap_or(now);
        // While the question stands the time goes on by itself, so what is asked for stays what it was within some milliseconds.
        let differs = |asked: Timestamp| to.duration_since(asked).abs() > SignedDuration::from_millis(500);
        if self.asked.is_none_or(differs) {
            self.asked = Some(to);
            // A test that is gone reads no more; then nothing leaps any more either.
            let _ = writeln!(std::io::stdout(), "{to}").and_then(|()| std::io::stdout().flush());
        }
        match self.answers.recv().await {
            Some(answer) => {
                self.asked = None;
                match answer.trim().parse() {
                    Ok(at) => clock::leap_to(at),
                    Err(error) => tracing::error!(%error, "the test answered {answer:?}, which is no time"),
                }
            }
            None => tokio::time::sleep(span).await,
        }
    }
}
