//! What a visitor of the demonstration may try: lines that work as they stand when pasted into another terminal.

use std::path::Path;

use crate::{app::App, config::Config};

/// How this visitor's shell reaches the server: everything by its full path, so that any folder will do.
struct Calls {
    base: String,
    curl: String,
    program: String,
    flags: String,
}

/// The server's doors, the key file, and the lines to paste.
pub fn text(app: &App, config: &Config) -> String {
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let data_dir = whole(&config.data_dir);
    let certificate = config.http.tls.as_ref().map(|tls| whole(&tls.cert));
    let program = std::env::current_exe().unwrap_or_else(|_| "twinfold".into());
    let token_file = app.admin_token_file().and_then(|file| Some(data_dir.join(file.file_name()?)));
    let calls = Calls::new(app.url(), &program, token_file.as_deref(), certificate.as_deref());
    let key = token_file.map_or_else(|| "the one in auth.admin_token".to_owned(), |file| file.display().to_string());
    format!(
        "dashboard   {base}/\nAPI         {base}/docs\ndevices     mqtt://{}\nkey         {key}\n\n{}",
        app.mqtt,
        calls.lines(),
        base = calls.base
    )
}

impl Calls {
    fn new(base: String, program: &Path, token_file: Option<&Path>, certificate: Option<&Path>) -> Self {
        let shown = |path: &Path| quoted(&path.display().to_string());
        let key = token_file.map_or("$TWINFOLD_TOKEN".to_owned(), |file| format!("$(cat {})", shown(file)));
        let mut curl = format!("curl -s -H \"Authorization: Bearer {key}\"");
        let mut flags = format!("--url {base}");
        if let Some(dir) = token_file.and_then(Path::parent) {
            flags.push_str(&format!(" --data-dir {}", shown(dir)));
        }
        if let Some(certificate) = certificate {
            curl.push_str(&format!(" --cacert {}", shown(certificate)));
            flags.push_str(&format!(" --ca {}", shown(certificate)));
        }
        Self { base, curl, program: shown(program), flags }
    }

    fn lines(&self) -> String {
        let api = format!("{}/api/v1", self.base);
        let Self { curl, program, flags, .. } = self;
        format!(
            "\
Try, in another terminal:
  {curl} '{api}/twins/campus-f1-r01-thermostat'
  {curl} '{api}/twins/campus/tree?depth=1'
  {curl} '{api}/twins/campus-f1-r01-thermostat/history?name=temperature&every=1m&agg=avg,min,max'
  {curl} -d '{{\"name\":\"set_target\",\"payload\":{{\"celsius\":19}},\"ttl\":60,\"wait\":10}}' -H 'Content-Type: application/json' '{api}/twins/campus-f1-r01-thermostat/commands'
  {curl} -N '{api}/live?under=campus-f1-r01'
  {program} twin tree campus --depth 2 {flags}
  {program} command send campus-f2-r03-light switch '{{\"on\": false}}' --wait {flags}
  {program} watch campus-f1 {flags}
Stop with Ctrl-C; start it again and it goes on with the same twins.
"
        )
    }
}

/// For a POSIX shell.
fn quoted(text: &str) -> String {
    let is_plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+:@".contains(c));
    if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_to_paste_work_in_any_folder_and_with_any_path() {
        let lines =
            Calls::new("http://127.0.0.1:4711".into(), Path::new("/opt/tw/twinfold"), Some(Path::new("/tmp/my data/admin-token")), None)
                .lines();
        let curl = "curl -s -H \"Authorization: Bearer $(cat '/tmp/my data/admin-token')\" 'http://127.0.0.1:4711/api/v1/";
        assert!(lines.contains(curl), "{lines}");
        assert!(lines.contains("/opt/tw/twinfold watch campus-f1 --url http://127.0.0.1:4711 --data-dir '/tmp/my data'\n"), "{lines}");
    }
}
