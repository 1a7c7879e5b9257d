//! Drawing the live view: a pure function from what is known to what is shown.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use portway_telemetry::printable;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{RequestLine, Snapshot, Tone};

/// Width of the names on the left.
const NAME_WIDTH: usize = 18;

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, snapshot: &Snapshot, requests: &VecDeque<RequestLine>, now: Instant) {
    let mut upper = vec![title(frame.area().width), Line::default()];
    upper.extend(
        snapshot.rows.iter().map(|row| named(row.name, vec![Span::styled(clean(&row.value), style(row.tone))])),
    );
    for (index, forward) in snapshot.forwards.iter().enumerate() {
        let name = if index == 0 { "Forwarding" } else { "" };
        let mut spans = vec![
            Span::styled(clean(&forward.url), Style::new().add_modifier(Modifier::BOLD)),
            Span::raw(format!(" -> {}", clean(&forward.to))),
        ];
        if let Some(problem) = &forward.problem {
            spans.push(Span::styled(format!("  {}", clean(problem)), style(Tone::Bad)));
        }
        upper.push(named(name, spans));
    }
    upper.push(Line::default());
    upper.extend(connections(snapshot));
    for notice in &snapshot.notices {
        upper.push(Line::default());
        upper.push(Line::styled(clean(notice), style(Tone::Uncertain)));
    }
    upper.push(Line::default());

    let height = u16::try_from(upper.len()).unwrap_or(u16::MAX);
    let [top, bottom] = Layout::vertical([Constraint::Length(height), Constraint::Min(0)]).areas(frame.area());
    frame.render_widget(Paragraph::new(upper), top);
    frame.render_widget(Paragraph::new(request_lines(requests, usize::from(bottom.height), now)), bottom);
}

/// A duration as people say it: three digits and a unit.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match duration.as_secs() {
        0 if seconds < 0.001 => format!("{} us", duration.as_micros()),
        0 if seconds < 0.01 => format!("{:.1} ms", seconds * 1e3),
        0 => format!("{:.0} ms", seconds * 1e3),
        1..100 => format!("{seconds:.1} s"),
        whole if whole < 7200 => format!("{} min", whole / 60),
        whole => format!("{} h", whole / 3600),
    }
}

fn title(width: u16) -> Line<'static> {
    let (name, hint) = ("portway", "(Ctrl+C to quit)");
    let gap = usize::from(width).saturating_sub(name.len() + hint.len()).max(2);
    Line::from(vec![
        Span::styled(name, Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD)),
        Span::raw(" ".repeat(gap)),
        Span::styled(hint, Style::new().add_modifier(Modifier::DIM)),
    ])
}

fn named(name: &str, mut value: Vec<Span<'static>>) -> Line<'static> {
    value.insert(0, Span::raw(format!("{name:<NAME_WIDTH$}")));
    Line::from(value)
}

fn connections(snapshot: &Snapshot) -> [Line<'static>; 2] {
    let shown = |value: Option<Duration>| value.map_or_else(|| "-".to_owned(), duration);
    let header = format!("{:<9}{:<9}{:<11}{}", "ttl", "opn", "p50", "p90");
    let counts = format!("{:<9}{:<9}{:<11}{}", snapshot.total, snapshot.open, shown(snapshot.p50), shown(snapshot.p90));
    [
        named("Connections", vec![Span::styled(header, Style::new().add_modifier(Modifier::DIM))]),
        named("", vec![Span::raw(counts)]),
    ]
}

fn request_lines(requests: &VecDeque<RequestLine>, height: usize, now: Instant) -> Vec<Line<'static>> {
    if requests.is_empty() || height < 3 {
        return Vec::new();
    }
    let mut lines = vec![Line::raw("HTTP Requests"), Line::raw("-------------")];
    lines.extend(requests.iter().take(height - 2).map(|request| {
        let age = format!("{:>7} ago  ", duration(now.saturating_duration_since(request.seen)));
        let (status, tone) = match request.status {
            None => ("---".to_owned(), Tone::Bad),
            Some(status @ 500..) => (status.to_string(), Tone::Bad),
            Some(status @ 400..500) => (status.to_string(), Tone::Uncertain),
            Some(status) => (status.to_string(), Tone::Good),
        };
        let took = request.duration.map_or_else(String::new, duration);
        Line::from(vec![
            Span::styled(age, Style::new().add_modifier(Modifier::DIM)),
            Span::styled(status, style(tone)),
            Span::raw(format!("  {took:>8}  {}", request.text)),
        ])
    }));
    lines
}

fn style(tone: Tone) -> Style {
    match tone {
        Tone::Plain => Style::new(),
        Tone::Good => Style::new().fg(Color::Green),
        Tone::Uncertain => Style::new().fg(Color::Yellow),
        Tone::Bad => Style::new().fg(Color::Red),
    }
}

/// One line of harmless text.
fn clean(text: &str) -> String {
    printable(&text.split_whitespace().collect::<Vec<_>>().join(" ")).to_string()
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::{Forward, Row};
    use super::*;

    fn snapshot() -> Snapshot {
        Snapshot {
            rows: vec![
                Row { name: "Session Status", value: "online".to_owned(), tone: Tone::Good },
                Row { name: "Account", value: "Ann\u{1b}[2J".to_owned(), tone: Tone::Plain },
            ],
            forwards: vec![Forward {
                url: "https://app.example.com".to_owned(),
                to: "http://localhost:8080".to_owned(),
                problem: None,
            }],
            open: 1,
            total: 12,
            p50: Some(Duration::from_millis(12)),
            p90: None,
            notices: vec!["http://localhost:8080 was not reached:\nrefused".to_owned()],
        }
    }

    fn shown(width: u16, height: u16, requests: &VecDeque<RequestLine>, now: Instant) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test backend");
        terminal.draw(|frame| draw(frame, &snapshot(), requests, now)).expect("drawn");
        let buffer = terminal.backend().buffer().clone();
        let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..height).map(row).collect()
    }

    #[test]
    fn everything_has_its_line() {
        let now = Instant::now();
        let line = |status, text: &str| RequestLine {
            seen: now,
            status,
            text: text.to_owned(),
            duration: Some(Duration::from_micros(2_340)),
        };
        let requests = VecDeque::from([line(Some(200), "GET /"), line(Some(404), "GET /x"), line(None, "not reached")]);
        let lines = shown(60, 16, &requests, now + Duration::from_secs(3));
        assert_eq!(
            lines,
            [
                "portway                                     (Ctrl+C to quit)",
                "",
                "Session Status    online",
                "Account           Ann\\u{1b}[2J",
                "Forwarding        https://app.example.com -> http://localhos",
                "",
                "Connections       ttl      opn      p50        p90",
                "                  12       1        12 ms      -",
                "",
                "http://localhost:8080 was not reached: refused",
                "",
                "HTTP Requests",
                "-------------",
                "  3.0 s ago  200    2.3 ms  GET /",
                "  3.0 s ago  404    2.3 ms  GET /x",
                "  3.0 s ago  ---    2.3 ms  not reached",
            ]
        );
    }

    #[test]
    fn small_terminals_are_no_problem() {
        let now = Instant::now();
        for (width, height) in [(0, 0), (1, 1), (10, 3), (200, 5), (3, 200)] {
            shown(width, height, &VecDeque::new(), now);
        }
    }

    #[test]
    fn durations_as_people_say_them() {
        let shown = [17, 2_340, 45_000, 1_500_000, 200_000_000, 10_000_000_000]
            .map(|micros| duration(Duration::from_micros(micros)));
        assert_eq!(shown, ["17 us", "2.3 ms", "45 ms", "1.5 s", "3 min", "2 h"]);
    }
}
