//! The views that are tables: partitions, operators, checkpoints, log.

use std::cmp::Reverse;

use indicatif::HumanCount;
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Paragraph, Row, Table};

use super::app::App;
use super::bars::{bar, percent, shortened};
use super::draw::{clock, framed};
use crate::cli::state::{Checkpoint, CheckpointStatus, LogLine, State};
use crate::cli::table::{Shade, wrapped};
use crate::verify::words::{bytes, span_ms};

/// What a frame takes of the height of a view, and what with the names of the columns.
const FRAME: u16 = 2;
const FRAME_AND_NAMES: u16 = 3;
const BAR: u16 = 20;
/// The widths of the columns of checkpoints, but for the last one: epoch, status, at, took, records, files, size.
const COLUMNS: [u16; 7] = [6, 11, 8, 8, 11, 5, 10];

pub(super) fn partitions(frame: &mut Frame<'_>, area: Rect, app: &mut App, state: &State) {
    let shown = state.lag.shown.len();
    let pass = app.scrolled(shown, area.height.saturating_sub(FRAME_AND_NAMES).into());
    let title = match state.lag.partitions > shown {
        true => format!(
            "Lag: the {shown} largest of {} partitions, {} records in all",
            HumanCount(state.lag.partitions as u64),
            HumanCount(state.lag.total)
        ),
        false => format!("Lag: {} records in all", HumanCount(state.lag.total)),
    };
    let block = framed(app.theme, title);
    let table = lag_table(app, state, pass, area.width.saturating_sub(2));
    frame.render_widget(table.block(block), area);
}

/// The partitions, the largest lag first, without the first `pass` of them.
pub(super) fn lag_table(app: &App, state: &State, pass: usize, width: u16) -> Table<'static> {
    let mut partitions: Vec<_> = state.lag.shown.iter().collect();
    partitions.sort_by_key(|partition| Reverse(partition.lag));
    let largest = partitions
        .first()
        .map_or(1, |partition| partition.lag.max(1));
    let numbers = partitions
        .iter()
        .map(|partition| HumanCount(partition.lag).to_string().len());
    let number = numbers.max().unwrap_or(0).max("lag".len()) as u16;
    let bars = BAR.min(width / 4);
    let name = usize::from(width.saturating_sub(number + bars + 3));
    let rows = partitions.into_iter().skip(pass).map(|partition| {
        let index = partition.partition.to_string();
        let topic = shortened(&partition.topic, name.saturating_sub(index.len() + 2));
        Row::new(vec![
            Text::raw(format!(" {topic}[{index}]")),
            Text::raw(HumanCount(partition.lag).to_string()).right_aligned(),
            Text::styled(
                bar(partition.lag as f64 / largest as f64, bars),
                app.theme.bars(),
            ),
        ])
    });
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(number),
        Constraint::Length(bars),
    ];
    let names = [
        Text::raw(" partition"),
        Text::raw("lag").right_aligned(),
        Text::raw(""),
    ];
    Table::new(rows, widths).header(Row::new(names).style(app.theme.of(Shade::Faint)))
}

/// The busiest first.
pub(super) fn operators(frame: &mut Frame<'_>, area: Rect, app: &mut App, state: &State) {
    let graph = &state.graph;
    let busy = app.busy();
    let share = |index: usize| -> Option<f64> {
        let workers = busy.as_ref()?.get(index)?;
        Some(workers.iter().sum::<f64>() / workers.len().max(1) as f64)
    };
    let mut order: Vec<usize> = (0..graph.operators.len()).collect();
    order.sort_by(|&a, &b| {
        share(b)
            .partial_cmp(&share(a))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let rows = usize::from(area.height.saturating_sub(FRAME_AND_NAMES));
    let pass = app.scrolled(order.len(), rows);
    let theme = app.theme;
    let rows = order.into_iter().skip(pass).map(|index| {
        let operator = &graph.operators[index];
        let sent = graph
            .edges
            .iter()
            .filter(|edge| edge.from[0] == operator.node);
        let items: u64 = sent.clone().map(|edge| edge.items).sum();
        let item = sent.map(|edge| kind(&edge.item)).next().unwrap_or_default();
        let into = graph
            .edges
            .iter()
            .filter(|edge| edge.to[0] == operator.node);
        let waits = into.filter_map(|edge| edge.frontier).min();
        let holds = graph
            .holders
            .iter()
            .any(|holder| holder.node == operator.node);
        let workers = busy.as_ref().and_then(|busy| busy.get(index));
        let each = workers.map(|shares| {
            shares
                .iter()
                .map(|share| format!("{:>3.0}", share * 100.0))
                .collect::<Vec<_>>()
                .join(" ")
        });
        Row::new(vec![
            Text::raw(format!(" {}", operator.name)),
            Text::raw(share(index).map_or("–".to_owned(), percent)).right_aligned(),
            Text::raw(each.unwrap_or_default()),
            Text::raw(HumanCount(items).to_string()).right_aligned(),
            Text::raw(item),
            Text::raw(waits.map_or("–".to_owned(), |epoch| epoch.to_string())).right_aligned(),
            Text::styled(if holds { "holds" } else { "" }, theme.of(Shade::Strong)),
        ])
    });
    let workers = (4 * graph.workers.len()).clamp(9, 36) as u16;
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(6),
        Constraint::Length(workers),
        Constraint::Length(11),
        Constraint::Length(12),
        Constraint::Length(6),
        Constraint::Length(5),
    ];
    let names = [
        Text::raw(" operator"),
        Text::raw("busy").right_aligned(),
        Text::raw("% on each"),
        Text::raw("sent").right_aligned(),
        Text::raw("items"),
        Text::raw("epoch").right_aligned(),
        Text::raw(""),
    ];
    let table = Table::new(rows, widths)
        .header(Row::new(names).style(theme.of(Shade::Faint)))
        .block(framed(
            theme,
            shortened(&graph.says, area.width.saturating_sub(4).into()),
        ));
    frame.render_widget(table, area);
}

/// What an edge carries, in a word: `(usize, Report)` is a report, and `u64` has no name.
fn kind(item: &str) -> String {
    let words = item.split(|letter: char| !letter.is_alphanumeric());
    let names = words.filter(|word| word.starts_with(char::is_uppercase));
    names.collect::<Vec<_>>().join(", ")
}

pub(super) fn checkpoints(frame: &mut Frame<'_>, area: Rect, app: &mut App, state: &State) {
    let rows = usize::from(area.height.saturating_sub(FRAME_AND_NAMES));
    let pass = app.scrolled(state.checkpoints.history.len(), rows);
    history(frame, area, app, state, pass);
}

/// The checkpoints, the newest first, without the first `pass` of them.
pub(super) fn history(frame: &mut Frame<'_>, area: Rect, app: &App, state: &State, pass: usize) {
    let theme = app.theme;
    let counts = &state.checkpoints.counts;
    let title = format!(
        "Checkpoints: {} completed, {} failed, one every {}",
        HumanCount(counts.completed),
        HumanCount(counts.failed),
        span_ms(state.checkpoints.config.interval_ms)
    );
    let history = &state.checkpoints.history;
    // What the other columns leave, with a space behind each.
    let room = usize::from(
        area.width
            .saturating_sub(FRAME + COLUMNS.iter().sum::<u16>() + COLUMNS.len() as u16),
    );
    let rows = history.iter().skip(pass).map(|checkpoint| {
        let (status, style) = match checkpoint.status {
            CheckpointStatus::Completed => ("completed", theme.of(Shade::Good)),
            CheckpointStatus::InProgress => ("in progress", Style::new()),
            CheckpointStatus::Failed => ("failed", theme.of(Shade::Bad)),
        };
        let number = |text: String| Text::raw(text).right_aligned();
        Row::new(vec![
            number(checkpoint.epoch.to_string()),
            Text::styled(status, style),
            Text::raw(clock(checkpoint.triggered_at_ms)),
            number(checkpoint.duration_ms.map_or("–".to_owned(), span_ms)),
            number(HumanCount(checkpoint.records).to_string()),
            number(HumanCount(checkpoint.files).to_string()),
            number(bytes(checkpoint.bytes)),
            Text::raw(shortened(&remark(checkpoint), room)),
        ])
    });
    let widths = COLUMNS.map(Constraint::Length);
    let widths = widths.into_iter().chain([Constraint::Fill(1)]);
    let right = |name: &'static str| Text::raw(name).right_aligned();
    let names = [
        right("epoch"),
        Text::raw("status"),
        Text::raw("at"),
        right("took"),
        right("records"),
        right("files"),
        right("size"),
        Text::raw("snapshot"),
    ];
    let table = Table::new(rows, widths)
        .header(Row::new(names).style(theme.of(Shade::Faint)))
        .block(framed(theme, title));
    frame.render_widget(table, area);
}

/// Its snapshot, or why there is none.
fn remark(checkpoint: &Checkpoint) -> String {
    let asked = match checkpoint.trigger.as_str() {
        "periodic" => String::new(),
        trigger => format!(" ({trigger})"),
    };
    let remark = match (&checkpoint.failure, &checkpoint.snapshot_id) {
        (Some(failure), _) => failure.clone(),
        (None, Some(snapshot)) => snapshot.clone(),
        (None, None) => String::new(),
    };
    remark + &asked
}

pub(super) fn log(frame: &mut Frame<'_>, area: Rect, app: &mut App) {
    // A line may take several rows: by how much one can scroll is known when all are wrapped.
    let rows = app.log.iter().map(|line| told(app, line, area.width).len());
    let pass = app.scrolled(rows.sum(), area.height.saturating_sub(FRAME).into());
    newest_lines(frame, area, app, pass);
}

/// The end of the log, but for its last `pass` rows.
pub(super) fn newest_lines(frame: &mut Frame<'_>, area: Rect, app: &App, pass: usize) {
    let rows = usize::from(area.height.saturating_sub(FRAME));
    // From the end, as far as it is seen.
    let mut seen: Vec<Line<'_>> = Vec::new();
    for line in app.log.iter().rev() {
        if seen.len() >= rows + pass {
            break;
        }
        seen.extend(told(app, line, area.width).into_iter().rev());
    }
    let mut seen: Vec<_> = seen.into_iter().skip(pass).take(rows).collect();
    seen.reverse();
    let block = framed(app.theme, "Log, UTC");
    frame.render_widget(Paragraph::new(seen).block(block), area);
}

/// A line of the log in rows that fit.
fn told(app: &App, line: &LogLine, width: u16) -> Vec<Line<'static>> {
    let theme = app.theme;
    let style = match line.level.as_str() {
        "ERROR" => theme.of(Shade::Bad),
        "WARN" => theme.of(Shade::Doubtful),
        "INFO" => Style::new(),
        _ => theme.of(Shade::Faint),
    };
    // Frame, time and level.
    const BEFORE: usize = 2 + 9 + 6;
    let room = usize::from(width).saturating_sub(BEFORE).max(20);
    let text = wrapped(&line.text.replace('\n', " "), room, "");
    let rows = text.lines().enumerate().map(|(index, row)| {
        let (at, level) = match index {
            0 => (clock(line.at_ms), line.level.as_str()),
            _ => (String::new(), ""),
        };
        Line::from(vec![
            Span::styled(format!("{at:8} "), theme.of(Shade::Faint)),
            Span::styled(format!("{level:5} "), style),
            // A word may be longer than a row.
            Span::raw(shortened(row, room)),
        ])
    });
    rows.collect()
}
