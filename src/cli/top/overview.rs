//! The overview: throughput, the figures of `calve status`, lag, workers, checkpoints, and, where there is room, the log.

use indicatif::HumanCount;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, RenderDirection, Sparkline, Wrap};

use super::app::App;
use super::bars::{bar, percent};
use super::draw::framed;
use super::views;
use crate::cli::state::State;
use crate::cli::table::Shade;
use crate::verify::words::{ago, bytes, count, span_ms};

/// From this height on the log has room, too.
const WITH_LOG: u16 = 30;
/// From this width on every sentence has room on one line.
const WIDE: u16 = 100;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, state: &State) {
    let log = match area.height >= WITH_LOG {
        true => Constraint::Fill(1),
        false => Constraint::Length(0),
    };
    // Who holds the epoch back takes a second line on a narrow screen.
    let figures = if area.width < WIDE { 5 } else { 4 };
    let rows = [
        Constraint::Fill(1),
        Constraint::Length(figures),
        Constraint::Fill(1),
        Constraint::Fill(1),
        log,
    ];
    let [chart, figures, middle, checkpoints, log] = area.layout(&Layout::vertical(rows));
    throughput(frame, chart, app, state);
    frame.render_widget(lines(app, state), figures);
    let columns = [Constraint::Fill(1), Constraint::Fill(1)];
    let [lag, workers] = middle.layout(&Layout::horizontal(columns));
    lags(frame, lag, app, state);
    loads(frame, workers, app, state);
    views::history(frame, checkpoints, app, state, 0);
    views::newest_lines(frame, log, app, 0);
}

/// A bar a second, the newest on the right.
fn throughput(frame: &mut Frame<'_>, area: Rect, app: &App, state: &State) {
    let theme = app.theme;
    let shown = usize::from(area.width.saturating_sub(2));
    let read: Vec<u64> = state
        .series
        .iter()
        .rev()
        .take(shown)
        .map(|point| point.1 as u64)
        .collect();
    let peak = read.iter().copied().max().unwrap_or(0);
    let figures = &state.figures;
    let title = format!(
        "{} records/s read, {} committed, {}/s",
        HumanCount(figures.records_per_s as u64),
        HumanCount(figures.committed_per_s as u64),
        bytes(figures.bytes_per_s as u64)
    );
    let seconds = span_ms(read.len() as u64 * 1_000);
    let block = framed(theme, title).title_bottom(
        Line::styled(
            format!(" the last {seconds}, at most {} ", HumanCount(peak)),
            theme.of(Shade::Faint),
        )
        .right_aligned(),
    );
    let chart = Sparkline::default()
        .block(block)
        .direction(RenderDirection::RightToLeft)
        .max(peak.max(1))
        .style(theme.bars())
        .data(read);
    frame.render_widget(chart, area);
}

/// What has no picture.
fn lines(app: &App, state: &State) -> Paragraph<'static> {
    let theme = app.theme;
    let figures = &state.figures;
    let number = |number: u64| HumanCount(number).to_string();
    let alarming = |name: &'static str, number: u64| {
        let shade = match number {
            0 => theme.of(Shade::Faint),
            _ => theme.of(Shade::Doubtful),
        };
        [
            Span::styled(format!("   {name} "), theme.of(Shade::Faint)),
            Span::styled(HumanCount(number).to_string(), shade),
        ]
    };
    let named = |name: &'static str, value: String| {
        [Span::styled(name, theme.of(Shade::Faint)), Span::raw(value)]
    };
    let delay = match state.delay_ms {
        Some(ms) => ago(ms, 0),
        None => "known after two checkpoints".to_owned(),
    };
    let first = named(" lag ", format!("{} records", number(state.lag.total)))
        .into_iter()
        .chain(named("   delay ", delay))
        .chain(alarming("rejects", state.rejects.count))
        .chain(alarming("restarts", figures.restarts));
    let second = named(
        " committed ",
        format!(
            "{} records in {} files, {}",
            number(figures.records_committed),
            number(figures.files_committed),
            bytes(figures.bytes_committed)
        ),
    );
    let third = named(
        " memory ",
        format!(
            "{} of {} unwritten, {} of {} uncommitted",
            bytes(figures.in_flight_bytes),
            bytes(state.limits.in_flight_bytes),
            bytes(figures.uncommitted_bytes),
            bytes(state.limits.uncommitted_bytes)
        ),
    );
    let says = Line::raw(format!(" {}", state.graph.says));
    Paragraph::new(vec![
        Line::from_iter(first),
        Line::from_iter(second),
        Line::from_iter(third),
        says,
    ])
    .wrap(Wrap { trim: false })
}

fn lags(frame: &mut Frame<'_>, area: Rect, app: &App, state: &State) {
    let title = format!("Lag of {}", count(state.lag.partitions as u64, "partition"));
    let block = framed(app.theme, title);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let table = views::lag_table(app, state, 0, inner.width);
    frame.render_widget(table, inner);
}

/// How busy each worker is, over all its operators.
fn loads(frame: &mut Frame<'_>, area: Rect, app: &App, state: &State) {
    let theme = app.theme;
    let block = framed(theme, "Workers, busy");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let busy = app.busy();
    let room = inner.width.saturating_sub(4 + 8);
    let load = |index: usize| {
        let busy = busy.as_ref()?;
        let shares = busy.iter().filter_map(|operator| operator.get(index));
        Some(shares.sum::<f64>().min(1.0))
    };
    let workers = state.graph.workers.iter().enumerate();
    let lines = workers.take(inner.height.into()).map(|(index, worker)| {
        let (drawn, told) = match load(index) {
            Some(share) => (bar(share, room), percent(share)),
            None => (String::new(), "–".to_owned()),
        };
        let (worker, told) = (format!("{worker:>3} "), format!(" {told:>7}"));
        let drawn = format!("{drawn:width$}", width = usize::from(room));
        Line::from(vec![
            Span::raw(worker),
            Span::styled(drawn, theme.bars()),
            Span::raw(told),
        ])
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), inner);
}
