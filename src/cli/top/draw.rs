//! The picture: two lines about the pipeline, the views and what is not well, then the view, then the keys.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

use super::app::{App, View};
use super::bars::shortened;
use super::theme::Theme;
use super::{overview, views};
use crate::cli::state::{Phase, State};
use crate::cli::status::{MAX_LAG, findings};
use crate::cli::table::Shade;
use crate::verify::words::{ago, count};

/// Below this nothing can be read.
const LEAST: (u16, u16) = (40, 10);

/// Draws what the app holds; `now_ms` is for how long nothing was heard.
pub(super) fn draw(frame: &mut Frame<'_>, app: &mut App, now_ms: i64) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let (width, height) = LEAST;
        let text = format!("calve top needs {width} × {height} at least (q leaves)");
        return frame.render_widget(Paragraph::new(text), area);
    }
    let rows = [
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
    ];
    let [title, tabs, health, body, keys] = area.layout(&Layout::vertical(rows));
    let Some(state) = app.state().cloned() else {
        return;
    };
    headline(frame, title, app, &state, now_ms);
    frame.render_widget(tab_line(app), tabs);
    frame.render_widget(health_line(app, &state, area.width), health);
    match app.view {
        View::Overview => overview::draw(frame, body, app, &state),
        View::Partitions => views::partitions(frame, body, app, &state),
        View::Operators => views::operators(frame, body, app, &state),
        View::Checkpoints => views::checkpoints(frame, body, app, &state),
        View::Log => views::log(frame, body, app),
    }
    frame.render_widget(key_line(app), keys);
}

/// Who it is, and how fresh the picture.
fn headline(frame: &mut Frame<'_>, area: Rect, app: &App, state: &State, now_ms: i64) {
    let theme = app.theme;
    let (fresh, shade) = if app.paused {
        (" PAUSED ".to_owned(), theme.chosen())
    } else if app.is_lost() {
        let silent = ago(now_ms, state.at_ms);
        (format!("no answer for {silent} "), theme.of(Shade::Bad))
    } else {
        (
            format!("live, {} ", clock(state.at_ms)),
            theme.of(Shade::Faint),
        )
    };
    let right = u16::try_from(fresh.chars().count()).unwrap_or(u16::MAX);
    let columns = [Constraint::Fill(1), Constraint::Length(right)];
    let [left, right] = area.layout(&Layout::horizontal(columns));
    let phase = match state.phase {
        Phase::Running => theme.of(Shade::Good),
        Phase::Starting => theme.of(Shade::Strong),
        Phase::Restarting => theme.of(Shade::Doubtful),
        Phase::Finished | Phase::Cancelled | Phase::Failed => theme.of(Shade::Bad),
    };
    let who = Line::from(vec![
        Span::styled(format!(" {}", state.pipeline), theme.of(Shade::Strong)),
        Span::styled(format!(" · {}   ", state.dataflow), theme.of(Shade::Faint)),
        Span::styled(state.phase.word(), phase),
        Span::raw(format!(" for {}", ago(state.at_ms, state.phase_since_ms))),
        Span::styled(
            format!("   {}", count(state.parallelism as u64, "worker")),
            theme.of(Shade::Faint),
        ),
    ]);
    frame.render_widget(who, left);
    frame.render_widget(Line::styled(fresh, shade), right);
}

fn tab_line(app: &App) -> Line<'static> {
    let tabs = View::ALL.into_iter().enumerate().flat_map(|(index, view)| {
        let style = match view == app.view {
            true => app.theme.chosen(),
            false => Style::new(),
        };
        let title = format!(" {} {} ", index + 1, view.title());
        [Span::styled(title, style), Span::raw(" ")]
    });
    Line::from_iter(tabs)
}

/// Is it well? The judgement of `calve status`.
fn health_line(app: &App, state: &State, width: u16) -> Line<'static> {
    let theme = app.theme;
    if let Some(reason) = app.lost() {
        let text = format!(" no answer, trying again: {reason}");
        return Line::styled(shortened(&text, width.into()), theme.of(Shade::Bad));
    }
    let findings = findings(state, MAX_LAG);
    let Some(first) = findings.first() else {
        return Line::styled(" healthy", theme.of(Shade::Good));
    };
    let more = match findings.len() {
        1 => String::new(),
        many => format!(" (and {} more)", many - 1),
    };
    let room = usize::from(width).saturating_sub(more.chars().count());
    let text = shortened(&format!(" {}: {}", first.is, first.says), room) + &more;
    Line::styled(text, theme.of(Shade::Doubtful))
}

fn key_line(app: &App) -> Line<'static> {
    let key = |key: &'static str, what: &'static str| {
        [
            Span::styled(key, app.theme.of(Shade::Strong)),
            Span::styled(what, app.theme.of(Shade::Faint)),
        ]
    };
    let pause = if app.paused { " go on  " } else { " pause  " };
    let keys = [
        key(" q", " end  "),
        key("tab ← →", " view  "),
        key("↑ ↓", " scroll  "),
        key("p", pause),
    ];
    let url = Span::styled(app.url.clone(), app.theme.of(Shade::Faint));
    Line::from_iter(keys.into_iter().flatten().chain([url]))
}

/// `12:01:07`, in UTC as the log has it.
pub(super) fn clock(ms: i64) -> String {
    match chrono::DateTime::from_timestamp_millis(ms) {
        Some(at) => at.format("%T").to_string(),
        None => "-".to_owned(),
    }
}

/// A frame with a title, faint so that what is in it stands out.
pub(super) fn framed(theme: Theme, title: impl Into<String>) -> Block<'static> {
    Block::bordered()
        .border_style(theme.of(Shade::Faint))
        .title(Line::styled(
            format!(" {} ", title.into()),
            theme.of(Shade::Strong),
        ))
}
