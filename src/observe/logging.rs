//! Log lines, which must not tear the live progress line apart.

use std::io::{self, Write};

use indicatif::MultiProgress;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::recent::Recent;
use super::terminal::is_coloured;
use crate::config::LogFormat;
use crate::error::{Error, Result};

/// Starts logging to standard error; `level` is a filter such as `info` or `info,calve::kafka=debug`.
///
/// Returns the screen that the live line must be drawn on.
pub fn init(level: &str, format: LogFormat) -> Result<MultiProgress> {
    let screen = MultiProgress::new();
    let filter = EnvFilter::try_new(level).map_err(|error| {
        Error::config(format!("log.level = {level:?} is not a log filter"))
            .caused_by(error)
            .advice("use error, warn, info, debug or trace, or e.g. info,calve::kafka=debug")
    })?;
    let lines = tracing_subscriber::fmt::layer().with_writer(Screen(screen.clone()));
    let lines = match format {
        LogFormat::Text => lines
            .with_ansi(is_coloured(&io::stderr()))
            .with_target(false)
            .boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // A second call (another run in one process, as tests do) keeps the first logger.
    let _ = tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .with(Recent)
        .try_init();
    Ok(screen)
}

/// Standard error beneath the live line.
#[derive(Clone)]
struct Screen(MultiProgress);

impl<'a> MakeWriter<'a> for Screen {
    type Writer = Self;
    fn make_writer(&'a self) -> Self::Writer {
        self.clone()
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
