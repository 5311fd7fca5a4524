//! Named points at which the tests end, stop or break the program.
//!
//! Without the feature `failpoints` all of this is nothing at all. With it, the environment variable
//! `FAILPOINTS` says what happens where, in the syntax of the `fail` crate, whose `return(…)` this room
//! gives words of its own:
//!
//! ```text
//! FAILPOINTS='before-swap=3*off->return(kill)'     the fourth swap kills the process, as kill -9 does
//! FAILPOINTS='after-swap=1*return(error)'          the first answer of the catalog is lost
//! FAILPOINTS='before-swap=1*return(stop)'          SIGSTOP: a zombie, until somebody sends SIGCONT
//! FAILPOINTS='staged=1*return(term)'               SIGTERM at this very moment: a drain begins
//! FAILPOINTS='guard=return(off)'                   commits go out unguarded: proves that tests can see it
//! FAILPOINTS='write=20*off->1*panic'               a worker panics (a word of the crate's own)
//! ```
//!
//! | point | the program has just | errors |
//! |---|---|---|
//! | `write` | handed rows to a Parquet writer; the file is open | yes |
//! | `staged` | closed the files of an epoch, told nobody | yes |
//! | `state-upload` | taken a local snapshot of a state, and begins its upload | yes |
//! | `state-uploaded` | uploaded it, told nobody | no |
//! | `commit` | everything of an epoch, and begins its commit | no |
//! | `state-manifest` | the parts of a state snapshot from all workers, and begins to write its manifest | yes |
//! | `state-complete` | made the state snapshot durable, and nobody names it | no |
//! | `before-swap` | written manifests; the catalog does not know of them | yes, not sent |
//! | `after-swap` | made the swap; the answer is on its way | yes, answer lost |
//! | `proved` | proved a commit, told nobody | no |
//! | `state-tidy` | proved a commit, and begins to delete state that nothing can go back to | no |
//! | `state-import` | copied a savepoint's state to the checkpoint directory, for a claim | no |
//! | `state-restore` | restored the state of one worker | no |
//! | `savepoint` | copied the state of a savepoint, if there is any; the savepoint's own file is not there | no |
//! | `group-offsets` | to write the consumer group's offsets | yes |
//! | `guard` | been asked for a permit | `off` only |
//!
//! What happens is logged first, so that a test can assert that its point was reached.

/// Holds what `FAILPOINTS` asks for while the program runs.
#[must_use]
pub(crate) struct Scenario {
    #[cfg(feature = "failpoints")]
    _scenario: fail::FailScenario<'static>,
}

/// Reads `FAILPOINTS`; to be called once, before any other thread runs.
pub(crate) fn setup() -> Scenario {
    Scenario {
        #[cfg(feature = "failpoints")]
        _scenario: fail::FailScenario::setup(),
    }
}

/// Passes a point that can't fail by itself: it can't be broken.
#[inline]
pub(crate) fn pass(point: &str) {
    let _ = fails(point);
}

/// Passes a point; true if the test wants it to fail.
#[inline]
pub(crate) fn fails(point: &str) -> bool {
    asked(point).is_some_and(|word| word == "error")
}

/// True if the test has turned off what the point stands for.
#[inline]
pub(crate) fn is_off(point: &str) -> bool {
    asked(point).is_some_and(|word| word == "off")
}

#[cfg(not(feature = "failpoints"))]
fn asked(_point: &str) -> Option<String> {
    None
}

#[cfg(feature = "failpoints")]
fn asked(point: &str) -> Option<String> {
    use signal_hook::consts::signal::{SIGKILL, SIGSTOP, SIGTERM};
    use signal_hook::low_level::raise;

    // The macro returns from the function it stands in with what the closure makes of `return(word)`.
    fail::fail_point!(point, |word| {
        let word = word.unwrap_or_default();
        tracing::warn!("failpoint {point}: {word}");
        let raised = match word.as_str() {
            "kill" => raise(SIGKILL),
            "stop" => raise(SIGSTOP),
            "term" => raise(SIGTERM),
            _ => Ok(()),
        };
        raised.expect("a signal to oneself");
        Some(word)
    });
    None
}
