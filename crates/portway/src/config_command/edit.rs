//! Settings in the text of a configuration file, which keeps everything else that it says.

/// A setting of the agent.
pub(super) struct Setting {
    pub(super) key: &'static str,
    /// What files of version 2 may call it.
    pub(super) old_key: &'static str,
    pub(super) value: String,
}

/// The text with these settings: in the place of those it has, everything else as it is, comments included. Files of version 2 have them at the top,
/// later ones below `agent`.
pub(super) fn with_settings(text: &str, settings: &[Setting]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if !lines.iter().any(|line| line.starts_with("version:")) {
        lines.insert(0, "version: 3".to_owned());
    }
    let at_top = lines.iter().any(|line| line.starts_with("version:") && line.contains('2'));
    for Setting { key, old_key, value } in settings {
        // JSON texts are YAML texts.
        let value = serde_json::Value::from(value.as_str());
        let (from, to, indent) = if at_top { (0, lines.len(), String::new()) } else { agent(&mut lines) };
        let keys = [format!("{indent}{key}:"), format!("{indent}{old_key}:")];
        let present = (from..to).find(|at| keys.iter().any(|key| lines[*at].starts_with(key.as_str())));
        let line = format!("{indent}{key}: {value}");
        match present {
            Some(at) => lines[at] = line,
            None if at_top => lines.push(line),
            None => lines.insert(from, line),
        }
    }
    lines.join("\n") + "\n"
}

/// Where the settings below `agent` begin and end, and how they are indented; the key is made when it is not there.
fn agent(lines: &mut Vec<String>) -> (usize, usize, String) {
    let from = match lines.iter().position(|line| line.trim_end() == "agent:" || line.starts_with("agent: #")) {
        Some(at) => at + 1,
        None => {
            lines.push("agent:".to_owned());
            lines.len()
        }
    };
    let is_below = |line: &String| line.trim().is_empty() || line.starts_with([' ', '\t', '#']);
    let to = from + lines[from..].iter().take_while(|line| is_below(line)).count();
    let first = lines[from..to].iter().find(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    let indent = first.map_or("  ", |line| &line[..line.len() - line.trim_start().len()]).to_owned();
    (from, to, indent)
}

#[cfg(test)]
mod tests {
    //! Files keep what they say otherwise.

    use super::*;

    fn settings(url: &str, cas: Option<&str>) -> Vec<Setting> {
        let url = Setting { key: "connect_url", old_key: "server_addr", value: url.to_owned() };
        let cas = cas.map(|cas| Setting { key: "connect_cas", old_key: "root_cas", value: cas.to_owned() });
        std::iter::once(url).chain(cas).collect()
    }

    #[test]
    fn a_new_file_is_of_version_3() {
        let text = with_settings("", &settings("c.example:443", Some("trusted")));
        assert_eq!(text, "version: 3\nagent:\n  connect_cas: \"trusted\"\n  connect_url: \"c.example:443\"\n");
    }

    #[test]
    fn everything_else_stays() {
        let before = "# mine\nversion: 3\nagent:\n    # who I am\n    authtoken: t\n    connect_url: old:1\nendpoints:\n  - name: web\n    connect_url: kept\n";
        let after = with_settings(before, &settings("c.example:443", None));
        assert_eq!(after, before.replace("connect_url: old:1", "connect_url: \"c.example:443\""));
        let two = "version: \"2\"\nserver_addr: old:1\nauthtoken: t\n";
        let after = with_settings(two, &settings("c.example:443", Some("host")));
        assert_eq!(after, "version: \"2\"\nconnect_url: \"c.example:443\"\nauthtoken: t\nconnect_cas: \"host\"\n");
    }
}
