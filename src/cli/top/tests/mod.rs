//! Pictures of what a real pipeline has answered, cell by cell; and what keys do to them.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;

use super::app::{App, Seen, View};
use super::draw::draw;
use super::theme::Theme;
use crate::cli::state::{LogLine, State, recorded};

fn app(coloured: bool) -> App {
    let (before, now) = recorded::states();
    let mut app = App::new("http://127.0.0.1:8081", Theme::new(coloured));
    app.take(seen(before, Vec::new()));
    app.take(seen(now, recorded::lines()));
    app
}

fn seen(state: State, lines: Vec<LogLine>) -> Seen {
    Seen::State(Box::new(state), lines)
}

fn picture(app: &mut App, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("no terminal");
    let now_ms = app.state().map_or(0, |state| state.at_ms) + 12_000;
    let drawn = terminal.draw(|frame| draw(frame, app, now_ms));
    drawn.expect("no terminal that could fail").buffer.clone()
}

/// What can be read of it.
fn text(picture: &Buffer) -> String {
    let width = usize::from(picture.area.width);
    let rows = picture.content.chunks(width.max(1));
    let rows = rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>());
    rows.map(|row| row.trim_end().to_owned() + "\n").collect()
}

fn press(app: &mut App, code: KeyCode) -> bool {
    app.key(KeyEvent::new(code, KeyModifiers::NONE))
}

#[track_caller]
fn assert_looks(picture: &Buffer, expected: &str) {
    let drawn = text(picture);
    let expected = recorded::file(&format!("top/tests/{expected}"));
    assert!(drawn == expected, "drawn:\n{drawn}\nexpected:\n{expected}");
}

#[test]
fn the_overview_on_a_small_screen() {
    assert_looks(&picture(&mut app(true), 80, 24), "overview-80x24.txt");
}

#[test]
fn the_overview_on_a_large_screen_has_the_log_too() {
    assert_looks(&picture(&mut app(true), 140, 40), "overview-140x40.txt");
}

#[test]
fn each_view_on_a_small_screen() {
    let mut app = app(true);
    for (key, expected) in [
        ('2', "partitions-80x24.txt"),
        ('3', "operators-80x24.txt"),
        ('4', "checkpoints-80x24.txt"),
        ('5', "log-80x24.txt"),
    ] {
        press(&mut app, KeyCode::Char(key));
        assert_looks(&picture(&mut app, 80, 24), expected);
    }
}

#[test]
fn no_size_of_a_terminal_is_too_small_or_too_large() {
    let mut app = app(true);
    for view in '1'..='5' {
        press(&mut app, KeyCode::Char(view));
        for (width, height) in [
            (1, 1),
            (39, 24),
            (40, 10),
            (41, 11),
            (80, 9),
            (79, 33),
            (400, 120),
        ] {
            let drawn = text(&picture(&mut app, width, height));
            let fits = width >= 40 && height >= 10;
            assert_eq!(drawn.contains("q end"), fits, "{width}×{height}:\n{drawn}");
        }
    }
}

#[test]
fn tab_and_arrows_go_around_the_views() {
    let mut app = app(true);
    let mut views = Vec::new();
    for _ in View::ALL {
        views.push(app.view);
        assert!(press(&mut app, KeyCode::Tab));
    }
    assert_eq!((views, app.view), (View::ALL.to_vec(), View::Overview));
    press(&mut app, KeyCode::Left);
    assert_eq!(app.view, View::Log);
    press(&mut app, KeyCode::Right);
    assert_eq!(app.view, View::Overview);
    for end in [KeyCode::Char('q'), KeyCode::Esc] {
        assert!(!press(&mut app, end));
    }
    assert!(!app.key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)));
    assert!(
        press(&mut app, KeyCode::Char('c')),
        "without control it is a letter"
    );
}

#[test]
fn scrolling_ends_where_the_rows_end_and_comes_back_at_once() {
    let mut app = app(true);
    press(&mut app, KeyCode::Char('4'));
    let begin = picture(&mut app, 80, 12);
    press(&mut app, KeyCode::End);
    let end = text(&picture(&mut app, 80, 12));
    let oldest = app
        .state()
        .and_then(|state| state.checkpoints.history.last().cloned());
    let oldest = oldest.expect("a history").epoch.to_string();
    let row = end.lines().nth(9).expect("the last row").to_owned();
    assert!(row.contains(&format!(" {oldest} ")), "{oldest}:\n{end}");
    press(&mut app, KeyCode::Down);
    assert_eq!(
        text(&picture(&mut app, 80, 12)),
        end,
        "there is nothing below"
    );
    press(&mut app, KeyCode::Up);
    assert_ne!(text(&picture(&mut app, 80, 12)), end);
    press(&mut app, KeyCode::Home);
    assert_eq!(picture(&mut app, 80, 12), begin);
    // The log is read from its end.
    press(&mut app, KeyCode::Char('5'));
    let newest = text(&picture(&mut app, 80, 12));
    press(&mut app, KeyCode::PageUp);
    assert_ne!(text(&picture(&mut app, 80, 12)), newest);
    press(&mut app, KeyCode::End);
    assert_eq!(text(&picture(&mut app, 80, 12)), newest);
}

#[test]
fn a_picture_that_is_held_catches_up_with_everything_that_came() {
    let (_, mut later) = recorded::states();
    later.at_ms += 1_000;
    later.figures.records_committed += 1;
    let line = LogLine {
        number: 1_000_000,
        at_ms: later.at_ms,
        level: "WARN".to_owned(),
        text: "said while nobody looked".to_owned(),
    };
    let mut app = app(true);
    let lines = app.log.len();
    press(&mut app, KeyCode::Char('p'));
    let held = text(&picture(&mut app, 140, 40));
    assert!(held.contains("PAUSED") && held.contains("go on"));
    app.take(seen(later.clone(), vec![line]));
    app.take(Seen::Lost("no route".to_owned()));
    assert_eq!(text(&picture(&mut app, 140, 40)), held);
    press(&mut app, KeyCode::Char('p'));
    assert_eq!(app.state().map(|state| state.at_ms), Some(later.at_ms));
    assert_eq!((app.log.len(), app.newest_line()), (lines + 1, 1_000_000));
    let moves = text(&picture(&mut app, 140, 40));
    assert!(moves.contains("said while nobody looked"), "{moves}");
    assert!(moves.contains("no answer for 12 s"), "{moves}");
    assert!(moves.contains("trying again: no route"), "{moves}");
}

#[test]
fn another_process_under_the_same_address_begins_anew() {
    let (_, mut other) = recorded::states();
    other.started_ms += 1;
    let mut app = app(true);
    assert!(app.busy().is_some());
    app.take(seen(other, Vec::new()));
    assert!(app.busy().is_none(), "its shares can't be known yet");
    assert_eq!(app.newest_line(), 0);
    picture(&mut app, 80, 24);
}

#[test]
fn what_is_not_well_is_said_above_everything_else() {
    let (_, mut state) = recorded::states();
    state.lag.total = 123_456_789;
    let mut app = app(true);
    app.take(seen(state, Vec::new()));
    let drawn = text(&picture(&mut app, 80, 24));
    let health = drawn.lines().nth(2).expect("a line");
    assert!(
        health.contains("lag: 123,456,789 records lie before"),
        "{drawn}"
    );
}

#[test]
fn colours_are_few_and_none_at_all_if_nobody_wants_them() {
    let allowed = [
        Color::Reset,
        Color::Green,
        Color::Magenta,
        Color::Red,
        Color::Cyan,
    ];
    for (coloured, colours) in [(true, &allowed[..]), (false, &allowed[..1])] {
        let mut app = app(coloured);
        let mut cells = 0;
        for view in '1'..='5' {
            press(&mut app, KeyCode::Char(view));
            for cell in &picture(&mut app, 140, 40).content {
                assert!(colours.contains(&cell.fg), "{:?}", cell.fg);
                // On a background of ours nobody knows how the terminal's text looks.
                assert_eq!(cell.bg, Color::Reset);
                cells += usize::from(cell.fg != Color::Reset);
            }
        }
        assert_eq!(cells > 0, coloured);
    }
}
