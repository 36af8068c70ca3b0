//! What a visitor of the demonstration may try: lines that work as they stand when pasted into another terminal.

use std::{net::SocketAddr, path::Path};

/// The server's doors and the key file.
pub fn text(http: SocketAddr, mqtt: SocketAddr, data_dir: &Path, token_file: Option<&Path>) -> String {
    let base = format!("http://{http}");
    let key = token_file.map_or_else(|| "$TWINFOLD_TOKEN".to_owned(), |path| format!("$(cat {})", quoted(&path.display().to_string())));
    let curl = format!("curl -s -H \"Authorization: Bearer {key}\"");
    let flags = client_flags(http, data_dir, token_file);
    format!(
        "\
dashboard   {base}/
API         {base}/docs
devices     mqtt://{mqtt}
key         {}

Try, in another terminal:
  {curl} '{base}/api/v1/twins/campus-f1-r01-thermostat'
  {curl} '{base}/api/v1/twins/campus/tree?depth=1'
  {curl} '{base}/api/v1/twins/campus-f1-r01-thermostat/history?name=temperature&every=1m&agg=avg,min,max&limit=10'
  {curl} -H 'Content-Type: application/json' -d '{{\"name\":\"set_target\",\"payload\":{{\"celsius\":19}},\"ttl\":60,\"wait\":10}}' '{base}/api/v1/twins/campus-f1-r01-thermostat/commands'
  {curl} -N '{base}/api/v1/live?under=campus-f1-r01'
  twinfold{flags} twin tree campus --depth 2
  twinfold{flags} command send campus-f2-r03-light switch '{{\"on\": false}}' --wait
  twinfold{flags} watch campus-f1
Stop with Ctrl-C; start it again and it goes on with the same twins.
",
        token_file.map_or("the one in auth.admin_token".to_owned(), |path| path.display().to_string()),
    )
}

/// Only what differs from the client commands' defaults. The subcommands take them anywhere.
fn client_flags(http: SocketAddr, data_dir: &Path, token_file: Option<&Path>) -> String {
    let mut flags = String::new();
    if http.to_string() != "127.0.0.1:8080" {
        flags.push_str(&format!(" --url http://{http}"));
    }
    if token_file.is_some() && data_dir != Path::new("./twinfold-data") {
        flags.push_str(&format!(" --data-dir {}", quoted(&data_dir.display().to_string())));
    }
    flags
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
    fn the_lines_to_paste_name_this_server_and_its_key_file() {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let text = text(at(4711), at(4712), Path::new("/tmp/my data"), Some(Path::new("/tmp/my data/admin-token")));
        assert!(
            text.contains("curl -s -H \"Authorization: Bearer $(cat '/tmp/my data/admin-token')\" 'http://127.0.0.1:4711/api/v1/"),
            "{text}"
        );
        assert!(text.contains("twinfold --url http://127.0.0.1:4711 --data-dir '/tmp/my data' watch"), "{text}");
    }
}
