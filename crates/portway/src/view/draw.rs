//! Drawing the live view: a pure function from what is known to what is shown.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use portway_telemetry::printable;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{Forward, RequestLine, Snapshot, Tone};

/// Width of the names on the left, and on a narrow terminal.
const NAME_WIDTH: usize = 18;
const NARROW_NAME_WIDTH: usize = 15;
/// A terminal below this width is narrow.
const NARROW: usize = 60;
/// Lines of one value or notice at most; the rest is an ellipsis.
const VALUE_LINES: usize = 3;
/// Rows that requests should have. Where there are less, empty lines are left out.
const REQUEST_ROWS: usize = 5;

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, snapshot: &Snapshot, requests: &VecDeque<RequestLine>, now: Instant) {
    let width = usize::from(frame.area().width);
    let table = Table { width, names: if width < NARROW { NARROW_NAME_WIDTH } else { NAME_WIDTH } };
    let mut upper = vec![title(width), Line::default()];
    for row in &snapshot.rows {
        let value = wrapped(&clean(&row.value), table.values(), VALUE_LINES);
        upper.extend(table.named(row.name, value, style(row.tone)));
    }
    for (index, forward) in snapshot.forwards.iter().enumerate() {
        upper.extend(table.forward(if index == 0 { "Forwarding" } else { "" }, forward));
    }
    upper.push(Line::default());
    upper.extend(table.connections(snapshot));
    for notice in &snapshot.notices {
        upper.push(Line::default());
        let lines = wrapped(&clean(notice), width, VALUE_LINES);
        upper.extend(lines.into_iter().map(|line| Line::styled(line, style(Tone::Uncertain))));
    }
    upper.push(Line::default());
    if upper.len() + REQUEST_ROWS > usize::from(frame.area().height) {
        upper.retain(|line| line.width() > 0);
    }

    let height = u16::try_from(upper.len()).unwrap_or(u16::MAX);
    let [top, bottom] = Layout::vertical([Constraint::Length(height), Constraint::Min(0)]).areas(frame.area());
    frame.render_widget(Paragraph::new(upper), top);
    frame.render_widget(Paragraph::new(request_lines(requests, usize::from(bottom.height), width, now)), bottom);
}

/// The upper table: names on the left, values beside them.
struct Table {
    width: usize,
    names: usize,
}

impl Table {
    fn values(&self) -> usize {
        self.width.saturating_sub(self.names)
    }

    fn named(&self, name: &str, values: Vec<String>, style: Style) -> Vec<Line<'static>> {
        let names = std::iter::once(name).chain(std::iter::repeat(""));
        let line = |(name, value)| Line::from(vec![self.name(name), Span::styled(value, style)]);
        names.zip(values).map(line).collect()
    }

    fn name(&self, name: &str) -> Span<'static> {
        Span::raw(format!("{name:<width$}", width = self.names))
    }

    /// A public URL in full, wrapped if need be, and where it leads.
    fn forward(&self, name: &str, forward: &Forward) -> Vec<Line<'static>> {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let (url, to) = (clean(&forward.url), format!("-> {}", clean(&forward.to)));
        let mut lines = if url.chars().count() + 1 + to.chars().count() <= self.values() {
            let to = Span::raw(format!(" {to}"));
            vec![Line::from(vec![self.name(name), Span::styled(url, bold), to])]
        } else {
            let mut lines = self.named(name, wrapped(&url, self.values(), usize::MAX), bold);
            lines.extend(self.named("", wrapped(&to, self.values(), 1), Style::new()));
            lines
        };
        if let Some(problem) = &forward.problem {
            lines.extend(self.named("", wrapped(&clean(problem), self.values(), VALUE_LINES), style(Tone::Bad)));
        }
        lines
    }

    fn connections(&self, snapshot: &Snapshot) -> Vec<Line<'static>> {
        let shown = |value: Option<Duration>| value.map_or_else(|| "-".to_owned(), duration);
        let (count, time) = if self.width < NARROW { (5, 7) } else { (9, 11) };
        let columns = |[ttl, opn, p50, p90]: [&str; 4]| vec![format!("{ttl:<count$}{opn:<count$}{p50:<time$}{p90}")];
        let mut lines =
            self.named("Connections", columns(["ttl", "opn", "p50", "p90"]), Style::new().add_modifier(Modifier::DIM));
        let counts =
            [&snapshot.total.to_string(), &snapshot.open.to_string(), &shown(snapshot.p50), &shown(snapshot.p90)];
        lines.extend(self.named("", columns(counts.map(String::as_str)), Style::new()));
        lines
    }
}

/// The text on lines of `width` characters, broken at spaces where there are some; what goes beyond `most` lines is an ellipsis.
fn wrapped(text: &str, width: usize, most: usize) -> Vec<String> {
    let mut rest: Vec<char> = text.chars().collect();
    let mut lines = Vec::new();
    while width > 0 && rest.len() > width && lines.len() + 1 < most {
        let space = rest[..=width].iter().rposition(|c| *c == ' ').filter(|at| *at > width / 2);
        let line: Vec<char> = rest.drain(..space.unwrap_or(width)).collect();
        lines.push(line.into_iter().collect());
        if space.is_some() {
            rest.remove(0);
        }
    }
    if rest.len() > width {
        rest.truncate(width.saturating_sub(1));
        rest.push('…');
    }
    lines.push(rest.into_iter().collect());
    lines
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

fn title(width: usize) -> Line<'static> {
    let (name, hint) = ("portway", "(Ctrl+C to quit)");
    let gap = width.saturating_sub(name.len() + hint.len()).max(2);
    Line::from(vec![
        Span::styled(name, Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD)),
        Span::raw(" ".repeat(gap)),
        Span::styled(hint, Style::new().add_modifier(Modifier::DIM)),
    ])
}

fn request_lines(requests: &VecDeque<RequestLine>, height: usize, width: usize, now: Instant) -> Vec<Line<'static>> {
    if requests.is_empty() {
        return Vec::new();
    }
    let mut lines = match height {
        // Requests say more than their heading.
        0..3 => Vec::new(),
        _ => vec![Line::raw("HTTP Requests"), Line::raw("-------------")],
    };
    let room = height.saturating_sub(lines.len());
    lines.extend(requests.iter().take(room).map(|request| {
        let age = format!("{:>7} ago  ", duration(now.saturating_duration_since(request.seen)));
        let (status, tone) = match request.status {
            None => ("---".to_owned(), Tone::Bad),
            Some(status @ 500..) => (status.to_string(), Tone::Bad),
            Some(status @ 400..500) => (status.to_string(), Tone::Uncertain),
            Some(status) => (status.to_string(), Tone::Good),
        };
        let took = request.duration.map_or_else(String::new, duration);
        let text = wrapped(&request.text, width.saturating_sub(28), 1).swap_remove(0);
        Line::from(vec![
            Span::styled(age, Style::new().add_modifier(Modifier::DIM)),
            Span::styled(status, style(tone)),
            Span::raw(format!("  {took:>8}  {text}")),
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

    use super::super::Row;
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
        let lines = shown(60, 22, &requests, now + Duration::from_secs(3));
        assert_eq!(
            lines,
            [
                "portway                                     (Ctrl+C to quit)",
                "",
                "Session Status    online",
                "Account           Ann\\u{1b}[2J",
                "Forwarding        https://app.example.com",
                "                  -> http://localhost:8080",
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
                "",
                "",
                "",
                "",
                "",
            ]
        );
    }

    #[test]
    fn a_small_terminal_shows_the_url_in_full_and_requests() {
        let now = Instant::now();
        let request = RequestLine { seen: now, status: Some(200), text: "GET /a/long/path".to_owned(), duration: None };
        let lines = shown(40, 11, &VecDeque::from([request.clone(), request]), now);
        assert_eq!(
            lines,
            [
                "portway                 (Ctrl+C to quit)",
                "Session Status online",
                "Account        Ann\\u{1b}[2J",
                "Forwarding     https://app.example.com",
                "               -> http://localhost:8080",
                "Connections    ttl  opn  p50    p90",
                "               12   1    12 ms  -",
                "http://localhost:8080 was not reached:",
                "refused",
                "   0 us ago  200            GET /a/long…",
                "   0 us ago  200            GET /a/long…",
            ]
        );
    }

    #[test]
    fn long_texts_are_wrapped_and_elided() {
        assert_eq!(wrapped("one two three four", 9, 3), ["one two", "three", "four"]);
        assert_eq!(wrapped("one two three four", 9, 2), ["one two", "three fo…"]);
        assert_eq!(wrapped("https://app.example.com", 10, usize::MAX), ["https://ap", "p.example.", "com"]);
        assert_eq!(wrapped("abc", 0, 3), ["…"]);
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
