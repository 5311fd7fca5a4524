//! `calve top`: a running pipeline, watched in a terminal.
//!
//! ```text
//!   REST API ── once a second ──▶ ask ── channel ──▶ App ──▶ draw ──▶ terminal
//!                                 (a task)            ▲      (pure)
//!                                    keys, signals ───┘
//! ```
//!
//! * All figures are those of the web UI, from the same answer; [`App`] only remembers the last of them and what the
//!   reader looks at.
//! * [`draw()`](draw::draw) makes a picture of an [`App`] and nothing else, so that tests can look at it without a
//!   terminal.
//! * The terminal is given back whatever ends it: a key, a signal, an error or a panic ([`Screen`]).

mod app;
mod bars;
mod draw;
mod overview;
mod theme;
mod views;

#[cfg(test)]
mod tests;

use std::io::{IsTerminal, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tokio::time::sleep;

use super::args::TopArgs;
use super::remote::Pipeline;
use super::state::{self, Log, State};
use super::table::prepare;
use crate::config::Settings;
use crate::control::now_ms;
use crate::error::{Error, Result};
use crate::observe::terminal::is_coloured;
use app::{App, Seen};
use theme::Theme;

/// How often the pipeline is asked: its own figures change as often.
const EVERY: Duration = Duration::from_secs(1);
/// How long a key or a new figure may wait for its picture.
const TICK: Duration = Duration::from_millis(100);

pub(super) fn run(args: &TopArgs) -> Result<()> {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    if !stdout().is_terminal() || dumb {
        return Err(Error::config(match dumb {
            false => "calve top draws in a terminal, and standard output is none",
            true => "calve top draws in a terminal, and this one can't move its cursor (TERM)",
        })
        .advice("calve status says the same once; with --json for programs"));
    }
    let (settings, runtime) = prepare(&args.settings)?;
    let url = args.url.clone();
    let pipeline = runtime.block_on(Pipeline::find(&settings, url.as_deref()))?;
    // The first look is made here, so that what is wrong with it is an error on a plain terminal.
    let first = runtime.block_on(look(&pipeline, 0))?;
    let mut app = App::new(&pipeline.base, Theme::new(is_coloured(&stdout())));
    app.take(first);
    let (tell, told) = channel();
    runtime.spawn(ask(settings, url, pipeline, app.newest_line(), tell));
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(failed)?;
    }
    let mut screen = Screen::take()?;
    watch(&mut screen.0, &mut app, &told, &stop).map_err(failed)
}

fn failed(error: std::io::Error) -> Error {
    Error::external("the terminal does not do what it is told").caused_by(error)
}

/// Draws what is new until a key or a signal ends it.
fn watch(
    terminal: &mut DefaultTerminal,
    app: &mut App,
    told: &Receiver<Seen>,
    stop: &AtomicBool,
) -> std::io::Result<()> {
    let mut changed = true;
    while !stop.load(Ordering::Relaxed) {
        if changed {
            terminal.draw(|frame| draw::draw(frame, app, now_ms()))?;
        }
        // A silence gets longer without anything that comes.
        changed = app.is_lost();
        if event::poll(TICK)? {
            match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release && !app.key(key) => break,
                _ => {}
            }
            changed = true;
        }
        for seen in told.try_iter() {
            app.take(seen);
            changed = true;
        }
    }
    Ok(())
}

/// Asks the pipeline again and again, until nobody listens; looks for it where it may have come back.
async fn ask(
    settings: Settings,
    url: Option<String>,
    mut pipeline: Pipeline,
    mut newest: u64,
    tell: Sender<Seen>,
) {
    loop {
        sleep(EVERY).await;
        let seen = match look(&pipeline, newest).await {
            Ok(seen) => seen,
            Err(error) => {
                if let Ok(found) = Pipeline::find(&settings, url.as_deref()).await {
                    pipeline = found;
                }
                Seen::Lost(error.says())
            }
        };
        if let Seen::State(state, _) = &seen {
            newest = state.log_newest;
        }
        if tell.send(seen).is_err() {
            return;
        }
    }
}

/// One look: the state, and the log lines after `newest`.
async fn look(pipeline: &Pipeline, newest: u64) -> Result<Seen> {
    let state: State = state::parse(&pipeline.get("/calve/state").await?)?;
    let lines = match state.log_newest {
        now if now == newest => Vec::new(),
        now => {
            // Another process counts its lines from one.
            let after = if now < newest { 0 } else { newest };
            let log = pipeline.get(&format!("/calve/logs?after={after}")).await?;
            state::parse::<Log>(&log)?.lines
        }
    };
    Ok(Seen::State(Box::new(state), lines))
}

/// The terminal, taken for the time of its life: in raw mode, on the other screen.
struct Screen(DefaultTerminal);

impl Screen {
    fn take() -> Result<Self> {
        // Gives the terminal back on a panic, too, before its message is printed.
        ratatui::try_init().map(Self).map_err(|error| {
            ratatui::restore();
            failed(error)
        })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}
